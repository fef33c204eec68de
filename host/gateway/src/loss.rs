//! What becomes of a request when a machine is lost under it.
//!
//! As long as its client has been told nothing, nothing is lost with the machine: the request is begun
//! again, where its model runs then. The pool of models places it again meanwhile, for a bounded time;
//! what fits no more is refused with how long to wait.
//!
//! The host that the client reached does it, and nobody else: it asks the pool's rule anew, which all
//! hosts apply alike, so that what is begun again in many places meets in one.

use atoll_engine::engine::EngineError;
use atoll_engine::executor::ExecutorError;
use atoll_plugin_runtime::types::Error;

use crate::failure;

/// How often a request is begun again. One loss can be met twice: as that of a pipeline, told by its
/// coordinator, and as that of the host itself, which the rule may name next where it has not been
/// missed yet.
pub(crate) const REPEATS: usize = 2;

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

/// Does something with one answer, and again if a machine was lost over it.
///
/// # Errors
/// Why it did not work, the last time.
pub(crate) async fn repeated<T, Fut>(attempt: impl Fn() -> Fut + Send) -> Result<T, Stopped>
where
    Fut: Future<Output = Result<T, Stopped>> + Send,
{
    for _ in 0..REPEATS {
        match attempt().await {
            Err(Stopped::Lost(error)) => again(&error),
            done => return done,
        }
    }
    attempt().await
}

/// Says in the log that a request is begun again.
pub(crate) fn again(lost: &Error) {
    let reason = lost.message.as_str();
    tracing::info!(
        reason,
        "nothing was answered yet: the request is begun again"
    );
}
