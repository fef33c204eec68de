//! Qwen3, dense (Yang et al. 2025): RMSNorm on every query and key head before rotation, heads of
//! their own width, no biases unless `attention_bias`.

use super::super::builder::{Builder, DecoderStyle};
use super::super::{ModelError, ModelSpec};
use super::qwen2;

/// Width of a head when config.json does not say.
const DEFAULT_HEAD_DIM: usize = 128;

/// q_norm and k_norm; Qwen2's rule for sliding windows.
pub(super) fn describe(model: &Builder<'_>) -> Result<ModelSpec, ModelError> {
    model.decoder("qwen3", &style(model)?)
}

/// What Qwen3's sizes have in common.
pub(super) fn style(model: &Builder<'_>) -> Result<DecoderStyle, ModelError> {
    let attention_bias = model.config.flag("attention_bias", false)?;
    let (window, first_sliding_layer) = qwen2::window(&model.config)?;
    Ok(DecoderStyle {
        qkv_bias: attention_bias,
        o_bias: attention_bias,
        mlp_bias: false,
        qk_norm: true,
        default_head_dim: Some(DEFAULT_HEAD_DIM),
        window,
        first_sliding_layer,
        moe: None,
    })
}
