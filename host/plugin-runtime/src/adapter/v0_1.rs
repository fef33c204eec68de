//! Contract 0.1: the bindings' types are the canonical ones, so nothing is converted.

use futures::FutureExt;
use futures::future::BoxFuture;
use wasmtime::component::{InstancePre, ResourceAny};

use super::{
    Adapter, Answered, Called, DialectAdapter, ExchangeAdapter, FilterAdapter, PlacementAdapter,
    SchedulingAdapter, SessionAdapter,
};
use crate::bindings::{
    dialect, filter, placement as placement_world, scheduling as scheduling_world,
};
use crate::cell::{Cell, guest_call};
use crate::host::HostState;
use crate::measure;
use crate::types::{
    Descriptor, DialectDescriptor, Error, Event, FilterContext, FilterDescriptor, Finding,
    HttpRequest, HttpResponse, Operation, OperationResult, ResponseHead, Verdict, placement,
    scheduling,
};

/// Every world of this version that the component exports.
pub(super) fn probe(pre: &InstancePre<HostState>) -> Vec<Adapter> {
    let mut found = Vec::new();
    if let Ok(pre) = dialect::DialectPre::new(pre.clone()) {
        found.push(Adapter::Dialect(Box::new(Dialect(pre))));
    }
    if let Ok(pre) = filter::FilterPre::new(pre.clone()) {
        found.push(Adapter::Filter(Box::new(Filter(pre))));
    }
    if let Ok(pre) = placement_world::PlacementPre::new(pre.clone()) {
        found.push(Adapter::Placement(Box::new(Placement(pre))));
    }
    if let Ok(pre) = scheduling_world::SchedulingPre::new(pre.clone()) {
        found.push(Adapter::Scheduling(Box::new(Scheduling(pre))));
    }
    found
}

struct Dialect(dialect::DialectPre<HostState>);

impl DialectAdapter for Dialect {
    fn describe(&self, mut cell: Cell) -> BoxFuture<'_, Called<DialectDescriptor>> {
        async move {
            let exports = guest_call!(cell, "instantiation", 0, |store| self
                .0
                .instantiate_async(store))?;
            let guest = exports.atoll_plugin_dialect_guest();
            guest_call!(cell, "describe", 0, |store| guest.call_describe(store))
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        mut cell: Cell,
        request: &'a HttpRequest,
    ) -> BoxFuture<'a, Called<Box<dyn ExchangeAdapter>>> {
        async move {
            let input = measure::http_request(request);
            let exports = guest_call!(cell, "instantiation", 0, |store| self
                .0
                .instantiate_async(store))?;
            let guest = exports.atoll_plugin_dialect_guest();
            let exchange = guest_call!(cell, "exchange", input, |store| guest
                .exchange()
                .call_constructor(store, request))?;
            Ok(Box::new(Exchange {
                cell,
                exports,
                exchange,
                request_bytes: input,
            }) as Box<dyn ExchangeAdapter>)
        }
        .boxed()
    }
}

struct Exchange {
    cell: Cell,
    exports: dialect::Dialect,
    exchange: ResourceAny,
    /// `decode` hands nothing in, but its result grows with the request.
    request_bytes: usize,
}

impl ExchangeAdapter for Exchange {
    fn decode(&mut self) -> BoxFuture<'_, Answered<Operation>> {
        async move {
            let guest = self.exports.atoll_plugin_dialect_guest();
            guest_call!(self.cell, "decode", self.request_bytes, |store| guest
                .exchange()
                .call_decode(store, self.exchange))
        }
        .boxed()
    }

    fn head(&mut self) -> BoxFuture<'_, Called<ResponseHead>> {
        async move {
            let guest = self.exports.atoll_plugin_dialect_guest();
            guest_call!(self.cell, "head", 0, |store| guest
                .exchange()
                .call_head(store, self.exchange))
        }
        .boxed()
    }

    fn encode<'a>(&'a mut self, events: &'a [Event]) -> BoxFuture<'a, Answered<Vec<u8>>> {
        async move {
            let guest = self.exports.atoll_plugin_dialect_guest();
            let input = measure::events(events);
            guest_call!(self.cell, "encode", input, |store| guest
                .exchange()
                .call_encode(store, self.exchange, events))
        }
        .boxed()
    }

    fn reply<'a>(
        &'a mut self,
        outcome: &'a OperationResult,
    ) -> BoxFuture<'a, Answered<HttpResponse>> {
        async move {
            let guest = self.exports.atoll_plugin_dialect_guest();
            let input = measure::outcome(outcome);
            guest_call!(self.cell, "reply", input, |store| guest
                .exchange()
                .call_reply(store, self.exchange, outcome))
        }
        .boxed()
    }

    fn fail<'a>(&'a mut self, reason: &'a Error) -> BoxFuture<'a, Called<HttpResponse>> {
        async move {
            let guest = self.exports.atoll_plugin_dialect_guest();
            guest_call!(self.cell, "fail", 0, |store| guest.exchange().call_fail(
                store,
                self.exchange,
                reason
            ))
        }
        .boxed()
    }
}

struct Filter(filter::FilterPre<HostState>);

impl FilterAdapter for Filter {
    fn describe(&self, mut cell: Cell) -> BoxFuture<'_, Called<FilterDescriptor>> {
        async move {
            let exports = guest_call!(cell, "instantiation", 0, |store| self
                .0
                .instantiate_async(store))?;
            let guest = exports.atoll_plugin_filter_guest();
            guest_call!(cell, "describe", 0, |store| guest.call_describe(store))
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        mut cell: Cell,
        context: &'a FilterContext,
    ) -> BoxFuture<'a, Answered<Box<dyn SessionAdapter>>> {
        async move {
            let exports = guest_call!(cell, "instantiation", 0, |store| self
                .0
                .instantiate_async(store))?;
            let guest = exports.atoll_plugin_filter_guest();
            let opened = guest_call!(cell, "open", 0, |store| guest
                .session()
                .call_open(store, context))?;
            Ok(opened.map(|session| {
                Box::new(Session {
                    cell,
                    exports,
                    session,
                }) as Box<dyn SessionAdapter>
            }))
        }
        .boxed()
    }
}

struct Session {
    cell: Cell,
    exports: filter::Filter,
    session: ResourceAny,
}

impl SessionAdapter for Session {
    fn on_request<'a>(&'a mut self, request: &'a Operation) -> BoxFuture<'a, Answered<Verdict>> {
        async move {
            let guest = self.exports.atoll_plugin_filter_guest();
            let input = measure::operation(request);
            guest_call!(self.cell, "on-request", input, |store| guest
                .session()
                .call_on_request(store, self.session, request))
        }
        .boxed()
    }

    fn on_events<'a>(&'a mut self, events: &'a [Event]) -> BoxFuture<'a, Answered<Vec<Event>>> {
        async move {
            let guest = self.exports.atoll_plugin_filter_guest();
            let input = measure::events(events);
            guest_call!(self.cell, "on-events", input, |store| guest
                .session()
                .call_on_events(store, self.session, events))
        }
        .boxed()
    }

    fn findings(&mut self) -> BoxFuture<'_, Called<Vec<Finding>>> {
        async move {
            let guest = self.exports.atoll_plugin_filter_guest();
            guest_call!(self.cell, "findings", 0, |store| guest
                .session()
                .call_findings(store, self.session))
        }
        .boxed()
    }
}

struct Placement(placement_world::PlacementPre<HostState>);

impl PlacementAdapter for Placement {
    fn describe(&self, mut cell: Cell) -> BoxFuture<'_, Called<Descriptor>> {
        async move {
            let exports = guest_call!(cell, "instantiation", 0, |store| self
                .0
                .instantiate_async(store))?;
            let guest = exports.atoll_plugin_placement_guest();
            guest_call!(cell, "describe", 0, |store| guest.call_describe(store))
        }
        .boxed()
    }

    fn propose<'a>(
        &'a self,
        mut cell: Cell,
        topology: &'a placement::Topology,
        model: &'a placement::ModelFacts,
        options: &'a placement::Options,
        previous: Option<&'a placement::Plan>,
    ) -> BoxFuture<'a, Answered<Vec<placement::Plan>>> {
        async move {
            let exports = guest_call!(cell, "instantiation", 0, |store| self
                .0
                .instantiate_async(store))?;
            let guest = exports.atoll_plugin_placement_guest();
            guest_call!(cell, "propose", 0, |store| guest
                .call_propose(store, topology, model, options, previous))
        }
        .boxed()
    }
}

struct Scheduling(scheduling_world::SchedulingPre<HostState>);

impl SchedulingAdapter for Scheduling {
    fn describe(&self, mut cell: Cell) -> BoxFuture<'_, Called<Descriptor>> {
        async move {
            let exports = guest_call!(cell, "instantiation", 0, |store| self
                .0
                .instantiate_async(store))?;
            let guest = exports.atoll_plugin_scheduling_guest();
            guest_call!(cell, "describe", 0, |store| guest.call_describe(store))
        }
        .boxed()
    }

    fn order<'a>(
        &'a self,
        mut cell: Cell,
        waiting: &'a [scheduling::WaitingRequest],
        load: &'a scheduling::Load,
    ) -> BoxFuture<'a, Answered<Vec<scheduling::Decision>>> {
        async move {
            let exports = guest_call!(cell, "instantiation", 0, |store| self
                .0
                .instantiate_async(store))?;
            let guest = exports.atoll_plugin_scheduling_guest();
            guest_call!(cell, "order", 0, |store| guest
                .call_order(store, waiting, load))
        }
        .boxed()
    }
}
