//! `[cluster]`: which cluster this host is part of, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_cluster::transport::ClusterSecret;
use serde::Deserialize;

use super::{Environment, Setting, Source, many, optional, parsed, pick};
use crate::cli::ServeArgs;
use crate::cluster::saved::{self, Saved};
use crate::error::CliError;
use crate::units::Bytes;

/// The section as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterFile {
    enabled: Option<bool>,
    name: Option<String>,
    peers: Option<Vec<String>>,
    listen: Option<Vec<String>>,
    multicast: Option<bool>,
    secret_file: Option<PathBuf>,
    memory: Option<Bytes>,
    stages: Option<u32>,
    wire: Option<WirePrecision>,
    patience_ms: Option<u32>,
    probe: Option<bool>,
    #[serde(default)]
    model: BTreeMap<String, ClusterModel>,
}

/// `[cluster.model.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterModel {
    /// Divide this model into exactly so many stages.
    pub stages: Option<u32>,
}

/// How hidden states travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WirePrecision {
    /// As they are: the same tokens as on one machine.
    #[default]
    F32,
    /// Half the bytes.
    Bf16,
}

/// Whether to take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Yes, unless keys are asked for and the cluster has no secret: others of the network could then
    /// use this host without a key.
    Auto,
    /// Yes: somebody said so.
    On,
    /// No.
    Off,
}

/// The cluster part of the configuration in force.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Whether to take part.
    pub mode: Setting<Mode>,
    /// The cluster's name.
    pub name: Setting<String>,
    /// Nodes to reach where multicast does not: `tcp/host:port`.
    pub peers: Setting<Vec<String>>,
    /// Where other nodes reach this one.
    pub listen: Setting<Vec<String>>,
    /// Whether to look for nodes by multicast.
    pub multicast: bool,
    /// The file that holds the secret.
    pub secret_file: Setting<Option<PathBuf>>,
    /// The secret itself, from the environment.
    pub secret: Option<Secret>,
    /// Most memory for stages.
    pub memory: Option<Bytes>,
    /// Divide every model into so many stages.
    pub stages: Option<u32>,
    /// How hidden states travel.
    pub wire: WirePrecision,
    /// Longest silence of a machine before it counts as lost.
    pub patience: Duration,
    /// Whether to measure this machine's speed once.
    pub probe: bool,
    /// What was said of single models.
    pub models: BTreeMap<String, ClusterModel>,
}

/// Text that never shows up in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl ClusterFile {
    /// With what was remembered where the file says nothing.
    fn over(mut self, saved: Saved, node: &Path) -> Self {
        if self.enabled.is_none() && self.name.is_none() {
            self.enabled = saved.enabled;
            self.name = saved.name;
        }
        if self.peers.is_none() && !saved.peers.is_empty() {
            self.peers = Some(saved.peers);
        }
        if self.secret_file.is_none() && saved.secret {
            self.secret_file = Some(saved::secret_file(node));
        }
        self
    }
}

impl ClusterConfig {
    /// Out of flags, environment, file, what `atoll cluster join` left below `node`, and defaults.
    pub fn resolve(
        args: &ServeArgs,
        env: Environment<'_>,
        file: ClusterFile,
        from_file: impl Fn(PathBuf) -> PathBuf,
        node: &Path,
    ) -> Result<Self, CliError> {
        let file = file.over(saved::read(node), node);
        let words = |text: &str| {
            let words = text.split(',').map(|word| word.trim().to_owned());
            Some(words.filter(|word| !word.is_empty()).collect::<Vec<_>>())
        };
        let named = parsed(env, "ATOLL_CLUSTER", |text| Some(text.to_owned()))?;
        let named = named.filter(|(_, name)| !name.is_empty());
        let off = |name: &str| name == "off";
        let env_mode = named.as_ref().map(|(variable, name)| {
            let mode = if off(name) { Mode::Off } else { Mode::On };
            (*variable, mode)
        });
        let env_name = named.filter(|(_, name)| !off(name));
        let flag_mode = if args.no_cluster {
            Some(Mode::Off)
        } else {
            args.cluster.as_ref().map(|_| Mode::On)
        };
        let file_mode = match (file.enabled, &file.name) {
            (Some(false), _) => Some(Mode::Off),
            (Some(true), _) | (None, Some(_)) => Some(Mode::On),
            (None, None) => None,
        };
        let secret = parsed(env, "ATOLL_CLUSTER_SECRET", |text| {
            Some(Secret(text.trim().to_owned()))
        })?;
        Ok(Self {
            mode: pick(flag_mode, env_mode, file_mode, Mode::Auto),
            name: pick(
                args.cluster.clone(),
                env_name,
                file.name,
                "atoll".to_owned(),
            ),
            peers: pick(
                many(&args.peer),
                parsed(env, "ATOLL_CLUSTER_PEERS", words)?,
                file.peers,
                Vec::new(),
            ),
            listen: pick(
                many(&args.cluster_listen),
                parsed(env, "ATOLL_CLUSTER_LISTEN", words)?,
                file.listen,
                vec!["tcp/[::]:0".to_owned()],
            ),
            multicast: file.multicast.unwrap_or(true),
            secret_file: optional(
                args.cluster_secret_file.clone(),
                parsed(env, "ATOLL_CLUSTER_SECRET_FILE", |text| {
                    Some(PathBuf::from(text))
                })?,
                file.secret_file.map(from_file),
            ),
            secret: secret.map(|(_, secret)| secret),
            memory: file.memory,
            stages: args.stages.or(file.stages),
            wire: file.wire.unwrap_or_default(),
            patience: Duration::from_millis(u64::from(file.patience_ms.unwrap_or(1000).max(200))),
            probe: file.probe.unwrap_or(true),
            models: file.model,
        })
    }

    /// How many stages a model must have, if somebody said so.
    pub fn stages_of(&self, model: &str) -> Option<usize> {
        let own = self.models.get(model).and_then(|model| model.stages);
        own.or(self.stages).map(|stages| stages as usize)
    }

    /// The secret, from the environment or the file.
    ///
    /// # Errors
    /// A file that cannot be read, or a secret that is easily guessed.
    pub fn read_secret(&self) -> Result<Option<Secret>, CliError> {
        let (secret, place) = match (&self.secret, &self.secret_file.value) {
            (Some(secret), _) => (secret.clone(), "ATOLL_CLUSTER_SECRET".to_owned()),
            (None, Some(path)) => (read(path)?, path.display().to_string()),
            (None, None) => return Ok(None),
        };
        ClusterSecret::check(secret.expose())
            .map_err(|error| CliError::Other(format!("{place}: {error}")))?;
        Ok(Some(secret))
    }

    /// Where a secret comes from that somebody set by hand; `None` if there is none or it is the one
    /// that `atoll cluster join` and `token` keep below `node`.
    pub fn secret_by_hand(&self, node: &Path) -> Option<String> {
        if self.secret.is_some() {
            return Some("ATOLL_CLUSTER_SECRET".to_owned());
        }
        let path = self.secret_file.value.as_ref()?;
        (*path != saved::secret_file(node)).then(|| path.display().to_string())
    }

    /// Whether a secret is configured, without reading it.
    pub fn has_secret(&self) -> bool {
        self.secret.is_some() || self.secret_file.value.is_some()
    }

    /// Whether somebody chose a cluster for this host.
    pub fn chosen(&self) -> bool {
        self.mode.source != Source::Default
    }
}

/// Longest secret file read.
const MAX_SECRET: u64 = 4096;

fn read(path: &Path) -> Result<Secret, CliError> {
    let bytes = atoll_engine::files::read_bounded(path, MAX_SECRET)
        .map_err(|error| CliError::Other(format!("the cluster secret cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        CliError::Other(format!(
            "{}: the cluster secret is not text",
            path.display()
        ))
    })?;
    Ok(Secret(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn resolve(args: ServeArgs, env: &[(&str, &str)], file: &str) -> ClusterConfig {
        let env = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let file = toml::from_str(file).unwrap();
        ClusterConfig::resolve(&args, &env, file, |path| path, Path::new("/nonexistent")).unwrap()
    }

    #[test]
    fn a_host_takes_part_unless_told_otherwise() {
        let usual = resolve(ServeArgs::default(), &[], "");
        assert_eq!(usual.mode.value, Mode::Auto);
        assert_eq!(usual.name.value, "atoll");
        assert!(usual.multicast && usual.peers.value.is_empty());
        let off = ServeArgs {
            no_cluster: true,
            ..ServeArgs::default()
        };
        assert_eq!(resolve(off, &[], "name = \"lab\"").mode.value, Mode::Off);
        let env = [("ATOLL_CLUSTER", "off")];
        let config = resolve(ServeArgs::default(), &env, "");
        assert_eq!(
            (config.mode.value, &*config.name.value),
            (Mode::Off, "atoll")
        );
        let env = [
            ("ATOLL_CLUSTER", "lab"),
            ("ATOLL_CLUSTER_PEERS", "a:1, b:2"),
        ];
        let config = resolve(ServeArgs::default(), &env, "enabled = false");
        assert_eq!((config.mode.value, &*config.name.value), (Mode::On, "lab"));
        assert_eq!(config.peers.value, ["a:1", "b:2"]);
        assert_eq!(
            resolve(ServeArgs::default(), &[], "enabled = false")
                .mode
                .value,
            Mode::Off
        );
    }

    #[test]
    fn stages_are_said_for_all_models_or_for_one() {
        let file = "stages = 2\n[model.big]\nstages = 4";
        let config = resolve(ServeArgs::default(), &[], file);
        assert_eq!(config.stages_of("big"), Some(4));
        assert_eq!(config.stages_of("small"), Some(2));
    }

    #[test]
    fn a_secret_is_read_where_it_is_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "0123456789abcdef-x\n").unwrap();
        let args = ServeArgs {
            cluster_secret_file: Some(path),
            ..ServeArgs::default()
        };
        let config = resolve(args.clone(), &[], "");
        let secret = config.read_secret().unwrap().unwrap();
        assert_eq!(secret.expose(), "0123456789abcdef-x");
        assert!(!format!("{secret:?}").contains("0123"));
        let short = resolve(args, &[("ATOLL_CLUSTER_SECRET", "short")], "");
        assert!(short.read_secret().is_err());
        assert!(
            resolve(ServeArgs::default(), &[], "")
                .read_secret()
                .unwrap()
                .is_none()
        );
    }
}
