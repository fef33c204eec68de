//! What does not get in, and what its owner is told.

use atoll_plugin_runtime::{
    Breach, FaultKind, Grant, LoadPolicy, LoadedPlugin, PluginError, PluginRuntime, PluginSource,
    Registry, RuntimeOptions,
};
use serde_json::json;

use crate::handmade::HandMade;
use crate::support::{bytes, granted, healthy, load_dialect, options, runtime};

async fn refusal(runtime: &PluginRuntime, wasm: &[u8], policy: LoadPolicy) -> PluginError {
    runtime
        .load(bytes("candidate", wasm), policy)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn an_import_that_was_not_granted_is_named() {
    let runtime = runtime();
    let all_but_kv = LoadPolicy {
        grants: Grant::all_local()
            .into_iter()
            .filter(|grant| *grant != Grant::Kv)
            .collect(),
        ..LoadPolicy::default()
    };
    let error = refusal(&runtime, atoll_test_plugins::DIALECT, all_but_kv).await;
    assert!(
        matches!(&error, PluginError::NotGranted { missing, .. } if missing == &["kv"]),
        "{error}"
    );
    assert!(error.to_string().contains("not granted: kv"), "{error}");

    let error = refusal(&runtime, atoll_test_plugins::DIALECT, LoadPolicy::default()).await;
    let PluginError::NotGranted { missing, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        missing,
        [
            "clock",
            "config",
            "kv",
            "log",
            "metrics",
            "random",
            "tokenizer"
        ]
    );
}

#[tokio::test]
async fn files_that_are_no_plugin_are_told_what_they_are() {
    let runtime = runtime();
    let module = wat::parse_str("(module)").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let foreign = wat::parse_str(
        r#"(component (import "acme:db/sql" (instance)) (instance $i) (export "atoll:plugin/dialect-guest@0.1.0" (instance $i)))"#,
    )
    .unwrap();
    let later = wat::parse_str(
        r#"(component (instance $i) (export "atoll:plugin/dialect-guest@0.9.0" (instance $i)))"#,
    )
    .unwrap();
    for (wasm, expected) in [
        (&b""[..], "not a WebAssembly component"),
        (b"\x7fELF and more", "not a WebAssembly component"),
        (b"\0asm\x0d\0\x01\0garbage", "does not compile"),
        (&module, "a core module, not a component"),
        (
            &empty,
            "none of the worlds dialect, filter, placement, scheduling of atoll:plugin 0.1; it exports nothing",
        ),
        (
            &foreign,
            "it imports acme:db/sql, which this host does not provide",
        ),
        (&later, "it exports atoll:plugin/dialect-guest@0.9.0"),
    ] {
        let error = refusal(&runtime, wasm, granted()).await.to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("candidate"), "{error}");
    }
}

/// Native code is never an input, however it is called.
#[tokio::test]
async fn precompiled_code_is_refused() {
    let engine = wasmtime::Engine::default();
    let native = engine
        .precompile_component(&HandMade::default().build())
        .unwrap();
    let error = refusal(&runtime(), &native, granted()).await.to_string();
    assert!(error.contains("native code"), "{error}");
}

#[tokio::test]
async fn size_is_checked_before_anything_else() {
    let runtime = PluginRuntime::new(RuntimeOptions {
        max_component_bytes: 1000,
        ..options()
    })
    .unwrap();
    let error = refusal(&runtime, &HandMade::default().build(), granted())
        .await
        .to_string();
    assert!(error.contains("larger than the 1000 bytes"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.wasm");
    std::fs::write(&path, vec![0u8; 2000]).unwrap();
    let error = runtime
        .load(PluginSource::File(path), granted())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"big\": larger than"), "{error}");
    let error = runtime
        .load(PluginSource::File(folder.path().into()), granted())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("not a regular file"), "{error}");
    let error = runtime
        .load(PluginSource::File(folder.path().join("none")), granted())
        .await
        .unwrap_err();
    assert!(matches!(error, PluginError::Io { .. }), "{error}");
}

/// `describe` runs in an instance of its own under a tight budget, and so does the start function.
#[tokio::test]
async fn misbehaving_while_being_described_is_a_fault() {
    let runtime = runtime();
    let endless = "(loop $again (br $again)) unreachable";
    for (plugin, expected) in [
        (
            HandMade {
                describe: endless,
                ..HandMade::default()
            },
            FaultKind::Deadline,
        ),
        (
            HandMade {
                fields: "(func $start (loop $again (br $again))) (start $start)",
                ..HandMade::default()
            },
            FaultKind::Deadline,
        ),
        (
            HandMade {
                describe: "unreachable",
                ..HandMade::default()
            },
            FaultKind::Trap,
        ),
        (
            HandMade {
                describe: "i32.const -4",
                ..HandMade::default()
            },
            FaultKind::Contract(Breach::Encoding),
        ),
        (
            HandMade {
                name: vec![0xff, 0xfe],
                ..HandMade::default()
            },
            FaultKind::Contract(Breach::Encoding),
        ),
        (
            HandMade {
                name: vec![b'a'; 300_000],
                ..HandMade::default()
            },
            FaultKind::Trap,
        ),
    ] {
        // The oversized name does not fit the module's memory at all: its data segment traps.
        let error = refusal(&runtime, &plugin.build(), granted()).await;
        assert_eq!(error.fault().map(|f| f.kind), Some(expected), "{error}");
        assert!(error.to_string().contains("\"candidate\""), "{error}");
    }
    assert_eq!(runtime.free_instances(), 12);
}

#[tokio::test]
async fn descriptions_are_checked() {
    let runtime = runtime();
    for (plugin, expected) in [
        (
            HandMade {
                name: b"Hand Made".to_vec(),
                ..HandMade::default()
            },
            "its name \"Hand Made\"",
        ),
        (
            HandMade {
                version: "1",
                ..HandMade::default()
            },
            "not a semantic version",
        ),
        (
            HandMade {
                schema: "[1]",
                ..HandMade::default()
            },
            "must be a JSON object",
        ),
        (
            HandMade {
                method: "get",
                ..HandMade::default()
            },
            "method \"get\"",
        ),
        (
            HandMade {
                path: "/atoll/v1/plugins",
                ..HandMade::default()
            },
            "is the host's",
        ),
        (
            HandMade {
                path: "/{everything...}",
                ..HandMade::default()
            },
            "must start with a literal segment",
        ),
    ] {
        let error = refusal(&runtime, &plugin.build(), granted())
            .await
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn settings_are_checked_against_the_plugins_own_schema() {
    let schema = r#"{"type":"object","properties":{"limit":{"type":"integer","default":3}},"additionalProperties":false}"#;
    let wasm = HandMade {
        schema,
        ..HandMade::default()
    }
    .build();
    let runtime = runtime();
    let with = |settings| LoadPolicy {
        settings,
        ..granted()
    };
    runtime
        .load(bytes("x", &wasm), with(json!({ "limit": 5 })))
        .await
        .unwrap();
    let error = refusal(&runtime, &wasm, with(json!({ "limit": "many" })))
        .await
        .to_string();
    assert!(
        error.starts_with("plugin \"handmade\" 1.0.0: settings: /limit: "),
        "{error}"
    );
    let error = refusal(&runtime, &wasm, with(json!({ "limits": 5 })))
        .await
        .to_string();
    assert!(error.contains("limits"), "{error}");
}

#[tokio::test]
async fn a_route_belongs_to_whoever_came_first() {
    let runtime = runtime();
    let make = |name: &str, path: &'static str| {
        HandMade {
            name: name.as_bytes().to_vec(),
            path,
            ..HandMade::default()
        }
        .build()
    };
    let mut loaded = Vec::new();
    for (name, path) in [("first", "/a/{x}"), ("second", "/a/{y}"), ("third", "/a/b")] {
        loaded.push(
            runtime
                .load(bytes(name, &make(name, path)), granted())
                .await
                .unwrap(),
        );
    }
    let registry = Registry::new([loaded[0].clone(), loaded[2].clone()]).unwrap();
    let error = registry.with(loaded[1].clone()).unwrap_err().to_string();
    assert!(
        error.contains("\"second\"") && error.contains("belongs to plugin \"first\""),
        "{error}"
    );
    let found = registry
        .route("GET", "/a/c%20d", &http::HeaderMap::new())
        .unwrap();
    assert_eq!(
        (found.dialect.info().name.as_str(), found.params),
        ("first", vec![("x".into(), "c d".into())])
    );
    // When the first one leaves, the second may have the route.
    let without = Registry::new([loaded[2].clone()]).unwrap();
    without.with(loaded[1].clone()).unwrap();
}

/// A request for the head alone is one for GET to its dialect, unless the dialect has a route for it.
#[tokio::test]
async fn a_match_says_the_method_of_its_route() {
    let runtime = runtime();
    let mut loaded = Vec::new();
    for (name, method, path) in [("got", "GET", "/both"), ("asked", "HEAD", "/head")] {
        let plugin = HandMade {
            name: name.as_bytes().to_vec(),
            method,
            path,
            ..HandMade::default()
        };
        let load = runtime.load(bytes(name, &plugin.build()), granted());
        loaded.push(load.await.unwrap());
    }
    let registry = Registry::new(loaded).unwrap();
    for (path, method) in [("/both", "GET"), ("/head", "HEAD")] {
        let found = registry.route("HEAD", path, &http::HeaderMap::new());
        assert_eq!(found.unwrap().method, method, "{path}");
    }
}

/// A rejected plugin leaves nothing behind, and a good one loads after it.
#[tokio::test]
async fn a_bad_plugin_does_not_spoil_the_runtime() {
    let runtime = runtime();
    refusal(&runtime, b"\0asm\x0d\0\x01\0garbage", granted()).await;
    let dialect = load_dialect(&runtime, atoll_test_plugins::DIALECT).await;
    healthy(&dialect, 3).await;
    assert_eq!(runtime.metrics().len(), 1);
}

/// What the admin interface shows.
#[tokio::test]
async fn a_loaded_plugin_is_fully_described() {
    let runtime = PluginRuntime::new(RuntimeOptions {
        cache_dir: None,
        ..options()
    })
    .unwrap();
    let LoadedPlugin::Dialect(dialect) = runtime
        .load(bytes("file", atoll_test_plugins::DIALECT), granted())
        .await
        .unwrap()
    else {
        panic!("a dialect");
    };
    let shown = serde_json::to_value(dialect.info()).unwrap();
    for (key, value) in [
        ("name", json!("misbehaving")),
        ("version", json!("0.1.0")),
        ("world", json!("dialect")),
        ("contract", json!("0.1.0")),
        ("size_bytes", json!(atoll_test_plugins::DIALECT.len())),
        (
            "imports",
            json!([
                "clock",
                "config",
                "kv",
                "log",
                "metrics",
                "random",
                "tokenizer"
            ]),
        ),
        (
            "routes",
            json!([{ "method": "POST", "path": "/test/echo", "header": null }]),
        ),
        ("cached", json!(false)),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert_eq!(shown["sha256"].as_str().unwrap().len(), 64);
}
