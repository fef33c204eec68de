//! Qwen2 and Qwen2.5 (Yang et al. 2024): biases on queries, keys and values; a sliding window from
//! layer `max_window_layers` on where `use_sliding_window` is set.

use super::super::builder::{Builder, DecoderStyle};
use super::super::config::{Fields, MAX_LAYERS, MAX_POSITIONS};
use super::super::{ModelError, ModelSpec};

/// Biases on q, k and v only.
pub(super) fn describe(model: &Builder<'_>) -> Result<ModelSpec, ModelError> {
    let (window, first_sliding_layer) = window(&model.config)?;
    let style = DecoderStyle {
        qkv_bias: true,
        o_bias: false,
        mlp_bias: false,
        qk_norm: false,
        default_head_dim: None,
        window,
        first_sliding_layer,
        moe: None,
    };
    model.decoder("qwen2", &style)
}

/// Qwen's rule: the window, and the first layer it applies to. Off unless `use_sliding_window`.
pub(super) fn window(config: &Fields<'_>) -> Result<(Option<usize>, usize), ModelError> {
    if !config.flag("use_sliding_window", false)? {
        return Ok((None, usize::MAX));
    }
    let window = config.optional_size("sliding_window", MAX_POSITIONS)?;
    let full_layers = match config.get("max_window_layers") {
        // All layers slide; 0 is not a size.
        Some(value) if value.as_u64() == Some(0) => 0,
        _ => config
            .optional_size("max_window_layers", MAX_LAYERS)?
            .unwrap_or(28),
    };
    Ok((window, full_layers))
}
