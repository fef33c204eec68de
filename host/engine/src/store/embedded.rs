//! A model inside the binary, unpacked to a folder so that executors can map it like any other.
//!
//! The folder's name ends in a hash of the content, so another version of the binary unpacks beside it.
//! Files are written to a temporary folder and moved in one step, so a half-written model is never
//! seen; what an older or killed process left incomplete is replaced. Processes that start together
//! take turns at a lock file, so none removes what another has just finished.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{ModelFolder, StoreError};
use crate::files::{self, FileError};

/// Held while a cache folder is written to. Never removed: a lock on a file that is gone locks nobody out.
const LOCK: &str = ".unpack.lock";
/// Where the one process that holds the lock writes.
const TEMPORARY: &str = ".unpack";

/// A model's files as they are embedded.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedModel {
    /// The model's name.
    pub id: &'static str,
    /// Plain file names with their content.
    pub files: &'static [(&'static str, &'static [u8])],
}

impl EmbeddedModel {
    /// Unpacks the model under `cache` (made if it does not exist) unless it is there already.
    ///
    /// # Errors
    /// [`StoreError::Unpack`] naming the file that could not be written.
    pub fn unpack(&self, cache: &Path) -> Result<ModelFolder, StoreError> {
        let target = cache.join(format!("{}-{}", self.id.replace('/', "--"), self.hash()));
        if !self.is_unpacked(&target) {
            self.write(cache, &target).map_err(StoreError::Unpack)?;
        }
        Ok(ModelFolder::new(self.id, target))
    }

    /// The first 16 hexadecimal digits of a SHA-256 over names and contents.
    fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (name, content) in self.files {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(content);
        }
        hash.finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Whether every file is there in its full length. Contents are not read again: the folder is
    /// as trustworthy as the binary beside it.
    fn is_unpacked(&self, target: &Path) -> bool {
        self.files.iter().all(|(name, content)| {
            let metadata = fs::symlink_metadata(target.join(name));
            metadata
                .is_ok_and(|metadata| metadata.is_file() && metadata.len() == content.len() as u64)
        })
    }

    fn write(&self, cache: &Path, target: &Path) -> Result<(), FileError> {
        let failed = |path: &Path, error: &io::Error| FileError::io(path, error);
        fs::create_dir_all(cache).map_err(|error| failed(cache, &error))?;
        let lock_path = cache.join(LOCK);
        let _lock = lock(&lock_path).map_err(|error| failed(&lock_path, &error))?;
        // Written by another process while this one waited.
        if self.is_unpacked(target) {
            return Ok(());
        }
        let temporary = cache.join(TEMPORARY);
        // Left over from a process that was killed: nobody writes there without the lock.
        remove(&temporary).map_err(|error| failed(&temporary, &error))?;
        fs::create_dir(&temporary).map_err(|error| failed(&temporary, &error))?;
        let written = self.write_files(&temporary).and_then(|()| {
            // An incomplete folder is in the way of the move.
            remove(target).map_err(|error| failed(target, &error))?;
            fs::rename(&temporary, target).map_err(|error| failed(target, &error))
        });
        if written.is_err() {
            let _ = remove(&temporary);
        }
        written
    }

    fn write_files(&self, folder: &Path) -> Result<(), FileError> {
        for (name, content) in self.files {
            let path = folder.join(name);
            if !files::is_plain_name(name) {
                return Err(FileError::NotRegular { path });
            }
            let written = File::create_new(&path).and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()
            });
            written.map_err(|error| FileError::io(&path, &error))?;
        }
        Ok(())
    }
}

/// Waits for the right to write in a cache folder. It ends with the file, also when the process is
/// killed.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    file.lock()?;
    Ok(file)
}

/// Removes a folder, or whatever else has its name, if there is one.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
