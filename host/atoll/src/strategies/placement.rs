//! A placement plugin, and what a person pinned, as the cluster's strategies.
//!
//! What is proposed here is checked by the cluster like anybody's proposal: a pin that does not fit is
//! refused with the reason, and the plugin's plans count.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use atoll_cluster::placement::{
    Node, Objective, PlacementRequest, PlacementStrategy, ProposedPlan, ProposedStage,
    StrategyError,
};
use atoll_plugin_runtime::{Placement, Registry};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::convert::{previous, proposed, recorded};
use super::{Reports, Standing, missing, title};
use crate::config::{Pin, PlacementConfig};

const WHAT: &str = "placement";

/// The strategy without a configuration.
const DEFAULT: &str = "auto";

/// What decides without a plugin.
const OWN: &str = "in proportion to memory (the host's own)";

/// The placement strategy in force.
pub struct PlacementSlot {
    plugin: ArcSwapOption<Placement>,
    pins: ArcSwap<BTreeMap<String, Pin>>,
    objective: ArcSwap<Objective>,
    reports: Reports,
}

impl PlacementSlot {
    /// The host's own, until something else is asked for.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            plugin: ArcSwapOption::empty(),
            pins: ArcSwap::default(),
            objective: ArcSwap::default(),
            reports: Reports::of(OWN),
        })
    }

    /// Asks the strategy that is wanted from the next placement on.
    pub fn apply(&self, config: &PlacementConfig, registry: &Registry) {
        self.pins.store(Arc::new(config.pin.clone()));
        self.objective.store(Arc::new(config.objective));
        let name = config.strategy.as_deref().unwrap_or(DEFAULT);
        let mut all = registry.placements();
        let plugin = all.find(|plugin| plugin.info().name == name).cloned();
        let now = self.plugin.load();
        let same = match (&*now, &plugin) {
            (Some(now), Some(new)) => Arc::ptr_eq(now, new),
            (None, None) => {
                let standing = self.reports.lock();
                standing.wanted == config.strategy && standing.problem.is_some()
            }
            _ => false,
        };
        if same {
            return;
        }
        let known = || {
            registry
                .placements()
                .map(|plugin| plugin.info().name.as_str())
        };
        let problem = match &plugin {
            None => Some(missing(name, WHAT, registry, known().collect())),
            Some(_) => None,
        };
        let in_force = plugin.as_ref().map(|plugin| title(plugin.info()));
        let standing = Standing {
            wanted: config.strategy.clone(),
            in_force: in_force.unwrap_or_else(|| OWN.to_owned()),
            problem,
            used: 0,
            faults: 0,
        };
        self.reports.begin(WHAT, standing);
        self.plugin.store(plugin);
    }

    /// How it is doing.
    pub fn standing(&self) -> Standing {
        self.reports.lock().clone()
    }

    /// What is to be best, unless a question says otherwise.
    pub fn objective(&self) -> Objective {
        **self.objective.load()
    }

    /// What a person decided for this model.
    pub fn pin(&self, model: &str) -> Option<Pinned> {
        self.pins.load().get(model).cloned().map(Pinned)
    }

    async fn ask(&self, request: &PlacementRequest) -> Result<Vec<ProposedPlan>, StrategyError> {
        let Some(plugin) = self.plugin.load_full() else {
            return Err(self.failed("no plugin is in force".to_owned()));
        };
        let running = request.previous.as_ref().map(previous);
        let asked = plugin
            .propose(
                &recorded::topology(&request.topology),
                &recorded::model(&request.model),
                &recorded::options(&request.options),
                running.as_ref(),
            )
            .await;
        match asked {
            Ok(Ok(found)) => {
                self.reports.worked();
                Ok(found.into_iter().map(proposed).collect())
            }
            Ok(Err(error)) => Err(self.failed(error.message)),
            Err(fault) => {
                self.reports.faulted(WHAT, fault.to_string());
                Err(self.failed(fault.to_string()))
            }
        }
    }

    fn failed(&self, reason: String) -> StrategyError {
        StrategyError {
            strategy: self.name(),
            reason,
        }
    }
}

impl PlacementStrategy for PlacementSlot {
    fn name(&self) -> String {
        let plugin = self.plugin.load();
        let name = plugin.as_ref().map(|plugin| plugin.info().name.clone());
        name.unwrap_or_else(|| DEFAULT.to_owned())
    }

    fn propose<'a>(
        &'a self,
        request: &'a PlacementRequest,
    ) -> BoxFuture<'a, Result<Vec<ProposedPlan>, StrategyError>> {
        self.ask(request).boxed()
    }
}

/// A plan that a person made: the first of all strategies that are asked for its model.
#[derive(Debug, Clone)]
pub struct Pinned(Pin);

impl Pinned {
    /// Whether all of it is on one node that has this id or this name.
    pub fn is_alone_on(&self, id: &str, name: &str) -> bool {
        match self.0.stages.as_slice() {
            [stage] => stage.node == id || stage.node == name,
            _ => false,
        }
    }

    /// Names that no node has stay as they are, for the check to name.
    fn plan(&self, nodes: &[Node]) -> ProposedPlan {
        let mut first = 0_u32;
        let stages = self.0.stages.iter().map(|stage| {
            let wanted = |node: &&Node| node.id == stage.node || node.name == stage.node;
            let node = nodes.iter().find(wanted);
            let end = first.saturating_add(stage.layers);
            let executor = node.and_then(|node| node.executors.first());
            let planned = ProposedStage {
                first,
                end,
                nodes: vec![node.map_or_else(|| stage.node.clone(), |node| node.id.clone())],
                executor: executor.map_or_else(String::new, |executor| executor.kind.clone()),
            };
            first = end;
            planned
        });
        ProposedPlan {
            stages: stages.collect(),
            explanation: "Pinned by the configuration.".to_owned(),
            ..ProposedPlan::default()
        }
    }
}

impl PlacementStrategy for Pinned {
    fn name(&self) -> String {
        "pinned".to_owned()
    }

    fn propose<'a>(
        &'a self,
        request: &'a PlacementRequest,
    ) -> BoxFuture<'a, Result<Vec<ProposedPlan>, StrategyError>> {
        std::future::ready(Ok(vec![self.plan(&request.topology.nodes)])).boxed()
    }
}

#[cfg(test)]
mod tests;
