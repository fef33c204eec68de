//! Loaded placement and scheduling strategies: functions, so each call has an instance of its own.
//!
//! What they return is a proposal. Whoever asks checks it: a plan that names foreign nodes or does not
//! fit is the cluster's to refuse, an order that names unknown requests the scheduler's.

use std::sync::Arc;

use crate::adapter::{Answered, PlacementAdapter, SchedulingAdapter};
use crate::error::PluginError;
use crate::info::PluginInfo;
use crate::plugin::{PluginCore, Ticket};
use crate::types::{Error, placement, scheduling};

/// A plugin that decides where a model runs.
pub struct Placement {
    core: Arc<PluginCore>,
    adapter: Box<dyn PlacementAdapter>,
}

impl Placement {
    pub(crate) fn new(core: PluginCore, adapter: Box<dyn PlacementAdapter>) -> Self {
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

    /// Whether the circuit breaker has taken it out after repeated faults.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.core.suspended()
    }

    /// Plans, best first, unchecked.
    ///
    /// # Errors
    /// A fault of the plugin; the inner error is its typed answer.
    pub async fn propose(
        &self,
        topology: &placement::Topology,
        model: &placement::ModelFacts,
        options: &placement::Options,
        previous: Option<&placement::Plan>,
    ) -> Result<Result<Vec<placement::Plan>, Error>, PluginError> {
        let (cell, ticket) = self
            .core
            .enter_within(Arc::from("placement"), self.core.runtime.options.placement)?;
        conclude(
            ticket,
            self.adapter
                .propose(cell, topology, model, options, previous)
                .await,
        )
    }
}

/// A plugin that decides who goes next.
pub struct Scheduling {
    core: Arc<PluginCore>,
    adapter: Box<dyn SchedulingAdapter>,
}

impl Scheduling {
    pub(crate) fn new(core: PluginCore, adapter: Box<dyn SchedulingAdapter>) -> Self {
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

    /// Whether the circuit breaker has taken it out after repeated faults.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.core.suspended()
    }

    /// Decisions in order, unchecked.
    ///
    /// # Errors
    /// A fault of the plugin; the inner error is its typed answer.
    pub async fn order(
        &self,
        waiting: &[scheduling::WaitingRequest],
        load: &scheduling::Load,
    ) -> Result<Result<Vec<scheduling::Decision>, Error>, PluginError> {
        let (cell, ticket) = self.core.enter_within(
            Arc::from("scheduling"),
            self.core.runtime.options.scheduling,
        )?;
        conclude(ticket, self.adapter.order(cell, waiting, load).await)
    }
}

fn conclude<T>(mut ticket: Ticket, outcome: Answered<T>) -> Result<Result<T, Error>, PluginError> {
    match outcome {
        Ok(answer) => {
            ticket.worked();
            Ok(answer)
        }
        Err(fault) => {
            ticket.faulted(&fault);
            Err(fault.into())
        }
    }
}

impl std::fmt::Debug for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Placement")
            .field("name", &self.core.info.name)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Scheduling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduling")
            .field("name", &self.core.info.name)
            .finish_non_exhaustive()
    }
}
