//! [`PipelineExecutor`]: a chain of stages as one executor.
//!
//! The coordinator (the node whose scheduler this is) sends every sequence call and every step to all
//! stages at once; the hidden states go from stage to stage without it; drawn tokens come back from
//! the last. As many steps are in flight as there are stages, so that all of them work.
//!
//! It fails as a whole, by design: a lost stage has lost its pages, and with them every sequence.
//! [`complete`](Executor::complete) returns an error
//!
//! - at once when a stage says that it failed, or the transport that it has gone;
//! - after [`PipelineOptions::silence`] when a stage gives no sign of life (killed, frozen, cut off);
//! - after [`PipelineOptions::step_deadline`] when all live and nothing moves.
//!
//! Stages may be on machines that lie. Outputs are checked against the step they answer, so the
//! engine above never sees a token that does not exist or a row that was not asked for.

mod monitor;
mod outbox;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_engine::executor::{
    Capabilities, Epoch, Executor, ExecutorError, RowOutput, SequenceId, SequenceSpec, Step,
    StepId, StepOutput,
};
use atoll_engine::sampling::SamplingParams;

pub use monitor::{Monitor, Replies, ReplySink};

use crate::error::ClusterError;
use crate::link::FrameSender;
use crate::wire::{Command, RowResult};
use outbox::{Item, Outbox};

/// How patient a pipeline is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineOptions {
    /// The plan of this pipeline.
    pub epoch: Epoch,
    /// Longest time without a sign of life from a stage. Several of [`StageOptions::beat`], so that
    /// one late beat is not a death.
    ///
    /// [`StageOptions::beat`]: crate::stage::StageOptions::beat
    pub silence: Duration,
    /// Longest time for one step from submission to output, the steps before it included. Only a
    /// stage whose process lives while its work is stuck meets it, so it is generous.
    pub step_deadline: Duration,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            epoch: Epoch::default(),
            silence: Duration::from_millis(1000),
            step_deadline: Duration::from_secs(120),
        }
    }
}

/// A step whose output has not come yet: what the output must fit.
struct Pending {
    id: StepId,
    /// The scheduler's own, which counts from its beginning.
    epoch: Epoch,
    rows: Vec<(SequenceId, usize)>,
    submitted: Instant,
}

/// See the [module documentation](self).
pub struct PipelineExecutor {
    capabilities: Capabilities,
    options: PipelineOptions,
    outboxes: Vec<Outbox>,
    replies: Replies,
    in_flight: VecDeque<Pending>,
    /// Dropped after everything else.
    held: Option<Box<dyn Send>>,
}

impl PipelineExecutor {
    /// A pipeline of stages that are ready: what each can do, and the way to it, from first to last.
    /// Their answers come through the sink that belongs to `replies`.
    ///
    /// # Errors
    /// [`ClusterError::Mismatch`] if the stages are not of one model and one block size.
    pub fn new(
        stages: Vec<(Capabilities, Arc<dyn FrameSender>)>,
        replies: Replies,
        options: PipelineOptions,
    ) -> Result<Self, ClusterError> {
        let (facts, links): (Vec<_>, Vec<_>) = stages.into_iter().unzip();
        let capabilities = combine(&facts)?;
        let count = links.len();
        let outboxes = links.into_iter().enumerate().map(|(index, link)| {
            Outbox::start(
                options.epoch,
                index,
                index + 1 == count,
                link,
                replies.monitor(),
            )
        });
        Ok(Self {
            capabilities,
            outboxes: outboxes.collect::<Result<_, _>>()?,
            options,
            replies,
            in_flight: VecDeque::new(),
            held: None,
        })
    }

    /// Keeps `guard` until the pipeline has been dropped.
    #[must_use]
    pub fn holding(mut self, guard: impl Send + 'static) -> Self {
        self.held = Some(Box::new(guard));
        self
    }

    fn broadcast(&self, item: impl Fn() -> Item) -> Result<(), ExecutorError> {
        let sent = self
            .outboxes
            .iter()
            .try_for_each(|outbox| outbox.send(item()));
        sent.map_err(|error| failed(&error))
    }

    fn command(&self, command: &Command) -> Result<(), ExecutorError> {
        self.broadcast(|| Item::Command(command.clone()))
    }

    /// The rows of an output, if they answer `pending`.
    fn check(&self, pending: &Pending, rows: Vec<RowResult>) -> Result<Vec<RowOutput>, String> {
        if rows.len() != pending.rows.len() {
            return Err(format!(
                "{} rows instead of {}",
                rows.len(),
                pending.rows.len()
            ));
        }
        let vocab_size = self.capabilities.vocab_size;
        let exists = |token: u32| (token as usize) < vocab_size;
        let checked = rows.into_iter().zip(&pending.rows).map(|(row, wanted)| {
            let (sequence, draws) = *wanted;
            let row = RowOutput::from(row);
            let fits = match &row.result {
                Ok(tokens) => {
                    tokens.len() == draws
                        && tokens.iter().all(|token| {
                            exists(token.token)
                                && token.top_logprobs.iter().all(|(t, _)| exists(*t))
                        })
                }
                Err(_) => true,
            };
            if row.sequence == sequence && fits {
                Ok(row)
            } else {
                Err(format!(
                    "a row for {:?} that was not asked for",
                    row.sequence
                ))
            }
        });
        checked.collect()
    }
}

fn failed(error: &ClusterError) -> ExecutorError {
    match error {
        ClusterError::Mismatch(_) | ClusterError::Wire(_) => {
            ExecutorError::Failed(error.to_string())
        }
        lost => ExecutorError::Lost(format!("a machine that ran this model is lost: {lost}")),
    }
}

/// What a chain of stages can do together.
fn combine(stages: &[Capabilities]) -> Result<Capabilities, ClusterError> {
    let mismatch = |reason: &str| ClusterError::Mismatch(reason.to_owned());
    let first = stages.first().ok_or_else(|| mismatch("there are none"))?;
    let mut all = Capabilities {
        name: "pipeline".to_owned(),
        max_steps_in_flight: stages.len(),
        stages: stages.len(),
        weight_bytes: 0,
        kv_bytes: 0,
        ..first.clone()
    };
    for stage in stages {
        if stage.block_size != all.block_size {
            return Err(mismatch("their KV blocks have different sizes"));
        }
        if stage.vocab_size != all.vocab_size {
            return Err(mismatch("their vocabularies have different sizes"));
        }
        all.num_blocks = all.num_blocks.min(stage.num_blocks);
        all.max_rows = all.max_rows.min(stage.max_rows);
        all.max_tokens = all.max_tokens.min(stage.max_tokens);
        all.max_positions = all.max_positions.min(stage.max_positions);
        all.batch_invariant &= stage.batch_invariant;
        all.weight_bytes += stage.weight_bytes;
        all.kv_bytes += stage.kv_bytes;
    }
    Ok(all)
}

impl Executor for PipelineExecutor {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError> {
        self.command(&Command::Open {
            sequence: sequence.0,
            sampling: spec.sampling.as_ref().into(),
            prompt: spec.prompt.to_vec(),
        })
    }

    fn fork(
        &mut self,
        parent: SequenceId,
        child: SequenceId,
        sampling: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError> {
        self.command(&Command::Fork {
            parent: parent.0,
            child: child.0,
            sampling: sampling.as_ref().into(),
        })
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError> {
        self.command(&Command::Truncate {
            sequence: sequence.0,
            len: len as u64,
        })
    }

    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError> {
        self.command(&Command::Close {
            sequence: sequence.0,
        })
    }

    fn submit(&mut self, step: Step) -> Result<(), ExecutorError> {
        let limit = self.capabilities.max_steps_in_flight;
        if self.in_flight.len() >= limit {
            return Err(ExecutorError::TooManySteps { limit });
        }
        let draws = |row: &atoll_engine::executor::Row| {
            let sample = row.sample.as_ref();
            (row.sequence, sample.map_or(0, |sample| sample.positions))
        };
        self.in_flight.push_back(Pending {
            id: step.id,
            epoch: step.epoch,
            rows: step.rows.iter().map(draws).collect(),
            submitted: Instant::now(),
        });
        let step = Arc::new(step);
        self.broadcast(|| Item::Step(Arc::clone(&step)))
    }

    fn ready(&mut self, wait: Duration) -> Result<bool, ExecutorError> {
        let Some(pending) = self.in_flight.front() else {
            return Ok(true);
        };
        let overdue = pending.submitted.elapsed() > self.options.step_deadline;
        Ok(self.replies.is_ready(self.options.silence, wait) || overdue)
    }

    fn complete(&mut self) -> Result<StepOutput, ExecutorError> {
        let pending = self.in_flight.pop_front().ok_or(ExecutorError::Idle)?;
        let deadline = pending.submitted + self.options.step_deadline;
        let output = self.replies.next(self.options.silence, deadline);
        let (step, rows) = output.map_err(|error| match error {
            ClusterError::Deadline { .. } => failed(&ClusterError::Deadline {
                after: self.options.step_deadline,
            }),
            other => failed(&other),
        })?;
        let rows = if step == pending.id.0 {
            self.check(&pending, rows)
        } else {
            Err(format!("step {step} instead of {}", pending.id.0))
        };
        let rows = rows.map_err(|reason| {
            let reason = format!("the last stage answered with {reason}");
            ExecutorError::Failed(reason)
        })?;
        Ok(StepOutput {
            id: pending.id,
            epoch: pending.epoch,
            rows,
        })
    }
}
