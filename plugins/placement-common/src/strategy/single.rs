//! `single`: the whole model on one node.

use atoll_sdk::placement::{ModelFacts, Options, Plan, Topology};
use atoll_sdk::types::Error;

use super::{fastest, no_room, plans};
use crate::problem::{Placed, Problem};

/// Every node that holds the model, fastest first.
///
/// # Errors
/// A question that makes no sense, or no node that holds it.
pub fn propose(
    topology: &Topology,
    model: &ModelFacts,
    options: &Options,
    _previous: Option<&Plan>,
) -> Result<Vec<Plan>, Error> {
    let problem = Problem::new(topology, model, options)?;
    let alone = |machine| {
        Some(vec![Placed {
            layers: 0..problem.shape.layers(),
            machines: vec![machine],
            kind: fastest(&problem, machine)?,
        }])
    };
    let machines = 0..problem.cluster.machines.len();
    let mut found = plans(&problem, machines.filter_map(alone), |_| {
        "One node, no network: ".to_owned()
    });
    found.sort_by(|a, b| a.predicted_latency.total_cmp(&b.predicted_latency));
    if found.is_empty() {
        return Err(no_room(&problem, "on one of them"));
    }
    Ok(found)
}
