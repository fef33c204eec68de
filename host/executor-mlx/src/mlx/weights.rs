//! A model's weights as arrays, built from its description.

use std::ops::Range;

use atoll_engine::model::{
    Activation, AttentionSpec, GatedMlpSpec, GqaSpec, MlpSpec, ModelSpec, MoeSpec, NormSpec,
    RopeSpec, WeightSpec,
};
use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::fast::rms_norm;

use super::forward::Gated;
use super::linear::{ComputeType, Linear};
use super::load::{Source, dim};
use super::moe::Moe;
use crate::LoadError;

/// RMSNorm.
pub(super) struct Norm {
    pub(super) weight: Array,
    epsilon: f32,
}

impl Norm {
    fn load(source: &mut Source<'_>, spec: &NormSpec) -> Result<Self, LoadError> {
        Ok(Self {
            weight: source.norm_weight(spec)?,
            epsilon: spec.epsilon,
        })
    }

    /// Normalises the last axis of `x`.
    pub(super) fn apply(&self, x: &Array) -> Result<Array, Exception> {
        rms_norm(x, Some(&self.weight), self.epsilon)
    }
}

/// Grouped-query attention.
pub(super) struct Attention {
    pub(super) heads: i32,
    pub(super) kv_heads: i32,
    pub(super) head_dim: i32,
    pub(super) q: Linear,
    pub(super) k: Linear,
    pub(super) v: Linear,
    pub(super) o: Linear,
    pub(super) q_norm: Option<Norm>,
    pub(super) k_norm: Option<Norm>,
    pub(super) window: Option<usize>,
    /// Of the products of queries and keys, yarn's factor included.
    pub(super) scale: f32,
}

/// `down(silu(gate(x)) * up(x))`.
pub(super) struct Mlp {
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) down: Linear,
}

/// What follows attention.
pub(super) enum FeedForward {
    Dense(Mlp),
    Moe(Moe),
}

impl FeedForward {
    /// Numbers between the first matrices and the last, for a token.
    pub(super) fn width(&self) -> usize {
        let (weights, chosen) = match self {
            Self::Dense(mlp) => (&mlp.gate.weights, 1),
            Self::Moe(moe) => (&moe.gate, moe.chosen),
        };
        let rows = weights.arrays().next().map_or(0, |array| array.dim(-2));
        usize::try_from(rows * chosen).unwrap_or(0)
    }

    fn arrays(&self) -> Box<dyn Iterator<Item = &Array> + '_> {
        match self {
            Self::Dense(mlp) => {
                let linears = [&mlp.gate, &mlp.up, &mlp.down];
                Box::new(linears.into_iter().flat_map(Linear::arrays))
            }
            Self::Moe(moe) => Box::new(moe.arrays()),
        }
    }
}

/// One decoder layer.
pub(super) struct Layer {
    pub(super) input_norm: Norm,
    pub(super) attention: Attention,
    pub(super) post_attention_norm: Norm,
    pub(super) mlp: FeedForward,
}

/// What comes after the last layer.
pub(super) struct End {
    pub(super) norm: Norm,
    /// `None` if it is the embedding, which is here too.
    head: Option<Linear>,
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
    pub(super) embedding: Option<Linear>,
    pub(super) layers: Vec<Layer>,
    pub(super) end: Option<End>,
    pub(super) rope: Rope,
    pub(super) gated: Gated,
}

impl Model {
    /// The weights of `range` of the layers of `spec`.
    pub(super) fn load(
        spec: &ModelSpec,
        range: Range<usize>,
        source: &mut Source<'_>,
        compute: ComputeType,
    ) -> Result<Self, LoadError> {
        // What reaches C++ fits together.
        spec.check_shapes()?;
        let count = spec.layers.len();
        if range.start > range.end || range.end > count || range.is_empty() && count > 0 {
            return Err(LoadError::Spec(format!(
                "layers {range:?} are not layers of a model that has {count}"
            )));
        }
        let (first, last) = (range.start == 0, range.end == count);
        let embedding = match first {
            true => Some(source.linear(&spec.embedding)?),
            false => None,
        };
        let layers = spec.layer_range(range).iter().map(|layer| {
            Ok(Layer {
                input_norm: Norm::load(source, &layer.input_norm)?,
                attention: attention(source, &layer.attention, &spec.rope)?,
                post_attention_norm: Norm::load(source, &layer.post_attention_norm)?,
                mlp: feed_forward(source, &layer.mlp)?,
            })
        });
        let layers = layers.collect::<Result<_, LoadError>>()?;
        let end = match last {
            true => Some(End {
                norm: Norm::load(source, &spec.final_norm)?,
                head: match &spec.head {
                    Some(head) => Some(source.linear(head)?),
                    None if first => None,
                    None => Some(source.linear(&spec.embedding)?),
                },
            }),
            false => None,
        };
        Ok(Self {
            hidden: dim(spec.hidden_size)?,
            compute,
            embedding,
            layers,
            end,
            rope: rope(&spec.rope)?,
            gated: Gated::new(),
        })
    }

    /// The norm and the matrix that make logits, where the last layer is.
    pub(super) fn head(&self) -> Option<(&Norm, &Linear)> {
        let end = self.end.as_ref()?;
        let head = end.head.as_ref().or(self.embedding.as_ref())?;
        Some((&end.norm, head))
    }

    /// Every array of the model.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        let layers = self.layers.iter().flat_map(|layer| {
            let a = &layer.attention;
            let norms = [&layer.input_norm, &layer.post_attention_norm];
            let norms = norms.into_iter().chain(&a.q_norm).chain(&a.k_norm);
            [&a.q, &a.k, &a.v, &a.o]
                .into_iter()
                .flat_map(Linear::arrays)
                .chain(layer.mlp.arrays())
                .chain(norms.map(|norm| &norm.weight))
        });
        let end = self.end.iter().flat_map(|end| {
            let head = end.head.iter().flat_map(Linear::arrays);
            head.chain([&end.norm.weight])
        });
        let embedding = self.embedding.iter().flat_map(Linear::arrays);
        embedding.chain(layers).chain(end)
    }
}

fn attention(
    source: &mut Source<'_>,
    spec: &AttentionSpec,
    rope: &RopeSpec,
) -> Result<Attention, LoadError> {
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
    }) = spec
    else {
        return Err(LoadError::Unsupported("this kind of attention".to_owned()));
    };
    if rope.dim != *head_dim && rope.attention_factor != 1.0 {
        let what = "an attention factor with a partly rotated head";
        return Err(LoadError::Unsupported(what.to_owned()));
    }
    let fits = *num_heads > 0
        && *num_kv_heads > 0
        && num_heads.is_multiple_of(*num_kv_heads)
        && rope.dim <= *head_dim
        && *sliding_window != Some(0);
    if !fits {
        return Err(LoadError::Spec(
            "attention heads do not fit together".to_owned(),
        ));
    }
    let mut head_norm = |spec: &Option<NormSpec>| {
        let spec = spec.as_ref();
        spec.map(|spec| Norm::load(source, spec)).transpose()
    };
    let (q_norm, k_norm) = (head_norm(q_norm)?, head_norm(k_norm)?);
    Ok(Attention {
        heads: dim(*num_heads)?,
        kv_heads: dim(*num_kv_heads)?,
        head_dim: dim(*head_dim)?,
        q: source.linear(q_proj)?,
        k: source.linear(k_proj)?,
        v: source.linear(v_proj)?,
        o: source.linear(o_proj)?,
        q_norm,
        k_norm,
        window: *sliding_window,
        // The factor multiplies cosine and sine, that is, each rotated query and each rotated key.
        scale: scale * rope.attention_factor * rope.attention_factor,
    })
}

fn feed_forward(source: &mut Source<'_>, spec: &MlpSpec) -> Result<FeedForward, LoadError> {
    match spec {
        MlpSpec::Gated(spec) => mlp(source, spec).map(FeedForward::Dense),
        MlpSpec::Moe(spec) => moe(source, spec).map(FeedForward::Moe),
        _ => Err(LoadError::Unsupported("this kind of MLP".to_owned())),
    }
}

fn moe(source: &mut Source<'_>, spec: &MoeSpec) -> Result<Moe, LoadError> {
    let known = |expert: &GatedMlpSpec| expert.activation == Activation::Silu;
    if !spec.experts.iter().all(known) {
        return Err(LoadError::Unsupported("this activation".to_owned()));
    }
    if !(1..=spec.experts.len()).contains(&spec.experts_per_token) {
        return Err(LoadError::Spec(format!(
            "a token goes through {} of {} experts",
            spec.experts_per_token,
            spec.experts.len()
        )));
    }
    let mut all = |of: fn(&GatedMlpSpec) -> &WeightSpec| {
        source.experts(&spec.experts.iter().map(of).collect::<Vec<_>>())
    };
    Ok(Moe {
        gate: all(|expert| &expert.gate_proj)?,
        up: all(|expert| &expert.up_proj)?,
        down: all(|expert| &expert.down_proj)?,
        router: source.linear(&spec.router)?,
        chosen: dim(spec.experts_per_token)?,
        normalise: spec.normalise,
    })
}

fn mlp(source: &mut Source<'_>, spec: &GatedMlpSpec) -> Result<Mlp, LoadError> {
    let GatedMlpSpec {
        gate_proj,
        up_proj,
        down_proj,
        activation: Activation::Silu,
    } = spec
    else {
        return Err(LoadError::Unsupported("this activation".to_owned()));
    };
    Ok(Mlp {
        gate: source.linear(gate_proj)?,
        up: source.linear(up_proj)?,
        down: source.linear(down_proj)?,
    })
}

fn rope(spec: &RopeSpec) -> Result<Rope, LoadError> {
    if spec.dim == 0
        || !spec.dim.is_multiple_of(2)
        || spec.inverse_frequencies.len() != spec.dim / 2
    {
        return Err(LoadError::Spec(
            "rope frequencies do not fit its width".to_owned(),
        ));
    }
    let frequencies: Vec<f32> = spec.inverse_frequencies.iter().map(|f| f.recip()).collect();
    Ok(Rope {
        dim: dim(spec.dim)?,
        frequencies: Array::from_slice(&frequencies, &[dim(frequencies.len())?]),
    })
}
