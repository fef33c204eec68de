//! Plugins that misbehave on request, as bytes, for the tests of the plugin host.
//!
//! They are ordinary plugins, written with the SDK as a third party would; what they do wrong is in
//! the request (see the crates in `dialect/`, `filter/` and `outward/`). Kept in a crate of its own so that only
//! the tests pay for building them.

/// A dialect: `{where}:{what}` in the request's body says what goes wrong and when.
pub static DIALECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dialect.wasm"));

/// A filter: the model's name in the context says what goes wrong.
pub static FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm"));

/// A filter that reaches for the network, files and its store: the model's name in the context says how.
pub static OUTWARD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/outward.wasm"));
