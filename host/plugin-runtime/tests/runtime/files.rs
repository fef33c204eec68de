//! The grant `files`: a granted folder can be read, and nothing else, in no way that a path can be spelled.

use std::fs;
use std::os::unix::fs::symlink;

use atoll_plugin_runtime::{CallLimits, FaultKind, PluginError, PluginRuntime, RuntimeOptions};

use crate::outward::{attempt, errand, load};
use crate::support::{fault, options, runtime};

/// A folder to grant, with a secret beside it.
struct Folders {
    temp: tempfile::TempDir,
    grant: String,
}

impl Folders {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let granted = temp.path().join("granted");
        fs::create_dir_all(granted.join("sub")).unwrap();
        fs::write(granted.join("a.txt"), "words").unwrap();
        fs::write(granted.join("sub/b.txt"), "more words").unwrap();
        fs::write(temp.path().join("secret"), "the secret").unwrap();
        let grant = format!("files:/lexicon={}", granted.display());
        Self { temp, grant }
    }

    fn granted(&self) -> std::path::PathBuf {
        self.temp.path().join("granted")
    }

    fn grants(&self) -> [&str; 2] {
        [&self.grant, "http-out:nowhere.test"]
    }
}

#[tokio::test]
async fn a_granted_folder_can_be_read() {
    let folders = Folders::new();
    let runtime = runtime();
    let filter = load(&runtime, &folders.grants()).await.unwrap();
    assert_eq!(filter.info().summary, "Reaches out on request.");
    for (what, expected) in [
        ("read /lexicon/a.txt", "read words"),
        ("read /lexicon/sub/b.txt", "read more words"),
        ("read /lexicon/sub/../a.txt", "read words"),
        ("list /lexicon", "read a.txt,sub"),
        ("list /lexicon/sub", "read b.txt"),
    ] {
        assert_eq!(errand(&filter, what).await, expected, "{what}");
    }
    let link = folders.granted().join("link");
    symlink("sub/b.txt", link).unwrap();
    assert_eq!(
        errand(&filter, "read /lexicon/link").await,
        "read more words"
    );
}

/// Through `..`, absolute paths, and symbolic links to files and folders, absolute and relative.
#[tokio::test]
async fn nothing_outside_can_be_reached() {
    let folders = Folders::new();
    let granted = folders.granted();
    let secret = folders.temp.path().join("secret");
    symlink(&secret, granted.join("absolute")).unwrap();
    symlink("../secret", granted.join("relative")).unwrap();
    symlink("..", granted.join("up")).unwrap();
    symlink("/", granted.join("root")).unwrap();
    symlink("sub/../../secret", granted.join("twisted")).unwrap();
    symlink("/proc/self/environ", granted.join("proc")).unwrap();
    let runtime = runtime();
    let filter = load(&runtime, &folders.grants()).await.unwrap();
    let outside = secret.display();
    for path in [
        "/lexicon/absolute".to_owned(),
        "/lexicon/relative".to_owned(),
        "/lexicon/up/secret".to_owned(),
        "/lexicon/root/etc/passwd".to_owned(),
        "/lexicon/twisted".to_owned(),
        "/lexicon/proc".to_owned(),
        "/lexicon/../secret".to_owned(),
        "/lexicon/sub/../../secret".to_owned(),
        "/lexicon//../secret".to_owned(),
        "/lexicon/./sub/./../../secret".to_owned(),
        "../secret".to_owned(),
        "/etc/passwd".to_owned(),
        outside.to_string(),
        format!("/lexicon/{outside}"),
    ] {
        let said = errand(&filter, &format!("read {path}")).await;
        assert!(said.starts_with("refused"), "{path}: {said}");
    }
    for path in ["/", "/lexicon/..", "/lexicon/up", "/lexicon/root", "/proc"] {
        let said = errand(&filter, &format!("list {path}")).await;
        assert!(said.starts_with("refused"), "{path}: {said}");
    }
}

/// A hard link is a file that lies elsewhere too: the sandbox of a folder does not see that.
#[tokio::test]
async fn hard_links_are_not_read() {
    let folders = Folders::new();
    let granted = folders.granted();
    fs::hard_link(folders.temp.path().join("secret"), granted.join("hard")).unwrap();
    symlink("hard", granted.join("link-to-it")).unwrap();
    let runtime = runtime();
    let filter = load(&runtime, &folders.grants()).await.unwrap();
    for path in [
        "/lexicon/hard",
        "/lexicon/link-to-it",
        "/lexicon/sub/../hard",
    ] {
        let said = errand(&filter, &format!("read {path}")).await;
        assert!(said.starts_with("refused"), "{path}: {said}");
    }
}

/// Opening a pipe waits for a writer who never comes; nothing waits here. A socket is no file either.
#[tokio::test]
async fn pipes_and_sockets_are_not_opened() {
    let folders = Folders::new();
    let pipe = folders.granted().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let socket = folders.granted().join("socket");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let runtime = runtime();
    let filter = load(&runtime, &folders.grants()).await.unwrap();
    for name in ["pipe", "socket"] {
        let said = errand(&filter, &format!("read /lexicon/{name}")).await;
        assert!(said.starts_with("refused"), "{name}: {said}");
    }
}

#[tokio::test]
async fn nothing_can_be_written() {
    let folders = Folders::new();
    let runtime = runtime();
    let filter = load(&runtime, &folders.grants()).await.unwrap();
    assert_eq!(errand(&filter, "write /lexicon").await, "wrote ");
    let left = fs::read_to_string(folders.granted().join("a.txt")).unwrap();
    assert_eq!(left, "words");
    assert_eq!(fs::read_dir(folders.granted()).unwrap().count(), 2);
}

#[tokio::test]
async fn a_folder_that_is_not_granted_or_not_there() {
    let folders = Folders::new();
    let runtime = runtime();
    let without = load(&runtime, &["http-out:nowhere.test"]).await.unwrap();
    let said = errand(&without, "read /lexicon/a.txt").await;
    assert!(said.starts_with("refused"), "{said}");
    for (grant, expected) in [
        ("files", "names no folder"),
        ("files:/lexicon", "NAME=FOLDER"),
        ("files:/lexicon=/no/such/folder", "/no/such/folder"),
    ] {
        let error = load(&runtime, &[grant, "http-out:nowhere.test"]).await;
        let error = error.unwrap_err();
        assert!(matches!(error, PluginError::Rejected { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    // A folder that goes away later is missing, and that is all.
    let filter = load(&runtime, &folders.grants()).await.unwrap();
    fs::remove_dir_all(folders.granted()).unwrap();
    let said = errand(&filter, "read /lexicon/a.txt").await;
    assert!(said.starts_with("refused"), "{said}");
}

/// Opening a file is a host call like any other.
#[tokio::test]
async fn openings_are_counted() {
    let folders = Folders::new();
    let runtime = PluginRuntime::new(RuntimeOptions {
        call: CallLimits {
            host_calls: 2,
            ..options().call
        },
        ..options()
    })
    .unwrap();
    let filter = load(&runtime, &folders.grants()).await.unwrap();
    assert_eq!(errand(&filter, "read /lexicon/a.txt").await, "read words");
    let outcome = attempt(&filter, "read 3 /lexicon/a.txt").await;
    assert_eq!(fault(outcome), FaultKind::HostCalls);
}
