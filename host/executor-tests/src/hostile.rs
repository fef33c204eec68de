//! Rows, steps and files that break the rules.

use crate::Rig;
use crate::support::{draw, folder, open, opened, results, row, step};
use atoll_engine::executor::{
    BlockCopy, BlockId, Executor, ExecutorError, Row, RowError, SequenceId, TokenMask,
};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// A bad row fails alone.
pub fn a_bad_row_fails_alone(rig: &impl Rig) {
    let mut executor = rig.load("qwen3-q4-g32");
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

/// A bad block copy fails the step and not the process.
pub fn a_bad_block_copy_fails_the_step_and_not_the_process(rig: &impl Rig) {
    let mut executor = rig.load("llama-f32-tied");
    for (from, to) in [(64, 0), (0, 64), (u32::MAX, 1)] {
        let mut step = step(vec![]);
        step.block_copies = vec![BlockCopy {
            from: BlockId(from),
            to: BlockId(to),
        }];
        // At once or when it is computed.
        let outcome = executor.submit(step).and_then(|()| executor.complete());
        assert!(matches!(outcome, Err(ExecutorError::Failed(_))));
    }
    open(&mut executor, 1, &PROMPT);
    draw(&mut executor, row(1, 0, &PROMPT, &[3], 1));
}

/// A copy of a fixture that can be damaged.
struct Copy(std::path::PathBuf);

impl Copy {
    fn of(model: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("atoll-{}-{number}", std::process::id());
        let copy = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&copy).unwrap();
        for entry in std::fs::read_dir(folder(model)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        Self(copy)
    }

    fn read(&self) -> (ModelSpec, Checkpoint) {
        let checkpoint = Checkpoint::open(&self.0).unwrap();
        (ModelSpec::read(&self.0, &checkpoint).unwrap(), checkpoint)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Only a temporary folder is left behind if this fails.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Broken weights are the rows error.
pub fn broken_weights_are_the_rows_error(rig: &impl Rig) {
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
        let copy = Copy::of(model);
        let (spec, checkpoint) = copy.read();
        let entry = checkpoint.get(tensor).unwrap();
        let file = &checkpoint.files()[entry.file].path;
        let mut bytes = std::fs::read(file).unwrap();
        let at = entry.offset as usize;
        bytes[at..at + nan.len()].copy_from_slice(nan);
        std::fs::write(file, bytes).unwrap();
        let mut executor = rig.try_load(&spec, &checkpoint).unwrap();
        open(&mut executor, 1, &PROMPT);
        let results = results(&mut executor, vec![row(1, 0, &PROMPT, &[3], 1)]);
        assert_eq!(results[0], Err(RowError::NotFinite), "{model}");
    }
}

/// A file that shrank is refused.
pub fn a_file_that_shrank_is_refused(rig: &impl Rig) {
    let copy = Copy::of("llama-f32-tied");
    let (spec, checkpoint) = copy.read();
    let path = copy.0.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 100, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        assert!(rig.try_load(&spec, &checkpoint).is_err(), "{keep}");
    }
    std::fs::remove_file(&path).unwrap();
    let gone = rig.try_load(&spec, &checkpoint).err().unwrap_or_default();
    assert!(gone.contains("model.safetensors"), "{gone}");
}

/// Another models description is refused.
pub fn another_models_description_is_refused(rig: &impl Rig) {
    let (good, checkpoint) = opened("llama-f32-tied");
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
        assert!(rig.try_load(&spec, &checkpoint).is_err(), "change {i}");
    }
}

/// A folder changed at random is refused, or runs.
pub fn a_folder_changed_at_random_is_refused_or_runs(rig: &impl Rig) {
    // A fixed sequence of numbers (xorshift, Marsaglia 2003): every run tries the same changes.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let fields = [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "vocab_size",
        "max_position_embeddings",
        "rope_theta",
        "rms_norm_eps",
        "sliding_window",
        "num_experts",
        "num_experts_per_tok",
        "moe_intermediate_size",
        "tie_word_embeddings",
        "norm_topk_prob",
        "model_type",
    ];
    let values = [
        "0",
        "1",
        "2",
        "3",
        "16",
        "31",
        "32",
        "64",
        "128",
        "-1",
        "1e300",
        "18446744073709551615",
        "null",
        "true",
        "false",
        "\"llama\"",
        "\"qwen3_moe\"",
        "[]",
    ];
    let quantizations = [
        (0, 64),
        (3, 64),
        (4, 0),
        (4, 32),
        (5, 32),
        (8, 64),
        (32, 64),
        (4, 1_u64 << 40),
        (2, 128),
    ];
    let (mut refused, mut ran) = (0, 0);
    for model in ["qwen3-moe-q4-g32", "llama-f32-tied", "mistral-f16-window"] {
        let copy = Copy::of(model);
        let config = std::fs::read_to_string(copy.0.join("config.json")).unwrap();
        let weights = std::fs::read(copy.0.join("model.safetensors")).unwrap();
        let header = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
        for _ in 0..60 {
            let mut changed: serde_json::Value = serde_json::from_str(&config).unwrap();
            let mut bytes = weights.clone();
            match next(4) {
                0 | 1 => {
                    let value = values[next(values.len())];
                    let field = fields[next(fields.len())];
                    changed[field] = serde_json::from_str(value).unwrap();
                }
                2 => {
                    let (bits, group) = quantizations[next(quantizations.len())];
                    changed["quantization"] =
                        serde_json::json!({"bits": bits, "group_size": group});
                }
                // A digit of a size, an offset or a type in the header, or its length.
                _ => {
                    let at = next(header + 8);
                    bytes[at] = b"0123456789[]"[next(12)];
                }
            }
            let text = serde_json::to_vec(&changed).unwrap();
            std::fs::write(copy.0.join("config.json"), text).unwrap();
            std::fs::write(copy.0.join("model.safetensors"), bytes).unwrap();
            let opened = Checkpoint::open(&copy.0).and_then(|checkpoint| {
                ModelSpec::read(&copy.0, &checkpoint).map(|spec| (spec, checkpoint))
            });
            let loaded = opened.map_err(|error| error.to_string());
            match loaded.and_then(|(spec, checkpoint)| rig.try_load(&spec, &checkpoint)) {
                Ok(mut executor) => {
                    open(&mut executor, 1, &PROMPT);
                    // Whatever these weights mean: an answer, or the row's own error.
                    assert_eq!(
                        results(&mut executor, vec![row(1, 0, &PROMPT, &[3], 1)]).len(),
                        1
                    );
                    ran += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 40 && ran > 20, "{refused} refused, {ran} ran");
}
