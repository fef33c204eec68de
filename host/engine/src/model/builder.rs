//! What the families share: a decoder of pre-norm layers with grouped-query attention and a gated
//! MLP, under the tensor names of Hugging Face. A family states where it differs, in a
//! [`DecoderStyle`].

use serde_json::Value;

use super::config::{
    Fields, MAX_HEAD_DIM, MAX_HEADS, MAX_HIDDEN, MAX_INTERMEDIATE, MAX_LAYERS, MAX_POSITIONS,
    MAX_VOCAB,
};
use super::quantization::QuantizationPlan;
use super::{
    Activation, AttentionSpec, Dtype, GatedMlpSpec, GqaSpec, LayerSpec, MlpSpec, ModelError,
    ModelSpec, MoeSpec, NormSpec, Role, Stack, WeightSpec, rope,
};

/// Most experts of a layer. Kimi K2 has 384.
pub(super) const MAX_EXPERTS: usize = 4096;
/// Most experts of a model: each has a description of some hundred bytes. Kimi K2 has 23,040.
const MAX_ALL_EXPERTS: usize = 1 << 16;

/// Layers of experts.
pub(super) struct MoeStyle {
    pub experts: usize,
    pub per_token: usize,
    /// Width of an expert.
    pub intermediate: usize,
    /// See [`MoeSpec::normalise`].
    pub normalise: bool,
    /// Every `step`-th layer has experts.
    pub step: usize,
    /// Layers that have one MLP instead.
    pub dense_layers: Vec<usize>,
}

/// Where a family differs from the others.
pub(super) struct DecoderStyle {
    /// Biases on the query, key and value projections.
    pub qkv_bias: bool,
    /// Bias on the attention's output projection.
    pub o_bias: bool,
    /// Biases on the MLP's projections.
    pub mlp_bias: bool,
    /// RMSNorm on each query and key head before rotation.
    pub qk_norm: bool,
    /// Width of a head when config.json has no `head_dim`; `None` means hidden / heads.
    pub default_head_dim: Option<usize>,
    /// The window of sliding-attention layers.
    pub window: Option<usize>,
    /// The first layer that slides when config.json has no `layer_types`; `usize::MAX` for none.
    pub first_sliding_layer: usize,
    /// Experts, where layers have them.
    pub moe: Option<MoeStyle>,
}

/// Builds a [`ModelSpec`] from a configuration.
pub(super) struct Builder<'a> {
    pub config: Fields<'a>,
    quantization: QuantizationPlan,
    hidden: usize,
    epsilon: f32,
}

impl<'a> Builder<'a> {
    pub fn new(config: Fields<'a>) -> Result<Self, ModelError> {
        let quantization = QuantizationPlan::read(&config)?;
        let hidden = config.size("hidden_size", MAX_HIDDEN)?;
        let epsilon = config.number("rms_norm_eps", 0.0..=1.0)?.unwrap_or(1e-6) as f32;
        Ok(Self {
            config,
            quantization,
            hidden,
            epsilon,
        })
    }

    /// The whole model.
    pub fn decoder(&self, family: &str, style: &DecoderStyle) -> Result<ModelSpec, ModelError> {
        let config = &self.config;
        config.expect_text("hidden_act", &["silu", "swish"])?;
        let vocab_size = config.size("vocab_size", MAX_VOCAB)?;
        let stated_positions = config.size("max_position_embeddings", MAX_POSITIONS)?;
        let windows = self.windows(style)?;
        let heads = self.heads(style)?;
        let (rope, max_positions) = rope::read(config, heads.dim, stated_positions, 10_000.0)?;
        if let Some(moe) = &style.moe {
            check_experts(moe, windows.len())?;
        }
        let layers = windows
            .iter()
            .enumerate()
            .map(|(index, &window)| self.layer(index, &heads, window, style));
        let tied = config.flag("tie_word_embeddings", false)?;
        let head = (!tied)
            .then(|| self.weight("lm_head", vocab_size, self.hidden, false, Role::ColumnSplit));
        Ok(ModelSpec {
            family: family.to_owned(),
            vocab_size,
            hidden_size: self.hidden,
            max_positions,
            dtype: self.dtype()?,
            quantization: self.quantization.global(),
            embedding: self.weight(
                "model.embed_tokens",
                vocab_size,
                self.hidden,
                false,
                Role::Replicated,
            )?,
            layers: layers.collect::<Result<_, _>>()?,
            final_norm: self.norm("model.norm", self.hidden),
            head: head.transpose()?,
            rope,
        })
    }

    fn layer(
        &self,
        index: usize,
        heads: &Heads,
        window: Option<usize>,
        style: &DecoderStyle,
    ) -> Result<LayerSpec, ModelError> {
        let prefix = format!("model.layers.{index}");
        let attn = format!("{prefix}.self_attn");
        let mlp = format!("{prefix}.mlp");
        let hidden = self.hidden;
        let (q, kv) = (heads.queries * heads.dim, heads.keys * heads.dim);
        let head_norm = |name: &str| {
            style
                .qk_norm
                .then(|| self.norm(&format!("{attn}.{name}"), heads.dim))
        };
        let column =
            |name: String, out, bias| self.weight(&name, out, hidden, bias, Role::ColumnSplit);
        let row =
            |name: String, input, bias| self.weight(&name, hidden, input, bias, Role::RowSplit);
        Ok(LayerSpec {
            input_norm: self.norm(&format!("{prefix}.input_layernorm"), hidden),
            attention: AttentionSpec::Gqa(GqaSpec {
                num_heads: heads.queries,
                num_kv_heads: heads.keys,
                head_dim: heads.dim,
                q_proj: column(format!("{attn}.q_proj"), q, style.qkv_bias)?,
                k_proj: column(format!("{attn}.k_proj"), kv, style.qkv_bias)?,
                v_proj: column(format!("{attn}.v_proj"), kv, style.qkv_bias)?,
                o_proj: row(format!("{attn}.o_proj"), q, style.o_bias)?,
                q_norm: head_norm("q_norm"),
                k_norm: head_norm("k_norm"),
                sliding_window: window,
                scale: (heads.dim as f32).sqrt().recip(),
            }),
            post_attention_norm: self.norm(&format!("{prefix}.post_attention_layernorm"), hidden),
            mlp: match &style.moe {
                Some(moe) if moe.in_layer(index) => MlpSpec::Moe(self.experts(&mlp, moe)?),
                _ => {
                    let wide = self.config.size("intermediate_size", MAX_INTERMEDIATE)?;
                    MlpSpec::Gated(self.gated(&mlp, wide, style.mlp_bias, None)?)
                }
            },
        })
    }

    fn gated(
        &self,
        prefix: &str,
        wide: usize,
        bias: bool,
        stack: Option<Stack>,
    ) -> Result<GatedMlpSpec, ModelError> {
        let weight = |name: &str, out, input, role| {
            let weight = self.weight(&format!("{prefix}.{name}"), out, input, bias, role)?;
            Ok::<_, ModelError>(WeightSpec { stack, ..weight })
        };
        let hidden = self.hidden;
        Ok(GatedMlpSpec {
            gate_proj: weight("gate_proj", wide, hidden, Role::ColumnSplit)?,
            up_proj: weight("up_proj", wide, hidden, Role::ColumnSplit)?,
            down_proj: weight("down_proj", hidden, wide, Role::RowSplit)?,
            activation: Activation::Silu,
        })
    }

    /// Experts as the checkpoint's makers store them: MLX's converter, which quantises, stacks them.
    /// What is really there decides in the end ([`ModelSpec::read`]).
    fn experts(&self, mlp: &str, moe: &MoeStyle) -> Result<MoeSpec, ModelError> {
        let stacked = self.quantization.global().is_some();
        let expert = |index: usize| {
            let count = moe.experts;
            if stacked {
                let prefix = stacked_experts(mlp);
                self.gated(
                    &prefix,
                    moe.intermediate,
                    false,
                    Some(Stack { index, count }),
                )
            } else {
                self.gated(
                    &format!("{mlp}.experts.{index}"),
                    moe.intermediate,
                    false,
                    None,
                )
            }
        };
        let router = format!("{mlp}.gate");
        Ok(MoeSpec {
            router: self.weight(&router, moe.experts, self.hidden, false, Role::Replicated)?,
            experts: (0..moe.experts).map(expert).collect::<Result<_, _>>()?,
            experts_per_token: moe.per_token,
            normalise: moe.normalise,
        })
    }

    fn heads(&self, style: &DecoderStyle) -> Result<Heads, ModelError> {
        let config = &self.config;
        let queries = config.size("num_attention_heads", MAX_HEADS)?;
        let keys = config
            .optional_size("num_key_value_heads", MAX_HEADS)?
            .unwrap_or(queries);
        if !queries.is_multiple_of(keys) {
            let reason =
                format!("is {keys}, which does not divide num_attention_heads ({queries})");
            return Err(ModelError::config("num_key_value_heads", reason));
        }
        let dim = match config
            .optional_size("head_dim", MAX_HEAD_DIM)?
            .or(style.default_head_dim)
        {
            Some(dim) => dim,
            None if self.hidden.is_multiple_of(queries)
                && self.hidden / queries <= MAX_HEAD_DIM =>
            {
                self.hidden / queries
            }
            None => {
                let reason = format!(
                    "is missing, and hidden_size / num_attention_heads ({}/{queries}) is not a head width",
                    self.hidden
                );
                return Err(ModelError::config("head_dim", reason));
            }
        };
        if !dim.is_multiple_of(2) {
            return Err(ModelError::config(
                "head_dim",
                format!("is {dim}, but rotation needs an even width"),
            ));
        }
        Ok(Heads { queries, keys, dim })
    }

    /// Each layer's sliding window: from `layer_types` if given, else by the family's rule.
    fn windows(&self, style: &DecoderStyle) -> Result<Vec<Option<usize>>, ModelError> {
        let layers = self.config.size("num_hidden_layers", MAX_LAYERS)?;
        let Some(types) = self.config.get("layer_types") else {
            let slides = |layer| layer >= style.first_sliding_layer;
            return Ok((0..layers)
                .map(|layer| style.window.filter(|_| slides(layer)))
                .collect());
        };
        let types = types
            .as_array()
            .filter(|types| types.len() == layers)
            .ok_or_else(|| {
                ModelError::config(
                    "layer_types",
                    format!("must be a list of {layers} names (num_hidden_layers)"),
                )
            })?;
        let window_of = |kind: &Value| match kind.as_str() {
            Some("full_attention") => Ok(None),
            Some("sliding_attention") => Ok(style.window),
            _ => Err(ModelError::unsupported(
                "layer_types",
                format!(
                    "a layer that is not \"full_attention\" or \"sliding_attention\" ({})",
                    kind.as_str().unwrap_or("not a string")
                ),
                "this family has only those two",
            )),
        };
        types.iter().map(window_of).collect()
    }

    fn weight(
        &self,
        name: &str,
        out_features: usize,
        in_features: usize,
        bias: bool,
        role: Role,
    ) -> Result<WeightSpec, ModelError> {
        let quantization = self.quantization.of(name, in_features)?;
        Ok(WeightSpec {
            name: name.to_owned(),
            out_features,
            in_features,
            bias,
            role,
            quantization,
            stack: None,
        })
    }

    fn norm(&self, name: &str, size: usize) -> NormSpec {
        NormSpec {
            name: name.to_owned(),
            size,
            epsilon: self.epsilon,
        }
    }

    /// The stored type of dense weights, as far as config.json says.
    fn dtype(&self) -> Result<Dtype, ModelError> {
        let name = match self.config.text("dtype")? {
            Some(name) => Some(name),
            None => self.config.text("torch_dtype")?,
        };
        Ok(match name.map(|name| name.trim_start_matches("torch.")) {
            Some("float32") => Dtype::F32,
            Some("float16") => Dtype::F16,
            _ => Dtype::Bf16,
        })
    }
}

impl MoeStyle {
    fn in_layer(&self, index: usize) -> bool {
        (index + 1).is_multiple_of(self.step) && !self.dense_layers.contains(&index)
    }
}

/// Where MLX's converter puts the experts of an MLP.
pub(super) fn stacked_experts(mlp: &str) -> String {
    format!("{mlp}.switch_mlp")
}

fn check_experts(moe: &MoeStyle, layers: usize) -> Result<(), ModelError> {
    if moe.per_token > moe.experts {
        let reason = format!(
            "is {}, more than num_experts ({})",
            moe.per_token, moe.experts
        );
        return Err(ModelError::config("num_experts_per_tok", reason));
    }
    // Both factors are bounded.
    if moe.experts * layers > MAX_ALL_EXPERTS {
        let reason = format!(
            "is {} in {layers} layers, more than {MAX_ALL_EXPERTS} in all",
            moe.experts
        );
        return Err(ModelError::config("num_experts", reason));
    }
    Ok(())
}

/// Attention heads: how many, and how wide.
struct Heads {
    queries: usize,
    keys: usize,
    dim: usize,
}
