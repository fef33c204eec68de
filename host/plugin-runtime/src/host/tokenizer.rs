//! The seam through which plugins tokenize: the runtime knows no model, so whoever does provides this.

use crate::types::{Error, ErrorKind};

/// Tokenization as a loaded model does it.
///
/// Called on an async worker thread while a guest waits, once per host call of a plugin that was
/// granted `tokenizer`. Must not block on anything but the tokenizer itself, and should refuse text
/// so long that it would take more than some milliseconds.
pub trait TokenizerHost: Send + Sync + 'static {
    /// How many tokens `text` is.
    ///
    /// # Errors
    /// `model-not-found` when the model is unknown, or whatever kind fits.
    fn count(&self, model: &str, text: &str) -> Result<u32, Error>;
    /// The tokens of `text`, without special tokens added.
    ///
    /// # Errors
    /// As [`Self::count`].
    fn encode(&self, model: &str, text: &str) -> Result<Vec<u32>, Error>;
    /// The text of `tokens`.
    ///
    /// # Errors
    /// As [`Self::count`]; `invalid-argument` when a token is not in the vocabulary.
    fn decode(&self, model: &str, tokens: &[u32]) -> Result<String, Error>;
}

/// The answer while nobody provides one.
pub(super) fn absent() -> Error {
    Error {
        kind: ErrorKind::Unsupported,
        message: "this host provides no tokenizer to plugins".into(),
        param: None,
        retry_after_ms: None,
        ext: None,
    }
}
