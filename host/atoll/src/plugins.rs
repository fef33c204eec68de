//! `atoll plugins`: what is loaded, what it does, and why something is not.

use serde_json::{Value, json};

use crate::cli::PluginsArgs;
use crate::compose;
use crate::config::Config;
use crate::error::CliError;
use crate::output;

/// Runs the command.
pub fn command(args: &PluginsArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    let plugins = compose::runtime()?.block_on(compose::plugins(&config, None))?;
    if args.json {
        let loaded: Vec<Value> = plugins
            .loaded
            .iter()
            .map(|plugin| json!({ "source": plugin.source, "info": plugin.plugin.info() }))
            .collect();
        let all = json!({ "loaded": loaded, "refused": plugins.refused });
        let text = serde_json::to_string_pretty(&all)
            .map_err(|error| CliError::Output(error.to_string()))?;
        return output::line(text);
    }
    let rows: Vec<Vec<String>> = plugins
        .loaded
        .iter()
        .map(|loaded| {
            let info = loaded.plugin.info();
            vec![
                info.name.to_string(),
                info.version.to_string(),
                info.world.to_string(),
                loaded.source.clone(),
                info.summary.clone(),
            ]
        })
        .collect();
    output::table(&["NAME", "VERSION", "WORLD", "FROM", "SUMMARY"], &rows)?;
    for loaded in &plugins.loaded {
        for route in &loaded.plugin.info().routes {
            let header = match &route.header {
                Some(header) => format!("  (with header {header})"),
                None => String::new(),
            };
            output::line(format_args!(
                "  {}: {} {}{header}",
                loaded.plugin.info().name,
                route.method,
                route.path
            ))?;
        }
    }
    for refused in &plugins.refused {
        output::line(format_args!(
            "not loaded: {}: {}",
            refused.source, refused.reason
        ))?;
    }
    Ok(())
}
