//! The canonical types that cross between host and plugins, generated from `wit/types.wit` and the
//! worlds. Their documentation is the WIT's.
//!
//! They derive `Clone` and `PartialEq` and print with `Debug`. Inside the host these types *are* the
//! canonical conversation; a later contract version converts into them in its adapter, so nobody
//! else notices.

pub use crate::bindings::imports::atoll::plugin::types::*;

pub use crate::bindings::dialect::exports::atoll::plugin::dialect_guest::{
    DialectDescriptor, Route,
};
pub use crate::bindings::filter::exports::atoll::plugin::filter_guest::{
    FilterContext, FilterDescriptor, Finding, Interests, Verdict,
};
/// Types of the `placement` world.
pub mod placement {
    pub use crate::bindings::placement::exports::atoll::plugin::placement_guest::{
        Executor, LayerFacts, Link, ModelFacts, Node, Objective, Options, Plan, Stage, Topology,
    };
}
/// Types of the `scheduling` world.
pub mod scheduling {
    pub use crate::bindings::scheduling::exports::atoll::plugin::scheduling_guest::{
        Decision, Load, WaitingRequest,
    };
}
