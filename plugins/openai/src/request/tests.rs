//! Bodies and what becomes of them, as tables.

mod chat;
mod completion;
mod messages;

use atoll_sdk::json::Fields;
use atoll_sdk::types::{Error, GenerateRequest};
use serde_json::{Value, json};

/// A body with these fields on top of the two that every chat request needs.
fn chat_body(extra: Value) -> Vec<u8> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    serde_json::to_vec(&body).unwrap()
}

fn chat(extra: Value) -> Result<super::chat::Chat, Error> {
    super::chat::decode(Fields::parse(&chat_body(extra)).unwrap())
}

fn chat_request(extra: Value) -> GenerateRequest {
    chat(extra).unwrap().request
}

/// The field an error names.
fn param<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert!(error.http_status() == 400, "{error:?}");
    error.param.unwrap()
}
