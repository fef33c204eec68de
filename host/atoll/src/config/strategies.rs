//! `[scheduling]` and `[placement]`: which strategies decide. The only sections that a running server
//! reads again when the file changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use atoll_cluster::placement::Objective;
use serde::Deserialize;

/// `[scheduling]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulingConfig {
    /// The plugin that decides who goes next; first come, first served without one.
    pub strategy: Option<String>,
    /// Priorities of keys, by name, for strategies that look at them; 0 for the others.
    #[serde(default)]
    pub priorities: BTreeMap<String, i32>,
}

/// `[placement]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacementConfig {
    /// The plugin that decides where a model runs; `auto` without one.
    pub strategy: Option<String>,
    /// What is to be best, for strategies that look at it.
    #[serde(default)]
    pub objective: Objective,
    /// Plans that a person made, by model.
    #[serde(default)]
    pub pin: BTreeMap<String, Pin>,
}

/// `[placement.pin.MODEL]`: where a model runs, whatever a strategy would say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// From the first layer to the last.
    pub stages: Vec<PinnedStage>,
}

/// One stage of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedStage {
    /// The node's name, or its id where names are not unique.
    pub node: String,
    /// How many layers it gets.
    pub layers: u32,
}

/// Both sections.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct StrategiesConfig {
    /// Who goes next.
    #[serde(default)]
    pub scheduling: SchedulingConfig,
    /// What runs where.
    #[serde(default)]
    pub placement: PlacementConfig,
}

/// Sees when the file says something new about strategies.
#[derive(Debug)]
pub struct StrategiesWatch {
    file: PathBuf,
    seen: Option<(SystemTime, u64)>,
    current: StrategiesConfig,
}

impl StrategiesWatch {
    /// From what was read at the start. The file need not be there yet.
    pub fn new(file: PathBuf, current: StrategiesConfig) -> Self {
        Self {
            file,
            // The first look reads it: it may have changed since `current` was read.
            seen: None,
            current,
        }
    }

    /// Looks once: what is wanted now, if that is news. A file that cannot be read, or has a mistake,
    /// changes nothing and says so in the log.
    pub fn look(&mut self) -> Option<StrategiesConfig> {
        let file = self.file.as_path();
        let now = stamp(file);
        if now == self.seen {
            return None;
        }
        self.seen = now;
        let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
        // Other sections are not this one's business, not even their mistakes.
        let parsed = read.and_then(|text| {
            toml::from_str::<StrategiesConfig>(&text).map_err(|error| error.to_string())
        });
        match parsed {
            Ok(config) if config == self.current => None,
            Ok(config) => {
                self.current = config.clone();
                Some(config)
            }
            Err(reason) => {
                let file = file.display();
                tracing::warn!(%file, reason, "the strategies stay as they are");
                None
            }
        }
    }
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let facts = std::fs::metadata(file).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever starts without a configuration writes one later, as `atoll plugin add` says.
    #[test]
    fn a_file_that_comes_later_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let mut watch = StrategiesWatch::new(file.clone(), StrategiesConfig::default());
        assert_eq!(watch.look(), None);
        std::fs::write(&file, "[scheduling]\nstrategy = \"fair\"\n").unwrap();
        let config = watch.look().unwrap();
        assert_eq!(config.scheduling.strategy.as_deref(), Some("fair"));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(watch.look(), None, "what is in force stays");
    }

    #[test]
    fn a_change_is_seen_once_and_a_mistake_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        write("threads = 2\n");
        let mut watch = StrategiesWatch::new(file.clone(), StrategiesConfig::default());
        assert_eq!(watch.look(), None);
        write("threads = 2\n[scheduling]\nstrategy = \"fair\"\n");
        let config = watch.look().unwrap();
        assert_eq!(config.scheduling.strategy.as_deref(), Some("fair"));
        assert_eq!(watch.look(), None);
        write("[scheduling]\nstrategie = \"fcfs\"\n");
        assert_eq!(watch.look(), None);
        write("threads = 44\n[scheduling]\nstrategy = \"fair\"\n");
        assert_eq!(watch.look(), None, "nothing about strategies changed");
        write(
            "[scheduling]\nstrategy = \"priority\"\npriorities = { ci = -5 }\n\
             [placement]\nobjective = \"throughput\"\n[placement.pin.big]\nstages = [{ node = \"reef\", layers = 3 }]\n",
        );
        let config = watch.look().unwrap();
        assert_eq!(config.scheduling.priorities.get("ci"), Some(&-5));
        assert_eq!(config.placement.objective, Objective::Throughput);
        assert_eq!(config.placement.pin["big"].stages[0].layers, 3);
    }
}
