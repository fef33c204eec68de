//! Plugins: those in the binary, those in the folder, and what the configuration says about each.
//!
//! A file that is not accepted stops nothing: it is listed with the reason. A filter that the
//! configuration names is different: a server that starts without it would break a promise in
//! silence, so it does not start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_gateway::{FilterEntry, RefusedPlugin};
use atoll_plugin_runtime::{
    Grant, LoadPolicy, LoadedPlugin, PluginError, PluginRuntime, PluginSource, Registry,
    RuntimeOptions, TokenizerHost,
};
use futures::StreamExt as _;
use serde_json::Value;

use crate::config::{Config, FilterConfig};
use crate::error::CliError;

/// Plugins that are read and compiled at once. Compiling uses several cores by itself.
const AT_ONCE: usize = 4;

/// Everything that was found.
pub struct Plugins {
    /// Dialects and their routes.
    pub registry: Registry,
    /// The chain of the configuration.
    pub filters: Vec<FilterEntry>,
    /// All accepted plugins, for listings.
    pub loaded: Vec<LoadedFrom>,
    /// What was not accepted, and why.
    pub refused: Vec<RefusedPlugin>,
}

/// A plugin and where it came from.
pub struct LoadedFrom {
    /// `bundled`, or the file.
    pub source: String,
    /// The plugin.
    pub plugin: LoadedPlugin,
}

/// A plugin that could be loaded.
#[derive(Clone)]
struct Candidate {
    /// The name the configuration knows it by.
    name: String,
    /// For people.
    shown: String,
    source: PluginSource,
    bundled: bool,
}

/// Loads what there is.
pub async fn plugins(
    config: &Config,
    tokenizer: Option<Arc<dyn TokenizerHost>>,
) -> Result<Plugins, CliError> {
    let runtime = start(config, tokenizer)?;
    let mut refused = Vec::new();
    let candidates = candidates(config, &mut refused);

    let attempts = futures::stream::iter(candidates.values().cloned().map(|candidate| {
        let policy = policy(config, &candidate, None);
        let runtime = &runtime;
        async move {
            let result = runtime.load(candidate.source.clone(), policy).await;
            (candidate, result)
        }
    }));
    let attempts: Vec<_> = attempts.buffered(AT_ONCE).collect().await;

    let mut registry = Registry::default();
    let mut loaded = Vec::new();
    for (candidate, result) in in_order(attempts) {
        // A newcomer that wants a route or a name that is taken is refused here.
        let accepted = result.and_then(|plugin| match plugin {
            LoadedPlugin::Dialect(_) => Ok((registry.with(plugin.clone())?, plugin)),
            other => Ok((registry.clone(), other)),
        });
        match accepted {
            Ok((next, plugin)) => {
                registry = next;
                loaded.push(LoadedFrom {
                    source: candidate.shown,
                    plugin,
                });
            }
            Err(error) => refused.push(RefusedPlugin {
                source: candidate.shown,
                reason: error.to_string(),
            }),
        }
    }

    let mut filters = Vec::new();
    for entry in &config.filters {
        filters.push(filter(config, &runtime, &candidates, entry).await?);
    }
    Ok(Plugins {
        registry,
        filters,
        loaded,
        refused,
    })
}

/// Bundled plugins first: a file in the folder cannot take their routes by coming earlier.
fn in_order(
    mut attempts: Vec<(Candidate, Result<LoadedPlugin, PluginError>)>,
) -> Vec<(Candidate, Result<LoadedPlugin, PluginError>)> {
    attempts.sort_by_key(|(candidate, _)| !candidate.bundled);
    attempts
}

fn start(
    config: &Config,
    tokenizer: Option<Arc<dyn TokenizerHost>>,
) -> Result<PluginRuntime, CliError> {
    let cache = config.paths.cache.join("plugins");
    let options = RuntimeOptions {
        tokenizer,
        ..RuntimeOptions::default()
    };
    let cached = RuntimeOptions {
        cache_dir: Some(cache.clone()),
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

/// Everything that could be loaded, by the name the configuration uses.
fn candidates(config: &Config, refused: &mut Vec<RefusedPlugin>) -> BTreeMap<String, Candidate> {
    let mut candidates = BTreeMap::new();
    for bundled in atoll_bundled_plugins::PLUGINS {
        let name = bundled.name.to_owned();
        let source = PluginSource::Bytes {
            name: name.clone(),
            wasm: Arc::from(bundled.wasm),
        };
        let shown = format!("{name} (bundled)");
        candidates.insert(
            name.clone(),
            Candidate {
                name,
                shown,
                source,
                bundled: true,
            },
        );
    }
    for path in files(&config.plugins.value, refused) {
        let shown = path.display().to_string();
        let Some(name) = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .map(str::to_owned)
        else {
            refused.push(RefusedPlugin {
                source: shown,
                reason: "the file's name is not text; rename it".to_owned(),
            });
            continue;
        };
        let taken = candidates.contains_key(&name);
        if taken && enabled(config, &name) {
            refused.push(RefusedPlugin {
                source: shown,
                reason: format!("a bundled plugin has the name {name:?}; rename the file"),
            });
            continue;
        }
        let source = PluginSource::File(path);
        candidates.insert(
            name.clone(),
            Candidate {
                name,
                shown,
                source,
                bundled: false,
            },
        );
    }
    candidates.retain(|name, _| enabled(config, name));
    candidates
}

fn enabled(config: &Config, name: &str) -> bool {
    config
        .plugin
        .get(name)
        .and_then(|plugin| plugin.enabled)
        .unwrap_or(true)
}

/// The plugin files of a folder, sorted; a folder that does not exist has none.
fn files(folder: &Path, refused: &mut Vec<RefusedPlugin>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let source = folder.display().to_string();
            refused.push(RefusedPlugin {
                source,
                reason: format!("cannot be read: {error}"),
            });
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .collect();
    files.sort();
    files
}

/// What a plugin gets: its entry in the configuration; a bundled one also what stays on this machine.
fn policy(config: &Config, candidate: &Candidate, filter: Option<&FilterConfig>) -> LoadPolicy {
    let entry = config.plugin.get(&candidate.name);
    let mut grants = if candidate.bundled {
        Grant::all_local()
    } else {
        Vec::new()
    };
    for grant in entry.into_iter().flat_map(|entry| &entry.grants) {
        grants.push(Grant::from(grant.clone()));
    }
    grants.dedup();
    let mut settings = entry
        .map(|entry| entry.settings.clone())
        .unwrap_or_default();
    // A place in the chain says more than the plugin's own entry.
    for (name, value) in filter.into_iter().flat_map(|filter| &filter.settings) {
        settings.insert(name.clone(), value.clone());
    }
    // A table of plain values always has a JSON form.
    let settings = serde_json::to_value(settings).unwrap_or(Value::Null);
    LoadPolicy { grants, settings }
}

async fn filter(
    config: &Config,
    runtime: &PluginRuntime,
    candidates: &BTreeMap<String, Candidate>,
    entry: &FilterConfig,
) -> Result<FilterEntry, CliError> {
    let fail = |reason: String| CliError::Filter {
        name: entry.plugin.clone(),
        reason,
    };
    let Some(candidate) = candidates.get(&entry.plugin) else {
        let names: Vec<&str> = candidates.keys().map(String::as_str).collect();
        let folder = config.plugins.value.display();
        let known = names.join(", ");
        return Err(fail(format!(
            "there is no such plugin (known: {known}; folder: {folder})"
        )));
    };
    let policy = policy(config, candidate, Some(entry));
    match runtime.load(candidate.source.clone(), policy).await {
        Ok(LoadedPlugin::Filter(filter)) => Ok(FilterEntry {
            filter,
            models: entry.models.clone(),
            keys: entry.keys.clone(),
            on_fault: entry.on_fault.into(),
        }),
        Ok(other) => Err(fail(format!(
            "it is a {}, not a filter",
            other.info().world.as_str()
        ))),
        Err(error) => Err(fail(error.to_string())),
    }
}
