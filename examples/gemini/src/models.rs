//! Answers that are not generations.

use atoll_sdk::types::ModelInfo;
use serde_json::{Value, json};

pub fn token_count(count: u32) -> Value {
    json!({ "totalTokens": count })
}

pub fn list(models: &[ModelInfo]) -> Value {
    json!({ "models": models.iter().map(one).collect::<Vec<_>>() })
}

pub fn one(model: &ModelInfo) -> Value {
    json!({
        "name": format!("models/{}", model.id),
        "displayName": model.id,
        "inputTokenLimit": model.context_length,
        "outputTokenLimit": model.context_length,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    })
}
