//! A stage that takes a stated time and computes nothing, so that what is measured is everything else.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_cluster::members::ExecutorFacts;
use atoll_cluster::node::{Offer, StageLoader};
use atoll_cluster::wire::call::StageOrder;
use atoll_engine::executor::{
    Activations, Capabilities, ExecutorError, RowOutput, SampledToken, SequenceId, SequenceSpec,
    StageExecutor, StageOutput, Step, StepOutput,
};
use atoll_engine::sampling::SamplingParams;

/// Layers of the invented model.
pub const LAYERS: usize = 8;

/// What a stage of it does.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Numbers per token between stages.
    pub hidden: usize,
    /// Time of one layer for one row.
    pub layer: Duration,
}

pub struct Loader(pub Shape);

impl StageLoader for Loader {
    fn offer(&self) -> Offer {
        Offer {
            bytes: Some(1 << 40),
            models: vec!["synthetic".to_owned()],
            serving: Vec::new(),
            executors: vec![ExecutorFacts::default()],
        }
    }

    fn fingerprint(&self, _: &str) -> Result<String, String> {
        Ok("synthetic".to_owned())
    }

    fn load(&self, order: &StageOrder) -> Result<Box<dyn StageExecutor>, String> {
        Ok(Box::new(Stage {
            shape: self.0,
            layers: order.end - order.first,
            first: order.first == 0,
            last: order.end as usize == LAYERS,
            open: HashSet::new(),
            capabilities: Capabilities {
                name: "synthetic".to_owned(),
                block_size: order.block_size as usize,
                num_blocks: order.num_blocks as usize,
                max_steps_in_flight: 1,
                stages: 1,
                max_rows: 64,
                max_tokens: 512,
                max_positions: 4096,
                vocab_size: 64,
                batch_invariant: true,
                weight_bytes: 0,
                kv_bytes: 0,
            },
        }))
    }
}

/// Takes `time` as something does that computes: it is not late because the system wakes it late.
fn work(time: Duration) {
    const LATE: Duration = Duration::from_micros(200);
    let end = Instant::now() + time;
    if let Some(coarse) = time.checked_sub(LATE) {
        std::thread::sleep(coarse);
    }
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

struct Stage {
    shape: Shape,
    layers: u32,
    first: bool,
    last: bool,
    open: HashSet<SequenceId>,
    capabilities: Capabilities,
}

impl StageExecutor for Stage {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn hidden_size(&self) -> usize {
        self.shape.hidden
    }

    fn open(&mut self, sequence: SequenceId, _: SequenceSpec) -> Result<(), ExecutorError> {
        self.open.insert(sequence);
        Ok(())
    }

    fn fork(
        &mut self,
        _: SequenceId,
        child: SequenceId,
        _: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError> {
        self.open.insert(child);
        Ok(())
    }

    fn truncate(&mut self, _: SequenceId, _: usize) -> Result<(), ExecutorError> {
        Ok(())
    }

    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError> {
        self.open.remove(&sequence);
        Ok(())
    }

    fn run(
        &mut self,
        step: &Step,
        input: Option<&Activations>,
    ) -> Result<StageOutput, ExecutorError> {
        if self.first != input.is_none() {
            return Err(ExecutorError::Failed(
                "hidden states out of place".to_owned(),
            ));
        }
        let tokens: usize = step.rows.iter().map(|row| row.tokens.len()).sum();
        let time = self.shape.layer * self.layers * step.rows.len() as u32;
        work(time);
        if !self.last {
            return Ok(StageOutput::Activations(Activations {
                rows: vec![Ok(()); step.rows.len()],
                hidden: vec![0.5; tokens * self.shape.hidden],
            }));
        }
        let rows = step.rows.iter().map(|row| {
            let drawn = row.sample.as_ref().map_or(0, |sample| sample.positions);
            let token = SampledToken {
                token: 1,
                logprob: None,
                top_logprobs: Vec::new(),
            };
            RowOutput {
                sequence: row.sequence,
                result: Ok(vec![token; drawn]),
            }
        });
        Ok(StageOutput::Step(StepOutput {
            id: step.id,
            epoch: step.epoch,
            rows: rows.collect(),
        }))
    }
}
