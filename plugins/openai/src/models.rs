//! `GET /v1/models` and `GET /v1/models/{id}`.

use atoll_sdk::types::ModelInfo;
use serde::Serialize;

/// A list of models.
#[derive(Debug, Serialize)]
pub(crate) struct ModelList<'a> {
    object: &'static str,
    data: Vec<ModelObject<'a>>,
}

/// One model. `context_length` is not OpenAI's; clients that know it size their prompts by it.
#[derive(Debug, Serialize)]
pub(crate) struct ModelObject<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u32>,
}

/// All models, in the host's order.
pub(crate) fn list(models: &[ModelInfo]) -> ModelList<'_> {
    ModelList {
        object: "list",
        data: models.iter().map(one).collect(),
    }
}

/// One model.
pub(crate) fn one(model: &ModelInfo) -> ModelObject<'_> {
    ModelObject {
        id: &model.id,
        object: "model",
        created: model.created_at,
        owned_by: &model.owned_by,
        context_length: (model.context_length > 0).then_some(model.context_length),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn models_have_the_four_fields_clients_require() {
        let model = ModelInfo {
            id: "org/name:tag".to_owned(),
            created_at: 5,
            owned_by: "org".to_owned(),
            family: "llama".to_owned(),
            quantization: "q4".to_owned(),
            parameters: 1,
            size_bytes: 2,
            digest: String::new(),
            context_length: 0,
            embedding_length: 0,
            capabilities: vec![],
            template: None,
            license: None,
            loaded: None,
            ext: None,
        };
        let one = json!({"id": "org/name:tag", "object": "model", "created": 5, "owned_by": "org"});
        assert_eq!(
            serde_json::to_value(list(std::slice::from_ref(&model))).unwrap(),
            json!({"object": "list", "data": [one]})
        );
        let model = ModelInfo {
            context_length: 4096,
            ..model
        };
        assert_eq!(
            serde_json::to_value(super::one(&model)).unwrap()["context_length"],
            4096
        );
        assert_eq!(
            serde_json::to_value(list(&[])).unwrap(),
            json!({"object": "list", "data": []})
        );
    }
}
