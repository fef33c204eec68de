//! The cluster as placement strategies see it.

use super::{Cluster, lock};
use crate::members::{ExecutorFacts, Member, NodeFacts};
use crate::placement::{Executor, Link, Node, Topology};

impl Cluster {
    /// The nodes that can run stages of `model` now, and what was measured between them.
    #[must_use]
    pub fn topology(&self, model: &str) -> Topology {
        self.topology_of(|facts| facts.models.iter().any(|name| name == model))
    }

    /// All nodes that can be given work now, whatever models they have.
    #[must_use]
    pub fn whole_topology(&self) -> Topology {
        self.topology_of(|_| true)
    }

    fn topology_of(&self, takes_part: impl Fn(&NodeFacts) -> bool) -> Topology {
        let members = lock(&self.inner.members);
        let usable: Vec<(&Member, &NodeFacts)> = members
            .iter()
            .filter(|member| member.usable())
            .filter_map(|member| Some((member, member.facts.as_ref()?)))
            .filter(|(_, facts)| takes_part(facts))
            .collect();
        let mut topology = Topology::default();
        for &(member, facts) in &usable {
            topology.nodes.push(Node {
                id: member.id.to_string(),
                name: facts.name.clone(),
                memory_total: facts.memory_total,
                memory_free: facts.stage_budget,
                executors: facts.executors.iter().map(executor).collect(),
                // It has the folder, or it would not be here. Sizes are the strategy's to know.
                weights_present: 0,
                ext: None,
            });
            for report in &facts.links {
                let target = usable.iter().find(|(other, _)| other.id == report.to);
                let (Some((other, there)), Some(round_trip)) = (target, report.facts.round_trip)
                else {
                    continue;
                };
                topology.links.push(Link {
                    source: member.id.to_string(),
                    target: other.id.to_string(),
                    latency: round_trip / 2.0,
                    bandwidth: report.facts.bytes_per_second.unwrap_or_default(),
                    kind: facts.link_kind(there).to_owned(),
                });
            }
        }
        topology
    }
}

fn executor(facts: &ExecutorFacts) -> Executor {
    Executor {
        kind: facts.name.clone(),
        memory_bandwidth: facts.bytes_per_second,
        matrix_rate: facts.multiply_adds_per_second,
        layer_overhead: 0.0,
    }
}
