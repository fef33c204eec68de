//! Says why a plugin trapped.
//!
//! Plugins are built with `panic = "abort"`, so to the host a panic is only `unreachable`. The hook
//! writes the message and the place to the host's log first. It never runs on other targets.

use crate::types::Descriptor;
#[cfg(feature = "panic-log")]
use crate::types::Grant;

/// Installs the hook once per instance. Every export that can be an instance's first call calls it.
pub(crate) fn install() {
    #[cfg(all(feature = "panic-log", target_family = "wasm"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|info| crate::host::log::error(info.to_string())));
        });
    }
}

/// The hook makes the component import `log`, so the descriptor has to ask for it.
pub(crate) fn declare(descriptor: &mut Descriptor) {
    #[cfg(feature = "panic-log")]
    if !descriptor.wants.iter().any(|want| want.grant == Grant::Log) {
        let taken = std::mem::replace(descriptor, Descriptor::new("", "", ""));
        *descriptor = taken.wanting(Grant::Log, "To say why it stopped, should it fail.");
    }
    #[cfg(not(feature = "panic-log"))]
    let _ = descriptor;
}
