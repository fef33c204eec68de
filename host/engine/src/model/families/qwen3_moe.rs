//! Qwen3 mixture of experts (Yang et al. 2025): Qwen3's attention; most layers have experts instead of
//! one MLP.

use super::super::builder::Builder;
use super::super::config::{Fields, MAX_INTERMEDIATE, MAX_LAYERS};
use super::super::{ModelError, ModelSpec};
use super::qwen3;
use crate::model::builder::{MAX_EXPERTS, MoeStyle};

/// Experts in every `decoder_sparse_step`-th layer that `mlp_only_layers` does not name.
pub(super) fn describe(model: &Builder<'_>) -> Result<ModelSpec, ModelError> {
    let config = &model.config;
    let mut style = qwen3::style(model)?;
    style.moe = Some(MoeStyle {
        experts: config.size("num_experts", MAX_EXPERTS)?,
        per_token: config.size("num_experts_per_tok", MAX_EXPERTS)?,
        intermediate: config.size("moe_intermediate_size", MAX_INTERMEDIATE)?,
        normalise: config.flag("norm_topk_prob", false)?,
        step: config
            .optional_size("decoder_sparse_step", MAX_LAYERS)?
            .unwrap_or(1),
        dense_layers: dense_layers(config)?,
    });
    model.decoder("qwen3_moe", &style)
}

/// `mlp_only_layers`: layers with one MLP.
fn dense_layers(config: &Fields<'_>) -> Result<Vec<usize>, ModelError> {
    let refused = || ModelError::config("mlp_only_layers", "must be a list of layer numbers");
    let Some(value) = config.get("mlp_only_layers") else {
        return Ok(Vec::new());
    };
    let list = value.as_array().filter(|list| list.len() <= MAX_LAYERS);
    let numbers = list.ok_or_else(refused)?.iter().map(|value| {
        let number = value.as_u64().and_then(|n| usize::try_from(n).ok());
        number.ok_or_else(refused)
    });
    numbers.collect()
}
