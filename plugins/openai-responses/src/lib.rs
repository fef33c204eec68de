//! The OpenAI Responses dialect: `POST /v1/responses`, whole or as a stream of numbered events; stored
//! responses (retrieve, delete, cancel, input items); `compact` and `input_tokens`. The messages of a WebSocket
//! are read and written too, but no route leads there: the host opens none yet.
//!
//! [`request`] reads bodies ([`input`] their items, [`tools`] their tools), [`socket`] the messages of a
//! WebSocket; [`answer`] writes the events and the response object, [`output`] the items in it, [`shape`] what
//! they repeat of the request; [`compact`] and [`items`] are endpoints of their own.
//!
//! The host keeps responses and gives them back as canonical requests and events, so a stored response is
//! written by the same code as a fresh one.

pub mod answer;
pub mod compact;
pub mod input;
pub mod items;
pub mod output;
pub mod request;
pub mod sealed;
pub mod shape;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod tools;

use atoll_plugin_openai_common::failure;
use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::types::{
    Descriptor, Error, ErrorKind, Event, GenerateRequest, Header, HttpRequest, HttpResponse,
    Operation, OperationResult, ResponseHead, StoredResponse, StoredStatus,
};
use atoll_sdk::{json, sse};
use serde_json::json;

use answer::{Answer, Wire};
use compact::Compaction;
use items::Page;
use shape::Shape;

/// The API as a plugin.
pub struct Responses;

/// One request and its answer.
pub struct ResponsesExchange {
    request: HttpRequest,
    asked: Asked,
}

/// What was asked for, as far as the answer must know.
enum Asked {
    /// Nothing yet, or a count or a deletion.
    Plain,
    Answer(Box<Answer>),
    Compaction(Compaction),
    Stored {
        stream: bool,
    },
    Items(Page),
}

impl Dialect for Responses {
    type Exchange = ResponsesExchange;

    fn describe() -> DialectDescriptor {
        let mut routes = Vec::new();
        // Clients whose base address has no version are common.
        for base in ["/v1/responses", "/responses"] {
            routes.extend([
                Route::new("POST", base),
                Route::new("POST", format!("{base}/input_tokens")),
                Route::new("POST", format!("{base}/compact")),
                Route::new("GET", format!("{base}/{{id}}")),
                Route::new("DELETE", format!("{base}/{{id}}")),
                Route::new("POST", format!("{base}/{{id}}/cancel")),
                Route::new("GET", format!("{base}/{{id}}/input_items")),
            ]);
        }
        DialectDescriptor {
            plugin: Descriptor::new(
                "openai-responses",
                env!("CARGO_PKG_VERSION"),
                "OpenAI Responses.",
            ),
            routes,
        }
    }
}

impl ResponsesExchange {
    /// Whether the request is a message of a WebSocket.
    fn is_socket(&self) -> bool {
        self.request.method == "GET" && self.request.header("upgrade").is_some()
    }

    fn answer(&mut self, request: GenerateRequest, wire: Wire) -> Operation {
        self.asked = Asked::Answer(Box::new(Answer::new(Shape::of(&request), wire)));
        Operation::Generate(request)
    }

    fn about_stored(&mut self, id: &str) -> Result<Operation, Error> {
        let id = request::host_id(id)?;
        let path = self.request.path.trim_end_matches('/');
        match self.request.method.as_str() {
            "DELETE" => Ok(Operation::DeleteResponse(id)),
            "GET" if path.ends_with("/input_items") => {
                self.asked = Asked::Items(Page::read(&self.request)?);
                Ok(Operation::GetResponse(id))
            }
            "GET" => {
                let stream = self.request.query_param("stream") == Some("true");
                if self.request.query_param("starting_after").is_some() {
                    return Err(Error::unsupported(
                        "starting_after",
                        "A stored response is streamed from its beginning; leave out starting_after.",
                    ));
                }
                self.asked = Asked::Stored { stream };
                Ok(Operation::GetResponse(id))
            }
            _ => {
                self.asked = Asked::Stored { stream: false };
                Ok(Operation::CancelResponse(id))
            }
        }
    }

    /// A stored response, or a background one that has just begun.
    fn stored(&self, stored: StoredResponse) -> Result<HttpResponse, Error> {
        if let Asked::Items(page) = &self.asked {
            let body = json::to_vec(&page.of(&stored))?;
            return Ok(HttpResponse::new(200, "application/json", body));
        }
        let running = matches!(
            stored.status,
            StoredStatus::Queued | StoredStatus::InProgress
        );
        if let Asked::Stored { stream: true } = self.asked {
            if running {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "The response is not finished; ask for it without stream until it is.",
                ));
            }
            let body = Answer::replay(stored, Wire::Sse)?;
            return Ok(HttpResponse::new(200, sse::CONTENT_TYPE, body));
        }
        let body = Answer::replay(stored, Wire::Whole)?;
        Ok(HttpResponse::new(200, "application/json", body))
    }
}

impl Exchange for ResponsesExchange {
    fn new(request: HttpRequest) -> Self {
        Self {
            request,
            asked: Asked::Plain,
        }
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        let body = std::mem::take(&mut self.request.body);
        if self.is_socket() {
            let decoded = socket::decode(&body)?;
            return Ok(self.answer(decoded, Wire::Lines));
        }
        if let Some(id) = self.request.path_param("id") {
            let id = id.to_owned();
            return self.about_stored(&id);
        }
        let decoded = request::decode(&body)?;
        let path = self.request.path.trim_end_matches('/');
        if path.ends_with("/input_tokens") {
            return Ok(Operation::CountTokens(decoded));
        }
        if path.ends_with("/compact") {
            let (summary, compaction) = compact::request(decoded)?;
            self.asked = Asked::Compaction(compaction);
            return Ok(Operation::Generate(summary));
        }
        let wire = if decoded.streaming.enabled {
            Wire::Sse
        } else {
            Wire::Whole
        };
        Ok(self.answer(decoded, wire))
    }

    fn head(&mut self) -> ResponseHead {
        let streams = matches!(&self.asked, Asked::Answer(answer) if answer.wire() == Wire::Sse);
        let headers = if streams {
            vec![
                Header::new("content-type", sse::CONTENT_TYPE),
                Header::new("cache-control", "no-cache"),
            ]
        } else {
            vec![Header::new("content-type", "application/json")]
        };
        ResponseHead {
            status: 200,
            headers,
        }
    }

    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for event in events {
            match &mut self.asked {
                Asked::Answer(answer) => answer.encode(event, &mut out)?,
                Asked::Compaction(compaction) => {
                    if let Some(whole) = compaction.event(event) {
                        json::write(&mut out, &whole)?;
                    }
                }
                _ => return Err(Error::internal("this endpoint does not answer with events")),
            }
        }
        Ok(out)
    }

    fn reply(&mut self, outcome: OperationResult) -> Result<HttpResponse, Error> {
        let body = match outcome {
            OperationResult::TokenCount(tokens) => {
                json::to_vec(&json!({ "object": "response.input_tokens", "input_tokens": tokens }))?
            }
            OperationResult::Stored(stored) => return self.stored(stored),
            OperationResult::None => {
                let id = self.request.path_param("id");
                json::to_vec(&json!({ "id": id, "object": "response", "deleted": true }))?
            }
            _ => return Err(Error::internal("the result does not belong to the request")),
        };
        Ok(HttpResponse::new(200, "application/json", body))
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        if self.is_socket() {
            socket::failure(&reason)
        } else {
            failure::response(&reason)
        }
    }
}

atoll_sdk::export_dialect!(Responses);
