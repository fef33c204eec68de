//! [`ModelError`]: why a model folder was refused.

use std::path::PathBuf;

use crate::files::FileError;

/// Why a model cannot be used. Every message names the file or field at fault and, where there is
/// one, the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file is missing, unreadable or too large.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not the JSON it should be.
    #[error("{}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// A field of config.json has a value that cannot be.
    #[error("config.json: `{field}` {reason}")]
    Config {
        /// Dotted path of the field, as in the file.
        field: String,
        /// What is wrong, continuing the sentence.
        reason: String,
    },
    /// The model is well formed but Atoll cannot run it.
    #[error("config.json: `{field}`: {what} is not supported; {advice}")]
    Unsupported {
        /// Dotted path of the field, as in the file.
        field: String,
        /// What is not supported.
        what: String,
        /// What to do instead.
        advice: String,
    },
    /// A safetensors file breaks its format.
    #[error("{}: not a valid safetensors file: {reason}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// Which rule it breaks.
        reason: String,
    },
    /// The index of a sharded checkpoint contradicts itself or its shards.
    #[error("{}: {reason}", path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// The contradiction.
        reason: String,
    },
    /// The folder has no weights we can read.
    #[error(
        "{}: no model.safetensors and no model.safetensors.index.json; Atoll reads safetensors only \
         (convert .bin or .gguf checkpoints first)",
        folder.display()
    )]
    NoWeights {
        /// The model folder.
        folder: PathBuf,
    },
    /// A tensor the model needs is not in the checkpoint.
    #[error(
        "tensor `{name}` is missing from the checkpoint; the download may be incomplete, or config.json describes another model"
    )]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape or type than config.json implies.
    #[error("tensor `{name}` {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// The contradiction, continuing the sentence.
        reason: String,
    },
}

impl ModelError {
    pub(crate) fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config {
            field: field.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(
        field: impl Into<String>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::Unsupported {
            field: field.into(),
            what: what.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn tensor(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Tensor {
            name: name.into(),
            reason: reason.into(),
        }
    }
}
