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
        _ => match error.param.as_deref() {
            Some(param) => in_place(param, error),
            None => error.message.clone(),
        },
    }
}

/// `messages.0.content.1.type: Input should be ...`: where, with dots, and then what, as this API says it.
fn in_place(param: &str, error: &Error) -> String {
    let place = client_name(param).replace('[', ".").replace(']', "");
    if error.kind == ErrorKind::MissingArgument {
        return format!("{place}: Field required");
    }
    let said = error.message.as_str();
    let expected = format!("Invalid value for '{param}': expected ");
    match said.strip_prefix(&expected) {
        Some(expected) => format!(
            "{place}: Input should be {}",
            expected.trim_end_matches('.')
        ),
        // A sentence that begins with the field's name needs none in front, unless it is called otherwise here.
        None => match said.strip_prefix(param) {
            Some(rest) if rest.starts_with(": ") => format!("{place}{rest}"),
            Some(_) if place == param => said.to_owned(),
            _ => format!("{place}: {said}"),
        },
    }
}

/// The host names fields as most APIs do; these are this one's own names for them.
fn client_name(param: &str) -> &str {
    match param {
        "stop" => "stop_sequences",
        "response_format" => "output_config.format.schema",
        "continue_final_message" => "messages",
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
        let wrong = |said: &str| Error::invalid("messages[0].role", said);
        for (error, said) in [
            (wrong("unknown role"), "messages.0.role: unknown role"),
            (
                wrong("Invalid value for 'messages[0].role': expected 'user' or 'assistant'."),
                "messages.0.role: Input should be 'user' or 'assistant'",
            ),
            (
                Error::missing("tools[1].input_schema"),
                "tools.1.input_schema: Field required",
            ),
            (
                Error::invalid("top_k", "top_k is 9, but must be 8"),
                "top_k is 9, but must be 8",
            ),
            (
                Error::invalid("response_format", "response_format: no such pointer"),
                "output_config.format.schema: no such pointer",
            ),
        ] {
            assert_eq!(message(&error), said);
        }
    }
}
