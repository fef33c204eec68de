//! `kv` on disk: it survives versions and processes, and is one plugin's only.

use std::path::Path;
use std::sync::Arc;

use atoll_plugin_runtime::{
    Filter, Grant, LoadPolicy, LoadedPlugin, PluginRuntime, RuntimeOptions,
};

use crate::outward::{errand, load};
use crate::support::{bytes, dialect, options, prompt, request};

fn runtime_with(file: &Path) -> PluginRuntime {
    let runtime = PluginRuntime::new(options()).unwrap();
    runtime.keep_kv(file).unwrap();
    runtime
}

async fn counter(runtime: &PluginRuntime) -> Arc<Filter> {
    load(runtime, &["http-out:nowhere.test"]).await.unwrap()
}

#[tokio::test]
async fn a_counter_goes_on_after_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("kv.redb");
    for expected in ["1", "2", "3"] {
        let runtime = runtime_with(&file);
        let filter = counter(&runtime).await;
        assert_eq!(errand(&filter, "count visits").await, expected);
        // A plugin may outlive its runtime by a request.
        drop(runtime);
        drop(filter);
    }
}

/// A new version is another file of the same plugin: here the same code with a byte of padding.
#[tokio::test]
async fn a_counter_goes_on_after_a_swap() {
    let temp = tempfile::tempdir().unwrap();
    let runtime = runtime_with(&temp.path().join("kv.redb"));
    let first = counter(&runtime).await;
    assert_eq!(errand(&first, "count visits").await, "1");
    let mut wasm = atoll_test_plugins::OUTWARD.to_vec();
    // An empty custom section named "x".
    wasm.extend([0, 2, 1, b'x']);
    let policy = LoadPolicy {
        grants: [
            Grant::all_local(),
            vec![Grant::HttpOut(vec!["nowhere.test".into()])],
        ]
        .concat(),
        ..LoadPolicy::default()
    };
    let swapped = runtime.load(bytes("outward", &wasm), policy).await.unwrap();
    let LoadedPlugin::Filter(second) = swapped else {
        panic!("a filter");
    };
    assert_ne!(first.info().sha256, second.info().sha256);
    assert_eq!(errand(&second, "count visits").await, "2");
    assert_eq!(
        errand(&first, "count visits").await,
        "3",
        "a request under way shares it"
    );
}

/// Two plugins, one key: `facts` of the test dialect says whether it finds something under `k`.
#[tokio::test]
async fn plugins_do_not_share_a_store() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("kv.redb");
    for round in 1..=2 {
        let runtime = runtime_with(&file);
        let filter = counter(&runtime).await;
        assert_eq!(errand(&filter, "count k").await, round.to_string());
        let dialect = dialect(&runtime).await;
        let mut exchange = dialect.open(request("decode:facts")).await.unwrap();
        let operation = exchange.decode().await.unwrap().unwrap();
        let found = prompt(&operation).contains("before=true");
        assert_eq!(
            found,
            round == 2,
            "only what it stored itself, a process ago"
        );
    }
}

/// With a file and without one.
#[tokio::test]
async fn what_a_plugin_left_is_forgotten_only_when_nobody_uses_it() {
    let temp = tempfile::tempdir().unwrap();
    let in_memory = PluginRuntime::new(options()).unwrap();
    for runtime in [runtime_with(&temp.path().join("kv.redb")), in_memory] {
        let filter = counter(&runtime).await;
        assert_eq!(errand(&filter, "count visits").await, "1");
        let name = filter.info().name.clone();
        assert_eq!(runtime.stored()[&name].keys, 1);
        assert_eq!(runtime.forget(&name), None);
        assert_eq!(errand(&filter, "count visits").await, "2");
        drop(filter);
        assert_eq!(runtime.forget(&name).unwrap().keys, 1);
        assert!(runtime.stored().is_empty());
        assert!(runtime.forget("nobody").unwrap().is_empty());
        let filter = counter(&runtime).await;
        assert_eq!(errand(&filter, "count visits").await, "1");
    }
}

#[tokio::test]
async fn the_quota_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let runtime = PluginRuntime::new(RuntimeOptions {
        kv: atoll_plugin_runtime::KvLimits {
            value_bytes: 600,
            total_bytes: 1000,
            ..options().kv
        },
        ..options()
    })
    .unwrap();
    runtime.keep_kv(&temp.path().join("kv.redb")).unwrap();
    let filter = counter(&runtime).await;
    for (what, expected) in [
        ("keep a 601", "TooLarge"),
        ("keep a 600", "kept"),
        ("keep b 600", "TooLarge"),
        ("keep a 100", "kept"),
        ("keep b 600", "kept"),
    ] {
        assert_eq!(errand(&filter, what).await, expected, "{what}");
    }
}
