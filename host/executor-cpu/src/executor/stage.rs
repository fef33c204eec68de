//! [`CpuStage`]: a range of a model's layers behind the engine's stage trait.

use super::{Boundary, CpuExecutor, guarded};
use crate::{CpuOptions, LoadError};
use atoll_engine::executor::{
    Activations, Capabilities, Executor as _, ExecutorError, SequenceId, SequenceSpec,
    StageExecutor, StageOutput, Step, StepOutput,
};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::sampling::SamplingParams;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Some layers of one model on this machine's CPU. Kernels, pages and rules are the executor's own,
/// and so is every bit of the result: stages in a row compute what [`CpuExecutor`] computes.
pub struct CpuStage(CpuExecutor);

impl CpuStage {
    /// Loads `layers` of the model that `spec` describes, with the embedding if the first is among
    /// them, and the head if the last is. Other tensors of `checkpoint` are not read.
    ///
    /// # Errors
    /// [`LoadError`] names the tensor, option or file at fault.
    pub fn load(
        spec: &ModelSpec,
        layers: Range<usize>,
        checkpoint: &Checkpoint,
        options: &CpuOptions,
    ) -> Result<Self, LoadError> {
        CpuExecutor::load_range(spec, layers, checkpoint, options).map(Self)
    }

    /// Invented weights, those of [`CpuExecutor::synthetic`] with the same seed. For benchmarks and
    /// tests.
    ///
    /// # Errors
    /// [`LoadError`] as for [`CpuStage::load`].
    pub fn synthetic(
        spec: &ModelSpec,
        layers: Range<usize>,
        options: &CpuOptions,
        seed: u64,
    ) -> Result<Self, LoadError> {
        CpuExecutor::synthetic_range(spec, layers, options, seed).map(Self)
    }

    fn compute(
        &mut self,
        step: &Step,
        input: Option<&Activations>,
    ) -> Result<StageOutput, ExecutorError> {
        let mut verdicts = self.0.begin(step)?;
        let input = match input {
            None if self.0.model.weights.embedding.is_some() => None,
            Some(input) if self.0.model.weights.embedding.is_none() => Some(input),
            _ => {
                let reason = "hidden states go to every stage but the first";
                return Err(ExecutorError::Failed(reason.to_owned()));
            }
        };
        let hidden = match input {
            None => Cow::Borrowed(&[][..]),
            Some(input) => input.admit(step, self.0.model.hidden, &mut verdicts)?,
        };
        let mut boundary = Boundary {
            input: &hidden,
            output: Vec::new(),
        };
        let results = self.0.rows(step, verdicts, &mut boundary);
        Ok(match self.0.model.weights.end {
            Some(_) => StageOutput::Step(StepOutput::new(step, results)),
            None => StageOutput::Activations(Activations {
                rows: results.into_iter().map(|row| row.map(drop)).collect(),
                hidden: boundary.output,
            }),
        })
    }
}

impl StageExecutor for CpuStage {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn hidden_size(&self) -> usize {
        self.0.model.hidden
    }

    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError> {
        self.0.open(sequence, spec)
    }

    fn fork(
        &mut self,
        parent: SequenceId,
        child: SequenceId,
        sampling: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError> {
        self.0.fork(parent, child, sampling)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError> {
        self.0.truncate(sequence, len)
    }

    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError> {
        self.0.close(sequence)
    }

    fn run(
        &mut self,
        step: &Step,
        input: Option<&Activations>,
    ) -> Result<StageOutput, ExecutorError> {
        guarded(|| self.compute(step, input))
    }
}
