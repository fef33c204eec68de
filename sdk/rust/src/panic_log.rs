//! Says why a plugin trapped.
//!
//! Plugins are built with `panic = "abort"`, so to the host a panic is only `unreachable`. The hook
//! writes the place to the host's log first, and the message if it is a literal: one made at run time
//! may quote the text of a request (slicing a string does), which no log may hold. It never runs on
//! other targets.

use crate::types::Descriptor;
#[cfg(feature = "panic-log")]
use crate::types::Grant;

/// Installs the hook once per instance. Every export that can be an instance's first call calls it.
pub(crate) fn install() {
    #[cfg(all(feature = "panic-log", target_family = "wasm"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|info| {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                let message = info.payload().downcast_ref::<&'static str>();
                let message = message.copied().unwrap_or("(message withheld)");
                crate::host::log::error(format!("panicked at {place}: {message}"));
            }));
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
