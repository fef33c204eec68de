//! Sentences about plans, for people.

use crate::predict::{Bottleneck, Prediction};
use crate::problem::{Placed, Problem};

/// What a plan is, what it gives and what holds it back.
pub(crate) fn describe(problem: &Problem, stages: &[Placed], prediction: &Prediction) -> String {
    let name = |stage: &Placed| {
        let names = stage.machines.iter();
        let names: Vec<&str> = names
            .map(|&machine| problem.cluster.machines[machine].name.as_str())
            .collect();
        names.join("+")
    };
    let parts: Vec<String> = stages
        .iter()
        .map(|stage| format!("{} layers on {}", stage.layers.len(), name(stage)))
        .collect();
    let held_back = match prediction.bottleneck {
        Bottleneck::Stage(at) => stages.get(at).map_or_else(String::new, |stage| {
            format!("reading and arithmetic on {} take longest", name(stage))
        }),
        Bottleneck::Overhead => "overheads of the layers take longest".to_owned(),
        Bottleneck::Exchange => "all-reduces take longest".to_owned(),
        Bottleneck::Links => "the links take longest".to_owned(),
    };
    format!(
        "{}; {} tokens/s for one sequence, {} with all stages busy; {held_back}.",
        parts.join(", then "),
        shown(1.0 / prediction.latency),
        shown(prediction.throughput),
    )
}

/// Three digits that matter.
pub(crate) fn shown(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    const GIB: f64 = (1_u64 << 30) as f64;
    const MIB: f64 = (1_u64 << 20) as f64;
    let value = bytes as f64;
    match value {
        _ if value >= GIB => format!("{} GiB", shown(value / GIB)),
        _ => format!("{} MiB", shown(value / MIB)),
    }
}
