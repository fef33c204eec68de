//! What a model can do, read from its folder without opening its weights.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ModelFolder, StoreError};
use crate::executor::TokenId;
use crate::files;
use crate::text::generation::read_json;
use crate::text::infill::InfillFormat;
use crate::text::template::ChatTemplate;
use crate::text::tokenizer::MAX_TOKENIZER_BYTES;

/// See the [module documentation](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// Its folder says how its hidden states become one vector (the layout of sentence-transformers): it was
    /// trained for embeddings, not to write.
    pub embedding: bool,
    /// It has a chat template.
    pub chat: bool,
    /// Its template offers tools, and teaches calls that this host reads.
    pub tools: bool,
    /// Its template marks reasoning.
    pub reasoning: bool,
    /// Its tokenizer has the marks for filling in the middle.
    pub infill: bool,
}

impl ModelFolder {
    /// What the model can do.
    ///
    /// # Errors
    /// A template, tokenizer or pooling configuration that is there and cannot be read.
    pub fn abilities(&self) -> Result<Abilities, StoreError> {
        let path = self.path();
        let pooling = read_json(&path.join("1_Pooling"), "config.json")?;
        let features = ChatTemplate::read(path)?.map(|template| template.features());
        let taught = features.unwrap_or_default();
        Ok(Abilities {
            embedding: !pooling.is_null(),
            chat: features.is_some(),
            tools: taught.tools && taught.output.tools.is_some(),
            reasoning: taught.output.can_reason(),
            infill: infills(path)?,
        })
    }
}

/// The names of a tokenizer's tokens, and nothing else of it.
#[derive(Deserialize)]
struct TokenNames {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    id: TokenId,
    content: String,
}

#[derive(Deserialize, Default)]
struct Model {
    #[serde(default)]
    vocab: Option<Vocabulary>,
}

/// Families without these marks in a map have none at all.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vocabulary {
    Map(HashMap<String, TokenId>),
    Other(IgnoredAny),
}

fn infills(folder: &Path) -> Result<bool, StoreError> {
    let bytes = files::read_bounded(&folder.join("tokenizer.json"), MAX_TOKENIZER_BYTES)?;
    let names: TokenNames = serde_json::from_slice(&bytes)
        .map_err(|error| crate::text::TextError::Tokenizer(error.to_string()))?;
    let vocabulary = match names.model.vocab {
        Some(Vocabulary::Map(map)) => map,
        Some(Vocabulary::Other(_)) | None => HashMap::new(),
    };
    let token = |name: &str| {
        let added = names
            .added_tokens
            .iter()
            .find(|token| token.content == name);
        added
            .map(|token| token.id)
            .or_else(|| vocabulary.get(name).copied())
    };
    Ok(InfillFormat::detect(token).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fixtures;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, ModelFolder) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let folder = ModelFolder::new("m", root.path());
        (root, folder)
    }

    #[test]
    fn a_folder_says_what_its_model_can_do() {
        let plain = fixtures::byte_level_json();
        let (_root, base) = folder(&[("tokenizer.json", &plain)]);
        assert_eq!(base.abilities().unwrap(), Abilities::default());

        let template = "{% for m in messages %}{{ m.content }}{% endfor %}{% if tools %}<tool_call>\n{\"name\": \
                        \"x\", \"arguments\": {}}\n</tool_call>{% endif %}<think></think>";
        let coder = plain.replace("<|endoftext|>", "<|fim_prefix|>");
        let coder = coder.replace("<|im_start|>", "<|fim_suffix|>");
        let coder = coder.replace("<|im_end|>", "<|fim_middle|>");
        let (_root, able) = folder(&[
            ("tokenizer.json", &coder),
            ("chat_template.jinja", template),
        ]);
        let expected = Abilities {
            embedding: false,
            chat: true,
            tools: true,
            reasoning: true,
            infill: true,
        };
        assert_eq!(able.abilities().unwrap(), expected);

        // A template that only mentions a variable of that name teaches nothing.
        let mention = "{% if tools %}{% endif %}{{ messages[0].content }}";
        let (_root, chat) = folder(&[("tokenizer.json", &plain), ("chat_template.jinja", mention)]);
        let only_chat = Abilities {
            chat: true,
            ..Abilities::default()
        };
        assert_eq!(chat.abilities().unwrap(), only_chat);

        let pooling = (
            "1_Pooling/config.json",
            "{\"pooling_mode_mean_tokens\": true}",
        );
        let (_root, embedder) = folder(&[("tokenizer.json", &plain), pooling]);
        assert!(embedder.abilities().unwrap().embedding);

        let (_root, broken) = folder(&[("tokenizer.json", "{")]);
        assert!(broken.abilities().is_err());
    }
}
