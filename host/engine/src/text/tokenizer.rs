//! [`Tokenizer`]: text to token ids through the `tokenizers` crate, and token ids to bytes through
//! a table of our own.
//!
//! The crate's own decoding is not used: it cannot give the bytes of one token, and it panics on
//! some malformed files. What remains of it (loading and encoding) runs behind a guard, so that a
//! hostile tokenizer.json fails its model only.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::TextError;
use super::vocabulary::{Decoder, Vocabulary};
use crate::executor::TokenId;
use crate::files;

/// Largest tokenizer.json read. Gemma's, among the largest published, has 33 MB.
pub(crate) const MAX_TOKENIZER_BYTES: u64 = 128 << 20;

/// A model's tokenizer; clones share it.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
}

struct Inner {
    encoder: tokenizers::Tokenizer,
    vocabulary: Vocabulary,
    strips_leading_space: bool,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("tokens", &self.vocabulary_size())
            .finish_non_exhaustive()
    }
}

/// The one part of tokenizer.json we read ourselves.
#[derive(Deserialize)]
struct OwnPart {
    #[serde(default)]
    decoder: Value,
}

impl Tokenizer {
    /// Loads `tokenizer.json` from a model folder.
    ///
    /// # Errors
    /// [`TextError::File`] or [`TextError::Tokenizer`].
    pub fn open(folder: &Path) -> Result<Self, TextError> {
        Self::from_bytes(&files::read_bounded(
            &folder.join("tokenizer.json"),
            MAX_TOKENIZER_BYTES,
        )?)
    }

    /// Loads the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`] if it is malformed, or decodes in a way that is not supported.
    pub fn from_bytes(json: &[u8]) -> Result<Self, TextError> {
        let own: OwnPart = serde_json::from_slice(json)
            .map_err(|error| TextError::Tokenizer(error.to_string()))?;
        let decoder = Decoder::read(&own.decoder).map_err(TextError::Tokenizer)?;
        let mut encoder =
            guarded(|| tokenizers::Tokenizer::from_bytes(json)).map_err(TextError::Tokenizer)?;
        // Whoever trained the model may have left these on; a server never cuts or pads a prompt.
        guarded(|| encoder.with_truncation(None).map(|_| ())).map_err(TextError::Tokenizer)?;
        encoder.with_padding(None);

        let own_tokens: HashMap<String, u32> = encoder.get_vocab(false);
        let added = encoder.get_added_tokens_decoder();
        let added = added
            .iter()
            .map(|(&id, token)| (id, token.content.as_str(), token.special));
        let vocabulary =
            Vocabulary::new(&own_tokens, added, &decoder).map_err(TextError::Tokenizer)?;
        let strips_leading_space = decoder.strips_leading_space;
        Ok(Self {
            inner: Arc::new(Inner {
                encoder,
                vocabulary,
                strips_leading_space,
            }),
        })
    }

    /// The tokens of `text`. Special tokens written out in the text are recognised; with
    /// `add_special_tokens` the tokenizer's own are added around it (a BOS, usually), which is right
    /// for plain text and wrong after a chat template that writes them itself.
    ///
    /// # Errors
    /// [`TextError::Encode`] if the tokenizer cannot represent the text.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<TokenId>, TextError> {
        let encoding = guarded(|| self.inner.encoder.encode_fast(text, add_special_tokens));
        Ok(encoding.map_err(TextError::Encode)?.get_ids().to_vec())
    }

    /// The id of a token given as text, special tokens included.
    #[must_use]
    pub fn token_id(&self, token: &str) -> Option<TokenId> {
        self.inner.encoder.token_to_id(token)
    }

    /// The bytes a token stands for; not always whole characters. Empty for ids without a token.
    #[must_use]
    pub fn token_bytes(&self, token: TokenId) -> &[u8] {
        self.inner.vocabulary.bytes(token)
    }

    /// Whether this is a control token (BOS, end of turn), which is no part of an answer's text.
    #[must_use]
    pub fn is_special(&self, token: TokenId) -> bool {
        self.inner.vocabulary.is_special(token)
    }

    /// One more than the largest token id. A model's `vocab_size` is often larger (padding).
    #[must_use]
    pub fn vocabulary_size(&self) -> usize {
        self.inner.vocabulary.len()
    }

    /// The bytes of every token, in order of id.
    pub fn vocabulary(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.vocabulary_size()).map(|id| self.token_bytes(id as TokenId))
    }

    /// Whether a text that begins with this tokenizer's tokens begins with a space that the encoder
    /// put there (sentencepiece).
    #[must_use]
    pub fn strips_leading_space(&self) -> bool {
        self.inner.strips_leading_space
    }

    /// The text of `tokens`; bytes that are not UTF-8 become U+FFFD. Special tokens are left out
    /// unless `keep_special`.
    #[must_use]
    pub fn decode(&self, tokens: &[TokenId], keep_special: bool) -> String {
        let kept = tokens
            .iter()
            .filter(|&&token| keep_special || !self.is_special(token));
        let bytes: Vec<u8> = kept
            .flat_map(|&token| self.token_bytes(token))
            .copied()
            .collect();
        let text = String::from_utf8_lossy(&bytes);
        let stripped = text
            .strip_prefix(' ')
            .filter(|_| self.strips_leading_space());
        stripped.unwrap_or(&text).to_owned()
    }

    #[cfg(test)]
    pub(super) fn encoder(&self) -> &tokenizers::Tokenizer {
        &self.inner.encoder
    }
}

/// Runs a call of the `tokenizers` crate; a panic in it becomes an error.
fn guarded<T, E: std::fmt::Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    // Nothing that a panic could leave half-changed is used afterwards.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizers library failed on this file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn byte_level_round_trip() {
        let tokenizer = fixtures::byte_level();
        let ids = tokenizer.encode("hello<|im_end|>", false).unwrap();
        let end = tokenizer.token_id("<|im_end|>").unwrap();
        assert_eq!(ids.last(), Some(&end));
        assert!(
            tokenizer.is_special(end)
                && !tokenizer.is_special(tokenizer.token_id("<think>").unwrap())
        );
        assert_eq!(tokenizer.decode(&ids, false), "hello");
        assert_eq!(tokenizer.decode(&ids, true), "hello<|im_end|>");
        assert_eq!(tokenizer.token_bytes(end), b"<|im_end|>");
        assert_eq!(tokenizer.token_bytes(1_000_000), b"");
        assert_eq!(tokenizer.vocabulary().count(), tokenizer.vocabulary_size());
    }

    #[test]
    fn sentencepiece_adds_and_drops_one_space() {
        let tokenizer = fixtures::sentencepiece();
        let ids = tokenizer.encode("hello world", false).unwrap();
        assert_eq!(tokenizer.token_bytes(ids[0]), b" hello");
        assert_eq!(tokenizer.decode(&ids, false), "hello world");
        let with_bos = tokenizer.encode("hello", true).unwrap();
        assert_eq!(Some(with_bos[0]), tokenizer.token_id("<s>"));
        assert_eq!(tokenizer.decode(&with_bos, false), "hello");
    }

    #[test]
    fn malformed_files_are_errors() {
        let no_decoder = br#"{"model":{"type":"WordLevel","vocab":{},"unk_token":"x"}}"#;
        for (json, expected) in [
            (&b"{"[..], "EOF"),
            (b"[]", "decoder"),
            (no_decoder, "no decoder"),
            (br#"{"decoder":{"type":"WordPiece"}}"#, "WordPiece"),
            (br#"{"decoder":{"type":"ByteLevel"},"model":7}"#, ""),
        ] {
            let error = Tokenizer::from_bytes(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// An id of four billion must not become a table of that size.
    #[test]
    fn huge_ids_are_refused() {
        let json = fixtures::byte_level_json().replace("\"!\":0,", "\"!\":4294967294,");
        assert!(Tokenizer::from_bytes(json.as_bytes()).is_err());
    }

    proptest! {
        /// Our table against the library's decoder, over text of many scripts.
        #[test]
        fn decoding_agrees_with_the_library(text in fixtures::any_text()) {
            for tokenizer in [fixtures::byte_level(), fixtures::sentencepiece()] {
                let ids = tokenizer.encode(&text, false).unwrap();
                let library = tokenizer.encoder().decode(&ids, true).unwrap();
                prop_assert_eq!(tokenizer.decode(&ids, false), library);
            }
        }

        #[test]
        fn text_survives_the_round_trip(text in fixtures::any_text()) {
            let tokenizer = fixtures::byte_level();
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text, false).unwrap(), false), text);
        }
    }
}
