//! The plugins that ship inside the host, as bytes.
//!
//! The build script compiles them to components, so that one `cargo build` gives a host that speaks
//! something. They get no privilege from being here: the host loads them as it loads any other file.

/// A component and the name the host knows it by.
#[derive(Clone, Copy, Debug)]
pub struct BundledPlugin {
    /// The name the plugin also gives itself in its descriptor.
    pub name: &'static str,
    /// The component's bytes.
    pub wasm: &'static [u8],
}

/// Every shipped plugin, in the order the host loads them.
pub static PLUGINS: &[BundledPlugin] = include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// The shipped plugin of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static BundledPlugin> {
    PLUGINS.iter().find(|plugin| plugin.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plugin_is_a_component() {
        assert!(!PLUGINS.is_empty());
        for plugin in PLUGINS {
            // Magic, then version 13 layer 1: a component, not a core module.
            assert_eq!(
                plugin.wasm.get(..8),
                Some(&b"\0asm\x0d\0\x01\0"[..]),
                "{}",
                plugin.name
            );
        }
        assert!(find("openai").is_some());
        assert!(find("nothing").is_none());
    }
}
