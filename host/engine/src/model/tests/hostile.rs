//! Configurations that nobody should have written.

use proptest::prelude::*;

use super::folders::tiny;
use super::*;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..300).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "llama3",
            "yarn",
            "linear",
            "default",
            "sliding_attention",
            "silu",
            "affine",
            ""
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        let names = vec![
            "factor",
            "rope_type",
            "rope_theta",
            "bits",
            "group_size",
            "beta_fast",
            "beta_slow",
            "mscale",
            "original_max_position_embeddings",
            "full_attention",
            "low_freq_factor",
            "high_freq_factor",
            "truncate",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(names).prop_map(str::to_owned),
                inner,
                0..6
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever a config.json says: an error, or a spec that keeps its promises.
    #[test]
    fn hostile_configurations_never_panic(
        family in prop::sample::select(vec!["llama", "mistral", "qwen2", "qwen3", "qwen3_moe"]),
        changes in prop::collection::vec((prop::sample::select(vec![
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "head_dim", "vocab_size", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_scaling",
            "rope_parameters", "quantization", "quantization_config", "layer_types", "sliding_window",
            "use_sliding_window", "max_window_layers", "attention_bias", "tie_word_embeddings", "dtype", "num_experts",
            "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob", "decoder_sparse_step", "mlp_only_layers",
        ]), any_value()), 0..4),
    ) {
        let mut config = with(tiny(), json!({"model_type": family, "num_experts": 4, "num_experts_per_tok": 2,
            "moe_intermediate_size": 64}));
        for (name, value) in changes {
            config[name] = value;
        }
        if let Ok(spec) = spec(&config) {
            for layer in &spec.layers {
                let attention = gqa(layer);
                prop_assert!(attention.num_heads.is_multiple_of(attention.num_kv_heads) && attention.head_dim.is_multiple_of(2));
                if let MlpSpec::Moe(moe) = &layer.mlp {
                    prop_assert!((1..=moe.experts.len()).contains(&moe.experts_per_token));
                }
                for weight in layer.weights() {
                    prop_assert!(weight.out_features > 0 && weight.in_features > 0);
                    if let Some(quantization) = weight.quantization {
                        prop_assert!(weight.in_features.is_multiple_of(quantization.group_size));
                    }
                }
            }
            prop_assert!(spec.rope.inverse_frequencies.iter().all(|f| f.is_finite() && *f >= 0.0));
            prop_assert!(spec.rope.attention_factor.is_finite() && spec.max_positions > 0);
            let _ = (spec.parameters(), spec.weight_bytes(0..spec.layers.len()));
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(ModelSpec::from_config(&bytes).is_err());
    }
}
