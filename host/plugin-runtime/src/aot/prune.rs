//! Which cache files go. Pure but for reading and removing.
//!
//! A file's modification time is when it was last used (the cache sets it). Files that nobody used for
//! a month go, and of the others the least recently used until the rest fits: what an upgrade of the
//! host or of a plugin leaves behind is never used again, and a folder in which files are dropped all
//! day does not fill the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Unused for longer than this, a file goes.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// What a crash leaves of a file that was being written is of no use after this.
const MAX_UNFINISHED: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    bytes: u64,
    unused: Duration,
    unfinished: bool,
}

/// Removes what goes, and says how many files. `keep` stays whatever its age.
pub(super) fn prune(dir: &Path, max_bytes: u64, keep: &Path) -> std::io::Result<usize> {
    let now = SystemTime::now();
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let unfinished = name.starts_with(".aot-");
        let path = entry.path();
        // Whatever else lies here is not the cache's to remove.
        if path == keep || !(unfinished || name.ends_with(".aot")) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if !metadata.is_file() {
            continue;
        }
        let used = metadata.modified().unwrap_or(now);
        entries.push(Entry {
            path,
            bytes: metadata.len(),
            unused: now.duration_since(used).unwrap_or_default(),
            unfinished,
        });
    }
    let kept = fs::metadata(keep).map_or(0, |metadata| metadata.len());
    let victims = victims(entries, max_bytes.saturating_sub(kept));
    let removed = victims
        .iter()
        .filter(|entry| fs::remove_file(&entry.path).is_ok());
    Ok(removed.count())
}

/// What has to go so that the rest has at most `max_bytes`.
fn victims(mut entries: Vec<Entry>, max_bytes: u64) -> Vec<Entry> {
    entries.sort_by(|a, b| (a.unused, &a.path).cmp(&(b.unused, &b.path)));
    let mut bytes = 0u64;
    entries
        .into_iter()
        .filter(|entry| {
            let age = if entry.unfinished {
                MAX_UNFINISHED
            } else {
                MAX_AGE
            };
            bytes = bytes.saturating_add(entry.bytes);
            entry.unused > age || (!entry.unfinished && bytes > max_bytes)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, bytes: u64, unused: u64) -> Entry {
        Entry {
            path: name.into(),
            bytes,
            unused: Duration::from_secs(unused),
            unfinished: name.starts_with(".aot-"),
        }
    }

    fn names(entries: &[Entry]) -> Vec<String> {
        let mut names: Vec<String> = entries
            .iter()
            .map(|entry| entry.path.display().to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let entries = vec![entry("a", 40, 30), entry("b", 40, 10), entry("c", 40, 20)];
        assert_eq!(names(&victims(entries.clone(), 120)), [""; 0]);
        assert_eq!(names(&victims(entries.clone(), 119)), ["a"]);
        assert_eq!(names(&victims(entries.clone(), 79)), ["a", "c"]);
        assert_eq!(names(&victims(entries, 0)), ["a", "b", "c"]);
    }

    #[test]
    fn what_nobody_used_for_a_month_goes_though_there_is_room() {
        let month = MAX_AGE.as_secs();
        let entries = vec![
            entry("old", 1, month + 1),
            entry("young", 1, month - 1),
            entry(".aot-half", 1, MAX_UNFINISHED.as_secs() + 1),
            entry(".aot-being-written", 1, 1),
        ];
        assert_eq!(names(&victims(entries, 100)), [".aot-half", "old"]);
    }

    proptest! {
        /// What stays fits, and nothing goes that was used later than something that stays and would
        /// have fitted in its place.
        #[test]
        fn what_stays_fits(sizes in prop::collection::vec((0u64..100, 0u64..1000), 0..20), max in 0u64..500) {
            let entries: Vec<Entry> = sizes
                .iter()
                .enumerate()
                .map(|(n, (bytes, unused))| entry(&format!("{n:02}"), *bytes, *unused))
                .collect();
            let gone = victims(entries.clone(), max);
            let stays: Vec<&Entry> = entries.iter().filter(|e| !gone.contains(e)).collect();
            prop_assert!(stays.iter().map(|e| e.bytes).sum::<u64>() <= max);
            let oldest = stays.iter().map(|e| e.unused).max().unwrap_or_default();
            prop_assert!(gone.iter().all(|e| e.unused >= oldest));
        }
    }
}
