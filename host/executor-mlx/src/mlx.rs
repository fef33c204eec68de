//! The executor itself, where MLX is part of the build.

mod adjust;
mod attention;
mod budget;
mod draw;
mod executor;
#[expect(
    unsafe_code,
    reason = "the functions of mlx-c that mlx-rs does not wrap"
)]
mod ffi;
mod forward;
mod lane;
mod linear;
mod load;
mod measure;
mod moe;
mod pages;
mod results;
mod stage;
mod weights;
mod worker;

use std::ops::Range;

use atoll_engine::executor::{Executor, ExecutorError, StageExecutor};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use mlx_rs::error::Exception;

pub use self::executor::MlxExecutor;
pub use self::measure::measure;
pub use self::stage::MlxStage;
use crate::{Backend, Device, LoadError, MlxOptions, Unavailable};

/// The device that MLX uses.
///
/// # Errors
/// [`Unavailable`] if it does not start.
pub fn device() -> Result<Device, Unavailable> {
    ffi::init().map_err(|error| Unavailable::Broken(error.what().to_owned()))?;
    let backend = if ffi::metal_available() {
        Backend::Metal
    } else if ffi::cuda_available() {
        Backend::Cuda
    } else {
        Backend::Cpu
    };
    let info = ffi::DeviceInfo::of_default_device();
    let number = |key| info.as_ref().and_then(|info| info.number(key));
    Ok(Device {
        backend,
        name: info
            .as_ref()
            .and_then(|info| info.text(c"device_name"))
            .unwrap_or_default(),
        memory_bytes: number(c"memory_size").or_else(|| number(c"total_memory")),
        working_set_bytes: number(c"max_recommended_working_set_size"),
        version: ffi::version(),
    })
}

/// Loads a model onto MLX's device.
///
/// # Errors
/// [`LoadError`] names the tensor, option or file at fault.
pub fn load(
    spec: &ModelSpec,
    checkpoint: &Checkpoint,
    options: &MlxOptions,
) -> Result<Box<dyn Executor>, LoadError> {
    Ok(Box::new(MlxExecutor::load(spec, checkpoint, options)?))
}

/// Loads some layers of a model onto MLX's device.
///
/// # Errors
/// [`LoadError`] as for [`load`].
pub fn load_stage(
    spec: &ModelSpec,
    layers: Range<usize>,
    checkpoint: &Checkpoint,
    options: &MlxOptions,
) -> Result<Box<dyn StageExecutor>, LoadError> {
    Ok(Box::new(MlxStage::load(spec, layers, checkpoint, options)?))
}

/// Whether MLX failed for want of memory. Its exceptions are texts; these are what its allocators say.
fn out_of_memory(error: &Exception) -> bool {
    let what = error.what().to_ascii_lowercase();
    [
        "unable to allocate",
        "attempting to allocate",
        "out of memory",
        "memory allocation",
    ]
    .iter()
    .any(|text| what.contains(text))
}

impl From<Exception> for LoadError {
    #[track_caller]
    fn from(error: Exception) -> Self {
        if out_of_memory(&error) {
            Self::OutOfMemory(error.what().to_owned())
        } else {
            Self::Mlx(error.to_string())
        }
    }
}

/// MLX's exception as the engine's error of a whole step.
fn step_error(error: &Exception) -> ExecutorError {
    if out_of_memory(error) {
        ExecutorError::OutOfMemory(error.what().to_owned())
    } else {
        ExecutorError::Failed(error.to_string())
    }
}
