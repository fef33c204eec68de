//! From a [`ModelSpec`] to tensors: which ones a range of layers needs, their bytes, and whether a
//! checkpoint has them.

use std::ops::Range;

use super::checkpoint::{Checkpoint, TensorEntry};
use super::{
    AttentionSpec, Dtype, LayerSpec, MlpSpec, ModelError, ModelSpec, NormSpec, Role, WeightSpec,
};

/// Types a dense weight, norm, bias, or quantisation scale may be stored in.
pub const FLOATS: &[Dtype] = &[Dtype::Bf16, Dtype::F16, Dtype::F32];
/// The type of packed quantised weights.
pub const PACKED: &[Dtype] = &[Dtype::U32];

/// One tensor that a model needs from its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its shape, as stored (packed words for a quantised weight).
    pub shape: Vec<usize>,
    /// The types it may be stored in.
    pub dtypes: &'static [Dtype],
    /// How it is divided over a tensor-parallel group.
    pub role: Role,
}

impl TensorSpec {
    /// Bytes, with `dense` as the type of everything that is not packed.
    #[must_use]
    pub fn bytes(&self, dense: Dtype) -> u64 {
        let dtype = if self.dtypes == PACKED {
            Dtype::U32
        } else {
            dense
        };
        // Bounded by the validation of ModelSpec; see config.rs.
        self.shape.iter().map(|&axis| axis as u64).product::<u64>() * dtype.size() as u64
    }
}

impl WeightSpec {
    /// The tensors of this weight: `weight`, and `scales`, `biases`, `bias` where they apply.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let matrix = |suffix: &str, columns: usize, dtypes| TensorSpec {
            name: format!("{}.{suffix}", self.name),
            shape: vec![self.out_features, columns],
            dtypes,
            role: self.role,
        };
        let mut tensors = match self.quantization {
            None => vec![matrix("weight", self.in_features, FLOATS)],
            Some(quantization) => {
                let groups = self.in_features / quantization.group_size;
                vec![
                    matrix(
                        "weight",
                        quantization.packed_columns(self.in_features),
                        PACKED,
                    ),
                    matrix("scales", groups, FLOATS),
                    matrix("biases", groups, FLOATS),
                ]
            }
        };
        if self.bias {
            // A row-split weight's outputs are partial sums; its bias is added once, to their sum.
            let role = if self.role == Role::ColumnSplit {
                Role::ColumnSplit
            } else {
                Role::Replicated
            };
            let name = format!("{}.bias", self.name);
            tensors.push(TensorSpec {
                name,
                shape: vec![self.out_features],
                dtypes: FLOATS,
                role,
            });
        }
        tensors
    }
}

impl super::Quantization {
    /// `u32` words that hold one row of `in_features` values.
    #[must_use]
    pub fn packed_columns(&self, in_features: usize) -> usize {
        in_features * self.bits as usize / 32
    }
}

impl LayerSpec {
    /// The layer's weights.
    #[must_use]
    pub fn weights(&self) -> Vec<&WeightSpec> {
        let AttentionSpec::Gqa(attention) = &self.attention;
        let MlpSpec::Gated(mlp) = &self.mlp;
        vec![
            &attention.q_proj,
            &attention.k_proj,
            &attention.v_proj,
            &attention.o_proj,
            &mlp.gate_proj,
            &mlp.up_proj,
            &mlp.down_proj,
        ]
    }

    fn weights_mut(&mut self) -> Vec<&mut WeightSpec> {
        let AttentionSpec::Gqa(attention) = &mut self.attention;
        let MlpSpec::Gated(mlp) = &mut self.mlp;
        vec![
            &mut attention.q_proj,
            &mut attention.k_proj,
            &mut attention.v_proj,
            &mut attention.o_proj,
            &mut mlp.gate_proj,
            &mut mlp.up_proj,
            &mut mlp.down_proj,
        ]
    }

    /// The layer's norms.
    #[must_use]
    pub fn norms(&self) -> Vec<&NormSpec> {
        let AttentionSpec::Gqa(attention) = &self.attention;
        let mut norms = vec![&self.input_norm, &self.post_attention_norm];
        norms.extend(&attention.q_norm);
        norms.extend(&attention.k_norm);
        norms
    }
}

fn norm_tensor(norm: &NormSpec) -> TensorSpec {
    TensorSpec {
        name: format!("{}.weight", norm.name),
        shape: vec![norm.size],
        dtypes: FLOATS,
        role: Role::Replicated,
    }
}

impl ModelSpec {
    /// The decoder layers of `range`, or none if it reaches beyond the last.
    #[must_use]
    pub fn layer_range(&self, range: Range<usize>) -> &[LayerSpec] {
        self.layers.get(range).unwrap_or(&[])
    }

    /// Every tensor that the layers of `range` need; with the embedding when the range starts at 0
    /// (or ends at the last layer of a model whose head is tied to it), and with the final norm and
    /// the head when it ends at the last layer.
    #[must_use]
    pub fn tensors(&self, range: Range<usize>) -> Vec<TensorSpec> {
        let last = range.end >= self.layers.len();
        let mut tensors = Vec::new();
        if range.start == 0 || last && self.head.is_none() {
            tensors.extend(self.embedding.tensors());
        }
        for layer in self.layer_range(range) {
            tensors.extend(layer.norms().into_iter().map(norm_tensor));
            tensors.extend(layer.weights().into_iter().flat_map(WeightSpec::tensors));
        }
        if last {
            tensors.push(norm_tensor(&self.final_norm));
            tensors.extend(self.head.iter().flat_map(WeightSpec::tensors));
        }
        tensors
    }

    /// Bytes of the tensors that `range` needs, with dense tensors in [`ModelSpec::dtype`].
    #[must_use]
    pub fn weight_bytes(&self, range: Range<usize>) -> u64 {
        self.tensors(range)
            .iter()
            .map(|tensor| tensor.bytes(self.dtype))
            .sum()
    }

    /// Bytes that one position's keys and values take in the layers of `range`, stored with
    /// `value_bytes` per number.
    #[must_use]
    pub fn kv_bytes_per_position(&self, range: Range<usize>, value_bytes: usize) -> u64 {
        let per_layer = |layer: &LayerSpec| {
            let AttentionSpec::Gqa(attention) = &layer.attention;
            2 * (attention.num_kv_heads * attention.head_dim * value_bytes) as u64
        };
        self.layer_range(range).iter().map(per_layer).sum()
    }

    /// How many numbers the model has (quantised ones count as the numbers they stand for).
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let weight = |weight: &WeightSpec| {
            let bias = if weight.bias { weight.out_features } else { 0 };
            (weight.out_features * weight.in_features + bias) as u64
        };
        let layer = |layer: &LayerSpec| {
            let norms: usize = layer.norms().iter().map(|norm| norm.size).sum();
            layer.weights().into_iter().map(weight).sum::<u64>() + norms as u64
        };
        weight(&self.embedding)
            + self.layers.iter().map(layer).sum::<u64>()
            + self.final_norm.size as u64
            + self.head.as_ref().map_or(0, weight)
    }

    /// Takes the checkpoint's word for which weights are quantised: MLX's converter can leave some
    /// alone without a note in config.json, and then stores no `.scales` for them.
    pub(super) fn reconcile(&mut self, checkpoint: &Checkpoint) {
        let layers = self.layers.iter_mut().flat_map(LayerSpec::weights_mut);
        for weight in layers.chain([&mut self.embedding]).chain(&mut self.head) {
            if checkpoint.get(&format!("{}.scales", weight.name)).is_none() {
                weight.quantization = None;
            }
        }
    }

    /// Whether `checkpoint` has every tensor of the model in the right shape and type. Others, such
    /// as old checkpoints' `rotary_emb.inv_freq`, are ignored.
    ///
    /// # Errors
    /// The first tensor that is missing or does not fit.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<(), ModelError> {
        self.tensors(0..self.layers.len())
            .iter()
            .try_for_each(|tensor| find(tensor, checkpoint).map(|_| ()))
    }
}

/// The entry of `tensor`, if its shape and type are as the model needs them.
///
/// # Errors
/// [`ModelError::MissingTensor`] or [`ModelError::Tensor`].
pub fn find<'a>(
    tensor: &TensorSpec,
    checkpoint: &'a Checkpoint,
) -> Result<&'a TensorEntry, ModelError> {
    let missing = || ModelError::MissingTensor {
        name: tensor.name.clone(),
    };
    let entry = checkpoint.get(&tensor.name).ok_or_else(missing)?;
    if entry.shape != tensor.shape {
        let reason = format!(
            "has shape {:?}, but config.json implies {:?}",
            entry.shape, tensor.shape
        );
        return Err(ModelError::tensor(&tensor.name, reason));
    }
    if !tensor.dtypes.contains(&entry.dtype) {
        let names: Vec<String> = tensor.dtypes.iter().map(Dtype::to_string).collect();
        let reason = format!("has type {}, but must be {}", entry.dtype, names.join(", "));
        return Err(ModelError::tensor(&tensor.name, reason));
    }
    Ok(entry)
}
