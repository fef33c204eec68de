//! `atoll keys`: who may use the server from other machines.

use std::time::SystemTime;

use atoll_gateway::keys::{KeyFile, KeyLimits, KeyRecord, NewKey};
use serde_json::{Value, json};

use crate::cli::{CommonArgs, KeyCreateArgs, KeyListArgs, KeysArgs, KeysCommand};
use crate::config::Config;
use crate::error::CliError;
use crate::output;
use crate::units::Span;

/// Runs the command.
pub fn command(args: &KeysArgs) -> Result<(), CliError> {
    match &args.command {
        KeysCommand::Create(args) => create(args),
        KeysCommand::List(args) => list(args),
        KeysCommand::Revoke(args) => {
            file(args.config.clone())?.revoke(&args.name)?;
            output::note(format_args!("The key {} is revoked.", args.name));
            Ok(())
        }
    }
}

fn file(config: Option<std::path::PathBuf>) -> Result<KeyFile, CliError> {
    let common = CommonArgs {
        config,
        ..CommonArgs::default()
    };
    Ok(Config::load(&common)?.key_file())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The key goes to standard output, so that it can be piped to where it is kept; everything else is
/// for the person.
fn create(args: &KeyCreateArgs) -> Result<(), CliError> {
    let now = now();
    let new = NewKey {
        name: args.name.clone(),
        admin: args.admin,
        models: args.model.clone(),
        expires: args.expires.map(|span| now.saturating_add(span.0)),
        limits: KeyLimits {
            requests_per_minute: args.requests_per_minute,
            tokens_per_minute: args.tokens_per_minute,
            concurrent: args.concurrent,
        },
    };
    let key = file(args.config.clone())?.create(new, now)?;
    output::note("Keep this key; it is not shown again:");
    output::line(key)
}

fn list(args: &KeyListArgs) -> Result<(), CliError> {
    let file = file(args.config.clone())?;
    let keys = file.read()?;
    if args.json {
        let keys: Vec<Value> = keys.iter().map(described).collect();
        return output::line(Value::Array(keys));
    }
    let now = now();
    let rows: Vec<Vec<String>> = keys.iter().map(|key| row(key, now)).collect();
    output::table(
        &["NAME", "MAY", "MODELS", "LIMITS", "AGE", "EXPIRES"],
        &rows,
    )?;
    if rows.is_empty() {
        output::note("No keys yet: atoll keys create NAME");
    }
    Ok(())
}

/// Without the hash, which is nobody's business.
fn described(key: &KeyRecord) -> Value {
    json!({
        "name": key.name,
        "admin": key.admin,
        "models": key.models,
        "limits": key.limits,
        "created": key.created,
        "expires": key.expires,
    })
}

fn row(key: &KeyRecord, now: u64) -> Vec<String> {
    let limits = [
        (key.limits.requests_per_minute, "requests/min"),
        (key.limits.tokens_per_minute, "tokens/min"),
        (key.limits.concurrent, "at once"),
    ];
    let limits = limits
        .iter()
        .filter_map(|(limit, unit)| limit.map(|limit| format!("{limit} {unit}")));
    let or = |text: String, empty: &str| {
        if text.is_empty() {
            empty.to_owned()
        } else {
            text
        }
    };
    let expires = match key.expires {
        None => "never".to_owned(),
        Some(at) if at <= now => "expired".to_owned(),
        Some(at) => format!("in {}", Span(at - now)),
    };
    vec![
        key.name.clone(),
        if key.admin { "admin" } else { "use" }.to_owned(),
        or(key.models.join(", "), "all"),
        or(limits.collect::<Vec<_>>().join(", "), "none"),
        Span(now.saturating_sub(key.created)).to_string(),
        expires,
    ]
}
