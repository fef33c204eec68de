//! Why a model could not be loaded.

use std::path::PathBuf;

use atoll_engine::model::ModelError;

/// Why [`CpuExecutor::load`](crate::CpuExecutor::load) refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A tensor is missing, or not what the model's description says.
    #[error("tensor {name} {reason}")]
    Tensor {
        /// Its name in the checkpoint.
        name: String,
        /// A sentence that continues the name.
        reason: String,
    },
    /// The description contradicts itself.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The checkpoint's own list of its tensors contradicts itself.
    #[error("the checkpoint is inconsistent: {0}")]
    Checkpoint(String),
    /// An option is out of range.
    #[error("option {name}: {reason}")]
    Option {
        /// The field of [`CpuOptions`](crate::CpuOptions).
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// A weight file could not be mapped.
    #[error("{}: {reason}", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The system refused memory or a thread.
    #[error("the system refused memory or threads: {0}")]
    System(String),
}

impl From<std::io::Error> for LoadError {
    fn from(error: std::io::Error) -> Self {
        Self::System(error.to_string())
    }
}
