//! What this node is, told to the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Inner, lock};
use crate::interfaces::{self, Interface};
use crate::members::{LinkReport, NodeFacts};

/// How often a node looks whether what it is has changed.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// How often it says what it is although nothing has changed. Last values: a lost one is replaced by
/// the next.
const REFRESH: Duration = Duration::from_secs(30);

/// For so long after somebody joined it says so every [`PERIOD`]: who joins hears only those it
/// has seen itself, and each sees the other at a time of its own.
const EAGER: Duration = Duration::from_secs(4);

/// How often the machine's network interfaces are looked at.
const INTERFACES_PERIOD: Duration = Duration::from_secs(30);

/// The part of a machine's memory that stages leave to everything else.
const RESERVE: u64 = 10;

impl Inner {
    fn facts(&self) -> NodeFacts {
        let mut offer = self.loader.offer();
        // Who places a model answers for it: requests wait there.
        let claims = lock(&self.claims);
        let held = claims.held().map(|(model, _)| model.to_owned());
        offer.serving.extend(held);
        drop(claims);
        // Who gives an instance up for another's does not any more.
        offer
            .serving
            .retain(|model| self.yields_to(model).is_none());
        offer.serving.sort();
        offer.serving.dedup();
        let stages = self.host.held();
        let stage_budget = budget(offer.bytes, self.host.bytes());
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        let links = lock(&self.members)
            .iter()
            .filter(|member| member.link.round_trip.is_some())
            .map(|member| LinkReport {
                to: member.id,
                facts: member.link,
            })
            .collect();
        NodeFacts {
            machine: machine(),
            name: host_name(),
            api: self.options.api.clone(),
            memory_total: system.total_memory(),
            memory_free: system.available_memory(),
            stage_budget,
            serving: offer.serving,
            instances: self.instances(),
            desired: lock(&self.desired).digest(),
            links,
            executors: offer.executors,
            models: offer.models,
            stages,
            interfaces: self.interfaces(),
            rdma: interfaces::rdma_devices(),
            ..NodeFacts::default()
        }
    }

    fn interfaces(&self) -> Vec<Interface> {
        let mut known = lock(&self.interfaces);
        match &*known {
            Some((read, interfaces)) if read.elapsed() < INTERFACES_PERIOD => interfaces.clone(),
            _ => {
                let interfaces = interfaces::read();
                *known = Some((Instant::now(), interfaces.clone()));
                interfaces
            }
        }
    }

    /// Says what this node is: when that is news, when somebody joined, and now and then.
    pub(super) async fn publish(self: Arc<Self>) {
        let mut told: Option<(NodeFacts, Instant)> = None;
        let mut looked = Instant::now();
        let mut asked = true;
        loop {
            // A machine that stood still may have been given up meanwhile.
            asked |= looked.elapsed() > 2 * PERIOD;
            looked = Instant::now();
            let inner = Arc::clone(&self);
            // The loader looks at disks.
            match tokio::task::spawn_blocking(move || inner.facts()).await {
                Ok(facts) => {
                    let due = asked
                        || lock(&self.joined).elapsed() < EAGER
                        || told.as_ref().is_none_or(|(told, at)| {
                            at.elapsed() >= REFRESH || facts.is_news(told)
                        });
                    if due && self.tell(&facts).await {
                        told = Some((facts, Instant::now()));
                    }
                }
                Err(error) => tracing::error!(%error, "this node's facts are unknown"),
            }
            asked = tokio::select! {
                () = tokio::time::sleep(PERIOD) => false,
                () = self.changed.notified() => true,
            };
        }
    }

    /// Whether the others were told.
    async fn tell(&self, facts: &NodeFacts) -> bool {
        let facts = match serde_json::to_vec(facts) {
            Ok(facts) => facts,
            Err(error) => {
                tracing::error!(%error, "this node's facts are not JSON");
                return false;
            }
        };
        let told = self.transport.publish_facts(self.id(), facts).await;
        if let Err(error) = &told {
            tracing::debug!(%error, "nobody knows what this node is");
        }
        told.is_ok()
    }
}

/// What two nodes of one machine have in common, and others have not.
fn machine() -> String {
    format!("{}/{}", host_name(), sysinfo::System::boot_time())
}

/// Bytes for further stages beside those held: what is left of `limit`, or what the machine has free
/// but for a reserve.
pub(super) fn budget(limit: Option<u64>, held: u64) -> u64 {
    if let Some(limit) = limit {
        return limit.saturating_sub(held);
    }
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let reserve = system.total_memory() / RESERVE;
    system.available_memory().saturating_sub(reserve)
}

/// This machine's name, or nothing if it has none.
#[must_use]
pub fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_default()
}

/// Memory of this machine in bytes.
#[must_use]
pub fn memory_total() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.total_memory()
}
