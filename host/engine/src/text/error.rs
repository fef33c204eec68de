//! [`TextError`]: why text could not become tokens, or tokens text.

use std::path::PathBuf;

use crate::files::FileError;

/// What went wrong between text and tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A file of the model folder is missing, unreadable or too large.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of the model folder is not the JSON it should be.
    #[error("{}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// tokenizer.json cannot be used.
    #[error("tokenizer.json: {0}")]
    Tokenizer(String),
    /// The text could not be tokenized.
    #[error("cannot tokenize this text: {0}")]
    Encode(String),
    /// The model folder has no chat template, so there is no way to write a conversation for it.
    #[error(
        "this model has no chat template; use plain text completion, or add a chat_template.jinja to its folder"
    )]
    NoTemplate,
    /// The chat template does not compile.
    #[error("chat template: {0}")]
    TemplateSyntax(String),
    /// The chat template refused the conversation in its own words (`raise_exception`).
    #[error("the model's chat template refuses this conversation: {0}")]
    TemplateRefused(String),
    /// The chat template failed while it ran.
    #[error("chat template: {0}")]
    TemplateFailed(String),
    /// The chat template used more than it may.
    #[error("chat template: exceeds its limit of {0}")]
    TemplateLimit(&'static str),
    /// The conversation is not a list of messages with roles.
    #[error("{parameter}: {reason}")]
    Conversation {
        /// Which part of the request.
        parameter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The stop strings break a limit.
    #[error("stop: {0}")]
    Stop(String),
}
