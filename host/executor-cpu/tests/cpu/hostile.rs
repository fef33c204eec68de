//! Limits and options of this executor.

use crate::support::{load, options};
use atoll_executor_cpu::{CpuExecutor, CpuOptions, KvMemory, LoadError};
use atoll_executor_tests::support::{open, opened, results, row};

const PROMPT: [u32; 5] = [1, 2, 3, 4, 5];

#[test]
fn limits_of_a_step_hold() {
    let options = CpuOptions {
        max_rows: 2,
        max_tokens: 8,
        ..options()
    };
    let mut executor = load("llama-f32-tied", &options);
    for sequence in 0..3 {
        open(&mut executor, sequence, &PROMPT);
    }
    let rows = |count| (0..count).map(|i| row(i, 0, &PROMPT[..2], &[i as u32], 1));
    let ok: Vec<bool> = results(&mut executor, rows(3).collect())
        .iter()
        .map(Result::is_ok)
        .collect();
    assert_eq!(ok, [true, true, false]);
    let wide = (0..2).map(|i| row(i, 0, &PROMPT, &[i as u32], 1));
    let ok: Vec<bool> = results(&mut executor, wide.collect())
        .iter()
        .map(Result::is_ok)
        .collect();
    assert_eq!(ok, [true, false]);
}

#[test]
fn options_out_of_range_are_refused() {
    let (spec, checkpoint) = opened("llama-f32-tied");
    type Change<'a> = (&'a str, &'a dyn Fn(&mut CpuOptions));
    let changes: [Change<'_>; 9] = [
        ("threads", &|o| o.threads = Some(0)),
        ("threads", &|o| o.threads = Some(usize::MAX)),
        ("block_size", &|o| o.block_size = 0),
        ("block_size", &|o| o.block_size = 24),
        ("max_tokens", &|o| o.max_tokens = 0),
        ("max_rows", &|o| o.max_rows = 0),
        ("kv", &|o| o.kv = KvMemory::Bytes(100)),
        ("kv", &|o| o.kv = KvMemory::Blocks(usize::MAX)),
        ("kernels", &|o| o.kernels = Some("mmx".to_owned())),
    ];
    for (name, change) in changes {
        let mut options = options();
        change(&mut options);
        match CpuExecutor::load(&spec, &checkpoint, &options) {
            Err(LoadError::Option { name: found, .. }) => assert_eq!(found, name),
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name} was accepted"),
        }
    }
}
