//! Links: how frames get from one place to another. In order, whole, or not at all.
//!
//! A link has one direction and a bounded queue. Nobody who keeps the protocol can fill it, because
//! a pipeline holds a bounded number of steps; a link that is full therefore has a peer that is stuck
//! or lies, and is closed. Inside a process a link is a channel; between processes Zenoh carries the
//! frames to one.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::error::ClusterError;

/// Frames that may wait at their receiver. A pipeline keeps far fewer under way: two for each step in
/// flight, and a few for each sequence that begins or ends meanwhile.
const CAPACITY: usize = 4096;

/// The sending end of a link. May block for as long as the transport needs, never for the receiver to
/// do anything with the frame.
pub trait FrameSender: Send + Sync {
    /// Sends one frame.
    ///
    /// # Errors
    /// [`ClusterError::Unreachable`]: it will not arrive, nor will any other.
    fn send(&self, frame: Vec<u8>) -> Result<(), ClusterError>;
}

/// The receiving end of a link. Disconnected once nothing more can come.
pub type FrameReceiver = Receiver<Vec<u8>>;

/// The sending end of a link within this process.
#[derive(Debug, Clone)]
pub struct ChannelSender {
    to: String,
    queue: SyncSender<Vec<u8>>,
}

/// A link within this process; `to` names its receiver in errors.
#[must_use]
pub fn channel(to: impl Into<String>) -> (ChannelSender, FrameReceiver) {
    let (queue, receiver) = sync_channel(CAPACITY);
    let to = to.into();
    (ChannelSender { to, queue }, receiver)
}

impl FrameSender for ChannelSender {
    fn send(&self, frame: Vec<u8>) -> Result<(), ClusterError> {
        self.queue.try_send(frame).map_err(|error| {
            let reason = match error {
                TrySendError::Full(_) => "it takes nothing from its queue",
                TrySendError::Disconnected(_) => "it has gone",
            };
            ClusterError::Unreachable {
                to: self.to.clone(),
                reason: reason.to_owned(),
            }
        })
    }
}
