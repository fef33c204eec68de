//! [`ModelTokenizer`]: what plugins get when they ask the host to count tokens.

use std::sync::Arc;

use atoll_engine::engine::EngineError;
use atoll_plugin_runtime::TokenizerHost;
use atoll_plugin_runtime::types::{Error, ErrorKind};

use crate::failure;
use crate::models::{Models, TextEngine};

/// Most bytes of text in one call: some ten milliseconds of work on a thread that others share.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Most tokens in one call, for the same reason.
const MAX_TOKENS: usize = 64 << 10;

/// Tokenizers of the models that are in memory. A model that is not stays where it is: a plugin's
/// question is no reason to load gigabytes.
#[derive(Clone)]
pub struct ModelTokenizer {
    models: Arc<dyn Models>,
}

impl ModelTokenizer {
    /// Over these models.
    #[must_use]
    pub fn new(models: Arc<dyn Models>) -> Self {
        Self { models }
    }

    fn engine(&self, model: &str) -> Result<Arc<dyn TextEngine>, Error> {
        self.models.loaded(model).ok_or_else(|| {
            let message = format!("no model {model:?} is in memory");
            failure::error(ErrorKind::ModelNotFound(model.to_owned()), message)
        })
    }
}

impl TokenizerHost for ModelTokenizer {
    fn count(&self, model: &str, text: &str) -> Result<u32, Error> {
        let tokens = self.encode(model, text)?;
        Ok(u32::try_from(tokens.len()).unwrap_or(u32::MAX))
    }

    fn encode(&self, model: &str, text: &str) -> Result<Vec<u32>, Error> {
        if text.len() > MAX_TEXT_BYTES {
            let message = format!("at most {MAX_TEXT_BYTES} bytes can be tokenized in one call");
            return Err(failure::invalid("text", message));
        }
        self.engine(model)?.encode(text).map_err(from_engine)
    }

    fn decode(&self, model: &str, tokens: &[u32]) -> Result<String, Error> {
        if tokens.len() > MAX_TOKENS {
            let message = format!("at most {MAX_TOKENS} tokens can be decoded in one call");
            return Err(failure::invalid("tokens", message));
        }
        self.engine(model)?.decode(tokens).map_err(from_engine)
    }
}

fn from_engine(error: EngineError) -> Error {
    failure::from_engine(&error)
}
