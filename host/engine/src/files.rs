//! Reading files of untrusted folders: regular files only, and never more than a stated number of
//! bytes.
//!
//! Symbolic links are followed, because the Hugging Face cache is made of them
//! (`snapshots/<revision>/config.json -> ../../blobs/<hash>`); names inside a folder are still plain
//! names, so a model folder cannot make us open a path it spells. FIFOs, devices and folders are
//! refused, and opening one does not block.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The kind of refusal, for code.
        kind: std::io::ErrorKind,
        /// The refusal, for people.
        reason: String,
    },
    /// A FIFO, device, socket or folder where a file is expected.
    #[error("{}: not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// Larger than anything of its kind should be.
    #[error("{}: has {size} bytes, more than the limit of {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
}

impl FileError {
    /// Wraps what the operating system said about `path`.
    #[must_use]
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            kind: error.kind(),
            reason: error.to_string(),
        }
    }

    /// Whether the file simply does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Io {
                kind: std::io::ErrorKind::NotFound,
                ..
            }
        )
    }
}

/// Opens `path` for reading if it is a regular file, and returns it with its length.
///
/// # Errors
/// [`FileError`] if it does not exist, may not be read, or is not a regular file.
pub fn open_regular(path: &Path) -> Result<(File, u64), FileError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        // Opening a FIFO without a writer would block for ever before we could look at it.
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK);
    }
    let file = options
        .open(path)
        .map_err(|error| FileError::io(path, &error))?;
    // The open file is asked, not the path: the answer is about what we will read.
    let metadata = file
        .metadata()
        .map_err(|error| FileError::io(path, &error))?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular {
            path: path.to_path_buf(),
        });
    }
    Ok((file, metadata.len()))
}

/// Reads all of a regular file of at most `limit` bytes.
///
/// # Errors
/// [`FileError`], also when the file grows past the limit while it is read.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let (file, size) = open_regular(path)?;
    let too_large = |size| FileError::TooLarge {
        path: path.to_path_buf(),
        size,
        limit,
    };
    if size > limit {
        return Err(too_large(size));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| FileError::io(path, &error))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Whether `name` is one plain file name: no separators, no `.` or `..`, no drive, nothing hidden
/// in a NUL.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let one_normal = matches!(
        (components.next(), components.next()),
        (Some(std::path::Component::Normal(first)), None) if first == name
    );
    one_normal && !name.contains(['/', '\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names() {
        for good in [
            "model.safetensors",
            "model-00001-of-00002.safetensors",
            "..a",
            "é",
        ] {
            assert!(is_plain_name(good), "{good}");
        }
        for bad in [
            "", ".", "..", "a/b", "/a", "../a", "a/", "a\\b", "c:a", "a\0b",
        ] {
            assert!(!is_plain_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn limits_and_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        assert!(matches!(
            read_bounded(&path, 4),
            Err(FileError::TooLarge {
                size: 5,
                limit: 4,
                ..
            })
        ));
        assert!(
            read_bounded(&folder.path().join("none"), 4)
                .unwrap_err()
                .is_not_found()
        );
        assert!(matches!(
            read_bounded(folder.path(), 4),
            Err(FileError::NotRegular { .. })
        ));
    }

    /// A FIFO in a model folder must not hang the host.
    #[cfg(unix)]
    #[test]
    fn special_files_are_refused_without_blocking() {
        assert!(matches!(
            read_bounded(Path::new("/dev/zero"), 4),
            Err(FileError::NotRegular { .. })
        ));
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap();
        assert!(made.success());
        assert!(matches!(
            read_bounded(&fifo, 4),
            Err(FileError::NotRegular { .. })
        ));
    }
}
