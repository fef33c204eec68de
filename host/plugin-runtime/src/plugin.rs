//! What every loaded plugin has, whatever its role: identity, room for instances, circuit breaker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::breaker::{Admission, Breaker};
use crate::cell::{Cell, RuntimeShared, Slot, fault};
use crate::error::{FaultKind, PluginError, PluginFault};
use crate::host::PluginShared;
use crate::info::PluginInfo;
use crate::options::CallLimits;

/// The common part of a loaded plugin.
pub(crate) struct PluginCore {
    pub info: PluginInfo,
    pub shared: Arc<PluginShared>,
    pub runtime: Arc<RuntimeShared>,
    instances: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
}

impl PluginCore {
    pub fn new(info: PluginInfo, shared: Arc<PluginShared>, runtime: Arc<RuntimeShared>) -> Self {
        let instances = Arc::new(Semaphore::new(
            runtime.options.max_instances_per_plugin.max(1) as usize,
        ));
        let breaker = Mutex::new(Breaker::new(runtime.options.breaker));
        Self {
            info,
            shared,
            runtime,
            instances,
            breaker,
        }
    }

    fn now(&self) -> Duration {
        self.runtime.epoch.elapsed()
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the breaker has taken the plugin out at this moment.
    pub fn suspended(&self) -> bool {
        self.breaker().is_open(self.now())
    }

    /// Permission and room for one more request, whose calls have the usual limits.
    pub fn enter(self: &Arc<Self>, request: Arc<str>) -> Result<(Cell, Ticket), PluginError> {
        self.enter_within(request, self.runtime.options.call)
    }

    /// As [`enter`](Self::enter), with limits of its own.
    pub fn enter_within(
        self: &Arc<Self>,
        request: Arc<str>,
        limits: CallLimits,
    ) -> Result<(Cell, Ticket), PluginError> {
        let admission = self.breaker().admit(self.now());
        if let Admission::Refused { retry_after } = admission {
            let message = format!(
                "suspended after repeated faults; next trial in {} s",
                retry_after.as_secs() + 1
            );
            return Err(fault(&self.shared, FaultKind::Suspended { retry_after }, message).into());
        }
        let ticket = Ticket {
            core: Arc::clone(self),
            admission,
            verdict: Verdict::Nothing,
        };
        let slot = Slot::take(&self.runtime, &self.shared, &self.instances)?;
        let cell = Cell::new(
            Arc::clone(&self.runtime),
            Arc::clone(&self.shared),
            request,
            limits,
            slot,
        );
        Ok((cell, ticket))
    }
}

/// One request's standing with the breaker; reports the outcome once, when dropped.
pub(crate) struct Ticket {
    core: Arc<PluginCore>,
    admission: Admission,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Nothing,
    Worked,
    Faulted,
}

impl Ticket {
    /// A call succeeded.
    pub fn worked(&mut self) {
        if self.verdict == Verdict::Nothing {
            self.verdict = Verdict::Worked;
        }
    }

    /// A call faulted; the exchange is over.
    pub fn faulted(&mut self, fault: &PluginFault) {
        if fault.kind.counts_against_plugin() {
            self.verdict = Verdict::Faulted;
        } else {
            self.verdict = Verdict::Nothing;
        }
    }

    pub fn plugin(&self) -> &PluginShared {
        &self.core.shared
    }

    pub fn core(&self) -> &PluginCore {
        &self.core
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = self.core.now();
        let mut breaker = self.core.breaker();
        match self.verdict {
            Verdict::Nothing => breaker.abandoned(self.admission),
            Verdict::Worked => breaker.succeeded(self.admission),
            Verdict::Faulted => {
                if breaker.faulted(self.admission, now) {
                    tracing::error!(
                        target: "atoll::plugin",
                        plugin = &*self.core.shared.name, version = &*self.core.shared.version,
                        "suspended after repeated faults"
                    );
                }
            }
        }
    }
}

/// An open exchange or session: alive, or ended by a fault that every later call repeats.
pub(crate) struct Live<A> {
    /// `None` once it faulted, and while a call is under way: a cancelled call takes the instance with it.
    inner: Option<A>,
    fault: Option<PluginFault>,
    pub ticket: Ticket,
}

impl<A> Live<A> {
    pub fn new(inner: A, mut ticket: Ticket) -> Self {
        ticket.worked();
        Self {
            inner: Some(inner),
            fault: None,
            ticket,
        }
    }

    /// Takes the instance for a call. It must come back through [`Self::put`].
    pub fn take(&mut self) -> Result<A, PluginError> {
        match (self.inner.take(), &self.fault) {
            (Some(inner), _) => Ok(inner),
            (None, Some(fault)) => Err(fault.clone().into()),
            (None, None) => {
                let fault = fault(
                    self.ticket.plugin(),
                    FaultKind::Cancelled,
                    "an earlier call was cancelled half-way",
                );
                Err(self.poison(fault).into())
            }
        }
    }

    /// Ends a call: the instance lives on only when the call did not fault.
    pub fn put<R>(&mut self, inner: A, outcome: Result<R, PluginFault>) -> Result<R, PluginError> {
        match outcome {
            Ok(value) => {
                self.inner = Some(inner);
                Ok(value)
            }
            Err(fault) => {
                drop(inner);
                Err(self.poison(fault).into())
            }
        }
    }

    /// Remembers the fault for all later calls.
    pub fn poison(&mut self, fault: PluginFault) -> PluginFault {
        self.ticket.faulted(&fault);
        self.inner = None;
        self.fault = Some(fault.clone());
        fault
    }
}
