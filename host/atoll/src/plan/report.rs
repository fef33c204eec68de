//! The answer, for people and for programs.

use atoll_plugin_placement_common::predict::Bottleneck;
use serde_json::{Value, json};

use super::Compared;
use super::advice::Lever;
use super::describe::Question;
use super::outcome::{Found, Outcome};
use crate::error::CliError;
use crate::output;

/// Writes everything.
pub fn show(
    question: &Question,
    outcomes: &[Outcome],
    advice: &[Lever],
    compared: &[Compared],
    as_json: bool,
) -> Result<(), CliError> {
    if as_json {
        return output::line(machine_readable(question, outcomes, advice, compared));
    }
    head(question)?;
    table(outcomes)?;
    // Strategies that agree are told once.
    let mut told: Vec<&Found> = Vec::new();
    for outcome in outcomes {
        match &outcome.found {
            Ok(found)
                if !told
                    .iter()
                    .any(|other| other.plan.stages == found.plan.stages) =>
            {
                stages(&outcome.strategy, found)?;
                told.push(found);
            }
            Ok(_) => {}
            Err(reason) => output::line(format_args!("\n{}: {reason}", outcome.strategy))?,
        }
    }
    if !advice.is_empty() {
        output::line("\nWhat would help most, if only that changed (strategy auto):")?;
        for lever in advice.iter().take(4) {
            let gain = 100.0 * (lever.gain - 1.0);
            output::line(format_args!("  +{gain:.0} %  {}", lever.change))?;
        }
    }
    comparison(compared)
}

fn head(question: &Question) -> Result<(), CliError> {
    let model = &question.model;
    let layers: u64 = model.layers.iter().map(|layer| layer.weight_bytes).sum();
    let ends = model.embedding_bytes.saturating_add(model.head_bytes);
    let nodes = &question.topology.nodes;
    let free: u64 = nodes.iter().map(|node| node.memory_free).sum();
    output::line(format_args!(
        "{}: {} layers, {} of weights; KV memory for {} positions",
        model.name,
        model.layers.len(),
        size(layers.saturating_add(ends)),
        question.options.kv_positions,
    ))?;
    output::line(format_args!(
        "{} machines, {} usable",
        nodes.len(),
        size(free)
    ))?;
    for note in &question.notes {
        output::line(note)?;
    }
    output::line("")
}

fn table(outcomes: &[Outcome]) -> Result<(), CliError> {
    let none = || "-".to_owned();
    let row = |outcome: &Outcome| {
        let mut row = vec![outcome.strategy.clone()];
        row.extend(match &outcome.found {
            Ok(found) => vec![
                found.plan.stages.len().to_string(),
                digits(1.0 / found.prediction.latency),
                digits(found.prediction.throughput),
                found.prefill.map_or_else(none, digits),
                bottleneck(found),
            ],
            Err(_) => vec![none(), none(), none(), none(), "no plan".to_owned()],
        });
        row
    };
    let header = [
        "STRATEGY",
        "STAGES",
        "DECODE tok/s",
        "ALL BUSY tok/s",
        "PREFILL tok/s",
        "TAKES LONGEST",
    ];
    let rows: Vec<Vec<String>> = outcomes.iter().map(row).collect();
    output::table(&header, &rows)
}

fn bottleneck(found: &Found) -> String {
    match found.prediction.bottleneck {
        Bottleneck::Stage(at) => {
            let machine = found.machines.get(at).map_or("", String::as_str);
            format!("reading and arithmetic on {machine}")
        }
        Bottleneck::Overhead => "overheads of the layers".to_owned(),
        Bottleneck::Exchange => "all-reduces".to_owned(),
        Bottleneck::Links => "links between stages".to_owned(),
    }
}

fn stages(strategy: &str, found: &Found) -> Result<(), CliError> {
    output::line(format_args!("\n{strategy}: {}", found.plan.explanation))?;
    let hops = found.prediction.hops.iter().map(Some).chain([None]);
    let parts = found.plan.stages.iter().zip(&found.prediction.stages);
    let rows = parts.zip(&found.machines).zip(hops);
    let rows: Vec<Vec<String>> = rows
        .map(|(((stage, cost), machines), hop)| {
            vec![
                machines.clone(),
                format!("{}..{}", stage.first, stage.end),
                size(cost.bytes),
                size(cost.available),
                millis(cost.seconds),
                hop.map_or_else(String::new, |hop| millis(*hop)),
            ]
        })
        .collect();
    output::table(
        &[
            "MACHINE",
            "LAYERS",
            "MEMORY EACH",
            "OF",
            "TIME A TOKEN",
            "TO THE NEXT",
        ],
        &rows,
    )
}

fn comparison(compared: &[Compared]) -> Result<(), CliError> {
    if compared.is_empty() {
        return Ok(());
    }
    output::line("\nAgainst what was measured (decode, one sequence):")?;
    let row = |one: &Compared| {
        let error = one
            .predicted
            .map(|predicted| predicted / one.measured - 1.0);
        vec![
            one.nodes.to_string(),
            one.strategy.clone(),
            digits(one.measured),
            one.predicted.map_or_else(|| "-".to_owned(), digits),
            match error {
                _ if one.fitted => "fitted to it".to_owned(),
                Some(error) => format!("{:+.0} %", 100.0 * error),
                None => "no plan".to_owned(),
            },
            one.source.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = compared.iter().map(row).collect();
    output::table(
        &[
            "MACHINES",
            "STRATEGY",
            "MEASURED",
            "PREDICTED",
            "ERROR",
            "SOURCE",
        ],
        &rows,
    )
}

fn machine_readable(
    question: &Question,
    outcomes: &[Outcome],
    advice: &[Lever],
    compared: &[Compared],
) -> Value {
    let outcome = |outcome: &Outcome| match &outcome.found {
        Err(reason) => json!({ "strategy": outcome.strategy, "problem": reason }),
        Ok(found) => {
            let stages = found.plan.stages.iter().zip(&found.prediction.stages);
            let stages: Vec<Value> = stages
                .map(|(stage, cost)| {
                    json!({
                        "nodes": stage.nodes, "first": stage.first, "end": stage.end,
                        "executor": stage.executor, "bytes": cost.bytes, "kv_bytes": cost.kv_bytes,
                        "available": cost.available, "seconds": cost.seconds,
                    })
                })
                .collect();
            json!({
                "strategy": outcome.strategy,
                "stages": stages,
                "hop_seconds": found.prediction.hops,
                "decode_tokens_per_second": 1.0 / found.prediction.latency,
                "throughput_tokens_per_second": found.prediction.throughput,
                "prefill_tokens_per_second": found.prefill,
                "takes_longest": bottleneck(found),
                "explanation": found.plan.explanation,
            })
        }
    };
    json!({
        "model": question.model.name,
        "machines": question.topology.nodes.iter().map(|node| &node.name).collect::<Vec<_>>(),
        "notes": question.notes,
        "strategies": outcomes.iter().map(outcome).collect::<Vec<_>>(),
        "would_help": advice,
        "compared": compared,
    })
}

/// Three digits that matter.
fn digits(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn millis(seconds: f64) -> String {
    format!("{} ms", digits(1000.0 * seconds))
}

fn size(bytes: u64) -> String {
    let gib = bytes as f64 / (1_u64 << 30) as f64;
    match gib {
        _ if gib >= 0.1 => format!("{} GiB", digits(gib)),
        _ => format!("{} MiB", digits(gib * 1024.0)),
    }
}
