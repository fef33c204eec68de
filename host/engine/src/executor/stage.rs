//! [`StageExecutor`]: a part of a model, from which a pipeline is made.
//!
//! A stage holds a contiguous range of layers and, under the scheduler's block ids, its own layers'
//! pages. It is the same contract as [`Executor`](super::Executor), cut where the layers are: every
//! stage sees every sequence call and every step, in one order, so each can check a row by the same
//! rules; what passes from one to the next is the residual stream. The first stage reads tokens, the
//! last has the head and draws.
//!
//! A stage computes when it is called and holds one step at a time. That several stages work at once
//! is the business of whoever drives them, one thread each.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Capabilities, ExecutorError, RowError, SequenceId, SequenceSpec, Step, StepOutput};
use crate::sampling::SamplingParams;

/// The residual stream of one step between two stages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Activations {
    /// One entry per row of the step, in its order: whether it is still in the running.
    pub rows: Vec<Result<(), RowError>>,
    /// The hidden states of all rows that are, token after token, each
    /// [`StageExecutor::hidden_size`] numbers.
    pub hidden: Vec<f32>,
}

impl Activations {
    /// Joins what the stage before says of each row of `step` with this stage's own verdicts. Returns
    /// the hidden states of the rows that run.
    ///
    /// # Errors
    /// [`ExecutorError::Failed`] if these are not hidden states of this step: they may come from
    /// another machine.
    pub fn admit<'a>(
        &'a self,
        step: &Step,
        hidden_size: usize,
        verdicts: &mut [Result<(), RowError>],
    ) -> Result<Cow<'a, [f32]>, ExecutorError> {
        let arriving = step.rows.iter().zip(&self.rows);
        let tokens: usize = arriving
            .filter(|(_, before)| before.is_ok())
            .map(|(row, _)| row.tokens.len())
            .sum();
        if self.rows.len() != step.rows.len()
            || tokens.checked_mul(hidden_size) != Some(self.hidden.len())
        {
            let reason = "the hidden states do not fit the step";
            return Err(ExecutorError::Failed(reason.to_owned()));
        }
        let mut left_out = false;
        for (verdict, before) in verdicts.iter_mut().zip(&self.rows) {
            match before {
                Err(error) => *verdict = Err(error.clone()),
                Ok(()) => left_out |= verdict.is_err(),
            }
        }
        if !left_out {
            return Ok(Cow::Borrowed(&self.hidden));
        }
        // A row that only this stage refuses: its hidden states are in the way.
        let mut kept = Vec::with_capacity(self.hidden.len());
        let mut rest = self.hidden.as_slice();
        for ((row, before), verdict) in step.rows.iter().zip(&self.rows).zip(verdicts) {
            if before.is_ok() {
                let (of_row, after) = rest.split_at(row.tokens.len() * hidden_size);
                rest = after;
                if verdict.is_ok() {
                    kept.extend_from_slice(of_row);
                }
            }
        }
        Ok(Cow::Owned(kept))
    }
}

/// What a stage makes of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StageOutput {
    /// For the next stage.
    Activations(Activations),
    /// From the last stage: for the engine.
    Step(StepOutput),
}

/// Runs a range of a model's layers. See the [module documentation](self); the sequence calls are
/// those of [`Executor`](super::Executor), word for word.
pub trait StageExecutor: Send {
    /// Fixed facts about this stage. Its `max_steps_in_flight` is 1, and its bytes are its own.
    fn capabilities(&self) -> &Capabilities;

    /// Numbers per token between stages.
    fn hidden_size(&self) -> usize;

    /// Makes `sequence` known.
    ///
    /// # Errors
    /// [`ExecutorError::Sequence`] if it is already open.
    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError>;

    /// Makes `child` known with `parent`'s history so far.
    ///
    /// # Errors
    /// [`ExecutorError::Sequence`] if the parent is not open or the child is.
    fn fork(
        &mut self,
        parent: SequenceId,
        child: SequenceId,
        sampling: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError>;

    /// Forgets everything at positions `len..` of `sequence`.
    ///
    /// # Errors
    /// [`ExecutorError::Sequence`] if it is not open.
    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError>;

    /// Forgets `sequence`.
    ///
    /// # Errors
    /// [`ExecutorError::Sequence`] if it is not open.
    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError>;

    /// Runs one step. `input` is what the stage before made of the same step; `None` for the first
    /// stage. A row that failed before stays failed.
    ///
    /// # Errors
    /// [`ExecutorError::Failed`] if `input` does not fit the step, and device failures. A row that
    /// breaks a rule fails alone.
    fn run(
        &mut self,
        step: &Step,
        input: Option<&Activations>,
    ) -> Result<StageOutput, ExecutorError>;
}
