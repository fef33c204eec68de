//! Dialects: plugins that speak one wire API.
//!
//! Implement [`Dialect`] and [`Exchange`], then [`export_dialect!`](crate::export_dialect).

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::dialect::exports::atoll::plugin::dialect_guest;
pub use crate::bindings::dialect::exports::atoll::plugin::dialect_guest::{
    DialectDescriptor, Route,
};
use crate::types::{
    Error, Event, HttpRequest, HttpResponse, Operation, OperationResult, ResponseHead,
};

/// The header that every client sends when it opens a WebSocket, and nobody else does.
pub(crate) const SOCKET_HEADER: &str = "sec-websocket-key";

/// One wire API.
pub trait Dialect: 'static {
    /// One HTTP request and its answer.
    type Exchange: Exchange;

    /// Name, version, routes and wishes. The host calls it once, when it loads the plugin, in an
    /// instance it then throws away: do nothing but return data.
    fn describe() -> DialectDescriptor;
}

/// One HTTP request and its answer.
///
/// The host makes one instance of the plugin per request, so state here is nobody else's. It calls
/// [`decode`](Self::decode) once; then, for a stream of events, [`head`](Self::head) and
/// [`encode`](Self::encode) until the terminal event, and for anything else
/// [`reply`](Self::reply). An answer that fails before its head was sent goes to
/// [`fail`](Self::fail), even after some `encode` calls whose bytes are then thrown away.
///
/// The methods are called one at a time, never re-entered. They are pure functions of their
/// arguments and `self` in a good dialect, and so need no host to be tested.
pub trait Exchange: 'static {
    /// Takes the request; must not fail, so parse in `decode`.
    fn new(request: HttpRequest) -> Self;
    /// The client's request in canonical form.
    ///
    /// # Errors
    /// Whatever is wrong with the request, naming the field.
    fn decode(&mut self) -> Result<Operation, Error>;
    /// Status and headers of a successful answer that is a stream of events or made from one.
    fn head(&mut self) -> ResponseHead;
    /// Bytes for these events, possibly none yet.
    ///
    /// # Errors
    /// Events that this API cannot express at all.
    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error>;
    /// The whole answer to an operation that is not a stream of events.
    ///
    /// # Errors
    /// A result that does not belong to the operation.
    fn reply(&mut self, outcome: OperationResult) -> Result<HttpResponse, Error>;
    /// The whole answer to a request that failed before its head was sent.
    fn fail(&mut self, reason: Error) -> HttpResponse;
}

impl Route {
    /// A route without a header condition.
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            header: None,
        }
    }

    /// A WebSocket: every message of a client becomes an exchange, every line that the exchange writes a
    /// message to the client. [`HttpRequest::is_socket_message`] tells them from other requests.
    pub fn socket(path: impl Into<String>) -> Self {
        Self {
            header: Some(SOCKET_HEADER.to_owned()),
            ..Self::new("GET", path)
        }
    }
}

/// Joins a [`Dialect`] to the generated bindings.
#[doc(hidden)]
pub struct Glue<T>(PhantomData<T>);

/// Gives the bindings' shared references the exclusive access a trait method wants. The host never
/// re-enters an instance, so the borrow cannot fail.
#[doc(hidden)]
pub struct ExchangeCell<E>(RefCell<E>);

impl<T: Dialect> dialect_guest::Guest for Glue<T> {
    type Exchange = ExchangeCell<T::Exchange>;

    fn describe() -> DialectDescriptor {
        crate::panic_log::install();
        let mut descriptor = T::describe();
        crate::panic_log::declare(&mut descriptor.plugin);
        descriptor
    }
}

impl<E: Exchange> dialect_guest::GuestExchange for ExchangeCell<E> {
    fn new(request: HttpRequest) -> Self {
        crate::panic_log::install();
        Self(RefCell::new(E::new(request)))
    }

    fn decode(&self) -> Result<Operation, Error> {
        self.0.borrow_mut().decode()
    }

    fn head(&self) -> ResponseHead {
        self.0.borrow_mut().head()
    }

    fn encode(&self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        self.0.borrow_mut().encode(events)
    }

    fn reply(&self, outcome: OperationResult) -> Result<HttpResponse, Error> {
        self.0.borrow_mut().reply(outcome)
    }

    fn fail(&self, reason: Error) -> HttpResponse {
        self.0.borrow_mut().fail(reason)
    }
}

/// Makes a component of the `dialect` world from a type that implements
/// [`Dialect`](crate::dialect::Dialect). Once per crate, at its root.
#[macro_export]
macro_rules! export_dialect {
    ($dialect:ty) => {
        const _: () = {
            type AtollExport = $crate::dialect::Glue<$dialect>;
            #[cfg(target_family = "wasm")]
    $crate::bindings::dialect::export!(AtollExport with_types_in $crate::bindings::dialect);
            // Elsewhere nothing is exported, but the type must still be a dialect.
            #[cfg(not(target_family = "wasm"))]
            const _: ::core::marker::PhantomData<AtollExport> =
                $crate::__assert::dialect::<$dialect>();
        };
    };
}
