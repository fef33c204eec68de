//! The Ollama dialect: `/api/chat`, `/api/generate`, embeddings and model management, as Ollama's own
//! clients speak them.
//!
//! [`request`] reads bodies, [`options`] their `options` and durations, [`template`] and [`memory`] the fields of
//! `/api/generate` that only it has, [`answer`] writes NDJSON lines or one object from the same events,
//! [`catalogue`] everything about models.
//!
//! Names: Ollama adds `:latest` to names without a tag, so `name` and `name:latest` are the same model here.

pub mod answer;
pub mod catalogue;
pub mod memory;
pub mod options;
pub mod request;
pub mod template;
#[cfg(test)]
mod tests;

use std::time::Duration;

use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::types::{
    Descriptor, Error, ErrorKind, Event, Grant, Header, HttpRequest, HttpResponse, Operation,
    OperationResult, ResponseHead,
};
use atoll_sdk::{json, ndjson};
use serde_json::json;

use answer::Answer;
use request::{Kind, Request};

/// The API level this dialect speaks. Clients parse it as three numbers and refuse old ones.
pub const API_VERSION: &str = "0.35.0";

/// The API as a plugin.
pub struct Ollama;

/// One request and its answer.
pub struct OllamaExchange {
    request: HttpRequest,
    kind: Kind,
    model: String,
    answer: Answer,
    /// The host's clock, since 1970.
    now: fn() -> Duration,
}

impl OllamaExchange {
    /// Tells the time of lines by another clock than the host's.
    #[cfg(test)]
    fn timed_by(mut self, now: fn() -> Duration) -> Self {
        self.now = now;
        self
    }
}

impl Dialect for Ollama {
    type Exchange = OllamaExchange;

    fn describe() -> DialectDescriptor {
        DialectDescriptor {
            plugin: Descriptor::new(
                "ollama",
                env!("CARGO_PKG_VERSION"),
                "Ollama: chat, generate, embeddings, model management.",
            )
            .wanting(
                Grant::manage_models(),
                "To pull, copy and delete models, and to load and keep them as its clients say.",
            )
            .wanting(Grant::Clock, "To say of each line when it was made."),
            routes: vec![
                Route::new("POST", "/api/chat"),
                Route::new("POST", "/api/generate"),
                Route::new("POST", "/api/embed"),
                Route::new("POST", "/api/embeddings"),
                Route::new("GET", "/api/tags"),
                Route::new("GET", "/api/ps"),
                Route::new("GET", "/api/version"),
                Route::new("POST", "/api/show"),
                Route::new("POST", "/api/pull"),
                Route::new("POST", "/api/copy"),
                Route::new("DELETE", "/api/delete"),
                // Refused, in words.
                Route::new("POST", "/api/create"),
                Route::new("POST", "/api/push"),
                Route::new("POST", "/api/blobs/{digest}"),
            ],
        }
    }
}

impl Exchange for OllamaExchange {
    fn new(request: HttpRequest) -> Self {
        let answer = Answer::new(Kind::Version, false, String::new());
        Self {
            request,
            kind: Kind::Version,
            model: String::new(),
            answer,
            now: atoll_sdk::host::clock::now,
        }
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        let body = std::mem::take(&mut self.request.body);
        let Request {
            kind,
            model,
            stream,
            memory,
            operation,
        } = request::decode(&self.request.method, &self.request.path, &body)?;
        self.kind = kind;
        self.model = model;
        self.answer = Answer::new(kind, stream, self.model.clone()).carrying(memory);
        Ok(operation)
    }

    fn head(&mut self) -> ResponseHead {
        let kind = if self.answer.streams() {
            ndjson::CONTENT_TYPE
        } else {
            "application/json; charset=utf-8"
        };
        ResponseHead {
            status: 200,
            headers: vec![Header::new("content-type", kind)],
        }
    }

    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.answer.at((self.now)());
        for event in events {
            self.answer.encode(event, &mut out)?;
        }
        Ok(out)
    }

    fn reply(&mut self, outcome: OperationResult) -> Result<HttpResponse, Error> {
        let body = match (self.kind, outcome) {
            (Kind::Version, _) => json!({ "version": API_VERSION }),
            (Kind::Tags, OperationResult::Models(models)) => catalogue::tags(&models),
            (Kind::Running, OperationResult::Models(models)) => catalogue::running(&models),
            (Kind::Show, OperationResult::Model(model)) => catalogue::show(&model),
            (Kind::Embed, OperationResult::Embeddings(found)) => {
                catalogue::embed(&self.model, &found)
            }
            (Kind::OldEmbeddings, OperationResult::Embeddings(found)) => {
                json!({ "embedding": found.vectors.first() })
            }
            // There was nothing to embed; the model is loaded.
            (Kind::Embed, OperationResult::None) => {
                json!({ "model": self.model, "embeddings": [] })
            }
            (Kind::OldEmbeddings, OperationResult::None) => json!({ "embedding": [] }),
            (Kind::Load { unload, chat }, _) => {
                self.answer.at((self.now)());
                self.answer.loaded(&self.model, unload, chat)
            }
            // Copying and deleting answer with an empty body.
            (Kind::Manage, _) => return Ok(HttpResponse::new(200, "text/plain", "")),
            _ => {
                return Err(Error::internal(
                    "this operation has no answer in the Ollama API",
                ));
            }
        };
        Ok(HttpResponse::new(
            200,
            "application/json; charset=utf-8",
            json::to_vec(&body)?,
        ))
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        let status = reason.http_status();
        let said = match lacking(&reason) {
            Some(ability) => format!("{:?} does not support {ability}", self.model),
            None => message(&reason),
        };
        let body = json!({ "error": said });
        let mut response =
            HttpResponse::new(status, "application/json; charset=utf-8", body.to_string());
        if let Some(wait) = reason.retry_after_ms {
            let seconds = wait.div_ceil(1000).to_string();
            response
                .head
                .headers
                .push(Header::new("retry-after", seconds));
        }
        response
    }
}

/// An error in Ollama's words, some of which clients look for.
#[must_use]
pub fn message(error: &Error) -> String {
    match &error.kind {
        // Clients look for how it begins.
        ErrorKind::ModelNotFound(model) => format!(
            "model '{model}' not found; GET /api/tags lists those that there are, \
             POST /api/pull downloads one"
        ),
        ErrorKind::ContextOverflow(size) => format!(
            "the input length exceeds the context length ({} tokens > {})",
            size.tokens, size.maximum
        ),
        ErrorKind::Overloaded => {
            format!("server busy, please try again. {}", error.message)
        }
        _ => match error.param.as_deref().and_then(own_name) {
            Some((theirs, ours)) => error.message.replace(theirs, ours),
            None => error.message.clone(),
        },
    }
}

/// A field that the host names otherwise than this API, and its name here.
fn own_name(param: &str) -> Option<(&'static str, &'static str)> {
    match param {
        "repetition_penalty" => Some(("repetition_penalty", "repeat_penalty")),
        "response_format" => Some(("response_format", "format")),
        "max_tokens" => Some(("max_tokens", "num_predict")),
        _ => None,
    }
}

/// The ability that a model was asked for and lacks, in Ollama's words. Clients look for them, to ask again without.
fn lacking(error: &Error) -> Option<&'static str> {
    if error.kind != ErrorKind::Unsupported {
        return None;
    }
    match error.param.as_deref()? {
        "tools" => Some("tools"),
        "reasoning" => Some("thinking"),
        "suffix" => Some("insert"),
        _ => None,
    }
}

/// Ollama spells models of the Hugging Face hub `hf.co/ORG/NAME`; the host knows only that hub.
fn hub_name(name: String) -> String {
    ["hf.co/", "huggingface.co/"]
        .iter()
        .find_map(|host| name.strip_prefix(host))
        .map(str::to_owned)
        .unwrap_or(name)
}

atoll_sdk::export_dialect!(Ollama);
