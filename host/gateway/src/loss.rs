//! What becomes of a request when a machine is lost under it, or its model is on another host than was
//! thought.
//!
//! As long as its client has been told nothing, nothing is lost with the machine: the request is begun
//! again, where its model runs then. If its answer is to be told whole, that is so until the end, and what
//! was said of it is left out the second time ([`replay`](crate::replay)). The pool of models places it again meanwhile, for a bounded time;
//! what fits no more is refused with how long to wait.
//!
//! The host that the client reached does it, and nobody else: it asks the pool's rule anew. Where hosts
//! have heard different things of each other, the rule may name one that does not answer for the model;
//! that one says which does, and the request follows.

use std::time::{Duration, Instant};

use atoll_engine::engine::EngineError;
use atoll_engine::executor::ExecutorError;
use atoll_plugin_runtime::types::Error;

use crate::failure;

/// How often a request is begun again after a loss. One loss can be met twice: as that of a pipeline,
/// told by its coordinator, and as that of the host itself, which the rule may name next where it has
/// not been missed yet.
const LOSSES: usize = 2;

/// For so long a request follows its model from host to host. Each host that it is sent to waits until
/// the model is there, so what is bounded is only how long hosts may disagree: a machine that is silent
/// just then holds their agreement up for as long as its pool has patience.
const SETTLING: Duration = Duration::from_secs(10);

/// Between two hosts: what they disagree on may be settled by a message that is on its way.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a request stopped.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A machine that worked on it is lost; begun again it may run on what is left.
    Lost(Error),
    /// Another host answers for its model.
    Moved {
        /// Its id.
        to: String,
        /// What the client is told if it cannot follow. Boxed, so that this is no larger than the others.
        error: Box<Error>,
    },
    /// For a reason that would be the same again.
    Failed(Error),
}

impl Stopped {
    /// As the engine says it.
    pub(crate) fn by_engine(failure: &EngineError) -> Self {
        let error = failure::from_engine(failure);
        match failure {
            EngineError::Executor(ExecutorError::Lost(_)) => Self::Lost(error),
            EngineError::Elsewhere { node } => Self::Moved {
                to: node.clone(),
                error: Box::new(error),
            },
            _ => Self::Failed(error),
        }
    }

    /// As clients hear of it.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Lost(error) | Self::Failed(error) => error,
            Self::Moved { error, .. } => *error,
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// How often, and until when, one request may still be begun again.
#[derive(Debug)]
pub(crate) struct Repeats {
    losses: usize,
    /// Since when it follows its model.
    following: Option<Instant>,
}

impl Repeats {
    /// Of a request that has not been stopped yet.
    pub(crate) fn new() -> Self {
        Self {
            losses: LOSSES,
            following: None,
        }
    }

    /// After which wait a request that was stopped at `now` is begun again, if it is.
    pub(crate) fn again(&mut self, stopped: &Stopped, now: Instant) -> Option<Duration> {
        let (wait, reason) = match stopped {
            Stopped::Lost(error) => {
                self.losses = self.losses.checked_sub(1)?;
                (Duration::ZERO, error.message.as_str())
            }
            Stopped::Moved { error, .. } => {
                let since = *self.following.get_or_insert(now);
                if now.saturating_duration_since(since) > SETTLING {
                    return None;
                }
                (PAUSE, error.message.as_str())
            }
            Stopped::Failed(_) => return None,
        };
        tracing::info!(
            reason,
            "its client has heard nothing yet: the request is begun again"
        );
        Some(wait)
    }
}

/// Does something with one answer, and again if a machine was lost over it or another host has the model.
///
/// # Errors
/// Why it did not work, the last time.
pub(crate) async fn repeated<T, Fut>(attempt: impl Fn() -> Fut + Send) -> Result<T, Stopped>
where
    Fut: Future<Output = Result<T, Stopped>> + Send,
{
    let mut repeats = Repeats::new();
    loop {
        let stopped = match attempt().await {
            Ok(done) => return Ok(done),
            Err(stopped) => stopped,
        };
        match repeats.again(&stopped, Instant::now()) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved() -> Stopped {
        Stopped::by_engine(&EngineError::Elsewhere {
            node: "reef".to_owned(),
        })
    }

    #[test]
    fn losses_are_counted_and_hosts_that_disagree_get_time() {
        let (mut repeats, now) = (Repeats::new(), Instant::now());
        let lost = || Stopped::by_engine(&ExecutorError::Lost("gone".to_owned()).into());
        // Following costs no loss, and a loss no time.
        for _ in 0..100 {
            assert_eq!(repeats.again(&moved(), now), Some(PAUSE));
        }
        assert_eq!(repeats.again(&lost(), now), Some(Duration::ZERO));
        assert_eq!(repeats.again(&moved(), now + SETTLING), Some(PAUSE));
        let late = now + SETTLING + PAUSE;
        assert_eq!(repeats.again(&moved(), late), None);
        assert_eq!(repeats.again(&lost(), late), Some(Duration::ZERO));
        assert_eq!(repeats.again(&lost(), late), None);
    }

    #[test]
    fn what_would_be_the_same_again_is_not_tried_again() {
        let shut = Stopped::by_engine(&EngineError::ShuttingDown);
        assert_eq!(Repeats::new().again(&shut, Instant::now()), None);
    }
}
