//! `spread`: a part of the model on as many nodes as possible, in proportion to their memory.

use std::ops::Range;

use atoll_sdk::placement::{ModelFacts, Options, Plan, Topology};
use atoll_sdk::types::Error;

use super::{by_memory, fastest, no_room, plans};
use crate::problem::{Placed, Problem};

/// Plans over the largest nodes, most nodes first.
///
/// # Errors
/// A question that makes no sense, or no number of nodes over which it fits.
pub fn propose(
    topology: &Topology,
    model: &ModelFacts,
    options: &Options,
    _previous: Option<&Plan>,
) -> Result<Vec<Plan>, Error> {
    let problem = Problem::new(topology, model, options)?;
    let largest = by_memory(&problem);
    let candidates = (1..=problem.max_stages)
        .rev()
        .filter_map(|count| over(&problem, largest.get(..count)?));
    let why = |prediction: &crate::predict::Prediction| {
        format!("Spread over {} nodes: ", prediction.stages.len())
    };
    let found = plans(&problem, candidates, why);
    if found.is_empty() {
        return Err(no_room(&problem, "in proportion to their memory"));
    }
    Ok(found)
}

/// A stage on each of these machines, in an order in which each reaches the next.
fn over(problem: &Problem, machines: &[usize]) -> Option<Vec<Placed>> {
    let mut order = Vec::with_capacity(machines.len());
    let mut left = machines.to_vec();
    while !left.is_empty() {
        let reachable = |&machine: &usize| match order.last() {
            Some(&last) => problem.cluster.wire(last, machine).is_some(),
            None => true,
        };
        let next = left.iter().position(reachable)?;
        order.push(left.remove(next));
    }
    let memory: Vec<u64> = order
        .iter()
        .map(|&machine| problem.cluster.machines[machine].memory)
        .collect();
    let stages = order.iter().zip(divide(problem.shape.layers(), &memory));
    stages
        .map(|(&machine, layers)| {
            Some(Placed {
                layers,
                machines: vec![machine],
                kind: fastest(problem, machine)?,
            })
        })
        .collect()
}

/// Ranges of at least one layer in proportion to `memory`: each ends where its share of the whole does.
fn divide(layers: usize, memory: &[u64]) -> Vec<Range<usize>> {
    let total: f64 = memory.iter().map(|&bytes| bytes as f64).sum();
    let (mut start, mut share) = (0, 0.0);
    let mut ranges = Vec::with_capacity(memory.len());
    for (at, &bytes) in memory.iter().enumerate() {
        share += bytes as f64;
        let after = memory.len() - at - 1;
        let end = if after == 0 || total <= 0.0 {
            layers - after
        } else {
            (layers as f64 * share / total).round() as usize
        };
        let end = end.clamp(start + 1, layers - after);
        ranges.push(start..end);
        start = end;
    }
    ranges
}
