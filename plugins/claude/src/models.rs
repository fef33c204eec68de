//! `GET /v1/models` and `GET /v1/models/{id}` in Anthropic's shape.

use atoll_sdk::time::rfc3339;
use atoll_sdk::types::{Error, HttpRequest, ModelInfo};
use serde_json::{Value, json};

/// Entries on a page when the client does not say.
const PAGE: usize = 20;
/// The most a client may ask for.
const MAX_PAGE: usize = 1000;

/// One model.
#[must_use]
pub fn entry(model: &ModelInfo) -> Value {
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": rfc3339(model.created_at),
        "lifecycle": "active",
        "max_input_tokens": model.context_length,
        "max_tokens": model.context_length,
        "capabilities": capabilities(model),
    })
}

/// Every capability the API knows, each with whether it is there.
fn capabilities(model: &ModelInfo) -> Value {
    let has = |name: &str| model.capabilities.iter().any(|has| has == name);
    let supported = |supported: bool| json!({ "supported": supported });
    let (thinks, writes, no) = (has("reasoning"), has("completion"), supported(false));
    json!({
        "batch": no,
        "citations": no,
        "code_execution": no,
        "context_management": {
            "supported": false,
            "clear_thinking_20251015": no,
            "clear_tool_uses_20250919": no,
            "compact_20260112": no,
        },
        "effort": {
            "supported": thinks,
            "low": supported(thinks),
            "medium": supported(thinks),
            "high": supported(thinks),
            "xhigh": supported(thinks),
            "max": supported(thinks),
        },
        "image_input": supported(has("vision")),
        "pdf_input": no,
        "server_tools": { "supported": false, "code_execution": no, "web_search": no },
        "structured_outputs": supported(writes),
        "thinking": {
            "supported": thinks,
            "types": {
                "adaptive": supported(thinks),
                "between_tools": supported(thinks),
                "disabled": supported(true),
                "enabled": supported(thinks),
            },
        },
    })
}

/// A page of the list, by `limit`, `after_id` and `before_id`.
///
/// # Errors
/// A limit that is no number from 1 to 1000.
pub fn page(models: &[ModelInfo], request: &HttpRequest) -> Result<Value, Error> {
    let limit = match request.query_param("limit") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .ok_or_else(|| Error::invalid("limit", format!("must be from 1 to {MAX_PAGE}")))?,
    };
    let position = |id: &str| models.iter().position(|model| model.id == id);
    let start = request
        .query_param("after_id")
        .and_then(position)
        .map_or(0, |at| at + 1);
    let end = request
        .query_param("before_id")
        .and_then(position)
        .unwrap_or(models.len());
    let window = models.get(start..end).unwrap_or(&[]);
    // Going back, a page is the entries just before the mark.
    let (shown, has_more) = if request.query_param("before_id").is_some() {
        let from = window.len().saturating_sub(limit);
        (&window[from..], from > 0)
    } else {
        (&window[..limit.min(window.len())], window.len() > limit)
    };
    Ok(json!({
        "data": shown.iter().map(entry).collect::<Vec<_>>(),
        "has_more": has_more,
        "first_id": shown.first().map(|model| &model.id),
        "last_id": shown.last().map(|model| &model.id),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str) -> ModelInfo {
        ModelInfo {
            id: id.to_owned(),
            created_at: 1_764_000_000,
            owned_by: "local".into(),
            family: "qwen3".into(),
            quantization: "q4".into(),
            parameters: 1,
            size_bytes: 1,
            digest: String::new(),
            context_length: 4096,
            embedding_length: 64,
            capabilities: vec![],
            template: None,
            license: None,
            loaded: None,
            ext: None,
        }
    }

    fn request(query: &[(&str, &str)]) -> HttpRequest {
        HttpRequest {
            id: "1".into(),
            method: "GET".into(),
            path: "/v1/models".into(),
            path_params: vec![],
            query: query
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            headers: vec![],
            body: vec![],
            received_at: 0,
            ext: None,
        }
    }

    fn ids(page: &Value) -> Vec<&str> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["id"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn pages_go_forward_and_back() {
        let models: Vec<_> = ["a", "b", "c", "d"].into_iter().map(model).collect();
        let all = page(&models, &request(&[])).unwrap();
        assert_eq!(ids(&all), ["a", "b", "c", "d"]);
        assert_eq!(all["has_more"], false);
        let next = page(&models, &request(&[("limit", "2"), ("after_id", "a")])).unwrap();
        assert_eq!(
            (ids(&next), next["has_more"].as_bool()),
            (vec!["b", "c"], Some(true))
        );
        let back = page(&models, &request(&[("limit", "2"), ("before_id", "d")])).unwrap();
        assert_eq!(
            (ids(&back), back["has_more"].as_bool()),
            (vec!["b", "c"], Some(true))
        );
        assert!(page(&models, &request(&[("limit", "0")])).is_err());
        let none = page(&[], &request(&[])).unwrap();
        assert!(none["first_id"].is_null());
    }
}
