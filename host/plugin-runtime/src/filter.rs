//! A loaded filter, and one request's session with it.

use std::sync::Arc;

use crate::adapter::{FilterAdapter, SessionAdapter};
use crate::cell::fault;
use crate::error::{Breach, FaultKind, PluginError, PluginFault};
use crate::grant::Grant;
use crate::info::PluginInfo;
use crate::manage;
use crate::plugin::{Live, PluginCore};
use crate::stream_check::StreamCheck;
use crate::types::{Error, Event, FilterContext, Finding, Interests, Operation, Verdict};

/// Findings a filter may report at once: they go to an audit log.
const MAX_FINDINGS: usize = 10_000;

/// A plugin that reads or changes requests and answers. Shared by all requests; each [`Filter::open`]
/// makes an instance of its own.
pub struct Filter {
    core: Arc<PluginCore>,
    adapter: Box<dyn FilterAdapter>,
    sees: Interests,
    max_held_bytes: u32,
}

impl Filter {
    pub(crate) fn new(
        core: PluginCore,
        adapter: Box<dyn FilterAdapter>,
        sees: Interests,
        max_held_bytes: u32,
    ) -> Self {
        Self {
            core: Arc::new(core),
            adapter,
            sees,
            max_held_bytes,
        }
    }

    /// Who it is.
    #[must_use]
    pub fn info(&self) -> &PluginInfo {
        &self.core.info
    }

    /// Whether it wants to see requests.
    #[must_use]
    pub fn sees_requests(&self) -> bool {
        self.sees.contains(Interests::REQUESTS)
    }

    /// Whether it wants to see the answer's events.
    #[must_use]
    pub fn sees_events(&self) -> bool {
        self.sees.contains(Interests::EVENTS)
    }

    /// Whether the circuit breaker has taken it out for now.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.core.suspended()
    }

    /// Starts one request's session in a fresh instance. The inner error is the filter's own refusal.
    ///
    /// # Errors
    /// A fault: `Overloaded` or `Suspended` before anything ran, or whatever `open` did.
    pub async fn open(
        &self,
        context: FilterContext,
    ) -> Result<Result<Session, Error>, PluginError> {
        let (cell, mut ticket) = self.core.enter(Arc::from(context.request_id.as_str()))?;
        match self.adapter.open(cell, &context).await {
            Ok(Ok(adapter)) => Ok(Ok(Session {
                live: Live::new(adapter, ticket),
                sees: self.sees,
                check: StreamCheck::new(self.max_held_bytes as usize),
            })),
            Ok(Err(refusal)) => {
                ticket.worked();
                Ok(Err(refusal))
            }
            Err(fault) => {
                ticket.faulted(&fault);
                Err(fault.into())
            }
        }
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter")
            .field("name", &self.core.info.name)
            .field("version", &self.core.info.version)
            .finish()
    }
}

/// One request and its answer as a filter sees them. What it held back when it faults is gone with it:
/// held-back text is never flushed.
///
/// Outer errors are faults and end the session, inner ones are the filter's refusals, as with
/// [`crate::Exchange`].
pub struct Session {
    live: Live<Box<dyn SessionAdapter>>,
    sees: Interests,
    check: StreamCheck,
}

impl Session {
    /// What the filter makes of the request. `Pass` at once if it does not look at requests.
    ///
    /// # Errors
    /// See [`Session`].
    pub async fn on_request(
        &mut self,
        request: &Operation,
    ) -> Result<Result<Verdict, Error>, PluginError> {
        let mut adapter = self.live.take()?;
        let outcome = if self.sees.contains(Interests::REQUESTS) {
            match adapter.on_request(request).await {
                Ok(Ok(Verdict::Replace(new))) if !same_operation(request, &new) => {
                    Err(self.breach("replaced the operation by one of another kind"))
                }
                Ok(Ok(Verdict::Replace(new)))
                    if manage::keep_alive(request) != manage::keep_alive(&new)
                        && !self.may_manage() =>
                {
                    Err(self.breach(
                        "changed how long the model stays loaded, for which it needs the grant manage-models",
                    ))
                }
                other => other,
            }
        } else {
            Ok(Ok(Verdict::Pass))
        };
        self.live.put(adapter, outcome)
    }

    fn may_manage(&self) -> bool {
        let info = &self.live.ticket.core().info;
        info.grants.contains(&Grant::ManageModels)
    }

    fn breach(&self, what: &str) -> PluginFault {
        let kind = FaultKind::Contract(Breach::EventOrder);
        fault(
            self.live.ticket.plugin(),
            kind,
            format!("in on-request: {what}"),
        )
    }

    /// What goes on instead of these events, checked: the structure of the answer is unchanged and no
    /// more text is held back than declared. The events themselves if it does not look at events.
    ///
    /// # Errors
    /// See [`Session`].
    pub async fn on_events(
        &mut self,
        events: Vec<Event>,
    ) -> Result<Result<Vec<Event>, Error>, PluginError> {
        let mut adapter = self.live.take()?;
        if !self.sees.contains(Interests::EVENTS) {
            return self.live.put(adapter, Ok(Ok(events)));
        }
        let outcome = match adapter.on_events(&events).await {
            Ok(Ok(out)) => match self.check.batch(&events, &out) {
                Ok(()) => Ok(Ok(out)),
                Err((breach, message)) => {
                    let message = format!("in on-events: {message}");
                    Err(fault(
                        self.live.ticket.plugin(),
                        FaultKind::Contract(breach),
                        message,
                    ))
                }
            },
            other => other,
        };
        self.live.put(adapter, outcome)
    }

    /// What was found since the last call: counts and kinds, for the audit log.
    ///
    /// # Errors
    /// See [`Session`].
    pub async fn findings(&mut self) -> Result<Vec<Finding>, PluginError> {
        let mut adapter = self.live.take()?;
        let outcome = match adapter.findings().await {
            Ok(findings) if findings.len() > MAX_FINDINGS => Err(fault(
                self.live.ticket.plugin(),
                FaultKind::Output,
                format!("in findings: more than {MAX_FINDINGS} findings"),
            )),
            other => other,
        };
        self.live.put(adapter, outcome)
    }
}

/// A filter may rewrite an operation but not turn it into another: what the client may do was decided
/// on the one it sent.
fn same_operation(a: &Operation, b: &Operation) -> bool {
    let model = |operation: &Operation| match operation {
        Operation::Generate(r) | Operation::CountTokens(r) => Some(r.model.clone()),
        Operation::Embed(r) => Some(r.model.clone()),
        _ => None,
    };
    std::mem::discriminant(a) == std::mem::discriminant(b) && model(a) == model(b)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("plugin", &self.live.ticket.plugin().name)
            .finish_non_exhaustive()
    }
}
