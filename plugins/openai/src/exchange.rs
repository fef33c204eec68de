//! One HTTP request and its answer: picks the endpoint, then hands over.

use atoll_plugin_openai_common::{failure, limits};
use atoll_sdk::dialect::Exchange;
use atoll_sdk::json::{self, Fields};
use atoll_sdk::types::{
    Error, Event, Header, HttpRequest, HttpResponse, Operation, OperationResult, ResponseHead,
};
use serde::Serialize;

use crate::answer::{ChatAnswer, ChatOptions, CompletionAnswer, Mode};
use crate::embeddings::{self, Encoding};
use crate::{models, request};

/// State of one exchange.
pub struct OneRequest {
    request: Option<HttpRequest>,
    endpoint: Endpoint,
    /// Headers of every answer.
    limits: Vec<Header>,
}

/// What was asked, once it is decoded.
enum Endpoint {
    /// Not decoded, or not decodable.
    Undecided,
    Chat(Box<ChatAnswer>),
    Completion(Box<CompletionAnswer>),
    Embeddings(Encoding),
    Models,
}

impl OneRequest {
    fn mode(&self) -> Mode {
        match &self.endpoint {
            Endpoint::Chat(answer) => answer.mode(),
            Endpoint::Completion(answer) => answer.mode(),
            Endpoint::Undecided | Endpoint::Embeddings(_) | Endpoint::Models => Mode::Whole,
        }
    }
}

impl Exchange for OneRequest {
    fn new(request: HttpRequest) -> Self {
        Self {
            limits: limits::headers(&request),
            request: Some(request),
            endpoint: Endpoint::Undecided,
        }
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        let request = self
            .request
            .take()
            .ok_or_else(|| Error::internal("decode ran twice"))?;
        if request.method == "GET" {
            self.endpoint = Endpoint::Models;
            return Ok(match request.path_param("id") {
                Some(id) => Operation::ShowModel(id.to_owned()),
                None => Operation::ListModels,
            });
        }
        let body = Fields::parse(&request.body)?;
        let path = request.path.trim_end_matches('/');
        if path.ends_with("/chat/completions") {
            let chat = request::chat::decode(body)?;
            let options = ChatOptions {
                mode: Mode::of(&chat.request.streaming),
                choices: chat.request.choices,
                legacy_function_call: chat.legacy_function_call,
                hide_reasoning: chat.hide_reasoning,
                logprobs: chat.request.logprobs.is_some(),
            };
            self.endpoint = Endpoint::Chat(Box::new(ChatAnswer::new(options)));
            Ok(Operation::Generate(chat.request))
        } else if path.ends_with("/completions") {
            let (generate, choices) = request::completion::decode(body)?;
            let mode = Mode::of(&generate.streaming);
            let answer = CompletionAnswer::new(mode, choices, generate.logprobs.is_some());
            self.endpoint = Endpoint::Completion(Box::new(answer));
            Ok(Operation::Generate(generate))
        } else if path.ends_with("/embeddings") {
            let (embed, encoding) = embeddings::decode(body)?;
            self.endpoint = Endpoint::Embeddings(encoding);
            Ok(Operation::Embed(embed))
        } else {
            Err(Error::new(
                atoll_sdk::types::ErrorKind::NotFound,
                format!("Unknown request URL: {} {}.", request.method, request.path),
            ))
        }
    }

    fn head(&mut self) -> ResponseHead {
        let mut headers = match self.mode() {
            Mode::Stream { .. } => vec![
                Header::new("content-type", atoll_sdk::sse::CONTENT_TYPE),
                Header::new("cache-control", "no-cache"),
            ],
            Mode::Whole => vec![Header::new("content-type", "application/json")],
        };
        headers.extend_from_slice(&self.limits);
        ResponseHead {
            status: 200,
            headers,
        }
    }

    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        match &mut self.endpoint {
            Endpoint::Chat(answer) => answer.encode(events),
            Endpoint::Completion(answer) => answer.encode(events),
            _ => Err(Error::internal("this endpoint does not answer with events")),
        }
    }

    fn reply(&mut self, outcome: OperationResult) -> Result<HttpResponse, Error> {
        let mut response = match (&self.endpoint, outcome) {
            (Endpoint::Models, OperationResult::Models(list)) => ok(&models::list(&list)),
            (Endpoint::Models, OperationResult::Model(model)) => ok(&models::one(&model)),
            (Endpoint::Embeddings(encoding), OperationResult::Embeddings(result)) => {
                ok(&embeddings::body(result, *encoding))
            }
            _ => Err(Error::internal("the result does not belong to the request")),
        }?;
        response.head.headers.extend_from_slice(&self.limits);
        Ok(response)
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        let mut response = failure::response(&reason);
        response.head.headers.extend_from_slice(&self.limits);
        response
    }
}

fn ok<T: Serialize>(body: &T) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::new(
        200,
        "application/json",
        json::to_vec(body)?,
    ))
}

#[cfg(test)]
mod tests;
