//! What the shipped components import and export: the smallest set there can be.
//!
//! A component that imports an interface it does not use would need a grant for it, and one that
//! exports more than its own world's interface would be told apart wrongly. Both can happen silently
//! when bindings of several worlds are linked into one crate.

#![expect(
    clippy::unwrap_used,
    reason = "a test; its helper reads what the build just made"
)]

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload};

/// Names of the instances a component imports and exports at its top level.
fn interfaces(wasm: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(
                    section
                        .into_iter()
                        .map(|import| import.unwrap().name.name.to_owned()),
                );
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(
                    section
                        .into_iter()
                        .map(|export| export.unwrap().name.name.to_owned()),
                );
            }
            _ => {}
        }
    }
    (imports, exports)
}

/// The exported interface, and the host interfaces beyond `log` and `types`, of each plugin.
const EXPECTED: &[(&str, &str, &[&str])] = &[
    ("openai", "dialect-guest", &[]),
    ("openai-responses", "dialect-guest", &[]),
    ("claude", "dialect-guest", &["config", "kv", "random"]),
    ("ollama", "dialect-guest", &["clock"]),
    ("annotate", "filter-guest", &["config"]),
    ("redact-pii", "filter-guest", &["config"]),
];

#[test]
fn each_plugin_exports_its_world_and_imports_what_it_calls() {
    let name = |interface: &str| format!("atoll:plugin/{interface}@0.1.0");
    for (plugin, export, granted) in EXPECTED {
        let (imports, exports) = interfaces(atoll_bundled_plugins::find(plugin).unwrap().wasm);
        assert_eq!(exports, BTreeSet::from([name(export)]), "{plugin}");
        let ours: BTreeSet<String> = imports
            .iter()
            .filter(|name| !name.starts_with("wasi:"))
            .cloned()
            .collect();
        let expected: BTreeSet<String> = granted
            .iter()
            .chain(&["log", "types"])
            .map(|interface| name(interface))
            .collect();
        assert_eq!(ours, expected, "{plugin}");
        for authority in ["wasi:filesystem", "wasi:sockets", "wasi:http"] {
            assert!(
                !imports.iter().any(|name| name.starts_with(authority)),
                "{plugin}: {authority}"
            );
        }
    }
}
