//! Memory that does not suffice. A process of its own: what is in use is counted over the whole process.
#![cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]

use atoll_engine::executor::{Executor, KvMemory, RowError, SampledToken};
use atoll_executor_mlx::{LoadError, MlxExecutor, MlxOptions};
use atoll_executor_tests::support::{open, opened, results, row};

fn load(memory: Option<u64>) -> Result<MlxExecutor, LoadError> {
    let (spec, checkpoint) = opened("llama-f32-tied");
    let options = MlxOptions {
        kv: KvMemory::Blocks(64),
        block_size: 16,
        memory,
        ..MlxOptions::default()
    };
    MlxExecutor::load(&spec, &checkpoint, &options)
}

type Outcome = Result<Vec<SampledToken>, RowError>;

/// A prompt of 100 tokens, then 5 more one by one.
fn talk(executor: &mut MlxExecutor, sequence: u64) -> Vec<Outcome> {
    let prompt: Vec<u32> = (0..100).map(|i| i * 7 % 250).collect();
    let blocks: Vec<u32> = (0..8).collect();
    open(executor, sequence, &prompt);
    let mut outcomes = results(executor, vec![row(sequence, 0, &prompt, &blocks, 1)]);
    for position in 100..105 {
        let Some(Ok(drawn)) = outcomes.last() else {
            break;
        };
        let next = [drawn[0].token];
        outcomes.extend(results(
            executor,
            vec![row(sequence, position, &next, &blocks, 1)],
        ));
    }
    outcomes
}

#[test]
fn a_row_runs_in_smaller_chunks_or_fails_alone_and_the_process_lives() {
    match load(Some(1000)).err() {
        Some(LoadError::OutOfMemory(reason)) => assert!(reason.contains("1000"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let (held, expected) = {
        let mut plenty = load(None).unwrap();
        let capabilities = plenty.capabilities();
        let held = capabilities.weight_bytes + capabilities.kv_bytes;
        (held, talk(&mut plenty, 1))
    };
    assert!(expected.iter().all(Result::is_ok) && expected.len() == 6);

    let mut refused = 0;
    let mut smallest = None;
    for more in [
        0,
        10_000,
        100_000,
        300_000,
        1_000_000,
        3_000_000,
        100_000_000,
    ] {
        let mut executor = load(Some(held + more)).unwrap();
        let outcomes = talk(&mut executor, 1);
        match outcomes.last() {
            Some(Err(RowError::OutOfMemory)) => {
                refused += 1;
                // It still answers, in kind.
                assert_eq!(talk(&mut executor, 2).last(), outcomes.last());
            }
            _ => {
                assert_eq!(outcomes, expected, "{more} bytes more");
                smallest.get_or_insert(more);
            }
        }
    }
    assert!(refused > 0, "nothing was refused");
    // The whole prompt at once takes more than this: it ran in pieces.
    let pieces = smallest.unwrap();
    assert!(pieces < 3_000_000, "only {pieces} bytes more were enough");
}
