//! The keys in memory, followed as their file changes.
//!
//! [`KeyRing::watch`] looks at the file about once a second, so that requests never wait for a disk; a key
//! that was revoked stops working within that time. A file that cannot be read changes nothing: the keys
//! known last stay, and the log says why.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ctutils::CtEq as _;

use super::file::{KeyFile, KeyRecord, digest};
use super::quota::{Quota, RateLimits, Refusal};
use crate::error::GatewayError;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// A key and what has been used of it.
#[derive(Debug)]
pub(crate) struct Key {
    record: KeyRecord,
    quota: Mutex<Quota>,
}

/// See the [module documentation](self).
#[derive(Debug, Default)]
pub struct KeyRing {
    file: Option<KeyFile>,
    keys: RwLock<Arc<[Arc<Key>]>>,
}

impl KeyRing {
    /// The keys of a file, which need not exist yet.
    ///
    /// # Errors
    /// As [`KeyFile::read`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, GatewayError> {
        let ring = Self {
            file: Some(KeyFile::at(path)),
            keys: RwLock::default(),
        };
        ring.reload()?;
        Ok(ring)
    }

    /// Reads the file again. Blocks on the disk.
    ///
    /// # Errors
    /// As [`KeyFile::read`]; the keys stay as they were.
    pub fn reload(&self) -> Result<(), GatewayError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let records = file.read()?;
        let now = Instant::now();
        let before = self.keys();
        let keep = |record: KeyRecord| {
            // A key that did not change keeps what it has used.
            let same = before.iter().find(|key| key.record == record);
            same.cloned()
                .unwrap_or_else(|| Arc::new(Key::new(record, now)))
        };
        let keys = records.into_iter().map(keep).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Follows the file for as long as it is polled.
    pub async fn watch(self: Arc<Self>) {
        let mut broken = None;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let ring = Arc::clone(&self);
            let read = tokio::task::spawn_blocking(move || ring.reload()).await;
            let error = match read {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            // Once per failure, not once per second.
            if let Some(error) = &error
                && broken.as_ref() != Some(error)
            {
                tracing::error!(error, "the keys stay as they were");
            }
            broken = error;
        }
    }

    /// The key that a client sent, if it is known and works at this moment (Unix seconds).
    pub(crate) fn find(&self, sent: &str, now: u64) -> Option<Arc<Key>> {
        let sent = digest(sent);
        let mut found = None;
        for key in self.keys().iter() {
            // All of them, each in constant time: nothing tells how close a guess was.
            if bool::from(key.record.sha256.ct_eq(&sent)) {
                found = Some(Arc::clone(key));
            }
        }
        found.filter(|key| key.record.works_at(now))
    }

    fn keys(&self) -> Arc<[Arc<Key>]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Key {
    fn new(record: KeyRecord, now: Instant) -> Self {
        let quota = Mutex::new(Quota::new(&record.limits, now));
        Self { record, quota }
    }

    /// What people call it; never the key itself.
    pub(crate) fn name(&self) -> &str {
        &self.record.name
    }

    /// Whether it may see and change what belongs to the host.
    pub(crate) fn is_admin(&self) -> bool {
        self.record.admin
    }

    /// The models it may use, as patterns; empty means all.
    pub(crate) fn models(&self) -> &[String] {
        &self.record.models
    }

    /// Lets a request begin, and says what is left for the next ones.
    pub(crate) fn admit(self: Arc<Self>, now: Instant) -> (Result<Permit, Refusal>, RateLimits) {
        let mut quota = self.quota();
        let admitted = quota.admit(now);
        let limits = quota.rate_limits(now);
        drop(quota);
        (admitted.map(|()| Permit { key: self }), limits)
    }

    /// Whether a request could begin now. None does.
    pub(crate) fn may_begin(&self, now: Instant) -> (Result<(), Refusal>, RateLimits) {
        let mut quota = self.quota().clone();
        (quota.admit(now), quota.rate_limits(now))
    }

    fn quota(&self) -> MutexGuard<'_, Quota> {
        // Numbers are whole after every operation.
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way on somebody's account.
#[derive(Debug)]
pub(crate) struct Permit {
    key: Arc<Key>,
}

impl Permit {
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Tokens that were used.
    pub(crate) fn charge(&self, tokens: u32) {
        self.key.quota().charge(tokens, Instant::now());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.key.quota().release();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KeyLimits, NewKey};
    use super::*;

    #[test]
    fn keys_come_and_go_with_the_file_and_keep_what_they_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let ring = KeyRing::open(&path).unwrap();
        let file = KeyFile::at(&path);
        let new = |name: &str| NewKey {
            name: name.to_owned(),
            expires: Some(100),
            limits: KeyLimits {
                requests_per_minute: Some(1),
                ..KeyLimits::default()
            },
            ..NewKey::default()
        };
        let secret = file.create(new("ci"), 1).unwrap();
        assert!(ring.find(&secret, 5).is_none(), "not read yet");
        ring.reload().unwrap();
        let key = ring.find(&secret, 5).unwrap();
        assert_eq!(key.name(), "ci");
        assert!(ring.find(&secret, 100).is_none(), "expired");
        for wrong in ["", "sk-atoll-", &secret[..secret.len() - 1], "ci"] {
            assert!(ring.find(wrong, 5).is_none(), "{wrong}");
        }
        let permit = key.admit(Instant::now()).0.unwrap();
        permit.charge(3);
        drop(permit);

        // Another key is made: the first one's quota is not given back.
        let other = file.create(new("other"), 1).unwrap();
        ring.reload().unwrap();
        assert!(ring.find(&other, 5).is_some());
        let again = ring.find(&secret, 5).unwrap().admit(Instant::now()).0;
        assert_eq!(again.unwrap_err().what, "requests per minute");

        // A broken file changes nothing; a revoked key is gone.
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, "{").unwrap();
        assert!(ring.reload().is_err() && ring.find(&other, 5).is_some());
        std::fs::write(&path, good).unwrap();
        file.revoke("other").unwrap();
        ring.reload().unwrap();
        assert!(ring.find(&other, 5).is_none() && ring.find(&secret, 5).is_some());
    }
}
