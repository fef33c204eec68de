//! Why MLX is not there, and why a model could not be loaded.

use std::path::PathBuf;

use atoll_engine::model::ModelError;

/// Why there is no MLX on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The program was built without it.
    #[error(
        "this program was built without MLX: on Linux, run host/executor-mlx/prepare (or prepare cuda) in the \
         sources and build with the cargo line that it prints; on Apple silicon MLX is always built in"
    )]
    NotBuilt,
    /// MLX is there, and does not start.
    #[error("MLX does not start: {0}")]
    Broken(String),
}

/// Why [`load`](crate::load) refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no MLX.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A tensor is missing, or not what the model's description says.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The description asks for something this executor does not have.
    #[error("the MLX executor does not support {0}")]
    Unsupported(String),
    /// The description contradicts itself.
    #[error("the model's description is inconsistent: {0}")]
    Spec(String),
    /// An option is out of range.
    #[error("option {name}: {reason}")]
    Option {
        /// The field of [`MlxOptions`](crate::MlxOptions).
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// A weight file could not be read.
    #[error("{}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The device has not enough memory.
    #[error("the device has not enough memory: {0}")]
    OutOfMemory(String),
    /// MLX failed.
    #[error("MLX failed: {0}")]
    Mlx(String),
    /// The system refused a thread.
    #[error("the system refused a thread: {0}")]
    Thread(String),
}
