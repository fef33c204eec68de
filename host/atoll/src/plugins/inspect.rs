//! `atoll plugin inspect`: what a component says of itself and what it imports, with nothing put in
//! force.

use std::path::Path;

use atoll_plugin_runtime::{Grant, PluginInfo, PluginSource, WantInfo};

use crate::cli::InspectArgs;
use crate::compose;
use crate::config::Config;
use crate::error::CliError;
use crate::output;

/// Runs the command.
pub fn command(args: &InspectArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    let info = inspect(&config, source(&config, &args.plugin)?)?;
    if args.json {
        let text = serde_json::to_string_pretty(&info)
            .map_err(|error| CliError::Output(error.to_string()))?;
        return output::line(text);
    }
    print(&info)
}

/// Describes a component, as if everything it wants were granted. It runs only its `describe`, in a
/// sandbox that is thrown away.
pub fn inspect(config: &Config, source: PluginSource) -> Result<PluginInfo, CliError> {
    let runtime = compose::plugin_runtime(config, None)?;
    Ok(compose::runtime()?.block_on(runtime.inspect(source))?)
}

/// What of the host it uses beyond what every plugin may: its imports, the hosts it says it speaks to,
/// the folders it says it reads, and managing models if it says so.
pub fn needs(info: &PluginInfo) -> Vec<Grant> {
    let harmless = Grant::harmless();
    let imports = info.imports.iter().map(|import| granted_as(info, import));
    // These are no imports.
    let said = info.wants.iter().map(|want| want.grant.clone());
    let said = said.filter(|grant| matches!(grant, Grant::Files(_) | Grant::ManageModels));
    imports
        .filter(|grant| !harmless.contains(grant))
        .chain(said)
        .collect()
}

/// The grant for an import: for the network with the hosts that the plugin names.
fn granted_as(info: &PluginInfo, import: &str) -> Grant {
    let mut said = info.wants.iter().map(|want| &want.grant);
    match said.find(|grant| grant.interface() == import) {
        Some(Grant::HttpOut(hosts)) => Grant::HttpOut(hosts.clone()),
        _ => Grant::from(import.to_owned()),
    }
}

/// Why it says it wants that.
pub fn reason<'a>(info: &'a PluginInfo, grant: &Grant) -> &'a str {
    let same = |want: &&WantInfo| want.grant.interface() == grant.interface();
    let want = info.wants.iter().find(same);
    want.map_or("it does not say what for", |want| want.reason.as_str())
}

/// A file, a file of the folder, or a bundled plugin.
pub fn source(config: &Config, plugin: &str) -> Result<PluginSource, CliError> {
    let path = Path::new(plugin);
    if path.is_file() {
        return Ok(PluginSource::File(path.to_owned()));
    }
    let in_folder = config.plugins.value.join(format!("{plugin}.wasm"));
    if in_folder.is_file() {
        return Ok(PluginSource::File(in_folder));
    }
    match atoll_bundled_plugins::find(plugin) {
        Some(bundled) => Ok(PluginSource::Bytes {
            name: bundled.name.to_owned(),
            wasm: bundled.wasm.into(),
        }),
        None => Err(CliError::Plugins(format!(
            "there is no file {plugin:?}, no such plugin in {}, and none that ships with Atoll; `atoll plugin list` shows what there is",
            config.plugins.value.display()
        ))),
    }
}

/// For a person who decides whether to trust it.
pub fn print(info: &PluginInfo) -> Result<(), CliError> {
    let time = |time: std::time::Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let compiled = if info.cached {
        "from the cache"
    } else {
        "compiled"
    };
    let rows = [
        ("name", format!("{} {}", info.name, info.version)),
        ("summary", info.summary.clone()),
        (
            "world",
            format!("{}, contract {}", info.world, info.contract),
        ),
        ("size", format!("{} bytes", info.size_bytes)),
        ("sha256", info.sha256.clone()),
        ("code", format!("{compiled} in {}", time(info.compile_time))),
        (
            "first call",
            format!("{} to instantiate and describe", time(info.describe_time)),
        ),
    ];
    for (name, value) in rows {
        output::line(format_args!("{name:<11} {value}"))?;
    }
    for route in &info.routes {
        let header = route.header.as_ref();
        let header = header
            .map(|h| format!("  (with header {h})"))
            .unwrap_or_default();
        output::line(format_args!(
            "{:<11} {} {}{header}",
            "route", route.method, route.path
        ))?;
    }
    if let Some(bytes) = info.max_held_bytes {
        output::line(format_args!(
            "{:<11} at most {bytes} bytes of text",
            "holds back"
        ))?;
    }
    let harmless = Grant::harmless();
    let imports = info.imports.iter().map(|import| granted_as(info, import));
    let free = imports.filter(|grant| harmless.contains(grant));
    for grant in free {
        let why = reason(info, &grant);
        output::line(format_args!("{:<11} {grant}: {why}", "uses"))?;
    }
    for grant in needs(info) {
        let why = reason(info, &grant);
        output::line(format_args!(
            "{:<11} {grant}: {why}  (needs your grant)",
            "uses"
        ))?;
    }
    let schema = serde_json::to_string_pretty(&info.settings_schema)
        .map_err(|error| CliError::Output(error.to_string()))?;
    output::line(format_args!("{:<11} {schema}", "settings"))
}
