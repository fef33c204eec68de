//! [`Outbox`]: the way to one stage, on a thread of its own.
//!
//! Whatever a slow transport or a mask in the making costs, it costs here and not the engine's
//! thread, and not the other stages.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use atoll_engine::executor::{Epoch, Step};

use super::Monitor;
use crate::error::ClusterError;
use crate::link::FrameSender;
use crate::wire::{self, Command, Commands};

/// What may wait to be sent: the steps in flight, and a beginning and an end for each sequence.
const CAPACITY: usize = 4096;

/// Commands that go into one frame at most; keeps a burst of prompts from being one huge frame.
const BATCH: usize = 32;

pub(super) enum Item {
    Command(Command),
    Step(Arc<Step>),
}

pub(super) struct Outbox {
    stage: usize,
    queue: Option<SyncSender<Item>>,
    thread: Option<JoinHandle<()>>,
}

impl Outbox {
    pub fn start(
        epoch: Epoch,
        stage: usize,
        last: bool,
        link: Arc<dyn FrameSender>,
        monitor: Arc<Monitor>,
    ) -> Result<Self, ClusterError> {
        let (queue, items) = sync_channel(CAPACITY);
        let what = "an outbox";
        let thread = std::thread::Builder::new()
            .name(format!("to stage {stage}"))
            .spawn(move || {
                if let Err(error) = forward(&items, epoch, last, link.as_ref()) {
                    monitor.fail(error);
                }
            })
            .map_err(|error| ClusterError::Thread {
                what,
                reason: error.to_string(),
            })?;
        Ok(Self {
            stage,
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    pub fn send(&self, item: Item) -> Result<(), ClusterError> {
        let closed = "the way to it is closed";
        let reason = match &self.queue {
            Some(queue) => match queue.try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => "it takes no commands",
                Err(TrySendError::Disconnected(_)) => closed,
            },
            None => closed,
        };
        Err(ClusterError::Unreachable {
            to: format!("stage {}", self.stage),
            reason: reason.to_owned(),
        })
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(stage = self.stage, "an outbox panicked");
        }
    }
}

/// Sends what comes, together with what waits behind it, until the outbox is dropped.
fn forward(
    items: &Receiver<Item>,
    epoch: Epoch,
    last: bool,
    link: &dyn FrameSender,
) -> Result<(), ClusterError> {
    let command = |item| match item {
        Item::Command(command) => command,
        Item::Step(step) => Command::Step(wire::Step::new(&step, last)),
    };
    while let Ok(item) = items.recv() {
        let mut commands = vec![command(item)];
        while commands.len() < BATCH
            && let Ok(item) = items.try_recv()
        {
            commands.push(command(item));
        }
        let epoch = epoch.0;
        link.send(wire::encode(&Commands { epoch, commands })?)?;
    }
    Ok(())
}
