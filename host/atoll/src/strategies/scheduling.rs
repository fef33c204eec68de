//! A scheduling plugin behind the engine's queue policy.
//!
//! The engine asks on its own thread, between two steps, when what waits or runs has changed. The call
//! runs on that thread too, under the runtime's limits for it: some tens of microseconds as a rule,
//! and never longer than [`RuntimeOptions::scheduling`](atoll_plugin_runtime::RuntimeOptions) allows. After that, and
//! after any fault, this one decision is made first come, first served; a plugin that keeps failing is
//! not asked until its circuit breaker lets it try again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use atoll_engine::executor::SequenceId;
use atoll_engine::scheduler::{
    Decision, FirstComeFirstServed, QueueLoad, QueuePolicy, WaitingFacts,
};
use atoll_plugin_runtime::types::scheduling::{self as contract, Load, WaitingRequest};
use atoll_plugin_runtime::{Registry, Scheduling};
use tokio::runtime::Handle;

use super::{Reports, Standing, missing, title};
use crate::config::SchedulingConfig;

const WHAT: &str = "scheduling";

/// What decides without a plugin.
const OWN: &str = "first come, first served (the host's own)";

/// Who is asked.
#[derive(Default)]
struct Chosen {
    plugin: Option<Arc<Scheduling>>,
    priorities: BTreeMap<String, i32>,
}

/// The scheduling strategy in force, for all engines of this process.
pub struct SchedulingSlot {
    chosen: ArcSwap<Chosen>,
    reports: Reports,
    runtime: Handle,
}

impl SchedulingSlot {
    /// First come, first served, until something else is asked for. Plugins run on `runtime`'s clock.
    pub fn new(runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            chosen: ArcSwap::default(),
            reports: Reports::of(OWN),
            runtime,
        })
    }

    /// Asks the strategy that is wanted from the next decision on.
    pub fn apply(&self, config: &SchedulingConfig, registry: &Registry) {
        let find = |name: &str| {
            let mut all = registry.schedulings();
            all.find(|plugin| plugin.info().name == name).cloned()
        };
        let plugin = config.strategy.as_deref().and_then(find);
        let now = self.chosen.load();
        let same = match (&now.plugin, &plugin) {
            (Some(now), Some(new)) => Arc::ptr_eq(now, new),
            (None, None) => self.reports.lock().wanted == config.strategy,
            _ => false,
        };
        if !same {
            let known = || {
                registry
                    .schedulings()
                    .map(|plugin| plugin.info().name.as_str())
            };
            let problem = match (&config.strategy, &plugin) {
                (Some(name), None) => Some(missing(name, WHAT, registry, known().collect())),
                _ => None,
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
        }
        self.chosen.store(Arc::new(Chosen {
            plugin,
            priorities: config.priorities.clone(),
        }));
    }

    /// How it is doing.
    pub fn standing(&self) -> Standing {
        self.reports.lock().clone()
    }

    /// The queue policy of one engine.
    pub fn policy(self: &Arc<Self>) -> Box<dyn QueuePolicy> {
        Box::new(PluginPolicy {
            slot: Arc::clone(self),
            since: HashMap::new(),
        })
    }
}

/// Asks the strategy in force on behalf of one engine.
struct PluginPolicy {
    slot: Arc<SchedulingSlot>,
    /// When each waiting entry was first seen: the scheduler has no clock.
    since: HashMap<SequenceId, Instant>,
}

impl PluginPolicy {
    fn waiting(
        &mut self,
        waiting: &[WaitingFacts],
        priorities: &BTreeMap<String, i32>,
    ) -> Vec<WaitingRequest> {
        let now = Instant::now();
        let since: HashMap<SequenceId, Instant> = waiting
            .iter()
            .map(|entry| {
                (
                    entry.sequence,
                    *self.since.get(&entry.sequence).unwrap_or(&now),
                )
            })
            .collect();
        self.since = since;
        let narrow = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let request = |entry: &WaitingFacts| WaitingRequest {
            id: entry.sequence.0,
            key_name: entry.owner.to_string(),
            priority: match entry.priority {
                0 => priorities.get(&*entry.owner).copied().unwrap_or(0),
                own => own,
            },
            prompt_tokens: narrow(entry.tokens),
            cached_tokens: narrow(entry.cached_tokens),
            max_output_tokens: narrow(entry.max_new_tokens.saturating_mul(entry.choices)),
            waited_ms: self.since.get(&entry.sequence).map_or(0, |since| {
                u64::try_from(now.duration_since(*since).as_millis()).unwrap_or(u64::MAX)
            }),
            ext: None,
        };
        waiting.iter().map(request).collect()
    }
}

impl QueuePolicy for PluginPolicy {
    fn order(&mut self, waiting: &[WaitingFacts], load: &QueueLoad<'_>) -> Vec<Decision> {
        let chosen = self.slot.chosen.load_full();
        let requests = self.waiting(waiting, &chosen.priorities);
        let Some(plugin) = &chosen.plugin else {
            return FirstComeFirstServed.order(waiting, load);
        };
        let narrow = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let load_now = Load {
            running: narrow(load.running),
            max_running: narrow(load.max_running),
            free_blocks: narrow(load.free_blocks),
            total_blocks: narrow(load.total_blocks),
            recent: load
                .recent
                .iter()
                .map(|(owner, tokens)| (owner.to_string(), *tokens))
                .collect(),
        };
        let asked = self
            .slot
            .runtime
            .block_on(plugin.order(&requests, &load_now));
        let problem = match asked {
            Ok(Ok(decisions)) => {
                self.slot.reports.worked();
                return decided(&decisions, waiting);
            }
            Ok(Err(error)) => format!("{}: {}", title(plugin.info()), error.message),
            Err(fault) => fault.to_string(),
        };
        self.slot.reports.faulted(WHAT, problem);
        FirstComeFirstServed.order(waiting, load)
    }

    fn wants_cache_hits(&self) -> bool {
        self.slot.chosen.load().plugin.is_some()
    }
}

/// The plugin's decisions in the scheduler's terms. Those about strangers are left out.
fn decided(decisions: &[contract::Decision], waiting: &[WaitingFacts]) -> Vec<Decision> {
    let at: HashMap<u64, usize> = waiting
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.sequence.0, at))
        .collect();
    let decision = |decision: &contract::Decision| match decision {
        contract::Decision::Admit(id) => at.get(id).map(|&at| Decision::Admit(at)),
        contract::Decision::Reject(id) => at.get(id).map(|&at| Decision::Reject(at)),
    };
    decisions.iter().filter_map(decision).collect()
}

#[cfg(test)]
mod tests;
