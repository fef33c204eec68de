//! A model's weights as arrays, in the engine's structure of them ([`weights`]).

use std::ops::Range;

use atoll_engine::model::weights::{self, Mlp, Parts};
use atoll_engine::model::{GatedMlpSpec, ModelSpec, NormSpec, RopeSpec, WeightSpec};
use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::fast::rms_norm;

use super::forward::Gated;
use super::linear::{ComputeType, Linear, Weights};
use super::load::{Source, dim};
use crate::LoadError;

/// RMSNorm.
pub(super) struct Norm {
    pub(super) weight: Array,
    epsilon: f32,
}

impl Norm {
    /// Normalises the last axis of `x`.
    pub(super) fn apply(&self, x: &Array) -> Result<Array, Exception> {
        rms_norm(x, Some(&self.weight), self.epsilon)
    }
}

/// All experts of a layer: the same matrix of each, stacked.
pub(super) type Experts = Mlp<Weights>;

/// What this executor makes a model of.
pub(super) struct Arrays;

impl Parts for Arrays {
    type Matrix = Linear;
    type Norm = Norm;
    type Experts = Experts;
    type Size = i32;
}

pub(super) type Attention = weights::Attention<Arrays>;
pub(super) type FeedForward = weights::FeedForward<Arrays>;
pub(super) type Layer = weights::Layer<Arrays>;
pub(super) type Moe = weights::Moe<Arrays>;

/// Numbers between the first matrices of an MLP and the last, for a token.
pub(super) fn width(mlp: &FeedForward) -> usize {
    let (weights, chosen) = match mlp {
        FeedForward::Dense(mlp) => (&mlp.gate.weights, 1),
        FeedForward::Moe(moe) => (&moe.experts.gate, moe.chosen),
    };
    let rows = weights.arrays().next().map_or(0, |array| array.dim(-2));
    usize::try_from(rows * chosen).unwrap_or(0)
}

/// Rotary positions.
pub(super) struct Rope {
    pub(super) dim: i32,
    /// One over the rotations per position, as MLX takes them.
    pub(super) frequencies: Array,
}

/// The whole model, or a range of its layers with what belongs to its ends.
pub(super) struct Model {
    pub(super) hidden: i32,
    pub(super) compute: ComputeType,
    pub(super) weights: weights::Weights<Arrays>,
    pub(super) rope: Rope,
    pub(super) gated: Gated,
}

impl Model {
    /// The weights of `range` of the layers of `spec`. Shapes are the description's, which the engine has
    /// checked: what reaches C++ fits together.
    pub(super) fn load(
        spec: &ModelSpec,
        range: Range<usize>,
        source: &mut Source<'_>,
        compute: ComputeType,
    ) -> Result<Self, LoadError> {
        let mut weights = weights::Weights::build(spec, range, source)?;
        let factor = spec.rope.attention_factor;
        for layer in &mut weights.layers {
            let attention = &mut layer.attention;
            if factor != 1.0 && dim(spec.rope.dim)? != attention.head_dim {
                let what = "an attention factor with a partly rotated head";
                return Err(LoadError::Unsupported(what.to_owned()));
            }
            // It multiplies cosine and sine, that is, each rotated query and each rotated key.
            attention.scale *= factor * factor;
        }
        Ok(Self {
            hidden: dim(spec.hidden_size)?,
            compute,
            weights,
            rope: rope(&spec.rope)?,
            gated: Gated::new(),
        })
    }

    /// Every array of the model.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        let matrices = self.weights.matrices().flat_map(Linear::arrays);
        let experts = self.weights.experts().flat_map(Mlp::parts);
        let norms = self.weights.norms().map(|norm| &norm.weight);
        matrices
            .chain(experts.flat_map(Weights::arrays))
            .chain(norms)
    }
}

impl weights::Source for Source<'_> {
    type Parts = Arrays;
    type Error = LoadError;

    fn size(&self, size: usize) -> Result<i32, LoadError> {
        dim(size)
    }

    fn matrix(&mut self, spec: &WeightSpec) -> Result<Linear, LoadError> {
        self.linear(spec)
    }

    fn norm(&mut self, spec: &NormSpec) -> Result<Norm, LoadError> {
        Ok(Norm {
            weight: self.norm_weight(spec)?,
            epsilon: spec.epsilon,
        })
    }

    fn experts(&mut self, specs: &[GatedMlpSpec]) -> Result<Experts, LoadError> {
        Mlp::try_new(|of| self.stacked(&specs.iter().map(of).collect::<Vec<_>>()))
    }
}

fn rope(spec: &RopeSpec) -> Result<Rope, LoadError> {
    let frequencies: Vec<f32> = spec.inverse_frequencies.iter().map(|f| f.recip()).collect();
    Ok(Rope {
        dim: dim(spec.dim)?,
        frequencies: Array::from_slice(&frequencies, &[dim(frequencies.len())?]),
    })
}
