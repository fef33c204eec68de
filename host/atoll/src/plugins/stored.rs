//! What a plugin that is removed left in `kv`: it is kept, so that a plugin that comes back finds it, and deleted
//! when a person says so.
//!
//! The file has one owner. Where a server runs with this plugins folder that is the server, and it is asked.

use std::time::{Duration, Instant};

use atoll_plugin_runtime::{Stored, StoredError, forget_in, kv_file_for, stored_in};
use serde_json::Value;

use crate::admin_client;
use crate::config::Config;
use crate::error::CliError;

/// Longest wait for a server to let go of the plugin: it looks every half second, and requests that use it go on.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// How much is stored under that name. Where nobody can tell it is as if nothing were.
pub fn look(config: &Config, name: &str) -> Stored {
    match stored_in(&kv_file_for(&config.plugins.value), name) {
        Ok(stored) => stored,
        Err(_) => {
            let plugins = admin_client::get(config, "/atoll/v1/plugins").unwrap_or_default();
            amount(&plugins["stored"][name])
        }
    }
}

/// Deletes what is stored under that name, and says how much that was.
pub fn forget(config: &Config, name: &str) -> Result<Stored, CliError> {
    match forget_in(&kv_file_for(&config.plugins.value), name) {
        Ok(stored) => return Ok(stored),
        Err(StoredError::InUse(_)) => {}
        Err(error) => return Err(CliError::Plugins(error.to_string())),
    }
    let path = format!("/atoll/v1/plugins/{name}/forget");
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(answer) = admin_client::post_unless_in_use(config, &path)? {
            return Ok(amount(&answer["deleted"]));
        }
        std::thread::sleep(PAUSE);
    }
    Err(CliError::Plugins(format!(
        "the running server still uses {name}, so what it stored is kept. Is it a filter that the configuration names? \
         When it is used no longer: atoll plugin remove {name} --purge"
    )))
}

/// For people: `3 keys, 120 bytes`.
pub fn shown(stored: Stored) -> String {
    let keys = if stored.keys == 1 { "key" } else { "keys" };
    format!("{} {keys}, {} bytes", stored.keys, stored.bytes)
}

fn amount(value: &Value) -> Stored {
    serde_json::from_value(value.clone()).unwrap_or_default()
}
