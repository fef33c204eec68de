//! The plugins in force, as one value that is swapped whole.
//!
//! A request takes a snapshot when it arrives and is answered by it to the end: one version of its
//! dialect, one filter chain, however often the set changes meanwhile. At any moment exactly one
//! snapshot is in force for new requests; the last request to let go of an old one frees it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use atoll_plugin_runtime::Registry;

use crate::filters::FilterEntry;

/// Everything that plugins do for requests, at one moment. Immutable.
#[derive(Default)]
pub struct Installed {
    /// Dialects with their routes.
    pub registry: Registry,
    /// The filter chain, first to last.
    pub filters: Vec<FilterEntry>,
    /// Plugins that were found but are not in force, for `/atoll/v1/plugins`.
    pub refused: Vec<RefusedPlugin>,
}

/// A plugin file that did not get in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RefusedPlugin {
    /// The file, or the bundled plugin's name.
    pub source: String,
    /// Why, in a sentence that says what to do.
    pub reason: String,
}

/// The snapshot in force. Readers never wait.
#[derive(Default)]
pub struct PluginSet {
    current: ArcSwap<Installed>,
}

impl PluginSet {
    /// A set that starts as this.
    #[must_use]
    pub fn new(installed: Installed) -> Self {
        Self {
            current: ArcSwap::from_pointee(installed),
        }
    }

    /// What is in force now; stays as it is however the set changes.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Installed> {
        self.current.load_full()
    }

    /// Puts `installed` in force, for every request that arrives from now on.
    pub fn replace(&self, installed: Installed) {
        self.current.store(Arc::new(installed));
    }
}
