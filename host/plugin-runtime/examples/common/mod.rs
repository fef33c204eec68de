//! What the examples that measure share: one error, and the requests and events they send.
#![allow(dead_code, reason = "each example takes what it needs")]

use atoll_plugin_runtime::{PluginError, types};

/// Why a measurement ended early.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
    #[error("the plugin answered: {0}")]
    Answer(String),
}

impl From<types::Error> for BenchError {
    fn from(error: types::Error) -> Self {
        Self::Answer(error.message)
    }
}

/// A request with this body.
pub fn request(method: &str, path: &str, body: &str) -> types::HttpRequest {
    types::HttpRequest {
        id: "bench".into(),
        method: method.into(),
        path: path.into(),
        path_params: vec![],
        query: vec![],
        headers: vec![types::Header {
            name: "content-type".into(),
            value: "application/json".into(),
        }],
        body: body.as_bytes().to_vec(),
        received_at: 0,
        ext: None,
    }
}

/// What a filter is told of that request.
pub fn context(request_id: &str) -> types::FilterContext {
    types::FilterContext {
        request_id: request_id.into(),
        dialect: "openai".into(),
        model: "atoll-demo".into(),
        key_name: None,
        conversation: None,
        ext: None,
    }
}

/// The event that begins an answer.
pub fn started() -> types::Event {
    types::Event::Started(types::Started {
        response_id: "bench".into(),
        created_at: 0,
        model: "atoll-demo".into(),
        prompt_tokens: 8,
        cached_tokens: 0,
        fingerprint: None,
    })
}

/// The event that begins its message.
pub fn item_started() -> types::Event {
    types::Event::ItemStarted(types::Item {
        choice: 0,
        index: 0,
        kind: types::ItemKind::Message,
    })
}

/// Some text of that message.
pub fn text(text: &str) -> types::Event {
    types::Event::TextDelta(types::Delta {
        choice: 0,
        item: 0,
        text: text.into(),
        tokens: vec![],
    })
}

/// KiB of this process in memory, where the system says (Linux); else 0.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
