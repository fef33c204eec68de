//! The WebSocket transport: each message of the client is a request, each event a message to it.
//!
//! The host answers messages one after the other. That is what the API promises for one lane (`stream_id`), and
//! it holds for several too, only without their running at once.

use atoll_plugin_openai_common::failure;
use atoll_sdk::json::Fields;
use atoll_sdk::types::{Error, GenerateRequest};
use serde_json::{Value, json};

use crate::request;
use crate::shape::Extras;

/// What a message said beside its request.
#[derive(Debug, Default)]
pub struct Told {
    /// `stream_id`, which every event about it repeats.
    pub lane: Option<String>,
    /// It wanted to steer an answer under way, with this.
    steer: Option<Steer>,
}

/// Input for an answer under way, as the client sent it.
#[derive(Debug)]
struct Steer {
    input: Value,
    previous_response_id: String,
}

/// Reads `{"type": "response.create", ...}`.
///
/// # Errors
/// Another type, or whatever is wrong with the request.
pub fn decode(message: &[u8], told: &mut Told) -> Result<GenerateRequest, Error> {
    let mut body = Fields::parse(message)?;
    told.lane = body.string("stream_id")?;
    let kind = body.require("type")?;
    match kind.string()?.as_str() {
        "response.create" => {}
        "response.steer" => {
            told.steer = Some(Steer {
                input: body.require("input")?.read("text or items")?,
                previous_response_id: body.require("previous_response_id")?.string()?,
            });
            let message =
                "An answer under way cannot be steered; send the input when it is complete.";
            return Err(Error::unsupported("type", message));
        }
        _ => return Err(kind.wrong("'response.create'")),
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
        let extras = Extras {
            prewarm: true,
            ..Extras::of(&request)
        };
        request.ext = Some(extras.to_ext());
    }
    Ok(request)
}

/// An error as a message. The host sends each line as one.
#[must_use]
pub fn failure(reason: &Error, told: &Told) -> String {
    let object: Value = json!(failure::body(reason));
    let error = &object["error"];
    let mut message = match &told.steer {
        // What could not be used is given back.
        Some(steer) => json!({
            "type": "response.steer.failed",
            "sequence_number": 0,
            "error": {
                "type": "invalid_request_error",
                "code": "steering_not_supported",
                "message": error["message"],
            },
            "steer": {
                "input": steer.input,
                "previous_response_id": steer.previous_response_id,
            },
        }),
        None => json!({ "type": "error", "status": reason.http_status(), "error": error }),
    };
    if let Some(lane) = &told.lane {
        message["stream_id"] = json!(lane);
    }
    message.to_string()
}
