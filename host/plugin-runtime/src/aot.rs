//! Compiled plugins on disk.
//!
//! Loading a compiled plugin is executing native code, so a file is loaded only when this installation
//! wrote it: each carries an HMAC-SHA256 under a key that only this installation has, over the file's
//! name and contents. The name is the hash of the component and of everything about the engine that
//! the code depends on, so a new host version or another processor simply does not find it. Whatever
//! is missing, cut, changed or foreign is compiled again and replaced; the cache can always be deleted.
//!
//! The check is over the very bytes that are then loaded, read once: nobody can swap the file between.
//! Files are written beside their final name, synced and renamed, so a crash leaves no half file. The
//! folder is bounded in size, and what nobody uses any more is removed ([`prune`]).

mod native;
mod prune;

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

pub(crate) use self::native::{Native, load as load_native};
use crate::error::PluginError;

type HmacSha256 = Hmac<Sha256>;

/// Starts every cache file; the number changes when the layout does.
const MAGIC: &[u8; 16] = b"atoll-aot-v1\0\0\0\0";
const TAG_BYTES: usize = 32;
/// Native code is some four times the component; anything much larger is not ours.
pub(crate) const MAX_NATIVE_BYTES: u64 = 512 << 20;
const KEY_FILE: &str = "key";

/// How a component came to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Compiled just now.
    Compiled,
    /// Loaded from the cache.
    Cached,
}

/// The cache folder and its key.
pub(crate) struct AotCache {
    dir: PathBuf,
    key: [u8; 32],
    engine_hash: [u8; 32],
    max_bytes: u64,
}

impl AotCache {
    /// Opens the folder, creating it and its key when missing. All its files together have at most
    /// `max_bytes`.
    pub fn open(dir: &Path, engine: &Engine, max_bytes: u64) -> Result<Self, PluginError> {
        let at = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| PluginError::Io {
                path,
                reason: error.to_string(),
            }
        };
        create_private_dir(dir).map_err(at(dir))?;
        let key_path = dir.join(KEY_FILE);
        let key = load_or_create_key(dir, &key_path).map_err(at(&key_path))?;
        let cache = Self {
            dir: dir.to_owned(),
            key,
            engine_hash: engine_hash(engine),
            max_bytes,
        };
        cache.prune(&key_path);
        Ok(cache)
    }

    /// The compiled form of the component with that hash, from the cache or from `compile`. Blocks for as
    /// long as compiling takes.
    ///
    /// A cache that cannot be written is a warning, not an error: the plugin works all the same.
    pub fn load(
        &self,
        engine: &Engine,
        digest: &[u8; 32],
        compile: impl FnOnce() -> Result<Native, String>,
    ) -> Result<(Component, Origin), String> {
        let name = self.name(digest);
        let path = self.dir.join(&name);
        match self.read(&path, &name) {
            Ok(Some(native)) => match native::load(engine, native) {
                Ok(component) => return Ok((component, Origin::Cached)),
                Err(error) => {
                    tracing::warn!(file = %path.display(), error = %error, "cached plugin does not load; compiling again")
                }
            },
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(file = %path.display(), error = %error, "cached plugin refused; compiling again")
            }
        }
        let native = compile()?;
        if let Err(error) = self.write(&path, &name, native.bytes()) {
            tracing::warn!(file = %path.display(), error = %error, "cannot keep the compiled plugin");
        }
        self.prune(&path);
        let component = native::load(engine, native).map_err(|error| format!("{error:#}"))?;
        Ok((component, Origin::Compiled))
    }

    fn prune(&self, keep: &Path) {
        match prune::prune(&self.dir, self.max_bytes, keep) {
            Ok(0) => {}
            Ok(files) => tracing::debug!(files, "removed unused compiled plugins"),
            Err(error) => {
                tracing::warn!(folder = %self.dir.display(), %error, "cannot tidy the compiled plugins");
            }
        }
    }

    fn name(&self, digest: &[u8; 32]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(digest);
        hasher.update(self.engine_hash);
        format!("{}.aot", hex::encode(hasher.finalize()))
    }

    fn tag(&self, name: &str, native: &[u8]) -> HmacSha256 {
        // HMAC pads a short key with zeros to its block; done here, the length cannot be wrong.
        let mut block = [0u8; 64];
        block[..self.key.len()].copy_from_slice(&self.key);
        let mut mac = HmacSha256::new(&block.into());
        mac.update(MAGIC);
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(native);
        mac
    }

    /// The verified contents of a cache file; `None` when there is none.
    fn read(&self, path: &Path, name: &str) -> io::Result<Option<Native>> {
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        if length > MAX_NATIVE_BYTES {
            return Err(io::Error::other("too large to be ours"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(MAX_NATIVE_BYTES).read_to_end(&mut bytes)?;
        let Some((head, native)) = bytes.split_at_checked(MAGIC.len() + TAG_BYTES) else {
            return Err(io::Error::other("cut short"));
        };
        let Some(tag) = head.strip_prefix(MAGIC.as_slice()) else {
            return Err(io::Error::other("not a cache file of this version"));
        };
        self.tag(name, native).verify_slice(tag).map_err(|_| {
            io::Error::other("changed since it was written, or written by another installation")
        })?;
        let native = native.to_vec();
        // Pruning goes by this. Where it cannot be set the file is compiled again some day.
        let _ = fs::File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        Ok(Some(Native::authenticated(native)))
    }

    fn write(&self, path: &Path, name: &str, native: &[u8]) -> io::Result<()> {
        let tag = self.tag(name, native).finalize().into_bytes();
        let mut file = tempfile::Builder::new()
            .prefix(".aot-")
            .tempfile_in(&self.dir)?;
        file.write_all(MAGIC)?;
        file.write_all(&tag)?;
        file.write_all(native)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_dir(&self.dir);
        Ok(())
    }
}

/// Everything of the engine that compiled code depends on: wasmtime's version, compiler settings, the
/// processor's features.
pub(crate) fn engine_hash(engine: &Engine) -> [u8; 32] {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    sha.0.finalize().into()
}

fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        builder.mode(0o700).create(dir)?;
        // It may have been there before, made by somebody with a wider umask.
        let mode = fs::metadata(dir)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
    #[cfg(not(unix))]
    builder.create(dir)
}

/// The installation's key. Created by whoever comes first: two processes that start together end up
/// with the same one, because the file appears complete or not at all.
fn load_or_create_key(dir: &Path, path: &Path) -> io::Result<[u8; 32]> {
    let read = || -> io::Result<Option<[u8; 32]>> {
        match fs::read(path) {
            Ok(bytes) => match <[u8; 32]>::try_from(bytes.as_slice()) {
                Ok(key) => Ok(Some(key)),
                Err(_) => Err(io::Error::other(
                    "not a key of 32 bytes; delete the file to make a new one",
                )),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    if let Some(key) = read()? {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
                return Err(io::Error::other(
                    "others can read this key; delete it to make a new one",
                ));
            }
        }
        return Ok(key);
    }
    let mut key = [0u8; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    // `tempfile` creates with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".key-").tempfile_in(dir)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {
            sync_dir(dir);
            Ok(key)
        }
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            read()?.ok_or_else(|| io::Error::other("the key vanished while it was read"))
        }
        Err(error) => Err(error.error),
    }
}

/// Makes a rename durable; where folders cannot be synced, the worst that happens is a recompile.
fn sync_dir(dir: &Path) {
    if let Ok(handle) = fs::File::open(dir) {
        let _ = handle.sync_all();
    }
}
