//! From a [`ModelSpec`] to tensors: which ones a range of layers needs, their bytes, and whether a
//! checkpoint has them.

use std::ops::Range;

use super::builder::stacked_experts;
use super::checkpoint::{Checkpoint, TensorEntry};
use super::{
    AttentionSpec, Dtype, GatedMlpSpec, LayerSpec, MlpSpec, ModelError, ModelSpec, NormSpec, Role,
    Stack, WeightSpec,
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
    /// How it is divided over a tensor-parallel group: rows are the last but one axis, columns the last.
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
    /// The tensors of this weight: `weight`, and `scales`, `biases`, `bias` where they apply. Those
    /// of a [`Stack`] hold all its members.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let stacked = |rest: &[usize]| {
            let count = self.stack.map(|stack| stack.count);
            count.into_iter().chain(rest.iter().copied()).collect()
        };
        let matrix = |suffix: &str, columns: usize, dtypes| TensorSpec {
            name: format!("{}.{suffix}", self.name),
            shape: stacked(&[self.out_features, columns]),
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
                shape: stacked(&[self.out_features]),
                dtypes: FLOATS,
                role,
            });
        }
        tensors
    }

    /// [`WeightSpec::tensors`], but those of a stack only with its first member.
    fn own_tensors(&self) -> Vec<TensorSpec> {
        match self.stack {
            Some(stack) if stack.index > 0 => Vec::new(),
            _ => self.tensors(),
        }
    }
}

impl GatedMlpSpec {
    fn weights(&self) -> [&WeightSpec; 3] {
        [&self.gate_proj, &self.up_proj, &self.down_proj]
    }

    fn weights_mut(&mut self) -> [&mut WeightSpec; 3] {
        [&mut self.gate_proj, &mut self.up_proj, &mut self.down_proj]
    }
}

impl super::Quantization {
    /// Bits that a value may have.
    pub const BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];
    /// Values that may share a scale and a bias.
    pub const GROUP_SIZES: [usize; 3] = [32, 64, 128];

    /// `u32` words that hold one row of `in_features` values.
    #[must_use]
    pub fn packed_columns(&self, in_features: usize) -> usize {
        in_features * self.bits as usize / 32
    }
}

impl LayerSpec {
    /// The layer's weights, every expert's included.
    #[must_use]
    pub fn weights(&self) -> Vec<&WeightSpec> {
        let AttentionSpec::Gqa(attention) = &self.attention;
        let mut weights = vec![
            &attention.q_proj,
            &attention.k_proj,
            &attention.v_proj,
            &attention.o_proj,
        ];
        match &self.mlp {
            MlpSpec::Gated(mlp) => weights.extend(mlp.weights()),
            MlpSpec::Moe(moe) => {
                weights.push(&moe.router);
                weights.extend(moe.experts.iter().flat_map(GatedMlpSpec::weights));
            }
        }
        weights
    }

    fn weights_mut(&mut self) -> Vec<&mut WeightSpec> {
        let AttentionSpec::Gqa(attention) = &mut self.attention;
        let mut weights = vec![
            &mut attention.q_proj,
            &mut attention.k_proj,
            &mut attention.v_proj,
            &mut attention.o_proj,
        ];
        match &mut self.mlp {
            MlpSpec::Gated(mlp) => weights.extend(mlp.weights_mut()),
            MlpSpec::Moe(moe) => {
                weights.push(&mut moe.router);
                weights.extend(moe.experts.iter_mut().flat_map(GatedMlpSpec::weights_mut));
            }
        }
        weights
    }

    /// Takes the checkpoint's word for whether experts are stacked.
    fn reconcile_experts(&mut self, checkpoint: &Checkpoint) {
        let MlpSpec::Moe(moe) = &mut self.mlp else {
            return;
        };
        let Some(mlp) = moe.router.name.strip_suffix(".gate").map(str::to_owned) else {
            return;
        };
        let stacked = stacked_experts(&mlp);
        let is_stacked = checkpoint
            .get(&format!("{stacked}.gate_proj.weight"))
            .is_some();
        let count = moe.experts.len();
        for (index, expert) in moe.experts.iter_mut().enumerate() {
            for weight in expert.weights_mut() {
                let projection = weight.name.rsplit('.').next().unwrap_or_default();
                (weight.name, weight.stack) = if is_stacked {
                    let name = format!("{stacked}.{projection}");
                    (name, Some(Stack { index, count }))
                } else {
                    (format!("{mlp}.experts.{index}.{projection}"), None)
                };
            }
        }
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

impl NormSpec {
    /// The norm's one tensor.
    #[must_use]
    pub fn tensor(&self) -> TensorSpec {
        TensorSpec {
            name: format!("{}.weight", self.name),
            shape: vec![self.size],
            dtypes: FLOATS,
            role: Role::Replicated,
        }
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
            tensors.extend(layer.norms().into_iter().map(NormSpec::tensor));
            tensors.extend(
                layer
                    .weights()
                    .into_iter()
                    .flat_map(WeightSpec::own_tensors),
            );
        }
        if last {
            tensors.push(self.final_norm.tensor());
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
        for layer in &mut self.layers {
            layer.reconcile_experts(checkpoint);
        }
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
