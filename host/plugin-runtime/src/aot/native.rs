//! The one place where compiled code becomes runnable.
//!
//! wasmtime trusts what it deserializes: crafted bytes are arbitrary native code. So this module takes
//! only [`Native`], which cannot be made from bytes that were not either compiled by this process or
//! authenticated by the cache.

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// Compiled code whose origin is known.
pub(super) struct Native(Vec<u8>);

impl Native {
    /// The output of `Engine::precompile_component`, from this process.
    pub fn just_compiled(bytes: Vec<u8>) -> Self {
        Self(bytes)
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
pub(super) fn load(engine: &Engine, native: Native) -> Result<Component> {
    // SAFETY: `Component::deserialize` requires bytes that wasmtime's compiler produced and nobody
    // changed. `Native` is built in `aot.rs` in two places only: directly from
    // `precompile_component`, or after an HMAC over exactly these bytes was verified with a key that
    // only this installation holds and uses only on `precompile_component` output. The bytes are owned,
    // so nobody changes them between that check and this call.
    unsafe { Component::deserialize(engine, native.0) }
}
