//! Waiting for a running server to take what was just put into its plugins folder, so that a request sent right
//! after `atoll plugin add` finds it.

use std::time::{Duration, Instant};

use atoll_plugin_runtime::{PluginInfo, World};
use serde_json::Value;

use crate::admin_client;
use crate::config::Config;
use crate::error::CliError;
use crate::output;

/// Longest wait. A server looks every half second and compiles a small plugin in less than one; an interpreter in
/// a plugin takes it longer, which is said and not waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until the server that answers on this machine, if one does, has the plugin in force, and says so.
pub fn wait(config: &Config, info: &PluginInfo, used: bool) -> Result<(), CliError> {
    if info.world == World::Filter && !used {
        return Ok(());
    }
    let started = Instant::now();
    loop {
        // No server, or none that tells: nothing is promised then.
        let Ok(plugins) = admin_client::get(config, "/atoll/v1/plugins") else {
            return Ok(());
        };
        if in_force(&plugins, &info.sha256) {
            return output::line(match info.world {
                World::Placement | World::Scheduling => "the running server has it, to be chosen",
                _ => "the running server uses it now",
            });
        }
        if started.elapsed() > PATIENCE {
            output::note(
                "The server that runs on this machine does not use it yet. It may still be compiling it, or refuse it, \
                 or have another plugins folder: its log and GET /atoll/v1/plugins say which.",
            );
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether a list of plugins, as `GET /atoll/v1/plugins` gives it, has this very file.
fn in_force(plugins: &Value, sha256: &str) -> bool {
    ["dialects", "filters", "placement", "scheduling"]
        .iter()
        .filter_map(|world| plugins[world].as_array())
        .flatten()
        .any(|plugin| plugin["sha256"] == sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plugin_is_in_force_by_its_hash() {
        let plugins = json!({
            "dialects": [{"name": "a", "sha256": "1"}],
            "filters": [],
            "scheduling": [{"name": "b", "sha256": "2"}],
            "refused": [{"name": "c", "sha256": "3"}],
        });
        assert!(in_force(&plugins, "1") && in_force(&plugins, "2"));
        assert!(!in_force(&plugins, "3") && !in_force(&Value::Null, "1"));
    }
}
