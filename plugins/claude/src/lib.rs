//! The Claude dialect: `POST /v1/messages`, `POST /v1/messages/count_tokens` and the Models list, as
//! Anthropic's SDKs and agents speak them.
//!
//! [`request`] and [`content`] read what clients send, [`answer`] writes what they get back, streamed or
//! whole, from the same events; [`seal`] signs thinking and knows it again; [`models`] and [`error`] are the rest of
//! the API's surface.
//!
//! `GET /v1/models` is shared with the OpenAI dialect: requests that carry `anthropic-version` come here.

pub mod answer;
pub mod content;
pub mod error;
pub mod models;
pub mod request;
pub mod seal;
#[cfg(test)]
mod tests;

use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::quota::RateLimits;
use atoll_sdk::types::{
    Descriptor, Error, Event, Grant, Header, HttpRequest, HttpResponse, Operation, OperationResult,
    ResponseHead,
};
use atoll_sdk::{json, sse, time};
use serde_json::json;

use answer::Answer;
use seal::Key;

/// The API as a plugin.
pub struct Claude;

/// One request and its answer.
pub struct ClaudeExchange {
    request: HttpRequest,
    answer: Answer,
    signing: Signing,
}

/// The key for signatures, looked up when the first thinking comes or goes: most exchanges have none.
#[derive(Debug, Default)]
pub(crate) struct Signing(Option<Key>);

impl Signing {
    pub(crate) fn key(&mut self) -> Result<&Key, Error> {
        match &mut self.0 {
            Some(key) => Ok(key),
            empty => Ok(empty.insert(Key::load()?)),
        }
    }
}

impl Dialect for Claude {
    type Exchange = ClaudeExchange;

    fn describe() -> DialectDescriptor {
        let of_claude = |path: &str| Route {
            header: Some("anthropic-version".to_owned()),
            ..Route::new("GET", path)
        };
        DialectDescriptor {
            plugin: Descriptor::new(
                "claude",
                env!("CARGO_PKG_VERSION"),
                "Claude: Messages, token counting, Models.",
            )
            .with_settings_schema(seal::SETTINGS)
            .wanting(
                Grant::Config,
                "To read the key that thinking is signed with, if there is one.",
            )
            .wanting(
                Grant::Kv,
                "To keep a key for signatures where none is configured.",
            )
            .wanting(Grant::Random, "To make that key."),
            routes: vec![
                Route::new("POST", "/v1/messages"),
                Route::new("POST", "/v1/messages/count_tokens"),
                of_claude("/v1/models"),
                of_claude("/v1/models/{id...}"),
            ],
        }
    }
}

impl ClaudeExchange {
    /// Signs with this key instead of the plugin's own.
    #[cfg(test)]
    pub(crate) fn signing_with(mut self, key: Key) -> Self {
        self.signing = Signing(Some(key));
        self
    }

    /// Headers of every answer: what it is, the id that the SDKs read as `_request_id`, and what is left
    /// of the key's limits.
    fn headers(&self, content_type: &str) -> Vec<Header> {
        let mut headers = vec![
            Header::new("content-type", content_type),
            Header::new("request-id", request_id(&self.request.id)),
        ];
        for (name, limit) in RateLimits::of(&self.request).iter() {
            let wait = limit.reset_ms.div_ceil(1000);
            let reset = self.request.received_at.saturating_add(wait);
            for (what, value) in [
                ("limit", limit.limit.to_string()),
                ("remaining", limit.remaining.to_string()),
                ("reset", time::rfc3339(reset)),
            ] {
                let name = format!("anthropic-ratelimit-{name}-{what}");
                headers.push(Header::new(name, value));
            }
        }
        headers
    }

    fn whole(&self, status: u16, body: &serde_json::Value) -> Result<HttpResponse, Error> {
        Ok(HttpResponse {
            head: ResponseHead {
                status,
                headers: self.headers("application/json"),
            },
            body: json::to_vec(body)?,
        })
    }
}

impl Exchange for ClaudeExchange {
    fn new(request: HttpRequest) -> Self {
        Self {
            request,
            answer: Answer::default(),
            signing: Signing::default(),
        }
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        if self.request.method == "GET" {
            return Ok(match self.request.path_param("id") {
                Some(id) => Operation::ShowModel(id.to_owned()),
                None => Operation::ListModels,
            });
        }
        let counting = self
            .request
            .path
            .trim_end_matches('/')
            .ends_with("/count_tokens");
        let body = std::mem::take(&mut self.request.body);
        let (generate, shape) = request::decode(&body, counting, &mut self.signing)?;
        self.answer = Answer::new(shape);
        Ok(if counting {
            Operation::CountTokens(generate)
        } else {
            Operation::Generate(generate)
        })
    }

    fn head(&mut self) -> ResponseHead {
        let content_type = if self.answer.streams() {
            sse::CONTENT_TYPE
        } else {
            "application/json"
        };
        let mut headers = self.headers(content_type);
        if self.answer.streams() {
            headers.push(Header::new("cache-control", "no-cache"));
        }
        ResponseHead {
            status: 200,
            headers,
        }
    }

    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for event in events {
            self.answer
                .encode(event, &self.request.id, &mut self.signing, &mut out)?;
        }
        Ok(out)
    }

    fn reply(&mut self, outcome: OperationResult) -> Result<HttpResponse, Error> {
        let body = match outcome {
            OperationResult::TokenCount(tokens) => json!({ "input_tokens": tokens }),
            OperationResult::Models(list) => models::page(&list, &self.request)?,
            OperationResult::Model(model) => models::entry(&model),
            _ => {
                return Err(Error::internal(
                    "this operation has no answer in the Messages API",
                ));
            }
        };
        self.whole(200, &body)
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        let status = error::status(&reason);
        let body = error::body(&reason, &self.request.id);
        let mut headers = self.headers("application/json");
        if let Some(wait) = reason.retry_after_ms {
            headers.push(Header::new("retry-after", wait.div_ceil(1000).to_string()));
        }
        HttpResponse {
            head: ResponseHead { status, headers },
            body: body.to_string().into_bytes(),
        }
    }
}

/// The host's id as this API spells ids: `req_` and then the host's own.
pub(crate) fn request_id(id: &str) -> String {
    format!("req_{}", bare_id(id))
}

/// The host's id without a prefix that it may have already.
pub(crate) fn bare_id(id: &str) -> &str {
    id.strip_prefix("req_").unwrap_or(id)
}

atoll_sdk::export_dialect!(Claude);
