//! Checkpoints against the descriptions of their models.

use super::*;

/// A folder with a small model's tensors, all zeros, in the types `spec` asks for first.
fn folder_of(config: &Value, skip: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut header = serde_json::Map::new();
    let mut end = 0;
    let spec = spec(config).unwrap();
    for tensor in spec.tensors(0..spec.layers.len()) {
        if skip.iter().any(|skip| tensor.name.contains(skip)) {
            continue;
        }
        let bytes = tensor.bytes(Dtype::Bf16);
        let dtype = tensor.dtypes[0].to_string();
        header.insert(
            tensor.name,
            json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [end, end + bytes]}),
        );
        end += bytes;
    }
    header.insert(
        "model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(),
        json!({"dtype": "F32", "shape": [1], "data_offsets": [end, end + 4]}),
    );
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(&header);
    file.resize(file.len() + end as usize + 4, 0);
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    std::fs::write(
        folder.path().join("config.json"),
        serde_json::to_vec(config).unwrap(),
    )
    .unwrap();
    folder
}

pub(super) fn tiny() -> Value {
    let sizes = json!({"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 96, "quantization": {"bits": 4, "group_size": 64}});
    with(qwen3_0_6b(), sizes)
}

fn read(folder: &Path) -> Result<ModelSpec, ModelError> {
    ModelSpec::read(folder, &Checkpoint::open(folder).unwrap())
}

#[test]
fn checkpoints_are_checked_against_the_description() {
    let good = folder_of(&tiny(), &[]);
    let spec = read(good.path()).unwrap();
    assert_eq!(spec, super::spec(&tiny()).unwrap());

    let incomplete = folder_of(&tiny(), &["layers.1.mlp.up_proj"]);
    let error = read(incomplete.path()).unwrap_err().to_string();
    assert!(
        error.contains("model.layers.1.mlp.up_proj.weight"),
        "{error}"
    );

    // Another shape in config.json than in the checkpoint.
    let other = serde_json::to_vec(&with(tiny(), json!({"intermediate_size": 192}))).unwrap();
    std::fs::write(good.path().join("config.json"), other).unwrap();
    let error = read(good.path()).unwrap_err().to_string();
    assert!(
        error.contains("has shape") && error.contains("192"),
        "{error}"
    );
}

/// MLX leaves some weights dense without saying so in config.json.
#[test]
fn weights_without_scales_are_dense() {
    let folder = folder_of(&with(tiny(), json!({"quantization": null})), &[]);
    std::fs::write(
        folder.path().join("config.json"),
        serde_json::to_vec(&tiny()).unwrap(),
    )
    .unwrap();
    let spec = read(folder.path()).unwrap();
    assert!(
        spec.layers
            .iter()
            .flat_map(LayerSpec::weights)
            .all(|weight| weight.quantization.is_none())
    );
    assert!(spec.embedding.quantization.is_none());
}

#[test]
fn the_checkpoint_decides_whether_experts_are_stacked() {
    let moe = json!({"model_type": "qwen3_moe", "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
        "decoder_sparse_step": 1, "norm_topk_prob": true});
    let stacked = folder_of(&with(tiny(), moe.clone()), &[]);
    assert_eq!(
        read(stacked.path()).unwrap(),
        spec(&with(tiny(), moe.clone())).unwrap()
    );
    let dense = with(with(tiny(), moe), json!({"quantization": null}));
    let apart = folder_of(&dense, &[]);
    assert_eq!(read(apart.path()).unwrap(), spec(&dense).unwrap());
    // A stack without quantisation: config.json alone says experts are apart.
    std::fs::write(
        stacked.path().join("config.json"),
        serde_json::to_vec(&dense).unwrap(),
    )
    .unwrap();
    let error = read(stacked.path()).unwrap_err().to_string();
    assert!(
        error.contains("has shape") || error.contains("has type"),
        "{error}"
    );
}
