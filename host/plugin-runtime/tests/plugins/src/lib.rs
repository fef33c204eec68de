//! Plugins that misbehave on request, as bytes, for the tests of the plugin host.
//!
//! They are ordinary plugins, written with the SDK as a third party would; what they do wrong is in
//! the request (see the crates in `dialect/` and `filter/`). Kept in a crate of its own so that only
//! the tests pay for building them.

/// A dialect: `{where}:{what}` in the request's body says what goes wrong and when.
pub static DIALECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dialect.wasm"));

/// A filter: the model's name in the context says what goes wrong.
pub static FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm"));
