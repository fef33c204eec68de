//! One configuration out of four places: flags, then environment, then file, then defaults.
//!
//! Each value remembers where it came from, for `atoll config`. Unknown fields in the file are an
//! error with a suggestion: a misspelt limit that is silently ignored is worse than a stop.

mod cluster;
mod hub;
mod responses;
pub mod strategies;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use atoll_gateway::audit::AuditFileOptions;
use atoll_gateway::keys::{KeyFile, KeyRecord};
use atoll_gateway::{Access, Limits, OnFault};
use atoll_hub::HubOptions;
use clap::ValueEnum as _;
use serde::Deserialize;

use self::cluster::ClusterFile;
pub use self::cluster::{ClusterConfig, Mode, WirePrecision};
use self::hub::HubFile;
pub use self::responses::ResponsesConfig;
pub use self::strategies::{
    Pin, PlacementConfig, SchedulingConfig, StrategiesConfig, StrategiesWatch,
};
use crate::cli::{CommonArgs, ServeArgs};
use crate::error::CliError;
use crate::executor::ExecutorChoice;
use crate::paths::Paths;
use crate::units::Bytes;

/// Where the server listens when nobody says otherwise.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8000);

/// The file, as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<Vec<SocketAddr>>,
    insecure: Option<bool>,
    require_key: Option<bool>,
    keys: Option<PathBuf>,
    models: Option<Vec<PathBuf>>,
    plugins: Option<PathBuf>,
    #[serde(default)]
    plugin_keys: Vec<String>,
    #[serde(default)]
    pinned_plugins_only: bool,
    plugin_compile_seconds: Option<NonZeroU32>,
    threads: Option<u32>,
    executor: Option<ExecutorChoice>,
    kv_memory: Option<Bytes>,
    allowed_origins: Option<Vec<String>>,
    allowed_hosts: Option<Vec<String>>,
    #[serde(default)]
    cluster: ClusterFile,
    #[serde(default)]
    hub: HubFile,
    #[serde(default)]
    limits: LimitsFile,
    #[serde(default)]
    audit: AuditConfig,
    #[serde(default)]
    responses: ResponsesConfig,
    #[serde(default)]
    filter: Vec<FilterConfig>,
    #[serde(default)]
    plugin: BTreeMap<String, PluginConfig>,
    #[serde(default)]
    scheduling: SchedulingConfig,
    #[serde(default)]
    placement: PlacementConfig,
}

/// `[limits]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    max_body: Option<Bytes>,
    max_choices: Option<u32>,
    max_connections: Option<u32>,
    read_timeout_seconds: Option<u32>,
    first_token_timeout_seconds: Option<u32>,
    keep_alive_seconds: Option<u32>,
    drain_grace_seconds: Option<u32>,
}

/// `[audit]`: where the record of what filters did goes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditConfig {
    file: Option<PathBuf>,
    max_size: Option<Bytes>,
    keep: Option<u32>,
    required: Option<bool>,
}

/// `[[filter]]`: one place in the filter chain.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterConfig {
    /// The plugin's name: a bundled one, or a file of the plugins folder without `.wasm`.
    pub plugin: String,
    /// Settings for this place in the chain.
    #[serde(default)]
    pub settings: toml::Table,
    /// Models it applies to, `*` for any run of characters; empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Names of keys it applies to, `*` for any run of characters; empty means all, and requests
    /// without a key.
    #[serde(default)]
    pub keys: Vec<String>,
    /// What happens to a request when the filter breaks.
    #[serde(default)]
    pub on_fault: Fault,
}

/// `on_fault`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The request ends with an error.
    #[default]
    Closed,
    /// The request goes on without the filter.
    Open,
}

impl From<Fault> for OnFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Closed => Self::Closed,
            Fault::Open => Self::Open,
        }
    }
}

/// `[plugin.NAME]`: what a plugin gets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// What of the host it may use, if it ships with Atoll or is pinned; a file that was merely dropped does not have
    /// it. Plugins that ship with Atoll have all that stays on this machine.
    #[serde(default)]
    pub grants: Vec<String>,
    /// Its settings.
    #[serde(default)]
    pub settings: toml::Table,
    /// `false` leaves it out.
    pub enabled: Option<bool>,
}

/// A value and where it was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
}

/// Where a value was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// On the command line.
    Flag,
    /// In this environment variable.
    Environment(&'static str),
    /// In the configuration file.
    File,
    /// Nowhere.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("command line"),
            Self::Environment(name) => write!(f, "environment ({name})"),
            Self::File => f.write_str("configuration file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// Addresses to listen on.
    pub listen: Setting<Vec<SocketAddr>>,
    /// Whether a wide address is allowed without keys.
    pub insecure: Setting<bool>,
    /// Whether a key is asked for on loopback too.
    pub require_key: Setting<bool>,
    /// The file of keys.
    pub keys: Setting<PathBuf>,
    /// Folders that hold models.
    pub models: Setting<Vec<PathBuf>>,
    /// The folder that holds plugins.
    pub plugins: Setting<PathBuf>,
    /// Minisign keys, one of which must have signed every file of the plugins folder, if there are any.
    pub plugin_keys: Vec<String>,
    /// Whether files of the plugins folder are used only after `atoll plugin add`.
    pub pinned_plugins_only: bool,
    /// Processor time, and wall-clock time, that compiling one plugin may take; `None` leaves it to
    /// the plugin runtime.
    pub plugin_compile_seconds: Option<NonZeroU32>,
    /// Threads per model; `None` means all cores.
    pub threads: Setting<Option<u32>>,
    /// What runs models.
    pub executor: Setting<ExecutorChoice>,
    /// KV memory per model; `None` leaves it to the executor.
    pub kv_memory: Setting<Option<Bytes>>,
    /// Browser origins.
    pub allowed_origins: Setting<Vec<String>>,
    /// Names of this machine.
    pub allowed_hosts: Setting<Vec<String>>,
    /// Other machines.
    pub cluster: ClusterConfig,
    /// Where models are downloaded from.
    pub hub: HubOptions,
    /// Limits on requests, as the file changed them.
    pub limits: Limits,
    /// The record of what filters did.
    pub audit: AuditFileOptions,
    /// Stored answers.
    pub responses: ResponsesConfig,
    /// The filter chain.
    pub filters: Vec<FilterConfig>,
    /// What single plugins get.
    pub plugin: BTreeMap<String, PluginConfig>,
    /// Which strategies decide.
    pub strategies: StrategiesConfig,
    /// The product's own folders.
    pub paths: Paths,
}

/// A look into the environment, so that tests need not change the process's own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Config {
    /// The configuration of a command that takes the shared options.
    ///
    /// # Errors
    /// A file that cannot be read or has mistakes, an environment variable that does not parse.
    pub fn load(args: &CommonArgs) -> Result<Self, CliError> {
        let serve = ServeArgs {
            common: args.clone(),
            ..ServeArgs::default()
        };
        Self::load_serve(&serve)
    }

    /// The configuration of `serve`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_serve(args: &ServeArgs) -> Result<Self, CliError> {
        Self::resolve(args, &|name| std::env::var_os(name), Paths::of_this_user())
    }

    fn resolve(args: &ServeArgs, env: Environment<'_>, paths: Paths) -> Result<Self, CliError> {
        let common = &args.common;
        let named = common
            .config
            .clone()
            .or_else(|| env("ATOLL_CONFIG").map(PathBuf::from));
        let (path, file) = match named {
            Some(path) => {
                let file = read(&path)?;
                (Some(path), file)
            }
            // The usual place may be empty.
            None if paths.config_file.is_file() => {
                (Some(paths.config_file.clone()), read(&paths.config_file)?)
            }
            None => (None, File::default()),
        };
        let from_file = |folder: PathBuf| match path.as_deref().and_then(Path::parent) {
            // Relative to the file, wherever the program was started.
            Some(parent) => parent.join(folder),
            None => folder,
        };
        let folders = |text: OsString| std::env::split_paths(&text).collect::<Vec<_>>();
        let models = pick(
            many(&common.models),
            env("ATOLL_MODELS").map(|text| ("ATOLL_MODELS", folders(text))),
            file.models
                .map(|folders| folders.into_iter().map(from_file).collect()),
            vec![paths.models.clone()],
        );
        let downloads = models.value.first().unwrap_or(&paths.models);
        Ok(Self {
            cluster: ClusterConfig::resolve(args, env, file.cluster, from_file, &paths.node)?,
            hub: hub::options(file.hub, env, downloads),
            listen: pick(
                many(&args.listen),
                parsed(env, "ATOLL_LISTEN", |text| {
                    text.split(',')
                        .map(|one| one.trim().parse())
                        .collect::<Result<_, _>>()
                        .ok()
                })?,
                file.listen,
                vec![DEFAULT_LISTEN],
            ),
            insecure: pick(args.insecure.then_some(true), None, file.insecure, false),
            require_key: pick(
                args.require_key.then_some(true),
                None,
                file.require_key,
                false,
            ),
            keys: pick(
                None,
                env("ATOLL_KEYS").map(|text| ("ATOLL_KEYS", PathBuf::from(text))),
                file.keys.map(from_file),
                paths.keys.clone(),
            ),
            models,
            plugins: pick(
                common.plugins.clone(),
                env("ATOLL_PLUGINS").map(|text| ("ATOLL_PLUGINS", PathBuf::from(text))),
                file.plugins.map(from_file),
                paths.plugins.clone(),
            ),
            plugin_keys: file.plugin_keys,
            pinned_plugins_only: file.pinned_plugins_only,
            plugin_compile_seconds: file.plugin_compile_seconds,
            threads: optional(
                common.threads,
                parsed(env, "ATOLL_THREADS", |text| {
                    text.parse().ok().filter(|&count| count > 0)
                })?,
                file.threads,
            ),
            executor: pick(
                common.executor,
                parsed(env, "ATOLL_EXECUTOR", |text| {
                    ExecutorChoice::from_str(text, false).ok()
                })?,
                file.executor,
                ExecutorChoice::default(),
            ),
            kv_memory: optional(
                common.kv_memory,
                parsed(env, "ATOLL_KV_MEMORY", |text| text.parse().ok())?,
                file.kv_memory,
            ),
            allowed_origins: pick(None, None, file.allowed_origins, Vec::new()),
            allowed_hosts: pick(None, None, file.allowed_hosts, Vec::new()),
            limits: file.limits.over(Limits::default()),
            audit: file.audit.options(&paths, from_file),
            responses: file.responses,
            filters: file.filter,
            plugin: file.plugin,
            strategies: StrategiesConfig {
                scheduling: file.scheduling,
                placement: file.placement,
            },
            paths,
            file: path,
        })
    }

    /// Where the configuration is, or would be looked for.
    pub fn place(&self) -> PathBuf {
        let usual = || self.paths.config_file.clone();
        self.file.clone().unwrap_or_else(usual)
    }

    /// Keys, browsers and names, for the gateway.
    pub fn access(&self) -> Access {
        Access {
            require_key: self.require_key.value,
            insecure: self.insecure.value,
            allowed_origins: self.allowed_origins.value.clone(),
            allowed_hosts: self.allowed_hosts.value.clone(),
        }
    }

    /// The file of keys.
    pub fn key_file(&self) -> KeyFile {
        KeyFile::at(&self.keys.value)
    }

    /// Refuses to be reachable by others without a key, unless told to; and to ask for keys when there
    /// are none.
    ///
    /// # Errors
    /// The first wide address, or that nobody could get in.
    pub fn check_listen(&self, keys: &[KeyRecord]) -> Result<(), CliError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        if keys.iter().any(|key| key.works_at(now)) {
            return Ok(());
        }
        if self.require_key.value {
            return Err(CliError::NoKeys);
        }
        let wide = self
            .listen
            .value
            .iter()
            .find(|address| !address.ip().is_loopback());
        match wide {
            Some(&address) if !self.insecure.value => Err(CliError::WideListen { address }),
            _ => Ok(()),
        }
    }
}

impl AuditConfig {
    fn options(self, paths: &Paths, from_file: impl Fn(PathBuf) -> PathBuf) -> AuditFileOptions {
        let path = self.file.map_or_else(|| paths.audit.clone(), from_file);
        let mut options = AuditFileOptions::new(path);
        set(&mut options.max_bytes, self.max_size.map(|bytes| bytes.0));
        set(&mut options.keep, self.keep);
        set(&mut options.required, self.required);
        options
    }
}

impl LimitsFile {
    fn over(&self, mut limits: Limits) -> Limits {
        let seconds = |value: u32| Duration::from_secs(u64::from(value));
        let bytes = |value: Bytes| usize::try_from(value.0).unwrap_or(usize::MAX);
        set(&mut limits.max_body_bytes, self.max_body.map(bytes));
        set(&mut limits.max_choices, self.max_choices);
        set(
            &mut limits.max_connections,
            self.max_connections.map(|count| count.max(1) as usize),
        );
        set(
            &mut limits.read_timeout,
            self.read_timeout_seconds.map(seconds),
        );
        set(
            &mut limits.first_token_timeout,
            self.first_token_timeout_seconds.map(seconds),
        );
        set(
            &mut limits.keep_alive,
            self.keep_alive_seconds.map(|value| seconds(value.max(1))),
        );
        set(
            &mut limits.drain_grace,
            self.drain_grace_seconds.map(seconds),
        );
        limits
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// The first place that says something.
fn pick<T>(
    flag: Option<T>,
    env: Option<(&'static str, T)>,
    file: Option<T>,
    default: T,
) -> Setting<T> {
    if let Some(value) = flag {
        Setting {
            value,
            source: Source::Flag,
        }
    } else if let Some((name, value)) = env {
        Setting {
            value,
            source: Source::Environment(name),
        }
    } else if let Some(value) = file {
        Setting {
            value,
            source: Source::File,
        }
    } else {
        Setting {
            value: default,
            source: Source::Default,
        }
    }
}

fn optional<T>(
    flag: Option<T>,
    env: Option<(&'static str, T)>,
    file: Option<T>,
) -> Setting<Option<T>> {
    pick(
        flag.map(Some),
        env.map(|(name, value)| (name, Some(value))),
        file.map(Some),
        None,
    )
}

fn many<T: Clone>(values: &[T]) -> Option<Vec<T>> {
    if values.is_empty() {
        None
    } else {
        Some(values.to_vec())
    }
}

fn parsed<T>(
    env: Environment<'_>,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<(&'static str, T)>, CliError> {
    let Some(text) = env(name) else {
        return Ok(None);
    };
    let value = text.to_str().and_then(parse);
    let text = text.to_string_lossy().into_owned();
    value
        .map(|value| Some((name, value)))
        .ok_or(CliError::Environment { name, text })
}

fn read(path: &Path) -> Result<File, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| CliError::ConfigRead {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    parse(&text).map_err(|reason| CliError::Config {
        path: path.to_owned(),
        reason,
    })
}

fn parse(text: &str) -> Result<File, String> {
    toml::from_str(text).map_err(|error| {
        let mut reason = error.to_string().trim_end().to_owned();
        if let Some(better) = suggestion(error.message()) {
            reason.push_str(&format!("\ndid you mean `{better}`?"));
        }
        reason
    })
}

/// The known field that is closest to the unknown one, out of serde's own words: "unknown field
/// `lisen`, expected one of `listen`, `models`".
fn suggestion(message: &str) -> Option<&str> {
    if !message.starts_with("unknown field") && !message.starts_with("unknown variant") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let closeness = |name: &&str| strsim::jaro_winkler(unknown, name);
    let best = names.max_by(|a, b| closeness(a).total_cmp(&closeness(b)))?;
    (closeness(&best) > 0.7).then_some(best)
}

#[cfg(test)]
mod tests;
