//! A folder of plugins, followed while it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_plugin_runtime::{
    Grant, Inventory, Library, LibraryOptions, Listed, Pin, Place, PluginsLock, RouteError,
    Standing, Terms, TrustOptions,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::handmade::HandMade;
use crate::support::runtime;

/// A plugin folder with its library.
pub struct Rig {
    _temp: tempfile::TempDir,
    pub folder: PathBuf,
    pub lock: PathBuf,
    pub library: Library,
}

impl Rig {
    pub fn new(change: impl FnOnce(&mut LibraryOptions)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("plugins");
        std::fs::create_dir(&folder).unwrap();
        let lock = PluginsLock::path_for(&folder);
        let mut options = LibraryOptions {
            folder: folder.clone(),
            trust: TrustOptions {
                lock: Some(lock.clone()),
                ..TrustOptions::default()
            },
            ..LibraryOptions::default()
        };
        change(&mut options);
        Self {
            _temp: temp,
            folder,
            lock,
            library: Library::new(runtime(), options).unwrap(),
        }
    }

    /// A rig that has looked at its empty folder, as a running host has.
    async fn running(change: impl FnOnce(&mut LibraryOptions)) -> Self {
        let mut rig = Self::new(change);
        rig.library.refresh().await;
        rig
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wasm"))
    }

    /// Puts a whole file in place, as `mv` does.
    pub fn put(&self, name: &str, wasm: &[u8]) {
        replace(&self.path(name), wasm);
    }

    /// Looks as often as it takes for a settled file to be taken.
    pub async fn look(&mut self) -> Inventory {
        self.library.refresh().await;
        self.library.refresh().await;
        self.library.inventory()
    }

    pub fn pin(&self, name: &str, wasm: &[u8], grants: Vec<Grant>) {
        let mut lock = PluginsLock::read(&self.lock).unwrap();
        let sha256 = hex::encode(Sha256::digest(wasm));
        let pin = Pin {
            sha256,
            version: None,
            grants,
        };
        lock.set(name, pin);
        lock.write(&self.lock).unwrap();
    }
}

/// Beside the final name, then renamed.
pub fn replace(path: &Path, contents: &[u8]) {
    let part = path.with_extension("part");
    std::fs::write(&part, contents).unwrap();
    std::fs::rename(&part, path).unwrap();
}

pub fn dialect(name: &str, version: &'static str, path: &'static str) -> Vec<u8> {
    HandMade {
        name: name.as_bytes().to_vec(),
        version,
        path,
        ..HandMade::default()
    }
    .build()
}

/// The version that answers `GET path`, if any does.
pub fn serves(inventory: &Inventory, path: &str) -> Option<String> {
    match inventory
        .registry
        .route("GET", path, &http::HeaderMap::new())
    {
        Ok(found) => Some(found.dialect.info().version.clone()),
        Err(RouteError::NotFound) => None,
        Err(error) => panic!("{error}"),
    }
}

pub fn listed<'a>(inventory: &'a Inventory, name: &str) -> &'a Listed {
    let found = inventory.listed.iter().find(|plugin| plugin.name == name);
    found.unwrap_or_else(|| panic!("{name} is not listed: {:?}", inventory.listed))
}

pub fn problem<'a>(inventory: &'a Inventory, name: &str) -> &'a str {
    listed(inventory, name).problem.as_deref().unwrap_or("none")
}

#[tokio::test]
async fn files_come_change_and_go_while_the_host_runs() {
    let mut rig = Rig::running(|_| {}).await;
    assert_eq!(serves(&rig.library.inventory(), "/a"), None);
    rig.put("a", &dialect("a", "1.0.0", "/a"));
    let first = rig.look().await;
    assert_eq!(serves(&first, "/a").as_deref(), Some("1.0.0"));
    assert_eq!(listed(&first, "a").standing, Some(Standing::Dropped));

    rig.put("a", &dialect("a", "1.1.0", "/a2"));
    let second = rig.look().await;
    assert_eq!(serves(&second, "/a2").as_deref(), Some("1.1.0"));
    assert_eq!(
        serves(&second, "/a"),
        None,
        "the old version's route is gone"
    );
    assert_eq!(
        serves(&first, "/a").as_deref(),
        Some("1.0.0"),
        "who holds the old set keeps it"
    );

    std::fs::remove_file(rig.path("a")).unwrap();
    let third = rig.look().await;
    assert_eq!(serves(&third, "/a2"), None);
    assert!(third.listed.is_empty());
    assert!(!rig.library.refresh().await, "nothing new, nothing to do");
}

/// At start nobody waits: what lies there is taken at the first look.
#[tokio::test]
async fn what_lies_there_at_the_start_is_taken_at_once() {
    let mut rig = Rig::new(|_| {});
    rig.put("a", &dialect("a", "1.0.0", "/a"));
    assert!(rig.library.refresh().await);
    assert!(serves(&rig.library.inventory(), "/a").is_some());
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_why() {
    let mut rig = Rig::running(|_| {}).await;
    rig.put("a", &dialect("a", "1.0.0", "/a"));
    rig.look().await;
    for (what, bad, expected) in [
        (
            "garbage",
            b"garbage".to_vec(),
            "not a WebAssembly component",
        ),
        (
            "a cut file",
            dialect("a", "1.1.0", "/a")[..900].to_vec(),
            "does not compile",
        ),
        (
            "a file that never describes itself",
            HandMade {
                describe: "(loop $again (br $again)) unreachable",
                ..HandMade::default()
            }
            .build(),
            "took longer than it may",
        ),
        (
            "a route of the host",
            dialect("a", "1.1.0", "/atoll/v1/x"),
            "the host's",
        ),
    ] {
        rig.put("a", &bad);
        let inventory = rig.look().await;
        assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.0.0"), "{what}");
        let problem = problem(&inventory, "a");
        assert!(problem.contains(expected), "{what}: {problem}");
        assert!(
            problem.contains("version 1.0.0 stays in force"),
            "{problem}"
        );
    }
    rig.put("a", &dialect("a", "1.2.0", "/a"));
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.2.0"));
    assert_eq!(problem(&inventory, "a"), "none");
}

/// A copy that goes on while we look: never taken half, never called bad.
#[tokio::test]
async fn a_file_that_is_being_written_is_waited_for() {
    let mut rig = Rig::running(|_| {}).await;
    let whole = dialect("a", "1.0.0", "/a");
    let mut written = 0;
    while written < whole.len() {
        written = (written + 700).min(whole.len());
        std::fs::write(rig.path("a"), &whole[..written]).unwrap();
        rig.library.refresh().await;
        let inventory = rig.library.inventory();
        assert_eq!(serves(&inventory, "/a"), None, "after {written} bytes");
        assert!(inventory.listed.iter().all(|p| p.problem.is_none()));
    }
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.0.0"));
}

/// Touching a file is no new version: nothing is loaded again.
#[tokio::test]
async fn the_same_contents_are_not_loaded_again() {
    let mut rig = Rig::running(|_| {}).await;
    let wasm = dialect("a", "1.0.0", "/a");
    rig.put("a", &wasm);
    rig.look().await;
    rig.put("a", &wasm);
    assert!(!rig.library.refresh().await && !rig.library.refresh().await);
}

#[tokio::test]
async fn the_newcomer_loses_and_is_tried_again_when_the_other_leaves() {
    let mut rig = Rig::running(|_| {}).await;
    rig.put("b", &dialect("b", "1.0.0", "/shared"));
    rig.look().await;
    // Sorted first, but later.
    rig.put("a", &dialect("a", "2.0.0", "/shared"));
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/shared").as_deref(), Some("1.0.0"));
    assert!(problem(&inventory, "a").contains("belongs to plugin \"b\""));
    std::fs::remove_file(rig.path("b")).unwrap();
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/shared").as_deref(), Some("2.0.0"));
    assert_eq!(problem(&inventory, "a"), "none");
}

/// A narrower path would get what the wider one got so far.
#[tokio::test]
async fn a_route_cannot_take_a_part_of_anothers_requests() {
    let mut rig = Rig::running(|_| {}).await;
    rig.put("a", &dialect("a", "1.0.0", "/shared/{name...}"));
    rig.look().await;
    rig.put("b", &dialect("b", "9.0.0", "/shared/mine"));
    rig.put("c", &dialect("c", "2.0.0", "/own/mine"));
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/shared/mine").as_deref(), Some("1.0.0"));
    assert_eq!(serves(&inventory, "/own/mine").as_deref(), Some("2.0.0"));
    let said = problem(&inventory, "b");
    assert!(
        said.contains("would take requests of plugin \"a\""),
        "{said}"
    );
}

/// Under another file name, but with the name another plugin gives itself: its `kv` would be shared.
#[tokio::test]
async fn a_plugin_cannot_take_anothers_name() {
    let mut rig = Rig::running(|_| {}).await;
    rig.put("a", &dialect("a", "1.0.0", "/a"));
    rig.look().await;
    rig.put("b", &dialect("a", "9.0.0", "/b"));
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/b"), None);
    assert!(problem(&inventory, "b").contains("already loaded"));
}

#[tokio::test]
async fn bundled_plugins_keep_their_names_and_routes() {
    let bundled = ("a".to_owned(), Arc::from(dialect("a", "1.0.0", "/a")));
    let mut rig = Rig::running(|options| options.bundled.push(bundled)).await;
    rig.put("a", &dialect("a", "9.0.0", "/x"));
    rig.put("0", &dialect("0", "9.0.0", "/a"));
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.0.0"));
    assert_eq!(serves(&inventory, "/x"), None);
    let refused: Vec<_> = inventory
        .listed
        .iter()
        .filter(|p| p.problem.is_some())
        .collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert_eq!(inventory.listed[0].standing, Some(Standing::Bundled));
    std::fs::remove_file(rig.path("a")).unwrap();
    std::fs::remove_file(rig.path("0")).unwrap();
    assert!(rig.look().await.listed.iter().all(|p| p.problem.is_none()));
}

fn in_chain(plugin: &str, settings: Value) -> impl FnOnce(&mut LibraryOptions) {
    let place = Place {
        plugin: plugin.to_owned(),
        settings,
    };
    move |options| options.chain = vec![place]
}

/// What the configuration promises as a filter is never silently gone: not by a bad file, not by a
/// file of another kind, not by removing it, not by taking its pin away.
#[tokio::test]
async fn a_filter_of_the_chain_stays_in_force() {
    let mut rig = Rig::new(in_chain("check", json!({})));
    rig.put("check", atoll_test_plugins::FILTER);
    rig.pin("check", atoll_test_plugins::FILTER, vec![]);
    rig.library.refresh().await;
    let before = Arc::clone(rig.library.inventory().chain[0].as_ref().unwrap());
    for (what, change) in [
        ("bad", Some(b"garbage".to_vec())),
        ("another kind", Some(dialect("a", "1.0.0", "/a"))),
        ("removed", None),
    ] {
        match change {
            Some(wasm) => {
                rig.pin("check", &wasm, vec![]);
                rig.put("check", &wasm);
            }
            None => std::fs::remove_file(rig.path("check")).unwrap(),
        }
        let inventory = rig.look().await;
        let now = inventory.chain[0].as_ref().unwrap();
        assert!(Arc::ptr_eq(&before, now), "{what}");
        assert!(
            problem(&inventory, "check").contains("stays in force"),
            "{what}"
        );
    }
    rig.put("check", atoll_test_plugins::FILTER);
    rig.pin("check", b"something else", vec![]);
    let inventory = rig.look().await;
    assert!(Arc::ptr_eq(&before, inventory.chain[0].as_ref().unwrap()));
    assert!(problem(&inventory, "check").contains("not the one that was accepted"));
}

/// A new version is tried in the places that name it before any request meets it.
#[tokio::test]
async fn a_filter_of_the_chain_is_tried_with_its_settings() {
    let mut rig = Rig::new(in_chain("check", json!({ "unknown": 1 })));
    rig.put("check", atoll_test_plugins::FILTER);
    rig.library.refresh().await;
    assert!(
        rig.library.inventory().chain[0].is_ok(),
        "no schema, no complaint"
    );
    rig.put(
        "check",
        &HandMade {
            schema: r#"{"type": "object", "additionalProperties": false}"#,
            ..HandMade::default()
        }
        .build(),
    );
    let inventory = rig.look().await;
    assert!(inventory.chain[0].is_ok());
    let problem = problem(&inventory, "check");
    assert!(problem.contains("1.0.0: settings:"), "{problem}");
}

#[tokio::test]
async fn a_filter_that_is_not_there_is_named_with_those_that_are() {
    let mut rig = Rig::new(in_chain("check", json!({})));
    rig.put("other", atoll_test_plugins::FILTER);
    rig.library.refresh().await;
    let chain = rig.library.inventory().chain;
    let reason = chain[0].as_ref().unwrap_err();
    assert!(reason.contains("known: other"), "{reason}");
}

/// The test dialect imports every interface: more than a dropped file may have.
#[tokio::test]
async fn wishes_are_refused_until_accepted_and_can_be_taken_back() {
    let wasm = atoll_test_plugins::DIALECT;
    let mut rig = Rig::running(|_| {}).await;
    rig.put("greedy", wasm);
    let inventory = rig.look().await;
    let reason = problem(&inventory, "greedy");
    let command = "atoll plugin grant greedy kv metrics tokenizer";
    assert!(reason.contains(command), "{reason}");

    rig.pin("greedy", wasm, vec![Grant::Kv, Grant::Metrics]);
    let inventory = rig.look().await;
    assert!(problem(&inventory, "greedy").contains("grant greedy tokenizer"));

    rig.pin(
        "greedy",
        wasm,
        vec![Grant::Kv, Grant::Metrics, Grant::Tokenizer],
    );
    let inventory = rig.look().await;
    assert_eq!(problem(&inventory, "greedy"), "none");
    assert_eq!(
        listed(&inventory, "greedy").standing,
        Some(Standing::Pinned)
    );

    rig.pin("greedy", wasm, vec![]);
    let inventory = rig.look().await;
    assert!(
        listed(&inventory, "greedy").info.is_none(),
        "revoked is retired"
    );
    assert!(problem(&inventory, "greedy").contains("not granted"));
}

/// Accepted once is not accepted for ever: the new file may be somebody else's.
#[tokio::test]
async fn a_pinned_file_that_changes_is_refused_until_accepted() {
    let mut rig = Rig::running(|_| {}).await;
    let (old, new) = (dialect("a", "1.0.0", "/a"), dialect("a", "1.1.0", "/a"));
    rig.put("a", &old);
    rig.pin("a", &old, vec![]);
    rig.look().await;
    rig.put("a", &new);
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.0.0"));
    assert!(problem(&inventory, "a").contains("atoll plugin update a"));
    rig.pin("a", &new, vec![]);
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.1.0"));
}

#[tokio::test]
async fn dropping_can_be_turned_off() {
    let wasm = dialect("a", "1.0.0", "/a");
    let mut rig = Rig::running(|options| options.trust.pinned_only = true).await;
    rig.put("a", &wasm);
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/a"), None);
    assert!(problem(&inventory, "a").contains("atoll plugin update a"));
    rig.pin("a", &wasm, vec![]);
    assert!(serves(&rig.look().await, "/a").is_some());
}

#[tokio::test]
async fn with_trusted_keys_an_unsigned_file_is_refused() {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let mut rig = Rig::running(|options| options.trust.keys.push(key.to_owned())).await;
    rig.put("a", &dialect("a", "1.0.0", "/a"));
    assert!(problem(&rig.look().await, "a").contains("not signed"));
    std::fs::write(rig.folder.join("a.wasm.minisig"), "nonsense").unwrap();
    assert!(problem(&rig.look().await, "a").contains("no minisign signature"));
}

/// A lock file nobody can read pins nothing, but it does not unpin anything either.
#[tokio::test]
async fn a_damaged_lock_file_leaves_everything_as_it_is() {
    let mut rig = Rig::running(|_| {}).await;
    let wasm = dialect("a", "1.0.0", "/a");
    rig.put("a", &wasm);
    rig.pin("a", &wasm, vec![]);
    rig.look().await;
    replace(&rig.lock, b"version = 7");
    rig.put("a", &dialect("a", "6.6.6", "/a"));
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.0.0"));
    assert!(problem(&inventory, "plugins").contains("written by another Atoll"));
    std::fs::remove_file(&rig.lock).unwrap();
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("6.6.6"));
}

/// The kind of entry the sandbox of a folder does not protect from, in a running host.
#[cfg(unix)]
#[tokio::test]
async fn links_into_the_folder_are_refused() {
    let mut rig = Rig::running(|_| {}).await;
    let outside = rig.folder.parent().unwrap().join("outside");
    std::fs::write(&outside, dialect("a", "1.0.0", "/a")).unwrap();
    std::os::unix::fs::symlink(&outside, rig.path("soft")).unwrap();
    std::fs::hard_link(&outside, rig.path("hard")).unwrap();
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/a"), None);
    assert!(problem(&inventory, "soft").contains("symbolic link"));
    assert!(problem(&inventory, "hard").contains("hard link"));
}

/// The configuration grants to a name. A file that was dropped under it is not what was meant: another could be
/// dropped over it.
#[tokio::test]
async fn a_dropped_file_does_not_have_what_the_configuration_grants_to_its_name() {
    let terms = Terms {
        grants: Grant::all_local(),
        ..Terms::default()
    };
    let configured = |options: &mut LibraryOptions| {
        options.terms.insert("api".to_owned(), terms);
    };
    let mut rig = Rig::running(configured).await;
    rig.put("api", atoll_test_plugins::DIALECT);
    let inventory = rig.look().await;
    let said = problem(&inventory, "api");
    assert!(said.contains("atoll plugin grant api"), "{said}");
    // Accepted as it is, it has what the configuration says.
    rig.pin("api", atoll_test_plugins::DIALECT, vec![]);
    let inventory = rig.look().await;
    let api = listed(&inventory, "api");
    assert_eq!(api.problem, None);
    assert!(api.info.as_ref().unwrap().grants.contains(&Grant::Kv));
}
