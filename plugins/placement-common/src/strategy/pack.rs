//! `pack`: as few nodes as hold the model, each filled up before the next, so that others stay free.

use atoll_sdk::placement::{ModelFacts, Options, Plan, Topology};
use atoll_sdk::types::Error;

use super::{by_memory, fastest, no_room, plans};
use crate::problem::{Placed, Problem};

/// The smallest node that holds the model alone; else the largest nodes, filled in turn.
///
/// # Errors
/// A question that makes no sense, or nodes that together do not hold it.
pub fn propose(
    topology: &Topology,
    model: &ModelFacts,
    options: &Options,
    _previous: Option<&Plan>,
) -> Result<Vec<Plan>, Error> {
    let problem = Problem::new(topology, model, options)?;
    let largest = by_memory(&problem);
    let mut candidates: Vec<Vec<Placed>> = largest
        .iter()
        .rev()
        .filter_map(|&machine| fill(&problem, &[machine]))
        .collect();
    candidates.extend(fill(&problem, &largest));
    candidates.retain(|stages| stages.len() <= problem.max_stages);
    let why = |prediction: &crate::predict::Prediction| match prediction.stages.len() {
        1 => "One node is enough: ".to_owned(),
        count => format!("{count} nodes are enough: "),
    };
    let found = plans(&problem, candidates, why);
    if found.is_empty() {
        return Err(no_room(&problem, "that fills one node after the other"));
    }
    Ok(found)
}

/// Layers to each machine in turn for as long as they fit, to machines that the one before can reach.
fn fill(problem: &Problem, machines: &[usize]) -> Option<Vec<Placed>> {
    let (shape, cluster) = (&problem.shape, &problem.cluster);
    let mut stages: Vec<Placed> = Vec::new();
    let mut start = 0;
    for &machine in machines {
        let memory = cluster.machines.get(machine)?.memory;
        let fits = |end: &usize| shape.memory(start..*end, 1) <= memory;
        let Some(end) = (start + 1..=shape.layers()).rev().find(fits) else {
            continue;
        };
        let before = stages.last().and_then(|stage| stage.machines.first());
        if before.is_some_and(|&before| cluster.wire(before, machine).is_none()) {
            continue;
        }
        stages.push(Placed {
            layers: start..end,
            machines: vec![machine],
            kind: fastest(problem, machine)?,
        });
        start = end;
        if start == shape.layers() {
            return Some(stages);
        }
    }
    None
}
