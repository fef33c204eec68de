//! A model's weights, in the shape that its [`ModelSpec`] describes and made of what an executor computes
//! with: one walk over the description for every executor, so that they cannot differ in what they load.
//!
//! An executor names what it is made of ([`Parts`]) and answers for each matrix and norm ([`Source`]):
//! from a checkpoint, or invented for a benchmark. A range of the layers has the embedding if it has the
//! first layer, and the final norm and the head if it has the last.

use std::ops::Range;

use super::{
    AttentionSpec, GatedMlpSpec, GqaSpec, MlpSpec, ModelError, ModelSpec, NormSpec, WeightSpec,
};

/// What an executor makes a model of.
pub trait Parts {
    /// A matrix with its bias.
    type Matrix;
    /// A norm.
    type Norm;
    /// All experts of a layer.
    type Experts;
    /// How sizes are counted: some libraries want other integers than Rust's.
    type Size: Copy;
}

/// Where weights come from.
pub trait Source {
    /// What it makes.
    type Parts: Parts;
    /// Why it could not.
    type Error: From<ModelError>;

    /// A size of the description.
    ///
    /// # Errors
    /// It is too large for the executor.
    fn size(&self, size: usize) -> Result<<Self::Parts as Parts>::Size, Self::Error>;

    /// A matrix.
    ///
    /// # Errors
    /// It is not there, is not what the description says, or finds no room.
    fn matrix(&mut self, spec: &WeightSpec) -> Result<<Self::Parts as Parts>::Matrix, Self::Error>;

    /// A norm.
    ///
    /// # Errors
    /// As [`matrix`](Self::matrix).
    fn norm(&mut self, spec: &NormSpec) -> Result<<Self::Parts as Parts>::Norm, Self::Error>;

    /// The experts of a layer, at least one.
    ///
    /// # Errors
    /// As [`matrix`](Self::matrix).
    fn experts(
        &mut self,
        specs: &[GatedMlpSpec],
    ) -> Result<<Self::Parts as Parts>::Experts, Self::Error>;
}

/// Grouped-query attention, as [`GqaSpec`] has it.
pub struct Attention<P: Parts> {
    /// Query heads.
    pub heads: P::Size,
    /// Key and value heads.
    pub kv_heads: P::Size,
    /// Width of a head.
    pub head_dim: P::Size,
    /// `[heads * head_dim, hidden]`.
    pub q: P::Matrix,
    /// `[kv_heads * head_dim, hidden]`.
    pub k: P::Matrix,
    /// `[kv_heads * head_dim, hidden]`.
    pub v: P::Matrix,
    /// `[hidden, heads * head_dim]`.
    pub o: P::Matrix,
    /// Of each query head, before rotation.
    pub q_norm: Option<P::Norm>,
    /// Of each key head, before rotation.
    pub k_norm: Option<P::Norm>,
    /// Positions that are attended to; `None` is all.
    pub window: Option<usize>,
    /// Multiplies query-key products.
    pub scale: f32,
}

/// `down(silu(gate(x)) * up(x))`.
pub struct Mlp<M> {
    /// `[intermediate, hidden]`.
    pub gate: M,
    /// `[intermediate, hidden]`.
    pub up: M,
    /// `[hidden, intermediate]`.
    pub down: M,
}

impl<M> Mlp<M> {
    /// Its three parts, each made by `make`: a matrix, or of many experts the same matrix of each.
    ///
    /// # Errors
    /// What `make` refuses.
    pub fn try_new<E>(
        mut make: impl FnMut(fn(&GatedMlpSpec) -> &WeightSpec) -> Result<M, E>,
    ) -> Result<Self, E> {
        Ok(Self {
            gate: make(|spec| &spec.gate_proj)?,
            up: make(|spec| &spec.up_proj)?,
            down: make(|spec| &spec.down_proj)?,
        })
    }

    /// Gate, up and down.
    pub fn parts(&self) -> impl Iterator<Item = &M> {
        [&self.gate, &self.up, &self.down].into_iter()
    }
}

/// A few of many MLPs for each token.
pub struct Moe<P: Parts> {
    /// `[experts, hidden]`.
    pub router: P::Matrix,
    /// All of them.
    pub experts: P::Experts,
    /// Experts that a token goes through; at least one, at most all.
    pub chosen: P::Size,
    /// Whether their weights are divided by their sum.
    pub normalise: bool,
}

/// What follows attention.
pub enum FeedForward<P: Parts> {
    /// One MLP.
    Dense(Mlp<P::Matrix>),
    /// A few of many.
    Moe(Moe<P>),
}

/// One decoder layer.
pub struct Layer<P: Parts> {
    /// Before attention.
    pub input_norm: P::Norm,
    /// The attention.
    pub attention: Attention<P>,
    /// Before what follows attention.
    pub post_attention_norm: P::Norm,
    /// What follows attention.
    pub mlp: FeedForward<P>,
}

/// What turns hidden states into logits, after the last layer.
pub struct End<P: Parts> {
    /// The last norm.
    pub norm: P::Norm,
    /// `None` if it is the embedding, which is here too.
    pub head: Option<P::Matrix>,
}

/// The whole model, or a range of its layers with what belongs to its ends.
pub struct Weights<P: Parts> {
    /// What turns tokens into hidden states, before the first layer.
    pub embedding: Option<P::Matrix>,
    /// The layers, in order.
    pub layers: Vec<Layer<P>>,
    /// What comes after the last layer.
    pub end: Option<End<P>>,
}

impl<P: Parts> Weights<P> {
    /// The weights of `range` of the layers of `spec`.
    ///
    /// # Errors
    /// The range is not one of layers, the description contradicts itself, or the source refuses.
    pub fn build<S: Source<Parts = P>>(
        spec: &ModelSpec,
        range: Range<usize>,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        spec.check_shapes()?;
        let count = spec.layers.len();
        if range.start > range.end || range.end > count || range.is_empty() && count > 0 {
            let reason = format!("is {count}: {range:?} are not layers of it");
            return Err(ModelError::config("num_hidden_layers", reason).into());
        }
        let (first, last) = (range.start == 0, range.end == count);
        let embedding = match first {
            true => Some(source.matrix(&spec.embedding)?),
            false => None,
        };
        let layers = spec.layer_range(range).iter().map(|layer| {
            Ok(Layer {
                input_norm: source.norm(&layer.input_norm)?,
                attention: attention(source, &layer.attention)?,
                post_attention_norm: source.norm(&layer.post_attention_norm)?,
                mlp: feed_forward(source, &layer.mlp)?,
            })
        });
        let layers = layers.collect::<Result<_, S::Error>>()?;
        let end = match last {
            true => Some(End {
                norm: source.norm(&spec.final_norm)?,
                head: match &spec.head {
                    Some(head) => Some(source.matrix(head)?),
                    None if first => None,
                    None => Some(source.matrix(&spec.embedding)?),
                },
            }),
            false => None,
        };
        Ok(Self {
            embedding,
            layers,
            end,
        })
    }

    /// The norm and the matrix that make logits, where the last layer is.
    pub fn head(&self) -> Option<(&P::Norm, &P::Matrix)> {
        let end = self.end.as_ref()?;
        let head = end.head.as_ref().or(self.embedding.as_ref())?;
        Some((&end.norm, head))
    }

    /// Every matrix but those of [`experts`](Self::experts).
    pub fn matrices(&self) -> impl Iterator<Item = &P::Matrix> {
        let layers = self.layers.iter().flat_map(|layer| {
            let a = &layer.attention;
            let (dense, router) = match &layer.mlp {
                FeedForward::Dense(mlp) => (Some(mlp), None),
                FeedForward::Moe(moe) => (None, Some(&moe.router)),
            };
            let attention = [&a.q, &a.k, &a.v, &a.o].into_iter();
            attention
                .chain(router)
                .chain(dense.into_iter().flat_map(Mlp::parts))
        });
        let head = self.end.iter().flat_map(|end| &end.head);
        self.embedding.iter().chain(head).chain(layers)
    }

    /// The experts of every layer that has them.
    pub fn experts(&self) -> impl Iterator<Item = &P::Experts> {
        self.layers.iter().filter_map(|layer| match &layer.mlp {
            FeedForward::Dense(_) => None,
            FeedForward::Moe(moe) => Some(&moe.experts),
        })
    }

    /// Every norm.
    pub fn norms(&self) -> impl Iterator<Item = &P::Norm> {
        let layers = self.layers.iter().flat_map(|layer| {
            let heads = [&layer.attention.q_norm, &layer.attention.k_norm];
            let whole = [&layer.input_norm, &layer.post_attention_norm];
            whole.into_iter().chain(heads.into_iter().flatten())
        });
        layers.chain(self.end.iter().map(|end| &end.norm))
    }
}

fn attention<S: Source>(
    source: &mut S,
    spec: &AttentionSpec,
) -> Result<Attention<S::Parts>, S::Error> {
    let AttentionSpec::Gqa(GqaSpec {
        num_heads,
        num_kv_heads,
        head_dim,
        q_proj,
        k_proj,
        v_proj,
        o_proj,
        q_norm,
        k_norm,
        sliding_window,
        scale,
    }) = spec;
    let mut head_norm = |spec: &Option<NormSpec>| {
        let spec = spec.as_ref();
        spec.map(|spec| source.norm(spec)).transpose()
    };
    let (q_norm, k_norm) = (head_norm(q_norm)?, head_norm(k_norm)?);
    Ok(Attention {
        heads: source.size(*num_heads)?,
        kv_heads: source.size(*num_kv_heads)?,
        head_dim: source.size(*head_dim)?,
        q: source.matrix(q_proj)?,
        k: source.matrix(k_proj)?,
        v: source.matrix(v_proj)?,
        o: source.matrix(o_proj)?,
        q_norm,
        k_norm,
        window: *sliding_window,
        scale: *scale,
    })
}

fn feed_forward<S: Source>(
    source: &mut S,
    spec: &MlpSpec,
) -> Result<FeedForward<S::Parts>, S::Error> {
    Ok(match spec {
        MlpSpec::Gated(spec) => FeedForward::Dense(Mlp::try_new(|of| source.matrix(of(spec)))?),
        MlpSpec::Moe(spec) => FeedForward::Moe(Moe {
            router: source.matrix(&spec.router)?,
            experts: source.experts(&spec.experts)?,
            chosen: source.size(spec.experts_per_token)?,
            normalise: spec.normalise,
        }),
    })
}
