//! The seam between contract versions and the rest of the host.
//!
//! Inside, there is one trait per role, in canonical types. Each published version of the contract has
//! one adapter that implements them over that version's bindings; a later version is a new file beside
//! [`v0_1`] and a line in [`probe`], and nobody else notices. Which version a component was built
//! against is found by probing its exports, never from what it claims.

mod v0_1;

use futures::future::BoxFuture;
use wasmtime::component::InstancePre;

use crate::cell::Cell;
use crate::error::PluginFault;
use crate::host::HostState;
use crate::info::World;
use crate::types::{
    self, DialectDescriptor, Error, Event, FilterContext, FilterDescriptor, Finding, HttpRequest,
    HttpResponse, Operation, OperationResult, ResponseHead, Verdict, placement, scheduling,
};

/// A call's outcome: the plugin's fault, or its typed answer.
pub(crate) type Called<T> = Result<T, PluginFault>;
/// A call's outcome where the answer may be an error of the plugin's own.
pub(crate) type Answered<T> = Called<Result<T, Error>>;

/// A dialect of any contract version. Shared by all requests; holds no instance.
pub(crate) trait DialectAdapter: Send + Sync {
    /// Instantiates in `cell` and asks for the description. Called once, at load.
    fn describe(&self, cell: Cell) -> BoxFuture<'_, Called<DialectDescriptor>>;
    /// Instantiates in `cell` and constructs the exchange.
    fn open<'a>(
        &'a self,
        cell: Cell,
        request: &'a HttpRequest,
    ) -> BoxFuture<'a, Called<Box<dyn ExchangeAdapter>>>;
}

/// One request's instance of a dialect. After an error from any method it must be dropped.
pub(crate) trait ExchangeAdapter: Send {
    fn decode(&mut self) -> BoxFuture<'_, Answered<Operation>>;
    fn head(&mut self) -> BoxFuture<'_, Called<ResponseHead>>;
    fn encode<'a>(&'a mut self, events: &'a [Event]) -> BoxFuture<'a, Answered<Vec<u8>>>;
    fn reply<'a>(
        &'a mut self,
        outcome: &'a OperationResult,
    ) -> BoxFuture<'a, Answered<HttpResponse>>;
    fn fail<'a>(&'a mut self, reason: &'a Error) -> BoxFuture<'a, Called<HttpResponse>>;
}

/// A filter of any contract version.
pub(crate) trait FilterAdapter: Send + Sync {
    fn describe(&self, cell: Cell) -> BoxFuture<'_, Called<FilterDescriptor>>;
    fn open<'a>(
        &'a self,
        cell: Cell,
        context: &'a FilterContext,
    ) -> BoxFuture<'a, Answered<Box<dyn SessionAdapter>>>;
}

/// One request's instance of a filter.
pub(crate) trait SessionAdapter: Send {
    fn on_request<'a>(&'a mut self, request: &'a Operation) -> BoxFuture<'a, Answered<Verdict>>;
    fn on_events<'a>(&'a mut self, events: &'a [Event]) -> BoxFuture<'a, Answered<Vec<Event>>>;
    fn findings(&mut self) -> BoxFuture<'_, Called<Vec<Finding>>>;
}

/// A placement strategy of any contract version.
pub(crate) trait PlacementAdapter: Send + Sync {
    fn describe(&self, cell: Cell) -> BoxFuture<'_, Called<types::Descriptor>>;
    fn propose<'a>(
        &'a self,
        cell: Cell,
        topology: &'a placement::Topology,
        model: &'a placement::ModelFacts,
        options: &'a placement::Options,
        previous: Option<&'a placement::Plan>,
    ) -> BoxFuture<'a, Answered<Vec<placement::Plan>>>;
}

/// A scheduling strategy of any contract version.
pub(crate) trait SchedulingAdapter: Send + Sync {
    fn describe(&self, cell: Cell) -> BoxFuture<'_, Called<types::Descriptor>>;
    fn order<'a>(
        &'a self,
        cell: Cell,
        waiting: &'a [scheduling::WaitingRequest],
        load: &'a scheduling::Load,
    ) -> BoxFuture<'a, Answered<Vec<scheduling::Decision>>>;
}

/// A component whose world and contract version are known.
pub(crate) enum Adapter {
    Dialect(Box<dyn DialectAdapter>),
    Filter(Box<dyn FilterAdapter>),
    Placement(Box<dyn PlacementAdapter>),
    Scheduling(Box<dyn SchedulingAdapter>),
}

impl Adapter {
    pub fn world(&self) -> World {
        match self {
            Self::Dialect(_) => World::Dialect,
            Self::Filter(_) => World::Filter,
            Self::Placement(_) => World::Placement,
            Self::Scheduling(_) => World::Scheduling,
        }
    }
}

/// The contract versions this host speaks, for messages.
pub(crate) const SUPPORTED: &str = "atoll:plugin 0.1";

/// Finds the one world and version that the component implements.
///
/// # Errors
/// A sentence: none or several.
pub(crate) fn probe(pre: &InstancePre<HostState>, exports: &[String]) -> Result<Adapter, String> {
    let mut found = v0_1::probe(pre);
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => {
            Err("it exports more than one world; build one component for each".to_owned())
        }
        (None, _) => Err(no_world(exports)),
    }
}

/// The message for a component that is no plugin.
pub(crate) fn no_world(exports: &[String]) -> String {
    let exports = if exports.is_empty() {
        "nothing".to_owned()
    } else {
        exports.join(", ")
    };
    let worlds = World::ALL.map(World::as_str).join(", ");
    format!("it implements none of the worlds {worlds} of {SUPPORTED}; it exports {exports}")
}
