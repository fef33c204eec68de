//! The models on this machine: folders, found by name, opened whole.
//!
//! A root holds model folders in any of these shapes, and a root may be a model folder itself:
//!
//! ```text
//! root/name/config.json                                        -> name
//! root/org/name/config.json                                    -> org/name
//! root/models--org--name/snapshots/<revision>/config.json      -> org/name   (Hugging Face cache)
//! ```
//!
//! A name from a request is never made into a path: it is looked up among the names that were
//! found, so no spelling of it reaches outside a root. What is inside a folder is untrusted and
//! checked when it is opened. Roots are scanned anew for each listing, so a model copied into one
//! is there at the next request.

mod abilities;
mod embedded;
mod error;
mod loaded;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use self::abilities::Abilities;
pub use self::embedded::EmbeddedModel;
pub use self::error::StoreError;
pub use self::loaded::{ModelInfo, TextModel};
use crate::files;
use crate::model::ModelSpec;

/// Most entries looked at in one folder while scanning: a root that points at a whole disk must not
/// stop the host from starting.
const MAX_ENTRIES: usize = 10_000;
/// How the Hugging Face cache begins the name of a model's folder.
const CACHE_PREFIX: &str = "models--";

/// Model folders under some roots. See the [module documentation](self).
#[derive(Debug, Clone, Default)]
pub struct ModelStore {
    roots: Vec<PathBuf>,
    extra: BTreeMap<String, PathBuf>,
}

/// One model folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFolder {
    id: String,
    path: PathBuf,
}

impl ModelStore {
    /// A store over these roots. Roots that do not exist (yet) are empty. If a name is in several,
    /// the first root wins.
    #[must_use]
    pub fn open(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
            extra: BTreeMap::new(),
        }
    }

    /// Adds a folder under a name of its own (an unpacked [`EmbeddedModel`]). A model of the same
    /// name in a root wins.
    pub fn add(&mut self, folder: ModelFolder) {
        self.extra.insert(folder.id, folder.path);
    }

    /// All model folders, sorted by name. Only names are read; a folder may turn out to be broken.
    #[must_use]
    pub fn folders(&self) -> Vec<ModelFolder> {
        let mut found = BTreeMap::new();
        for root in &self.roots {
            scan(root, &mut found);
        }
        for (id, path) in &self.extra {
            found.entry(id.clone()).or_insert_with(|| path.clone());
        }
        found
            .into_iter()
            .map(|(id, path)| ModelFolder { id, path })
            .collect()
    }

    /// Every model with what its config.json says, or why it cannot be used.
    #[must_use]
    pub fn list(&self) -> Vec<(ModelFolder, Result<ModelInfo, StoreError>)> {
        let describe = |folder: ModelFolder| {
            let info = folder.info();
            (folder, info)
        };
        self.folders().into_iter().map(describe).collect()
    }

    /// The folder of the model `id`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub fn find(&self, id: &str) -> Result<ModelFolder, StoreError> {
        let found = self.folders().into_iter().find(|folder| folder.id == id);
        found.ok_or_else(|| StoreError::NotFound { id: id.to_owned() })
    }
}

impl ModelFolder {
    /// A folder that is known to the caller, under this name.
    #[must_use]
    pub fn new(id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            id: id.into(),
            path: path.into(),
        }
    }

    /// The model's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What config.json says, without opening the weights (their bytes are the files' sizes).
    ///
    /// # Errors
    /// [`StoreError::Model`] if config.json cannot be used.
    pub fn info(&self) -> Result<ModelInfo, StoreError> {
        let json = files::read_bounded(
            &self.path.join("config.json"),
            crate::model::MAX_CONFIG_BYTES,
        )?;
        let spec = ModelSpec::from_config(&json)?;
        Ok(ModelInfo::new(
            &self.id,
            &spec,
            self.weight_file_bytes(),
            self.modified(),
        ))
    }

    /// Everything but the executor: description, checkpoint, tokenizer, chat template, defaults.
    ///
    /// # Errors
    /// The first file that is missing or broken.
    pub fn load_text(&self) -> Result<TextModel, StoreError> {
        TextModel::load(self)
    }

    fn weight_file_bytes(&self) -> u64 {
        let is_weights = |path: &PathBuf| {
            path.extension()
                .is_some_and(|extension| extension == "safetensors")
        };
        let sizes = entries(&self.path)
            .into_iter()
            .filter(is_weights)
            .filter_map(|path| fs::metadata(path).ok());
        sizes.map(|metadata| metadata.len()).sum()
    }

    /// When config.json was last written, in seconds since 1970: when the model came here.
    fn modified(&self) -> u64 {
        let modified =
            fs::metadata(self.path.join("config.json")).and_then(|metadata| metadata.modified());
        let since = modified
            .ok()
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.unwrap_or(Duration::ZERO).as_secs()
    }
}

/// Adds the models under `root`; names already found stay.
fn scan(root: &Path, found: &mut BTreeMap<String, PathBuf>) {
    let mut add = |id: String, path: PathBuf| {
        found.entry(id).or_insert(path);
    };
    if is_model(root) {
        if let Some(name) = plain_name(root) {
            add(name, root.to_path_buf());
        }
        return;
    }
    for path in entries(root) {
        let Some(name) = plain_name(&path) else {
            continue;
        };
        if let Some(cached) = name.strip_prefix(CACHE_PREFIX) {
            if let Some(snapshot) = snapshot(&path) {
                add(cached.replacen("--", "/", 1), snapshot);
            }
        } else if is_model(&path) {
            add(name, path);
        } else if path.is_dir() {
            for inner in entries(&path) {
                if let Some(inner_name) = plain_name(&inner)
                    && is_model(&inner)
                {
                    add(format!("{name}/{inner_name}"), inner);
                }
            }
        }
    }
}

fn is_model(path: &Path) -> bool {
    path.join("config.json").is_file()
}

/// The last part of a path, if it can be a model's name.
fn plain_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    (files::is_plain_name(name) && !name.starts_with('.')).then(|| name.to_owned())
}

/// The entries of a folder in order of name; none if it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .take(MAX_ENTRIES)
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// The snapshot that a Hugging Face cache folder's `main` points at, else the newest complete one.
fn snapshot(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.join("snapshots");
    // A commit hash has 40 characters.
    if let Ok(bytes) = files::read_bounded(&folder.join("refs/main"), 256)
        && let Ok(text) = std::str::from_utf8(&bytes)
        && files::is_plain_name(text.trim())
    {
        let path = snapshots.join(text.trim());
        if is_model(&path) {
            return Some(path);
        }
    }
    let modified = |path: &PathBuf| {
        fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    entries(&snapshots)
        .into_iter()
        .filter(|path| is_model(path))
        .max_by_key(modified)
}

#[cfg(test)]
mod tests;
