//! The redaction filter: personal data and secrets leave the prompt before the model sees it, and come
//! back in the streamed answer.
pub mod detect;
pub mod pseudonym;
pub mod restore;
