//! Where `kv` is kept between two runs of the host: one embedded database for all plugins.
//!
//! Entries are by plugin and key, so one plugin's are a range that no other's name or key reaches into.
//! Stores are read whole when a plugin is first loaded, and after that only written: a thread takes what
//! changed since the last time from all stores and commits it in one transaction, at most ten times a
//! second. A crash loses what was set since, and never leaves half a transaction. When the disk fails,
//! the stores go on in memory, and what was not written is tried again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{KvStore, Stored};
use crate::options::KvLimits;

/// Plugin and key to value.
pub(super) const ENTRIES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("kv");
/// How long changes are gathered: a tenth of a second of counting costs one write.
const GATHER: Duration = Duration::from_millis(100);
/// How long after a failed write the next is tried.
const RETRY: Duration = Duration::from_secs(5);

/// The database and the thread that writes it.
pub(crate) struct KvDisk {
    shared: Arc<Shared>,
    limits: KvLimits,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    database: Database,
    bell: Arc<Bell>,
    /// By plugin. Kept to the end if anything is in one, so that nothing set is forgotten.
    stores: Mutex<BTreeMap<String, Arc<KvStore>>>,
}

/// How a store says that something changed.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct BellState {
    changed: bool,
    closing: bool,
}

impl Bell {
    pub fn ring(&self) {
        self.set(|state| state.changed = true);
    }

    fn close(&self) {
        self.set(|state| state.closing = true);
    }

    fn set(&self, change: impl FnOnce(&mut BellState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *state;
        change(&mut state);
        if before.changed != state.changed || before.closing != state.closing {
            self.rung.notify_all();
        }
    }

    /// Waits for a change, and then `gather` for more. Returns whether this was the last time.
    fn wait(&self, gather: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self
            .rung
            .wait_while(state, |state| !state.changed && !state.closing)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .rung
            .wait_timeout_while(state, gather, |state| !state.closing)
            .unwrap_or_else(PoisonError::into_inner);
        state.changed = false;
        state.closing
    }
}

impl KvDisk {
    /// Opens or makes the database, and starts the thread.
    pub fn open(path: &Path, limits: KvLimits) -> Result<Self, String> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        let database = Database::create(path).map_err(|error| error.to_string())?;
        private(path).map_err(|error| error.to_string())?;
        // The table has to be there before it can be read.
        let write = database.begin_write().map_err(|error| error.to_string())?;
        write
            .open_table(ENTRIES)
            .map_err(|error| error.to_string())?;
        write.commit().map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            database,
            bell: Arc::default(),
            stores: Mutex::default(),
        });
        let writing = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("plugin-kv".into())
            .spawn(move || writing.write_until_closed())
            .map_err(|error| error.to_string())?;
        Ok(Self {
            shared,
            limits,
            writer: Some(writer),
        })
    }

    /// The store of that plugin, with what it held when the last process ended. One that cannot be
    /// read is empty, which is said: the plugin works, and starts anew.
    pub fn open_store(&self, plugin: &str) -> Arc<KvStore> {
        let mut stores = self.shared.stores();
        if let Some(store) = stores.get(plugin) {
            return Arc::clone(store);
        }
        // Of a plugin that is gone and left nothing.
        stores.retain(|_, store| Arc::strong_count(store) > 1 || !store.is_empty());
        let entries = self.shared.read(plugin).unwrap_or_else(|error| {
            tracing::error!(plugin, %error, "what the plugin stored cannot be read");
            BTreeMap::new()
        });
        let bell = Arc::clone(&self.shared.bell);
        let store = Arc::new(KvStore::kept(self.limits, entries, bell));
        stores.insert(plugin.to_owned(), Arc::clone(&store));
        store
    }

    /// How much each plugin has stored, by name; those that stored nothing are left out.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn stored(&self) -> Result<BTreeMap<String, Stored>, redb::Error> {
        // What is open is newer than what is written.
        let stores = self.shared.stores().clone();
        let read = self.shared.database.begin_read()?;
        let table = read.open_table(ENTRIES)?;
        let mut all: BTreeMap<String, Stored> = BTreeMap::new();
        for entry in table.iter()? {
            let (at, value) = entry?;
            let (owner, key) = at.value();
            if !stores.contains_key(owner) {
                let stored = all.entry(owner.to_owned()).or_default();
                stored.add(key, value.value().len());
            }
        }
        all.extend(
            stores
                .into_iter()
                .map(|(plugin, store)| (plugin, store.amount())),
        );
        all.retain(|_, stored| !stored.is_empty());
        Ok(all)
    }
}

impl Drop for KvDisk {
    fn drop(&mut self) {
        self.shared.bell.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes what plugins store had died");
        }
    }
}

impl Shared {
    fn stores(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<KvStore>>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, plugin: &str) -> Result<BTreeMap<String, Vec<u8>>, redb::Error> {
        let read = self.database.begin_read()?;
        let table = read.open_table(ENTRIES)?;
        let mut entries = BTreeMap::new();
        for entry in table.range((plugin, "")..)? {
            let (key, value) = entry?;
            let (owner, key) = key.value();
            if owner != plugin {
                break;
            }
            entries.insert(key.to_owned(), value.value().to_vec());
        }
        Ok(entries)
    }

    fn write_until_closed(&self) {
        let mut gather = GATHER;
        loop {
            let last = self.bell.wait(gather);
            gather = match self.write() {
                Ok(()) => GATHER,
                Err(error) => {
                    tracing::error!(%error, "what plugins store cannot be written; trying again");
                    self.bell.ring();
                    RETRY
                }
            };
            if last {
                return;
            }
        }
    }

    /// Writes what changed, all of it or nothing.
    fn write(&self) -> Result<(), redb::Error> {
        let stores = self.stores().clone();
        let taken: Vec<_> = stores
            .iter()
            .map(|(plugin, store)| (plugin, store, store.take_unwritten()))
            .filter(|(_, _, changes)| !changes.is_empty())
            .collect();
        let outcome =
            self.commit(taken.iter().flat_map(|(plugin, _, changes)| {
                changes.iter().map(move |c| (plugin.as_str(), c))
            }));
        if outcome.is_err() {
            for (_, store, changes) in taken {
                store.put_back(changes.into_iter().map(|(key, _)| key));
            }
        }
        outcome
    }

    fn commit<'a>(
        &self,
        changes: impl Iterator<Item = (&'a str, &'a (String, Option<Vec<u8>>))>,
    ) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(ENTRIES)?;
            for (plugin, (key, value)) in changes {
                let at = (plugin, key.as_str());
                match value {
                    Some(value) => table.insert(at, value.as_slice())?,
                    None => table.remove(at)?,
                };
            }
        }
        write.commit()?;
        Ok(())
    }
}

/// It may hold what people wrote.
fn private(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{StoredError, forget_in, stored_in};
    use super::*;

    const LIMITS: KvLimits = KvLimits {
        keys: 100,
        key_bytes: 16,
        value_bytes: 16,
        total_bytes: 1000,
    };

    fn open(path: &Path) -> KvDisk {
        KvDisk::open(path, LIMITS).unwrap()
    }

    #[test]
    fn what_was_set_is_there_after_a_restart() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("below/kv.redb");
        {
            let disk = open(&path);
            let store = disk.open_store("a");
            store.set("kept".into(), b"1".to_vec()).unwrap();
            store.set("changed".into(), b"1".to_vec()).unwrap();
            store.set("gone".into(), b"1".to_vec()).unwrap();
        }
        {
            let disk = open(&path);
            let store = disk.open_store("a");
            store.set("changed".into(), b"2".to_vec()).unwrap();
            store.delete("gone").unwrap();
            // What is written before the end is not written again.
            disk.shared.write().unwrap();
            assert!(store.take_unwritten().is_empty());
        }
        let disk = open(&path);
        let store = disk.open_store("a");
        assert_eq!(store.keys("", 10), ["changed", "kept"]);
        assert_eq!(store.get("changed").as_deref(), Some(&b"2"[..]));
    }

    /// Names that are prefixes of each other, and keys that look like names.
    #[test]
    fn plugins_do_not_see_each_other() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("kv.redb");
        let names = ["a", "ab", "a-b", "b"];
        {
            let disk = open(&path);
            for name in names {
                let store = disk.open_store(name);
                store.set(format!("of {name}"), vec![]).unwrap();
                store.set("b".into(), vec![]).unwrap();
            }
        }
        let disk = open(&path);
        for name in names {
            let store = disk.open_store(name);
            assert_eq!(store.keys("", 10), ["b".to_owned(), format!("of {name}")]);
        }
    }

    /// By a host that never loaded the plugin since it started, by one that did, and by a command when no host runs.
    #[test]
    fn what_a_plugin_left_is_counted_and_deleted_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("kv.redb");
        let names = ["a", "ab", "b"];
        assert!(stored_in(&path, "a").unwrap().is_empty());
        {
            let disk = open(&path);
            for name in names {
                disk.open_store(name).set("k".into(), vec![0; 9]).unwrap();
            }
            assert!(matches!(stored_in(&path, "a"), Err(StoredError::InUse(_))));
            assert!(matches!(forget_in(&path, "a"), Err(StoredError::InUse(_))));
        }
        let one = Stored { keys: 1, bytes: 10 };
        let all = |disk: &KvDisk| disk.stored().unwrap().into_iter().collect::<Vec<_>>();
        {
            let disk = open(&path);
            disk.open_store("a").set("new".into(), vec![]).unwrap();
            let two = Stored { keys: 2, bytes: 13 };
            let expected = [("a", two), ("ab", one), ("b", one)];
            assert_eq!(all(&disk), expected.map(|(name, s)| (name.to_owned(), s)));
            assert_eq!(disk.open_store("a").clear(), two);
            assert_eq!(disk.open_store("b").clear(), one);
            assert_eq!(all(&disk), [("ab".to_owned(), one)]);
        }
        assert!(stored_in(&path, "a").unwrap().is_empty());
        assert_eq!(forget_in(&path, "a").unwrap(), Stored::default());
        assert_eq!(stored_in(&path, "ab").unwrap(), one);
        assert_eq!(forget_in(&path, "ab").unwrap(), one);
        assert!(all(&open(&path)).is_empty());
    }

    /// What is read back counts against the quota like what is set.
    #[test]
    fn the_quota_holds_across_restarts() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("kv.redb");
        let small = KvLimits {
            total_bytes: 20,
            ..LIMITS
        };
        {
            let disk = KvDisk::open(&path, small).unwrap();
            disk.open_store("a").set("k".into(), vec![0; 10]).unwrap();
        }
        let disk = KvDisk::open(&path, small).unwrap();
        let store = disk.open_store("a");
        let refused = store.set("l".into(), vec![0; 10]).unwrap_err();
        assert_eq!(refused.kind, crate::types::ErrorKind::TooLarge);
        store.set("k".into(), vec![0; 16]).unwrap();
    }

    #[test]
    fn a_plugin_faster_than_the_disk_is_told() {
        let bell = Arc::new(Bell::default());
        let store = KvStore::kept(LIMITS, BTreeMap::new(), bell);
        let mut told = None;
        for n in 0..=super::super::MAX_UNWRITTEN {
            let key = n.to_string();
            told = store.set(key.clone(), vec![]).err();
            if told.is_some() {
                break;
            }
            store.delete(&key).unwrap();
        }
        assert_eq!(told.unwrap().kind, crate::types::ErrorKind::Overloaded);
        assert_eq!(store.take_unwritten().len(), super::super::MAX_UNWRITTEN);
        store.set("again".into(), vec![]).unwrap();
    }

    #[test]
    fn one_process_at_a_time_and_a_damaged_file_is_said() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("kv.redb");
        let _first = open(&path);
        assert!(KvDisk::open(&path, LIMITS).is_err());
        let damaged = temp.path().join("damaged.redb");
        std::fs::write(&damaged, b"this is no database at all").unwrap();
        assert!(KvDisk::open(&damaged, LIMITS).is_err());
    }
}
