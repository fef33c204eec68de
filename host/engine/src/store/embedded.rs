//! A model inside the binary, unpacked to a folder so that executors can map it like any other.
//!
//! The folder's name ends in a hash of the content: another version of the binary unpacks beside it,
//! and two processes that start together write the same thing. Files are written to a temporary
//! folder and moved in one step, so a half-written model is never seen.

use std::fs;
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{ModelFolder, StoreError};
use crate::files::{self, FileError};

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
        let failed = |path: &Path, error: &std::io::Error| FileError::io(path, error);
        fs::create_dir_all(cache).map_err(|error| failed(cache, &error))?;
        let temporary = cache.join(format!(".unpack-{}-{}", std::process::id(), self.hash()));
        // Left over from a process of the same number that was killed.
        let _ = fs::remove_dir_all(&temporary);
        fs::create_dir(&temporary).map_err(|error| failed(&temporary, &error))?;
        let written = self.write_files(&temporary).and_then(|()| {
            // An incomplete folder is in the way of the move; a complete one is as good as ours.
            if target.exists() && !self.is_unpacked(target) {
                fs::remove_dir_all(target).map_err(|error| failed(target, &error))?;
            }
            match fs::rename(&temporary, target) {
                Err(error) if !self.is_unpacked(target) => Err(failed(target, &error)),
                _ => Ok(()),
            }
        });
        let _ = fs::remove_dir_all(&temporary);
        written
    }

    fn write_files(&self, folder: &Path) -> Result<(), FileError> {
        for (name, content) in self.files {
            let path = folder.join(name);
            if !files::is_plain_name(name) {
                return Err(FileError::NotRegular { path });
            }
            let written = fs::File::create_new(&path).and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()
            });
            written.map_err(|error| FileError::io(&path, &error))?;
        }
        Ok(())
    }
}
