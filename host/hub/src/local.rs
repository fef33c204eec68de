//! Deleting and copying model folders.
//!
//! A folder is found by the model store, never made from a name in a request; here it must lie inside one
//! of the models folders. It is renamed out of sight first, so that no half-deleted or half-copied folder is
//! ever a model.

use std::fs;
use std::path::{Path, PathBuf};

use crate::HubError;
use crate::name::model_path;

/// How the Hugging Face cache begins the name of a model's folder.
const CACHE_PREFIX: &str = "models--";

/// Deletes the model `name`, whose files are in `folder`, if that is inside one of `roots`. Blocks.
///
/// # Errors
/// [`HubError::NotOurs`] for a folder that is a root itself or outside of all; [`HubError::Disk`].
pub fn remove(name: &str, folder: &Path, roots: &[PathBuf]) -> Result<(), HubError> {
    let not_ours = |reason| HubError::NotOurs {
        name: name.to_owned(),
        reason,
    };
    let disk = |error| HubError::disk(format!("deleting {name}"))(error);
    if roots.iter().any(|root| folder == root) {
        return Err(not_ours("it is a models folder itself; delete it yourself"));
    }
    let root = roots
        .iter()
        .find(|root| folder.starts_with(root))
        .ok_or_else(|| not_ours("it comes with Atoll"))?;
    let target = entry(root, folder);
    // A link is deleted; what it points at belongs to somebody else.
    if fs::symlink_metadata(&target).map_err(disk)?.is_symlink() {
        return fs::remove_file(&target).map_err(disk);
    }
    let hidden = root.join(format!(".deleted-{}", uuid::Uuid::new_v4()));
    fs::rename(&target, &hidden).map_err(disk)?;
    fs::remove_dir_all(&hidden).map_err(disk)?;
    // `ORG` of `ORG/NAME`, when this was its last model; it stays when it is not empty.
    if let Some(parent) = target.parent()
        && parent != root
    {
        let _ = fs::remove_dir(parent);
    }
    Ok(())
}

/// What to delete for a model's folder: the folder, or the whole entry of a Hugging Face cache (its
/// snapshots are links into its blobs).
fn entry(root: &Path, folder: &Path) -> PathBuf {
    let first = folder
        .strip_prefix(root)
        .ok()
        .and_then(|inside| inside.components().next())
        .map(|first| root.join(first));
    match first {
        Some(first)
            if first
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(CACHE_PREFIX)) =>
        {
            first
        }
        _ => folder.to_owned(),
    }
}

/// Makes the model in `folder` available under another name, in `root`. Files are hard links where the
/// file system has them: a copy takes no room, and deleting one leaves the other. Blocks.
///
/// # Errors
/// [`HubError::Name`], [`HubError::Exists`], [`HubError::Disk`].
pub fn copy(folder: &Path, root: &Path, new_name: &str) -> Result<(), HubError> {
    let parts = model_path(new_name)?;
    let disk = |error| HubError::disk(format!("copying to {new_name}"))(error);
    let target = parts
        .iter()
        .fold(root.to_owned(), |path, part| path.join(part));
    let exists = || HubError::Exists {
        name: new_name.to_owned(),
    };
    // A folder inside a model's folder would be no model to the store.
    let inside_a_model = parts.len() == 2 && root.join(parts[0]).join("config.json").exists();
    if inside_a_model || fs::symlink_metadata(&target).is_ok() {
        return Err(exists());
    }
    let hidden = root.join(format!(".copying-{}", uuid::Uuid::new_v4()));
    fs::create_dir_all(&hidden).map_err(disk)?;
    let filled = fill(folder, &hidden).and_then(|()| {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&hidden, &target)
    });
    filled.map_err(|error| {
        let _ = fs::remove_dir_all(&hidden);
        disk(error)
    })
}

/// The files of a model folder, which has no folders a model needs.
fn fill(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // Through links: a Hugging Face cache is made of them.
        let path = fs::canonicalize(entry.path())?;
        if !fs::metadata(&path)?.is_file() || entry.file_name() == ".atoll.json" {
            continue;
        }
        let target = to.join(entry.file_name());
        if fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
