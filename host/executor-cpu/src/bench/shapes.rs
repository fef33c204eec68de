//! Shapes of published models, as their config.json has them.

use super::BenchError;
use atoll_engine::model::ModelSpec;

/// One model's sizes.
struct Shape {
    name: &'static str,
    family: &'static str,
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    vocab: usize,
    tied: bool,
    positions: usize,
    theta: f64,
    /// `rope_scaling`, as JSON.
    scaling: &'static str,
}

const LLAMA3: &str = r#"{"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}"#;

#[rustfmt::skip]
const SHAPES: [Shape; 9] = [
    Shape { name: "qwen2.5-0.5b", family: "qwen2", hidden: 896, intermediate: 4864, layers: 24, heads: 14, kv_heads: 2, head_dim: 64, vocab: 151_936, tied: true, positions: 32768, theta: 1e6, scaling: "null" },
    Shape { name: "qwen3-0.6b", family: "qwen3", hidden: 1024, intermediate: 3072, layers: 28, heads: 16, kv_heads: 8, head_dim: 128, vocab: 151_936, tied: true, positions: 40960, theta: 1e6, scaling: "null" },
    Shape { name: "qwen3-1.7b", family: "qwen3", hidden: 2048, intermediate: 6144, layers: 28, heads: 16, kv_heads: 8, head_dim: 128, vocab: 151_936, tied: true, positions: 40960, theta: 1e6, scaling: "null" },
    Shape { name: "qwen3-4b", family: "qwen3", hidden: 2560, intermediate: 9728, layers: 36, heads: 32, kv_heads: 8, head_dim: 128, vocab: 151_936, tied: true, positions: 40960, theta: 1e6, scaling: "null" },
    Shape { name: "qwen3-8b", family: "qwen3", hidden: 4096, intermediate: 12288, layers: 36, heads: 32, kv_heads: 8, head_dim: 128, vocab: 151_936, tied: false, positions: 40960, theta: 1e6, scaling: "null" },
    Shape { name: "llama-3.2-1b", family: "llama", hidden: 2048, intermediate: 8192, layers: 16, heads: 32, kv_heads: 8, head_dim: 64, vocab: 128_256, tied: true, positions: 131_072, theta: 5e5, scaling: LLAMA3 },
    Shape { name: "llama-3.2-3b", family: "llama", hidden: 3072, intermediate: 8192, layers: 28, heads: 24, kv_heads: 8, head_dim: 128, vocab: 128_256, tied: true, positions: 131_072, theta: 5e5, scaling: LLAMA3 },
    Shape { name: "llama-2-7b", family: "llama", hidden: 4096, intermediate: 11008, layers: 32, heads: 32, kv_heads: 32, head_dim: 128, vocab: 32000, tied: false, positions: 4096, theta: 1e4, scaling: "null" },
    Shape { name: "mistral-7b-v0.3", family: "mistral", hidden: 4096, intermediate: 14336, layers: 32, heads: 32, kv_heads: 8, head_dim: 128, vocab: 32768, tied: false, positions: 32768, theta: 1e6, scaling: "null" },
];

/// Names that [`spec`] knows.
pub const NAMES: [&str; SHAPES.len()] = {
    let mut names = [""; SHAPES.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = SHAPES[i].name;
        i += 1;
    }
    names
};

/// The description of model `name` with weights of `bits` bits: 4 or 8 in groups of `group_size`,
/// or 16 for bf16. Made by the engine's own reading of a config.json.
///
/// # Errors
/// [`BenchError`] if the name or the format is not known.
pub fn spec(name: &str, bits: u32, group_size: usize) -> Result<ModelSpec, BenchError> {
    let shape = SHAPES
        .iter()
        .find(|shape| shape.name == name)
        .ok_or_else(|| BenchError::UnknownModel {
            name: name.to_owned(),
        })?;
    let quantization = match bits {
        4 | 8 => format!(r#"{{"bits": {bits}, "group_size": {group_size}}}"#),
        16 => "null".to_owned(),
        _ => {
            let reason = format!("{bits} bits: 4, 8 and 16 (bf16) can be measured");
            return Err(BenchError::Option(reason));
        }
    };
    let Shape {
        family,
        hidden,
        intermediate,
        layers,
        heads,
        kv_heads,
        head_dim,
        vocab,
        tied,
        positions,
        theta,
        scaling,
        ..
    } = shape;
    let config = format!(
        r#"{{"model_type": "{family}", "hidden_size": {hidden},
        "intermediate_size": {intermediate}, "num_hidden_layers": {layers},
        "num_attention_heads": {heads}, "num_key_value_heads": {kv_heads},
        "head_dim": {head_dim}, "vocab_size": {vocab}, "tie_word_embeddings": {tied},
        "max_position_embeddings": {positions}, "rope_theta": {theta:.1},
        "rope_scaling": {scaling}, "rms_norm_eps": 1e-6, "hidden_act": "silu",
        "torch_dtype": "bfloat16", "quantization": {quantization}}}"#
    );
    Ok(ModelSpec::from_config(config.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_width_has_a_description() {
        for name in NAMES {
            for bits in [4, 8, 16] {
                let spec = spec(name, bits, 64).unwrap();
                assert_eq!(spec.embedding.quantization.is_some(), bits != 16, "{name}");
            }
        }
        assert!(spec("gpt-5", 4, 64).is_err());
        assert!(spec("qwen3-0.6b", 3, 64).is_err());
    }
}
