//! `auto`: the fastest plan for the objective.

use std::cmp::Ordering;

use atoll_sdk::placement::{ModelFacts, Objective, Options, Plan, Topology};
use atoll_sdk::types::Error;

use super::{no_room, plans};
use crate::explain::shown;
use crate::predict::Prediction;
use crate::problem::{Placed, Problem};
use crate::{exact, ordered};

/// What runs stays unless another plan is better by this factor: measurements waver, and moving a
/// model costs its loading.
const WORTH_MOVING: f64 = 1.15;

/// Most plans that are proposed: with many nodes there is one for each number of stages, and nobody reads
/// the fortieth.
const MAX_PLANS: usize = 12;

/// Plans with different numbers of stages, best first.
///
/// # Errors
/// A question that makes no sense, or no plan that fits.
pub fn propose(
    topology: &Topology,
    model: &ModelFacts,
    options: &Options,
    previous: Option<&Plan>,
) -> Result<Vec<Plan>, Error> {
    let problem = Problem::new(topology, model, options)?;
    let (mut found, how) = match exact::plans(&problem, exact::MAX_WORK) {
        Some(found) => (found, "the best of all plans"),
        None => (
            ordered::plans(&problem),
            "the best found along several orders",
        ),
    };
    let wished = |stages: &Vec<Placed>| {
        problem
            .exactly
            .is_none_or(|exactly| stages.len() == exactly)
    };
    found.retain(|(_, stages)| wished(stages));
    // Of equally good ones those with fewer stages come first, as they were found.
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.truncate(MAX_PLANS);
    let mut ranked: Vec<(Vec<Placed>, Prediction)> = found
        .into_iter()
        .filter_map(|(_, stages)| {
            let prediction = problem.predict(&stages)?;
            Some((stages, prediction))
        })
        .collect();
    ranked.sort_by(|a, b| compare(problem.objective, a, b));
    ranked.dedup_by(|a, b| a.0.len() == b.0.len());
    if ranked.is_empty() {
        return Err(no_room(&problem, "on any number of them"));
    }
    let score = |prediction: &Prediction| match problem.objective {
        Objective::Latency => 1.0 / prediction.latency,
        Objective::Throughput => prediction.throughput,
    };
    let best = ranked
        .first()
        .map_or(0.0, |(_, prediction)| score(prediction));
    let stays = previous
        .and_then(|plan| problem.placed(plan))
        .filter(wished)
        .and_then(|stages| Some((problem.predict(&stages)?, stages)))
        .filter(|(prediction, _)| best < score(prediction) * WORTH_MOVING);
    let mut proposals = Vec::new();
    if let Some((_, stages)) = stays {
        ranked.retain(|(other, _)| *other != stages);
        let why =
            |_: &Prediction| "What runs now stays: no other plan is better by 15 %. ".to_owned();
        proposals.extend(plans(&problem, [stages], why));
    }
    let why = |prediction: &Prediction| {
        let gain = best / score(prediction);
        if gain <= 1.0 {
            format!("It is {how}: ")
        } else {
            format!("{} times slower than the best: ", shown(gain))
        }
    };
    proposals.extend(plans(
        &problem,
        ranked.into_iter().map(|(stages, _)| stages),
        why,
    ));
    Ok(proposals)
}

/// By the objective, then the other one, then fewer stages. Differences under a millionth are noise of
/// adding in another order.
fn compare(
    objective: Objective,
    a: &(Vec<Placed>, Prediction),
    b: &(Vec<Placed>, Prediction),
) -> Ordering {
    let close = |a: f64, b: f64| {
        if (a - b).abs() <= 1e-6 * a.abs().max(b.abs()) {
            Ordering::Equal
        } else {
            a.total_cmp(&b)
        }
    };
    let latency = close(a.1.latency, b.1.latency);
    let throughput = close(b.1.throughput, a.1.throughput);
    let order = match objective {
        Objective::Latency => latency.then(a.0.len().cmp(&b.0.len())).then(throughput),
        Objective::Throughput => throughput.then(a.0.len().cmp(&b.0.len())).then(latency),
    };
    order.then(a.0.len().cmp(&b.0.len()))
}
