//! Loading fixtures and driving an executor row by row.

use atoll_engine::executor::{
    BlockId, Epoch, Executor, Row, RowError, SampleRequest, SampledToken, SequenceId, SequenceSpec,
    Step, StepId, StepOutput, TokenId,
};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::sampling::SamplingParams;
use atoll_executor_cpu::{CpuExecutor, CpuOptions, KvMemory, KvType};
use std::path::PathBuf;
use std::sync::Arc;

/// Every fixture of `tests/fixtures/models`.
pub const MODELS: [&str; 8] = [
    "llama-f32-tied",
    "llama-bf16-sharded",
    "mistral-f16-window",
    "qwen2-bf16",
    "qwen3-f16",
    "qwen3-q4-g32",
    "llama-q8-g64",
    "qwen2-q4-g128",
];

pub fn folder(model: &str) -> PathBuf {
    let crate_folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    crate_folder.join("../../tests/fixtures/models").join(model)
}

/// Small blocks, two threads, 64 blocks, keys and values as computed.
pub fn options() -> CpuOptions {
    CpuOptions {
        threads: Some(2),
        kv: KvMemory::Blocks(64),
        kv_type: KvType::F32,
        block_size: 16,
        ..CpuOptions::default()
    }
}

pub fn load(model: &str, options: &CpuOptions) -> CpuExecutor {
    let folder = folder(model);
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let spec = ModelSpec::read(&folder, &checkpoint).unwrap();
    CpuExecutor::load(&spec, &checkpoint, options).unwrap()
}

pub fn greedy() -> Arc<SamplingParams> {
    Arc::new(SamplingParams {
        temperature: 0.0,
        ..SamplingParams::default()
    })
}

pub fn open(executor: &mut CpuExecutor, sequence: u64, prompt: &[TokenId]) {
    open_with(executor, sequence, prompt, greedy());
}

pub fn open_with(
    executor: &mut CpuExecutor,
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

pub fn step(rows: Vec<Row>) -> Step {
    Step {
        id: StepId(0),
        epoch: Epoch(0),
        block_copies: Vec::new(),
        rows,
    }
}

pub fn run(executor: &mut CpuExecutor, rows: Vec<Row>) -> StepOutput {
    executor.submit(step(rows)).unwrap();
    executor.complete().unwrap()
}

/// The results of a step, in row order.
pub fn results(
    executor: &mut CpuExecutor,
    rows: Vec<Row>,
) -> Vec<Result<Vec<SampledToken>, RowError>> {
    let output = run(executor, rows);
    output.rows.into_iter().map(|row| row.result).collect()
}

/// Feeds one row and returns the one token drawn.
pub fn draw(executor: &mut CpuExecutor, row: Row) -> TokenId {
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
