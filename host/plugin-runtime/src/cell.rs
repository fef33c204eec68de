//! One instance in its store, and how it is called.
//!
//! Every call goes the same way: budgets are refilled, the epoch deadline is armed, the call runs under
//! a wall-clock limit, and an error is sorted into a [`PluginFault`]. After an error the store is unusable
//! (wasmtime refuses to re-enter it), so whoever owns a [`Cell`] drops it; the same after a call whose
//! future was dropped half-way. Nothing is reused between requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Store, UpdateDeadline};

use crate::error::{FaultKind, PluginFault, TimedOut, classify};
use crate::host::{HostState, PluginShared};
use crate::options::{CallLimits, RuntimeOptions};
use crate::ticker::Ticker;

/// What all plugins of one runtime share.
pub(crate) struct RuntimeShared {
    pub engine: wasmtime::Engine,
    pub options: Arc<RuntimeOptions>,
    pub ticker: Ticker,
    /// One permit per instance alive.
    pub instances: Arc<Semaphore>,
    /// Zero of the breakers' clock.
    pub epoch: Instant,
}

impl RuntimeShared {
    /// Runs one call under its wall-clock limit with the epoch ticking.
    pub async fn bounded<R>(
        &self,
        wall: Duration,
        call: impl Future<Output = wasmtime::Result<R>>,
    ) -> wasmtime::Result<R> {
        let _ticking = self.ticker.running();
        match tokio::time::timeout(wall, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TimedOut(wall).into()),
        }
    }
}

/// Room for one instance; gives it back when dropped.
pub(crate) struct Slot {
    _of_runtime: OwnedSemaphorePermit,
    _of_plugin: OwnedSemaphorePermit,
}

impl Slot {
    /// Takes room, or says that there is none. Never waits: a queue here would hide the overload.
    pub fn take(
        runtime: &RuntimeShared,
        plugin: &PluginShared,
        of_plugin: &Arc<Semaphore>,
    ) -> Result<Self, PluginFault> {
        let full = |what: &str| {
            fault(
                plugin,
                FaultKind::Overloaded,
                format!("all {what} are in use"),
            )
        };
        let of_plugin = Arc::clone(of_plugin)
            .try_acquire_owned()
            .map_err(|_| full("instances this plugin may have"))?;
        let of_runtime = Arc::clone(&runtime.instances)
            .try_acquire_owned()
            .map_err(|_| full("plugin instances"))?;
        Ok(Self {
            _of_runtime: of_runtime,
            _of_plugin: of_plugin,
        })
    }
}

/// A store with its limits. The instance's exports live beside it, in the adapter of its version.
pub(crate) struct Cell {
    pub store: Store<HostState>,
    pub runtime: Arc<RuntimeShared>,
    pub limits: CallLimits,
    _slot: Slot,
}

/// Calls into a cell's instance. A macro because the call borrows the store while the cell's other
/// fields bound it; a closure cannot say that.
macro_rules! guest_call {
    ($cell:expr, $what:literal, $input:expr, |$store:ident| $call:expr) => {{
        $cell.arm($input);
        let outcome = {
            let $store = &mut $cell.store;
            $cell.runtime.bounded($cell.limits.wall, $call).await
        };
        $cell.settle($what, outcome)
    }};
}
pub(crate) use guest_call;

impl Cell {
    /// An empty store for one request.
    pub fn new(
        runtime: Arc<RuntimeShared>,
        plugin: Arc<PluginShared>,
        request: Arc<str>,
        limits: CallLimits,
        slot: Slot,
    ) -> Self {
        let mut store = Store::new(&runtime.engine, HostState::new(plugin, request));
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(|mut context| {
            Ok(if context.data_mut().charge_tick() {
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
            } else {
                UpdateDeadline::Interrupt
            })
        });
        Self {
            store,
            runtime,
            limits,
            _slot: slot,
        }
    }

    /// Refills the budgets for a call that hands in about `input` bytes.
    pub fn arm(&mut self, input: usize) {
        self.store
            .data_mut()
            .arm(&self.limits, self.runtime.options.tick);
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(self.limits.output_for(input));
    }

    /// Sorts the outcome of a call and writes what the guest printed to the log.
    pub fn settle<R>(
        &mut self,
        what: &'static str,
        outcome: wasmtime::Result<R>,
    ) -> Result<R, PluginFault> {
        use crate::bindings::imports::atoll::plugin::log::Level;

        let state = self.store.data_mut();
        let printed = state.stdio.take();
        let plugin = Arc::clone(&state.plugin);
        let request = Arc::clone(&state.request);
        let error = match outcome {
            Ok(value) => {
                if let Some(text) = printed {
                    state.log.write(&plugin, &request, Level::Debug, &text);
                }
                return Ok(value);
            }
            Err(error) => error,
        };
        let (kind, text) = classify(&error);
        let limit = plugin.options.log.message_bytes;
        let mut message = format!("in {what}: {}", crate::host::sanitize(&text, limit));
        if let Some(logged) = state.log.take_last_error() {
            message.push_str("; it logged: ");
            message.push_str(&logged);
        }
        if let Some(printed) = printed {
            message.push_str("; it printed: ");
            message.push_str(&crate::host::sanitize(&printed, limit));
        }
        let fault = fault(&plugin, kind, message);
        tracing::warn!(
            target: "atoll::plugin",
            plugin = &*plugin.name, version = &*plugin.version, request = &*request,
            fault = kind.as_str(), memory = state.limiter.memory(), "{fault}"
        );
        Err(fault)
    }
}

/// A fault of `plugin`.
pub(crate) fn fault(
    plugin: &PluginShared,
    kind: FaultKind,
    message: impl Into<String>,
) -> PluginFault {
    PluginFault {
        plugin: Arc::clone(&plugin.name),
        version: Arc::clone(&plugin.version),
        kind,
        message: message.into(),
    }
}
