//! Canonical events to an answer: chunks of a stream, or one body.
//!
//! Both forms of an endpoint are state machines over the same events. Whatever the host's batching,
//! the bytes are the same; after the terminal event there are none.

mod chat;
mod chat_body;
mod chat_stream;
mod completion;
mod logprobs;
#[cfg(test)]
mod tests;
mod usage;

use atoll_sdk::types::{FinishReason, Started, Streaming};

pub(crate) use chat::{ChatAnswer, ChatOptions};
pub(crate) use completion::CompletionAnswer;

/// Whether the client wants the answer in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One JSON body.
    Whole,
    /// Server-sent events.
    Stream {
        /// One more chunk at the end, with usage and no choices.
        include_usage: bool,
    },
}

impl Mode {
    /// What the request asked for.
    pub(crate) fn of(streaming: &Streaming) -> Self {
        if streaming.enabled {
            Self::Stream {
                include_usage: streaming.include_usage,
            }
        } else {
            Self::Whole
        }
    }
}

/// How a chat was served, whatever `service_tier` asked for: there is one tier here.
const SERVICE_TIER: &str = "default";

/// What every chunk repeats and every body starts with.
#[derive(Clone, Debug, Default)]
struct Preamble {
    id: String,
    created: u64,
    model: String,
    fingerprint: Option<String>,
}

impl Preamble {
    fn new(prefix: &str, started: Started) -> Self {
        Self {
            id: format!("{prefix}-{}", bare_id(&started.response_id)),
            created: started.created_at,
            model: started.model,
            fingerprint: started.fingerprint,
        }
    }
}

/// The host's id without a prefix that it may have already.
fn bare_id(id: &str) -> &str {
    id.strip_prefix("req_").unwrap_or(id)
}

/// Why a choice ended, in the API's words. Whether tools were called is told by what the client
/// saw, not by what the model meant: an answer with calls never ends in `stop`.
fn finish_reason(reason: &FinishReason, called: bool, legacy: bool) -> &'static str {
    match reason {
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        | FinishReason::ToolCalls
        | FinishReason::Cancelled => match (called, legacy) {
            (false, _) => "stop",
            (true, false) => "tool_calls",
            (true, true) => "function_call",
        },
    }
}
