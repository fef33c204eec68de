//! Errors in Anthropic's shape. Agents parse some of the texts, so those are exact.

use atoll_sdk::types::{Error, ErrorKind};
use serde_json::{Value, json};

/// The status Anthropic uses, which differs from the canonical one when the host is full.
#[must_use]
pub fn status(error: &Error) -> u16 {
    match error.kind {
        ErrorKind::Overloaded => 529,
        _ => error.http_status(),
    }
}

/// The value of `error.type`.
#[must_use]
pub fn kind(error: &Error) -> &'static str {
    match &error.kind {
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::ModelNotFound(_) | ErrorKind::NotFound | ErrorKind::MethodNotAllowed => {
            "not_found_error"
        }
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::PluginFault | ErrorKind::Internal | ErrorKind::Other(_) => "api_error",
        _ => "invalid_request_error",
    }
}

/// What is wrong, in the words clients look for.
#[must_use]
pub fn message(error: &Error) -> String {
    match &error.kind {
        // Agents compact their conversation when, and only when, they read exactly this.
        ErrorKind::ContextOverflow(size) => format!(
            "prompt is too long: {} tokens > {} maximum",
            size.tokens, size.maximum
        ),
        ErrorKind::ModelNotFound(model) => {
            format!("model: {model} is not on this host. GET /v1/models lists those that there are")
        }
        _ => match error.param.as_deref().map(client_name) {
            Some(param) if !error.message.contains(param) => {
                format!("{param}: {}", error.message)
            }
            _ => error.message.clone(),
        },
    }
}

/// The host names fields as most APIs do; these are this one's own names for them.
fn client_name(param: &str) -> &str {
    match param {
        "stop" => "stop_sequences",
        "response_format" => "output_config.format",
        "reasoning.budget_tokens" => "thinking.budget_tokens",
        "reasoning.effort" => "output_config.effort",
        other => other,
    }
}

/// The error object alone, as it stands in a stream.
#[must_use]
pub fn object(error: &Error) -> Value {
    json!({ "type": kind(error), "message": message(error) })
}

/// The whole body. Clients refuse further keys.
#[must_use]
pub fn body(error: &Error, request_id: &str) -> Value {
    json!({
        "type": "error",
        "error": object(error),
        "request_id": crate::request_id(request_id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_says_exactly_what_agents_look_for() {
        let error = Error::context_overflow(5000, 4096);
        assert_eq!(
            message(&error),
            "prompt is too long: 5000 tokens > 4096 maximum"
        );
        assert_eq!(
            (status(&error), kind(&error)),
            (400, "invalid_request_error")
        );
    }

    #[test]
    fn a_full_host_is_overloaded_with_anthropics_status() {
        let error = Error::new(ErrorKind::Overloaded, "queue full");
        assert_eq!((status(&error), kind(&error)), (529, "overloaded_error"));
    }

    #[test]
    fn the_hosts_names_become_this_apis() {
        let error = Error::unsupported("reasoning.budget_tokens", "not here");
        assert_eq!(message(&error), "thinking.budget_tokens: not here");
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let error = Error::invalid("messages.0.role", "unknown role");
        assert_eq!(message(&error), "messages.0.role: unknown role");
    }
}
