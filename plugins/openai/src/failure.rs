//! Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, all four keys always.
//!
//! The official clients choose their exception by status and lift `code`, `param` and `type`; agents
//! read the code, and for an overflowing context also the words.

use atoll_sdk::types::{Error, ErrorKind, Header, HttpResponse};
use serde::Serialize;

/// The body of a failed request, and the last event of a failed stream.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody {
    error: ErrorObject,
}

#[derive(Debug, Serialize)]
struct ErrorObject {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<String>,
    code: Option<String>,
}

/// An error as JSON.
pub(crate) fn body(reason: &Error) -> ErrorBody {
    let (kind, code) = kind_and_code(reason);
    let message = match &reason.kind {
        // The words several agents look for before they compact their history.
        ErrorKind::ContextOverflow(overflow) => format!(
            "This model's maximum context length is {} tokens. However, you requested {} tokens. \
             Please reduce the length of the messages or completion.",
            overflow.maximum, overflow.tokens
        ),
        _ => reason.message.clone(),
    };
    let param = reason.param.clone();
    ErrorBody {
        error: ErrorObject {
            message,
            kind,
            param,
            code: code.map(str::to_owned),
        },
    }
}

/// An error as a whole answer, with the headers the clients' retry logic reads.
pub(crate) fn response(reason: &Error) -> HttpResponse {
    // An error body is four strings; should even that fail, the status still says it.
    let bytes = atoll_sdk::json::to_vec(&body(reason)).unwrap_or_default();
    let mut response = HttpResponse::new(reason.http_status(), "application/json", bytes);
    if let Some(milliseconds) = reason.retry_after_ms {
        let seconds = milliseconds.div_ceil(1000);
        response
            .head
            .headers
            .push(Header::new("retry-after-ms", milliseconds.to_string()));
        response
            .head
            .headers
            .push(Header::new("retry-after", seconds.to_string()));
    }
    response
}

fn kind_and_code(reason: &Error) -> (&'static str, Option<&str>) {
    const INVALID: &str = "invalid_request_error";
    const SERVER: &str = "server_error";
    match &reason.kind {
        // A body that is no JSON has no field at fault, and then no code, as in the original.
        ErrorKind::InvalidArgument => (INVALID, reason.param.as_ref().map(|_| "invalid_value")),
        ErrorKind::MissingArgument => (INVALID, Some("missing_required_parameter")),
        ErrorKind::ContextOverflow(_) => (INVALID, Some("context_length_exceeded")),
        ErrorKind::Unsupported => (INVALID, Some("unsupported_value")),
        ErrorKind::ModelNotFound(_) => (INVALID, Some("model_not_found")),
        ErrorKind::NotFound => (INVALID, Some("not_found")),
        ErrorKind::PreviousResponseNotFound => (INVALID, Some("previous_response_not_found")),
        ErrorKind::Unauthenticated => (INVALID, Some("invalid_api_key")),
        ErrorKind::Forbidden => ("permission_error", Some("permission_denied")),
        ErrorKind::MethodNotAllowed => (INVALID, Some("method_not_supported")),
        ErrorKind::Conflict => (INVALID, Some("conflict")),
        ErrorKind::TooLarge => (INVALID, Some("request_too_large")),
        ErrorKind::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        ErrorKind::Overloaded => ("service_unavailable_error", Some("server_is_overloaded")),
        ErrorKind::Timeout => (SERVER, Some("timeout")),
        ErrorKind::Cancelled => (INVALID, Some("request_cancelled")),
        ErrorKind::Blocked => (INVALID, Some("content_filter")),
        ErrorKind::PluginFault => (SERVER, Some("plugin_fault")),
        ErrorKind::Internal => (SERVER, None),
        ErrorKind::Other(name) => (SERVER, Some(name.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use atoll_sdk::types::ContextOverflow;
    use serde_json::{Value, json};

    use super::*;

    fn rendered(kind: ErrorKind) -> (u16, Value) {
        let response = response(&Error::new(kind, "why").with_param("p"));
        (
            response.head.status,
            serde_json::from_slice(&response.body).unwrap(),
        )
    }

    #[test]
    fn every_kind_has_its_status_type_and_code() {
        const INVALID: &str = "invalid_request_error";
        let table: [(ErrorKind, u16, &str, Value); 18] = [
            (
                ErrorKind::InvalidArgument,
                400,
                INVALID,
                json!("invalid_value"),
            ),
            (
                ErrorKind::MissingArgument,
                400,
                INVALID,
                json!("missing_required_parameter"),
            ),
            (
                ErrorKind::Unsupported,
                400,
                INVALID,
                json!("unsupported_value"),
            ),
            (
                ErrorKind::ModelNotFound("m".into()),
                404,
                INVALID,
                json!("model_not_found"),
            ),
            (ErrorKind::NotFound, 404, INVALID, json!("not_found")),
            (
                ErrorKind::PreviousResponseNotFound,
                400,
                INVALID,
                json!("previous_response_not_found"),
            ),
            (
                ErrorKind::Unauthenticated,
                401,
                INVALID,
                json!("invalid_api_key"),
            ),
            (
                ErrorKind::Forbidden,
                403,
                "permission_error",
                json!("permission_denied"),
            ),
            (
                ErrorKind::MethodNotAllowed,
                405,
                INVALID,
                json!("method_not_supported"),
            ),
            (ErrorKind::Conflict, 409, INVALID, json!("conflict")),
            (
                ErrorKind::TooLarge,
                413,
                INVALID,
                json!("request_too_large"),
            ),
            (
                ErrorKind::RateLimited,
                429,
                "rate_limit_error",
                json!("rate_limit_exceeded"),
            ),
            (
                ErrorKind::Overloaded,
                503,
                "service_unavailable_error",
                json!("server_is_overloaded"),
            ),
            (ErrorKind::Timeout, 504, "server_error", json!("timeout")),
            (
                ErrorKind::Cancelled,
                499,
                INVALID,
                json!("request_cancelled"),
            ),
            (ErrorKind::Blocked, 400, INVALID, json!("content_filter")),
            (
                ErrorKind::PluginFault,
                500,
                "server_error",
                json!("plugin_fault"),
            ),
            (ErrorKind::Internal, 500, "server_error", Value::Null),
        ];
        for (kind, status, type_name, code) in table {
            let expected = json!({"error": {
                "message": "why", "type": type_name, "param": "p", "code": code,
            }});
            assert_eq!(rendered(kind), (status, expected));
        }
        assert_eq!(
            rendered(ErrorKind::Other("odd".into())).1["error"]["code"],
            "odd"
        );
    }

    #[test]
    fn an_overflow_is_told_in_the_words_agents_look_for() {
        let kind = ErrorKind::ContextOverflow(ContextOverflow {
            tokens: 9000,
            maximum: 4096,
        });
        let (status, body) = rendered(kind);
        assert_eq!(status, 400);
        assert_eq!(body["error"]["code"], "context_length_exceeded");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("This model's maximum context length is 4096 tokens. However"));
    }

    #[test]
    fn retry_hints_are_headers_rounded_up() {
        let mut reason = Error::new(ErrorKind::Overloaded, "full");
        reason.retry_after_ms = Some(1500);
        let head = response(&reason).head;
        let value = |name: &str| {
            head.headers
                .iter()
                .find(|header| header.name == name)
                .map(|h| h.value.clone())
        };
        assert_eq!(value("retry-after").as_deref(), Some("2"));
        assert_eq!(value("retry-after-ms").as_deref(), Some("1500"));
    }

    #[test]
    fn keys_without_a_value_are_null_and_not_absent() {
        let response = response(&Error::internal("x"));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let expected = json!({"error": {
            "message": "x", "type": "server_error", "param": null, "code": null,
        }});
        assert_eq!(body, expected);
    }
}
