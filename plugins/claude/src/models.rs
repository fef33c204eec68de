//! `GET /v1/models` and `GET /v1/models/{id}` in Anthropic's shape.

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
        "max_input_tokens": model.context_length,
        "max_tokens": model.context_length,
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

/// Unix seconds as RFC 3339 in UTC; the calendar is Howard Hinnant's `civil_from_days`.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
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

    #[test]
    fn dates_are_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_795_478_400), "2026-11-24T00:00:00Z");
    }
}
