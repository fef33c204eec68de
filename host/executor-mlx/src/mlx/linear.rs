//! Matrices: dense or in MLX's affine format.

use mlx_rs::error::Exception;
use mlx_rs::ops::{addmm, dequantize, matmul, quantized_matmul};
use mlx_rs::{Array, Dtype};

/// `y = x W^T + bias`.
pub(super) struct Linear {
    pub(super) weights: Weights,
    pub(super) bias: Option<Array>,
}

/// How `W` of `[out, in]` is held.
pub(super) enum Weights {
    /// Floats of the model's compute type.
    Dense(Array),
    /// Packed integers with a scale and a bias for each group.
    Affine {
        packed: Array,
        scales: Array,
        biases: Array,
        group_size: i32,
        bits: i32,
    },
}

impl Linear {
    /// The product with each row of `x`.
    pub(super) fn apply(&self, x: &Array) -> Result<Array, Exception> {
        match (&self.weights, &self.bias) {
            (Weights::Dense(weight), None) => matmul(x, weight.transpose()?),
            (Weights::Dense(weight), Some(bias)) => addmm(bias, x, weight.transpose()?, None, None),
            (
                Weights::Affine {
                    packed,
                    scales,
                    biases,
                    group_size,
                    bits,
                },
                bias,
            ) => {
                let product =
                    quantized_matmul(x, packed, scales, biases, true, *group_size, *bits)?;
                match bias {
                    Some(bias) => product.add(bias),
                    None => Ok(product),
                }
            }
        }
    }

    /// The rows of `W` at `indices`, as an embedding.
    pub(super) fn rows(&self, indices: &Array) -> Result<Array, Exception> {
        self.weights
            .map(|array| array.take_axis(indices, 0))?
            .dense()
    }

    /// Every array it holds.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.weights.arrays().chain(&self.bias)
    }
}

impl Weights {
    /// The same format, of other arrays.
    fn map(&self, change: impl Fn(&Array) -> Result<Array, Exception>) -> Result<Self, Exception> {
        Ok(match self {
            Self::Dense(weight) => Self::Dense(change(weight)?),
            Self::Affine {
                packed,
                scales,
                biases,
                group_size,
                bits,
            } => Self::Affine {
                packed: change(packed)?,
                scales: change(scales)?,
                biases: change(biases)?,
                group_size: *group_size,
                bits: *bits,
            },
        })
    }

    /// As floats.
    pub(super) fn dense(&self) -> Result<Array, Exception> {
        match self {
            Self::Dense(weight) => Ok(weight.clone()),
            Self::Affine {
                packed,
                scales,
                biases,
                group_size,
                bits,
            } => dequantize(packed, scales, biases, *group_size, *bits),
        }
    }

    /// Every array it holds.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        let arrays = match self {
            Self::Dense(weight) => [Some(weight), None, None],
            Self::Affine {
                packed,
                scales,
                biases,
                ..
            } => [Some(packed), Some(scales), Some(biases)],
        };
        arrays.into_iter().flatten()
    }
}

/// What activations, and all weights that are not packed, are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ComputeType(pub(super) Dtype);

impl ComputeType {
    /// Bytes of one number.
    pub(super) fn bytes(self) -> usize {
        if self.0 == Dtype::Float32 { 4 } else { 2 }
    }
}
