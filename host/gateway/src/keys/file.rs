//! The keys on disk: one small JSON file that only its owner can read.
//!
//! Every change writes a new file beside the old one and renames it over, so that a reader sees the one
//! or the other, and a full disk loses nothing. Two commands at once take turns over a lock file. A file
//! that others may write to is refused: whoever can write it can give himself a key.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::GatewayError;

/// Largest file read: some ten thousand keys.
const MAX_BYTES: u64 = 4 << 20;

/// Longest name of a key. Names appear in metrics and logs.
const MAX_NAME: usize = 64;

/// What a key begins with, so that scanners for leaked secrets can find it.
const PREFIX: &str = "sk-atoll-";

/// How much a key may use; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyLimits {
    /// Requests in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens of prompts and answers in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// Requests under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
}

/// What is wanted of a new key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewKey {
    /// What people, filters and metrics call it.
    pub name: String,
    /// Whether it may see and change what belongs to the host.
    pub admin: bool,
    /// Models it may use, `*` for any run of characters; empty means all.
    pub models: Vec<String>,
    /// When it stops working, in Unix seconds.
    pub expires: Option<u64>,
    /// How much it may use.
    pub limits: KeyLimits,
}

/// A key as it is kept; the key itself is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// What people, filters and metrics call it. Unique.
    pub name: String,
    /// SHA-256 of the key.
    #[serde(with = "hex::serde")]
    pub sha256: [u8; 32],
    /// When it was made, in Unix seconds.
    pub created: u64,
    /// When it stops working, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Whether it may see and change what belongs to the host.
    #[serde(default)]
    pub admin: bool,
    /// Models it may use, `*` for any run of characters; empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// How much it may use.
    #[serde(default)]
    pub limits: KeyLimits,
}

impl KeyRecord {
    /// Whether it has not expired.
    #[must_use]
    pub fn works_at(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    keys: Vec<KeyRecord>,
}

/// The version this host writes and reads.
const VERSION: u32 = 1;

/// See the [module documentation](self).
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at this path; it need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every key, in the order they were made; none if there is no file.
    ///
    /// # Errors
    /// The file cannot be read, is not ours, or others may write to it.
    pub fn read(&self) -> Result<Vec<KeyRecord>, GatewayError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed(&error)),
        };
        let metadata = file.metadata().map_err(|error| self.failed(&error))?;
        if metadata.len() > MAX_BYTES {
            return Err(self.failed(&"it is larger than any list of keys"));
        }
        if others_may_write(&metadata) {
            let advice = format!(
                "others may write to it; run: chmod 600 {}",
                self.path.display()
            );
            return Err(self.failed(&advice));
        }
        let content: Content = serde_json::from_reader(io::BufReader::new(file))
            .map_err(|error| self.failed(&error))?;
        if content.version != VERSION {
            let version = content.version;
            return Err(self.failed(&format!(
                "it has version {version}, this host knows {VERSION}"
            )));
        }
        Ok(content.keys)
    }

    /// Makes a key and returns it: the only time that it is seen.
    ///
    /// # Errors
    /// The name is taken or unfit, or the file cannot be written.
    pub fn create(&self, new: NewKey, now: u64) -> Result<String, GatewayError> {
        let name = new.name;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
            return Err(GatewayError::KeyName { name });
        }
        let _turn = self.lock()?;
        let mut keys = self.read()?;
        if keys.iter().any(|key| key.name == name) {
            return Err(GatewayError::KeyExists { name });
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| self.failed(&error))?;
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        keys.push(KeyRecord {
            name,
            sha256: digest(&key),
            created: now,
            expires: new.expires,
            admin: new.admin,
            models: new.models,
            limits: new.limits,
        });
        self.write(keys)?;
        Ok(key)
    }

    /// Forgets a key; running servers notice within a second or two.
    ///
    /// # Errors
    /// There is none of that name, or the file cannot be written.
    pub fn revoke(&self, name: &str) -> Result<(), GatewayError> {
        let _turn = self.lock()?;
        let mut keys = self.read()?;
        let before = keys.len();
        keys.retain(|key| key.name != name);
        if keys.len() == before {
            return Err(GatewayError::NoKey {
                name: name.to_owned(),
            });
        }
        self.write(keys)
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Waits for other commands; its turn ends when the file is dropped.
    fn lock(&self) -> Result<File, GatewayError> {
        fs::create_dir_all(self.folder()).map_err(|error| self.failed(&error))?;
        let lock = File::create(self.path.with_extension("lock"));
        let lock = lock.map_err(|error| self.failed(&error))?;
        lock.lock().map_err(|error| self.failed(&error))?;
        Ok(lock)
    }

    fn write(&self, keys: Vec<KeyRecord>) -> Result<(), GatewayError> {
        let content = Content {
            version: VERSION,
            keys,
        };
        let attempt = || -> io::Result<()> {
            // Made with mode 0600, and removed if anything below fails.
            let mut file = tempfile::NamedTempFile::new_in(self.folder())?;
            serde_json::to_writer_pretty(&mut file, &content)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        attempt().map_err(|error| self.failed(&error))
    }

    fn failed(&self, reason: &dyn std::fmt::Display) -> GatewayError {
        GatewayError::KeyFile {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }
}

/// What is kept of a key.
pub(super) fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(unix)]
fn others_may_write(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o022 != 0
}

#[cfg(not(unix))]
fn others_may_write(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> NewKey {
        NewKey {
            name: name.to_owned(),
            ..NewKey::default()
        }
    }

    #[test]
    fn a_key_is_shown_once_and_kept_as_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("deep/keys.json"));
        assert!(file.read().unwrap().is_empty());
        let limits = KeyLimits {
            concurrent: Some(2),
            ..KeyLimits::default()
        };
        let new = NewKey {
            models: vec!["qwen*".to_owned()],
            expires: Some(9),
            limits,
            ..named("ci")
        };
        let key = file.create(new, 5).unwrap();
        let other = file.create(named("laptop"), 6).unwrap();
        assert!(
            key.starts_with("sk-atoll-") && key.len() == 9 + 43 && key != other,
            "{key}"
        );

        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains(&key) && !text.contains(&key[9..]), "{text}");
        let keys = file.read().unwrap();
        assert_eq!(keys[0].sha256, digest(&key));
        assert_eq!((keys[0].created, keys[0].limits), (5, limits));
        assert!(keys[0].works_at(8) && !keys[0].works_at(9));
        assert_eq!(keys[1].name, "laptop");
    }

    #[test]
    fn names_are_unique_and_plain_and_revoking_frees_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("keys.json"));
        file.create(named("ci"), 1).unwrap();
        let taken = file.create(named("ci"), 1).unwrap_err();
        assert!(matches!(taken, GatewayError::KeyExists { .. }), "{taken}");
        for odd in ["", "a b", "a\n", "é", &"x".repeat(65)] {
            let error = file.create(named(odd), 1).unwrap_err();
            assert!(matches!(error, GatewayError::KeyName { .. }), "{error}");
        }
        file.revoke("ci").unwrap();
        let gone = file.revoke("ci").unwrap_err();
        assert!(matches!(gone, GatewayError::NoKey { .. }), "{gone}");
        file.create(named("ci"), 2).unwrap();
        assert_eq!(file.read().unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it_and_nobody_else_may_have_written_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("keys.json"));
        file.create(named("ci"), 1).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file.path()), 0o600);
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o666)).unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn what_is_no_list_of_keys_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("keys.json"));
        for text in [
            "",
            "[]",
            "{\"version\": 2, \"keys\": []}",
            "{\"version\": 1}",
        ] {
            fs::write(file.path(), text).unwrap();
            assert!(file.read().is_err(), "{text}");
            assert!(file.create(named("ci"), 1).is_err(), "{text}");
            assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
        }
    }

    #[test]
    fn commands_at_once_lose_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("keys.json"));
        std::thread::scope(|scope| {
            for index in 0..8 {
                let file = &file;
                scope.spawn(move || file.create(named(&format!("k{index}")), 1).unwrap());
            }
        });
        assert_eq!(file.read().unwrap().len(), 8);
    }
}
