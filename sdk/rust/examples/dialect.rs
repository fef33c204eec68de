//! A dialect: `POST /<this package's name>/{model}` takes a prompt as text and streams text back.
//!
//! Build it with `atoll plugin build`, or by hand with
//! `cargo build --release --target wasm32-wasip2`.

#![forbid(unsafe_code)]

use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::types::{
    Descriptor, Error, Event, GenerateRequest, Header, HttpRequest, HttpResponse, Message,
    Operation, OperationResult, Prompt, ResponseHead, Role,
};

struct Plain;

/// One request and its answer. The host makes a fresh instance for each, so state is nobody else's.
struct OneRequest(HttpRequest);

impl Dialect for Plain {
    type Exchange = OneRequest;

    fn describe() -> DialectDescriptor {
        DialectDescriptor {
            plugin: Descriptor::new(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
                "Text in, text out.",
            ),
            routes: vec![Route::new(
                "POST",
                concat!("/", env!("CARGO_PKG_NAME"), "/{model}"),
            )],
        }
    }
}

impl Exchange for OneRequest {
    fn new(request: HttpRequest) -> Self {
        Self(request)
    }

    /// From the client's request to the canonical one. Errors go to `fail`.
    fn decode(&mut self) -> Result<Operation, Error> {
        let text = std::str::from_utf8(&self.0.body)
            .map_err(|_| Error::invalid("body", "The prompt is not UTF-8."))?;
        let model = self
            .0
            .path_param("model")
            .ok_or_else(|| Error::missing("model"))?;
        let prompt = Prompt::Conversation(vec![Message::text(Role::User, text)]);
        let mut request = GenerateRequest::new(model, prompt);
        request.streaming.enabled = true;
        Ok(Operation::Generate(request))
    }

    fn head(&mut self) -> ResponseHead {
        ResponseHead {
            status: 200,
            headers: vec![Header::new("content-type", "text/plain; charset=utf-8")],
        }
    }

    /// From canonical events to the client's bytes, batch by batch as the model speaks.
    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        let text = events.into_iter().filter_map(|event| match event {
            Event::TextDelta(delta) => Some(delta.text),
            _ => None,
        });
        Ok(text.collect::<String>().into_bytes())
    }

    fn reply(&mut self, _: OperationResult) -> Result<HttpResponse, Error> {
        Err(Error::internal("This API only generates."))
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        HttpResponse::new(
            reason.http_status(),
            "text/plain; charset=utf-8",
            reason.message,
        )
    }
}

atoll_sdk::export_dialect!(Plain);

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &[u8]) -> OneRequest {
        OneRequest::new(HttpRequest {
            id: "r1".to_owned(),
            method: "POST".to_owned(),
            path: "/plain/m".to_owned(),
            path_params: vec![("model".to_owned(), "m".to_owned())],
            query: Vec::new(),
            headers: Vec::new(),
            body: body.to_vec(),
            received_at: 0,
            ext: None,
        })
    }

    #[test]
    fn the_body_is_the_prompt() {
        let Ok(Operation::Generate(generate)) = request(b"Hello").decode() else {
            panic!("not a generation")
        };
        assert_eq!(generate.model, "m");
        let expected = Prompt::Conversation(vec![Message::text(Role::User, "Hello")]);
        assert_eq!(generate.prompt, expected);
    }

    #[test]
    fn what_is_wrong_is_said_in_text() {
        let mut request = request(&[0xff]);
        let reason = request.decode().unwrap_err();
        let response = request.fail(reason);
        assert_eq!(response.head.status, 400);
        assert_eq!(response.body, b"The prompt is not UTF-8.");
    }
}
