//! Finding folders by name, opening one whole, and unpacking an embedded one.

use serde_json::json;

use super::*;
use crate::model::Dtype;
use crate::text::fixtures;

/// A tiny Qwen3 with zero weights, complete with tokenizer and template.
fn write_model(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let tokenizer = fixtures::byte_level();
    let config = json!({
        "model_type": "qwen3", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "vocab_size": tokenizer.vocabulary_size(),
        "max_position_embeddings": 128, "tie_word_embeddings": true, "eos_token_id": [1, 4_000_000],
    });
    let config = serde_json::to_vec(&config).unwrap();
    let spec = ModelSpec::from_config(&config).unwrap();
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for tensor in spec.tensors(0..1) {
        let bytes = tensor.bytes(Dtype::Bf16);
        header.insert(
            tensor.name,
            json!({"dtype": "BF16", "shape": tensor.shape, "data_offsets": [end, end + bytes]}),
        );
        end += bytes;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(&header);
    weights.resize(weights.len() + end as usize, 0);
    for (name, content) in [
        ("config.json", config),
        ("model.safetensors", weights),
        ("tokenizer.json", fixtures::byte_level_json().into_bytes()),
        (
            "tokenizer_config.json",
            br#"{"eos_token": "<|im_end|>"}"#.to_vec(),
        ),
        (
            "chat_template.jinja",
            b"{% for m in messages %}{{ m.content }}{% endfor %}".to_vec(),
        ),
    ] {
        fs::write(folder.join(name), content).unwrap();
    }
}

fn ids(store: &ModelStore) -> Vec<String> {
    store
        .folders()
        .into_iter()
        .map(|folder| folder.id)
        .collect()
}

#[test]
fn folders_are_found_in_every_shape() {
    let root = tempfile::tempdir().unwrap();
    let touch = |path: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}").unwrap();
    };
    touch("plain/config.json");
    touch("org/name/config.json");
    touch("models--org--cached/snapshots/abc/config.json");
    touch("models--org--two/snapshots/old/config.json");
    touch("models--org--two/snapshots/new/config.json");
    touch(".hidden/config.json");
    touch("not-a-model/readme.md");
    touch("too/deep/down/config.json");
    fs::create_dir_all(root.path().join("models--org--two/refs")).unwrap();
    fs::write(root.path().join("models--org--two/refs/main"), "old\n").unwrap();

    let store = ModelStore::open([root.path().to_path_buf()]);
    assert_eq!(ids(&store), ["org/cached", "org/name", "org/two", "plain"]);
    assert!(
        store
            .find("org/two")
            .unwrap()
            .path()
            .ends_with("snapshots/old")
    );
    // A root that is a model itself, and one that does not exist.
    let single = ModelStore::open([root.path().join("plain"), root.path().join("nowhere")]);
    assert_eq!(ids(&single), ["plain"]);
}

#[test]
fn a_name_never_becomes_a_path() {
    let outside = tempfile::tempdir().unwrap();
    write_model(&outside.path().join("secret"));
    fs::create_dir(outside.path().join("root")).unwrap();
    let store = ModelStore::open([outside.path().join("root")]);
    let absolute = outside.path().join("secret");
    for name in [
        "../secret",
        "root/../secret",
        absolute.to_str().unwrap(),
        "",
        ".",
        "..",
    ] {
        assert!(
            matches!(store.find(name), Err(StoreError::NotFound { .. })),
            "{name}"
        );
    }
}

#[test]
fn a_folder_opens_whole() {
    let root = tempfile::tempdir().unwrap();
    write_model(&root.path().join("tiny"));
    let store = ModelStore::open([root.path().to_path_buf()]);
    let model = store.find("tiny").unwrap().load_text().unwrap();
    let end = model.tokenizer.token_id("<|im_end|>").unwrap();
    // The end token that config.json names beyond the vocabulary is left out.
    assert_eq!(model.info.eos, [1, end]);
    assert_eq!(model.generation.eos, model.info.eos);
    assert!(model.template.is_some() && model.info.created > 0);
    assert_eq!(
        (model.info.context_length, model.info.family.as_str()),
        (128, "qwen3")
    );
    assert_eq!(
        (model.info.bytes, model.info.weights_label().as_str()),
        (model.info.parameters * 2, "BF16")
    );

    let listed = store.list().remove(0).1.unwrap();
    assert_eq!(listed.parameters, model.info.parameters);
    assert!(listed.bytes > model.info.bytes && listed.eos.is_empty());
}

#[test]
fn broken_folders_are_listed_with_their_reason() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("tiny");
    write_model(&folder);
    for missing in ["tokenizer.json", "model.safetensors"] {
        fs::remove_file(folder.join(missing)).unwrap();
        let error = ModelFolder::new("tiny", &folder)
            .load_text()
            .unwrap_err()
            .to_string();
        assert!(error.contains(missing), "{error}");
    }
    fs::write(folder.join("config.json"), r#"{"model_type": "bert"}"#).unwrap();
    let store = ModelStore::open([root.path().to_path_buf()]);
    let [(found, Err(error))] = &store.list()[..] else {
        panic!("one broken model")
    };
    assert_eq!(found.id(), "tiny");
    assert!(error.to_string().contains("bert"), "{error}");
}

const FILES: &[(&str, &[u8])] = &[("config.json", b"{}"), ("model.safetensors", b"12345678")];

#[test]
fn embedded_models_are_unpacked_once_and_repaired() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().join("deep/cache");
    let model = EmbeddedModel {
        id: "org/demo",
        files: FILES,
    };
    let folder = model.unpack(&cache).unwrap();
    assert_eq!(folder.id(), "org/demo");
    assert_eq!(
        fs::read(folder.path().join("model.safetensors")).unwrap(),
        b"12345678"
    );
    assert_eq!(model.unpack(&cache).unwrap(), folder);
    // Cut short, as after a full disk: written again.
    fs::write(folder.path().join("model.safetensors"), b"1").unwrap();
    assert_eq!(model.unpack(&cache).unwrap(), folder);
    assert_eq!(
        fs::read(folder.path().join("model.safetensors")).unwrap(),
        b"12345678"
    );
    // Nothing temporary stays but the lock, and other content has another folder.
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
    let other = EmbeddedModel {
        id: "org/demo",
        files: &[("config.json", b"{ }")],
    };
    assert_ne!(other.unpack(&cache).unwrap().path(), folder.path());

    let escaping = EmbeddedModel {
        id: "bad",
        files: &[("../x", b"")],
    };
    assert!(matches!(
        escaping.unpack(&cache),
        Err(StoreError::Unpack(_))
    ));
    assert!(!cache.join("x").exists());
}

/// A file where the folder belongs, and the rest of a process that was killed while it wrote.
#[test]
fn leftovers_do_not_stand_in_the_way_of_unpacking() {
    let cache = tempfile::tempdir().unwrap();
    let model = EmbeddedModel {
        id: "demo",
        files: FILES,
    };
    let folder = model.unpack(cache.path()).unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    fs::write(folder.path(), b"no folder").unwrap();
    fs::create_dir(cache.path().join(".unpack")).unwrap();
    fs::write(cache.path().join(".unpack/config.json"), b"{").unwrap();
    model.unpack(cache.path()).unwrap();
    for (name, content) in FILES {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), *content);
    }
    assert!(!cache.path().join(".unpack").exists());
}

/// Servers started by one script share a cache, here one that an older process left incomplete: each
/// finds the whole model as soon as its own unpacking returns, and it stays.
#[test]
fn many_unpack_the_same_model_at_once() {
    let cache = tempfile::tempdir().unwrap();
    let model = EmbeddedModel {
        id: "demo",
        files: FILES,
    };
    for _ in 0..20 {
        let folder = model.unpack(cache.path()).unwrap();
        fs::write(folder.path().join("model.safetensors"), b"1").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let folder = model.unpack(cache.path()).unwrap();
                    for _ in 0..10 {
                        for (name, content) in FILES {
                            assert_eq!(fs::read(folder.path().join(name)).unwrap(), *content);
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn an_embedded_model_gives_way_to_a_folder_of_its_name() {
    let root = tempfile::tempdir().unwrap();
    write_model(&root.path().join("demo"));
    let elsewhere = tempfile::tempdir().unwrap();
    write_model(&elsewhere.path().join("unpacked"));
    let mut store = ModelStore::open([root.path().to_path_buf()]);
    store.add(ModelFolder::new("demo", elsewhere.path().join("unpacked")));
    store.add(ModelFolder::new("other", elsewhere.path().join("unpacked")));
    assert_eq!(ids(&store), ["demo", "other"]);
    assert!(store.find("demo").unwrap().path().starts_with(root.path()));
}
