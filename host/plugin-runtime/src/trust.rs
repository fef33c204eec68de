//! Who may do what: `plugins.lock`, and the decision about one file. Pure but for reading and writing
//! the lock file.
//!
//! Three kinds of plugin. What ships inside the binary is trusted with everything that stays on the
//! machine. A file that the operator *pinned* (`atoll plugin add`) is bound to its SHA-256 and has
//! the grants that were accepted with it; changed by one byte, it is refused. A file that was merely
//! *dropped* may have what [`Grant::harmless`] lists and nothing else, so that replacing it gives
//! nobody more than dropping another would.
//!
//! The lock file lies beside the plugin folder, not in it: who may drop files may not accept them.

mod versions;

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::error::PluginError;
use crate::grant::Grant;
use crate::info::PluginInfo;

pub use self::versions::SeenVersions;
pub(crate) use self::versions::check_identity;

/// The layout of the lock file; another number is another program's.
const VERSION: u32 = 1;
/// A few hundred entries; anything larger is not ours.
const MAX_LOCK_BYTES: u64 = 1 << 20;

const HEADER: &str = "\
# What each plugin of the folder beside this file may be and do. Written by `atoll plugin add`, `grant`,
# `update` and `remove`; a file that does not have its SHA-256 here is refused.

";

/// What the operator accepted of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Of the component, in lower-case hex.
    pub sha256: String,
    /// What it says its version is. None where an earlier Atoll wrote the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Host interfaces it may import, beyond the harmless ones.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

impl Pin {
    /// Accepts this very component.
    #[must_use]
    pub fn of(info: &PluginInfo, grants: Vec<Grant>) -> Self {
        Self {
            sha256: info.sha256.clone(),
            version: Version::parse(&info.version).ok(),
            grants,
        }
    }
}

/// The lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginsLock {
    pins: BTreeMap<String, Pin>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockText {
    version: u32,
    #[serde(default)]
    plugin: BTreeMap<String, Pin>,
}

/// A file of a plugin folder, beside it: it has the folder's name, and `ending`.
pub(crate) fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or("plugins".as_ref()).to_owned();
    name.push(ending);
    folder.with_file_name(name)
}

impl PluginsLock {
    /// The lock file of a plugin folder: `plugins.lock` beside `plugins`.
    #[must_use]
    pub fn path_for(folder: &Path) -> PathBuf {
        beside(folder, ".lock")
    }

    /// Reads a lock file; one that does not exist pins nothing.
    ///
    /// # Errors
    /// It cannot be read or is no lock file. Nothing may then be concluded about any file.
    pub fn read(path: &Path) -> Result<Self, PluginError> {
        let failed = |reason: String| PluginError::Io {
            path: path.display().to_string(),
            reason,
        };
        let text = match read_text(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(|error| failed(error.to_string()))?,
        };
        Self::parse(&text).map_err(failed)
    }

    /// Reads a lock file, changes it and writes it, with nobody else's change between the two: of two commands
    /// at once neither undoes what the other revoked.
    ///
    /// # Errors
    /// Those of `change`, after which nothing is written, and of reading and writing.
    pub fn edit<T, E: From<PluginError>>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let _held = hold(path).map_err(|error| PluginError::Io {
            path: folder_of(path).display().to_string(),
            reason: error.to_string(),
        })?;
        let mut lock = Self::read(path)?;
        let changed = change(&mut lock)?;
        lock.write(path)?;
        Ok(changed)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lock: LockText = toml::from_str(text).map_err(|error| error.to_string())?;
        if lock.version != VERSION {
            let version = lock.version;
            return Err(format!("has version {version}, written by another Atoll"));
        }
        Ok(Self { pins: lock.plugin })
    }

    /// Writes the lock file, whole or not at all.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, path: &Path) -> Result<(), PluginError> {
        self.write_file(path).map_err(|reason| PluginError::Io {
            path: path.display().to_string(),
            reason,
        })
    }

    fn write_file(&self, path: &Path) -> Result<(), String> {
        let lock = LockText {
            version: VERSION,
            plugin: self.pins.clone(),
        };
        let text = toml::to_string(&lock).map_err(|error| error.to_string())?;
        write_text(path, HEADER, &text).map_err(|error| error.to_string())
    }

    /// What was accepted of that plugin.
    #[must_use]
    pub fn pin(&self, name: &str) -> Option<&Pin> {
        self.pins.get(name)
    }

    /// Accepts a plugin as it is.
    pub fn set(&mut self, name: &str, pin: Pin) {
        self.pins.insert(name.to_owned(), pin);
    }

    /// Forgets a plugin; says whether it was pinned.
    pub fn remove(&mut self, name: &str) -> bool {
        self.pins.remove(name).is_some()
    }
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Keeps others from changing what lies beside `path`, until what it gives is dropped. The folder is locked and not
/// the file, which is replaced each time. Where a folder cannot be locked (some network file systems), two at once are
/// as they would be without.
fn hold(path: &Path) -> io::Result<Option<std::fs::File>> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    let held = std::fs::File::open(folder).ok();
    Ok(held.filter(|folder| folder.lock().is_ok()))
}

/// Writes beside the final name, syncs, then renames, so that a crash leaves the old file or the new one.
fn write_text(path: &Path, header: &str, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // Nothing in it is secret, and the server may be another user.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.prefix(".plugins-lock-").tempfile_in(folder)?;
    file.write_all(header.as_bytes())?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The text of a lock file: a regular file, and never more of it than a lock file has, whatever it becomes
/// meanwhile.
fn read_text(path: &Path) -> io::Result<String> {
    let no_lock = || io::Error::other("is not a lock file");
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(no_lock());
    }
    let file = std::fs::File::open(path)?;
    let mut text = String::new();
    file.take(MAX_LOCK_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LOCK_BYTES {
        return Err(no_lock());
    }
    Ok(text)
}

/// How files of the folder come to be trusted.
#[derive(Debug, Clone, Default)]
pub struct TrustOptions {
    /// The lock file; none pins nothing.
    pub lock: Option<PathBuf>,
    /// Minisign public keys (the line that starts with `RW`). If there are any, every file needs a
    /// signature of one of them.
    pub keys: Vec<String>,
    /// Where the highest versions of signed plugins are kept ([`SeenVersions`]); looked at where there are keys. Only a
    /// library that [records](crate::Library::recording) writes it.
    pub versions: Option<PathBuf>,
    /// Refuse files that are not pinned.
    pub pinned_only: bool,
}

/// How a plugin came to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Standing {
    /// It ships inside the binary.
    Bundled,
    /// The operator accepted exactly this file.
    Pinned,
    /// It was put into the folder.
    Dropped,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bundled => "bundled",
            Self::Pinned => "pinned",
            Self::Dropped => "dropped",
        })
    }
}

/// Decides about one file: its standing and its grants, beyond those the configuration gives.
///
/// # Errors
/// A sentence with the command that would accept the file.
pub(crate) fn decide(
    name: &str,
    sha256: &str,
    pin: Option<&Pin>,
    pinned_only: bool,
) -> Result<(Standing, Vec<Grant>), String> {
    let mut grants = Grant::harmless();
    match pin {
        Some(pin) if pin.sha256 == sha256 => {
            grants.extend(pin.grants.iter().cloned());
            Ok((Standing::Pinned, grants))
        }
        Some(_) => Err(format!(
            "the file is not the one that was accepted (its SHA-256 is now {sha256}); if you know why it changed, accept it with: atoll plugin update {name}"
        )),
        None if pinned_only => Err(format!(
            "only accepted plugins are used here; accept it with: atoll plugin update {name}"
        )),
        None => Ok((Standing::Dropped, grants)),
    }
}

/// Keys whose signatures count.
#[derive(Default)]
pub(crate) struct Keys(Vec<PublicKey>);

impl Keys {
    /// Whether every file needs a signature.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Parses the configuration's keys.
    ///
    /// # Errors
    /// The one that is no key.
    pub fn parse(keys: &[String]) -> Result<Self, PluginError> {
        let parse = |key: &String| {
            PublicKey::from_base64(key.trim()).map_err(|_| {
                PluginError::Engine(format!(
                    "{key:?} is no minisign public key; take the second line of the .pub file"
                ))
            })
        };
        keys.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `signature` is one of ours over `wasm`; without keys everything passes.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self, name: &str, wasm: &[u8], signature: Option<&str>) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Some(signature) = signature else {
            return Err(format!(
                "it is not signed, and the configuration has trusted keys; put the signature beside it as {name}.wasm.minisig"
            ));
        };
        let signature = Signature::decode(signature)
            .map_err(|_| format!("{name}.wasm.minisig is no minisign signature"))?;
        let good = |key: &PublicKey| key.verify(wasm, &signature, false).is_ok();
        if self.0.iter().any(good) {
            Ok(())
        } else {
            Err("its signature is not by a trusted key, or not for this file".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(sha256: &str, grants: &[&str]) -> Pin {
        let grants = grants
            .iter()
            .map(|g| Grant::from((*g).to_owned()))
            .collect();
        Pin {
            sha256: sha256.to_owned(),
            version: Some(Version::new(1, 2, 3)),
            grants,
        }
    }

    #[test]
    fn a_dropped_file_has_what_harms_nobody() {
        let (standing, grants) = decide("a", "00", None, false).unwrap();
        assert_eq!((standing, grants), (Standing::Dropped, Grant::harmless()));
        for grant in [Grant::Kv, Grant::Metrics, Grant::Tokenizer] {
            assert!(!Grant::harmless().contains(&grant), "{grant}");
        }
    }

    #[test]
    fn a_pinned_file_has_what_was_accepted_and_only_as_it_was() {
        let pin = pin("00", &["kv"]);
        let (standing, grants) = decide("a", "00", Some(&pin), true).unwrap();
        assert_eq!(standing, Standing::Pinned);
        assert!(grants.contains(&Grant::Kv));
        let refused = decide("a", "01", Some(&pin), false).unwrap_err();
        assert!(refused.contains("atoll plugin update a"), "{refused}");
    }

    #[test]
    fn dropping_can_be_turned_off() {
        let refused = decide("a", "00", None, true).unwrap_err();
        assert!(refused.contains("atoll plugin update a"), "{refused}");
    }

    #[test]
    fn a_lock_file_survives_a_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = PluginsLock::path_for(&folder.path().join("plugins"));
        assert_eq!(path, folder.path().join("plugins.lock"));
        assert_eq!(PluginsLock::read(&path).unwrap(), PluginsLock::default());
        // As an earlier Atoll wrote it.
        let earlier = "version = 1\n[plugin.a]\nsha256 = '0'\ngrants = ['kv']";
        assert_eq!(
            PluginsLock::parse(earlier)
                .unwrap()
                .pin("a")
                .unwrap()
                .version,
            None
        );
        let mut lock = PluginsLock::default();
        lock.set("a.b", pin("00", &["kv", "http-out:a.example,b.example:1"]));
        lock.set("c", pin("01", &[]));
        lock.write(&path).unwrap();
        assert_eq!(PluginsLock::read(&path).unwrap(), lock);
        assert!(lock.remove("c") && !lock.remove("c"));
        assert_eq!(lock.pin("c"), None);
    }

    #[test]
    fn edits_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.lock");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for turn in 0..10 {
                        let name = format!("p{thread}-{turn}");
                        PluginsLock::edit(path, |lock| {
                            lock.set(&name, pin("00", &["kv"]));
                            Ok::<(), PluginError>(())
                        })
                        .unwrap();
                    }
                });
            }
        });
        assert_eq!(PluginsLock::read(&path).unwrap().pins.len(), 40);
        let failed = PluginsLock::edit(&path, |lock| {
            lock.remove("p0-0");
            Err::<(), _>(PluginError::Engine("no".to_owned()))
        });
        assert!(failed.is_err());
        assert_eq!(PluginsLock::read(&path).unwrap().pins.len(), 40);
    }

    /// Whoever may put something there cannot make the server read for ever.
    #[test]
    fn what_is_no_lock_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.lock");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(MAX_LOCK_BYTES + 1).unwrap();
        assert!(PluginsLock::read(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(PluginsLock::read(&path).is_err());
    }

    /// A lock file that is misread pins nothing: better to stop than to guess.
    #[test]
    fn a_damaged_lock_file_is_an_error() {
        for text in [
            "version = 2",
            "version = 1\n[plugin.a]\nsha256 = 3",
            "version = 1\n[plugin.a]\nsha256 = '0'\nsha257 = ''",
            "",
        ] {
            assert!(PluginsLock::parse(text).is_err(), "{text}");
        }
    }

    // The test vector of the minisign documentation.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const OTHER: &str = "RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaV";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    #[test]
    fn with_trusted_keys_only_their_signatures_count() {
        let keys = Keys::parse(&[OTHER.to_owned(), KEY.to_owned()]).unwrap();
        keys.check("a", b"test", Some(SIGNATURE)).unwrap();
        let others = Keys::parse(&[OTHER.to_owned()]).unwrap();
        for (keys, wasm, signature) in [
            (&keys, &b"tesT"[..], Some(SIGNATURE)),
            (&keys, b"test", Some("nonsense")),
            (&keys, b"test", None),
            (&others, b"test", Some(SIGNATURE)),
        ] {
            assert!(keys.check("a", wasm, signature).is_err());
        }
        Keys::default().check("a", b"test", None).unwrap();
        assert!(Keys::parse(&["RWnot".to_owned()]).is_err());
    }
}
