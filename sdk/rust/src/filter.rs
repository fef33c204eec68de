//! Filters: plugins that see the canonical request before the model does, and the canonical events
//! before the dialect does.
//!
//! Implement [`Filter`] and [`Session`], then [`export_filter!`](crate::export_filter).

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::filter::exports::atoll::plugin::filter_guest;
pub use crate::bindings::filter::exports::atoll::plugin::filter_guest::{
    FilterContext, FilterDescriptor, Finding, Interests, Verdict,
};
use crate::types::{Error, Event, Operation};

/// One kind of filter.
pub trait Filter: 'static {
    /// One request and its answer.
    type Session: Session;

    /// Name, version, what it looks at and wishes for. Pure.
    fn describe() -> FilterDescriptor;

    /// Starts on one request.
    ///
    /// # Errors
    /// Refuses the request.
    fn open(context: FilterContext) -> Result<Self::Session, Error>;
}

/// One request and its answer. An error from any method refuses the request or ends the answer;
/// text held back by then is dropped, never sent.
pub trait Session: 'static {
    /// Called once, before anything is rendered or counted. Passes by default.
    ///
    /// # Errors
    /// Refuses the request.
    fn on_request(&mut self, request: Operation) -> Result<Verdict, Error> {
        let _ = request;
        Ok(Verdict::Pass)
    }

    /// Called with each batch of events; returns what goes on. Text may be held back until its item
    /// or choice finishes; starts, ends and the terminal event keep their order. Passes by default.
    ///
    /// # Errors
    /// Ends the answer.
    fn on_events(&mut self, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        Ok(events)
    }

    /// What was found since the last call: kinds and places, never content.
    fn findings(&mut self) -> Vec<Finding> {
        Vec::new()
    }
}

/// Joins a [`Filter`] to the generated bindings.
#[doc(hidden)]
pub struct Glue<T>(PhantomData<T>);

/// Exclusive access for the trait's methods; the host never re-enters an instance.
#[doc(hidden)]
pub struct SessionCell<T: Filter>(RefCell<T::Session>);

impl<T: Filter> filter_guest::Guest for Glue<T> {
    type Session = SessionCell<T>;

    fn describe() -> FilterDescriptor {
        crate::panic_log::install();
        let mut descriptor = T::describe();
        crate::panic_log::declare(&mut descriptor.plugin);
        descriptor
    }
}

impl<T: Filter> filter_guest::GuestSession for SessionCell<T> {
    fn open(context: FilterContext) -> Result<filter_guest::Session, Error> {
        crate::panic_log::install();
        let session = T::open(context)?;
        Ok(filter_guest::Session::new(Self(RefCell::new(session))))
    }

    fn on_request(&self, request: Operation) -> Result<Verdict, Error> {
        self.0.borrow_mut().on_request(request)
    }

    fn on_events(&self, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        self.0.borrow_mut().on_events(events)
    }

    fn findings(&self) -> Vec<Finding> {
        self.0.borrow_mut().findings()
    }
}

/// Makes a component of the `filter` world from a type that implements
/// [`Filter`](crate::filter::Filter). Once per crate, at its root.
#[macro_export]
macro_rules! export_filter {
    ($filter:ty) => {
        const _: () = {
            type AtollExport = $crate::filter::Glue<$filter>;
            #[cfg(target_family = "wasm")]
    $crate::bindings::filter::export!(AtollExport with_types_in $crate::bindings::filter);
            #[cfg(not(target_family = "wasm"))]
            const _: ::core::marker::PhantomData<AtollExport> =
                $crate::__assert::filter::<$filter>();
        };
    };
}
