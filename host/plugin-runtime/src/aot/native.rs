//! The one place where compiled code becomes runnable.
//!
//! wasmtime trusts what it deserializes: crafted bytes are arbitrary native code. So this module takes
//! only [`Native`], which is made in three places: of what this process compiled, of what its compiler
//! process handed back, and of what the cache authenticated.

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// Compiled code whose origin is known.
pub(crate) struct Native(Vec<u8>);

impl Native {
    /// The output of `Engine::precompile_component`, from this process or through a pipe from the one
    /// that it started to compile.
    pub fn just_compiled(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// For keeping.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes whose authentication tag under this installation's key was verified.
    pub fn authenticated(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Loads compiled code. Fails when it was compiled for another engine configuration.
#[expect(
    unsafe_code,
    reason = "loading compiled code is inherently a matter of trust; see SAFETY"
)]
pub(crate) fn load(engine: &Engine, native: Native) -> Result<Component> {
    // SAFETY: `Component::deserialize` requires bytes that wasmtime's compiler produced and nobody
    // changed. `Native` is built in three places only: in `compile.rs` directly from
    // `precompile_component`, or from the standard output of this same program run as a compiler, a pipe
    // that nobody else holds; in `aot.rs` after an HMAC over exactly these bytes was verified with a key
    // that only this installation holds and uses only on such output. The bytes are owned, so nobody
    // changes them between that check and this call.
    unsafe { Component::deserialize(engine, native.0) }
}
