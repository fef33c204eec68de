//! The highest version of each signed plugin that was in force here: `plugins.versions` beside the folder.
//!
//! A signature says who made a file, and says it for ever: of a file that had to be withdrawn too, and under
//! whatever name somebody drops it. What is signed describes itself, so its name and its version are signed
//! with it. The name is compared with the file's, the version with the highest that was in force; what lasts
//! from one start to the next is in this file. It can only make a server refuse something.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::Pin;
use crate::error::PluginError;

/// The layout of the file; another number is another program's.
const LAYOUT: u32 = 1;

const HEADER: &str = "\
# The highest version of each signed plugin that was in force. Written by the server; an older one that is
# dropped is refused.

";

/// Versions by plugin name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenVersions(BTreeMap<String, Version>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    #[serde(default)]
    highest: BTreeMap<String, Version>,
}

impl SeenVersions {
    /// The file of a plugin folder: `plugins.versions` beside `plugins`.
    #[must_use]
    pub fn path_for(folder: &Path) -> PathBuf {
        super::beside(folder, ".versions")
    }

    /// Reads the file; where there is none, nothing was in force.
    ///
    /// # Errors
    /// It cannot be read or is no such file. Nothing may then be concluded about any version.
    pub fn read(path: &Path) -> Result<Self, PluginError> {
        let failed = |reason: String| PluginError::Io {
            path: path.display().to_string(),
            reason,
        };
        let text = match super::read_text(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(|error| failed(error.to_string()))?,
        };
        let text: Text = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
        if text.version != LAYOUT {
            let version = text.version;
            return Err(failed(format!(
                "has version {version}, written by another Atoll"
            )));
        }
        Ok(Self(text.highest))
    }

    /// Notes in the file that this version was in force. It never lowers one, and reads, changes and writes with nobody
    /// else's change between.
    ///
    /// # Errors
    /// The file's, or the system's.
    pub(crate) fn record(path: &Path, name: &str, version: &Version) -> Result<(), PluginError> {
        let failed = |reason: String| PluginError::Io {
            path: path.display().to_string(),
            reason,
        };
        let _held = super::hold(path).map_err(|error| failed(error.to_string()))?;
        let mut seen = Self::read(path)?;
        if !seen.raise(name, version) {
            return Ok(());
        }
        let text = Text {
            version: LAYOUT,
            highest: seen.0,
        };
        let text = toml::to_string(&text).map_err(|error| failed(error.to_string()))?;
        super::write_text(path, HEADER, &text).map_err(|error| failed(error.to_string()))
    }

    /// The highest version of this plugin that was in force.
    #[must_use]
    pub fn highest(&self, name: &str) -> Option<&Version> {
        self.0.get(name)
    }

    /// The version that a plugin had before, by what was accepted of it or by what was in force, if this one is older.
    #[must_use]
    pub fn downgraded_from(&self, name: &str, pin: Option<&Pin>, version: &str) -> Option<Version> {
        let version = Version::parse(version).ok()?;
        let pinned = pin.and_then(|pin| pin.version.as_ref());
        let before = pinned.into_iter().chain(self.highest(name));
        let highest = before.max_by(|a, b| a.cmp_precedence(b))?;
        is_older(&version, highest).then(|| highest.clone())
    }

    /// Takes a version that is in force; says whether it is the highest so far.
    pub(crate) fn raise(&mut self, name: &str, version: &Version) -> bool {
        if self
            .highest(name)
            .is_some_and(|seen| !is_older(seen, version))
        {
            return false;
        }
        self.0.insert(name.to_owned(), version.clone());
        true
    }

    /// What both know.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, version) in &other.0 {
            self.raise(name, version);
        }
    }
}

/// Whether `version` precedes `other`, as [semver 2.0](https://semver.org) orders them: build metadata does not count.
fn is_older(version: &Version, other: &Version) -> bool {
    version.cmp_precedence(other) == Ordering::Less
}

/// Whether a signed file that nobody pinned is what its name says, and no older than what was in force.
///
/// # Errors
/// A sentence with what can be done about it.
pub(crate) fn check_identity(
    file: &str,
    name: &str,
    version: &Version,
    highest: Option<&Version>,
) -> Result<(), String> {
    if file != name {
        return Err(format!(
            "what is signed is the plugin {name}, and not {file}; call it {name}.wasm, or accept it under this name with: atoll plugin update {file}"
        ));
    }
    match highest {
        Some(highest) if is_older(version, highest) => Err(format!(
            "its version {version} is older than {highest}, which was in force here; if that is meant, accept it with: atoll plugin update {file} --allow-downgrade"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_kept_and_never_lowered() {
        let folder = tempfile::tempdir().unwrap();
        let path = SeenVersions::path_for(&folder.path().join("plugins"));
        assert_eq!(path, folder.path().join("plugins.versions"));
        assert_eq!(SeenVersions::read(&path).unwrap(), SeenVersions::default());
        for text in ["1.9.0", "1.10.0", "1.2.0", "1.10.0-rc.1", "1.10.0+again"] {
            SeenVersions::record(&path, "a.b", &version(text)).unwrap();
        }
        SeenVersions::record(&path, "c", &version("0.1.0")).unwrap();
        let seen = SeenVersions::read(&path).unwrap();
        assert_eq!(seen.highest("a.b"), Some(&version("1.10.0")));
        assert_eq!(seen.highest("c"), Some(&version("0.1.0")));
        assert_eq!(seen.highest("a"), None);
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.versions");
        for text in [
            "",
            "version = 2",
            "version = 1\n[highest]\na = \"one\"",
            "version = 1\nmore = 1",
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(SeenVersions::read(&path).is_err(), "{text}");
            assert!(SeenVersions::record(&path, "a", &version("1.0.0")).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_downgrade_is_from_what_was_accepted_or_in_force() {
        let pin = |text: &str| Pin {
            sha256: String::new(),
            version: Some(version(text)),
            grants: Vec::new(),
        };
        let mut seen = SeenVersions::default();
        assert_eq!(seen.downgraded_from("a", None, "1.0.0"), None);
        assert_eq!(
            seen.downgraded_from("a", Some(&pin("1.0.0")), "1.0.0"),
            None
        );
        let from = seen.downgraded_from("a", Some(&pin("1.10.0")), "1.9.0");
        assert_eq!(from, Some(version("1.10.0")));
        seen.raise("a", &version("2.0.0"));
        let from = seen.downgraded_from("a", Some(&pin("1.10.0")), "1.10.0");
        assert_eq!(from, Some(version("2.0.0")));
        assert_eq!(seen.downgraded_from("b", None, "1.0.0"), None);
    }

    #[test]
    fn another_name_and_an_older_version_are_refused_with_the_way_out() {
        let now = version("1.2.0");
        check_identity("a", "a", &now, None).unwrap();
        check_identity("a", "a", &now, Some(&version("1.2.0+build"))).unwrap();
        check_identity("a", "a", &now, Some(&version("1.2.0-rc.1"))).unwrap();
        let older = check_identity("a", "a", &version("1.2.0-rc.1"), Some(&now)).unwrap_err();
        assert!(
            older.contains("atoll plugin update a --allow-downgrade"),
            "{older}"
        );
        let other = check_identity("a", "b", &now, None).unwrap_err();
        assert!(other.contains("call it b.wasm"), "{other}");
    }
}
