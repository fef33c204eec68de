//! `atoll config`: the configuration in force, and where each value comes from.

use std::fmt::Display;

use crate::cli::ConfigArgs;
use crate::config::{Config, Setting};
use crate::error::CliError;
use crate::output;

/// Runs the command.
pub fn command(args: &ConfigArgs) -> Result<(), CliError> {
    let config = Config::load_serve(&args.serve)?;
    let file = match &config.file {
        Some(path) => path.display().to_string(),
        None => format!(
            "none ({} does not exist)",
            config.paths.config_file.display()
        ),
    };
    let or = |value: Option<String>, default: &str| value.unwrap_or_else(|| default.to_owned());
    let rows = vec![
        row("listen", list(&config.listen.value), &config.listen),
        row(
            "insecure",
            config.insecure.value.to_string(),
            &config.insecure,
        ),
        row(
            "require_key",
            config.require_key.value.to_string(),
            &config.require_key,
        ),
        row(
            "keys",
            config.keys.value.display().to_string(),
            &config.keys,
        ),
        row(
            "models",
            list(config.models.value.iter().map(|path| path.display())),
            &config.models,
        ),
        row(
            "plugins",
            config.plugins.value.display().to_string(),
            &config.plugins,
        ),
        row(
            "threads",
            or(config.threads.value.map(|n| n.to_string()), "all cores"),
            &config.threads,
        ),
        row(
            "executor",
            config.executor.value.to_string(),
            &config.executor,
        ),
        row(
            "kv_memory",
            or(
                config.kv_memory.value.map(|bytes| bytes.to_string()),
                "the executor's own",
            ),
            &config.kv_memory,
        ),
        row(
            "allowed_origins",
            list(&config.allowed_origins.value),
            &config.allowed_origins,
        ),
        row(
            "allowed_hosts",
            list(&config.allowed_hosts.value),
            &config.allowed_hosts,
        ),
    ];
    output::line(format_args!("configuration file: {file}"))?;
    output::line(format_args!("cache: {}", config.paths.cache.display()))?;
    output::line(format_args!(
        "audit trail: {}{}\n",
        config.audit.path.display(),
        if config.audit.required {
            " (required)"
        } else {
            ""
        }
    ))?;
    output::table(&["SETTING", "VALUE", "FROM"], &rows)?;
    let hub = &config.hub;
    let token = if hub.token.is_some() {
        "with a token"
    } else {
        "without a token"
    };
    let offline = if hub.offline { ", offline" } else { "" };
    output::line(format_args!("hub: {} {token}{offline}", hub.endpoint))?;
    for (place, filter) in config.filters.iter().enumerate() {
        let models = if filter.models.is_empty() {
            "all models".to_owned()
        } else {
            filter.models.join(", ")
        };
        let keys = if filter.keys.is_empty() {
            String::new()
        } else {
            format!(", keys {}", filter.keys.join(", "))
        };
        output::line(format_args!(
            "filter {}: {} for {models}{keys}",
            place + 1,
            filter.plugin
        ))?;
    }
    Ok(())
}

fn row<T>(name: &str, value: String, setting: &Setting<T>) -> Vec<String> {
    let value = if value.is_empty() {
        "none".to_owned()
    } else {
        value
    };
    vec![name.to_owned(), value, setting.source.to_string()]
}

fn list(values: impl IntoIterator<Item = impl Display>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    values.join(", ")
}
