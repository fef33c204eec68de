//! [`EngineError`]: everything that can go wrong between a request and its answer.

use std::time::Duration;

use crate::executor::{ExecutorError, RowError};
use crate::grammar::GrammarError;
use crate::model::ModelError;
use crate::sampling::SamplingError;
use crate::scheduler::AddError;
use crate::text::TextError;

/// Why a request was refused or ended early, or why a model cannot serve. Cheap to clone: one
/// failure may end many requests.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens, but at most {maximum} fit; shorten the conversation")]
    ContextOverflow {
        /// Tokens of the prompt.
        tokens: usize,
        /// Longest prompt.
        maximum: usize,
    },
    /// Too many requests are waiting.
    #[error("too many requests are waiting; try again in {} s", retry_after.as_secs().max(1))]
    Overloaded {
        /// When there may be room, estimated from recent requests.
        retry_after: Duration,
    },
    /// A parameter of the request cannot be honoured.
    #[error("{param}: {message}")]
    InvalidRequest {
        /// The parameter, as named in `GenerateRequest` or `SamplingParams`.
        param: String,
        /// What is wrong.
        message: String,
    },
    /// The model has no such ability.
    #[error("{message}")]
    Unsupported {
        /// The parameter that asks for it.
        param: String,
        /// What the model lacks, and what to do.
        message: String,
    },
    /// No model of that name exists.
    #[error("there is no model `{name}`")]
    ModelNotFound {
        /// The name asked for.
        name: String,
    },
    /// The model does not fit beside those that may not be unloaded.
    #[error("model `{name}` needs {needed} bytes, but only {available} can be freed")]
    OutOfMemory {
        /// The model.
        name: String,
        /// Its bytes.
        needed: u64,
        /// What the budget leaves once everything idle is unloaded.
        available: u64,
    },
    /// The model cannot be loaded now, and perhaps later: machines are missing.
    #[error("{reason}")]
    Unavailable {
        /// What is missing.
        reason: String,
        /// When it is worth another try.
        retry_after: Duration,
    },
    /// Another machine of the pool has the model, or is bringing it into memory: the request belongs there.
    #[error("another machine, {node}, answers for this model; try again")]
    Elsewhere {
        /// The machine's id.
        node: String,
    },
    /// The model folder cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model's tokenizer or chat template cannot be used.
    #[error(transparent)]
    Text(TextError),
    /// The request's own row failed.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The executor failed; every request it held ended with this.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The answer's required form cannot be enforced.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// Nobody read the answer while it grew beyond the limit of unread tokens.
    #[error("the answer was not read: {unread} tokens were waiting")]
    SlowReader {
        /// Tokens waiting when it was given up.
        unread: usize,
    },
    /// The engine is draining or has stopped.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// A bug. The message is for the log.
    #[error("internal error: {0}")]
    Internal(String),
}

impl EngineError {
    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::InvalidRequest {
            param: param.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self::Unsupported {
            param: param.to_owned(),
            message: message.into(),
        }
    }

    /// Short stable name for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ContextOverflow { .. } => "context_overflow",
            Self::Overloaded { .. } => "overloaded",
            Self::InvalidRequest { .. } => "invalid_request",
            Self::Unsupported { .. } => "unsupported",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::Unavailable { .. } => "unavailable",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Model(_) => "model",
            Self::Text(_) => "text",
            Self::Row(_) => "row",
            Self::Executor(_) => "executor",
            Self::Grammar(_) => "grammar",
            Self::SlowReader { .. } => "slow_reader",
            Self::ShuttingDown => "shutting_down",
            Self::Internal(_) => "internal",
        }
    }
}

impl From<SamplingError> for EngineError {
    fn from(error: SamplingError) -> Self {
        Self::invalid(error.parameter(), error.to_string())
    }
}

/// What a client wrote is an invalid request; what a model folder holds is not the client's fault.
impl From<TextError> for EngineError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Conversation { parameter, reason } => Self::InvalidRequest {
                param: parameter,
                message: reason,
            },
            TextError::Stop(reason) => Self::invalid("stop", reason),
            TextError::Encode(_) => Self::invalid("prompt", error.to_string()),
            TextError::NoTemplate | TextError::TemplateRefused(_) | TextError::TemplateLimit(_) => {
                Self::invalid("messages", error.to_string())
            }
            error => Self::Text(error),
        }
    }
}

/// Without [`AddError::QueueFull`], whose delay only the engine can estimate.
impl From<AddError> for EngineError {
    fn from(error: AddError) -> Self {
        let message = error.to_string();
        match error {
            AddError::EmptyPrompt => Self::invalid("prompt", message),
            AddError::NothingAsked => Self::invalid("max_tokens", message),
            AddError::TooManyChoices { .. } => Self::invalid("choices", message),
            AddError::ContextOverflow { tokens, max } => Self::ContextOverflow {
                tokens,
                maximum: max,
            },
            AddError::NeverFits { .. } => Self::invalid("max_tokens", message),
            AddError::QueueFull { .. } => Self::Overloaded {
                retry_after: Duration::from_secs(1),
            },
            AddError::Duplicate(_) => Self::Internal(message),
        }
    }
}
