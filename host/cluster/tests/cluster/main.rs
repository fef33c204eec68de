//! Pipelines and nodes, from bytes to tokens.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken fixture should stop the test"
)]

mod claims;
mod duplicates;
mod failures;
mod nodes;
mod pipeline;
mod secret;
mod support;
mod wire;
