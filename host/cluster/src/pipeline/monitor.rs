//! What comes back from the stages: signs of life, outputs, failures.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use atoll_engine::executor::Epoch;

use crate::error::ClusterError;
use crate::link::FrameSender;
use crate::wire::{self, Reply, ReplyBody, RowResult};

/// How often somebody who waits for an output looks at the stages' health: a small part of the second
/// within which a loss should be noticed.
const POLL: Duration = Duration::from_millis(20);

type Output = (u64, Vec<RowResult>);

/// Who lives, and what has failed. Shared by the pipeline, its links and the node's control.
#[derive(Debug)]
pub struct Monitor {
    epoch: Epoch,
    /// When each stage was last heard.
    heard: Mutex<Vec<Instant>>,
    failure: OnceLock<ClusterError>,
}

impl Monitor {
    /// Ends the pipeline with this reason, unless it has one already.
    pub fn fail(&self, error: ClusterError) {
        self.failure.get_or_init(|| {
            tracing::warn!(epoch = self.epoch.0, %error, "a pipeline failed");
            error
        });
    }

    /// Why the pipeline does not work any more, if so. A stage that has been silent for longer than
    /// `silence` is such a reason.
    #[must_use]
    pub fn failure(&self, silence: Duration) -> Option<ClusterError> {
        if let Some(error) = self.failure.get() {
            return Some(error.clone());
        }
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let quietest = heard.iter().enumerate().min_by_key(|(_, at)| **at);
        let (stage, silent) = quietest.map(|(stage, at)| (stage, at.elapsed()))?;
        drop(heard);
        if silent <= silence {
            return None;
        }
        self.fail(ClusterError::Silent {
            stage,
            silence: silent,
        });
        self.failure.get().cloned()
    }

    /// From now on silence counts: the stages have been started.
    pub fn begin(&self) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.fill(Instant::now());
    }

    fn hear(&self, stage: usize) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = heard.get_mut(stage) {
            *at = Instant::now();
        }
    }
}

/// Where the frames of stages go. Never blocks: it runs on the transport's own threads.
#[derive(Debug, Clone)]
pub struct ReplySink {
    monitor: Arc<Monitor>,
    outputs: SyncSender<Output>,
}

/// What the pipeline takes from its sink.
#[derive(Debug)]
pub struct Replies {
    monitor: Arc<Monitor>,
    outputs: Receiver<Output>,
    /// Came before anybody waited for it.
    early: Option<Output>,
}

impl Replies {
    /// The two ends of the way back from `stages` stages.
    #[must_use]
    pub fn new(epoch: Epoch, stages: usize) -> (ReplySink, Self) {
        let monitor = Arc::new(Monitor {
            epoch,
            heard: Mutex::new(vec![Instant::now(); stages]),
            failure: OnceLock::new(),
        });
        // One for each step in flight.
        let (sender, outputs) = sync_channel(stages.max(1));
        let sink = ReplySink {
            monitor: Arc::clone(&monitor),
            outputs: sender,
        };
        let replies = Self {
            monitor,
            outputs,
            early: None,
        };
        (sink, replies)
    }

    /// The pipeline's health.
    #[must_use]
    pub fn monitor(&self) -> Arc<Monitor> {
        Arc::clone(&self.monitor)
    }

    /// Waits up to `wait` until [`next`](Self::next) would return at once, if only with an error.
    pub(super) fn is_ready(&mut self, silence: Duration, wait: Duration) -> bool {
        if self.early.is_some() {
            return true;
        }
        match self.outputs.recv_timeout(wait) {
            Ok(output) => {
                self.early = Some(output);
                true
            }
            Err(RecvTimeoutError::Timeout) => self.monitor.failure(silence).is_some(),
            Err(RecvTimeoutError::Disconnected) => true,
        }
    }

    /// The next output.
    ///
    /// # Errors
    /// Why none will come.
    pub(super) fn next(
        &mut self,
        silence: Duration,
        deadline: Instant,
    ) -> Result<Output, ClusterError> {
        if let Some(output) = self.early.take() {
            return Ok(output);
        }
        loop {
            match self.outputs.recv_timeout(POLL) {
                Ok(output) => return Ok(output),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let reason = "every link to it is closed".to_owned();
                    let to = "the pipeline".to_owned();
                    return Err(ClusterError::Unreachable { to, reason });
                }
            }
            if let Some(error) = self.monitor.failure(silence) {
                return Err(error);
            }
            if Instant::now() > deadline {
                let error = ClusterError::Deadline {
                    after: Duration::ZERO,
                };
                return Err(error);
            }
        }
    }
}

impl ReplySink {
    /// Takes one frame of a stage.
    pub fn deliver(&self, frame: &[u8]) {
        let reply: Reply = match wire::decode(frame) {
            Ok(reply) => reply,
            Err(error) => return self.monitor.fail(error.into()),
        };
        if reply.epoch != self.monitor.epoch.0 {
            return;
        }
        let stage = reply.stage as usize;
        self.monitor.hear(stage);
        match reply.body {
            ReplyBody::Beat => {}
            ReplyBody::Output { step, rows } => {
                if self.outputs.try_send((step, rows)).is_err() {
                    let reason = "it sent more outputs than there are steps".to_owned();
                    self.monitor.fail(ClusterError::Stage { stage, reason });
                }
            }
            ReplyBody::Failed { reason } => {
                self.monitor.fail(ClusterError::Stage { stage, reason });
            }
        }
    }
}

impl FrameSender for ReplySink {
    fn send(&self, frame: Vec<u8>) -> Result<(), ClusterError> {
        self.deliver(&frame);
        Ok(())
    }
}
