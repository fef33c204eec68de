//! `atoll place`: where a running host would put a model, and why there.

use serde_json::Value;

use crate::admin_client;
use crate::cli::{CommonArgs, PlaceArgs, ServeArgs, Wished};
use crate::config::Config;
use crate::error::CliError;
use crate::output;

/// Runs the command.
pub fn command(args: &PlaceArgs) -> Result<(), CliError> {
    let config = Config::load_serve(&ServeArgs {
        listen: args.listen.clone(),
        common: CommonArgs {
            config: args.config.clone(),
            ..CommonArgs::default()
        },
        ..ServeArgs::default()
    })?;
    let objective = args.objective.map(Wished::name);
    let found = admin_client::get(&config, &admin_client::placements(&args.model, objective))?;
    if args.json {
        return output::line(found);
    }
    show(&found, args.explain)
}

fn show(found: &Value, explain: bool) -> Result<(), CliError> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let empty = Vec::new();
    let candidates = found["candidates"].as_array().unwrap_or(&empty);
    if let Some(problem) = found["problem"].as_str() {
        return Err(CliError::Other(problem.to_owned()));
    }
    output::line(format_args!(
        "{} is placed by {}, for {}",
        text(&found["model"], "name"),
        text(found, "strategy"),
        text(&found["options"], "objective"),
    ))?;
    if let Some(running) = found["running"]["strategy"].as_str() {
        output::line(format_args!(
            "(it runs as {running} placed it: a new plan counts when it is loaded again)"
        ))?;
    }
    if let Some(fallback) = found["fallback"].as_str() {
        output::line(format_args!("because {fallback}"))?;
    }
    let shown: Vec<&Value> = match explain {
        true => candidates.iter().collect(),
        // The one that was chosen.
        false => {
            let mut usable = candidates.iter().filter(|one| one["refused"].is_null());
            usable.next().into_iter().collect()
        }
    };
    let names = |stage: &Value| {
        let ids = stage["nodes"].as_array().unwrap_or(&empty).iter();
        let name = |id: &Value| {
            let nodes = found["topology"]["nodes"].as_array().unwrap_or(&empty);
            let node = nodes.iter().find(|node| node["id"] == *id);
            node.map_or_else(|| id.to_string(), |node| text(node, "name"))
        };
        ids.map(name).collect::<Vec<_>>().join("+")
    };
    for candidate in shown {
        let plan = &candidate["plan"];
        output::line(format_args!(
            "\n{}: {}",
            text(candidate, "strategy"),
            text(plan, "explanation")
        ))?;
        if let Some(refused) = candidate["refused"].as_str() {
            output::line(format_args!("refused: {refused}"))?;
        }
        let bytes = candidate["stage_bytes"].as_array().unwrap_or(&empty);
        let stages = plan["stages"].as_array().unwrap_or(&empty).iter();
        let rows: Vec<Vec<String>> = stages
            .zip(bytes)
            .map(|(stage, bytes)| {
                vec![
                    names(stage),
                    format!("{}..{}", stage["first"], stage["end"]),
                    format!(
                        "{:.2} GiB",
                        bytes.as_f64().unwrap_or(0.0) / f64::from(1 << 30)
                    ),
                    text(stage, "executor"),
                ]
            })
            .collect();
        output::table(&["NODE", "LAYERS", "MEMORY", "EXECUTOR"], &rows)?;
    }
    Ok(())
}
