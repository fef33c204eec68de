//! The strategies that ship. Each takes what `propose` of the contract takes, and answers as it should.
//!
//! | | uses | for |
//! |---|---|---|
//! | [`auto`] | whatever is fastest for the objective | the default |
//! | [`spread`] | as many nodes as there are | small parts everywhere, room left on each |
//! | [`pack`] | as few nodes as hold the model, filled up | keeping other nodes free |
//! | [`single`] | one node | no dependence on a network |

mod auto;
mod pack;
mod single;
mod spread;

pub use auto::propose as auto;
pub use pack::propose as pack;
pub use single::propose as single;
pub use spread::propose as spread;

use atoll_sdk::placement::Plan;
use atoll_sdk::types::{Error, ErrorKind};

use crate::explain;
use crate::predict::Prediction;
use crate::problem::{Placed, Problem};

/// Plans of those stages that hold, and are as many as were wished for, with an explanation that begins
/// with the strategy's own.
fn plans(
    problem: &Problem,
    candidates: impl IntoIterator<Item = Vec<Placed>>,
    why: impl Fn(&Prediction) -> String,
) -> Vec<Plan> {
    let wished = |stages: &Vec<Placed>| {
        problem
            .exactly
            .is_none_or(|exactly| stages.len() == exactly)
    };
    let plan = |stages: Vec<Placed>| {
        let prediction = problem.predict(&stages)?;
        let described = explain::describe(problem, &stages, &prediction);
        problem.plan(&stages, format!("{}{described}", why(&prediction)))
    };
    let candidates = candidates.into_iter().filter(wished);
    candidates.filter_map(plan).collect()
}

/// Nothing holds the model: what it needs, and what there is.
fn no_room(problem: &Problem, way: &str) -> Error {
    let needed = problem.shape.memory(0..problem.shape.layers(), 1);
    let machines = problem.cluster.machines.iter();
    let available = machines.fold(0_u64, |sum, machine| sum.saturating_add(machine.memory));
    let exactly = match problem.exactly {
        Some(stages) => format!(" in exactly {stages} stages"),
        None => String::new(),
    };
    Error::new(
        ErrorKind::Overloaded,
        format!(
            "The model needs {} with its KV memory, and the {} usable nodes have {} free; no plan {way}{exactly} fits. \
             Add a node, free memory, or plan for fewer positions.",
            explain::bytes(needed),
            problem.cluster.machines.len(),
            explain::bytes(available),
        ),
    )
}

/// The executor of a machine that decodes fastest.
fn fastest(problem: &Problem, machine: usize) -> Option<String> {
    let engines = problem.cluster.machines.get(machine)?.engines.iter();
    let best = engines.max_by(|a, b| a.bandwidth.total_cmp(&b.bandwidth))?;
    Some(best.kind.clone())
}

/// Machines, largest memory first; the topology's order where equal.
fn by_memory(problem: &Problem) -> Vec<usize> {
    let machines = &problem.cluster.machines;
    let mut order: Vec<usize> = (0..machines.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(machines[at].memory));
    order
}
