//! Mistral 7B, Nemo, Small (Jiang et al. 2023): Llama with a sliding window in every layer where
//! `sliding_window` is not null.

use super::super::builder::{Builder, DecoderStyle};
use super::super::config::MAX_POSITIONS;
use super::super::{ModelError, ModelSpec};

/// The window transformers assumes when config.json does not mention one at all.
const DEFAULT_WINDOW: usize = 4096;

/// No biases; all layers slide, or none.
pub(super) fn describe(model: &Builder<'_>) -> Result<ModelSpec, ModelError> {
    let window = match model
        .config
        .optional_size("sliding_window", MAX_POSITIONS)?
    {
        None if !model.config.has("sliding_window") => Some(DEFAULT_WINDOW),
        given => given,
    };
    let style = DecoderStyle {
        qkv_bias: false,
        o_bias: false,
        mlp_bias: false,
        qk_norm: false,
        default_head_dim: None,
        window,
        first_sliding_layer: 0,
        moe: None,
    };
    model.decoder("mistral", &style)
}
