//! Tensors from a checkpoint into arrays: read once, into the memory that MLX keeps.
//!
//! Files are read, not mapped: MLX's GPU buffers want page alignment, which safetensors does not give,
//! and a file that shrinks under a map would kill the process.

use std::fs::File;
use std::os::unix::fs::FileExt;

use atoll_engine::model::checkpoint::{self, Checkpoint};
use atoll_engine::model::tensors::{TensorSpec, find};
use atoll_engine::model::{NormSpec, WeightSpec};
use mlx_rs::{Array, Dtype};

use super::ffi::TensorBytes;
use super::linear::{ComputeType, Linear, Weights};
use crate::{Backend, LoadError};

/// Reads tensors of one checkpoint.
pub(super) struct Source<'a> {
    checkpoint: &'a Checkpoint,
    files: Vec<Option<File>>,
    compute: ComputeType,
    backend: Backend,
}

impl<'a> Source<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint, compute: ComputeType, backend: Backend) -> Self {
        Self {
            checkpoint,
            files: checkpoint.files().iter().map(|_| None).collect(),
            compute,
            backend,
        }
    }

    /// The tensor as stored, if it is what `spec` says.
    fn stored(&mut self, spec: &TensorSpec) -> Result<Array, LoadError> {
        let entry = find(spec, self.checkpoint)?;
        let shape = dims(&entry.shape)?;
        let dtype = dtype_of(entry.dtype)
            .ok_or_else(|| LoadError::Unsupported(format!("tensors of type {}", entry.dtype)))?;
        let missing = || LoadError::Spec("a tensor names a file that is not there".to_owned());
        let path = &self
            .checkpoint
            .files()
            .get(entry.file)
            .ok_or_else(missing)?
            .path;
        let failed = |error: std::io::Error| LoadError::Read {
            path: path.clone(),
            reason: error.to_string(),
        };
        let slot = self.files.get_mut(entry.file).ok_or_else(missing)?;
        let file = match slot {
            Some(file) => file,
            None => slot.insert(File::open(path).map_err(failed)?),
        };
        let too_large = || LoadError::OutOfMemory(format!("{} has {} bytes", spec.name, entry.len));
        let len = usize::try_from(entry.len).map_err(|_| too_large())?;
        let mut bytes = TensorBytes::new(len).ok_or_else(too_large)?;
        file.read_exact_at(bytes.as_mut_slice(), entry.offset)
            .map_err(failed)?;
        Ok(bytes.into_array(&shape, dtype)?)
    }

    /// A tensor of floats in the compute type.
    fn floats(&mut self, spec: &TensorSpec) -> Result<Array, LoadError> {
        let stored = self.stored(spec)?;
        if stored.dtype() == self.compute.0 {
            return Ok(stored);
        }
        let converted = stored.as_dtype(self.compute.0)?;
        // Now, so that only one tensor is here twice at a time.
        converted.eval()?;
        Ok(converted)
    }

    /// A matrix with its bias.
    pub(super) fn linear(&mut self, spec: &WeightSpec) -> Result<Linear, LoadError> {
        let Linear { weights, bias } = self.stored_linear(spec)?;
        let one_group = spec
            .quantization
            .is_some_and(|format| format.group_size >= spec.in_features);
        // For rows of a single group MLX takes a kernel on CUDA (`qmm_sm90`, of 0.32) that no other matrix
        // gets, and whose results were wrong. Such a matrix is small: it is kept as floats.
        let weights = match self.backend {
            Backend::Cuda if one_group => {
                let dense = Weights::Dense(weights.dense()?);
                dense.arrays().try_for_each(Array::eval)?;
                dense
            }
            _ => weights,
        };
        Ok(Linear { weights, bias })
    }

    /// A matrix with its bias, as stored.
    fn stored_linear(&mut self, spec: &WeightSpec) -> Result<Linear, LoadError> {
        let tensors = spec.tensors();
        let named = |suffix: &str| {
            let name = format!("{}.{suffix}", spec.name);
            tensors
                .iter()
                .find(|tensor| tensor.name == name)
                .ok_or_else(|| LoadError::Spec(format!("{name} has no description")))
        };
        let weights = match spec.quantization {
            None => Weights::Dense(self.floats(named("weight")?)?),
            Some(format) => Weights::Affine {
                packed: self.stored(named("weight")?)?,
                scales: self.floats(named("scales")?)?,
                biases: self.floats(named("biases")?)?,
                group_size: dim(format.group_size)?,
                bits: i32::try_from(format.bits)
                    .map_err(|_| LoadError::Spec("too many bits".to_owned()))?,
            },
        };
        let bias = spec.bias.then(|| self.floats(named("bias")?)).transpose()?;
        Ok(Linear { weights, bias })
    }

    /// The same matrix of every expert, `[experts, out, in]`: as stored, or put together.
    pub(super) fn stacked(&mut self, specs: &[&WeightSpec]) -> Result<Weights, LoadError> {
        let first = specs.first().copied().filter(|spec| !spec.bias);
        let first =
            first.ok_or_else(|| LoadError::Unsupported("experts with biases".to_owned()))?;
        if first.stack.is_some_and(|stack| stack.count == specs.len()) {
            return Ok(self.stored_linear(first)?.weights);
        }
        let mut members = Vec::with_capacity(specs.len());
        for spec in specs {
            members.push(self.stored_linear(spec)?.weights);
        }
        let together = |part: &dyn Fn(&Weights) -> Option<&Array>| {
            let parts: Vec<&Array> = members.iter().filter_map(part).collect();
            let all = mlx_rs::ops::stack(&parts, 0)?;
            // Now, so that only one layer's experts are here twice at a time.
            all.eval()?;
            Ok::<_, LoadError>(all)
        };
        Ok(match members.first() {
            Some(&Weights::Affine {
                group_size, bits, ..
            }) => Weights::Affine {
                packed: together(&|weights| weights.arrays().next())?,
                scales: together(&|weights| weights.arrays().nth(1))?,
                biases: together(&|weights| weights.arrays().nth(2))?,
                group_size,
                bits,
            },
            _ => Weights::Dense(together(&|weights| weights.arrays().next())?),
        })
    }

    /// A norm's multipliers.
    pub(super) fn norm_weight(&mut self, spec: &NormSpec) -> Result<Array, LoadError> {
        self.floats(&spec.tensor())
    }
}

/// MLX's name of a stored type that models are computed from.
pub(super) fn dtype_of(dtype: checkpoint::Dtype) -> Option<Dtype> {
    match dtype {
        checkpoint::Dtype::F32 => Some(Dtype::Float32),
        checkpoint::Dtype::F16 => Some(Dtype::Float16),
        checkpoint::Dtype::Bf16 => Some(Dtype::Bfloat16),
        checkpoint::Dtype::U32 => Some(Dtype::Uint32),
        _ => None,
    }
}

/// A size as MLX has it.
pub(super) fn dim(size: usize) -> Result<i32, LoadError> {
    i32::try_from(size).map_err(|_| LoadError::Spec(format!("{size} is too large for MLX")))
}

fn dims(shape: &[usize]) -> Result<Vec<i32>, LoadError> {
    shape.iter().map(|&size| dim(size)).collect()
}
