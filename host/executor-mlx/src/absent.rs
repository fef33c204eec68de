//! What this crate answers where MLX is not part of the build.

use std::ops::Range;

use atoll_engine::executor::{Executor, StageExecutor};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;

use crate::{Device, LoadError, MlxOptions, Rates, Unavailable};

/// The device that MLX would use.
///
/// # Errors
/// [`Unavailable::NotBuilt`], always: this build has no MLX.
pub fn device() -> Result<Device, Unavailable> {
    Err(Unavailable::NotBuilt)
}

/// How fast the device is.
///
/// # Errors
/// [`Unavailable::NotBuilt`], always: this build has no MLX.
pub fn measure() -> Result<Rates, LoadError> {
    Err(Unavailable::NotBuilt.into())
}

/// Loads a model onto MLX's device.
///
/// # Errors
/// [`Unavailable::NotBuilt`], always: this build has no MLX.
pub fn load(_: &ModelSpec, _: &Checkpoint, _: &MlxOptions) -> Result<Box<dyn Executor>, LoadError> {
    Err(Unavailable::NotBuilt.into())
}

/// Loads some layers of a model onto MLX's device.
///
/// # Errors
/// [`Unavailable::NotBuilt`], always: this build has no MLX.
pub fn load_stage(
    _: &ModelSpec,
    _: Range<usize>,
    _: &Checkpoint,
    _: &MlxOptions,
) -> Result<Box<dyn StageExecutor>, LoadError> {
    Err(Unavailable::NotBuilt.into())
}
