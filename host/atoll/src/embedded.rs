//! The demo model inside the binary.

/// Its name. A model of the same name in a models folder wins.
pub const NAME: &str = "atoll-demo";

/// Its files; empty in a build without it.
pub static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/demo_model.rs"));
