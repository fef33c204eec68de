//! Configurations of published models: what they describe, and what is refused.

use serde_json::{Value, json};

use super::*;

mod folders;
mod hostile;
mod weights;

fn spec(config: &Value) -> Result<ModelSpec, ModelError> {
    ModelSpec::from_config(&serde_json::to_vec(config).unwrap())
}

fn with(mut config: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn llama_3_2_1b() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
        "vocab_size": 128256, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "attention_bias": false,
        "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                         "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    })
}

fn llama_3_1_8b() -> Value {
    json!({
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": false,
    })
}

fn mistral_7b() -> Value {
    json!({
        "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": false,
    })
}

fn qwen2_5_0_5b() -> Value {
    json!({
        "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
        "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768,
        "max_window_layers": 21, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "sliding_window": 32768,
        "tie_word_embeddings": true, "use_sliding_window": false, "torch_dtype": "bfloat16",
    })
}

fn qwen3_0_6b() -> Value {
    json!({
        "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
        "max_position_embeddings": 40960, "max_window_layers": 28, "rms_norm_eps": 1e-6, "rope_theta": 1000000,
        "rope_scaling": null, "sliding_window": null, "use_sliding_window": false, "tie_word_embeddings": true,
        "attention_bias": false, "torch_dtype": "bfloat16",
    })
}

fn qwen3_30b_a3b() -> Value {
    json!({
        "model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 48,
        "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936,
        "max_position_embeddings": 40960, "max_window_layers": 48, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
        "rope_scaling": null, "sliding_window": null, "use_sliding_window": false, "tie_word_embeddings": false,
        "attention_bias": false, "torch_dtype": "bfloat16", "decoder_sparse_step": 1, "mlp_only_layers": [],
        "moe_intermediate_size": 768, "norm_topk_prob": true, "num_experts": 128, "num_experts_per_tok": 8,
    })
}

fn gqa(layer: &LayerSpec) -> &GqaSpec {
    let AttentionSpec::Gqa(gqa) = &layer.attention;
    gqa
}

/// The published parameter counts: a shape or bias too many or too few would show.
#[test]
fn parameter_counts_are_the_published_ones() {
    for (config, count) in [
        (llama_3_2_1b(), 1_235_814_400),
        (llama_3_1_8b(), 8_030_261_248),
        (mistral_7b(), 7_241_732_096),
        (qwen2_5_0_5b(), 494_032_768),
        (qwen3_0_6b(), 596_049_920),
        (qwen3_30b_a3b(), 30_532_122_624),
    ] {
        let spec = spec(&config).unwrap();
        assert_eq!(spec.parameters(), count, "{}", spec.family);
        spec.check_shapes().unwrap();
        assert_eq!(
            spec.weight_bytes(0..spec.layers.len()),
            count * 2,
            "{}",
            spec.family
        );
    }
}

#[test]
fn families_differ_where_they_should() {
    let qwen2 = spec(&qwen2_5_0_5b()).unwrap();
    let attention = gqa(&qwen2.layers[0]);
    assert!(
        attention.q_proj.bias
            && attention.k_proj.bias
            && attention.v_proj.bias
            && !attention.o_proj.bias
    );
    assert!(attention.q_norm.is_none() && attention.sliding_window.is_none());
    assert_eq!(attention.head_dim, 64);

    let qwen3 = spec(&qwen3_0_6b()).unwrap();
    let attention = gqa(&qwen3.layers[27]);
    assert_eq!(
        attention.q_norm.as_ref().unwrap().name,
        "model.layers.27.self_attn.q_norm"
    );
    assert_eq!(
        (attention.q_proj.out_features, attention.k_proj.out_features),
        (2048, 1024)
    );
    assert!(!attention.q_proj.bias && qwen3.head.is_none());
    assert_eq!(qwen3.kv_bytes_per_position(0..28, 2), 28 * 2 * 8 * 128 * 2);

    let mistral = spec(&mistral_7b()).unwrap();
    assert!(
        mistral
            .layers
            .iter()
            .all(|layer| gqa(layer).sliding_window == Some(4096))
    );
    let unlimited = spec(&with(mistral_7b(), json!({"sliding_window": null}))).unwrap();
    assert!(
        unlimited
            .layers
            .iter()
            .all(|layer| gqa(layer).sliding_window.is_none())
    );

    let llama = spec(&llama_3_1_8b()).unwrap();
    assert_eq!(llama.head.unwrap().name, "lm_head");
    let biased = spec(&with(
        llama_3_2_1b(),
        json!({"attention_bias": true, "mlp_bias": true}),
    ))
    .unwrap();
    assert!(biased.layers[0].weights().iter().all(|weight| weight.bias));
}

#[test]
fn sliding_layers_follow_layer_types_or_the_family_rule() {
    let rule = json!({"use_sliding_window": true, "sliding_window": 1024, "max_window_layers": 20});
    let by_rule = spec(&with(qwen2_5_0_5b(), rule)).unwrap();
    let windows: Vec<_> = by_rule
        .layers
        .iter()
        .map(|layer| gqa(layer).sliding_window)
        .collect();
    assert!(
        windows[..20].iter().all(Option::is_none) && windows[20..].iter().all(|w| *w == Some(1024))
    );

    let mut types = vec!["full_attention"; 24];
    types[3] = "sliding_attention";
    let listed = json!({"use_sliding_window": true, "sliding_window": 1024, "layer_types": types});
    let by_list = spec(&with(qwen2_5_0_5b(), listed)).unwrap();
    let sliding: Vec<usize> = (0..24)
        .filter(|&i| gqa(&by_list.layers[i]).sliding_window.is_some())
        .collect();
    assert_eq!(sliding, [3]);
}

/// Expected numbers computed with the published formulas in double precision, outside this code.
#[test]
fn rope_scalings_give_the_published_frequencies() {
    let close = |spec: &ModelSpec, expected: &[(usize, f64)]| {
        for &(i, value) in expected {
            let own = f64::from(spec.rope.inverse_frequencies[i]);
            assert!((own - value).abs() <= value * 2e-6, "{i}: {own} {value}");
        }
    };
    let llama = spec(&llama_3_2_1b()).unwrap();
    assert_eq!(
        (
            llama.rope.dim,
            llama.rope.inverse_frequencies.len(),
            llama.max_positions
        ),
        (64, 32, 131_072)
    );
    close(
        &llama,
        &[
            (0, 1.0),
            (5, 0.128_687_373_432_650_52),
            (14, 0.003_211_445_994_752_591),
            (15, 0.001_290_547_928_209_264),
            (17, 9.708_287_802_627_67e-5),
            (20, 8.570_255_489_881_478e-6),
            (31, 9.418_306_725_434_909e-8),
        ],
    );
    let scaling =
        json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768});
    let yarn = spec(&with(qwen3_0_6b(), json!({"rope_scaling": scaling}))).unwrap();
    close(
        &yarn,
        &[
            (0, 1.0),
            (1, 0.805_842_187_761_481_9),
            (20, 0.013_335_214_321_633_24),
            (25, 0.004_131_738_022_518_394),
            (35, 0.000_246_258_406_908_938_7),
            (45, 1.510_740_975_595_331_9e-5),
            (63, 3.102_344_401_879_299e-7),
        ],
    );
    assert!((yarn.rope.attention_factor - 1.138_629_4).abs() < 1e-6);
    assert_eq!(yarn.max_positions, 131_072);
    let linear = json!({"rope_scaling": {"type": "linear", "factor": 2.0}});
    let linear = spec(&with(mistral_7b(), linear)).unwrap();
    close(&linear, &[(0, 0.5)]);
    assert_eq!(linear.max_positions, 65_536);
}

#[test]
fn both_rope_layouts_mean_the_same() {
    let old = llama_3_2_1b();
    let mut parameters = old["rope_scaling"].clone();
    parameters["rope_theta"] = old["rope_theta"].clone();
    let mut new = with(old.clone(), json!({"rope_parameters": parameters}));
    new.as_object_mut().unwrap().remove("rope_theta");
    new.as_object_mut().unwrap().remove("rope_scaling");
    assert_eq!(spec(&new).unwrap(), spec(&old).unwrap());
    let per_kind = with(
        new,
        json!({"rope_parameters": {"full_attention": parameters, "sliding_attention": parameters}}),
    );
    assert_eq!(spec(&per_kind).unwrap(), spec(&old).unwrap());
}

#[test]
fn quantisation_has_a_default_and_exceptions() {
    let quantization = json!({
        "group_size": 64, "bits": 4, "mode": "affine",
        "model.layers.1.mlp.down_proj": {"group_size": 32, "bits": 8},
        "model.layers.2.mlp.down_proj": false, "model.embed_tokens": true,
    });
    let spec = spec(&with(
        qwen3_0_6b(),
        json!({"quantization": quantization, "quantization_config": quantization}),
    ))
    .unwrap();
    let down = |layer: usize| spec.layers[layer].weights()[6].quantization;
    assert_eq!(
        down(0),
        Some(Quantization {
            bits: 4,
            group_size: 64
        })
    );
    assert_eq!(
        down(1),
        Some(Quantization {
            bits: 8,
            group_size: 32
        })
    );
    assert_eq!(down(2), None);
    assert_eq!(
        spec.embedding.quantization,
        Some(Quantization {
            bits: 4,
            group_size: 64
        })
    );
    let tensors = spec.layers[1].weights()[6].tensors();
    let shapes: Vec<(&str, &[usize])> = tensors
        .iter()
        .map(|tensor| {
            (
                tensor.name.rsplit('.').next().unwrap(),
                tensor.shape.as_slice(),
            )
        })
        .collect();
    assert_eq!(
        shapes,
        [
            ("weight", &[1024, 768][..]),
            ("scales", &[1024, 96]),
            ("biases", &[1024, 96])
        ]
    );
    assert_eq!(spec.parameters(), 596_049_920);
}

#[test]
fn experts_are_described_one_by_one_and_stored_apart_or_stacked() {
    let apart = spec(&qwen3_30b_a3b()).unwrap();
    let MlpSpec::Moe(moe) = &apart.layers[47].mlp else {
        panic!("layer 47 has no experts")
    };
    assert_eq!((moe.experts.len(), moe.experts_per_token), (128, 8));
    assert!(moe.normalise);
    let names = |spec: &ModelSpec| -> Vec<String> {
        spec.tensors(47..48).into_iter().map(|t| t.name).collect()
    };
    let last = "model.layers.47.mlp.experts.127.down_proj.weight".to_owned();
    assert!(names(&apart).contains(&last));

    // As MLX's converter leaves it: the same numbers in three tensors each.
    let quantization = json!({"group_size": 64, "bits": 4, "model.layers.47.mlp.gate": {"group_size": 64, "bits": 8}});
    let stacked = spec(&with(
        qwen3_30b_a3b(),
        json!({"quantization": quantization}),
    ))
    .unwrap();
    assert_eq!(stacked.parameters(), apart.parameters());
    let tensors = stacked.tensors(47..48);
    let tensor = |name: &str| {
        let name = format!("model.layers.47.mlp.{name}");
        let mut found = tensors.iter().filter(|tensor| tensor.name == name);
        let shape = found.next().map(|tensor| tensor.shape.clone());
        assert!(found.next().is_none(), "{name} twice");
        shape
    };
    assert_eq!(
        tensor("switch_mlp.gate_proj.weight"),
        Some(vec![128, 768, 256])
    );
    assert_eq!(
        tensor("switch_mlp.down_proj.scales"),
        Some(vec![128, 2048, 12])
    );
    assert_eq!(tensor("gate.weight"), Some(vec![128, 512]));
    // 4 bits and two bf16 for 64: 4.5 bits a weight, norms apart.
    let quantised = stacked.weight_bytes(0..48) as f64 * 8.0 / apart.parameters() as f64;
    assert!((4.5..4.52).contains(&quantised), "{quantised}");

    // Some layers have one MLP.
    let mixed = json!({"decoder_sparse_step": 2, "mlp_only_layers": [3]});
    let mixed = spec(&with(qwen3_30b_a3b(), mixed)).unwrap();
    let experts: Vec<usize> = (0..8)
        .filter(|&layer| matches!(mixed.layers[layer].mlp, MlpSpec::Moe(_)))
        .collect();
    assert_eq!(experts, [1, 5, 7]);
}

#[test]
fn ranges_partition_the_tensors() {
    for config in [qwen3_0_6b(), llama_3_1_8b(), qwen3_30b_a3b()] {
        let spec = spec(&config).unwrap();
        let layers = spec.layers.len();
        let all = spec.tensors(0..layers);
        let first = spec.tensors(0..5);
        let middle = spec.tensors(5..6);
        let last = spec.tensors(6..layers);
        // A tied head makes the last stage hold the embedding a second time.
        let twice = if spec.head.is_none() {
            spec.embedding.tensors().len()
        } else {
            0
        };
        assert_eq!(first.len() + middle.len() + last.len(), all.len() + twice);
        assert!(all.iter().all(|tensor| {
            [&first, &middle, &last]
                .iter()
                .any(|part| part.contains(tensor))
        }));
    }
}

#[test]
fn refusals_name_the_field_and_the_way_out() {
    let cases = [
        (
            json!({"model_type": "gpt_oss"}),
            "model_type",
            "llama, mistral, qwen2, qwen3, qwen3_moe",
        ),
        (json!({"model_type": null}), "model_type", "missing"),
        (json!({"hidden_size": null}), "hidden_size", "missing"),
        (json!({"hidden_size": 0}), "hidden_size", "from 1 to"),
        (json!({"hidden_size": -1}), "hidden_size", "from 1 to"),
        (json!({"hidden_size": 1e30}), "hidden_size", "from 1 to"),
        (json!({"hidden_size": "1024"}), "hidden_size", "from 1 to"),
        (
            json!({"num_hidden_layers": 1_000_000_000_000_u64}),
            "num_hidden_layers",
            "from 1 to 1024",
        ),
        (json!({"vocab_size": u64::MAX}), "vocab_size", "from 1 to"),
        (
            json!({"num_key_value_heads": 3}),
            "num_key_value_heads",
            "divide",
        ),
        (json!({"head_dim": 127}), "head_dim", "even"),
        (json!({"hidden_act": "gelu"}), "hidden_act", "silu"),
        (json!({"rms_norm_eps": "x"}), "rms_norm_eps", "number"),
        (json!({"rope_theta": 0}), "rope_theta", "number from"),
        (
            json!({"rope_scaling": {"type": "dynamic", "factor": 2.0}}),
            "rope_scaling.rope_type",
            "yarn",
        ),
        (
            json!({"rope_scaling": {"rope_type": "linear"}}),
            "rope_scaling.factor",
            "missing",
        ),
        (
            json!({"rope_scaling": {"rope_type": "linear", "factor": 0}}),
            "rope_scaling.factor",
            "number",
        ),
        (
            json!({"rope_scaling": {"rope_type": "x"}}),
            "rope_scaling.rope_type",
            "llama3",
        ),
        (
            json!({"partial_rotary_factor": 0.5}),
            "partial_rotary_factor",
            "whole heads",
        ),
        (
            json!({"layer_types": ["full_attention"]}),
            "layer_types",
            "list of 28",
        ),
        (
            json!({"layer_types": vec!["linear_attention"; 28]}),
            "layer_types",
            "linear_attention",
        ),
        (
            json!({"quantization": {"bits": 0, "group_size": 64}}),
            "quantization.bits",
            "from 1",
        ),
        (
            json!({"quantization": {"bits": 7, "group_size": 64}}),
            "quantization.bits",
            "6 or 8",
        ),
        (
            json!({"quantization": {"bits": 4, "group_size": 16}}),
            "quantization.group_size",
            "32, 64 or 128",
        ),
        (
            json!({"quantization": {"bits": 4, "group_size": 32, "mode": "mxfp4"}}),
            "quantization.mode",
            "affine",
        ),
        (
            json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}),
            "quant_method",
            "MLX build",
        ),
    ];
    let experts = [
        (json!({"num_experts": 0}), "num_experts", "from 1"),
        (json!({"num_experts": null}), "num_experts", "missing"),
        (
            json!({"num_experts_per_tok": 129}),
            "num_experts_per_tok",
            "more than num_experts",
        ),
        (json!({"num_experts": 4096}), "num_experts", "in all"),
        (
            json!({"decoder_sparse_step": 0}),
            "decoder_sparse_step",
            "from 1",
        ),
        (
            json!({"mlp_only_layers": ["x"]}),
            "mlp_only_layers",
            "list of layer numbers",
        ),
    ];
    for (change, field, advice) in experts {
        let error = spec(&with(qwen3_30b_a3b(), change))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(field) && error.contains(advice),
            "{field}, {advice}: {error}"
        );
    }
    for (change, field, advice) in cases {
        let error = spec(&with(qwen3_0_6b(), change)).unwrap_err().to_string();
        assert!(
            error.contains(field) && error.contains(advice),
            "{field}, {advice}: {error}"
        );
    }
    assert!(matches!(
        ModelSpec::from_config(b"{"),
        Err(ModelError::Json { .. })
    ));
    assert!(ModelSpec::from_config(b"[]").is_err());
}
