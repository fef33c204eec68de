//! What plugins left behind, seen from outside: counted and deleted in the file that nobody serves with.
//!
//! While a host runs it alone has the file, and is asked instead
//! ([`PluginRuntime::stored`](crate::PluginRuntime::stored), [`PluginRuntime::forget`](crate::PluginRuntime::forget)).

use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable};
use serde::{Deserialize, Serialize};

use super::disk::ENTRIES;

/// How much a plugin stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl Stored {
    /// Counts one more.
    pub(super) fn add(&mut self, key: &str, value: usize) {
        self.keys += 1;
        self.bytes += key.len() as u64 + value as u64;
    }

    /// Nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }
}

/// Why the file could not be looked into.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// A running host has it.
    #[error("{} is in use by a running server", .0.display())]
    InUse(PathBuf),
    /// It is damaged, or the system refuses it.
    #[error("{} cannot be read or written: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the database said.
        reason: String,
    },
}

/// Where the plugins of a folder store things: `plugins.kv.redb` beside `plugins`.
#[must_use]
pub fn kv_file_for(folder: &Path) -> PathBuf {
    crate::trust::beside(folder, ".kv.redb")
}

/// What a plugin stored in this file; nothing if there is no file.
///
/// # Errors
/// A running host has it, or it is damaged.
pub fn stored_in(file: &Path, plugin: &str) -> Result<Stored, StoredError> {
    let look = |database: &Database| {
        let read = database.begin_read()?;
        count(&read.open_table(ENTRIES)?, plugin).map(|(stored, _)| stored)
    };
    with(file, look)
}

/// Deletes what a plugin stored in this file, and says how much that was.
///
/// # Errors
/// A running host has it, or it is damaged.
pub fn forget_in(file: &Path, plugin: &str) -> Result<Stored, StoredError> {
    let forget = |database: &Database| {
        let write = database.begin_write()?;
        let stored = {
            let mut table = write.open_table(ENTRIES)?;
            let (stored, keys) = count(&table, plugin)?;
            for key in keys {
                table.remove((plugin, key.as_str()))?;
            }
            stored
        };
        write.commit()?;
        Ok(stored)
    };
    with(file, forget)
}

fn with(
    file: &Path,
    work: impl FnOnce(&Database) -> Result<Stored, redb::Error>,
) -> Result<Stored, StoredError> {
    let failed = |reason: String| StoredError::File {
        path: file.to_owned(),
        reason,
    };
    if !file.exists() {
        return Ok(Stored::default());
    }
    match Database::open(file) {
        Ok(database) => match work(&database) {
            // The file of a host that stopped before it stored anything.
            Err(redb::Error::TableDoesNotExist(_)) => Ok(Stored::default()),
            done => done.map_err(|error| failed(error.to_string())),
        },
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(StoredError::InUse(file.to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// How much is a plugin's, and under which keys.
fn count(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    plugin: &str,
) -> Result<(Stored, Vec<String>), redb::Error> {
    let mut stored = Stored::default();
    let mut keys = Vec::new();
    for entry in table.range((plugin, "")..)? {
        let (at, value) = entry?;
        let (owner, key) = at.value();
        if owner != plugin {
            break;
        }
        stored.add(key, value.value().len());
        keys.push(key.to_owned());
    }
    Ok((stored, keys))
}
