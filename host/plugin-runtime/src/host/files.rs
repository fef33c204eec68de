//! The grant `files`: folders of this machine that a plugin may read, through WASI.
//!
//! Each granted folder is opened as a capability and put into the plugin's otherwise empty WASI world,
//! read-only. Nothing outside is reachable from it: not through `..`, absolute paths or symbolic links.
//! Two things the capability does not stop are refused here, in front of WASI's own `open-at`: a *hard
//! link* is a file that lies elsewhere too, and opening a *pipe* or a device may block for ever.
//!
//! Between the look and the opening somebody who may write into the folder could put a pipe where a file
//! was; that costs the request its wall-clock time and a blocking thread until the pipe has a writer.
//! Grant folders that only trusted people write to.

use std::path::{Path, PathBuf};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, HostDescriptor, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::HostState;
use crate::grant::Grant;

/// One granted folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    /// The absolute path by which the plugin opens it.
    pub name: String,
    /// The folder of this machine.
    pub path: PathBuf,
}

/// The folders of all `files` grants together.
///
/// # Errors
/// A sentence about the one that cannot be granted.
pub(crate) fn folders(grants: &[Grant]) -> Result<Vec<Folder>, String> {
    let mut folders: Vec<Folder> = Vec::new();
    for grant in grants {
        let Grant::Files(entries) = grant else {
            continue;
        };
        if entries.is_empty() {
            return Err(
                "the grant files names no folder; say which: files:/lexicon=/srv/lexicon"
                    .to_owned(),
            );
        }
        for entry in entries {
            let folder =
                folder(entry).map_err(|reason| format!("the grant files:{entry}: {reason}"))?;
            if folders.iter().any(|known| known.name == folder.name) {
                return Err(format!("two folders are granted as {}", folder.name));
            }
            folders.push(folder);
        }
    }
    Ok(folders)
}

fn folder(entry: &str) -> Result<Folder, String> {
    let Some((name, path)) = entry.split_once('=') else {
        return Err("write it as NAME=FOLDER, such as /lexicon=/srv/lexicon".to_owned());
    };
    if !is_name(name) {
        return Err(format!("{name:?} is no name such as /lexicon"));
    }
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err(format!("{} is not an absolute path", path.display()));
    }
    let metadata =
        std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !metadata.is_dir() {
        return Err(format!("{} is no folder", path.display()));
    }
    Ok(Folder {
        name: name.to_owned(),
        path: path.to_owned(),
    })
}

/// `/` and segments of letters, digits, `-`, `_` and `.`, none of which is `.` or `..`.
fn is_name(name: &str) -> bool {
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment.len() <= 64
            && !segment.bytes().all(|b| b == b'.')
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    name.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(segment))
}

/// Puts the folders into an instance's WASI world. One that went away since it was granted is left
/// out: the plugin finds that it is missing.
pub(super) fn open(wasi: &mut WasiCtxBuilder, folders: &[Folder]) {
    for folder in folders {
        if let Err(error) = wasi.preopened_dir(&folder.path, &folder.name, FsPerms::ReadOnly) {
            tracing::warn!(folder = %folder.path.display(), %error, "a granted folder cannot be opened");
        }
    }
}

/// The instance of WASI that holds `open-at`, in the version that wasmtime-wasi links. A test that opens
/// a hard link notices when this is no longer its name.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// Puts the checks of this module in front of WASI's `open-at`.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    type Arguments = (
        Resource<Descriptor>,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
    );
    linker.instance(TYPES)?.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store: StoreContextMut<'_, HostState>, arguments: Arguments| {
            Box::new(async move {
                let state = store.data_mut();
                state.charge_call()?;
                let opened = open_at(state, arguments).await;
                Ok((match opened {
                    Ok(file) => Ok(file),
                    Err(error) => Err(error.downcast()?),
                },))
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

async fn open_at(
    state: &mut HostState,
    (folder, follow, path, how, flags): (
        Resource<Descriptor>,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
    ),
) -> FsResult<Resource<Descriptor>> {
    let mut files = state.filesystem();
    let same = Resource::new_borrow(folder.rep());
    // What cannot be looked at cannot be opened either, and the opening says why.
    if let Ok(found) = files.stat_at(same, follow, path.clone()).await {
        readable(&found)?;
    }
    let opened = files.open_at(folder, follow, path, how, flags).await?;
    let found = files.stat(Resource::new_borrow(opened.rep())).await;
    match found.and_then(|found| readable(&found)) {
        Ok(()) => Ok(opened),
        Err(error) => {
            HostDescriptor::drop(&mut files, opened).map_err(FsError::trap)?;
            Err(error)
        }
    }
}

/// Whether this is a folder, or a file that lies here only.
fn readable(found: &DescriptorStat) -> FsResult<()> {
    match (found.type_, found.link_count) {
        (DescriptorType::Directory, _) | (DescriptorType::RegularFile, 0 | 1) => Ok(()),
        // Looked at without following: the opening follows it inside the folder, or refuses it.
        (DescriptorType::SymbolicLink, _) => Ok(()),
        _ => Err(ErrorCode::NotPermitted.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_names_a_folder_that_is_there() {
        let temp = tempfile::tempdir().unwrap();
        let here = temp.path().display();
        let of = |entry: String| folders(&[Grant::Files(vec![entry])]);
        let good = of(format!("/lexicon={here}")).unwrap();
        assert_eq!(good[0].name, "/lexicon");
        assert_eq!(good[0].path, temp.path());
        std::fs::write(temp.path().join("file"), "x").unwrap();
        for entry in [
            "/lexicon".to_owned(),
            "/lexicon=relative".to_owned(),
            format!("/lexicon={here}/none"),
            format!("/lexicon={here}/file"),
            format!("lexicon={here}"),
            format!("/={here}"),
            format!("/../a={here}"),
            format!("/a b={here}"),
        ] {
            assert!(of(entry.clone()).is_err(), "{entry}");
        }
        let twice = vec![format!("/a={here}"), format!("/a={here}")];
        assert!(folders(&[Grant::Files(twice)]).is_err());
        assert!(folders(&[Grant::Files(vec![])]).is_err());
        assert!(folders(&[Grant::Kv]).unwrap().is_empty());
    }
}
