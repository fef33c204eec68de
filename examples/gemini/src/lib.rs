//! A dialect: Gemini's `generateContent`, `streamGenerateContent`, `countTokens` and model list.
//!
//! Text, system instructions, function calling and structured output work. What the host cannot do,
//! or this plugin does not translate, is refused by name; nothing a client sends is dropped in
//! silence. `safetySettings` are accepted and mean nothing: a host's own filters decide.

#![forbid(unsafe_code)]

mod answer;
mod errors;
mod models;
mod request;

use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::types::{
    Descriptor, Error, Event, Header, HttpRequest, HttpResponse, Operation, OperationResult,
    ResponseHead,
};

use crate::answer::Answer;
use crate::request::Method;

const JSON: &str = "application/json; charset=utf-8";

struct Gemini;

impl Dialect for Gemini {
    type Exchange = Call;

    fn describe() -> DialectDescriptor {
        let summary = "Gemini's generateContent API.";
        DialectDescriptor {
            plugin: Descriptor::new("gemini", env!("CARGO_PKG_VERSION"), summary),
            routes: vec![
                // The method is the end of the last segment: `models/m:generateContent`.
                Route::new("POST", "/v1beta/models/{target...}"),
                Route::new("GET", "/v1beta/models"),
                Route::new("GET", "/v1beta/models/{model...}"),
            ],
        }
    }
}

/// One request and its answer.
struct Call {
    request: HttpRequest,
    answer: Answer,
    /// A list of models, or one.
    listing: bool,
}

impl Exchange for Call {
    fn new(request: HttpRequest) -> Self {
        Self {
            request,
            answer: Answer::default(),
            listing: false,
        }
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        if self.request.method == "GET" {
            return Ok(match self.request.path_param("model") {
                Some(model) => Operation::ShowModel(model.to_owned()),
                None => {
                    self.listing = true;
                    Operation::ListModels
                }
            });
        }
        let target = self.request.path_param("target").unwrap_or_default();
        let (model, method) = Method::parse(target)?;
        let sse = self.request.query_param("alt") == Some("sse");
        self.answer = Answer::new(&method, sse);
        request::decode(model, &method, &self.request.body)
    }

    fn head(&mut self) -> ResponseHead {
        let content_type = self.answer.content_type();
        ResponseHead {
            status: 200,
            headers: vec![Header::new("content-type", content_type)],
        }
    }

    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        self.answer.encode(events)
    }

    fn reply(&mut self, outcome: OperationResult) -> Result<HttpResponse, Error> {
        let body = match outcome {
            OperationResult::TokenCount(count) => models::token_count(count),
            OperationResult::Models(list) if self.listing => models::list(&list),
            OperationResult::Model(model) => models::one(&model),
            _ => return Err(Error::internal("The result does not belong to the request.")),
        };
        Ok(HttpResponse::new(200, JSON, atoll_sdk::json::to_vec(&body)?))
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        let body = errors::body(&reason).to_string();
        HttpResponse::new(reason.http_status(), JSON, body)
    }
}

atoll_sdk::export_dialect!(Gemini);

#[cfg(test)]
mod tests;
