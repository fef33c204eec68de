//! Write Atoll plugins in Rust.
//!
//! A plugin is a WebAssembly component that the host runs in a sandbox: a *dialect* speaks one wire
//! API, a *filter* sees requests and answers, a *placement* strategy decides where a model runs, a
//! *scheduling* strategy who goes next. Implement a trait, name the type in one macro, and
//! `cargo build --target wasm32-wasip2 --release` gives a file to drop into the plugin folder.
//!
//! This crate narrows `wit-bindgen` to that: plugin authors see plain data ([`types`]), one trait per
//! kind of plugin, and safe functions for what the host offers ([`host`]). State needs no cell and no
//! lock: methods take `&mut self`, and the host makes one instance per request.
//!
//! # A dialect, whole
//!
//! `Cargo.toml`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! atoll-sdk = "0.1"
//! ```
//!
//! `src/lib.rs`, an API that is a prompt in the body and text back:
//!
//! ```no_run
//! use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
//! use atoll_sdk::types::*;
//!
//! struct Plain;
//!
//! struct OneRequest(HttpRequest);
//!
//! impl Dialect for Plain {
//!     type Exchange = OneRequest;
//!
//!     fn describe() -> DialectDescriptor {
//!         DialectDescriptor {
//!             plugin: Descriptor::new("plain", env!("CARGO_PKG_VERSION"), "Text in, text out."),
//!             routes: vec![Route::new("POST", "/plain/{model}")],
//!         }
//!     }
//! }
//!
//! impl Exchange for OneRequest {
//!     fn new(request: HttpRequest) -> Self {
//!         Self(request)
//!     }
//!
//!     fn decode(&mut self) -> Result<Operation, Error> {
//!         let text = std::str::from_utf8(&self.0.body)
//!             .map_err(|_| Error::invalid("body", "The prompt is not UTF-8."))?;
//!         let model = self.0.path_param("model").ok_or_else(|| Error::missing("model"))?;
//!         let prompt = Prompt::Conversation(vec![Message::text(Role::User, text)]);
//!         let mut request = GenerateRequest::new(model, prompt);
//!         request.streaming.enabled = true;
//!         Ok(Operation::Generate(request))
//!     }
//!
//!     fn head(&mut self) -> ResponseHead {
//!         ResponseHead { status: 200, headers: vec![Header::new("content-type", "text/plain")] }
//!     }
//!
//!     fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
//!         let text = events.into_iter().filter_map(|event| match event {
//!             Event::TextDelta(delta) => Some(delta.text),
//!             _ => None,
//!         });
//!         Ok(text.collect::<String>().into_bytes())
//!     }
//!
//!     fn reply(&mut self, _: OperationResult) -> Result<HttpResponse, Error> {
//!         Err(Error::internal("only generates"))
//!     }
//!
//!     fn fail(&mut self, reason: Error) -> HttpResponse {
//!         HttpResponse::new(reason.http_status(), "text/plain", reason.message)
//!     }
//! }
//!
//! atoll_sdk::export_dialect!(Plain);
//! # fn main() {}
//! ```
//!
//! The same code runs in native tests: build an [`HttpRequest`](types::HttpRequest), call the
//! trait's methods, look at what comes back. Only [`host`] needs a host.
//!
//! # What the component imports
//!
//! The host interfaces it calls, and no others; the WASI interfaces that Rust's standard library
//! drags in are given but lead nowhere (no files, no environment, no network). By default also `log`,
//! so that a panic says why; the feature `panic-log` turns that off.

#[expect(missing_docs, reason = "generated; the WIT documents it")]
pub mod bindings;
pub mod dialect;
mod error;
pub mod filter;
pub mod holdback;
pub mod host;
pub mod json;
pub mod ndjson;
mod panic_log;
pub mod placement;
pub mod quota;
pub mod scheduling;
pub mod settings;
pub mod sse;
pub mod time;
pub mod types;

pub use host::config::settings;

/// Lets the export macros check their type on targets where nothing is exported.
#[doc(hidden)]
pub mod __assert {
    use std::marker::PhantomData;

    /// `T` is a dialect.
    #[must_use]
    pub const fn dialect<T: crate::dialect::Dialect>() -> PhantomData<crate::dialect::Glue<T>> {
        PhantomData
    }

    /// `T` is a filter.
    #[must_use]
    pub const fn filter<T: crate::filter::Filter>() -> PhantomData<crate::filter::Glue<T>> {
        PhantomData
    }

    /// `T` is a placement strategy.
    #[must_use]
    pub const fn placement<T: crate::placement::Placement>()
    -> PhantomData<crate::placement::Glue<T>> {
        PhantomData
    }

    /// `T` is a scheduling strategy.
    #[must_use]
    pub const fn scheduling<T: crate::scheduling::Scheduling>()
    -> PhantomData<crate::scheduling::Glue<T>> {
        PhantomData
    }
}
