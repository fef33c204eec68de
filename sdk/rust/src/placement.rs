//! Placement strategies: plugins that decide where a model runs.
//!
//! Implement [`Placement`], then [`export_placement!`](crate::export_placement). A strategy is a
//! pure function: no clock, no randomness, no state; the host checks every plan it returns.

use std::marker::PhantomData;

use crate::bindings::placement::exports::atoll::plugin::placement_guest;
pub use crate::bindings::placement::exports::atoll::plugin::placement_guest::{
    Executor, LayerFacts, Link, ModelFacts, Node, Objective, Options, Plan, Stage, Topology,
};
use crate::types::{Descriptor, Error};

/// A placement strategy.
pub trait Placement: 'static {
    /// Name, version and wishes. Pure.
    fn describe() -> Descriptor;

    /// Plans, best first; the host takes the first valid one. `previous` is what runs now.
    ///
    /// # Errors
    /// No plan is possible, and why.
    fn propose(
        topology: Topology,
        model: ModelFacts,
        options: Options,
        previous: Option<Plan>,
    ) -> Result<Vec<Plan>, Error>;
}

/// Joins a [`Placement`] to the generated bindings.
#[doc(hidden)]
pub struct Glue<T>(PhantomData<T>);

impl<T: Placement> placement_guest::Guest for Glue<T> {
    fn describe() -> Descriptor {
        crate::panic_log::install();
        let mut descriptor = T::describe();
        crate::panic_log::declare(&mut descriptor);
        descriptor
    }

    fn propose(
        topology: Topology,
        model: ModelFacts,
        options: Options,
        previous: Option<Plan>,
    ) -> Result<Vec<Plan>, Error> {
        crate::panic_log::install();
        T::propose(topology, model, options, previous)
    }
}

/// Makes a component of the `placement` world from a type that implements
/// [`Placement`](crate::placement::Placement). Once per crate, at its root.
#[macro_export]
macro_rules! export_placement {
    ($placement:ty) => {
        const _: () = {
            type AtollExport = $crate::placement::Glue<$placement>;
            #[cfg(target_family = "wasm")]
            $crate::bindings::placement::export!(
                AtollExport with_types_in $crate::bindings::placement
            );
            #[cfg(not(target_family = "wasm"))]
            const _: ::core::marker::PhantomData<AtollExport> =
                $crate::__assert::placement::<$placement>();
        };
    };
}
