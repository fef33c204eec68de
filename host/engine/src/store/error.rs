//! [`StoreError`]: why a model of the store cannot be used.

use crate::engine::EngineError;
use crate::files::FileError;
use crate::model::ModelError;
use crate::text::TextError;

/// Why a model of the store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No folder of that name under any root.
    #[error("there is no model `{id}`")]
    NotFound {
        /// The name asked for.
        id: String,
    },
    /// Its description or weights are broken or not supported.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its tokenizer or chat template is broken or not supported.
    #[error(transparent)]
    Text(#[from] TextError),
    /// An embedded model could not be unpacked.
    #[error("cannot unpack the embedded model: {0}")]
    Unpack(FileError),
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::Model(error.into())
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { id } => Self::ModelNotFound { name: id },
            StoreError::Model(error) => error.into(),
            StoreError::Text(error) => Self::Text(error),
            StoreError::Unpack(error) => ModelError::from(error).into(),
        }
    }
}
