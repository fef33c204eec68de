//! What becomes of a request when a machine is lost under it.
//!
//! As long as its client has been told nothing, nothing is lost with the machine: the request is begun
//! once more, where its model runs then. The pool of models places it again meanwhile, for a bounded
//! time; what fits no more is refused with how long to wait. Once, because a second machine that goes
//! within one request is more than bad luck.

use atoll_engine::engine::EngineError;
use atoll_engine::executor::ExecutorError;
use atoll_plugin_runtime::types::Error;

use crate::failure;

/// Why a request stopped.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A machine that worked on it is lost; begun again it may run on what is left.
    Lost(Error),
    /// For a reason that would be the same again.
    Failed(Error),
}

impl Stopped {
    /// As the engine says it.
    pub(crate) fn by_engine(failure: &EngineError) -> Self {
        let error = failure::from_engine(failure);
        match failure {
            EngineError::Executor(ExecutorError::Lost(_)) => Self::Lost(error),
            _ => Self::Failed(error),
        }
    }

    /// As clients hear of it.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Lost(error) | Self::Failed(error) => error,
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Does something with one answer, and once more if a machine was lost over it.
///
/// # Errors
/// Why it did not work, the second time.
pub(crate) async fn twice<T, Fut>(attempt: impl Fn() -> Fut + Send) -> Result<T, Error>
where
    Fut: Future<Output = Result<T, Stopped>> + Send,
{
    match attempt().await {
        Err(Stopped::Lost(error)) => {
            again(&error);
            attempt().await.map_err(Stopped::into_error)
        }
        done => done.map_err(Stopped::into_error),
    }
}

/// Says in the log that a request is begun again.
pub(crate) fn again(lost: &Error) {
    let reason = lost.message.as_str();
    tracing::info!(
        reason,
        "nothing was answered yet: the request is begun again"
    );
}
