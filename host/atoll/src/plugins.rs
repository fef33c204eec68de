//! `atoll plugin`: making, looking at, accepting and listing plugins. `atoll plugins` is the list.

mod build;
mod inspect;
mod install;
mod scaffold;
mod stored;
mod taken;
mod test;
mod test_dialect;
mod test_scheduling;

use atoll_plugin_runtime::Listed;
use serde_json::{Value, json};

use crate::cli::{PluginCommand, PluginsArgs};
use crate::compose;
use crate::config::Config;
use crate::error::CliError;
use crate::output;

/// Runs a command of `atoll plugin`.
pub fn command(command: &PluginCommand) -> Result<(), CliError> {
    match command {
        PluginCommand::New(args) => scaffold::command(args),
        PluginCommand::Build(args) => build::command(args),
        PluginCommand::Test(args) => test::command(args),
        PluginCommand::Inspect(args) => inspect::command(args),
        PluginCommand::Add(args) => install::add(args),
        PluginCommand::Remove(args) => install::remove(args),
        PluginCommand::List(args) => list(args),
        PluginCommand::Grant(args) => install::grant(args),
        PluginCommand::Update(args) => install::update(args),
        PluginCommand::CompileWorker => compile_worker(),
    }
}

/// Between standard input and output, for the process that started this one.
fn compile_worker() -> Result<(), CliError> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    atoll_plugin_runtime::compile_worker(&mut input, &mut output)
        .map_err(|error| CliError::Plugins(error.to_string()))
}

/// What is loaded, what it does, how it came to be trusted, and why something is not.
pub fn list(args: &PluginsArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    let runtime = compose::plugin_runtime(&config, None)?;
    let mut library = compose::library(&config, runtime)?;
    compose::runtime()?.block_on(library.refresh());
    let listed = library.inventory().listed;
    if args.json {
        return print_json(&listed);
    }
    let loaded = || listed.iter().filter_map(|p| Some((p, p.info.as_ref()?)));
    let rows: Vec<Vec<String>> = loaded()
        .map(|(plugin, info)| {
            vec![
                info.name.clone(),
                info.version.clone(),
                info.world.to_string(),
                plugin.standing.map(|s| s.to_string()).unwrap_or_default(),
                plugin.source.clone(),
                info.summary.clone(),
            ]
        })
        .collect();
    output::table(
        &["NAME", "VERSION", "WORLD", "TRUST", "FROM", "SUMMARY"],
        &rows,
    )?;
    for (_, info) in loaded() {
        for route in &info.routes {
            let header = match &route.header {
                Some(header) => format!("  (with header {header})"),
                None => String::new(),
            };
            output::line(format_args!(
                "  {}: {} {}{header}",
                info.name, route.method, route.path
            ))?;
        }
    }
    for (plugin, info) in loaded() {
        for want in info.lacking(&info.grants) {
            output::line(format_args!("  {}", install::refused(&plugin.name, want)))?;
        }
    }
    for (plugin, problem) in refused(&listed) {
        output::line(format_args!("not loaded: {}: {problem}", plugin.source))?;
    }
    Ok(())
}

fn print_json(listed: &[Listed]) -> Result<(), CliError> {
    let loaded = listed.iter().filter_map(|plugin| {
        let info = plugin.info.as_ref()?;
        Some(json!({ "source": plugin.source, "standing": plugin.standing, "info": info }))
    });
    let refused = refused(listed)
        .map(|(plugin, problem)| json!({ "source": plugin.source, "reason": problem }));
    let all = json!({
        "loaded": loaded.collect::<Vec<Value>>(),
        "refused": refused.collect::<Vec<Value>>(),
    });
    let text =
        serde_json::to_string_pretty(&all).map_err(|error| CliError::Output(error.to_string()))?;
    output::line(text)
}

/// A server would refuse a file with the name of a plugin that it has itself.
fn check_not_bundled(name: &str) -> Result<(), CliError> {
    if atoll_bundled_plugins::find(name).is_none() {
        return Ok(());
    }
    Err(CliError::Plugins(format!(
        "a plugin called {name} ships with Atoll, and keeps its name; choose another"
    )))
}

fn refused(listed: &[Listed]) -> impl Iterator<Item = (&Listed, &String)> {
    listed.iter().filter_map(|p| Some((p, p.problem.as_ref()?)))
}
