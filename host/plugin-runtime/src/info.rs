//! What is known about a loaded plugin, for people and for the admin interface.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::grant::Grant;

/// Which world a component implements: its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum World {
    /// Speaks one wire API.
    Dialect,
    /// Reads or changes requests and answers.
    Filter,
    /// Decides where a model runs.
    Placement,
    /// Decides who goes next.
    Scheduling,
}

impl World {
    /// Every world, in the order they are probed.
    pub const ALL: [Self; 4] = [
        Self::Dialect,
        Self::Filter,
        Self::Placement,
        Self::Scheduling,
    ];

    /// The name in `wit/`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dialect => "dialect",
            Self::Filter => "filter",
            Self::Placement => "placement",
            Self::Scheduling => "scheduling",
        }
    }

    /// Strategies are functions of their input: they get neither clock nor randomness.
    #[must_use]
    pub fn is_pure(self) -> bool {
        matches!(self, Self::Placement | Self::Scheduling)
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A grant that a plugin says it needs, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantInfo {
    /// The grant.
    pub grant: Grant,
    /// The plugin author's reason.
    pub reason: String,
}

/// One route of a dialect, as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteInfo {
    /// Upper case.
    pub method: String,
    /// Literal segments, `{name}`, and `{name...}` at the end.
    pub path: String,
    /// Only when the request has this header.
    pub header: Option<String>,
}

/// The header that makes a route a WebSocket: clients send it with that opening request only.
const SOCKET_HEADER: &str = "sec-websocket-key";

impl RouteInfo {
    /// Whether a request to this route opens a WebSocket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.method == "GET" && self.header.as_deref() == Some(SOCKET_HEADER)
    }
}

/// A loaded plugin, described.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginInfo {
    /// The name it gives itself.
    pub name: String,
    /// The name that commands, the configuration and `plugins.lock` know it by: its file's, without
    /// `.wasm`.
    pub installed_as: String,
    /// Its own semantic version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// Its role.
    pub world: World,
    /// The contract version it was built against, as its exports say: `0.1.0`.
    pub contract: String,
    /// The file it came from, or the name given with the bytes.
    pub source: String,
    /// Of the component, in hex.
    pub sha256: String,
    /// Of the component.
    pub size_bytes: u64,
    /// Grants it says it needs, with its reasons.
    pub wants: Vec<WantInfo>,
    /// Host interfaces it really imports.
    pub imports: Vec<String>,
    /// Grants it was given.
    pub grants: Vec<Grant>,
    /// JSON Schema of its settings.
    pub settings_schema: serde_json::Value,
    /// For a dialect.
    pub routes: Vec<RouteInfo>,
    /// For a filter: most bytes of text it may hold back per lane.
    pub max_held_bytes: Option<u32>,
    /// Loading the compiled code: compiling, unless `cached`.
    #[serde(rename = "compile_seconds", serialize_with = "seconds")]
    pub compile_time: Duration,
    /// Whether the compiled code came from the cache.
    pub cached: bool,
    /// Instantiating it and calling `describe` once.
    #[serde(rename = "describe_seconds", serialize_with = "seconds")]
    pub describe_time: Duration,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl PluginInfo {
    /// What it says it wants, loads without, and has not among `grants`: when it asks for that, it is
    /// refused.
    pub fn lacking<'a>(&'a self, grants: &'a [Grant]) -> impl Iterator<Item = &'a WantInfo> {
        let optional = |want: &&WantInfo| want.grant == Grant::ManageModels;
        let wants = self.wants.iter().filter(optional);
        wants.filter(|want| !grants.contains(&want.grant))
    }
}
