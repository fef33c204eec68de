//! Compiled code is loaded from disk only when this installation wrote it.

use std::fs;
use std::path::{Path, PathBuf};

use atoll_plugin_runtime::{PluginError, PluginRuntime, RuntimeOptions};

use crate::handmade::HandMade;
use crate::support::{bytes, granted, options};

fn runtime_in(folder: &Path) -> Result<PluginRuntime, PluginError> {
    PluginRuntime::new(RuntimeOptions {
        cache_dir: Some(folder.to_owned()),
        max_instances: 4,
        ..options()
    })
}

/// Loads the plugin in a new runtime; whether it came from the cache.
async fn cached(folder: &Path, wasm: &[u8]) -> bool {
    let runtime = runtime_in(folder).unwrap();
    runtime
        .load(bytes("x", wasm), granted())
        .await
        .unwrap()
        .info()
        .cached
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "aot"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn the_second_start_does_not_compile() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = HandMade::default().build();
    assert!(!cached(folder.path(), &wasm).await);
    assert!(cached(folder.path(), &wasm).await);
    // Another component is another file.
    assert!(
        !cached(
            folder.path(),
            &HandMade {
                version: "1.0.1",
                ..HandMade::default()
            }
            .build()
        )
        .await
    );
    assert_eq!(files(folder.path()).len(), 2);
}

/// A changed byte anywhere, a cut file, a foreign file: compiled again and replaced, never loaded.
#[tokio::test]
async fn a_tampered_file_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = HandMade::default().build();
    cached(folder.path(), &wasm).await;
    let [path] = &files(folder.path())[..] else {
        panic!("one file")
    };
    let good = fs::read(path).unwrap();
    let flip = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    let mut grown = good.clone();
    grown.push(0);
    let forgeries = [
        flip(0),
        flip(16),
        flip(47),
        flip(48),
        flip(good.len() / 2),
        flip(good.len() - 1),
        good[..good.len() - 1].to_vec(),
        good[..40].to_vec(),
        good[48..].to_vec(),
        grown,
        Vec::new(),
    ];
    for (i, forgery) in forgeries.iter().enumerate() {
        fs::write(path, forgery).unwrap();
        assert!(
            !cached(folder.path(), &wasm).await,
            "forgery {i} was loaded"
        );
        assert!(
            cached(folder.path(), &wasm).await,
            "forgery {i} was not replaced"
        );
    }
}

/// A genuine file under another component's name: the name is part of what is authenticated.
#[tokio::test]
async fn a_genuine_file_cannot_stand_in_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let one = HandMade::default().build();
    let two = HandMade {
        version: "2.0.0",
        ..HandMade::default()
    }
    .build();
    cached(folder.path(), &one).await;
    let first = files(folder.path());
    cached(folder.path(), &two).await;
    let second = files(folder.path())
        .into_iter()
        .find(|path| !first.contains(path))
        .unwrap();
    fs::copy(&first[0], &second).unwrap();
    assert!(!cached(folder.path(), &two).await);
}

/// A cache copied from another installation has another key.
#[tokio::test]
async fn another_installations_files_are_not_trusted() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let wasm = HandMade::default().build();
    cached(there.path(), &wasm).await;
    runtime_in(here.path()).unwrap();
    for path in files(there.path()) {
        fs::copy(&path, here.path().join(path.file_name().unwrap())).unwrap();
    }
    assert!(!cached(here.path(), &wasm).await);
}

#[tokio::test]
async fn a_damaged_key_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    runtime_in(folder.path()).unwrap();
    fs::write(folder.path().join("key"), b"short").unwrap();
    let error = runtime_in(folder.path()).unwrap_err().to_string();
    assert!(error.contains("delete the file"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_or_write_the_cache() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
    cached(&cache, &HandMade::default().build()).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    assert_eq!(mode(&cache.join("key")), 0o600);
    assert_eq!(mode(&files(&cache)[0]), 0o600);
    fs::set_permissions(cache.join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = runtime_in(&cache).unwrap_err().to_string();
    assert!(error.contains("others can read this key"), "{error}");
}

/// A cache that cannot be written costs time, not the plugin.
#[tokio::test]
async fn an_unusable_file_is_only_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = HandMade::default().build();
    cached(folder.path(), &wasm).await;
    let [path] = &files(folder.path())[..] else {
        panic!("one file")
    };
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    assert!(!cached(folder.path(), &wasm).await);
}

/// The least recently used goes, and what was just written stays even where nothing fits.
#[tokio::test]
async fn unused_code_goes_when_the_folder_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = |version| {
        HandMade {
            version,
            ..HandMade::default()
        }
        .build()
    };
    let (one, two, three) = (plugin("1.0.1"), plugin("1.0.2"), plugin("1.0.3"));
    cached(folder.path(), &one).await;
    let size = fs::metadata(&files(folder.path())[0]).unwrap().len();
    let small = |files: u64| {
        PluginRuntime::new(RuntimeOptions {
            cache_dir: Some(folder.path().to_owned()),
            cache_bytes: files * size + size / 2,
            max_instances: 4,
            ..options()
        })
        .unwrap()
    };
    let load = async |runtime: &PluginRuntime, wasm: &[u8]| {
        let loaded = runtime.load(bytes("x", wasm), granted()).await;
        loaded.unwrap().info().cached
    };
    let runtime = small(2);
    assert!(!load(&runtime, &two).await);
    // The first is older, but used again.
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    for path in files(folder.path()) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    assert!(load(&runtime, &one).await);
    assert!(!load(&runtime, &three).await);
    assert_eq!(files(folder.path()).len(), 2);
    assert!(load(&runtime, &one).await);
    assert!(!load(&runtime, &two).await, "the one that nobody used went");
    // With no room at all the newest is kept, and what is not the cache's is left alone.
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let runtime = small(0);
    assert!(!load(&runtime, &three).await);
    assert_eq!(files(folder.path()).len(), 1);
    assert!(folder.path().join("notes.txt").exists() && folder.path().join("key").exists());
}
