//! The text side of a model as the engine uses it: the narrow waist between the loop and
//! tokenizer, template and detokenizer. Tests put a byte alphabet here and need no files.

use std::time::SystemTime;

use super::{ChatPrompt, EngineError};
use crate::executor::{Pooling, TokenId};
use crate::grammar::VocabularyEntry;
use crate::store::TextModel;
use crate::text::TextError;
use crate::text::detokenizer::IncrementalDetokenizer;
use crate::text::template::{ChatTemplate, Conversation, TemplateFeatures};

/// Tokens and text of one model.
pub trait ModelText: Send + Sync + 'static {
    /// The model's name; also keeps its cached prefixes apart from other models'.
    fn model_id(&self) -> &str;

    /// Longest sequence the model was made for.
    fn context_length(&self) -> usize;

    /// Tokens that end an answer.
    fn eos(&self) -> &[TokenId];

    /// Renders a conversation with the model's chat template.
    ///
    /// # Errors
    /// There is no template, it refuses the messages, or it exceeds its limits.
    fn render(&self, chat: &ChatPrompt) -> Result<String, EngineError>;

    /// Tokens of text. With `add_special_tokens`, what the tokenizer puts around a text of its own
    /// (a beginning-of-text token, usually).
    ///
    /// # Errors
    /// The tokenizer cannot represent the text.
    fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<TokenId>, EngineError>;

    /// Tokens of a rendered conversation. Templates write their own special tokens.
    ///
    /// # Errors
    /// The tokenizer cannot represent the text.
    fn encode_chat(&self, rendered: &str) -> Result<Vec<TokenId>, EngineError> {
        self.encode(rendered, false)
    }

    /// What the chat template can hold and teaches the model to write.
    fn features(&self) -> TemplateFeatures {
        TemplateFeatures::default()
    }

    /// The one token that is this text, if there is one.
    fn marker(&self, text: &str) -> Option<Marker> {
        let _ = text;
        None
    }

    /// Every token as grammars see it, entry `i` for token `i`. Empty if answers of this model cannot be
    /// constrained.
    fn vocabulary(&self) -> Vec<VocabularyEntry> {
        Vec::new()
    }

    /// How embeddings are made of hidden states.
    fn pooling(&self) -> Pooling {
        Pooling::default()
    }

    /// The bytes a token stands for: its name for a special token, nothing for an unknown one.
    fn token_bytes(&self, token: TokenId) -> Vec<u8>;

    /// A detokenizer for one answer, to be fed its tokens in order. One that `continues` a text
    /// keeps the space a sentencepiece tokenizer would take for its own.
    fn stream(&self, continues: bool) -> Box<dyn TextStream>;
}

/// A text that is one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// The token.
    pub token: TokenId,
    /// Whether it is a control token, which is no part of an answer's text.
    pub special: bool,
}

/// Tokens to text, as they come.
pub trait TextStream: Send {
    /// The text that `token` completes: whole code points, perhaps none.
    fn push(&mut self, token: TokenId) -> String;

    /// What was held back for bytes that never came.
    fn finish(&mut self) -> String;
}

impl ModelText for TextModel {
    fn model_id(&self) -> &str {
        &self.info.id
    }

    fn context_length(&self) -> usize {
        self.spec.max_positions
    }

    fn eos(&self) -> &[TokenId] {
        &self.generation.eos
    }

    fn render(&self, chat: &ChatPrompt) -> Result<String, EngineError> {
        let template = self.template.as_ref().ok_or(TextError::NoTemplate)?;
        Ok(template.render(&Conversation {
            messages: &chat.messages,
            tools: chat.tools.as_ref(),
            variables: &chat.template_variables,
            add_generation_prompt: chat.add_generation_prompt,
            continue_final_message: chat.continue_final_message,
            now: SystemTime::now(),
        })?)
    }

    fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<TokenId>, EngineError> {
        Ok(self.tokenizer.encode(text, add_special_tokens)?)
    }

    fn features(&self) -> TemplateFeatures {
        self.template
            .as_ref()
            .map(ChatTemplate::features)
            .unwrap_or_default()
    }

    fn marker(&self, text: &str) -> Option<Marker> {
        let token = self.tokenizer.token_id(text)?;
        let special = self.tokenizer.is_special(token);
        Some(Marker { token, special })
    }

    fn vocabulary(&self) -> Vec<VocabularyEntry> {
        // As many as there are logits: models pad their head beyond the tokenizer's last token.
        (0..self.spec.vocab_size)
            .map(|id| {
                let token = TokenId::try_from(id).unwrap_or(TokenId::MAX);
                let bytes = self.tokenizer.token_bytes(token);
                if bytes.is_empty() {
                    VocabularyEntry::Unused
                } else if self.tokenizer.is_special(token) {
                    VocabularyEntry::Special(String::from_utf8_lossy(bytes).into_owned())
                } else {
                    VocabularyEntry::Bytes(bytes.to_vec())
                }
            })
            .collect()
    }

    fn pooling(&self) -> Pooling {
        self.pooling
    }

    fn token_bytes(&self, token: TokenId) -> Vec<u8> {
        self.tokenizer.token_bytes(token).to_vec()
    }

    fn stream(&self, continues: bool) -> Box<dyn TextStream> {
        Box::new(if continues {
            IncrementalDetokenizer::continuing(&self.tokenizer)
        } else {
            IncrementalDetokenizer::new(&self.tokenizer)
        })
    }
}

impl TextStream for IncrementalDetokenizer {
    fn push(&mut self, token: TokenId) -> String {
        self.push(token)
    }

    fn finish(&mut self) -> String {
        self.finish()
    }
}
