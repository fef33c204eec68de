//! The OpenAI Responses dialect: `POST /v1/responses`, whole or as a stream of numbered events, and
//! `POST /v1/responses/input_tokens`.
//!
//! [`request`] reads bodies ([`input`] their items, [`tools`] their tools), [`answer`] writes the events and the
//! response object, [`output`] the items in it.
//!
//! Stored responses (`store`, `previous_response_id`, retrieval, cancellation) are asked of the host as
//! operations; a host without a response store refuses them with a typed error.

pub mod answer;
pub mod input;
pub mod output;
pub mod request;
#[cfg(test)]
mod tests;
pub mod tools;

use atoll_plugin_openai_common::failure;
use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::types::{
    Descriptor, Error, Event, Header, HttpRequest, HttpResponse, Operation, OperationResult,
    ResponseHead,
};
use atoll_sdk::{json, sse};
use serde_json::json;

use answer::Answer;

/// The API as a plugin.
pub struct Responses;

/// One request and its answer.
pub struct ResponsesExchange {
    request: HttpRequest,
    answer: Option<Answer>,
}

impl Dialect for Responses {
    type Exchange = ResponsesExchange;

    fn describe() -> DialectDescriptor {
        DialectDescriptor {
            plugin: Descriptor::new(
                "openai-responses",
                env!("CARGO_PKG_VERSION"),
                "OpenAI Responses.",
            ),
            routes: vec![
                Route::new("POST", "/v1/responses"),
                Route::new("POST", "/v1/responses/input_tokens"),
                Route::new("GET", "/v1/responses/{id}"),
                Route::new("DELETE", "/v1/responses/{id}"),
                Route::new("POST", "/v1/responses/{id}/cancel"),
            ],
        }
    }
}

impl Exchange for ResponsesExchange {
    fn new(request: HttpRequest) -> Self {
        Self {
            request,
            answer: None,
        }
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        if let Some(id) = self.request.path_param("id") {
            let id = id.to_owned();
            return Ok(match self.request.method.as_str() {
                "GET" => Operation::GetResponse(id),
                "DELETE" => Operation::DeleteResponse(id),
                _ => Operation::CancelResponse(id),
            });
        }
        let body = std::mem::take(&mut self.request.body);
        let decoded = request::decode(&body)?;
        if self
            .request
            .path
            .trim_end_matches('/')
            .ends_with("/input_tokens")
        {
            return Ok(Operation::CountTokens(decoded.request));
        }
        self.answer = Some(Answer::new(decoded.shape));
        Ok(Operation::Generate(decoded.request))
    }

    fn head(&mut self) -> ResponseHead {
        let streams = self.answer.as_ref().is_some_and(Answer::streams);
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
        let answer = self
            .answer
            .as_mut()
            .ok_or_else(|| Error::internal("this endpoint does not answer with events"))?;
        let mut out = Vec::new();
        for event in events {
            answer.encode(event, &mut out)?;
        }
        Ok(out)
    }

    fn reply(&mut self, outcome: OperationResult) -> Result<HttpResponse, Error> {
        let body = match outcome {
            OperationResult::TokenCount(tokens) => {
                json::to_vec(&json!({ "object": "response.input_tokens", "input_tokens": tokens }))?
            }
            OperationResult::Document(document) => document.into_bytes(),
            OperationResult::None => {
                let id = self.request.path_param("id");
                json::to_vec(&json!({ "id": id, "object": "response", "deleted": true }))?
            }
            _ => return Err(Error::internal("the result does not belong to the request")),
        };
        Ok(HttpResponse::new(200, "application/json", body))
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        failure::response(&reason)
    }
}

atoll_sdk::export_dialect!(Responses);
