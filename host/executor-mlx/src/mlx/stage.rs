//! [`MlxStage`]: a range of a model's layers behind the engine's stage trait.

use std::ops::Range;
use std::sync::Arc;

use atoll_engine::executor::{
    Activations, Capabilities, Executor as _, ExecutorError, SequenceId, SequenceSpec,
    StageExecutor, StageOutput, Step, StepOutput,
};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::sampling::SamplingParams;

use super::executor::MlxExecutor;
use super::worker::receive;
use crate::{LoadError, MlxOptions};

/// Some layers of one model on MLX's device.
pub struct MlxStage(MlxExecutor);

impl MlxStage {
    /// Loads `layers` of the model that `spec` describes, with the embedding if the first is among
    /// them, and the head if the last is. Other tensors of `checkpoint` are not read.
    ///
    /// # Errors
    /// [`LoadError`] names the tensor, option or file at fault.
    pub fn load(
        spec: &ModelSpec,
        layers: Range<usize>,
        checkpoint: &Checkpoint,
        options: &MlxOptions,
    ) -> Result<Self, LoadError> {
        MlxExecutor::load_range(spec, layers, checkpoint, options).map(Self)
    }
}

impl StageExecutor for MlxStage {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn hidden_size(&self) -> usize {
        self.0.hidden_size
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
        let (first, last) = self.0.ends;
        let hidden_size = self.0.hidden_size;
        let input = match input {
            None if first => None,
            Some(input) if !first => Some(input),
            _ => {
                let reason = "hidden states go to every stage but the first";
                return Err(ExecutorError::Failed(reason.to_owned()));
            }
        };
        let started = self.0.start(step, |verdicts| match input {
            None => Ok(Vec::new()),
            Some(input) => input.admit(step, hidden_size, verdicts).map(Vec::from),
        })?;
        let (results, leaving) = receive(&started)?;
        Ok(if last {
            StageOutput::Step(StepOutput::new(step, results))
        } else {
            StageOutput::Activations(Activations {
                rows: results.into_iter().map(|row| row.map(drop)).collect(),
                hidden: leaving,
            })
        })
    }
}
