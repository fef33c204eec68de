//! [`ResponseStore`]: answers on disk, bounded in size and age.
//!
//! One embedded database (redb: one file, transactions, no server). A record holds its request's own messages
//! and its answer; a conversation is a chain of records, so that no text is in two places and deleting one
//! record deletes its text. What a database frees stays in its file until overwritten; therefore, once
//! something was removed, [`ResponseStore::tidy`] copies what is left into a new file and puts it in the old
//! one's place.
//!
//! All methods block: call them on a blocking thread.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use redb::backends::InMemoryBackend;
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata as _, TableDefinition,
};

use super::Kept;

/// Records by id, as JSON.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
/// Size of each record in the order of removal.
const BY_AGE: TableDefinition<'_, (u64, &str), u64> = TableDefinition::new("by age");
/// Sums: [`BYTES`], [`REMOVED`].
const SUMS: TableDefinition<'_, &str, u64> = TableDefinition::new("sums");
const BYTES: &str = "bytes";
/// Records removed since the file was last written anew.
const REMOVED: &str = "removed";

/// Longest chain that is followed: far beyond any context, and an end for a chain that loops.
const MAX_CHAIN: usize = 4096;

/// How much is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Most bytes of records; the oldest make room for new ones.
    pub max_bytes: u64,
    /// After this long a record is removed.
    pub max_age: Duration,
}

impl Default for StoreLimits {
    /// 1 GiB, some hundred thousand turns, and the thirty days that the original service keeps answers.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_age: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be opened or written.
    #[error("the response store: {0}; check the disk, and that no other atoll uses the same file")]
    Database(#[source] Box<redb::Error>),
    /// The file cannot be replaced.
    #[error("the response store: {0}")]
    File(#[from] std::io::Error),
    /// A record is larger than everything that may be kept.
    #[error("the answer has {bytes} bytes, more than the response store may hold ({max_bytes})")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// A record cannot be written as JSON.
    #[error("the answer cannot be stored: {0}")]
    Encoding(#[from] serde_json::Error),
}

/// Every kind of failure of the database is one to us.
fn database<E: Into<redb::Error>>(error: E) -> StoreError {
    StoreError::Database(Box::new(error.into()))
}

/// Stored answers.
#[derive(Debug)]
pub struct ResponseStore {
    /// Exclusive only while the file is replaced.
    database: RwLock<Database>,
    /// Where it is; `None` in memory.
    path: Option<PathBuf>,
    limits: StoreLimits,
}

impl ResponseStore {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// It cannot be opened: it is damaged, or another process uses it.
    pub fn open(path: &Path, limits: StoreLimits) -> Result<Self, StoreError> {
        let database = Database::create(path).map_err(database)?;
        private(path)?;
        Self::new(database, Some(path.to_owned()), limits)
    }

    /// A store that is gone with the process.
    ///
    /// # Errors
    /// As the database says.
    pub fn in_memory(limits: StoreLimits) -> Result<Self, StoreError> {
        let database = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .map_err(database)?;
        Self::new(database, None, limits)
    }

    fn new(
        database: Database,
        path: Option<PathBuf>,
        limits: StoreLimits,
    ) -> Result<Self, StoreError> {
        make_tables(&database)?;
        Ok(Self {
            database: RwLock::new(database),
            path,
            limits,
        })
    }

    /// Keeps a record, in place of an earlier one of the same id. The oldest make room.
    ///
    /// # Errors
    /// It does not fit, or cannot be written.
    pub fn put(&self, record: &Kept) -> Result<(), StoreError> {
        let value = serde_json::to_vec(record)?;
        let bytes = value.len() as u64;
        if bytes > self.limits.max_bytes {
            let max_bytes = self.limits.max_bytes;
            return Err(StoreError::TooLarge { bytes, max_bytes });
        }
        let guard = self.read();
        let write = guard.begin_write().map_err(database)?;
        {
            let mut tables = Tables::open(&write)?;
            tables.remove(&record.response.id)?;
            while tables.sum(BYTES)? + bytes > self.limits.max_bytes {
                let Some(oldest) = tables.oldest()? else {
                    break;
                };
                tables.remove(&oldest.1)?;
            }
            tables.insert(record, &value)?;
        }
        write.commit().map_err(database)
    }

    /// The record of that id, if it belongs to `owner`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, owner: Option<&str>, id: &str) -> Result<Option<Kept>, StoreError> {
        let read = self.read().begin_read().map_err(database)?;
        let records = read.open_table(RECORDS).map_err(database)?;
        let Some(value) = records.get(id).map_err(database)? else {
            return Ok(None);
        };
        // A record of an older version that can no longer be read is as good as gone.
        let record: Option<Kept> = serde_json::from_slice(value.value()).ok();
        Ok(record.filter(|record| record.owner.as_deref() == owner))
    }

    /// The record of that id and everything it continues, oldest first; `None` if a link is missing. Records
    /// may also be `beside` the store.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn chain(
        &self,
        owner: Option<&str>,
        id: &str,
        beside: impl Fn(&str) -> Option<Kept>,
    ) -> Result<Option<Vec<Kept>>, StoreError> {
        let mut chain = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next {
            if chain.len() >= MAX_CHAIN {
                return Ok(None);
            }
            let found = match beside(&id) {
                Some(record) => Some(record),
                None => self.get(owner, &id)?,
            };
            let Some(record) = found else {
                return Ok(None);
            };
            next = record.continues().map(str::to_owned);
            chain.push(record);
        }
        chain.reverse();
        Ok(Some(chain))
    }

    /// Removes a record; false if `owner` has none of that id.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn delete(&self, owner: Option<&str>, id: &str) -> Result<bool, StoreError> {
        if self.get(owner, id)?.is_none() {
            return Ok(false);
        }
        let guard = self.read();
        let write = guard.begin_write().map_err(database)?;
        let removed = Tables::open(&write)?.remove(id)?;
        write.commit().map_err(database)?;
        Ok(removed)
    }

    /// Removes what is older than the limit at `now` (Unix seconds), then rids the file of everything that was
    /// removed. Cheap when there is nothing to do.
    ///
    /// # Errors
    /// The database cannot be written, or the file not replaced.
    pub fn tidy(&self, now: u64) -> Result<(), StoreError> {
        let removed = {
            let guard = self.read();
            let write = guard.begin_write().map_err(database)?;
            let removed = {
                let mut tables = Tables::open(&write)?;
                while let Some((created_at, id)) = tables.oldest()? {
                    if created_at.saturating_add(self.limits.max_age.as_secs()) >= now {
                        break;
                    }
                    tables.remove(&id)?;
                }
                tables.sum(REMOVED)?
            };
            write.commit().map_err(database)?;
            removed
        };
        match &self.path {
            Some(path) if removed > 0 => self.rewrite(path),
            _ => Ok(()),
        }
    }

    /// How many records there are.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn len(&self) -> Result<u64, StoreError> {
        let read = self.read().begin_read().map_err(database)?;
        let records = read.open_table(RECORDS).map_err(database)?;
        records.len().map_err(database)
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Database> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies what is left into a new file and puts it in the place of the old one.
    fn rewrite(&self, path: &Path) -> Result<(), StoreError> {
        let mut current = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let fresh_path = path.with_extension("new");
        // Left over from a crash.
        match std::fs::remove_file(&fresh_path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let fresh = Database::create(&fresh_path).map_err(database)?;
        private(&fresh_path)?;
        make_tables(&fresh)?;
        let read = current.begin_read().map_err(database)?;
        let write = fresh.begin_write().map_err(database)?;
        {
            let mut tables = Tables::open(&write)?;
            let records = read.open_table(RECORDS).map_err(database)?;
            for entry in read
                .open_table(BY_AGE)
                .map_err(database)?
                .iter()
                .map_err(database)?
            {
                let (key, _) = entry.map_err(database)?;
                let (created_at, id) = key.value();
                if let Some(value) = records.get(id).map_err(database)? {
                    tables.insert_raw(created_at, id, value.value())?;
                }
            }
        }
        write.commit().map_err(database)?;
        drop(read);
        std::fs::rename(&fresh_path, path)?;
        *current = fresh;
        Ok(())
    }
}

/// Only this user may read what was said.
fn private(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    let _ = path;
    Ok(())
}

fn make_tables(db: &Database) -> Result<(), StoreError> {
    let write = db.begin_write().map_err(database)?;
    Tables::open(&write)?;
    write.commit().map_err(database)
}

/// The tables in one transaction.
struct Tables<'t> {
    records: redb::Table<'t, &'static str, &'static [u8]>,
    by_age: redb::Table<'t, (u64, &'static str), u64>,
    sums: redb::Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    fn open(write: &'t redb::WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            records: write.open_table(RECORDS).map_err(database)?,
            by_age: write.open_table(BY_AGE).map_err(database)?,
            sums: write.open_table(SUMS).map_err(database)?,
        })
    }

    fn sum(&self, name: &str) -> Result<u64, StoreError> {
        let value = self.sums.get(name).map_err(database)?;
        Ok(value.map_or(0, |value| value.value()))
    }

    fn add(&mut self, name: &str, change: i64) -> Result<(), StoreError> {
        let sum = self.sum(name)?.saturating_add_signed(change);
        self.sums.insert(name, sum).map_err(database)?;
        Ok(())
    }

    fn oldest(&self) -> Result<Option<(u64, String)>, StoreError> {
        let first = self.by_age.first().map_err(database)?;
        Ok(first.map(|(key, _)| {
            let (created_at, id) = key.value();
            (created_at, id.to_owned())
        }))
    }

    fn insert(&mut self, record: &Kept, value: &[u8]) -> Result<(), StoreError> {
        self.insert_raw(record.response.created_at, &record.response.id, value)
    }

    fn insert_raw(&mut self, created_at: u64, id: &str, value: &[u8]) -> Result<(), StoreError> {
        let bytes = value.len() as u64;
        self.records.insert(id, value).map_err(database)?;
        self.by_age
            .insert((created_at, id), bytes)
            .map_err(database)?;
        self.add(BYTES, bytes.cast_signed())
    }

    fn remove(&mut self, id: &str) -> Result<bool, StoreError> {
        let (created_at, bytes) = {
            let Some(value) = self.records.remove(id).map_err(database)? else {
                return Ok(false);
            };
            let bytes = value.value().len() as u64;
            // Every record says when it was made, whatever version wrote the rest of it.
            let record: CreatedAt = serde_json::from_slice(value.value())?;
            (record.response.created_at, bytes)
        };
        self.by_age.remove((created_at, id)).map_err(database)?;
        self.add(BYTES, -bytes.cast_signed())?;
        self.add(REMOVED, 1)?;
        Ok(true)
    }
}

/// The part of a record that no version changes.
#[derive(serde::Deserialize)]
struct CreatedAt {
    response: CreatedAtInner,
}

#[derive(serde::Deserialize)]
struct CreatedAtInner {
    created_at: u64,
}

#[cfg(test)]
pub(super) mod tests;
