//! The suite that every executor passes, on MLX, and what only MLX can do wrong.
#![cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]
#![expect(clippy::unwrap_used, reason = "a broken fixture should stop the test")]

#[path = "mlx/lane.rs"]
mod lane;

use std::ops::Range;

use atoll_engine::executor::{Executor, KvMemory, Row, RowError};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_executor_mlx::{Backend, LoadError, MlxExecutor, MlxOptions, MlxStage};
use atoll_executor_tests::Rig;
use atoll_executor_tests::support::{open, opened, results, row};

/// Small chunks, so that prompts take several.
fn options() -> MlxOptions {
    MlxOptions {
        kv: KvMemory::Blocks(64),
        block_size: 16,
        chunk: 24,
        ..MlxOptions::default()
    }
}

struct MlxRig;

impl Rig for MlxRig {
    type Whole = MlxExecutor;
    type Stage = MlxStage;

    /// The reference is MLX too, in f32, from the exactly dequantised numbers.
    fn tolerance(&self, model: &str) -> f32 {
        match atoll_executor_mlx::device().unwrap().backend {
            Backend::Cpu => 1e-4,
            // A GPU computes in the checkpoint's own type, on CUDA f32 as TF32, of eleven significant bits.
            Backend::Cuda | Backend::Metal if model.contains("-f32") => 4e-3,
            // A token close to two experts may take the other one: mlx_lm itself is off by 4e-2.
            Backend::Cuda | Backend::Metal if model.contains("-moe") => 6e-2,
            Backend::Cuda | Backend::Metal => 3e-2,
        }
    }

    fn exact(&self) -> bool {
        false
    }

    fn bf16_bytes(&self) -> u64 {
        let device = atoll_executor_mlx::device().unwrap();
        if device.backend.is_gpu() { 2 } else { 4 }
    }

    fn logits(&self, executor: &mut MlxExecutor, row: &Row) -> Result<Vec<f32>, RowError> {
        executor.logits(row)
    }

    fn try_load(&self, spec: &ModelSpec, checkpoint: &Checkpoint) -> Result<MlxExecutor, String> {
        MlxExecutor::load(spec, checkpoint, &options()).map_err(|error| error.to_string())
    }

    fn try_stage(
        &self,
        spec: &ModelSpec,
        layers: Range<usize>,
        checkpoint: &Checkpoint,
    ) -> Result<MlxStage, String> {
        MlxStage::load(spec, layers, checkpoint, &options()).map_err(|error| error.to_string())
    }
}

atoll_executor_tests::suite!(MlxRig);

#[test]
fn options_out_of_range_are_refused() {
    let (spec, checkpoint) = opened("llama-f32-tied");
    type Change<'a> = (&'a str, &'a dyn Fn(&mut MlxOptions));
    let changes: [Change<'_>; 7] = [
        ("block_size", &|o| o.block_size = 0),
        ("max_tokens", &|o| o.max_tokens = 0),
        ("max_rows", &|o| o.max_rows = 0),
        ("chunk", &|o| o.chunk = 0),
        ("kv", &|o| o.kv = KvMemory::Bytes(100)),
        ("kv", &|o| o.kv = KvMemory::Blocks(0)),
        ("kv", &|o| o.kv = KvMemory::Blocks(usize::MAX)),
    ];
    for (name, change) in changes {
        let mut options = options();
        change(&mut options);
        match MlxExecutor::load(&spec, &checkpoint, &options).err() {
            Some(LoadError::Option { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn two_models_live_beside_each_other_on_their_own_threads() {
    let mut a = MlxRig.load("llama-f32-tied");
    let mut b = MlxRig.load("qwen3-q4-g32");
    let prompt = [1, 2, 3, 4, 5];
    let alone = {
        let mut alone = MlxRig.load("llama-f32-tied");
        open(&mut alone, 1, &prompt);
        results(&mut alone, vec![row(1, 0, &prompt, &[3], 1)])
    };
    open(&mut a, 1, &prompt);
    open(&mut b, 1, &prompt);
    b.submit(atoll_executor_tests::support::step(vec![row(
        1,
        0,
        &prompt,
        &[3],
        1,
    )]))
    .unwrap();
    assert_eq!(results(&mut a, vec![row(1, 0, &prompt, &[3], 1)]), alone);
    assert!(b.complete().unwrap().rows[0].result.is_ok());
    drop(b);
    assert_eq!(results(&mut a, vec![row(1, 0, &prompt, &[3], 1)]), alone);
}

#[test]
fn a_device_tells_how_fast_it_is_beside_a_model() {
    let mut model = MlxRig.load("llama-f32-tied");
    let rates = atoll_executor_mlx::measure().unwrap();
    // An abacus, and more than any machine has.
    for rate in [rates.bytes_per_second, rates.multiply_adds_per_second] {
        assert!((1e6..1e16).contains(&rate), "{rates:?}");
    }
    open(&mut model, 1, &[1, 2]);
    assert!(results(&mut model, vec![row(1, 0, &[1, 2], &[3], 1)])[0].is_ok());
}
