//! The links of pipelines: their names, and the sending end between nodes.

use std::fmt;
use std::time::{Duration, Instant};

use zenoh::Wait as _;
use zenoh::pubsub::Publisher;

use super::transport;
use crate::error::ClusterError;
use crate::link::FrameSender;

/// A link of a pipeline, by name. The epoch is part of it: links of different plans never meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkName {
    pub instance: uuid::Uuid,
    pub epoch: u64,
    pub to: LinkEnd,
}

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// Commands to this stage.
    Commands(u32),
    /// Hidden states to this stage.
    Hidden(u32),
    /// Replies to the coordinator.
    Coordinator,
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link/{}/{}/", self.instance.simple(), self.epoch)?;
        match self.to {
            LinkEnd::Commands(stage) => write!(f, "commands/{stage}"),
            LinkEnd::Hidden(stage) => write!(f, "hidden/{stage}"),
            LinkEnd::Coordinator => f.write_str("replies"),
        }
    }
}

/// The sending end of a link between nodes.
pub(crate) struct LinkSender {
    pub(super) to: String,
    pub(super) publisher: Publisher<'static>,
}

impl LinkSender {
    /// Waits until somebody listens at the other end.
    ///
    /// # Errors
    /// [`ClusterError::Unreachable`] after `timeout`.
    pub async fn connected(&self, timeout: Duration) -> Result<(), ClusterError> {
        let started = Instant::now();
        loop {
            let status = self.publisher.matching_status().await;
            if status.map_err(transport("opening a link"))?.matching() {
                return Ok(());
            }
            if started.elapsed() > timeout {
                return Err(ClusterError::Unreachable {
                    to: self.to.clone(),
                    reason: format!("nobody listens after {timeout:?}"),
                });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl FrameSender for LinkSender {
    fn send(&self, frame: Vec<u8>) -> Result<(), ClusterError> {
        let sent = self.publisher.put(frame).wait();
        sent.map_err(|error| ClusterError::Unreachable {
            to: self.to.clone(),
            reason: error.to_string(),
        })
    }
}
