//! The fixtures, and driving an executor row by row.

use atoll_engine::executor::{
    BlockId, Epoch, Executor, Row, RowError, SampleRequest, SampledToken, SequenceId, SequenceSpec,
    Step, StepId, StepOutput, TokenId,
};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::sampling::SamplingParams;
use std::path::PathBuf;
use std::sync::Arc;

/// Every fixture of `tests/fixtures/models`.
pub const MODELS: [&str; 11] = [
    "llama-f32-tied",
    "llama-bf16-sharded",
    "mistral-f16-window",
    "qwen2-bf16",
    "qwen3-f16",
    "qwen3-q4-g32",
    "llama-q8-g64",
    "qwen2-q4-g128",
    "qwen3-moe-bf16",
    "qwen3-moe-q4-g32",
    "llama-q3-mixed",
];

/// Where a fixture is.
pub fn folder(model: &str) -> PathBuf {
    let crate_folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    crate_folder.join("../../tests/fixtures/models").join(model)
}

/// What a fixture's folder says it is.
pub fn opened(model: &str) -> (ModelSpec, Checkpoint) {
    let folder = folder(model);
    let checkpoint = Checkpoint::open(&folder).unwrap();
    (ModelSpec::read(&folder, &checkpoint).unwrap(), checkpoint)
}

/// Sampling that takes the likeliest token.
pub fn greedy() -> Arc<SamplingParams> {
    Arc::new(SamplingParams {
        temperature: 0.0,
        ..SamplingParams::default()
    })
}

/// Opens a sequence that is drawn from greedily.
pub fn open(executor: &mut impl Executor, sequence: u64, prompt: &[TokenId]) {
    open_with(executor, sequence, prompt, greedy());
}

/// Opens a sequence.
pub fn open_with(
    executor: &mut impl Executor,
    sequence: u64,
    prompt: &[TokenId],
    sampling: Arc<SamplingParams>,
) {
    let spec = SequenceSpec {
        sampling,
        prompt: prompt.into(),
    };
    executor.open(SequenceId(sequence), spec).unwrap();
}

/// A row that wants tokens after its last `positions` positions.
pub fn row(
    sequence: u64,
    start: usize,
    tokens: &[TokenId],
    blocks: &[u32],
    positions: usize,
) -> Row {
    Row {
        sequence: SequenceId(sequence),
        start,
        tokens: tokens.to_vec(),
        block_table: blocks.iter().map(|&block| BlockId(block)).collect(),
        sample: (positions > 0).then_some(SampleRequest {
            positions,
            mask: None,
        }),
    }
}

/// A step of these rows.
pub fn step(rows: Vec<Row>) -> Step {
    Step {
        id: StepId(0),
        epoch: Epoch(0),
        block_copies: Vec::new(),
        rows,
    }
}

/// Runs one step.
pub fn run(executor: &mut impl Executor, rows: Vec<Row>) -> StepOutput {
    executor.submit(step(rows)).unwrap();
    executor.complete().unwrap()
}

/// The results of a step, in row order.
pub fn results(
    executor: &mut impl Executor,
    rows: Vec<Row>,
) -> Vec<Result<Vec<SampledToken>, RowError>> {
    let output = run(executor, rows);
    output.rows.into_iter().map(|row| row.result).collect()
}

/// Feeds one row and returns the one token drawn.
pub fn draw(executor: &mut impl Executor, row: Row) -> TokenId {
    let results = results(executor, vec![row]);
    match results.as_slice() {
        [Ok(tokens)] if tokens.len() == 1 => tokens[0].token,
        other => panic!("not one token: {other:?}"),
    }
}

/// Bit patterns, so that comparisons are exact and NaN equals itself.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// `max |a - b| / max |b|`.
pub fn relative_error(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let error = a
        .iter()
        .zip(b)
        .fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    error / largest
}
