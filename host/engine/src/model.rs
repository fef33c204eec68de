//! A model on disk and what it is: [`ModelSpec`], the description every executor works from.
//!
//! A family is a description, not code. `config.json` becomes a [`ModelSpec`]: the layer kinds,
//! their sizes, and the checkpoint's tensor names with each tensor's [`Role`]. Executors implement
//! layer kinds; loading a range of layers (pipeline) or a slice of one (tensor parallel), counting
//! bytes and validating sizes are computed from the same description.
//!
//! Everything in a model folder is untrusted. A `ModelSpec` from [`ModelSpec::from_config`] has
//! passed validation: all sizes are non-zero, divisible where they must be, and bounded (the bounds
//! and their reasons are in `model/config.rs`), so a product of two of them fits in a 64-bit
//! `usize`. Whether the memory exists is for the executor to find out.

mod builder;
pub mod checkpoint;
mod config;
mod error;
mod families;
mod quantization;
mod rope;
mod shapes;
pub mod tensors;
pub mod weights;

use std::path::Path;

use self::checkpoint::Checkpoint;
pub use self::checkpoint::Dtype;
pub(crate) use self::config::MAX_CONFIG_BYTES;
pub use self::error::ModelError;
pub use self::families::{FAMILIES, Family};
use crate::files;

/// What a model is, independent of any executor.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// `model_type` of config.json: `llama`, `mistral`, `qwen2`, `qwen3`, `qwen3_moe`.
    pub family: String,
    /// Rows of the embedding matrix, and logits per position.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Longest sequence in positions.
    pub max_positions: usize,
    /// How dense tensors are stored, as far as config.json says (else bf16). For counting bytes:
    /// the checkpoint's own types are what is loaded.
    pub dtype: Dtype,
    /// How most weights are quantised, for people; each [`WeightSpec`] has its own answer.
    pub quantization: Option<Quantization>,
    /// Token embedding, shape `[vocab_size, hidden_size]`.
    pub embedding: WeightSpec,
    /// The decoder layers, in order.
    pub layers: Vec<LayerSpec>,
    /// Norm before the head.
    pub final_norm: NormSpec,
    /// Projection to logits, `[vocab_size, hidden_size]`; `None` ties it to `embedding`.
    pub head: Option<WeightSpec>,
    /// Rotary position embedding, shared by all layers.
    pub rope: RopeSpec,
}

/// A two-dimensional weight `[out_features, in_features]`, dense or quantised, with optional bias.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightSpec {
    /// Name without suffix: the tensors are `{name}.weight`, and `{name}.bias`, `{name}.scales`,
    /// `{name}.biases` where they apply.
    pub name: String,
    /// Rows.
    pub out_features: usize,
    /// Columns.
    pub in_features: usize,
    /// Whether `{name}.bias` of shape `[out_features]` exists.
    pub bias: bool,
    /// How the weight is split over a tensor-parallel group.
    pub role: Role,
    /// MLX affine quantisation, or `None` for bf16, f16 or f32.
    pub quantization: Option<Quantization>,
    /// Where this matrix is in tensors that hold several, one after the other along a leading axis;
    /// `None` if it has tensors of its own.
    pub stack: Option<Stack>,
}

/// A place in stacked tensors, as MLX stores experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stack {
    /// Which of them.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

/// How a tensor is divided over a tensor-parallel group (Shoeybi et al. 2019).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Split by output rows; each shard computes some of the outputs.
    ColumnSplit,
    /// Split by input columns; shards' outputs are summed. The bias is added once.
    RowSplit,
    /// Every shard has all of it.
    Replicated,
}

/// MLX affine group quantisation: along each row, groups of `group_size` values share a scale and
/// a bias; `value = scale * q + bias` with `q` unsigned of `bits` bits. A row is a stream of bits, value
/// after value from the lowest bit, in little-endian u32 words. `{name}.weight` is u32 `[out, in * bits / 32]`; `{name}.scales` and `{name}.biases`
/// are `[out, in / group_size]` in bf16, f16 or f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quantization {
    /// 2, 3, 4, 5, 6 or 8.
    pub bits: u32,
    /// 32, 64 or 128; divides `in_features`.
    pub group_size: usize,
}

/// One decoder layer: `x += attention(input_norm(x)); x += mlp(post_attention_norm(x))`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// Norm before attention.
    pub input_norm: NormSpec,
    /// The attention.
    pub attention: AttentionSpec,
    /// Norm before the MLP.
    pub post_attention_norm: NormSpec,
    /// The MLP.
    pub mlp: MlpSpec,
}

/// RMSNorm (Zhang & Sennrich 2019): `x / sqrt(mean(x^2) + epsilon) * weight`; weight `{name}.weight`.
#[derive(Debug, Clone, PartialEq)]
pub struct NormSpec {
    /// Name without `.weight`.
    pub name: String,
    /// Width of the normalised axis.
    pub size: usize,
    /// Added to the mean square.
    pub epsilon: f32,
}

/// The attention kinds executors implement.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AttentionSpec {
    /// Grouped-query attention.
    Gqa(GqaSpec),
}

/// Grouped-query attention (Ainslie et al. 2023) with rotary positions; multi-head when
/// `num_heads == num_kv_heads`.
#[derive(Debug, Clone, PartialEq)]
pub struct GqaSpec {
    /// Query heads; a multiple of `num_kv_heads`.
    pub num_heads: usize,
    /// Key and value heads.
    pub num_kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// `[num_heads * head_dim, hidden]`.
    pub q_proj: WeightSpec,
    /// `[num_kv_heads * head_dim, hidden]`.
    pub k_proj: WeightSpec,
    /// `[num_kv_heads * head_dim, hidden]`.
    pub v_proj: WeightSpec,
    /// `[hidden, num_heads * head_dim]`.
    pub o_proj: WeightSpec,
    /// Per-head norm of queries before rotation (Qwen3), over `head_dim`.
    pub q_norm: Option<NormSpec>,
    /// Per-head norm of keys before rotation (Qwen3), over `head_dim`.
    pub k_norm: Option<NormSpec>,
    /// Attend only to the last `n` positions, the current one included; `None` attends to all.
    pub sliding_window: Option<usize>,
    /// Multiplies query-key products, usually `head_dim^-0.5`.
    pub scale: f32,
}

/// The MLP kinds executors implement.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MlpSpec {
    /// `down(activation(gate(x)) * up(x))`.
    Gated(GatedMlpSpec),
    /// The weighted sum of a few of many gated MLPs.
    Moe(MoeSpec),
}

/// Sparse mixture of experts (Shazeer et al. 2017): a token goes through the experts that the router
/// scores highest, and their outputs are summed with the softmax of the scores (over all experts) as
/// weights.
#[derive(Debug, Clone, PartialEq)]
pub struct MoeSpec {
    /// `[experts, hidden]`.
    pub router: WeightSpec,
    /// The experts, all of one shape.
    pub experts: Vec<GatedMlpSpec>,
    /// Experts that a token goes through; at most as many as there are.
    pub experts_per_token: usize,
    /// Whether the chosen experts' weights are divided by their sum.
    pub normalise: bool,
}

/// Gated MLP (Shazeer 2020).
#[derive(Debug, Clone, PartialEq)]
pub struct GatedMlpSpec {
    /// `[intermediate, hidden]`.
    pub gate_proj: WeightSpec,
    /// `[intermediate, hidden]`.
    pub up_proj: WeightSpec,
    /// `[hidden, intermediate]`.
    pub down_proj: WeightSpec,
    /// The gate's non-linearity.
    pub activation: Activation,
}

/// Element-wise non-linearities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
}

/// Rotary position embedding (Su et al. 2021) in the half-split layout of Hugging Face: element `i`
/// of the first half of a head is rotated with element `i` of the second half.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSpec {
    /// Rotated width; equal to `head_dim` for the families so far.
    pub dim: usize,
    /// Rotations per position, `dim / 2` of them, after any frequency scaling (linear, llama3,
    /// yarn): the angle at position `p` is `p * inverse_frequencies[i]`.
    pub inverse_frequencies: Vec<f32>,
    /// Multiplies cosine and sine (yarn's attention factor); 1 otherwise.
    pub attention_factor: f32,
}

impl ModelSpec {
    /// The model that a `config.json` describes. Weights count as quantised when the configuration
    /// says so; [`ModelSpec::read`] also asks the checkpoint.
    ///
    /// # Errors
    /// [`ModelError`] naming the field that is missing, out of bounds or not supported.
    pub fn from_config(json: &[u8]) -> Result<Self, ModelError> {
        let value: serde_json::Value =
            serde_json::from_slice(json).map_err(|error| ModelError::Json {
                path: "config.json".into(),
                reason: error.to_string(),
            })?;
        families::describe(config::Fields::root(&value)?)
    }

    /// The model in `folder`, whose `checkpoint` has been opened, checked against each other.
    ///
    /// # Errors
    /// [`ModelError`]: the file, field or tensor at fault.
    pub fn read(folder: &Path, checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let json = files::read_bounded(&folder.join("config.json"), MAX_CONFIG_BYTES)?;
        let mut spec = Self::from_config(&json)?;
        spec.reconcile(checkpoint);
        spec.check(checkpoint)?;
        Ok(spec)
    }
}

#[cfg(test)]
mod tests;
