//! Answers of one socket that are not to be stored.
//!
//! A client that keeps a socket open may continue what it asked for there without having anything stored: the
//! socket remembers, and forgets when it closes. Nobody else ever sees these answers.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use atoll_plugin_runtime::types::StoredStatus;

use super::Kept;

/// Most bytes that a socket remembers; the oldest answers make room. Long conversations of text fit, and every
/// open socket may take this much.
const MAX_BYTES: usize = 16 << 20;

/// See the [module documentation](self).
#[derive(Debug, Default)]
pub(crate) struct LocalAnswers(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    /// Oldest first, with their sizes.
    kept: VecDeque<(Kept, usize)>,
    bytes: usize,
}

impl LocalAnswers {
    /// Remembers an answer that is complete. Others cannot be continued.
    pub(crate) fn put(&self, record: Kept) {
        let size = serde_json::to_vec(&record).map_or(usize::MAX, |json| json.len());
        if record.response.status != StoredStatus::Finished || size > MAX_BYTES {
            return;
        }
        let mut answers = self.answers();
        answers.remove(&record.response.id);
        answers.bytes += size;
        answers.kept.push_back((record, size));
        while answers.bytes > MAX_BYTES {
            let Some((_, size)) = answers.kept.pop_front() else {
                break;
            };
            answers.bytes -= size;
        }
    }

    /// The answer of that id.
    pub(crate) fn get(&self, id: &str) -> Option<Kept> {
        let answers = self.answers();
        let found = answers.kept.iter().find(|(kept, _)| kept.response.id == id);
        found.map(|(kept, _)| kept.clone())
    }

    /// Forgets an answer.
    pub(crate) fn forget(&self, id: &str) {
        self.answers().remove(id);
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    fn remove(&mut self, id: &str) {
        let at = self
            .kept
            .iter()
            .position(|(kept, _)| kept.response.id == id);
        if let Some((_, size)) = at.and_then(|at| self.kept.remove(at)) {
            self.bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::record;
    use super::*;

    fn finished(id: &str) -> Kept {
        record(id, 1, None, "")
    }

    #[test]
    fn only_complete_answers_are_remembered_until_forgotten() {
        let answers = LocalAnswers::default();
        answers.put(finished("a"));
        let mut failed = finished("b");
        failed.response.status = StoredStatus::Failed;
        answers.put(failed);
        assert!(answers.get("a").is_some() && answers.get("b").is_none());
        answers.forget("a");
        answers.forget("a");
        assert!(answers.get("a").is_none());
        assert_eq!(answers.answers().bytes, 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let answers = LocalAnswers::default();
        for id in ["a", "b", "c"] {
            let mut record = finished(id);
            record.response.request.model = "m".repeat(MAX_BYTES / 2 - 4096);
            answers.put(record);
        }
        let held = ["a", "b", "c"].map(|id| answers.get(id).is_some());
        assert_eq!(held, [false, true, true]);
        let mut vast = finished("d");
        vast.response.request.model = "m".repeat(MAX_BYTES);
        answers.put(vast);
        assert!(answers.get("d").is_none() && answers.get("c").is_some());
        assert!(answers.answers().bytes <= MAX_BYTES);
    }
}
