//! The plugin host against plugins that misbehave, by topic.
//!
//! The misbehaving plugins are real components: Rust ones built from `tests/plugins`, whose
//! requests say what goes wrong, and hand-made ones ([`handmade`]) for what no compiler emits.
#![expect(clippy::unwrap_used, reason = "tests: a failed step is a failed test")]
#![expect(clippy::panic, reason = "tests: a failed step is a failed test")]

mod aot;
mod bundled;
mod contract;
mod faults;
mod files;
mod filters;
mod handmade;
mod http_out;
mod kv;
mod library;
mod lifecycle;
mod load;
mod manage;
mod old_contract;
mod outward;
mod signatures;
mod strategies;
mod support;
mod swaps;
mod tokenizer;
