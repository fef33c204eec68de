//! What can go wrong with a plugin, as types.
//!
//! Two families. A plugin that never got in is [`PluginError::Rejected`] (or one of its more exact
//! siblings): nothing of it runs. A plugin that is in and misbehaves during a call is a
//! [`PluginFault`]: that call's exchange is over, everybody else's goes on. Both name the plugin, so
//! that whoever reads the line knows whose defect it is. A *typed answer* of a plugin (its own
//! `result::err`) is neither: it is a normal outcome, [`crate::types::Error`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::types;

/// Any failure of this crate.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// A loaded plugin trapped, broke a limit or broke the contract, or may not run now.
    #[error(transparent)]
    Fault(#[from] PluginFault),

    /// The file is not a plugin this host can run.
    #[error("plugin {name:?}: {reason}")]
    Rejected {
        /// The file's name, or the name the plugin gives itself where that is known.
        name: String,
        /// What is wrong and what to do about it.
        reason: String,
    },

    /// The plugin imports host interfaces that it was not granted.
    #[error(
        "plugin {name:?} needs {} that it was not granted: {}; if you trust it with that: atoll plugin grant {name} {}",
        if missing.len() == 1 { "a host interface" } else { "host interfaces" },
        missing.join(", "),
        missing.iter().map(|grant| as_grant(grant)).collect::<Vec<_>>().join(" ")
    )]
    NotGranted {
        /// The file's name.
        name: String,
        /// The grants' names, sorted.
        missing: Vec<String>,
    },

    /// The settings do not match the schema that the plugin describes.
    #[error("plugin {name:?} {version}: settings: {reason}")]
    Settings {
        /// The plugin's own name.
        name: String,
        /// The plugin's own version.
        version: String,
        /// Where the settings are wrong, and how.
        reason: String,
    },

    /// Another plugin already has this name or this route.
    #[error("plugin {name:?} {version}: {reason}")]
    Conflict {
        /// The newcomer's name.
        name: String,
        /// The newcomer's version.
        version: String,
        /// What is taken, and by whom.
        reason: String,
    },

    /// A file could not be read or written.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// The system's own words.
        reason: String,
    },

    /// The WebAssembly engine could not be set up.
    #[error("plugin runtime: {0}")]
    Engine(String),
}

/// A missing grant as `atoll plugin grant` takes it: a network grant names hosts.
fn as_grant(missing: &str) -> &str {
    match missing {
        "http-out" => "http-out:HOST",
        other => other,
    }
}

impl PluginError {
    /// The fault, when this is one.
    #[must_use]
    pub fn fault(&self) -> Option<&PluginFault> {
        match self {
            Self::Fault(fault) => Some(fault),
            _ => None,
        }
    }

    /// The failure as a dialect can say it to a client: `overloaded` where trying again makes sense,
    /// `plugin-fault` otherwise. The message names the plugin but quotes nothing from the request.
    #[must_use]
    pub fn to_canonical(&self) -> types::Error {
        let (kind, retry_after) = match self {
            Self::Fault(fault) => match fault.kind {
                FaultKind::Overloaded => {
                    (types::ErrorKind::Overloaded, Some(Duration::from_secs(1)))
                }
                FaultKind::Suspended { retry_after } => {
                    (types::ErrorKind::Overloaded, Some(retry_after))
                }
                FaultKind::Cancelled => (types::ErrorKind::Cancelled, None),
                _ => (types::ErrorKind::PluginFault, None),
            },
            _ => (types::ErrorKind::Internal, None),
        };
        let message = match self {
            Self::Fault(fault) => format!(
                "plugin {:?} {}: {}",
                fault.plugin, fault.version, fault.kind
            ),
            other => other.to_string(),
        };
        types::Error {
            kind,
            message,
            param: None,
            retry_after_ms: retry_after.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            ext: None,
        }
    }
}

/// One plugin's misbehaviour during one call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin {plugin:?} {version}: {kind}: {message}")]
pub struct PluginFault {
    /// The name it describes itself with (the file's name while it is being described).
    pub plugin: Arc<str>,
    /// The version it describes itself with.
    pub version: Arc<str>,
    /// For code.
    pub kind: FaultKind,
    /// For the operator's log: which call, and what the engine said. May hold text that the plugin
    /// wrote to its standard error, so it goes to logs and not to clients.
    pub message: String,
}

/// What kind of misbehaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// It hit a WebAssembly trap: a panic, `unreachable`, an access out of bounds.
    Trap,
    /// It used up its processor time or its wall-clock time for one call.
    Deadline,
    /// It wanted more memory, tables or instances than it may have.
    Memory,
    /// It returned more bytes than it may.
    Output,
    /// It called the host more often than it may.
    HostCalls,
    /// It recursed too deeply.
    Stack,
    /// It returned something that the contract forbids.
    Contract(Breach),
    /// No room for another instance now. Not the plugin's fault, and not counted against it.
    Overloaded,
    /// It faulted too often lately and is taken out for a while.
    Suspended {
        /// When it will be tried again.
        retry_after: Duration,
    },
    /// An earlier call on this exchange was cancelled half-way, which leaves the instance unusable.
    Cancelled,
}

/// Which rule of the contract was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breach {
    /// The description: name, version, schema, route syntax.
    Descriptor,
    /// A value that is not what its type says: invalid UTF-8, a pointer out of bounds.
    Encoding,
    /// A response status outside 200 to 599.
    Status,
    /// A response header that is malformed or is the host's to set.
    Header,
    /// Events added, removed, duplicated or reordered by a filter.
    EventOrder,
    /// A filter held back or invented more text than it declared.
    HeldBack,
}

impl FaultKind {
    /// Whether the circuit breaker counts it: only what is the plugin's own doing.
    #[must_use]
    pub fn counts_against_plugin(self) -> bool {
        !matches!(
            self,
            Self::Overloaded | Self::Suspended { .. } | Self::Cancelled
        )
    }

    /// A stable word for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::HostCalls => "host-calls",
            Self::Stack => "stack",
            Self::Contract(_) => "contract",
            Self::Overloaded => "overloaded",
            Self::Suspended { .. } => "suspended",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trap => "trapped",
            Self::Deadline => "took longer than it may",
            Self::Memory => "wanted more memory than it may have",
            Self::Output => "returned more than it may",
            Self::HostCalls => "called the host more often than it may",
            Self::Stack => "exhausted its stack",
            Self::Contract(Breach::Descriptor) => "describes itself wrongly",
            Self::Contract(Breach::Encoding) => "returned a malformed value",
            Self::Contract(Breach::Status) => "returned an invalid status",
            Self::Contract(Breach::Header) => "returned an invalid header",
            Self::Contract(Breach::EventOrder) => "changed the structure of the answer",
            Self::Contract(Breach::HeldBack) => "held back or invented too much text",
            Self::Overloaded => "has no room for another request now",
            Self::Suspended { .. } => "is suspended after repeated faults",
            Self::Cancelled => "was cancelled in an earlier call",
        })
    }
}

/// Thrown by host functions and the resource limiter through the guest, and recognised on the other
/// side: a trap of ours that carries its reason.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct LimitHit {
    pub kind: FaultKind,
    pub message: String,
}

impl LimitHit {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// The wall-clock limit of a call passed while the guest, or a host function it called, was waiting.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct TimedOut(pub Duration);

/// Sorts what the engine reports into our kinds.
pub(crate) fn classify(error: &wasmtime::Error) -> (FaultKind, String) {
    let text = || format!("{:#}", error);
    if let Some(hit) = error.downcast_ref::<LimitHit>() {
        return (hit.kind, hit.message.clone());
    }
    if let Some(late) = error.downcast_ref::<TimedOut>() {
        return (FaultKind::Deadline, late.to_string());
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return (FaultKind::Trap, format!("exited with status {}", exit.0));
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return (FaultKind::Overloaded, text());
    }
    if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        use wasmtime::Trap;
        let kind = match trap {
            Trap::Interrupt | Trap::OutOfFuel => FaultKind::Deadline,
            Trap::StackOverflow => FaultKind::Stack,
            Trap::AllocationTooLarge => FaultKind::Memory,
            Trap::StringOutOfBounds
            | Trap::ListOutOfBounds
            | Trap::InvalidDiscriminant
            | Trap::InvalidChar
            | Trap::UnalignedPointer => FaultKind::Contract(Breach::Encoding),
            _ => FaultKind::Trap,
        };
        return (kind, text());
    }
    let text = text();
    // The engine's type for this is private; a test pins the words.
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return (FaultKind::Output, text);
    }
    // What is left without a trap code comes from checking the values that cross: invalid UTF-8,
    // pointers out of bounds, wrong function types, missing exports.
    (FaultKind::Contract(Breach::Encoding), text)
}
