//! The usable part of a topology: nodes that may hold layers, and the links between them.

use std::collections::HashMap;

use atoll_sdk::placement::Topology;

/// A node that may hold layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// The topology's id of it.
    pub id: String,
    /// For people.
    pub name: String,
    /// Bytes a plan may use.
    pub memory: u64,
    /// What it computes with; never empty.
    pub engines: Vec<Engine>,
}

/// One executor of a node, in usable numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    /// `cpu`, `mlx-metal`.
    pub kind: String,
    /// Bytes per second when reading weights; finite and positive.
    pub bandwidth: f64,
    /// Multiply-adds per second; finite and positive, `None` where it was not measured.
    pub rate: Option<f64>,
    /// Seconds per layer beyond reading and arithmetic; finite, not negative.
    pub overhead: f64,
}

/// A directed link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wire {
    /// Seconds, one way.
    pub latency: f64,
    /// Bytes per second.
    pub bandwidth: f64,
}

impl Wire {
    /// Seconds until `bytes` have arrived.
    #[must_use]
    pub fn seconds(&self, bytes: f64) -> f64 {
        self.latency + bytes / self.bandwidth
    }
}

/// Nodes and links that a plan may use. Numbers that mean nothing (negative, infinite, not a number)
/// take what they belong to out.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// In the topology's order.
    pub machines: Vec<Machine>,
    wires: Vec<Option<Wire>>,
}

/// Bandwidth of a link whose own was not measured yet, which is said as 0: Ethernet of one gigabit.
const UNMEASURED: f64 = 125e6;

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

impl Cluster {
    /// What of `topology` can be used, without `excluded` nodes.
    #[must_use]
    pub fn new(topology: &Topology, excluded: &[String]) -> Self {
        let mut machines: Vec<Machine> = Vec::new();
        let mut index = HashMap::new();
        for node in &topology.nodes {
            let engines: Vec<Engine> = node
                .executors
                .iter()
                .filter(|executor| positive(executor.memory_bandwidth))
                .map(|executor| Engine {
                    kind: executor.kind.clone(),
                    bandwidth: executor.memory_bandwidth,
                    rate: Some(executor.matrix_rate).filter(|&rate| positive(rate)),
                    overhead: Some(executor.layer_overhead)
                        .filter(|&seconds| positive(seconds))
                        .unwrap_or(0.0),
                })
                .collect();
            if engines.is_empty() || excluded.contains(&node.id) || index.contains_key(&node.id) {
                continue;
            }
            index.insert(node.id.clone(), machines.len());
            machines.push(Machine {
                id: node.id.clone(),
                name: node.name.clone(),
                memory: node.memory_free,
                engines,
            });
        }
        let count = machines.len();
        let mut wires = vec![None; count * count];
        for link in &topology.links {
            let bandwidth = match link.bandwidth {
                0.0 => UNMEASURED,
                measured => measured,
            };
            let ends = (index.get(&link.source), index.get(&link.target));
            let usable = positive(bandwidth) && link.latency.is_finite() && link.latency >= 0.0;
            if let ((Some(&from), Some(&to)), true) = (ends, usable && link.source != link.target)
                && let Some(wire) = wires.get_mut(from * count + to)
            {
                *wire = Some(Wire {
                    latency: link.latency,
                    bandwidth,
                });
            }
        }
        Self { machines, wires }
    }

    /// These machines alone, in this order.
    #[must_use]
    pub fn only(&self, machines: &[usize]) -> Self {
        let pairs = machines
            .iter()
            .flat_map(|&from| machines.iter().map(move |&to| (from, to)));
        Self {
            wires: pairs.map(|(from, to)| self.wire(from, to)).collect(),
            machines: machines
                .iter()
                .filter_map(|&machine| self.machines.get(machine).cloned())
                .collect(),
        }
    }

    /// The link from one machine to another; a machine needs none to itself, and has none.
    #[must_use]
    pub fn wire(&self, from: usize, to: usize) -> Option<Wire> {
        self.wires.get(from * self.machines.len() + to).copied()?
    }

    /// The machine with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        self.machines.iter().position(|machine| machine.id == id)
    }

    /// Seconds until `bytes` held by every one of `from` have reached every one of `to`: each
    /// receiver takes the best sender. `None` where a receiver has none.
    #[must_use]
    pub fn crossing(&self, from: &[usize], to: &[usize], bytes: f64) -> Option<f64> {
        let mut slowest: f64 = 0.0;
        for &receiver in to {
            let ways = from
                .iter()
                .filter_map(|&sender| self.wire(sender, receiver));
            let best = ways
                .map(|wire| wire.seconds(bytes))
                .min_by(f64::total_cmp)?;
            slowest = slowest.max(best);
        }
        Some(slowest)
    }

    /// Seconds for every one of `group` to have the sum of everybody's `bytes`: the better of a ring
    /// and of sending all to all. `None` unless each has a link to each.
    #[must_use]
    pub fn all_reduce(&self, group: &[usize], bytes: f64) -> Option<f64> {
        let (mut latency, mut bandwidth): (f64, f64) = (0.0, f64::INFINITY);
        for &from in group {
            for &to in group.iter().filter(|&&to| to != from) {
                let wire = self.wire(from, to)?;
                latency = latency.max(wire.latency);
                bandwidth = bandwidth.min(wire.bandwidth);
            }
        }
        let others = group.len().saturating_sub(1) as f64;
        let ring =
            2.0 * others * latency + 2.0 * others / group.len().max(1) as f64 * bytes / bandwidth;
        let mesh = latency + others * bytes / bandwidth;
        Some(ring.min(mesh))
    }
}
