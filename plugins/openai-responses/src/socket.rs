//! The WebSocket transport: each message of the client is a request, each event a message to it.

use atoll_plugin_openai_common::failure;
use atoll_sdk::json::Fields;
use atoll_sdk::types::{Error, GenerateRequest, HttpResponse};
use serde_json::{Value, json};

use crate::request;
use crate::shape::Extras;

/// Reads `{"type": "response.create", ...}`.
///
/// # Errors
/// Another type, or whatever is wrong with the request.
pub fn decode(message: &[u8]) -> Result<GenerateRequest, Error> {
    let mut body = Fields::parse(message)?;
    let kind = body.require("type")?;
    if kind.string()? != "response.create" {
        return Err(kind.wrong("'response.create'"));
    }
    let generate = body.bool("generate")?.unwrap_or(true);
    let mut request = request::read(body)?;
    if request.state.background {
        return Err(Error::unsupported(
            "background",
            "Background answers cannot be asked for over a WebSocket; use POST.",
        ));
    }
    request.streaming.enabled = true;
    request.streaming.include_usage = true;
    if !generate {
        request.max_output_tokens = Some(0);
        let extras = Extras::of(&request);
        request.ext = Some(
            Extras {
                prewarm: true,
                ..extras
            }
            .to_ext(),
        );
    }
    Ok(request)
}

/// An error as a message. The host sends each line as one.
#[must_use]
pub fn failure(reason: &Error) -> HttpResponse {
    let object: Value = json!(failure::body(reason));
    let message = json!({
        "type": "error",
        "status": reason.http_status(),
        "error": object["error"],
    });
    HttpResponse::new(
        reason.http_status(),
        "application/json",
        message.to_string(),
    )
}
