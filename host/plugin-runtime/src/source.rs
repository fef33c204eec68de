//! Where a plugin's bytes come from, and what is checked of them before anything compiles them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Engine;

use crate::error::PluginError;

/// Where a plugin comes from.
#[derive(Debug, Clone)]
pub enum PluginSource {
    /// A component in memory, such as one that ships inside the binary.
    Bytes {
        /// For messages until it has described itself.
        name: String,
        /// The component.
        wasm: Arc<[u8]>,
    },
    /// A component on disk. Read once; what is compiled is what was read.
    File(PathBuf),
    /// A component that was read from disk, and checked, already.
    Read {
        /// Where it was.
        path: PathBuf,
        /// The component.
        wasm: Arc<[u8]>,
    },
}

impl PluginSource {
    /// What to call it until it has described itself.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Bytes { name, .. } => name.clone(),
            Self::File(path) | Self::Read { path, .. } => path.file_stem().map_or_else(
                || path.display().to_string(),
                |stem| stem.to_string_lossy().into_owned(),
            ),
        }
    }

    /// Where it is, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Bytes { name, .. } => name.clone(),
            Self::File(path) | Self::Read { path, .. } => path.display().to_string(),
        }
    }
}

/// Reads the component into memory, once, and not more than may be.
pub(crate) async fn read(source: PluginSource, limit: usize) -> Result<Arc<[u8]>, PluginError> {
    let name = source.name();
    let too_large = || PluginError::Rejected {
        name: name.clone(),
        reason: format!("larger than the {limit} bytes a component may have"),
    };
    let path = match source {
        PluginSource::Bytes { wasm, .. } | PluginSource::Read { wasm, .. } => {
            return if wasm.len() > limit {
                Err(too_large())
            } else {
                Ok(wasm)
            };
        }
        PluginSource::File(path) => path,
    };
    let shown = path.display().to_string();
    let bytes = tokio::task::spawn_blocking(move || read_file(&path, limit))
        .await
        .map_err(|join| PluginError::Engine(join.to_string()))?
        .map_err(|error| PluginError::Io {
            path: shown,
            reason: error.to_string(),
        })?;
    if bytes.len() > limit {
        return Err(too_large());
    }
    Ok(bytes.into())
}

fn read_file(path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
    // A pipe or a device would block or never end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells a component from what people drop in its place.
pub(crate) fn check_kind(wasm: &[u8]) -> Result<(), String> {
    if Engine::detect_precompiled(wasm).is_some() {
        return Err(
            "a precompiled file is native code and is never accepted; use the .wasm component"
                .to_owned(),
        );
    }
    match wasm.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(
            "a core module, not a component; in Rust, build for the target wasm32-wasip2"
                .to_owned(),
        ),
        Some([b'\0', b'a', b's', b'm', ..]) => {
            Err("a WebAssembly file of another version".to_owned())
        }
        _ => Err("not a WebAssembly component".to_owned()),
    }
}
