//! [`StageWorker`]: one stage of a pipeline at work, on a thread of its own.
//!
//! Commands come from the coordinator in order. A step waits for the hidden states of the stage
//! before, is run, and what it makes goes to the stage after, or from the last stage back to the
//! coordinator. While it lives the stage says so, from a second thread, so that a long step is not
//! taken for a dead machine.
//!
//! Messages of another epoch than the stage's own are dropped. A message that breaks the protocol
//! ends the stage, which says why; its weights and pages go with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::Duration;

use atoll_engine::executor::{
    Activations, Epoch, ExecutorError, SequenceId, SequenceSpec, StageExecutor, StageOutput,
};

use crate::error::ClusterError;
use crate::link::{FrameReceiver, FrameSender};
use crate::wire::{self, Command, Commands, Hidden, Precision, Reply, ReplyBody, WireError};

/// How often a waiting stage looks whether it should stop.
const POLL: Duration = Duration::from_millis(50);

/// A stage's place in its pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageOptions {
    /// The plan it belongs to.
    pub epoch: Epoch,
    /// Counted from 0.
    pub index: u32,
    /// How its hidden states travel on.
    pub precision: Precision,
    /// How often it says that it lives.
    pub beat: Duration,
}

/// What a stage is connected to.
pub struct StageLinks {
    /// From the coordinator.
    pub commands: FrameReceiver,
    /// From the stage before; the first has none.
    pub input: Option<FrameReceiver>,
    /// To the stage after; the last has none.
    pub output: Option<Arc<dyn FrameSender>>,
    /// To the coordinator.
    pub replies: Arc<dyn FrameSender>,
}

/// A running stage; dropping it stops it, after the step it may be at.
#[derive(Debug)]
pub struct StageWorker {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl StageWorker {
    /// Starts a stage.
    ///
    /// # Errors
    /// [`ClusterError::Thread`].
    pub fn start(
        executor: Box<dyn StageExecutor>,
        links: StageLinks,
        options: StageOptions,
    ) -> Result<Self, ClusterError> {
        let mut worker = Self {
            stop: Arc::new(AtomicBool::new(false)),
            threads: Vec::new(),
        };
        let beater = Beater {
            replies: Arc::clone(&links.replies),
            options: options.clone(),
            stop: Arc::clone(&worker.stop),
        };
        worker.spawn("stage beat", move || beater.run())?;
        let stage = Stage {
            executor,
            links,
            options,
            stop: Arc::clone(&worker.stop),
        };
        worker.spawn("stage", move || stage.run())?;
        Ok(worker)
    }

    fn spawn(
        &mut self,
        what: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), ClusterError> {
        let thread = std::thread::Builder::new().name(what.to_owned());
        let thread = thread.spawn(work).map_err(|error| ClusterError::Thread {
            what,
            reason: error.to_string(),
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Whether it has ended by itself: its coordinator has gone, or it failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

impl Drop for StageWorker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a stage's thread panicked");
            }
        }
    }
}

/// Sets the flag when its thread ends, however it ends.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

struct Beater {
    replies: Arc<dyn FrameSender>,
    options: StageOptions,
    stop: Arc<AtomicBool>,
}

impl Beater {
    fn run(self) {
        while !self.stop.load(Ordering::Acquire) {
            if let Err(error) = reply(self.replies.as_ref(), &self.options, ReplyBody::Beat) {
                tracing::debug!(%error, "nobody listens to this stage");
            }
            std::thread::park_timeout(self.options.beat);
        }
    }
}

fn reply(
    to: &dyn FrameSender,
    options: &StageOptions,
    body: ReplyBody,
) -> Result<(), ClusterError> {
    let frame = wire::encode(&Reply {
        epoch: options.epoch.0,
        stage: options.index,
        body,
    })?;
    to.send(frame)
}

/// Why a stage ends.
enum End {
    /// It is told to, or its peers have gone.
    Quiet,
    /// It cannot go on.
    Failed(String),
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ExecutorError> for End {
    fn from(error: ExecutorError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ClusterError> for End {
    fn from(error: ClusterError) -> Self {
        Self::Failed(error.to_string())
    }
}

struct Stage {
    executor: Box<dyn StageExecutor>,
    links: StageLinks,
    options: StageOptions,
    stop: Arc<AtomicBool>,
}

impl Stage {
    fn run(mut self) {
        let _stop = StopOnDrop(Arc::clone(&self.stop));
        let End::Failed(reason) = self.serve() else {
            return;
        };
        tracing::warn!(stage = self.options.index, reason, "a stage failed");
        let failed = ReplyBody::Failed { reason };
        if let Err(error) = reply(self.links.replies.as_ref(), &self.options, failed) {
            tracing::debug!(%error, "and its coordinator is not there to hear it");
        }
    }

    fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.commands() {
                return end;
            }
        }
    }

    /// Carries out one message of commands.
    fn commands(&mut self) -> Result<(), End> {
        let frame = next(&self.links.commands, &self.stop)?;
        let Commands { epoch, commands } = wire::decode(&frame)?;
        if epoch != self.options.epoch.0 {
            tracing::debug!(epoch, "commands of another plan are dropped");
            return Ok(());
        }
        commands
            .into_iter()
            .try_for_each(|command| self.apply(command))
    }

    fn apply(&mut self, command: Command) -> Result<(), End> {
        let vocab_size = self.executor.capabilities().vocab_size;
        match command {
            Command::Open {
                sequence,
                sampling,
                prompt,
            } => {
                let spec = SequenceSpec {
                    sampling: Arc::new(sampling.into_engine(vocab_size)?),
                    prompt: prompt.into(),
                };
                self.executor.open(SequenceId(sequence), spec)?;
            }
            Command::Fork {
                parent,
                child,
                sampling,
            } => {
                let sampling = Arc::new(sampling.into_engine(vocab_size)?);
                let (parent, child) = (SequenceId(parent), SequenceId(child));
                self.executor.fork(parent, child, sampling)?;
            }
            Command::Truncate { sequence, len } => {
                // A length that this machine cannot count to cuts nothing off.
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                self.executor.truncate(SequenceId(sequence), len)?;
            }
            Command::Close { sequence } => self.executor.close(SequenceId(sequence))?,
            Command::Step(step) => self.step(step)?,
        }
        Ok(())
    }

    fn step(&mut self, step: wire::Step) -> Result<(), End> {
        let step = step.into_engine(self.options.epoch)?;
        let input = match &self.links.input {
            Some(input) => Some(self.hidden(input, step.id.0)?),
            None => None,
        };
        match (
            self.executor.run(&step, input.as_ref())?,
            &self.links.output,
        ) {
            (StageOutput::Activations(activations), Some(output)) => {
                let hidden = Hidden {
                    epoch: self.options.epoch.0,
                    step: step.id.0,
                    activations,
                };
                output.send(hidden.encode(self.options.precision)?)?;
            }
            (StageOutput::Step(output), None) => {
                let body = ReplyBody::Output {
                    step: step.id.0,
                    rows: output.rows.into_iter().map(Into::into).collect(),
                };
                reply(self.links.replies.as_ref(), &self.options, body)?;
            }
            _ => {
                let reason = "its layers do not end where the pipeline does";
                return Err(End::Failed(reason.to_owned()));
            }
        }
        Ok(())
    }

    /// What the stage before made of step `wanted`.
    fn hidden(&self, input: &FrameReceiver, wanted: u64) -> Result<Activations, End> {
        loop {
            let hidden = Hidden::decode(&next(input, &self.stop)?)?;
            if hidden.epoch != self.options.epoch.0 {
                tracing::debug!(hidden.epoch, "hidden states of another plan are dropped");
            } else if hidden.step == wanted {
                return Ok(hidden.activations);
            } else {
                let step = hidden.step;
                let reason = format!("hidden states of step {step} came instead of {wanted}");
                return Err(End::Failed(reason));
            }
        }
    }
}

/// The next frame.
fn next(receiver: &FrameReceiver, stop: &AtomicBool) -> Result<Vec<u8>, End> {
    while !stop.load(Ordering::Acquire) {
        match receiver.recv_timeout(POLL) {
            Ok(frame) => return Ok(frame),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Err(End::Quiet)
}
