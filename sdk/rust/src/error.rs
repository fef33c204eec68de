//! Constructors for [`Error`], so that saying what is wrong is one line.

use crate::types::{ContextOverflow, Error, ErrorKind};

impl Error {
    /// An error of this kind without a field, a retry hint or an extension.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            retry_after_ms: None,
            ext: None,
        }
    }

    /// A malformed or out-of-range field, named as the client spells it (`messages[0].role`).
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message).with_param(param)
    }

    /// A required field is missing.
    pub fn missing(param: impl Into<String>) -> Self {
        let param = param.into();
        let message = format!("Missing required parameter: '{param}'.");
        Self::new(ErrorKind::MissingArgument, message).with_param(param)
    }

    /// Understood, but not possible here.
    pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message).with_param(param)
    }

    /// No model of that name.
    pub fn model_not_found(model: impl Into<String>) -> Self {
        let model = model.into();
        Self::new(
            ErrorKind::ModelNotFound(model.clone()),
            format!("The model '{model}' does not exist."),
        )
    }

    /// Prompt and answer need `tokens`, the model has room for `maximum`.
    #[must_use]
    pub fn context_overflow(tokens: u64, maximum: u64) -> Self {
        Self::new(
            ErrorKind::ContextOverflow(ContextOverflow { tokens, maximum }),
            format!("The request needs {tokens} tokens and the model has room for {maximum}."),
        )
    }

    /// A defect: something that cannot happen did.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Refused by policy. Never put the refused text into the message.
    pub fn blocked(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Blocked, message)
    }

    /// Names the field at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The HTTP status the contract gives this kind of error.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match &self.kind {
            ErrorKind::InvalidArgument
            | ErrorKind::MissingArgument
            | ErrorKind::ContextOverflow(_)
            | ErrorKind::Unsupported
            | ErrorKind::PreviousResponseNotFound
            | ErrorKind::Blocked => 400,
            ErrorKind::Unauthenticated => 401,
            ErrorKind::Forbidden => 403,
            ErrorKind::ModelNotFound(_) | ErrorKind::NotFound => 404,
            ErrorKind::MethodNotAllowed => 405,
            ErrorKind::Conflict => 409,
            ErrorKind::TooLarge => 413,
            ErrorKind::RateLimited => 429,
            ErrorKind::Cancelled => 499,
            ErrorKind::PluginFault | ErrorKind::Internal | ErrorKind::Other(_) => 500,
            ErrorKind::Overloaded => 503,
            ErrorKind::Timeout => 504,
        }
    }
}
