//! Failures in Google's shape.

use atoll_sdk::types::Error;
use serde_json::{Value, json};

/// `{"error": {"code", "message", "status"}}`.
pub fn body(error: &Error) -> Value {
    let code = error.http_status();
    json!({ "error": { "code": code, "message": error.message, "status": status(code) } })
}

/// The canonical name that goes with an HTTP status.
fn status(code: u16) -> &'static str {
    match code {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500..=599 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
