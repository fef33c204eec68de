//! This executor in the shared suite, and with options.

use atoll_engine::executor::{Row, RowError};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_executor_cpu::{CpuExecutor, CpuOptions, CpuStage, KvMemory, KvType};
use atoll_executor_tests::Rig;
use atoll_executor_tests::support::opened;
use std::ops::Range;

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
    let (spec, checkpoint) = opened(model);
    CpuExecutor::load(&spec, &checkpoint, options).unwrap()
}

/// This executor in the suite, with some kernels.
///
/// Dense weights are multiplied in `f32` as the reference does. Quantised models are compared with
/// the exactly dequantised one, so their bound holds what the kernels' 16-bit activations add: half
/// a step of 1/32767 of the group's largest value per activation, about 1e-5 of a product, carried
/// through 14 to 21 products and the tiny models' steep random layers. The format's own rounding is
/// some 1e-2 (4 bits) and 1e-3 (8 bits).
pub struct CpuRig {
    /// The kernels; the fastest if `None`.
    pub kernels: Option<String>,
}

impl CpuRig {
    fn options(&self) -> CpuOptions {
        CpuOptions {
            kernels: self.kernels.clone(),
            ..options()
        }
    }
}

impl Rig for CpuRig {
    type Whole = CpuExecutor;
    type Stage = CpuStage;

    fn tolerance(&self, model: &str) -> f32 {
        if model.contains("-q") { 3e-4 } else { 1e-4 }
    }

    fn exact(&self) -> bool {
        true
    }

    fn bf16_bytes(&self) -> u64 {
        2
    }

    fn logits(&self, executor: &mut CpuExecutor, row: &Row) -> Result<Vec<f32>, RowError> {
        executor.logits(row)
    }

    fn try_load(&self, spec: &ModelSpec, checkpoint: &Checkpoint) -> Result<CpuExecutor, String> {
        CpuExecutor::load(spec, checkpoint, &self.options()).map_err(|error| error.to_string())
    }

    fn try_stage(
        &self,
        spec: &ModelSpec,
        layers: Range<usize>,
        checkpoint: &Checkpoint,
    ) -> Result<CpuStage, String> {
        CpuStage::load(spec, layers, checkpoint, &self.options()).map_err(|error| error.to_string())
    }
}
