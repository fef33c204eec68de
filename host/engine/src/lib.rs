//! Tokens in, tokens out: the engine of Atoll.
//!
//! It knows no HTTP, no WebAssembly and no network. Above it stand the gateway and the command
//! line; below it stands an [`executor::Executor`].

pub mod engine;
pub mod error;
pub mod executor;
pub mod files;
pub mod grammar;
pub mod kv;
pub mod model;
pub mod output;
pub mod sampling;
pub mod scheduler;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
