//! Placement and scheduling strategies: recognised by their exports, called as functions.

use atoll_plugin_runtime::{FaultKind, Grant, LoadPolicy, LoadedPlugin, World, types::scheduling};

use crate::handmade::{componentize, componentize_own, escape};
use crate::support::{bytes, fault, runtime};

/// A scheduling strategy that admits request 7 and rejects request 8, or runs `order` instead.
fn scheduling_component(order: &str) -> Vec<u8> {
    componentize("scheduling", &scheduling_module("", order))
}

fn scheduling_module(imports: &str, order: &str) -> String {
    let words = |words: &[u32]| {
        escape(
            &words
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect::<Vec<u8>>(),
        )
    };
    // name, version, summary, schema; no wants, no ext.
    let descriptor = words(&[1024, 4, 1028, 5, 1033, 1, 1034, 2, 0, 0, 0, 0, 0]);
    // Ok of a list of two at 400; decisions are a case, then 64 bits.
    let decided = words(&[0, 0, 400, 2]);
    let decisions = words(&[0, 0, 7, 0, 1, 0, 8, 0]);
    format!(
        r#"(module
          {imports}
          (memory (export "memory") 1)
          (data (i32.const 64) "{descriptor}")
          (data (i32.const 320) "{decided}")
          (data (i32.const 400) "{decisions}")
          (data (i32.const 1024) "fair1.0.0.{{}}")
          (global $heap (mut i32) (i32.const 8192))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
            (global.get $heap)
            (global.set $heap (i32.add (global.get $heap) (local.get 3))))
          (func (export "{P}#describe") (result i32) i32.const 64)
          (func (export "{P}#order") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {order}))"#,
        P = "atoll:plugin/scheduling-guest@0.1.0",
    )
}

fn load() -> scheduling::Load {
    scheduling::Load {
        running: 1,
        max_running: 8,
        free_blocks: 10,
        total_blocks: 20,
        recent: vec![("key".into(), 5)],
    }
}

fn waiting(id: u64) -> scheduling::WaitingRequest {
    scheduling::WaitingRequest {
        id,
        key_name: String::new(),
        priority: 0,
        prompt_tokens: 1,
        cached_tokens: 0,
        max_output_tokens: 1,
        waited_ms: 0,
        ext: None,
    }
}

#[tokio::test]
async fn a_scheduling_strategy_decides() {
    let runtime = runtime();
    let wasm = scheduling_component("i32.const 320");
    let plugin = runtime
        .load(bytes("fair", &wasm), LoadPolicy::default())
        .await
        .unwrap();
    assert_eq!(plugin.info().world, World::Scheduling);
    let LoadedPlugin::Scheduling(strategy) = plugin else {
        panic!("a scheduling strategy")
    };
    let decisions = strategy
        .order(&[waiting(7), waiting(8)], &load())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        decisions,
        [
            scheduling::Decision::Admit(7),
            scheduling::Decision::Reject(8)
        ]
    );
}

#[tokio::test]
async fn a_strategy_that_never_ends_is_stopped() {
    let runtime = runtime();
    let wasm = scheduling_component("(loop $again (br $again)) unreachable");
    let plugin = runtime
        .load(bytes("fair", &wasm), LoadPolicy::default())
        .await
        .unwrap();
    let LoadedPlugin::Scheduling(strategy) = plugin else {
        panic!("a scheduling strategy")
    };
    assert_eq!(
        fault(strategy.order(&[], &load()).await),
        FaultKind::Deadline
    );
    assert_eq!(runtime.free_instances(), 12);
}

#[tokio::test]
async fn a_placement_strategy_is_recognised() {
    let text = r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "atoll:plugin/placement-guest@0.1.0#describe") (result i32) unreachable)
        (func (export "atoll:plugin/placement-guest@0.1.0#propose") (param i32) (result i32) unreachable))"#;
    let wasm = componentize("placement", text);
    let outcome = runtime()
        .load(bytes("x", &wasm), LoadPolicy::default())
        .await;
    // Far enough to be described, which this one cannot.
    assert_eq!(fault(outcome), FaultKind::Trap);
}

/// Its world has neither clock nor network; one that its author wrote with them does not load, whatever it
/// was granted.
#[tokio::test]
async fn a_strategy_is_a_function_of_its_input() {
    let runtime = runtime();
    let policy = || LoadPolicy {
        grants: Grant::all_local(),
        ..LoadPolicy::default()
    };
    let export = "export atoll:plugin/scheduling-guest@0.1.0;";
    let with = |import: &str, function: &str| {
        let world = format!("import atoll:plugin/{import}@0.1.0; {export}");
        let import = format!(r#"(import "atoll:plugin/{import}@0.1.0" {function})"#);
        componentize_own(&world, &scheduling_module(&import, "i32.const 320"))
    };
    let clock = with("clock", r#""now-ms" (func (result i64))"#);
    let error = runtime.load(bytes("fair", &clock), policy()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("it cannot import clock"), "{error}");
    let log = with("log", r#""write" (func (param i32 i32 i32))"#);
    runtime.load(bytes("fair", &log), policy()).await.unwrap();
}
