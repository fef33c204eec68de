//! The small store a plugin may keep: by plugin name, bound by a quota, nobody else's.
//!
//! It is in memory, where its quota leaves it small, and outlives the plugin's instances and versions.
//! Where the runtime was given a file ([`disk`]) it outlives the process too: what changed is noted here
//! and written by a thread of its own, so that no request waits for a disk. Keys are sorted, so listing
//! by prefix is a range.

mod disk;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::disk::Bell;
pub(crate) use self::disk::KvDisk;
pub use self::stored::{Stored, StoredError, forget_in, kv_file_for, stored_in};
use crate::options::KvLimits;
use crate::types::{Error, ErrorKind};

/// Keys that may wait to be written. A plugin that changes more in the fraction of a second between
/// two writes is faster than the disk, and is told so.
const MAX_UNWRITTEN: usize = 8192;

/// One plugin's store.
#[derive(Debug)]
pub(crate) struct KvStore {
    limits: KvLimits,
    /// Wakes whoever writes; none where nobody does.
    bell: Option<Arc<Bell>>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    /// Changed or deleted since it was last written.
    unwritten: BTreeSet<String>,
}

impl Inner {
    fn amount(&self) -> Stored {
        Stored {
            keys: self.entries.len() as u64,
            bytes: self.bytes as u64,
        }
    }
}

impl KvStore {
    /// A store that is gone with the process.
    pub fn new(limits: KvLimits) -> Self {
        Self {
            limits,
            bell: None,
            inner: Mutex::default(),
        }
    }

    /// A store with these entries, whose changes ring the bell.
    fn kept(limits: KvLimits, entries: BTreeMap<String, Vec<u8>>, bell: Arc<Bell>) -> Self {
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len());
        let inner = Inner {
            bytes: bytes.sum(),
            entries,
            unwritten: BTreeSet::new(),
        };
        Self {
            limits,
            bell: Some(bell),
            inner: Mutex::new(inner),
        }
    }

    /// No operation below leaves the map half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is in it, nor waits to be written.
    pub fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.entries.is_empty() && inner.unwritten.is_empty()
    }

    /// How much is in it.
    pub fn amount(&self) -> Stored {
        self.lock().amount()
    }

    /// Deletes everything, and says how much that was.
    pub fn clear(&self) -> Stored {
        let mut inner = self.lock();
        let amount = inner.amount();
        let entries = std::mem::take(&mut inner.entries);
        inner.bytes = 0;
        if let Some(bell) = &self.bell {
            // Beyond what may wait to be written, but no further than the quota of keys.
            inner.unwritten.extend(entries.into_keys());
            bell.ring();
        }
        amount
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.lock().entries.get(key).cloned()
    }

    pub fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        let mut inner = self.lock();
        self.set_locked(&mut inner, key, value)
    }

    pub fn delete(&self, key: &str) -> Result<(), Error> {
        let mut inner = self.lock();
        if !inner.entries.contains_key(key) {
            return Ok(());
        }
        self.note(&mut inner, key)?;
        if let Some(old) = inner.entries.remove(key) {
            inner.bytes = inner.bytes.saturating_sub(key.len() + old.len());
        }
        Ok(())
    }

    pub fn compare_and_set(
        &self,
        key: String,
        expected: Option<&[u8]>,
        value: Vec<u8>,
    ) -> Result<bool, Error> {
        let mut inner = self.lock();
        if inner.entries.get(&key).map(Vec::as_slice) != expected {
            return Ok(false);
        }
        self.set_locked(&mut inner, key, value).map(|()| true)
    }

    pub fn keys(&self, prefix: &str, limit: usize) -> Vec<String> {
        self.lock()
            .entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(prefix))
            .take(limit)
            .cloned()
            .collect()
    }

    fn set_locked(&self, inner: &mut Inner, key: String, value: Vec<u8>) -> Result<(), Error> {
        let bytes = inner.room(&self.limits, &key, &value)?;
        self.note(inner, &key)?;
        inner.bytes = bytes;
        inner.entries.insert(key, value);
        Ok(())
    }

    /// Notes that a key is about to change.
    fn note(&self, inner: &mut Inner, key: &str) -> Result<(), Error> {
        let Some(bell) = &self.bell else {
            return Ok(());
        };
        if !inner.unwritten.contains(key) {
            if inner.unwritten.len() >= MAX_UNWRITTEN {
                let message = "the store is written faster than the disk takes it";
                return Err(error(ErrorKind::Overloaded, message.to_owned()));
            }
            inner.unwritten.insert(key.to_owned());
        }
        bell.ring();
        Ok(())
    }

    /// What changed since the last call, with what each key holds now.
    fn take_unwritten(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut inner = self.lock();
        let keys = std::mem::take(&mut inner.unwritten);
        keys.into_iter()
            .map(|key| {
                let value = inner.entries.get(&key).cloned();
                (key, value)
            })
            .collect()
    }

    /// These were not written after all.
    fn put_back(&self, keys: impl Iterator<Item = String>) {
        self.lock().unwritten.extend(keys);
    }
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error {
        kind,
        message: format!("kv: {message}"),
        param: None,
        retry_after_ms: None,
        ext: None,
    }
}

impl Inner {
    /// The bytes that all entries have together once this one is set.
    fn room(&self, limits: &KvLimits, key: &str, value: &[u8]) -> Result<usize, Error> {
        let quota = |what: &str, allowed: usize| {
            error(
                ErrorKind::TooLarge,
                format!("{what}; the limit is {allowed}"),
            )
        };
        if key.len() > limits.key_bytes {
            return Err(quota("the key is too long", limits.key_bytes));
        }
        if value.len() > limits.value_bytes {
            return Err(quota("the value is too long", limits.value_bytes));
        }
        let old = self.entries.get(key).map(|old| key.len() + old.len());
        if old.is_none() && self.entries.len() >= limits.keys {
            return Err(quota("too many keys", limits.keys));
        }
        let others = self.bytes.saturating_sub(old.unwrap_or(0));
        let bytes = others + key.len() + value.len();
        if bytes > limits.total_bytes {
            return Err(quota("the store is full", limits.total_bytes));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: KvLimits = KvLimits {
        keys: 3,
        key_bytes: 4,
        value_bytes: 8,
        total_bytes: 20,
    };

    #[test]
    fn the_quota_counts_replacements_once() {
        let kv = KvStore::new(LIMITS);
        kv.set("a".into(), vec![0; 8]).unwrap();
        kv.set("b".into(), vec![0; 8]).unwrap();
        assert_eq!(
            kv.set("c".into(), vec![0; 2]).unwrap_err().kind,
            ErrorKind::TooLarge
        );
        kv.set("a".into(), vec![0; 1]).unwrap();
        kv.set("c".into(), vec![0; 2]).unwrap();
        kv.delete("b").unwrap();
        assert_eq!(
            kv.set("d".into(), vec![0; 9]).unwrap_err().kind,
            ErrorKind::TooLarge
        );
        kv.set("d".into(), vec![]).unwrap();
        assert_eq!(
            kv.set("e".into(), vec![]).unwrap_err().kind,
            ErrorKind::TooLarge
        );
        assert_eq!(kv.keys("", 10), ["a", "c", "d"]);
    }

    #[test]
    fn compare_and_set_tells_absent_from_empty() {
        let kv = KvStore::new(LIMITS);
        assert!(!kv.compare_and_set("a".into(), Some(b""), vec![1]).unwrap());
        assert!(kv.compare_and_set("a".into(), None, vec![]).unwrap());
        assert!(!kv.compare_and_set("a".into(), None, vec![1]).unwrap());
        assert!(kv.compare_and_set("a".into(), Some(b""), vec![1]).unwrap());
        assert_eq!(kv.get("a"), Some(vec![1]));
    }

    #[test]
    fn prefixes_end_where_they_should() {
        let kv = KvStore::new(LIMITS);
        for key in ["a/1", "a/2", "b"] {
            kv.set(key.into(), vec![]).unwrap();
        }
        assert_eq!(kv.keys("a/", 10), ["a/1", "a/2"]);
        assert_eq!(kv.keys("a/", 1), ["a/1"]);
        assert!(kv.keys("c", 10).is_empty());
    }
}
