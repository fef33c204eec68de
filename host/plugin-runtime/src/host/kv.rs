//! The small store a plugin may keep: in memory, by plugin name, bound by a quota.
//!
//! It outlives the plugin's instances and a reload of the plugin, but not the process; writing it to
//! disk comes with the plugin life cycle. Keys are sorted, so listing by prefix is a range.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::options::KvLimits;
use crate::types::{Error, ErrorKind};

/// One plugin's store.
#[derive(Debug)]
pub(crate) struct KvStore {
    limits: KvLimits,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl KvStore {
    pub fn new(limits: KvLimits) -> Self {
        Self {
            limits,
            inner: Mutex::default(),
        }
    }

    /// No operation below leaves the map half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.lock().entries.get(key).cloned()
    }

    pub fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        self.lock().set(&self.limits, key, value)
    }

    pub fn delete(&self, key: &str) {
        let mut inner = self.lock();
        if let Some(old) = inner.entries.remove(key) {
            inner.bytes = inner.bytes.saturating_sub(key.len() + old.len());
        }
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
        inner.set(&self.limits, key, value).map(|()| true)
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
}

impl Inner {
    fn set(&mut self, limits: &KvLimits, key: String, value: Vec<u8>) -> Result<(), Error> {
        let quota = |what: &str, allowed: usize| Error {
            kind: ErrorKind::TooLarge,
            message: format!("kv: {what}; the limit is {allowed}"),
            param: None,
            retry_after_ms: None,
            ext: None,
        };
        if key.len() > limits.key_bytes {
            return Err(quota("the key is too long", limits.key_bytes));
        }
        if value.len() > limits.value_bytes {
            return Err(quota("the value is too long", limits.value_bytes));
        }
        let old = self.entries.get(&key).map(|old| key.len() + old.len());
        if old.is_none() && self.entries.len() >= limits.keys {
            return Err(quota("too many keys", limits.keys));
        }
        let bytes = self.bytes - old.unwrap_or(0) + key.len() + value.len();
        if bytes > limits.total_bytes {
            return Err(quota("the store is full", limits.total_bytes));
        }
        self.bytes = bytes;
        self.entries.insert(key, value);
        Ok(())
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
        kv.delete("b");
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
