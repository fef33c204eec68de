//! The executor as the engine sees it: golden logits, invariance, sequences, hostile rows.
#![expect(clippy::unwrap_used, reason = "a broken fixture should stop the test")]

mod embeddings;
mod hostile;
mod invariance;
mod invented;
mod suite;
mod support;
