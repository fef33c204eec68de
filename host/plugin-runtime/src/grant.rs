//! Grants: what a plugin may import.
//!
//! A grant is one host interface. Which ones a component needs is read from its imports before
//! anything of it runs; what was not granted is not linked, so there is nothing to call. WASI imports
//! are not grants: they are linked to an empty world (see [`crate::host`]), because language run-times
//! import them whether used or not. Into that world the grant `files` puts folders.
//!
//! One grant has no interface: `manage-models` is about operations that a dialect asks for, and is
//! looked at when it does (see `crate::manage`). The contract knows it as a name (`other`).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::host::{self, AllowList};
use crate::types;

/// The grant whose name the contract has no case for.
const MANAGE_MODELS: &str = "manage-models";

/// One thing of the host's that a plugin may be given: an interface, or leave to ask for something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Grant {
    /// Write to the host's log.
    Log,
    /// Read the time.
    Clock,
    /// Random bytes.
    Random,
    /// Its own settings.
    Config,
    /// Its own small store.
    Kv,
    /// Tokenize text as a model does.
    Tokenizer,
    /// Counters and histograms on `/metrics`.
    Metrics,
    /// HTTP requests to these hosts, each as `crate::host`'s allow-list reads it: `api.example.com`,
    /// `api.example.com:8443`, `10.0.0.7:80`, `models.lan:8080=10.0.0.7`.
    HttpOut(Vec<String>),
    /// Folders to read, each `NAME=FOLDER`: the name under which the plugin opens it, and the folder of
    /// this machine. What a plugin *wants* has names only.
    Files(Vec<String>),
    /// Ask for models to be downloaded, named, deleted, loaded and unloaded, and say for how long one
    /// stays loaded.
    ManageModels,
    /// A name this version does not know, as a plugin of a later version may want it.
    Other(String),
}

impl Grant {
    /// Everything that stays inside the host: neither network nor files. What the composition root
    /// gives to plugins that ship with the host.
    #[must_use]
    pub fn all_local() -> Vec<Self> {
        vec![
            Self::Log,
            Self::Clock,
            Self::Random,
            Self::Config,
            Self::Kv,
            Self::Tokenizer,
            Self::Metrics,
            Self::ManageModels,
        ]
    }

    /// What any plugin may have without being asked for it: its own settings, the time, randomness,
    /// and lines in the log within a budget. Nothing of it leaves the machine, outlives the request, or
    /// costs the host more than the call. Kept apart are `kv`, which outlives requests, `metrics`,
    /// which others read, `tokenizer`, which costs the host time, the network, files, and managing the
    /// models that everybody uses.
    #[must_use]
    pub fn harmless() -> Vec<Self> {
        vec![Self::Log, Self::Clock, Self::Random, Self::Config]
    }

    /// Whether a host can give this: it is known, its hosts can be read, its folders are there.
    ///
    /// # Errors
    /// A sentence for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        if let Self::Other(name) = self {
            return Err(format!("there is no grant called {name:?}"));
        }
        let alone = std::slice::from_ref(self);
        AllowList::of(alone)?;
        host::folders(alone)?;
        Ok(())
    }

    /// The interface's name in `wit/` (`files` and `manage-models` have none there), which is also the
    /// word in configuration.
    #[must_use]
    pub fn interface(&self) -> &str {
        match self {
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Config => "config",
            Self::Kv => "kv",
            Self::Tokenizer => "tokenizer",
            Self::Metrics => "metrics",
            Self::HttpOut(_) => "http-out",
            Self::Files(_) => "files",
            Self::ManageModels => MANAGE_MODELS,
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HttpOut(list) | Self::Files(list) if !list.is_empty() => {
                write!(f, "{}:{}", self.interface(), list.join(","))
            }
            other => f.write_str(other.interface()),
        }
    }
}

impl FromStr for Grant {
    type Err = std::convert::Infallible;

    /// `log`, `kv`, `http-out:api.example.com,api.example.org:8443`, `files:/lexicon=/srv/lexicon`;
    /// anything else is [`Grant::Other`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let list = |items: &str| {
            items
                .split(',')
                .map(|item| item.trim().to_owned())
                .collect()
        };
        Ok(match text {
            "log" => Self::Log,
            "clock" => Self::Clock,
            "random" => Self::Random,
            "config" => Self::Config,
            "kv" => Self::Kv,
            "tokenizer" => Self::Tokenizer,
            "metrics" => Self::Metrics,
            "http-out" => Self::HttpOut(Vec::new()),
            "files" => Self::Files(Vec::new()),
            MANAGE_MODELS => Self::ManageModels,
            other => match other.split_once(':') {
                Some(("http-out", hosts)) => Self::HttpOut(list(hosts)),
                Some(("files", folders)) => Self::Files(list(folders)),
                _ => Self::Other(other.to_owned()),
            },
        })
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

impl From<String> for Grant {
    fn from(text: String) -> Self {
        match text.parse() {
            Ok(grant) => grant,
            Err(never) => match never {},
        }
    }
}

impl From<types::Grant> for Grant {
    fn from(grant: types::Grant) -> Self {
        match grant {
            types::Grant::Log => Self::Log,
            types::Grant::Clock => Self::Clock,
            types::Grant::Random => Self::Random,
            types::Grant::Config => Self::Config,
            types::Grant::Kv => Self::Kv,
            types::Grant::Tokenizer => Self::Tokenizer,
            types::Grant::Metrics => Self::Metrics,
            types::Grant::HttpOut(hosts) => Self::HttpOut(hosts),
            types::Grant::Files(names) => Self::Files(names),
            types::Grant::Other(name) if name == MANAGE_MODELS => Self::ManageModels,
            types::Grant::Other(name) => Self::Other(name),
        }
    }
}

/// The interfaces that can be linked, as a set small enough to be a cache key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct GrantSet(u8);

impl GrantSet {
    const ORDER: [&'static str; 8] = [
        "log",
        "clock",
        "random",
        "config",
        "kv",
        "tokenizer",
        "metrics",
        "http-out",
    ];

    /// The set of these grants; those that no linker provides are left out.
    pub fn of(grants: &[Grant]) -> Self {
        let mut set = Self::default();
        for grant in grants {
            if let Some(bit) = Self::ORDER
                .iter()
                .position(|name| *name == grant.interface())
            {
                set.0 |= 1 << bit;
            }
        }
        set
    }

    pub fn has(self, interface: &str) -> bool {
        Self::ORDER
            .iter()
            .position(|name| *name == interface)
            .is_some_and(|bit| self.0 & (1 << bit) != 0)
    }
}

/// What a component's imports say about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ImportSummary {
    /// Interfaces of `atoll:plugin` other than `types`, without version: the grants it needs.
    pub interfaces: BTreeSet<String>,
    /// Imports that no version of this host provides.
    pub foreign: Vec<String>,
}

impl ImportSummary {
    /// Sorts import names such as `atoll:plugin/log@0.1.0` and `wasi:io/streams@0.2.6`.
    pub fn read<'a>(imports: impl Iterator<Item = &'a str>) -> Self {
        let mut summary = Self::default();
        for import in imports {
            if let Some(rest) = import.strip_prefix("atoll:plugin/") {
                let interface = rest.split('@').next().unwrap_or(rest);
                // `types` holds types only: nothing to call, nothing to grant.
                if interface != "types" {
                    summary.interfaces.insert(interface.to_owned());
                }
            } else if !import.starts_with("wasi:") || import.starts_with("wasi:http") {
                summary.foreign.push(import.to_owned());
            }
        }
        summary
    }

    /// An import that a function of its input cannot have.
    pub fn beyond_pure(&self) -> Option<&str> {
        let beyond = |name: &&str| !matches!(*name, "log" | "config");
        self.interfaces.iter().map(String::as_str).find(beyond)
    }

    /// The interfaces that `grants` does not cover.
    pub fn missing(&self, grants: &[Grant]) -> Vec<String> {
        self.interfaces
            .iter()
            .filter(|interface| {
                !grants
                    .iter()
                    .any(|grant| grant.interface() == interface.as_str())
            })
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_imports_whatever_their_version() {
        let summary = ImportSummary::read(
            [
                "atoll:plugin/types@0.1.0",
                "atoll:plugin/log@0.1.3",
                "wasi:io/streams@0.2.6",
                "acme:db/sql",
                "wasi:http/types@0.2.0",
            ]
            .into_iter(),
        );
        assert_eq!(summary.interfaces.iter().collect::<Vec<_>>(), ["log"]);
        assert_eq!(summary.foreign, ["acme:db/sql", "wasi:http/types@0.2.0"]);
        assert_eq!(summary.missing(&[]), ["log"]);
        assert!(summary.missing(&[Grant::Log]).is_empty());
    }

    #[test]
    fn grants_survive_their_text_form() {
        for text in [
            "log",
            "http-out",
            "http-out:a.example,b.example:8443",
            "files",
            "files:/a=/srv/a,/b=/srv/b",
            "manage-models",
            "vault",
            "vault:a",
        ] {
            assert_eq!(Grant::from(text.to_owned()).to_string(), text);
        }
        // The contract has no case of its own for it.
        let said = types::Grant::Other("manage-models".to_owned());
        assert_eq!(Grant::from(said), Grant::ManageModels);
    }

    #[test]
    fn grant_sets_differ_only_by_what_can_be_linked() {
        assert_eq!(
            GrantSet::of(&[Grant::Other("vault".into())]),
            GrantSet::default()
        );
        let set = GrantSet::of(&[Grant::Kv, Grant::Log]);
        assert!(set.has("kv") && set.has("log") && !set.has("clock"));
    }
}
