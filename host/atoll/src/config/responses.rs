//! `[responses]`: where stored answers are kept, and how many.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_gateway::responses::StoreLimits;
use serde::Deserialize;

use crate::units::Bytes;

/// The section as it is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponsesConfig {
    /// The database.
    file: Option<PathBuf>,
    /// `false` keeps answers in memory only: they are gone with the process.
    on_disk: Option<bool>,
    /// Most bytes; the oldest answers make room.
    max_size: Option<Bytes>,
    /// After so many days an answer is removed.
    max_age_days: Option<u32>,
}

impl ResponsesConfig {
    /// The database, or nothing if answers are kept in memory. A relative path is relative to `folder`.
    pub fn file(&self, folder: Option<&Path>, usual: &Path) -> Option<PathBuf> {
        if self.on_disk == Some(false) {
            return None;
        }
        Some(match (&self.file, folder) {
            (Some(file), Some(folder)) => folder.join(file),
            (Some(file), None) => file.clone(),
            (None, _) => usual.to_owned(),
        })
    }

    /// How much is kept, and how long.
    pub fn limits(&self) -> StoreLimits {
        let usual = StoreLimits::default();
        let days = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3600);
        StoreLimits {
            max_bytes: self.max_size.map_or(usual.max_bytes, |size| size.0),
            max_age: self.max_age_days.map_or(usual.max_age, days),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ResponsesConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_section_says_where_and_how_much() {
        let usual = Path::new("/data/responses.redb");
        assert_eq!(read("").file(None, usual).as_deref(), Some(usual));
        assert_eq!(read("").limits(), StoreLimits::default());
        assert_eq!(read("on_disk = false").file(None, usual), None);
        let set = read("file = \"r.redb\"\nmax_size = \"64 MiB\"\nmax_age_days = 2");
        let file = set.file(Some(Path::new("/etc/atoll")), usual);
        assert_eq!(file.as_deref(), Some(Path::new("/etc/atoll/r.redb")));
        assert_eq!(set.limits().max_bytes, 64 << 20);
        assert_eq!(set.limits().max_age, Duration::from_secs(2 * 24 * 3600));
    }
}
