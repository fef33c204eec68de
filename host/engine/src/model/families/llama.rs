//! Llama 2, 3, 3.1, 3.2, 3.3 (Touvron et al. 2023; Grattafiori et al. 2024), and the many models
//! that use its layout under `model_type: llama`.

use super::super::builder::{Builder, DecoderStyle};
use super::super::config::MAX_POSITIONS;
use super::super::{ModelError, ModelSpec};

/// Grouped-query attention without biases, unless `attention_bias` or `mlp_bias` say otherwise.
pub(super) fn describe(model: &Builder<'_>) -> Result<ModelSpec, ModelError> {
    let attention_bias = model.config.flag("attention_bias", false)?;
    let style = DecoderStyle {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        mlp_bias: model.config.flag("mlp_bias", false)?,
        qk_norm: false,
        default_head_dim: None,
        window: model
            .config
            .optional_size("sliding_window", MAX_POSITIONS)?,
        first_sliding_layer: usize::MAX,
        moe: None,
    };
    model.decoder("llama", &style)
}
