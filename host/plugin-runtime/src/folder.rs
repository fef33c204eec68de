//! The plugin folder: what lies in it, and reading one file of it.
//!
//! Whoever can write into the folder is not trusted with more than dropping components. So it is
//! opened as a capability and everything is looked up inside it; links of either kind are refused
//! (a symbolic link names a file elsewhere, a hard link *is* a file elsewhere), and so is whatever
//! is no regular file. Opening never blocks. The file that was looked at is the file that is read:
//! its [`Stamp`] is compared before and after, so a file that is being written is not taken.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cap_fs_ext::{FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};

use crate::host::sanitize;

/// Files looked at; a folder with more is somebody's mistake, and each costs a compilation.
const MAX_FILES: usize = 256;
/// A detached signature is some 300 bytes.
const MAX_SIGNATURE_BYTES: usize = 4096;

/// What changes when a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: FileStamp,
    signature: Option<FileStamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: Option<std::time::Duration>,
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata
            .modified()
            .ok()
            .and_then(|at| at.into_std().duration_since(std::time::UNIX_EPOCH).ok());
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified,
        }
    }
}

/// One entry that looks like a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// To be read.
    File(Stamp),
    /// Not to be read, and why.
    Refused(String),
}

/// What lies in the folder, by plugin name: the file's name without `.wasm`.
pub(crate) type Listing = BTreeMap<String, Entry>;

/// The contents of one file.
pub(crate) struct Contents {
    pub wasm: Vec<u8>,
    /// The text of `NAME.wasm.minisig`, if there is one.
    pub signature: Option<String>,
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It is being written: look again later.
    Changing,
    /// It will not become readable by waiting.
    Refused(String),
}

/// The folder. Opened anew each time, so that it may appear, or be replaced, while the host runs.
#[derive(Debug, Clone)]
pub(crate) struct PluginFolder {
    path: PathBuf,
}

impl PluginFolder {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where a plugin's file is, for people.
    pub fn shown(&self, name: &str) -> String {
        self.path.join(file_name(name)).display().to_string()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lists the folder. One that does not exist is empty.
    ///
    /// # Errors
    /// The system's, when the folder cannot be listed; what was known of it is then still the best
    /// knowledge there is.
    pub fn scan(&self) -> io::Result<Listing> {
        let dir = match self.open() {
            Ok(dir) => dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listing::new()),
            Err(error) => return Err(error),
        };
        let mut listing = Listing::new();
        for entry in dir.entries()? {
            let file = entry?.file_name();
            // Hidden names are how editors and copying tools spell "not finished".
            let shown = file.to_string_lossy();
            let Some(stem) = shown.strip_suffix(".wasm") else {
                continue;
            };
            if stem.starts_with('.') {
                continue;
            }
            if listing.len() == MAX_FILES {
                tracing::warn!(folder = %self.path.display(), limit = MAX_FILES, "the plugin folder has more files than are looked at");
                break;
            }
            // A name that is none is only shown: in a log, in a terminal.
            let key = sanitize(stem, 100);
            let found = if is_plugin_name(stem) {
                inspect(&dir, stem)
            } else {
                let reason = "its name must be 1 to 64 letters, digits, '-', '_' or '.'; rename it";
                Ok(Entry::Refused(reason.to_owned()))
            };
            match found {
                Ok(found) => {
                    listing.insert(key, found);
                }
                // Gone since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let reason = format!("cannot be looked at: {error}");
                    listing.insert(key, Entry::Refused(reason));
                }
            }
        }
        Ok(listing)
    }

    /// Reads the file that `stamp` was taken of, at most `limit` bytes.
    pub fn read(&self, name: &str, stamp: &Stamp, limit: usize) -> Result<Contents, ReadError> {
        let dir = self.open().map_err(refused)?;
        let wasm = read_file(&dir, &file_name(name), &stamp.file, limit)?;
        let signature = match &stamp.signature {
            None => None,
            Some(stamp) => {
                let bytes = read_file(&dir, &signature_name(name), stamp, MAX_SIGNATURE_BYTES)?;
                let text = String::from_utf8(bytes)
                    .map_err(|_| ReadError::Refused("its signature file is not text".to_owned()))?;
                Some(text)
            }
        };
        Ok(Contents { wasm, signature })
    }

    fn open(&self) -> io::Result<Dir> {
        Dir::open_ambient_dir(&self.path, ambient_authority())
    }
}

fn file_name(name: &str) -> String {
    format!("{name}.wasm")
}

fn signature_name(name: &str) -> String {
    format!("{name}.wasm.minisig")
}

/// Whether a file `{name}.wasm` may be a plugin: names that are the same in every file system, lock
/// file and command line.
#[must_use]
pub fn is_plugin_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn inspect(dir: &Dir, name: &str) -> io::Result<Entry> {
    let metadata = dir.symlink_metadata(file_name(name))?;
    if let Err(reason) = check(&metadata) {
        return Ok(Entry::Refused(reason));
    }
    let signature = match dir.symlink_metadata(signature_name(name)) {
        Ok(metadata) => match check(&metadata) {
            Ok(()) => Some(FileStamp::of(&metadata)),
            Err(reason) => return Ok(Entry::Refused(format!("its signature file {reason}"))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(Entry::File(Stamp {
        file: FileStamp::of(&metadata),
        signature,
    }))
}

fn check(metadata: &Metadata) -> Result<(), String> {
    if metadata.is_symlink() {
        return Err("is a symbolic link; copy the file itself into the folder".to_owned());
    }
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    if metadata.nlink() > 1 {
        return Err(
            "is a hard link: the file has another name elsewhere; copy it instead".to_owned(),
        );
    }
    Ok(())
}

fn read_file(dir: &Dir, name: &str, stamp: &FileStamp, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let mut file = dir.open_with(name, &options).map_err(refused)?;
    let unchanged = |file: &cap_std::fs::File| -> Result<(), ReadError> {
        let metadata = file.metadata().map_err(refused)?;
        check(&metadata).map_err(ReadError::Refused)?;
        if FileStamp::of(&metadata) == *stamp {
            Ok(())
        } else {
            Err(ReadError::Changing)
        }
    };
    unchanged(&file)?;
    if stamp.size > limit as u64 {
        return Err(ReadError::Refused(format!(
            "has {} bytes, more than the {limit} it may have",
            stamp.size
        )));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0));
    file.by_ref()
        .take(stamp.size.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    unchanged(&file)?;
    if bytes.len() as u64 != stamp.size {
        return Err(ReadError::Changing);
    }
    Ok(bytes)
}

fn refused(error: io::Error) -> ReadError {
    match error.kind() {
        // Between the look and the reading it went away, or became a link.
        io::ErrorKind::NotFound => ReadError::Changing,
        _ => ReadError::Refused(format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PluginFolder) {
        let temp = tempfile::tempdir().unwrap();
        let folder = PluginFolder::new(temp.path().to_owned());
        (temp, folder)
    }

    fn stamp(listing: &Listing, name: &str) -> Stamp {
        match listing.get(name) {
            Some(Entry::File(stamp)) => stamp.clone(),
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn a_missing_folder_is_empty() {
        let (temp, _) = folder();
        let folder = PluginFolder::new(temp.path().join("none"));
        assert!(folder.scan().unwrap().is_empty());
    }

    #[test]
    fn only_finished_plugin_files_are_listed() {
        let (temp, folder) = folder();
        for name in ["a.wasm", ".b.wasm", "c.wasm.part", "README", "d d.wasm"] {
            std::fs::write(temp.path().join(name), b"x").unwrap();
        }
        let listing = folder.scan().unwrap();
        assert_eq!(listing.keys().collect::<Vec<_>>(), ["a", "d d"]);
        assert!(matches!(&listing["d d"], Entry::Refused(why) if why.contains("rename")));
        let contents = folder.read("a", &stamp(&listing, "a"), 10).unwrap();
        assert_eq!(
            (contents.wasm.as_slice(), contents.signature),
            (&b"x"[..], None)
        );
    }

    /// A file's name is shown to people too.
    #[test]
    fn names_that_move_the_cursor_are_shown_escaped() {
        let (temp, folder) = folder();
        std::fs::write(temp.path().join("a\u{1b}[2Kb.wasm"), b"x").unwrap();
        let listing = folder.scan().unwrap();
        assert_eq!(listing.keys().collect::<Vec<_>>(), [r"a\u{1b}[2Kb"]);
        assert!(matches!(&listing[r"a\u{1b}[2Kb"], Entry::Refused(_)));
    }

    #[test]
    fn the_limit_is_checked_before_anything_is_allocated() {
        let (temp, folder) = folder();
        let file = std::fs::File::create(temp.path().join("a.wasm")).unwrap();
        file.set_len(1 << 30).unwrap();
        let listing = folder.scan().unwrap();
        let refused = folder.read("a", &stamp(&listing, "a"), 10);
        assert!(matches!(refused, Err(ReadError::Refused(why)) if why.contains("more than")));
    }

    /// A copy that is still going on must not be compiled half.
    #[test]
    fn a_file_that_changed_since_it_was_listed_is_not_read() {
        let (temp, folder) = folder();
        let path = temp.path().join("a.wasm");
        std::fs::write(&path, b"half").unwrap();
        let listing = folder.scan().unwrap();
        std::fs::write(&path, b"half and half").unwrap();
        let read = folder.read("a", &stamp(&listing, "a"), 100);
        assert!(matches!(read, Err(ReadError::Changing)));
        std::fs::remove_file(&path).unwrap();
        let read = folder.read("a", &stamp(&listing, "a"), 100);
        assert!(matches!(read, Err(ReadError::Changing)));
    }

    /// A signature that arrives later is a change of the plugin.
    #[test]
    fn a_signature_belongs_to_its_file() {
        let (temp, folder) = folder();
        std::fs::write(temp.path().join("a.wasm"), b"x").unwrap();
        let before = stamp(&folder.scan().unwrap(), "a");
        std::fs::write(temp.path().join("a.wasm.minisig"), b"signed").unwrap();
        let after = stamp(&folder.scan().unwrap(), "a");
        assert_ne!(before, after);
        let contents = folder.read("a", &after, 10).unwrap();
        assert_eq!(contents.signature.as_deref(), Some("signed"));
    }

    #[cfg(unix)]
    mod links {
        use super::*;

        fn refusal(folder: &PluginFolder, name: &str) -> String {
            match folder.scan().unwrap().remove(name) {
                Some(Entry::Refused(reason)) => reason,
                other => panic!("{other:?}"),
            }
        }

        /// Out of the folder or within it, to a file or to nothing.
        #[test]
        fn symbolic_links_are_refused() {
            let (temp, folder) = folder();
            let outside = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(temp.path().join("real.wasm"), b"x").unwrap();
            let targets = [
                outside.path(),
                Path::new("real.wasm"),
                Path::new("../nothing"),
            ];
            for target in targets {
                let link = temp.path().join("link.wasm");
                std::os::unix::fs::symlink(target, &link).unwrap();
                assert!(refusal(&folder, "link").contains("symbolic link"));
                std::fs::remove_file(link).unwrap();
            }
        }

        /// The sandbox of a folder does not see that a hard link leads out of it.
        #[test]
        fn hard_links_are_refused() {
            let (temp, folder) = folder();
            let outside = tempfile::tempdir_in(temp.path()).unwrap();
            std::fs::write(outside.path().join("secret"), b"x").unwrap();
            std::fs::hard_link(outside.path().join("secret"), temp.path().join("a.wasm")).unwrap();
            assert!(refusal(&folder, "a").contains("hard link"));
        }

        /// Swapped for a link, or given a second name, between the look and the reading.
        #[test]
        fn a_file_that_becomes_a_link_is_not_read() {
            let (temp, folder) = folder();
            let path = temp.path().join("a.wasm");
            std::fs::write(&path, b"x").unwrap();
            let seen = stamp(&folder.scan().unwrap(), "a");
            std::fs::hard_link(&path, temp.path().join("other")).unwrap();
            assert!(matches!(
                folder.read("a", &seen, 10),
                Err(ReadError::Refused(_))
            ));
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("other", &path).unwrap();
            assert!(folder.read("a", &seen, 10).is_err());
        }

        /// Opening a pipe waits for a writer who never comes.
        #[test]
        fn pipes_and_folders_are_refused_without_blocking() {
            let (temp, folder) = folder();
            let path = temp.path().join("a.wasm");
            std::fs::write(&path, b"x").unwrap();
            let seen = stamp(&folder.scan().unwrap(), "a");
            std::fs::remove_file(&path).unwrap();
            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.unwrap().success());
            assert!(refusal(&folder, "a").contains("not a regular file"));
            assert!(folder.read("a", &seen, 10).is_err());
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
            assert!(refusal(&folder, "a").contains("not a regular file"));
            assert!(folder.read("a", &seen, 10).is_err());
        }
    }
}
