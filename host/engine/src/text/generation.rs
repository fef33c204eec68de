//! [`GenerationConfig`]: how a model's makers want it to be sampled, and which tokens end its turn.

use std::path::Path;

use serde_json::Value;

use super::TextError;
use super::tokenizer::Tokenizer;
use crate::executor::TokenId;
use crate::files;

/// Largest of the small JSON files beside the weights. tokenizer_config.json may list every added
/// token and reaches a few hundred kilobytes.
pub(super) const MAX_SMALL_JSON_BYTES: u64 = 16 << 20;
/// Most end tokens; published models have up to four.
const MAX_EOS: usize = 64;

/// Defaults that come with the model; each is `None` where its makers say nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerationConfig {
    /// Tokens that end a turn: those of generation_config.json, config.json and
    /// tokenizer_config.json together, because published folders forget one in either.
    pub eos: Vec<TokenId>,
    /// Token at the beginning of a text, if the tokenizer has one.
    pub bos: Option<TokenId>,
    /// Suggested temperature; 0 where sampling is switched off.
    pub temperature: Option<f32>,
    /// Suggested top-k.
    pub top_k: Option<u32>,
    /// Suggested top-p.
    pub top_p: Option<f32>,
    /// Suggested min-p.
    pub min_p: Option<f32>,
    /// Suggested repetition penalty.
    pub repetition_penalty: Option<f32>,
}

impl GenerationConfig {
    /// Reads a model folder. Missing files are no error; values that make no sense are left out,
    /// because they are suggestions.
    ///
    /// # Errors
    /// [`TextError`] if a file exists but is not JSON.
    pub fn read(folder: &Path, tokenizer: &Tokenizer) -> Result<Self, TextError> {
        let generation = read_json(folder, "generation_config.json")?;
        let config = read_json(folder, "config.json")?;
        let tokenizer_config = read_json(folder, "tokenizer_config.json")?;

        let mut eos = Vec::new();
        for source in [&generation, &config] {
            eos.extend(ids(source.get("eos_token_id")));
        }
        eos.extend(
            special_token(&tokenizer_config, "eos_token")
                .and_then(|token| tokenizer.token_id(token)),
        );
        eos.sort_unstable();
        eos.dedup();
        eos.truncate(MAX_EOS);

        let bos = special_token(&tokenizer_config, "bos_token")
            .and_then(|token| tokenizer.token_id(token));
        let number = |name: &str, valid: fn(f32) -> bool| {
            generation
                .get(name)
                .and_then(Value::as_f64)
                .map(|value| value as f32)
                .filter(|&value| valid(value))
        };
        let greedy = generation.get("do_sample") == Some(&Value::Bool(false));
        let temperature = number("temperature", |value| (0.0..=100.0).contains(&value));
        let top_k = generation
            .get("top_k")
            .and_then(Value::as_u64)
            .and_then(|k| u32::try_from(k).ok());
        Ok(Self {
            eos,
            bos: bos.or_else(|| ids(config.get("bos_token_id")).first().copied()),
            temperature: if greedy { Some(0.0) } else { temperature },
            top_k: top_k.filter(|&k| k > 0),
            top_p: number("top_p", |value| value > 0.0 && value <= 1.0),
            min_p: number("min_p", |value| (0.0..=1.0).contains(&value)),
            repetition_penalty: number("repetition_penalty", |value| value > 0.0 && value <= 100.0),
        })
    }
}

/// An id, or a list of them.
fn ids(value: Option<&Value>) -> Vec<TokenId> {
    let id = |value: &Value| value.as_u64().and_then(|id| TokenId::try_from(id).ok());
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
        Some(value) => id(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A special token's text: a string, or an object with `content`.
pub(super) fn special_token<'a>(tokenizer_config: &'a Value, name: &str) -> Option<&'a str> {
    let value = tokenizer_config.get(name)?;
    value
        .as_str()
        .or_else(|| value.get("content").and_then(Value::as_str))
}

/// A JSON file of the folder, or null if it does not exist.
pub(crate) fn read_json(folder: &Path, name: &str) -> Result<Value, TextError> {
    let path = folder.join(name);
    match files::read_bounded(&path, MAX_SMALL_JSON_BYTES) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| TextError::Json {
            path,
            reason: error.to_string(),
        }),
        Err(error) if error.is_not_found() => Ok(Value::Null),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    #[test]
    fn end_tokens_come_from_all_three_files() {
        let tokenizer = fixtures::byte_level();
        let id = |token| tokenizer.token_id(token).unwrap();
        let folder = folder(&[
            (
                "generation_config.json",
                r#"{"eos_token_id": [5, 7], "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 7}"#,
            ),
            ("config.json", r#"{"eos_token_id": 5, "bos_token_id": 3}"#),
            (
                "tokenizer_config.json",
                r#"{"eos_token": {"content": "<|im_end|>"}, "bos_token": null}"#,
            ),
        ]);
        let config = GenerationConfig::read(folder.path(), &tokenizer).unwrap();
        assert_eq!(config.eos, [5, 7, id("<|im_end|>")]);
        assert_eq!(
            (config.bos, config.temperature, config.top_k),
            (Some(3), Some(0.6), Some(20))
        );
        assert_eq!((config.top_p, config.min_p), (Some(0.95), None));
    }

    #[test]
    fn missing_files_are_fine_and_broken_ones_are_not() {
        let tokenizer = fixtures::byte_level();
        let empty = folder(&[]);
        assert_eq!(
            GenerationConfig::read(empty.path(), &tokenizer).unwrap(),
            GenerationConfig::default()
        );
        let greedy = folder(&[("generation_config.json", r#"{"do_sample": false}"#)]);
        assert_eq!(
            GenerationConfig::read(greedy.path(), &tokenizer)
                .unwrap()
                .temperature,
            Some(0.0)
        );
        let broken = folder(&[("config.json", "{")]);
        assert!(matches!(
            GenerationConfig::read(broken.path(), &tokenizer),
            Err(TextError::Json { .. })
        ));
    }
}
