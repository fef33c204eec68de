//! Scheduling strategies: plugins that decide who goes next.
//!
//! Implement [`Scheduling`], then [`export_scheduling!`](crate::export_scheduling). Called when the
//! queue changes, never per token; a pure function of its input and its settings.

use std::marker::PhantomData;

use crate::bindings::scheduling::exports::atoll::plugin::scheduling_guest;
pub use crate::bindings::scheduling::exports::atoll::plugin::scheduling_guest::{
    Decision, Load, WaitingRequest,
};
use crate::types::{Descriptor, Error};

/// A scheduling strategy.
pub trait Scheduling: 'static {
    /// Name, version and wishes. Pure.
    fn describe() -> Descriptor;

    /// Who may start and who is turned away; requests it does not name keep waiting.
    ///
    /// # Errors
    /// The strategy cannot decide; the host then uses its own order.
    fn order(waiting: Vec<WaitingRequest>, load: Load) -> Result<Vec<Decision>, Error>;
}

/// Joins a [`Scheduling`] to the generated bindings.
#[doc(hidden)]
pub struct Glue<T>(PhantomData<T>);

impl<T: Scheduling> scheduling_guest::Guest for Glue<T> {
    fn describe() -> Descriptor {
        crate::panic_log::install();
        let mut descriptor = T::describe();
        crate::panic_log::declare(&mut descriptor);
        descriptor
    }

    fn order(waiting: Vec<WaitingRequest>, load: Load) -> Result<Vec<Decision>, Error> {
        crate::panic_log::install();
        T::order(waiting, load)
    }
}

/// Makes a component of the `scheduling` world from a type that implements
/// [`Scheduling`](crate::scheduling::Scheduling). Once per crate, at its root.
#[macro_export]
macro_rules! export_scheduling {
    ($scheduling:ty) => {
        const _: () = {
            type AtollExport = $crate::scheduling::Glue<$scheduling>;
            #[cfg(target_family = "wasm")]
            $crate::bindings::scheduling::export!(
                AtollExport with_types_in $crate::bindings::scheduling
            );
            #[cfg(not(target_family = "wasm"))]
            const _: ::core::marker::PhantomData<AtollExport> =
                $crate::__assert::scheduling::<$scheduling>();
        };
    };
}
