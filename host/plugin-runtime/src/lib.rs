//! Runs Atoll plugins.
//!
//! The big dependency here is wasmtime, and this crate is the only one that knows it. What it narrows:
//! only components (never core modules), only the worlds in `wit/`, only Cranelift, only asynchronous
//! calls into instances that serve exactly one request and are then thrown away. There is no way to
//! share an instance between requests and no way to call one without a deadline, a memory limit, an
//! output limit and a host-call budget.
//!
//! ```no_run
//! use atoll_plugin_runtime::{
//!     Grant, LoadPolicy, PluginRuntime, PluginSource, Registry, RuntimeOptions, types,
//! };
//!
//! # async fn serve(request: types::HttpRequest) -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = PluginRuntime::new(RuntimeOptions::default())?;
//! let policy = LoadPolicy { grants: Grant::all_local(), ..LoadPolicy::default() };
//! let plugin = runtime.load(PluginSource::File("plugins/openai.wasm".into()), policy).await?;
//! let registry = Registry::new([plugin])?;
//!
//! // For each request:
//! let route = registry.route("POST", "/v1/chat/completions", &http::HeaderMap::new())?;
//! let mut exchange = route.dialect.open(request).await?;
//! match exchange.decode().await? {
//!     Ok(operation) => { /* run it, then `head` and `encode`, or `reply` */ }
//!     Err(error) => { let _answer = exchange.fail(&error).await?; }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # When a plugin misbehaves
//!
//! Every method that calls into a plugin returns `Result<_, PluginError>`: a fault of the plugin, which
//! ends that exchange and costs that request only. Functions whose contract has an error return
//! `Result<Result<_, types::Error>, PluginError>`; the inner error is the plugin's answer. See
//! [`error`] for the kinds, [`options`] for every limit and why it is what it is.
//!
//! Limits are enforced here, in the host, from outside: a deadline by processor time (ticks in which
//! the guest ran) and one by wall clock, memory summed over all of an instance's memories, bytes copied
//! out per call and in all, host calls per call. What dialects and filters return is checked against the
//! contract before anybody sees it. A [`Breaker`] takes a plugin out after repeated faults.
//!
//! # Plugins come and go
//!
//! A [`Library`] keeps everything there is in step with a folder and a lock file, and hands out an
//! immutable [`Inventory`] whenever something changed; a bad file changes nothing. What a request
//! took from an inventory stays as it is for as long as the request lasts.

mod adapter;
mod aot;
mod bindings;
mod breaker;
mod cell;
mod compile;
mod descriptor;
mod dialect;
mod engine;
pub mod error;
mod filter;
mod folder;
mod grant;
mod host;
mod info;
mod library;
mod manage;
mod measure;
pub mod options;
mod plugin;
mod registry;
mod response;
mod router;
mod runtime;
mod settings;
mod source;
mod strategy;
mod stream_check;
mod ticker;
mod trust;
pub mod types;

pub use self::breaker::{Admission, Breaker, BreakerOptions};
pub use self::compile::Compiler;
pub use self::compile::worker::compile_worker;
pub use self::dialect::{Dialect, Exchange};
pub use self::error::{Breach, FaultKind, PluginError, PluginFault};
pub use self::filter::{Filter, Session};
pub use self::folder::is_plugin_name;
pub use self::grant::Grant;
pub use self::host::{
    HistogramSnapshot, HttpOutSnapshot, PluginMetricsSnapshot, Resolver, Stored, StoredError,
    TokenizerHost, forget_in, kv_file_for, stored_in,
};
pub use self::info::{PluginInfo, RouteInfo, WantInfo, World};
pub use self::library::{Inventory, Library, LibraryOptions, Listed, Place, Terms};
pub use self::options::{
    CallLimits, CompileLimits, HttpOutLimits, InstanceLimits, KvLimits, LogLimits, RuntimeOptions,
};
pub use self::registry::{LoadedPlugin, Registry, RouteMatch};
pub use self::router::RouteError;
pub use self::runtime::{LoadPolicy, PluginRuntime};
pub use self::source::PluginSource;
pub use self::strategy::{Placement, Scheduling};
pub use self::trust::{Pin, PluginsLock, SeenVersions, Standing, TrustOptions};
