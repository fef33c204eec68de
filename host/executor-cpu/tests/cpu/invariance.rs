//! The hard promise: a row's result depends on its own tokens alone, bit for bit.

use crate::support::{load, options};
use atoll_engine::executor::{Executor, SampledToken, SequenceId};
use atoll_engine::sampling::SamplingParams;
use atoll_executor_cpu::{CpuExecutor, CpuOptions, KvType};
use atoll_executor_tests::support::{
    MODELS, bits, open, open_with, relative_error, results, row, run,
};
use proptest::prelude::*;
use std::sync::Arc;

/// A prompt without a pattern.
fn prompt(len: usize, seed: usize) -> Vec<u32> {
    (0..len)
        .map(|i| ((i * i * 31 + i * 7 + seed * 101) % 259) as u32)
        .collect()
}

const BLOCKS: [u32; 8] = [5, 1, 40, 7, 33, 2, 60, 11];

/// Logits of every position, fed in chunks of the given sizes (the last takes the rest).
fn chunked(executor: &mut CpuExecutor, tokens: &[u32], sizes: &[usize]) -> Vec<f32> {
    let sequence = 77;
    open(executor, sequence, tokens);
    let mut all = Vec::new();
    let mut start = 0;
    let mut sizes = sizes.iter();
    while start < tokens.len() {
        let rest = tokens.len() - start;
        let count = sizes.next().map_or(rest, |&size| size.clamp(1, rest));
        let part = &tokens[start..start + count];
        let row = row(sequence, start, part, &BLOCKS, count);
        all.extend(executor.logits(&row).unwrap());
        start += count;
    }
    executor.close(SequenceId(sequence)).unwrap();
    all
}

#[test]
fn whole_chunked_and_one_by_one_are_the_same_bits() {
    for model in MODELS {
        for kernels in CpuExecutor::kernel_names() {
            let options = CpuOptions {
                kernels: Some(kernels.to_owned()),
                ..options()
            };
            let mut executor = load(model, &options);
            let tokens = prompt(61, 1);
            let whole = bits(&chunked(&mut executor, &tokens, &[]));
            let one_by_one = bits(&chunked(&mut executor, &tokens, &[1; 61]));
            assert!(whole == one_by_one, "{model} {kernels}");
            let odd = bits(&chunked(&mut executor, &tokens, &[3, 17, 1, 16, 9]));
            assert!(whole == odd, "{model} {kernels}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_cut_gives_the_same_bits(
        model in prop::sample::select(&["mistral-f16-window", "qwen3-q4-g32", "llama-q8-g64"][..]),
        cuts in prop::collection::vec(1_usize..40, 0..6),
        len in 1_usize..110,
    ) {
        let mut executor = load(model, &options());
        let tokens = prompt(len, 2);
        let whole = bits(&chunked(&mut executor, &tokens, &[]));
        prop_assert!(whole == bits(&chunked(&mut executor, &tokens, &cuts)));
    }
}

#[test]
fn the_number_of_threads_and_the_size_of_chunks_change_nothing() {
    for model in ["llama-bf16-sharded", "qwen3-q4-g32"] {
        // Longer than the executor's own chunks.
        let tokens = prompt(128 + 61, 3);
        let blocks: Vec<u32> = (0..12).collect();
        let mut seen: Option<Vec<u32>> = None;
        for (threads, max_tokens) in [(1, 512), (2, 512), (3, 512), (5, 200), (2, 189)] {
            let options = CpuOptions {
                threads: Some(threads),
                max_tokens,
                ..options()
            };
            let mut executor = load(model, &options);
            open(&mut executor, 1, &tokens);
            let row = row(1, 0, &tokens, &blocks, 150);
            let logits = bits(&executor.logits(&row).unwrap());
            assert_eq!(logits.len(), 150 * 259);
            let first = seen.get_or_insert_with(|| logits.clone());
            assert!(*first == logits, "{model} with {threads} threads");
        }
    }
}

#[test]
fn where_the_blocks_are_changes_nothing() {
    let tokens = prompt(50, 4);
    let mut executor = load("qwen2-bf16", &options());
    let mut logits = Vec::new();
    for (sequence, blocks) in [[0, 1, 2, 3], [63, 4, 30, 9]].iter().enumerate() {
        open(&mut executor, sequence as u64, &tokens);
        let row = row(sequence as u64, 0, &tokens, blocks, 1);
        logits.push(bits(&executor.logits(&row).unwrap()));
    }
    assert_eq!(logits[0], logits[1]);
}

#[test]
fn other_block_sizes_change_nothing() {
    let tokens = prompt(90, 4);
    let mut logits = Vec::new();
    for block_size in [16, 32, 48, 128] {
        let options = CpuOptions {
            block_size,
            ..options()
        };
        let mut executor = load("mistral-f16-window", &options);
        open(&mut executor, 1, &tokens);
        let row = row(1, 0, &tokens, &BLOCKS, 1);
        logits.push(bits(&executor.logits(&row).unwrap()));
    }
    assert!(logits.windows(2).all(|pair| pair[0] == pair[1]));
}

/// Reports its twenty most likely tokens, so that results can be compared in numbers.
fn reporting(seed: u64) -> Arc<SamplingParams> {
    Arc::new(SamplingParams {
        temperature: 0.8,
        top_k: Some(50),
        repetition_penalty: 1.1,
        seed,
        logprobs: Some(20),
        ..SamplingParams::default()
    })
}

/// One sequence's part of the mixed batch.
struct Job {
    tokens: Vec<u32>,
    /// Fed before the step under test.
    before: usize,
    blocks: [u32; 8],
    positions: usize,
}

fn jobs() -> Vec<Job> {
    let block = |sequence: u32| std::array::from_fn(|i| sequence * 8 + i as u32);
    [
        (20, 19, 1),
        (64, 0, 1),
        (33, 30, 3),
        (100, 37, 1),
        (1, 0, 1),
        (50, 0, 0),
        (40, 39, 1),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (len, before, positions))| Job {
        tokens: prompt(len, i + 10),
        before,
        blocks: block(i as u32),
        positions,
    })
    .collect()
}

fn prepare(executor: &mut CpuExecutor, sequence: u64, job: &Job) {
    open_with(executor, sequence, &job.tokens, reporting(sequence));
    if job.before > 0 {
        let row = row(sequence, 0, &job.tokens[..job.before], &job.blocks, 0);
        run(executor, vec![row]);
    }
}

fn step_row(sequence: u64, job: &Job) -> atoll_engine::executor::Row {
    let tokens = &job.tokens[job.before..];
    row(sequence, job.before, tokens, &job.blocks, job.positions)
}

/// Token, bits of its log probability, and the same for the alternatives.
type Exact = (u32, Option<u32>, Vec<(u32, u32)>);

fn exact(tokens: &[SampledToken]) -> Vec<Exact> {
    tokens
        .iter()
        .map(|t| {
            let top = t.top_logprobs.iter().map(|(t, p)| (*t, p.to_bits()));
            (t.token, t.logprob.map(f32::to_bits), top.collect())
        })
        .collect()
}

#[test]
fn a_mixed_batch_gives_every_row_what_it_gets_alone() {
    for model in ["llama-f32-tied", "qwen3-q4-g32", "mistral-f16-window"] {
        let jobs = jobs();
        let mut executor = load(model, &options());
        for (sequence, job) in jobs.iter().enumerate() {
            prepare(&mut executor, sequence as u64, job);
        }
        let rows = jobs
            .iter()
            .enumerate()
            .map(|(i, job)| step_row(i as u64, job));
        let together = results(&mut executor, rows.collect());
        for (i, (job, together)) in jobs.iter().zip(together).enumerate() {
            let mut executor = load(model, &options());
            prepare(&mut executor, i as u64, job);
            let alone = results(&mut executor, vec![step_row(i as u64, job)]);
            let (alone, together) = (alone[0].as_ref().unwrap(), together.unwrap());
            assert_eq!(alone.len(), job.positions);
            assert_eq!(exact(alone), exact(&together), "{model} row {i}");
        }
    }
}

#[test]
fn smaller_caches_are_close_and_just_as_invariant() {
    let tokens = prompt(61, 5);
    let reference = chunked(&mut load("qwen3-f16", &options()), &tokens, &[]);
    for (kv_type, bound) in [(KvType::F16, 3e-3), (KvType::Bf16, 3e-2)] {
        let options = CpuOptions {
            kv_type,
            ..options()
        };
        let mut executor = load("qwen3-f16", &options);
        let whole = chunked(&mut executor, &tokens, &[]);
        let error = relative_error(&whole, &reference);
        assert!(error > 0.0 && error < bound, "{kv_type:?}: {error}");
        let cut = chunked(&mut executor, &tokens, &[7, 30, 1]);
        assert!(bits(&whole) == bits(&cut), "{kv_type:?}");
    }
}

#[test]
fn instruction_sets_agree_within_rounding() {
    for model in MODELS {
        let tokens = prompt(40, 6);
        let portable = CpuOptions {
            kernels: Some("portable".to_owned()),
            ..options()
        };
        let a = chunked(&mut load(model, &options()), &tokens, &[]);
        let b = chunked(&mut load(model, &portable), &tokens, &[]);
        let error = relative_error(&a, &b);
        // Quantised activations may round to the neighbouring integer.
        let bound = if model.contains("-q") { 3e-4 } else { 1e-5 };
        assert!(error < bound, "{model}: {error}");
    }
}
