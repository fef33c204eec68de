//! The redaction filter: personal data and secrets leave the prompt before the model sees it, and come
//! back in the streamed answer.
//!
//! - [`detect`]: where they are in a text, validated; one pass, static tables.
//! - [`pseudonym`]: which token stands for which value.
//! - [`walk`] and [`redact`]: the way in, over every text of an operation.
//! - [`restore`] and [`answer`]: the way out, streaming.
//! - [`settings`]: what to look for and what to do with it.
//! - [`component`]: all of it as a plugin.
//!
//! Names of people, addresses and other things without a shape are out of reach here: they need the
//! settings' `deny` list, or a model.

pub mod answer;
pub mod component;
pub mod detect;
pub mod json_text;
pub mod pseudonym;
pub mod redact;
pub mod restore;
pub mod settings;
pub mod walk;

#[cfg(test)]
mod tests;

atoll_sdk::export_filter!(component::RedactPii);
