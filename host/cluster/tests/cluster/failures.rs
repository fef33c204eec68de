//! Stages that die, freeze or lie: the pipeline ends with an error that says which, and soon.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel as gate};
use std::time::{Duration, Instant};

use atoll_cluster::ClusterError;
use atoll_cluster::pipeline::PipelineOptions;
use atoll_cluster::wire::{
    self, Command, Commands, Hidden, Precision, Reply, ReplyBody, RowResult, Sampled,
};
use atoll_engine::executor::{
    Activations, BlockId, Capabilities, Executor, ExecutorError, Row, SampleRequest, SequenceId,
    SequenceSpec, StageExecutor, StageOutput, Step, StepId,
};
use atoll_engine::sampling::SamplingParams;

use crate::support::{Chain, EPOCH, PATIENCE, chain, chain_with, options, stages};

/// A stage that waits for a message before each step; it panics when the sender is gone.
struct Gated {
    stage: Box<dyn StageExecutor>,
    gate: Receiver<()>,
}

impl StageExecutor for Gated {
    fn capabilities(&self) -> &Capabilities {
        self.stage.capabilities()
    }
    fn hidden_size(&self) -> usize {
        self.stage.hidden_size()
    }
    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError> {
        self.stage.open(sequence, spec)
    }
    fn fork(
        &mut self,
        parent: SequenceId,
        child: SequenceId,
        sampling: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError> {
        self.stage.fork(parent, child, sampling)
    }
    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError> {
        self.stage.truncate(sequence, len)
    }
    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError> {
        self.stage.close(sequence)
    }
    fn run(
        &mut self,
        step: &Step,
        input: Option<&Activations>,
    ) -> Result<StageOutput, ExecutorError> {
        self.gate.recv().unwrap();
        self.stage.run(step, input)
    }
}

/// Three stages, the one at `index` gated.
fn gated(index: usize, options: PipelineOptions) -> (Chain, Sender<()>) {
    let (open, gate) = gate();
    let mut stages = stages(3, &crate::support::options(64));
    let stage = stages.remove(index);
    stages.insert(index, Box::new(Gated { stage, gate }));
    (chain_with(stages, Precision::F32, options), open)
}

fn patient() -> PipelineOptions {
    PipelineOptions {
        epoch: EPOCH,
        silence: PATIENCE,
        step_deadline: PATIENCE,
    }
}

fn open(chain: &mut Chain, sequence: u64) {
    let spec = SequenceSpec {
        sampling: Arc::default(),
        prompt: [1, 2, 3].into(),
    };
    chain.executor.open(SequenceId(sequence), spec).unwrap();
}

fn step(id: u64, start: usize, tokens: &[u32]) -> Step {
    Step {
        id: StepId(id),
        epoch: EPOCH,
        block_copies: Vec::new(),
        rows: vec![Row {
            sequence: SequenceId(1),
            start,
            tokens: tokens.to_vec(),
            block_table: vec![BlockId(0)],
            sample: Some(SampleRequest {
                positions: 1,
                mask: None,
            }),
        }],
    }
}

fn failure(chain: &mut Chain) -> String {
    match chain.executor.complete() {
        Err(ExecutorError::Failed(reason) | ExecutorError::Lost(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stage_that_breaks_says_so_and_is_named() {
    for index in 0..3 {
        let (mut chain, gate) = gated(index, patient());
        open(&mut chain, 1);
        gate.send(()).unwrap();
        chain.executor.submit(step(0, 0, &[1, 2, 3])).unwrap();
        assert!(chain.executor.complete().unwrap().rows[0].result.is_ok());
        drop(gate);
        chain.executor.submit(step(1, 3, &[4])).unwrap();
        // The thread panics, as a bug would make it: nobody is left to say anything but the silence.
        let started = Instant::now();
        let health = loop {
            if let Some(error) = chain.monitor.failure(Duration::from_millis(500)) {
                break error;
            }
            assert!(started.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(
            matches!(health, ClusterError::Silent { stage, .. } if stage == index),
            "{health}"
        );
        let reason = failure(&mut chain);
        assert!(reason.contains(&format!("stage {index}")), "{reason}");
    }
}

#[test]
fn a_stage_that_is_stuck_while_alive_meets_the_deadline() {
    let options = PipelineOptions {
        step_deadline: Duration::from_millis(300),
        ..patient()
    };
    let (mut chain, gate) = gated(1, options);
    open(&mut chain, 1);
    chain.executor.submit(step(0, 0, &[1, 2, 3])).unwrap();
    let reason = failure(&mut chain);
    assert!(reason.contains("no progress"), "{reason}");
    drop(gate);
}

#[test]
fn a_stage_that_fails_ends_the_pipeline_with_its_own_words() {
    // A sequence opened twice breaks the protocol.
    let mut chain = chain(stages(2, &options(64)), Precision::F32);
    open(&mut chain, 1);
    open(&mut chain, 1);
    chain.executor.submit(step(0, 0, &[1, 2, 3])).unwrap();
    let reason = failure(&mut chain);
    assert!(reason.contains("SequenceId(1)"), "{reason}");
}

#[test]
fn messages_of_another_epoch_change_nothing() {
    let mut chain = chain(stages(3, &options(64)), Precision::F32);
    open(&mut chain, 1);
    // Late commands, hidden states and outputs of the plan before.
    let close = Commands {
        epoch: EPOCH.0 - 1,
        commands: vec![Command::Close { sequence: 1 }],
    };
    for link in &chain.commands {
        link.send(wire::encode(&close).unwrap()).unwrap();
    }
    let hidden = Hidden {
        epoch: EPOCH.0 - 1,
        step: 0,
        activations: Activations::default(),
    };
    for link in &chain.hidden {
        link.send(hidden.encode(Precision::F32).unwrap()).unwrap();
    }
    let output = reply(EPOCH.0 - 1, 0, 1, 5);
    chain.replies.send(output).unwrap();
    chain.executor.submit(step(0, 0, &[1, 2, 3])).unwrap();
    let output = chain.executor.complete().unwrap();
    assert_eq!(output.id, StepId(0));
    assert!(output.rows[0].result.is_ok());
}

fn reply(epoch: u64, step: u64, sequence: u64, token: u32) -> Vec<u8> {
    let sampled = Sampled {
        token,
        logprob: None,
        top: Vec::new(),
    };
    let body = ReplyBody::Output {
        step,
        rows: vec![RowResult {
            sequence,
            result: Ok(vec![sampled]),
        }],
    };
    let stage = 2;
    wire::encode(&Reply { epoch, stage, body }).unwrap()
}

#[test]
fn outputs_that_answer_nothing_are_not_believed() {
    // A lying stage must not put a token that does not exist, or another sequence's, into an answer.
    let good = (EPOCH.0, 0, 1, 5);
    let lies = [
        (EPOCH.0, 9, 1, 5),
        (EPOCH.0, 0, 2, 5),
        (EPOCH.0, 0, 1, u32::MAX),
    ];
    for (epoch, id, sequence, token) in lies.into_iter().chain([good]) {
        let (mut chain, gate) = gated(0, patient());
        open(&mut chain, 1);
        chain.executor.submit(step(0, 0, &[1, 2, 3])).unwrap();
        chain
            .replies
            .send(reply(epoch, id, sequence, token))
            .unwrap();
        let output = chain.executor.complete();
        assert_eq!(output.is_ok(), (epoch, id, sequence, token) == good);
        drop(gate);
    }
}

#[test]
fn frames_that_are_not_messages_end_a_stage_and_not_the_process() {
    for frame in [Vec::new(), vec![1, 255, 255, 255, 255], vec![9, 0, 0]] {
        let mut chain = chain(stages(2, &options(64)), Precision::F32);
        open(&mut chain, 1);
        chain.hidden[0].send(frame).unwrap();
        chain.executor.submit(step(0, 0, &[1, 2, 3])).unwrap();
        let reason = failure(&mut chain);
        assert!(
            reason.contains("stage 1") && reason.contains("frame"),
            "{reason}"
        );
    }
}

#[test]
fn no_more_steps_than_stages_are_taken() {
    let (mut chain, gate) = gated(0, patient());
    open(&mut chain, 1);
    for id in 0..3 {
        chain.executor.submit(step(id, 0, &[1])).unwrap();
    }
    let refused = chain.executor.submit(step(3, 0, &[1]));
    assert_eq!(refused, Err(ExecutorError::TooManySteps { limit: 3 }));
    for id in 0..3 {
        gate.send(()).unwrap();
        assert_eq!(chain.executor.complete().unwrap().id, StepId(id));
    }
    assert_eq!(chain.executor.complete(), Err(ExecutorError::Idle));
}
