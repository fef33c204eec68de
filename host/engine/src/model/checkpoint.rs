//! A checkpoint on disk: which tensors there are, where their bytes are, and that this is true.
//!
//! [`Checkpoint::open`] reads and checks the headers of `model.safetensors`, or of every shard that
//! `model.safetensors.index.json` names. It maps nothing and reads no weights: executors do, each
//! for the layers it holds. An entry's range was inside its file when it was opened; a file can
//! shrink later, so whoever maps it compares [`CheckpointFile::len`] with the open file first.
//!
//! Offsets are as stored: data is usually aligned to 8 bytes, but the format does not promise it.

mod dtype;
mod header;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use self::dtype::Dtype;
use super::ModelError;
use crate::files;

/// File name of an unsharded checkpoint.
const SINGLE: &str = "model.safetensors";
/// File name of a sharded checkpoint's index.
const INDEX: &str = "model.safetensors.index.json";
/// Largest index read. Kimi K2's, among the largest published, has 14 MB.
const MAX_INDEX_BYTES: u64 = 100_000_000;
/// Most shards: each is an open file and a mapping.
const MAX_SHARDS: usize = 4096;

/// The tensors of a model folder. See the [module documentation](self).
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    files: Vec<CheckpointFile>,
    /// Sorted by name, names unique.
    entries: Vec<TensorEntry>,
}

/// One safetensors file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes when its header was checked.
    pub len: u64,
}

/// Where one tensor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// Its name, unique in the checkpoint.
    pub name: String,
    /// Index into [`Checkpoint::files`].
    pub file: usize,
    /// Element type.
    pub dtype: Dtype,
    /// Sizes of the axes, slowest first; row-major.
    pub shape: Vec<usize>,
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Bytes: the product of `shape` times the element size.
    pub len: u64,
}

impl Checkpoint {
    /// Reads and checks the headers of the checkpoint in `folder`.
    ///
    /// As in `transformers`, `model.safetensors` is used if it exists, else the index.
    ///
    /// # Errors
    /// [`ModelError::NoWeights`] if there is neither; otherwise the file and rule that is broken.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        match Self::read(vec![folder.join(SINGLE)]) {
            Err(ModelError::File(error)) if error.is_not_found() => Self::open_sharded(folder),
            other => other,
        }
    }

    fn open_sharded(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(INDEX);
        let bytes = files::read_bounded(&path, MAX_INDEX_BYTES).map_err(|error| {
            if error.is_not_found() {
                ModelError::NoWeights {
                    folder: folder.to_path_buf(),
                }
            } else {
                error.into()
            }
        })?;
        let index: Index = serde_json::from_slice(&bytes).map_err(|error| ModelError::Json {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let broken = |reason| ModelError::Index {
            path: path.clone(),
            reason,
        };

        let mut shards: Vec<&str> = index.weight_map.values().map(String::as_str).collect();
        shards.sort_unstable();
        shards.dedup();
        if shards.len() > MAX_SHARDS {
            return Err(broken(format!(
                "names {} shards, more than {MAX_SHARDS}",
                shards.len()
            )));
        }
        for shard in &shards {
            if !files::is_plain_name(shard) || !shard.ends_with(".safetensors") {
                return Err(broken(format!(
                    "{shard:?} is not the name of a .safetensors file in this folder"
                )));
            }
        }
        let checkpoint = Self::read(shards.iter().map(|shard| folder.join(shard)).collect())?;
        for (name, shard) in &index.weight_map {
            let found = checkpoint
                .get(name)
                .and_then(|entry| checkpoint.files.get(entry.file));
            if found.is_none_or(|file| file.path != folder.join(shard)) {
                return Err(broken(format!(
                    "says tensor `{name}` is in {shard}, but it is not"
                )));
            }
        }
        Ok(checkpoint)
    }

    fn read(paths: Vec<PathBuf>) -> Result<Self, ModelError> {
        let mut files = Vec::with_capacity(paths.len());
        let mut entries: Vec<TensorEntry> = Vec::new();
        for path in paths {
            let len = read_header(&path, files.len(), &mut entries)?;
            files.push(CheckpointFile { path, len });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for pair in entries.windows(2) {
            if let [first, second] = pair
                && first.name == second.name
            {
                let path = files
                    .get(second.file)
                    .map(|file| file.path.clone())
                    .unwrap_or_default();
                let reason = format!("tensor `{}` is also in another shard", second.name);
                return Err(ModelError::Safetensors { path, reason });
            }
        }
        Ok(Self { files, entries })
    }

    /// The files of the checkpoint.
    #[must_use]
    pub fn files(&self) -> &[CheckpointFile] {
        &self.files
    }

    /// All tensors, sorted by name.
    #[must_use]
    pub fn entries(&self) -> &[TensorEntry] {
        &self.entries
    }

    /// The tensor of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TensorEntry> {
        let index = self
            .entries
            .binary_search_by(|entry| entry.name.as_str().cmp(name))
            .ok()?;
        self.entries.get(index)
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.len).sum()
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Appends the tensors of one file, which will be `files[file]`; returns the file's length.
fn read_header(
    path: &Path,
    file: usize,
    entries: &mut Vec<TensorEntry>,
) -> Result<u64, ModelError> {
    let broken = |reason: String| ModelError::Safetensors {
        path: path.to_path_buf(),
        reason,
    };
    let (mut reader, len) = files::open_regular(path)?;
    let mut length = [0; 8];
    reader
        .read_exact(&mut length)
        .map_err(|_| broken("shorter than 8 bytes".to_owned()))?;
    let header_len = u64::from_le_bytes(length);
    let data_len = len
        .checked_sub(8)
        .and_then(|rest| rest.checked_sub(header_len));
    let Some(data_len) = data_len.filter(|_| header_len <= header::MAX_HEADER_BYTES) else {
        return Err(broken(format!(
            "a header of {header_len} bytes in a file of {len}"
        )));
    };
    // The length is at most MAX_HEADER_BYTES and at most the file's, so it may be allocated.
    let mut json = Vec::with_capacity(usize::try_from(header_len).unwrap_or(0));
    let read = reader.take(header_len).read_to_end(&mut json);
    let read = read.map_err(|error| files::FileError::io(path, &error))?;
    if read as u64 != header_len {
        return Err(broken("the header ends early".to_owned()));
    }
    for tensor in header::parse(&json, data_len).map_err(broken)? {
        entries.push(TensorEntry {
            name: tensor.name,
            file,
            dtype: tensor.dtype,
            shape: tensor.shape,
            // Inside the file: begin + len <= data_len = len - 8 - header_len.
            offset: 8 + header_len + tensor.begin,
            len: tensor.len,
        });
    }
    Ok(len)
}

#[cfg(test)]
mod tests;
