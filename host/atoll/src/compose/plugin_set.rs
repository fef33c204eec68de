//! Plugins: those in the binary, those in the folder, and what the configuration says about each.
//!
//! The library knows how plugins come and go; this translates the configuration for it, and what it
//! has for the gateway. A file that is not accepted stops nothing: it is listed with the reason. A
//! filter that the configuration names is different: a server that starts without it would break a
//! promise in silence, so it does not start.

use std::sync::Arc;
use std::time::Duration;

use atoll_gateway::{FilterEntry, Installed, PluginSet, RefusedPlugin};
use atoll_plugin_runtime::{
    CompileLimits, Compiler, Grant, Inventory, Library, LibraryOptions, Place, PluginRuntime,
    PluginsLock, RuntimeOptions, SeenVersions, Terms, TokenizerHost, TrustOptions, kv_file_for,
};
use serde_json::Value;

use crate::config::{Config, FilterConfig, PluginConfig, StrategiesWatch};
use crate::error::CliError;
use crate::strategies::Strategies;

/// How often the folder is looked at. A look costs a few system calls, works on every file system
/// (network and container mounts report no events), and cannot miss anything.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A library for this configuration, with nothing loaded yet.
pub fn library(config: &Config, runtime: PluginRuntime) -> Result<Library, CliError> {
    let bundled = atoll_bundled_plugins::PLUGINS
        .iter()
        .map(|plugin| (plugin.name.to_owned(), Arc::from(plugin.wasm)))
        .collect();
    let terms = config
        .plugin
        .iter()
        .map(|(name, entry)| (name.clone(), terms(entry)))
        .collect();
    let options = LibraryOptions {
        folder: config.plugins.value.clone(),
        bundled,
        terms,
        chain: config.filters.iter().map(|f| place(config, f)).collect(),
        trust: TrustOptions {
            lock: Some(PluginsLock::path_for(&config.plugins.value)),
            keys: config.plugin_keys.clone(),
            versions: Some(SeenVersions::path_for(&config.plugins.value)),
            pinned_only: config.pinned_plugins_only,
        },
    };
    Ok(Library::new(runtime, options)?)
}

/// The runtime that plugins run in, with a cache of compiled code where one can be kept.
pub fn plugin_runtime(
    config: &Config,
    tokenizer: Option<Arc<dyn TokenizerHost>>,
) -> Result<PluginRuntime, CliError> {
    // This program again: it is there, and its engine is the same.
    let compiler = std::env::current_exe().ok().map(|program| Compiler {
        program,
        arguments: vec!["plugin".into(), "compile-worker".into()],
    });
    let mut compile = CompileLimits::default();
    if let Some(seconds) = config.plugin_compile_seconds {
        compile.cpu = Duration::from_secs(u64::from(seconds.get()));
        compile.wall = compile.cpu;
    }
    let options = RuntimeOptions {
        tokenizer,
        compiler,
        compile,
        ..RuntimeOptions::default()
    };
    let cached = RuntimeOptions {
        cache_dir: Some(config.paths.cache.join("plugins")),
        ..options.clone()
    };
    match PluginRuntime::new(cached) {
        Ok(runtime) => Ok(runtime),
        Err(error) => {
            tracing::warn!(%error, "compiled plugins cannot be kept; starting takes longer");
            Ok(PluginRuntime::new(options)?)
        }
    }
}

/// Keeps what plugins store in a file beside their folder. For the server only: a file has one owner.
/// Without it the server works, and forgets what plugins stored when it stops.
pub fn keep_kv(config: &Config, runtime: &PluginRuntime) {
    if let Err(error) = runtime.keep_kv(&kv_file_for(&config.plugins.value)) {
        tracing::warn!(%error, "what plugins store is kept in memory only; is another atoll serving with the same plugins folder?");
    }
}

/// What the gateway serves by.
///
/// # Errors
/// A filter of the chain that cannot be used.
pub fn installed(config: &Config, inventory: Inventory) -> Result<Installed, CliError> {
    let mut filters = Vec::new();
    for (entry, found) in config.filters.iter().zip(inventory.chain) {
        let filter = found.map_err(|reason| CliError::Filter {
            name: entry.plugin.clone(),
            reason,
        })?;
        filters.push(FilterEntry {
            filter,
            models: entry.models.clone(),
            keys: entry.keys.clone(),
            on_fault: entry.on_fault.into(),
        });
    }
    let refused = inventory.listed.into_iter().filter_map(|plugin| {
        Some(RefusedPlugin {
            reason: plugin.problem?,
            source: plugin.source,
        })
    });
    Ok(Installed {
        registry: inventory.registry,
        filters,
        refused: refused.collect(),
    })
}

/// Follows the folder, and what the configuration file says about strategies, for as long as it is
/// polled.
pub async fn follow(
    config: Config,
    mut library: Library,
    set: Arc<PluginSet>,
    strategies: Arc<Strategies>,
) {
    let mut watch = StrategiesWatch::new(config.place(), config.strategies.clone());
    let mut wanted = config.strategies.clone();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let asked = watch.look();
        let news = asked.is_some();
        wanted = asked.unwrap_or(wanted);
        if library.refresh().await {
            match installed(&config, library.inventory()) {
                Ok(installed) => set.replace(installed),
                // The library keeps every filter of the chain that it ever had.
                Err(error) => {
                    tracing::error!(%error, "the plugins in force stay as they are");
                    continue;
                }
            }
        } else if !news {
            continue;
        }
        strategies.apply(&wanted, &set.snapshot().registry);
    }
}

fn terms(entry: &PluginConfig) -> Terms {
    Terms {
        disabled: entry.enabled == Some(false),
        grants: entry.grants.iter().cloned().map(Grant::from).collect(),
        settings: json(&entry.settings),
    }
}

/// A place in the chain says more than the plugin's own entry.
fn place(config: &Config, filter: &FilterConfig) -> Place {
    let mut settings = config
        .plugin
        .get(&filter.plugin)
        .map(|entry| entry.settings.clone())
        .unwrap_or_default();
    settings.extend(filter.settings.clone());
    Place {
        plugin: filter.plugin.clone(),
        settings: json(&settings),
    }
}

/// A table of plain values always has a JSON form.
fn json(table: &toml::Table) -> Value {
    serde_json::to_value(table).unwrap_or(Value::Null)
}
