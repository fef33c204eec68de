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
