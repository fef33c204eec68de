//! Models as Ollama lists and shows them, and embeddings.

use atoll_sdk::time::rfc3339;
use atoll_sdk::types::{Embeddings, ModelInfo};
use serde_json::{Value, json};

/// Ollama shows `for ever` as a date far away; clients parse it.
const NEVER: &str = "2318-11-24T00:00:00Z";

/// A model's name with its tag.
#[must_use]
pub fn tagged(name: &str) -> String {
    if name.contains(':') {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

/// `/api/tags`
#[must_use]
pub fn tags(models: &[ModelInfo]) -> Value {
    let models: Vec<Value> = models
        .iter()
        .map(|model| {
            json!({
                "name": tagged(&model.id),
                "model": tagged(&model.id),
                "modified_at": rfc3339(model.created_at),
                "size": model.size_bytes,
                "digest": model.digest,
                "details": details(model),
                "capabilities": capabilities(model),
            })
        })
        .collect();
    json!({ "models": models })
}

/// `/api/ps`
#[must_use]
pub fn running(models: &[ModelInfo]) -> Value {
    let models: Vec<Value> = models
        .iter()
        .filter_map(|model| {
            let loaded = model.loaded.as_ref()?;
            Some(json!({
                "name": tagged(&model.id),
                "model": tagged(&model.id),
                "size": loaded.memory_bytes,
                "digest": model.digest,
                "details": details(model),
                "expires_at": loaded.expires_at.map_or_else(|| NEVER.to_owned(), rfc3339),
                "size_vram": 0,
                "context_length": model.context_length,
            }))
        })
        .collect();
    json!({ "models": models })
}

/// `/api/show`
#[must_use]
pub fn show(model: &ModelInfo) -> Value {
    let mut info = serde_json::Map::new();
    info.insert("general.architecture".into(), json!(model.family));
    info.insert("general.basename".into(), json!(model.id));
    info.insert("general.parameter_count".into(), json!(model.parameters));
    info.insert(
        format!("{}.context_length", model.family),
        json!(model.context_length),
    );
    info.insert(
        format!("{}.embedding_length", model.family),
        json!(model.embedding_length),
    );
    json!({
        "license": model.license.as_deref().unwrap_or_default(),
        "modelfile": format!("FROM {}\n", model.id),
        "parameters": "",
        "template": model.template.as_deref().unwrap_or_default(),
        "details": details(model),
        "model_info": info,
        "capabilities": capabilities(model),
        "modified_at": rfc3339(model.created_at),
    })
}

/// `/api/embed`
#[must_use]
pub fn embed(model: &str, found: &Embeddings) -> Value {
    json!({
        "model": model,
        "embeddings": found.vectors,
        "total_duration": found.timings.total,
        "load_duration": found.timings.load,
        "prompt_eval_count": found.prompt_tokens,
    })
}

fn details(model: &ModelInfo) -> Value {
    json!({
        "parent_model": "",
        "format": "safetensors",
        "family": model.family,
        "families": [model.family],
        "parameter_size": parameter_size(model.parameters),
        "quantization_level": model.quantization.to_uppercase(),
        "context_length": model.context_length,
        "embedding_length": model.embedding_length,
    })
}

/// Canonical capabilities in Ollama's words.
fn capabilities(model: &ModelInfo) -> Vec<&str> {
    model
        .capabilities
        .iter()
        .filter_map(|capability| match capability.as_str() {
            "reasoning" => Some("thinking"),
            // Every model that completes also chats.
            "chat" => None,
            other => Some(other),
        })
        .collect()
}

fn parameter_size(parameters: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let count = parameters as f64;
    if count >= 1e9 {
        format!("{:.1}B", count / 1e9)
    } else {
        format!("{:.1}M", count / 1e6)
    }
}
