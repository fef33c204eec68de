//! A model's weights in memory: the engine's structure of them ([`weights`]), made of [`Linear`]s.
//!
//! One source reads a checkpoint ([`crate::load`]), another invents numbers ([`crate::synthetic`]), so
//! both give exactly the same structure.

use std::ops::Range;

use atoll_engine::model::weights::{self, Parts, Weights};
use atoll_engine::model::{GatedMlpSpec, ModelSpec, NormSpec, RopeSpec, WeightSpec};

use crate::LoadError;
use crate::linear::Linear;

/// RMSNorm.
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    pub(crate) epsilon: f32,
}

/// What this executor makes a model of.
pub(crate) struct InMemory;

impl Parts for InMemory {
    type Matrix = Linear;
    type Norm = Norm;
    type Experts = Vec<Mlp>;
    type Size = usize;
}

pub(crate) type Attention = weights::Attention<InMemory>;
pub(crate) type FeedForward = weights::FeedForward<InMemory>;
pub(crate) type Layer = weights::Layer<InMemory>;
pub(crate) type Mlp = weights::Mlp<Linear>;
pub(crate) type Moe = weights::Moe<InMemory>;

/// Every MLP of what follows attention.
pub(crate) fn mlps(mlp: &FeedForward) -> &[Mlp] {
    match mlp {
        FeedForward::Dense(mlp) => std::slice::from_ref(mlp),
        FeedForward::Moe(moe) => &moe.experts,
    }
}

/// Where tensors come from.
pub(crate) trait Tensors {
    fn linear(&mut self, spec: &WeightSpec) -> Result<Linear, LoadError>;
    /// `spec.size` multipliers.
    fn norm_weight(&mut self, spec: &NormSpec) -> Result<Vec<f32>, LoadError>;
}

struct Source<'a, T>(&'a mut T);

impl<T: Tensors> weights::Source for Source<'_, T> {
    type Parts = InMemory;
    type Error = LoadError;

    fn size(&self, size: usize) -> Result<usize, LoadError> {
        Ok(size)
    }

    fn matrix(&mut self, spec: &WeightSpec) -> Result<Linear, LoadError> {
        self.0.linear(spec)
    }

    fn norm(&mut self, spec: &NormSpec) -> Result<Norm, LoadError> {
        Ok(Norm {
            weight: self.0.norm_weight(spec)?,
            epsilon: spec.epsilon,
        })
    }

    fn experts(&mut self, specs: &[GatedMlpSpec]) -> Result<Vec<Mlp>, LoadError> {
        let mut expert = |spec| Mlp::try_new(|of| self.0.linear(of(spec)));
        specs.iter().map(&mut expert).collect()
    }
}

/// The whole model, or a range of its layers with what belongs to its ends.
pub(crate) struct Model {
    pub(crate) vocab: usize,
    pub(crate) hidden: usize,
    pub(crate) max_positions: usize,
    pub(crate) weights: Weights<InMemory>,
    pub(crate) rope: RopeSpec,
}

impl Model {
    /// The weights of `range` of the layers of `spec`. Shapes are the description's, which the engine has
    /// checked: kernels rely on them.
    pub(crate) fn build(
        spec: &ModelSpec,
        range: Range<usize>,
        tensors: &mut impl Tensors,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            vocab: spec.vocab_size,
            hidden: spec.hidden_size,
            max_positions: spec.max_positions,
            weights: Weights::build(spec, range, &mut Source(tensors))?,
            rope: spec.rope.clone(),
        })
    }

    /// Every matrix.
    fn linears(&self) -> impl Iterator<Item = &Linear> {
        let experts = self.weights.experts().flatten().flat_map(Mlp::parts);
        self.weights.matrices().chain(experts)
    }

    /// Bytes of all matrices.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.linears().map(Linear::bytes).sum()
    }

    /// Widest input of any matrix.
    pub(crate) fn widest_input(&self) -> usize {
        self.linears().map(|linear| linear.k).max().unwrap_or(0)
    }
}
