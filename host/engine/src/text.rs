//! Between text and tokens: tokenizer, chat template, streaming detokenizer, stop strings.
//!
//! Everything here is pure computation over what a model folder holds, and everything in that
//! folder is untrusted: sizes are limited, templates run with a budget, and a broken tokenizer is a
//! typed error.

pub mod detokenizer;
mod error;
pub mod generation;
pub mod infill;
pub mod stop;
pub mod template;
pub mod tokenizer;
mod vocabulary;

pub use self::error::TextError;

#[cfg(test)]
pub(crate) mod fixtures;
