//! What `wit-bindgen` generates from `wit/`, one module per world.
//!
//! All worlds share the types and host interfaces of `imports`, so that an event is the same Rust
//! type in every kind of plugin. The exports of a world are only linked into a plugin that expands
//! that world's `export!` macro, and a host interface is only imported by a plugin that calls it.
//!
//! This is the only unsafe code of the crate, and none of it is written by hand.

/// Types and host interfaces.
pub mod imports {
    wit_bindgen::generate!({
        world: "imports",
        path: "../../wit",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq],
    });
}

/// The `dialect` world.
pub mod dialect {
    wit_bindgen::generate!({
        world: "dialect",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "atoll_sdk::bindings::dialect",
        additional_derives: [PartialEq],
        with: {
            "atoll:plugin/types@0.1.0": crate::bindings::imports::atoll::plugin::types,
            "atoll:plugin/log@0.1.0": crate::bindings::imports::atoll::plugin::log,
            "atoll:plugin/clock@0.1.0": crate::bindings::imports::atoll::plugin::clock,
            "atoll:plugin/random@0.1.0": crate::bindings::imports::atoll::plugin::random,
            "atoll:plugin/config@0.1.0": crate::bindings::imports::atoll::plugin::config,
            "atoll:plugin/kv@0.1.0": crate::bindings::imports::atoll::plugin::kv,
            "atoll:plugin/tokenizer@0.1.0": crate::bindings::imports::atoll::plugin::tokenizer,
            "atoll:plugin/metrics@0.1.0": crate::bindings::imports::atoll::plugin::metrics,
        },
    });
}

/// The `filter` world.
pub mod filter {
    wit_bindgen::generate!({
        world: "filter",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "atoll_sdk::bindings::filter",
        additional_derives: [PartialEq],
        with: {
            "atoll:plugin/types@0.1.0": crate::bindings::imports::atoll::plugin::types,
            "atoll:plugin/log@0.1.0": crate::bindings::imports::atoll::plugin::log,
            "atoll:plugin/clock@0.1.0": crate::bindings::imports::atoll::plugin::clock,
            "atoll:plugin/random@0.1.0": crate::bindings::imports::atoll::plugin::random,
            "atoll:plugin/config@0.1.0": crate::bindings::imports::atoll::plugin::config,
            "atoll:plugin/kv@0.1.0": crate::bindings::imports::atoll::plugin::kv,
            "atoll:plugin/tokenizer@0.1.0": crate::bindings::imports::atoll::plugin::tokenizer,
            "atoll:plugin/metrics@0.1.0": crate::bindings::imports::atoll::plugin::metrics,
            "atoll:plugin/http-out@0.1.0": crate::bindings::imports::atoll::plugin::http_out,
        },
    });
}

/// The `placement` world.
pub mod placement {
    wit_bindgen::generate!({
        world: "placement",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "atoll_sdk::bindings::placement",
        additional_derives: [PartialEq],
        with: {
            "atoll:plugin/types@0.1.0": crate::bindings::imports::atoll::plugin::types,
            "atoll:plugin/log@0.1.0": crate::bindings::imports::atoll::plugin::log,
            "atoll:plugin/config@0.1.0": crate::bindings::imports::atoll::plugin::config,
        },
    });
}

/// The `scheduling` world.
pub mod scheduling {
    wit_bindgen::generate!({
        world: "scheduling",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "atoll_sdk::bindings::scheduling",
        additional_derives: [PartialEq],
        with: {
            "atoll:plugin/types@0.1.0": crate::bindings::imports::atoll::plugin::types,
            "atoll:plugin/log@0.1.0": crate::bindings::imports::atoll::plugin::log,
            "atoll:plugin/config@0.1.0": crate::bindings::imports::atoll::plugin::config,
        },
    });
}
