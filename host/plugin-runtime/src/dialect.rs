//! A loaded dialect, and one request's exchange with it.

use std::sync::Arc;

use crate::adapter::{DialectAdapter, ExchangeAdapter};
use crate::cell::fault;
use crate::error::{Breach, FaultKind, PluginError, PluginFault};
use crate::info::PluginInfo;
use crate::manage;
use crate::plugin::{Live, PluginCore};
use crate::response;
use crate::types::{
    Error, Event, HttpRequest, HttpResponse, Operation, OperationResult, ResponseHead,
};

/// A plugin that speaks one wire API. Shared by all requests; each [`Dialect::open`] makes an instance
/// of its own.
pub struct Dialect {
    core: Arc<PluginCore>,
    adapter: Box<dyn DialectAdapter>,
}

impl Dialect {
    pub(crate) fn new(core: PluginCore, adapter: Box<dyn DialectAdapter>) -> Self {
        Self {
            core: Arc::new(core),
            adapter,
        }
    }

    /// Who it is.
    #[must_use]
    pub fn info(&self) -> &PluginInfo {
        &self.core.info
    }

    /// Whether the circuit breaker has taken it out for now.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.core.suspended()
    }

    /// Starts one request's exchange in a fresh instance.
    ///
    /// # Errors
    /// A fault: `Overloaded` or `Suspended` before anything ran, or whatever the constructor did.
    pub async fn open(&self, request: HttpRequest) -> Result<Exchange, PluginError> {
        let (cell, mut ticket) = self.core.enter(Arc::from(request.id.as_str()))?;
        match self.adapter.open(cell, &request).await {
            Ok(adapter) => Ok(Exchange {
                live: Live::new(adapter, ticket),
                output_bytes: 0,
            }),
            Err(fault) => {
                ticket.faulted(&fault);
                Err(fault.into())
            }
        }
    }
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialect")
            .field("name", &self.core.info.name)
            .field("version", &self.core.info.version)
            .finish()
    }
}

/// One HTTP request and its answer, in an instance that nobody else uses.
///
/// Call in the order that `wit/dialect.wit` gives. The outer error of each method is a fault of the
/// plugin and ends the exchange: the instance is gone and every later call returns the same fault. The
/// inner error is the plugin's typed answer, after which the exchange goes on. Dropping a method's
/// future before it is done ends the exchange as well.
pub struct Exchange {
    live: Live<Box<dyn ExchangeAdapter>>,
    output_bytes: u64,
}

impl Exchange {
    /// The client's request in canonical form. An operation that manages models, by a dialect that was not
    /// granted it, is an inner error like one of its own.
    ///
    /// # Errors
    /// See [`Exchange`].
    pub async fn decode(&mut self) -> Result<Result<Operation, Error>, PluginError> {
        let mut adapter = self.live.take()?;
        let outcome = adapter.decode().await.map(|answer| {
            let info = &self.live.ticket.core().info;
            answer.and_then(|operation| manage::permit(info, operation))
        });
        self.live.put(adapter, outcome)
    }

    /// Status and headers of a successful answer, checked: a valid status, no framing headers, nothing
    /// that could split the response.
    ///
    /// # Errors
    /// See [`Exchange`].
    pub async fn head(&mut self) -> Result<ResponseHead, PluginError> {
        let mut adapter = self.live.take()?;
        let outcome = match adapter.head().await {
            Ok(head) => self.checked_head("head", &head).map(|()| head),
            Err(fault) => Err(fault),
        };
        self.live.put(adapter, outcome)
    }

    /// Bytes for these events, possibly none yet.
    ///
    /// # Errors
    /// See [`Exchange`].
    pub async fn encode(
        &mut self,
        events: &[Event],
    ) -> Result<Result<Vec<u8>, Error>, PluginError> {
        let mut adapter = self.live.take()?;
        let outcome = match adapter.encode(events).await {
            Ok(Ok(bytes)) => self.counted("encode", bytes.len()).map(|()| Ok(bytes)),
            other => other,
        };
        self.live.put(adapter, outcome)
    }

    /// The whole answer to an operation that is not a stream of events.
    ///
    /// # Errors
    /// See [`Exchange`].
    pub async fn reply(
        &mut self,
        outcome: &OperationResult,
    ) -> Result<Result<HttpResponse, Error>, PluginError> {
        let mut adapter = self.live.take()?;
        let outcome = match adapter.reply(outcome).await {
            Ok(Ok(response)) => self
                .checked_response("reply", &response)
                .map(|()| Ok(response)),
            other => other,
        };
        self.live.put(adapter, outcome)
    }

    /// The whole answer to a request that failed before its head was sent.
    ///
    /// # Errors
    /// See [`Exchange`].
    pub async fn fail(&mut self, reason: &Error) -> Result<HttpResponse, PluginError> {
        let mut adapter = self.live.take()?;
        let outcome = match adapter.fail(reason).await {
            Ok(response) => self.checked_response("fail", &response).map(|()| response),
            Err(fault) => Err(fault),
        };
        self.live.put(adapter, outcome)
    }

    fn checked_head(&self, what: &str, head: &ResponseHead) -> Result<(), PluginFault> {
        response::check(head).map_err(|(breach, message)| self.breach(breach, what, &message))
    }

    fn checked_response(&mut self, what: &str, response: &HttpResponse) -> Result<(), PluginFault> {
        self.checked_head(what, &response.head)?;
        self.counted(what, response.body.len())
    }

    fn counted(&mut self, what: &str, bytes: usize) -> Result<(), PluginFault> {
        self.output_bytes = self.output_bytes.saturating_add(bytes as u64);
        let allowed = self
            .live
            .ticket
            .core()
            .runtime
            .options
            .instance
            .total_output_bytes;
        if self.output_bytes <= allowed {
            return Ok(());
        }
        let message = format!("in {what}: more than {allowed} bytes in one exchange");
        Err(fault(self.live.ticket.plugin(), FaultKind::Output, message))
    }

    fn breach(&self, breach: Breach, what: &str, message: &str) -> PluginFault {
        let fault = fault(
            self.live.ticket.plugin(),
            FaultKind::Contract(breach),
            format!("in {what}: {message}"),
        );
        tracing::warn!(target: "atoll::plugin", "{fault}");
        fault
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("plugin", &self.live.ticket.plugin().name)
            .finish_non_exhaustive()
    }
}
