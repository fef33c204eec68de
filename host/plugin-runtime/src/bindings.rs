//! What `wit/` becomes in Rust: one module per world, one set of shared types.
//!
//! The world `imports` is generated first and holds every shared type and host interface; the four
//! plugin worlds point at it (`with:`), so a `generate-request` is one Rust type whoever uses it. The
//! shared types can be written down (serde): the host stores answers in them.
//! Nothing outside this crate sees these paths: [`crate::types`] re-exports what others need.
#![expect(missing_docs, reason = "generated; the WIT documents it")]

pub mod imports {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "atoll:plugin/imports",
        imports: {
            "atoll:plugin/http-out.send": async | trappable,
            default: trappable,
        },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub mod dialect {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "atoll:plugin/dialect",
        imports: { default: trappable },
        exports: { default: async },
        with: { "atoll:plugin": super::imports::atoll::plugin },
        additional_derives: [PartialEq],
    });
}

pub mod filter {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "atoll:plugin/filter",
        imports: { default: trappable },
        exports: { default: async },
        with: { "atoll:plugin": super::imports::atoll::plugin },
        additional_derives: [PartialEq],
    });
}

pub mod placement {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "atoll:plugin/placement",
        imports: { default: trappable },
        exports: { default: async },
        with: { "atoll:plugin": super::imports::atoll::plugin },
        additional_derives: [PartialEq],
    });
}

pub mod scheduling {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "atoll:plugin/scheduling",
        imports: { default: trappable },
        exports: { default: async },
        with: { "atoll:plugin": super::imports::atoll::plugin },
        additional_derives: [PartialEq],
    });
}
