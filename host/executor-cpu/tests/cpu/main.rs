//! The executor as the engine sees it: golden logits, invariance, sequences, hostile rows.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken fixture should stop the test"
)]

mod embeddings;
mod golden;
mod hostile;
mod invariance;
mod sequences;
mod stages;
mod support;
