//! `atoll plan`: what a model would do on machines that are described, or on those of the running pool.
//!
//! Every placement strategy is asked as a running host asks it, in its sandbox; what each plan costs
//! is computed by the cost model that the shipped strategies share. Nothing is loaded.

mod advice;
mod describe;
mod live;
mod outcome;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_plugin_runtime::{
    Grant, LoadPolicy, LoadedPlugin, Placement, PluginRuntime, PluginSource,
};
use atoll_sdk::placement::{Link, Topology};

use self::describe::{Description, ModelTable, Question, from_config};
use self::outcome::Outcome;
use crate::cli::{PlanArgs, ServeArgs};
use crate::compose;
use crate::config::Config;
use crate::error::CliError;
use crate::strategies::convert::live as live_form;

/// Strategies that are asked when nobody names any, in this order, before those of the plugins folder.
const SHIPPED: [&str; 4] = ["auto", "spread", "pack", "single"];

/// Runs the command.
pub fn command(args: &PlanArgs) -> Result<(), CliError> {
    let config = Config::load_serve(&ServeArgs {
        listen: args.listen.clone(),
        common: args.common.clone(),
        ..ServeArgs::default()
    })?;
    compose::runtime()?.block_on(run(args, &config))
}

async fn run(args: &PlanArgs, config: &Config) -> Result<(), CliError> {
    let (description, mut question) = read(args, config)?;
    if let Some(objective) = args.objective {
        question.options.objective = live_form::objective(objective.into());
    }
    let strategies = strategies(config, &args.strategy).await?;
    let mut outcomes = Vec::new();
    for strategy in &strategies {
        outcomes.push(outcome::ask(strategy, &question, args.prompt).await);
    }
    let best = outcomes.iter().find(|outcome| outcome.found.is_ok());
    let advice = best.map(|_| advice::levers(&question)).unwrap_or_default();
    let compared = match &description {
        Some(description) => compare(description, &question, &strategies, args.prompt)
            .await
            .map_err(CliError::Other)?,
        None => Vec::new(),
    };
    report::show(&question, &outcomes, &advice, &compared, args.json)
}

/// What is planned, and the description that it is from, if it is from one.
fn read(args: &PlanArgs, config: &Config) -> Result<(Option<Description>, Question), CliError> {
    match args.what.as_deref() {
        Some(what) if is_file(what) => {
            let (description, question) =
                described(Path::new(what), args).map_err(CliError::Other)?;
            Ok((Some(description), question))
        }
        Some(model) if args.model.is_none() => {
            let mut question = live::question(config, model)?;
            first(&mut question.topology, args.nodes);
            Ok((None, question))
        }
        Some(what) => Err(CliError::Other(format!(
            "{what} is no file, and a model is named by --model already"
        ))),
        None => {
            let path = args.model.as_deref().unwrap_or(Path::new("."));
            let model = from_config(&config_of(path)).map_err(CliError::Other)?;
            let (mut topology, note) = live::machines(config)?;
            first(&mut topology, args.nodes);
            let question = Question {
                topology,
                model,
                options: describe::usual_options(),
                notes: vec![note],
            };
            Ok((None, question))
        }
    }
}

/// Whether this is a description rather than a model's name.
fn is_file(what: &str) -> bool {
    let path = Path::new(what);
    path.is_file()
        || path
            .extension()
            .is_some_and(|extension| extension == "toml")
}

/// Leaves out all but the first machines.
fn first(topology: &mut Topology, limit: Option<u32>) {
    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
    topology.nodes.truncate(limit);
    let nodes = &topology.nodes;
    let there = |id: &String| nodes.iter().any(|node| node.id == *id);
    let both = |link: &Link| there(&link.source) && there(&link.target);
    topology.links.retain(both);
}

fn described(file: &Path, args: &PlanArgs) -> Result<(Description, Question), String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    let description = Description::parse(&text).map_err(|reason| format!("{shown}:\n{reason}"))?;
    let model = match (&args.model, &description.model) {
        (Some(path), _) => from_config(&config_of(path))?,
        (None, Some(table)) => table.facts(file.parent().unwrap_or(Path::new(".")))?,
        (None, None) => ModelTable::default().facts(Path::new("."))?,
    };
    let question = Question {
        topology: description.topology(args.nodes)?,
        model,
        options: description.options(),
        notes: Vec::new(),
    };
    Ok((description, question))
}

/// A model's folder stands for its configuration.
fn config_of(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.join("config.json"),
        false => path.to_owned(),
    }
}

/// The strategies of these names or in these files; the shipped ones and those of the plugins folder if none are named.
async fn strategies(config: &Config, named: &[String]) -> Result<Vec<Arc<Placement>>, CliError> {
    let runtime = compose::plugin_runtime(config, None)?;
    let is_file = |name: &String| Path::new(name).extension().is_some_and(|end| end == "wasm");
    let mut library = compose::library(config, runtime.clone())?;
    // For files alone nothing that is installed has to be loaded.
    if named.is_empty() || !named.iter().all(is_file) {
        library.refresh().await;
    }
    let registry = library.inventory().registry;
    let find = |name: &str| {
        let mut all = registry.placements();
        all.find(|plugin| plugin.info().name == name).cloned()
    };
    if named.is_empty() {
        let shipped = SHIPPED.iter().filter_map(|name| find(name));
        let own = registry.placements().cloned();
        let own = own.filter(|plugin| !SHIPPED.contains(&plugin.info().name.as_str()));
        return Ok(shipped.chain(own).collect());
    }
    let found = |name: &String| {
        find(name).ok_or_else(|| {
            let known = registry
                .placements()
                .map(|plugin| plugin.info().name.as_str());
            let known: Vec<&str> = known.collect();
            CliError::Other(format!(
                "there is no placement strategy `{name}` (known: {})",
                known.join(", ")
            ))
        })
    };
    let mut strategies = Vec::new();
    for name in named {
        strategies.push(match is_file(name) {
            true => in_file(&runtime, name).await?,
            false => found(name)?,
        });
    }
    Ok(strategies)
}

/// A strategy that is not installed: what its author tries.
async fn in_file(runtime: &PluginRuntime, file: &str) -> Result<Arc<Placement>, CliError> {
    let policy = LoadPolicy {
        grants: Grant::harmless(),
        ..LoadPolicy::default()
    };
    let source = PluginSource::File(PathBuf::from(file));
    match runtime.load(source, policy).await? {
        LoadedPlugin::Placement(strategy) => Ok(strategy),
        other => Err(CliError::Other(format!(
            "{file} is a {}, not a placement strategy",
            other.info().world
        ))),
    }
}

/// One published number beside what is predicted for it.
#[derive(Debug, serde::Serialize)]
struct Compared {
    source: String,
    nodes: u32,
    strategy: String,
    measured: f64,
    /// Tokens a second; `None` if the strategy has no plan.
    predicted: Option<f64>,
    fitted: bool,
}

async fn compare(
    description: &Description,
    question: &Question,
    strategies: &[Arc<Placement>],
    prompt: u64,
) -> Result<Vec<Compared>, String> {
    let mut compared = Vec::new();
    for measured in &description.measured {
        let named = |plugin: &&Arc<Placement>| plugin.info().name == measured.strategy;
        let Some(strategy) = strategies.iter().find(named) else {
            continue;
        };
        let smaller = Question {
            topology: description.topology(Some(measured.nodes))?,
            ..question.clone()
        };
        let Outcome { found, .. } = outcome::ask(strategy, &smaller, prompt).await;
        compared.push(Compared {
            source: measured.source.clone(),
            nodes: measured.nodes,
            strategy: measured.strategy.clone(),
            measured: measured.tokens_per_second,
            predicted: found.ok().map(|found| 1.0 / found.prediction.latency),
            fitted: measured.fitted,
        });
    }
    Ok(compared)
}
