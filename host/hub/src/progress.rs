//! How far a download is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::Digest;
use crate::manifest::WantedFile;

/// Changes closer together than this are told once: nobody reads faster.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What a download is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Asking the hub which files there are.
    Listing,
    /// Fetching and verifying them.
    Fetching,
    /// Moving the model into place.
    Publishing,
}

/// One file's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProgress {
    /// Its name.
    pub name: Arc<str>,
    /// What it must hash to.
    pub digest: Digest,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Whether it is complete and its hash was right.
    pub verified: bool,
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// The files, once they are known; in order of name.
    pub files: Vec<FileProgress>,
}

impl Progress {
    pub(crate) fn listing() -> Self {
        Self {
            stage: Stage::Listing,
            files: Vec::new(),
        }
    }

    /// Bytes here and bytes in all, over all files.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        self.files.iter().fold((0, 0), |(done, total), file| {
            (
                done.saturating_add(file.done),
                total.saturating_add(file.total),
            )
        })
    }
}

/// Where a running download writes its progress.
pub(crate) struct Reporter {
    sender: watch::Sender<Progress>,
    last: std::sync::Mutex<Option<Instant>>,
}

impl Reporter {
    pub fn new(sender: watch::Sender<Progress>) -> Self {
        Self {
            sender,
            last: std::sync::Mutex::new(None),
        }
    }

    pub fn files(&self, files: &[WantedFile]) {
        self.sender.send_modify(|progress| {
            progress.stage = Stage::Fetching;
            progress.files = files
                .iter()
                .map(|file| FileProgress {
                    name: file.name.as_str().into(),
                    digest: file.digest.clone(),
                    done: 0,
                    total: file.size,
                    verified: false,
                })
                .collect();
        });
    }

    pub fn bytes(&self, index: usize, done: u64) {
        let due = self.due();
        self.sender.send_if_modified(|progress| {
            if let Some(file) = progress.files.get_mut(index) {
                file.done = done;
            }
            due
        });
    }

    pub fn verified(&self, index: usize) {
        self.sender.send_modify(|progress| {
            if let Some(file) = progress.files.get_mut(index) {
                file.done = file.total;
                file.verified = true;
            }
        });
    }

    pub fn publishing(&self) {
        self.sender
            .send_modify(|progress| progress.stage = Stage::Publishing);
    }

    fn due(&self) -> bool {
        let mut last = self
            .last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= TELL_EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}
