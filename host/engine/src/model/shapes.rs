//! Whether the parts of a [`ModelSpec`] fit together. One made from a configuration does; an executor that
//! hands shapes to kernels or to a library should not rest on that.

use super::{
    AttentionSpec, GatedMlpSpec, LayerSpec, MlpSpec, ModelError, ModelSpec, NormSpec, RopeSpec,
    WeightSpec,
};

impl ModelSpec {
    /// Compares every shape with what the layers before and after it need, and counts with each other.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] or [`ModelError::Config`] naming the first that does not fit.
    pub fn check_shapes(&self) -> Result<(), ModelError> {
        let (vocab, hidden) = (self.vocab_size, self.hidden_size);
        matrix(&self.embedding, vocab, hidden)?;
        if let Some(head) = &self.head {
            matrix(head, vocab, hidden)?;
        }
        norm(&self.final_norm, hidden)?;
        let rope = &self.rope;
        let rotated = rope.dim > 0 && rope.dim.is_multiple_of(2);
        if !rotated || rope.inverse_frequencies.len() != rope.dim / 2 {
            let reason = format!(
                "makes frequencies that do not fit {} rotated elements",
                rope.dim
            );
            return Err(ModelError::config("rope_parameters", reason));
        }
        self.layers
            .iter()
            .try_for_each(|layer| check_layer(layer, hidden, rope))
    }
}

fn check_layer(layer: &LayerSpec, hidden: usize, rope: &RopeSpec) -> Result<(), ModelError> {
    norm(&layer.input_norm, hidden)?;
    norm(&layer.post_attention_norm, hidden)?;
    let AttentionSpec::Gqa(gqa) = &layer.attention;
    let heads = gqa.num_heads > 0
        && gqa.num_kv_heads > 0
        && gqa.num_heads.is_multiple_of(gqa.num_kv_heads)
        && rope.dim <= gqa.head_dim
        && gqa.sliding_window != Some(0);
    if !heads {
        let reason = "does not fit the key and value heads, the rotated width or the window";
        return Err(ModelError::config("num_attention_heads", reason));
    }
    let (queries, keys) = (
        gqa.num_heads * gqa.head_dim,
        gqa.num_kv_heads * gqa.head_dim,
    );
    matrix(&gqa.q_proj, queries, hidden)?;
    matrix(&gqa.k_proj, keys, hidden)?;
    matrix(&gqa.v_proj, keys, hidden)?;
    matrix(&gqa.o_proj, hidden, queries)?;
    for head_norm in gqa.q_norm.iter().chain(&gqa.k_norm) {
        norm(head_norm, gqa.head_dim)?;
    }
    match &layer.mlp {
        MlpSpec::Gated(mlp) => gated(mlp, mlp.gate_proj.out_features, hidden),
        MlpSpec::Moe(moe) => {
            matrix(&moe.router, moe.experts.len(), hidden)?;
            if !(1..=moe.experts.len()).contains(&moe.experts_per_token) {
                let (chosen, all) = (moe.experts_per_token, moe.experts.len());
                let reason = format!("is {chosen}, of {all} experts");
                return Err(ModelError::config("num_experts_per_tok", reason));
            }
            let first = moe.experts.first();
            let wide = first.map_or(0, |expert| expert.gate_proj.out_features);
            moe.experts
                .iter()
                .try_for_each(|expert| gated(expert, wide, hidden))
        }
    }
}

fn gated(mlp: &GatedMlpSpec, wide: usize, hidden: usize) -> Result<(), ModelError> {
    matrix(&mlp.gate_proj, wide, hidden)?;
    matrix(&mlp.up_proj, wide, hidden)?;
    matrix(&mlp.down_proj, hidden, wide)
}

fn matrix(weight: &WeightSpec, rows: usize, columns: usize) -> Result<(), ModelError> {
    if (weight.out_features, weight.in_features) == (rows, columns) {
        return Ok(());
    }
    let (n, k) = (weight.out_features, weight.in_features);
    let reason = format!("is {n} x {k}, but the model needs {rows} x {columns}");
    Err(ModelError::tensor(&weight.name, reason))
}

fn norm(norm: &NormSpec, size: usize) -> Result<(), ModelError> {
    if norm.size == size {
        return Ok(());
    }
    let reason = format!("has {} elements, but the model needs {size}", norm.size);
    Err(ModelError::tensor(&norm.name, reason))
}
