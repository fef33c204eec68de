//! A model's weights in memory, built from a [`ModelSpec`] and a source of tensors.
//!
//! [`Model::build`] walks the description once; a [`Source`] answers for each weight and norm. One
//! source reads a checkpoint ([`crate::load`]), another invents numbers ([`crate::synthetic`]), so
//! both give exactly the same structure. A range of the layers has the embedding if it has the first
//! layer, and the final norm and the head if it has the last.

use crate::LoadError;
use crate::linear::Linear;
use atoll_engine::model::{
    Activation, AttentionSpec, GatedMlpSpec, GqaSpec, MlpSpec, ModelSpec, MoeSpec, NormSpec,
    RopeSpec, WeightSpec,
};
use std::ops::Range;

/// Where weights come from.
pub(crate) trait Source {
    fn linear(&mut self, spec: &WeightSpec) -> Result<Linear, LoadError>;
    /// `spec.size` multipliers.
    fn norm_weight(&mut self, spec: &NormSpec) -> Result<Vec<f32>, LoadError>;
}

/// RMSNorm.
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    pub(crate) epsilon: f32,
}

/// Grouped-query attention.
pub(crate) struct Attention {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) q: Linear,
    pub(crate) k: Linear,
    pub(crate) v: Linear,
    pub(crate) o: Linear,
    pub(crate) q_norm: Option<Norm>,
    pub(crate) k_norm: Option<Norm>,
    pub(crate) window: Option<usize>,
    pub(crate) scale: f32,
}

/// `down(silu(gate(x)) * up(x))`.
pub(crate) struct Mlp {
    pub(crate) gate: Linear,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
}

/// A few of many MLPs for each token.
pub(crate) struct Moe {
    pub(crate) router: Linear,
    pub(crate) experts: Vec<Mlp>,
    /// Experts that a token goes through.
    pub(crate) chosen: usize,
    /// Whether their weights are divided by their sum.
    pub(crate) normalise: bool,
}

/// What follows attention.
pub(crate) enum FeedForward {
    Dense(Mlp),
    Moe(Moe),
}

impl FeedForward {
    /// Every MLP.
    pub(crate) fn mlps(&self) -> &[Mlp] {
        match self {
            Self::Dense(mlp) => std::slice::from_ref(mlp),
            Self::Moe(moe) => &moe.experts,
        }
    }

    fn router(&self) -> Option<&Linear> {
        match self {
            Self::Dense(_) => None,
            Self::Moe(moe) => Some(&moe.router),
        }
    }
}

/// One decoder layer.
pub(crate) struct Layer {
    pub(crate) input_norm: Norm,
    pub(crate) attention: Attention,
    pub(crate) post_attention_norm: Norm,
    pub(crate) mlp: FeedForward,
}

/// The whole model, or a range of its layers with what belongs to its ends.
pub(crate) struct Model {
    pub(crate) vocab: usize,
    pub(crate) hidden: usize,
    pub(crate) max_positions: usize,
    /// What turns tokens into hidden states, before the first layer.
    pub(crate) embedding: Option<Linear>,
    pub(crate) layers: Vec<Layer>,
    /// What turns hidden states into logits, after the last layer.
    pub(crate) end: Option<End>,
    pub(crate) rope: RopeSpec,
}

/// What comes after the last layer.
pub(crate) struct End {
    pub(crate) norm: Norm,
    /// `None` if it is the embedding, which is here too.
    pub(crate) head: Option<Linear>,
}

impl Model {
    /// The weights of `range` of the layers of `spec`.
    pub(crate) fn build(
        spec: &ModelSpec,
        range: Range<usize>,
        source: &mut impl Source,
    ) -> Result<Self, LoadError> {
        let norm = |source: &mut _, spec| norm(source, spec);
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
        let model = Self {
            vocab: spec.vocab_size,
            hidden: spec.hidden_size,
            max_positions: spec.max_positions,
            embedding,
            layers: spec
                .layer_range(range)
                .iter()
                .map(|layer| {
                    Ok(Layer {
                        input_norm: norm(source, &layer.input_norm)?,
                        attention: attention(source, &layer.attention)?,
                        post_attention_norm: norm(source, &layer.post_attention_norm)?,
                        mlp: feed_forward(source, &layer.mlp)?,
                    })
                })
                .collect::<Result<_, LoadError>>()?,
            end: match last {
                true => Some(End {
                    norm: norm(source, &spec.final_norm)?,
                    head: match &spec.head {
                        Some(head) => Some(source.linear(head)?),
                        None if first => None,
                        None => Some(source.linear(&spec.embedding)?),
                    },
                }),
                false => None,
            },
            rope: spec.rope.clone(),
        };
        model.check()?;
        Ok(model)
    }

    /// The norm and the matrix that make logits, where the last layer is.
    pub(crate) fn head(&self) -> Option<(&Norm, &Linear)> {
        let end = self.end.as_ref()?;
        let head = end.head.as_ref().or(self.embedding.as_ref())?;
        Some((&end.norm, head))
    }

    /// Every matrix.
    fn linears(&self) -> impl Iterator<Item = &Linear> {
        let layers = self.layers.iter().flat_map(|layer| {
            let a = &layer.attention;
            let mlps = layer.mlp.mlps().iter();
            [&a.q, &a.k, &a.v, &a.o]
                .into_iter()
                .chain(layer.mlp.router())
                .chain(mlps.flat_map(|m| [&m.gate, &m.up, &m.down]))
        });
        let head = self.end.iter().flat_map(|end| &end.head);
        self.embedding.iter().chain(head).chain(layers)
    }

    /// Bytes of all matrices.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.linears().map(Linear::bytes).sum()
    }

    /// Widest input of any matrix.
    pub(crate) fn widest_input(&self) -> usize {
        self.linears().map(|linear| linear.k).max().unwrap_or(0)
    }

    /// Shapes that the forward pass relies on. A validated spec has them; this crate's memory
    /// safety should not rest on another crate's validation.
    fn check(&self) -> Result<(), LoadError> {
        let shape = |linear: &Linear, n, k, what: &str| {
            if linear.n == n && linear.k == k {
                return Ok(());
            }
            Err(LoadError::Spec(format!(
                "{what} is {} x {} instead of {n} x {k}",
                linear.n, linear.k
            )))
        };
        let length = |norm: &Norm, size, what: &str| {
            if norm.weight.len() == size {
                return Ok(());
            }
            Err(LoadError::Spec(format!(
                "{what} has {} elements instead of {size}",
                norm.weight.len()
            )))
        };
        let hidden = self.hidden;
        if let Some(embedding) = &self.embedding {
            shape(embedding, self.vocab, hidden, "the embedding")?;
        }
        if let Some((norm, head)) = self.head() {
            shape(head, self.vocab, hidden, "the head")?;
            length(norm, hidden, "the final norm")?;
        }
        let rope = &self.rope;
        if !rope.dim.is_multiple_of(2) || rope.inverse_frequencies.len() != rope.dim / 2 {
            return Err(LoadError::Spec(
                "rope frequencies do not fit its width".to_owned(),
            ));
        }
        for layer in &self.layers {
            let a = &layer.attention;
            let fits = a.head_dim > 0
                && a.kv_heads > 0
                && a.heads > 0
                && a.heads % a.kv_heads == 0
                && rope.dim <= a.head_dim
                && a.window != Some(0);
            if !fits {
                return Err(LoadError::Spec(
                    "attention heads do not fit together".to_owned(),
                ));
            }
            shape(&a.q, a.heads * a.head_dim, hidden, "q_proj")?;
            shape(&a.k, a.kv_heads * a.head_dim, hidden, "k_proj")?;
            shape(&a.v, a.kv_heads * a.head_dim, hidden, "v_proj")?;
            shape(&a.o, hidden, a.heads * a.head_dim, "o_proj")?;
            for m in layer.mlp.mlps() {
                let wide = m.gate.n;
                shape(&m.gate, wide, hidden, "gate_proj")?;
                shape(&m.up, wide, hidden, "up_proj")?;
                shape(&m.down, hidden, wide, "down_proj")?;
            }
            if let FeedForward::Moe(moe) = &layer.mlp {
                shape(&moe.router, moe.experts.len(), hidden, "the router")?;
                if !(1..=moe.experts.len()).contains(&moe.chosen) {
                    return Err(LoadError::Spec(format!(
                        "a token goes through {} of {} experts",
                        moe.chosen,
                        moe.experts.len()
                    )));
                }
            }
            length(&layer.input_norm, hidden, "the input norm")?;
            length(
                &layer.post_attention_norm,
                hidden,
                "the post-attention norm",
            )?;
            for norm in a.q_norm.iter().chain(&a.k_norm) {
                length(norm, a.head_dim, "a head norm")?;
            }
        }
        Ok(())
    }
}

fn norm(source: &mut impl Source, spec: &NormSpec) -> Result<Norm, LoadError> {
    Ok(Norm {
        weight: source.norm_weight(spec)?,
        epsilon: spec.epsilon,
    })
}

fn attention(source: &mut impl Source, spec: &AttentionSpec) -> Result<Attention, LoadError> {
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
    let mut head_norm =
        |spec: &Option<NormSpec>| spec.as_ref().map(|spec| norm(source, spec)).transpose();
    let (q_norm, k_norm) = (head_norm(q_norm)?, head_norm(k_norm)?);
    Ok(Attention {
        heads: *num_heads,
        kv_heads: *num_kv_heads,
        head_dim: *head_dim,
        q: source.linear(q_proj)?,
        k: source.linear(k_proj)?,
        v: source.linear(v_proj)?,
        o: source.linear(o_proj)?,
        q_norm,
        k_norm,
        window: *sliding_window,
        scale: *scale,
    })
}

fn feed_forward(source: &mut impl Source, spec: &MlpSpec) -> Result<FeedForward, LoadError> {
    match spec {
        MlpSpec::Gated(spec) => mlp(source, spec).map(FeedForward::Dense),
        MlpSpec::Moe(MoeSpec {
            router,
            experts,
            experts_per_token,
            normalise,
        }) => Ok(FeedForward::Moe(Moe {
            router: source.linear(router)?,
            experts: experts
                .iter()
                .map(|spec| mlp(source, spec))
                .collect::<Result<_, _>>()?,
            chosen: *experts_per_token,
            normalise: *normalise,
        })),
        _ => Err(LoadError::Unsupported("this kind of MLP".to_owned())),
    }
}

fn mlp(source: &mut impl Source, spec: &GatedMlpSpec) -> Result<Mlp, LoadError> {
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
