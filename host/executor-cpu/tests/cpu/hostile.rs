//! Rows, steps and files that break the rules.

use crate::support::{draw, folder, load, open, options, results, row, step};
use atoll_engine::executor::{
    BlockCopy, BlockId, Executor, ExecutorError, Row, RowError, SequenceId, TokenMask,
};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_executor_cpu::{CpuExecutor, CpuOptions, KvMemory, LoadError};
use std::path::Path;
use std::sync::Arc;

const PROMPT: [u32; 5] = [1, 2, 3, 4, 5];

/// Every kind of bad row, each with what makes it bad.
fn bad_rows() -> Vec<(&'static str, Row)> {
    let good = || row(2, 0, &PROMPT, &[7], 1);
    let with = |change: &dyn Fn(&mut Row)| {
        let mut row = good();
        change(&mut row);
        row
    };
    vec![
        ("no tokens", with(&|r| r.tokens.clear())),
        ("token outside the vocabulary", with(&|r| r.tokens[4] = 259)),
        ("the largest token", with(&|r| r.tokens[0] = u32::MAX)),
        (
            "block that does not exist",
            with(&|r| r.block_table = vec![BlockId(64)]),
        ),
        (
            "the largest block",
            with(&|r| r.block_table = vec![BlockId(u32::MAX)]),
        ),
        ("no blocks", with(&|r| r.block_table.clear())),
        ("too few blocks", with(&|r| r.tokens = vec![1; 17])),
        (
            "a block twice",
            with(&|r| {
                r.tokens = vec![1; 20];
                r.block_table = vec![BlockId(7), BlockId(7)];
            }),
        ),
        ("starts after what is known", with(&|r| r.start = 6)),
        ("the largest start", with(&|r| r.start = usize::MAX)),
        ("unknown sequence", with(&|r| r.sequence = SequenceId(99))),
        (
            "too long",
            with(&|r| {
                r.tokens = vec![1; 513];
                r.block_table = (0..33).map(BlockId).collect();
            }),
        ),
        (
            "samples nothing",
            with(&|r| {
                if let Some(sample) = &mut r.sample {
                    sample.positions = 0;
                }
            }),
        ),
        (
            "samples more than it feeds",
            with(&|r| {
                if let Some(sample) = &mut r.sample {
                    sample.positions = 6;
                }
            }),
        ),
        (
            "masks several positions",
            with(&|r| {
                if let Some(sample) = &mut r.sample {
                    sample.positions = 2;
                    sample.mask = Some(Arc::new(TokenMask::from_words(vec![u32::MAX; 9])));
                }
            }),
        ),
        (
            "writes its neighbour's block",
            with(&|r| r.block_table = vec![BlockId(3)]),
        ),
        (
            "second row of its neighbour",
            with(&|r| r.sequence = SequenceId(1)),
        ),
    ]
}

#[test]
fn a_bad_row_fails_alone() {
    let mut executor = load("qwen3-q4-g32", &options());
    open(&mut executor, 1, &PROMPT);
    open(&mut executor, 2, &PROMPT);
    let expected = draw(&mut executor, row(1, 0, &PROMPT, &[3], 1));
    for (what, bad) in bad_rows() {
        let results = results(&mut executor, vec![row(1, 0, &PROMPT, &[3], 1), bad]);
        assert_eq!(results[0].as_ref().unwrap()[0].token, expected, "{what}");
        assert!(matches!(results[1], Err(RowError::Invalid(_))), "{what}");
    }
    // The sequence is still usable.
    assert_eq!(draw(&mut executor, row(2, 0, &PROMPT, &[7], 1)), expected);
}

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
fn a_bad_block_copy_fails_the_step_and_not_the_process() {
    let mut executor = load("llama-f32-tied", &options());
    for (from, to) in [(64, 0), (0, 64), (u32::MAX, 1)] {
        let mut step = step(vec![]);
        step.block_copies = vec![BlockCopy {
            from: BlockId(from),
            to: BlockId(to),
        }];
        executor.submit(step).unwrap();
        assert!(matches!(executor.complete(), Err(ExecutorError::Failed(_))));
    }
    open(&mut executor, 1, &PROMPT);
    draw(&mut executor, row(1, 0, &PROMPT, &[3], 1));
}

/// A copy of a fixture that can be damaged.
fn copy(model: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder(model)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn try_load(folder: &Path) -> Result<CpuExecutor, LoadError> {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let spec = ModelSpec::read(folder, &checkpoint).unwrap();
    CpuExecutor::load(&spec, &checkpoint, &options())
}

#[test]
fn broken_weights_are_the_rows_error() {
    // (model, tensor, the bytes of NaN in its type)
    for (model, tensor, nan) in [
        (
            "llama-f32-tied",
            "model.norm.weight",
            &[0, 0, 0xc0, 0x7f][..],
        ),
        (
            "qwen3-q4-g32",
            "model.layers.1.input_layernorm.weight",
            &[0xc0, 0x7f],
        ),
        (
            "llama-q8-g64",
            "model.layers.0.mlp.up_proj.scales",
            &[0, 0x7e],
        ),
    ] {
        let folder = copy(model);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let entry = checkpoint.get(tensor).unwrap();
        let file = &checkpoint.files()[entry.file].path;
        let mut bytes = std::fs::read(file).unwrap();
        let at = entry.offset as usize;
        bytes[at..at + nan.len()].copy_from_slice(nan);
        std::fs::write(file, bytes).unwrap();
        let mut executor = try_load(folder.path()).unwrap();
        open(&mut executor, 1, &PROMPT);
        let results = results(&mut executor, vec![row(1, 0, &PROMPT, &[3], 1)]);
        assert_eq!(results[0], Err(RowError::NotFinite), "{model}");
    }
}

#[test]
fn a_file_that_shrank_is_refused() {
    let folder = copy("llama-f32-tied");
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let spec = ModelSpec::read(folder.path(), &checkpoint).unwrap();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 100, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        assert!(
            CpuExecutor::load(&spec, &checkpoint, &options()).is_err(),
            "{keep}"
        );
    }
    std::fs::remove_file(&path).unwrap();
    let gone = CpuExecutor::load(&spec, &checkpoint, &options());
    assert!(matches!(gone, Err(LoadError::Map { .. })));
}

#[test]
fn another_models_description_is_refused() {
    let folder = folder("llama-f32-tied");
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let good = ModelSpec::read(&folder, &checkpoint).unwrap();
    let changes: [&dyn Fn(&mut ModelSpec); 5] = [
        &|spec| spec.embedding.name = "model.nothing".to_owned(),
        &|spec| spec.embedding.out_features += 1,
        &|spec| spec.hidden_size = 32,
        &|spec| spec.vocab_size = 1_000_000,
        &|spec| spec.rope.inverse_frequencies.clear(),
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut spec = good.clone();
        change(&mut spec);
        let result = CpuExecutor::load(&spec, &checkpoint, &options());
        assert!(result.is_err(), "change {i}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let folder = folder("llama-f32-tied");
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let spec = ModelSpec::read(&folder, &checkpoint).unwrap();
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
