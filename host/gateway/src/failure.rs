//! What can go wrong with one request, in the words every dialect understands.
//!
//! Everything that fails on behalf of a client becomes a [`types::Error`] here, once, so that a
//! dialect can render it in its own API's shape. The status table at the end is used only when no
//! dialect can speak: before a route is found, or after its plugin broke.

use atoll_engine::engine::EngineError;
use atoll_engine::executor::ExecutorError;
use atoll_plugin_runtime::PluginError;
use atoll_plugin_runtime::types::{ContextOverflow, Error, ErrorKind};
use http::StatusCode;

/// How long clients are told to wait when the host is full or draining and nobody knows better.
pub(crate) const DEFAULT_RETRY_AFTER_MS: u64 = 1000;

/// A failed request: either a typed answer that a dialect can render, or a plugin that broke, after
/// which the same instance cannot be asked for anything.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Said on purpose: by the client's own dialect, a filter, the engine or the host.
    Typed(Error),
    /// A plugin trapped, ran out of its limits or broke the contract.
    Fault(PluginError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Typed(error)
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        Self::Fault(error)
    }
}

impl Failure {
    /// The failure as a dialect sees it. A plugin's fault keeps its message: it names the plugin
    /// and the limit, never the request's text.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Typed(error) => error,
            Self::Fault(fault) => fault.to_canonical(),
        }
    }
}

/// An error with nothing but a kind and a sentence.
pub(crate) fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error {
        kind,
        message: message.into(),
        param: None,
        retry_after_ms: None,
        ext: None,
    }
}

/// The client asked for something malformed; `param` in the client's spelling as far as known.
pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Error {
    Error {
        param: Some(param.into()),
        ..error(ErrorKind::InvalidArgument, message)
    }
}

/// The client asked for something this host cannot do yet. Never ignored silently.
pub(crate) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Error {
    Error {
        param: Some(param.into()),
        ..error(ErrorKind::Unsupported, message)
    }
}

/// The host has no room, or is going down; trying again makes sense.
pub(crate) fn overloaded(message: impl Into<String>, retry_after_ms: u64) -> Error {
    Error {
        retry_after_ms: Some(retry_after_ms),
        ..error(ErrorKind::Overloaded, message)
    }
}

/// A failure of the engine, as the client hears of it. Details of a broken model or device stay in
/// the log: the sentence says what a person can do.
pub(crate) fn from_engine(failure: &EngineError) -> Error {
    let message = failure.to_string();
    match failure {
        EngineError::ContextOverflow { tokens, maximum } => {
            let overflow = ContextOverflow {
                tokens: *tokens as u64,
                maximum: *maximum as u64,
            };
            error(ErrorKind::ContextOverflow(overflow), message)
        }
        EngineError::Overloaded { retry_after } => {
            let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            overloaded(message, millis)
        }
        EngineError::Unavailable { retry_after, .. } => {
            let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            overloaded(message, millis)
        }
        // What was begun is lost, but the next request finds the model on what is left.
        EngineError::Executor(ExecutorError::Lost(_)) => {
            overloaded(message, DEFAULT_RETRY_AFTER_MS)
        }
        EngineError::Elsewhere { .. } | EngineError::ShuttingDown => {
            overloaded(message, DEFAULT_RETRY_AFTER_MS)
        }
        EngineError::InvalidRequest { param, message } => {
            invalid(client_name(param), sentence(client_name(param), message))
        }
        EngineError::Unsupported { param, .. } => unsupported(client_name(param), message),
        EngineError::ModelNotFound { name } => model_not_found(name.clone()),
        EngineError::OutOfMemory { .. } => overloaded(message, DEFAULT_RETRY_AFTER_MS),
        EngineError::Executor(ExecutorError::Unsupported { .. }) => {
            error(ErrorKind::Unsupported, message)
        }
        EngineError::SlowReader { .. } => error(ErrorKind::Cancelled, message),
        _ => error(ErrorKind::Internal, message),
    }
}

/// There is no such model; says what to do about it.
pub(crate) fn model_not_found(name: String) -> Error {
    let message = format!(
        "there is no model {name:?} on this host. GET /v1/models lists those that there are; \
         `atoll pull ORG/NAME` downloads one, and a folder below the models folder is one too"
    );
    error(ErrorKind::ModelNotFound(name), message)
}

/// The engine's parameter names are the field's own; the few that canonical requests spell
/// differently are put back.
fn client_name(param: &str) -> &str {
    match param {
        "choices" => "n",
        "continue_final_message" => "messages",
        other => other,
    }
}

/// What is wrong, on one line, and with the field's name in front where the engine's words need one. Parsers of
/// patterns draw pictures of several lines.
fn sentence(param: &str, message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut words = message.split(|char: char| !char.is_alphanumeric() && char != '_');
    if words.any(|word| word == param) {
        message
    } else {
        format!("{param}: {message}")
    }
}

/// The status of an error when the host renders it itself.
pub(crate) fn status(kind: &ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidArgument
        | ErrorKind::MissingArgument
        | ErrorKind::ContextOverflow(_)
        | ErrorKind::Unsupported
        | ErrorKind::PreviousResponseNotFound
        | ErrorKind::Blocked => StatusCode::BAD_REQUEST,
        ErrorKind::ModelNotFound(_) | ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        // nginx's "client closed request": nobody reads it, but logs and metrics do.
        ErrorKind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        ErrorKind::PluginFault | ErrorKind::Internal | ErrorKind::Other(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// A kind's name for metrics, logs and the host's own JSON errors.
pub(crate) fn kind_name(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "invalid_argument",
        ErrorKind::MissingArgument => "missing_argument",
        ErrorKind::ContextOverflow(_) => "context_overflow",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::ModelNotFound(_) => "model_not_found",
        ErrorKind::NotFound => "not_found",
        ErrorKind::PreviousResponseNotFound => "previous_response_not_found",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::Forbidden => "forbidden",
        ErrorKind::MethodNotAllowed => "method_not_allowed",
        ErrorKind::Conflict => "conflict",
        ErrorKind::TooLarge => "too_large",
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Blocked => "blocked",
        ErrorKind::PluginFault => "plugin_fault",
        ErrorKind::Internal => "internal",
        ErrorKind::Other(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says_of_a_field_is_one_sentence_that_names_it_once() {
        for (param, said, name, sentence) in [
            (
                "temperature",
                "temperature is 101, but must be from 0 to 100",
                "temperature",
                "temperature is 101, but must be from 0 to 100",
            ),
            (
                "choices",
                "128 choices, but at most 64 sequences run at once",
                "n",
                "n: 128 choices, but at most 64 sequences run at once",
            ),
            (
                "continue_final_message",
                "the last message has no text to continue",
                "messages",
                "messages: the last message has no text to continue",
            ),
            (
                "response_format",
                "regex parse error:\n    (?=a)\n    ^^^\nerror: no look-around",
                "response_format",
                "response_format: regex parse error: (?=a) ^^^ error: no look-around",
            ),
        ] {
            let error = from_engine(&EngineError::InvalidRequest {
                param: param.to_owned(),
                message: said.to_owned(),
            });
            assert_eq!(error.param.as_deref(), Some(name));
            assert_eq!(error.message, sentence);
        }
    }
}
