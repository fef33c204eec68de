//! The OpenAI Responses dialect: `POST /v1/responses`, whole or as a stream of numbered events, and the same
//! over a WebSocket (`GET /v1/responses`); stored responses (retrieve, also as a stream and from its middle,
//! delete, cancel, input items); `compact` and `input_tokens`.
//!
//! [`request`] reads bodies ([`input`] their items, [`tools`] their tools, [`options`] the rest), [`socket`] the
//! messages of a WebSocket, [`retrieve`] what is asked of a stored response; [`answer`] writes the events and the response object, [`output`] the items in it, [`shape`] what
//! they repeat of the request; [`compact`] and [`items`] are endpoints of their own.
//!
//! The host keeps responses and gives them back as canonical requests and events, so a stored response is
//! written by the same code as a fresh one.

pub mod answer;
pub mod compact;
pub mod input;
pub mod items;
pub mod options;
pub mod output;
pub mod request;
pub mod retrieve;
pub mod sealed;
pub mod shape;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod tools;

use atoll_plugin_openai_common::{failure, limits};
use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::types::{
    Descriptor, Error, ErrorKind, Event, GenerateRequest, Header, HttpRequest, HttpResponse,
    Operation, OperationResult, ResponseHead, StoredResponse,
};
use atoll_sdk::{json, sse};
use serde_json::{Value, json};

use answer::{Answer, Wire};
use compact::Compaction;
use items::Page;
use retrieve::Retrieve;
use shape::Shape;

/// The API as a plugin.
pub struct Responses;

/// One request and its answer.
pub struct ResponsesExchange {
    request: HttpRequest,
    asked: Asked,
    /// What a message of a socket said beside its request.
    told: socket::Told,
    /// Headers of every answer.
    limits: Vec<Header>,
}

/// What was asked for, as far as the answer must know.
enum Asked {
    /// Nothing yet, or a count or a deletion.
    Plain,
    Answer(Box<Answer>),
    Compaction(Compaction),
    Stored(Retrieve),
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
                Route::socket(base),
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
    fn answer(&mut self, request: GenerateRequest, wire: Wire) -> Operation {
        let answer = Answer::new(Shape::of(&request), wire).on_lane(self.told.lane.clone());
        self.asked = Asked::Answer(Box::new(answer));
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
                let retrieve = Retrieve::read(&self.request)?;
                let operation = retrieve.operation(id);
                self.asked = Asked::Stored(retrieve);
                Ok(operation)
            }
            _ => {
                self.asked = Asked::Stored(Retrieve::default());
                Ok(Operation::CancelResponse(id))
            }
        }
    }

    /// A stored response, or a background one that has just begun.
    fn stored(&mut self, stored: StoredResponse) -> Result<HttpResponse, Error> {
        let retrieve = match &self.asked {
            Asked::Items(page) => return self.json(&page.of(&stored)),
            Asked::Stored(retrieve) => retrieve.clone(),
            // A background answer that has just begun.
            _ => Retrieve::default(),
        };
        let mut answer = retrieve.answer(&stored);
        let body = answer.replay(stored)?;
        // What is still to come goes through the same answer.
        self.asked = Asked::Answer(Box::new(answer));
        let head = self.head();
        Ok(HttpResponse { head, body })
    }

    fn json(&self, body: &Value) -> Result<HttpResponse, Error> {
        let mut response = HttpResponse::new(200, "application/json", json::to_vec(body)?);
        response.head.headers.extend_from_slice(&self.limits);
        Ok(response)
    }
}

impl Exchange for ResponsesExchange {
    fn new(request: HttpRequest) -> Self {
        Self {
            limits: limits::headers(&request),
            request,
            asked: Asked::Plain,
            told: socket::Told::default(),
        }
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        let body = std::mem::take(&mut self.request.body);
        if self.request.is_socket_message() {
            let decoded = socket::decode(&body, &mut self.told)?;
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
        let mut headers = if streams {
            vec![
                Header::new("content-type", sse::CONTENT_TYPE),
                Header::new("cache-control", "no-cache"),
            ]
        } else {
            vec![Header::new("content-type", "application/json")]
        };
        headers.extend_from_slice(&self.limits);
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
        match outcome {
            OperationResult::TokenCount(tokens) => {
                self.json(&json!({ "object": "response.input_tokens", "input_tokens": tokens }))
            }
            OperationResult::Stored(stored) => self.stored(stored),
            OperationResult::None => {
                let id = self.request.path_param("id");
                self.json(&json!({ "id": id, "object": "response", "deleted": true }))
            }
            _ => Err(Error::internal("the result does not belong to the request")),
        }
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        let reason = in_our_fields(in_our_ids(reason));
        let mut response = failure::response(&reason);
        if self.request.is_socket_message() {
            response.body = socket::failure(&reason, &self.told).into_bytes();
        }
        response.head.headers.extend_from_slice(&self.limits);
        response
    }
}

/// The host names a stored answer by its own id; clients know it by this API's.
fn in_our_ids(mut reason: Error) -> Error {
    let of_an_answer =
        [ErrorKind::PreviousResponseNotFound, ErrorKind::NotFound].contains(&reason.kind);
    let stored = ["the previous response \"", "stored answer \""];
    if of_an_answer
        && let Some(begin) = stored.iter().find(|begin| reason.message.contains(**begin))
    {
        reason.message = reason.message.replacen(begin, &format!("{begin}resp_"), 1);
    }
    reason
}

/// The host names fields as most APIs do, and what has no place that we told it by its count of messages, of which
/// instructions are one and items joined are one; a client has only its `input`.
fn in_our_fields(mut reason: Error) -> Error {
    let (theirs, ours) = match reason.param.as_deref() {
        Some(param) if param == "messages" || param.starts_with("messages[") => (param, "input"),
        Some(param @ "response_format") => (param, "text.format.schema"),
        Some(param @ "max_tokens") => (param, "max_output_tokens"),
        Some(param @ "reasoning_effort") => (param, "reasoning.effort"),
        _ => return reason,
    };
    if let Some(rest) = reason.message.strip_prefix(theirs) {
        reason.message = format!("{ours}{rest}");
    }
    reason.param = Some(ours.to_owned());
    reason
}

atoll_sdk::export_dialect!(Responses);
