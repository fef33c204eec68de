//! Components built against contract 0.1.0, kept as bytes: each loads and does what it did.

use std::fs;
use std::path::PathBuf;

use atoll_plugin_runtime::{
    Grant, LoadPolicy, LoadedPlugin, PluginInfo, PluginRuntime, World, types,
};
use types::{placement, scheduling};

use crate::support::{bytes, finished, item_started, prompt, runtime, text};

const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/contract-0.1.0"
);

async fn load(runtime: &PluginRuntime, world: World) -> LoadedPlugin {
    let path = PathBuf::from(FIXTURES).join(format!("{world}.wasm"));
    let wasm = fs::read(path).unwrap();
    let mut grants = Grant::all_local();
    grants.push(Grant::HttpOut(vec!["a.example".into()]));
    let policy = LoadPolicy {
        grants,
        ..LoadPolicy::default()
    };
    let plugin = runtime.load(bytes("frozen", &wasm), policy).await.unwrap();
    let PluginInfo {
        name,
        contract,
        world: found,
        ..
    } = plugin.info();
    assert_eq!(
        (name.as_str(), contract.as_str(), *found),
        (format!("frozen-{world}").as_str(), "0.1.0", world)
    );
    plugin
}

#[tokio::test]
async fn a_dialect_still_answers() {
    let runtime = runtime();
    let LoadedPlugin::Dialect(dialect) = load(&runtime, World::Dialect).await else {
        panic!("a dialect")
    };
    let info = dialect.info();
    assert_eq!(
        info.imports,
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
    assert_eq!(info.routes.len(), 2);
    assert_eq!(info.routes[1].header.as_deref(), Some("x-frozen"));
    assert_eq!(info.wants[1].grant.to_string(), "http-out:a.example");
    let request = |body: &str| types::HttpRequest {
        path_params: vec![("model".into(), "m".into())],
        ..crate::support::request(body)
    };
    let mut exchange = dialect.open(request("hello there")).await.unwrap();
    let operation = exchange.decode().await.unwrap().unwrap();
    assert_eq!(prompt(&operation), "hello there");
    let types::Operation::Generate(generate) = operation else {
        panic!("a generation")
    };
    assert_eq!((generate.model.as_str(), generate.stop.len()), ("m", 1));
    assert_eq!(generate.sampling.logit_bias, [(7, -1.5)]);
    assert_eq!(
        generate.ext.as_deref(),
        Some(r#"clock=true random=true settings={"greeting":"hello"} kv=true tokenizer=true"#)
    );
    assert_eq!(exchange.head().await.unwrap().status, 200);
    let first = exchange.encode(&[item_started(), text("Hi ")]).await;
    let last = exchange.encode(&[text("you"), finished()]).await;
    assert_eq!(first.unwrap().unwrap(), b"HI ");
    assert_eq!(last.unwrap().unwrap(), b"YOU|1");
    let counted = exchange.reply(&types::OperationResult::TokenCount(7)).await;
    assert_eq!(counted.unwrap().unwrap().body, b"7");

    let mut exchange = dialect.open(request("")).await.unwrap();
    let refused = exchange.decode().await.unwrap().unwrap_err();
    assert_eq!(refused.kind, types::ErrorKind::MissingArgument);
    let said = exchange.fail(&refused).await.unwrap();
    assert_eq!(
        (said.head.status, said.body),
        (400, b"There is no body.".to_vec())
    );
}

#[tokio::test]
async fn a_filter_still_filters() {
    let runtime = runtime();
    let LoadedPlugin::Filter(filter) = load(&runtime, World::Filter).await else {
        panic!("a filter")
    };
    assert!(filter.sees_requests() && filter.sees_events());
    assert_eq!(filter.info().max_held_bytes, Some(8));
    let context = || types::FilterContext {
        request_id: "req-1".into(),
        dialect: "openai".into(),
        model: "m".into(),
        key_name: Some("laptop".into()),
        conversation: None,
        ext: None,
    };
    // The frozen dialect makes the request: the two are of one contract.
    let LoadedPlugin::Dialect(dialect) = load(&runtime, World::Dialect).await else {
        panic!("a dialect")
    };
    let asking = async |body: &str| {
        let mut exchange = dialect.open(crate::support::request(body)).await.unwrap();
        exchange.decode().await.unwrap().unwrap()
    };
    let mut session = filter.open(context()).await.unwrap().unwrap();
    let verdict = session.on_request(&asking("a secret word").await).await;
    let types::Verdict::Replace(replaced) = verdict.unwrap().unwrap() else {
        panic!("a replacement")
    };
    assert_eq!(prompt(&replaced), "a ****** word");
    let found = session.findings().await.unwrap();
    assert_eq!((found[0].start, found[0].end), (2, 8));
    let events = session.on_events(vec![item_started(), text("LOUD")]).await;
    assert_eq!(events.unwrap().unwrap(), [item_started(), text("loud")]);

    let mut session = filter.open(context()).await.unwrap().unwrap();
    let refused = session.on_request(&asking("blocked").await).await;
    let refused = refused.unwrap().unwrap_err();
    assert_eq!(refused.kind, types::ErrorKind::Blocked);
    assert_eq!(refused.message, "blocked for openai, forbidden=true");
}

#[tokio::test]
async fn strategies_still_decide() {
    let runtime = runtime();
    let LoadedPlugin::Placement(strategy) = load(&runtime, World::Placement).await else {
        panic!("a placement strategy")
    };
    let node = placement::Node {
        id: "n1".into(),
        name: "one".into(),
        memory_total: 8,
        memory_free: 4,
        executors: vec![placement::Executor {
            kind: "cpu".into(),
            memory_bandwidth: 1.0,
            matrix_rate: 1.0,
            layer_overhead: 0.0,
        }],
        weights_present: 0,
        ext: None,
    };
    let topology = |nodes| placement::Topology {
        nodes,
        links: vec![],
    };
    let model = placement::ModelFacts {
        name: "m".into(),
        layers: vec![
            placement::LayerFacts {
                weight_bytes: 1,
                active_bytes: 1,
                kv_bytes_per_position: 1,
            };
            3
        ],
        embedding_bytes: 1,
        head_bytes: 1,
        hidden_size: 8,
        kv_heads: 1,
        tensor_parallel_sizes: vec![1],
        activation_bytes: 2,
        ext: None,
    };
    let options = placement::Options {
        objective: placement::Objective::Throughput,
        kv_positions: 100,
        max_stages: None,
        excluded: vec![],
        ext: None,
    };
    let plans = strategy
        .propose(&topology(vec![node]), &model, &options, None)
        .await
        .unwrap()
        .unwrap();
    let [plan] = plans.as_slice() else {
        panic!("{plans:?}")
    };
    assert_eq!((plan.stages[0].first, plan.stages[0].end), (0, 3));
    assert_eq!(plan.stages[0].nodes, ["n1"]);
    assert_eq!(
        plan.explanation,
        "0 links, 100 positions, throughput true, previous false"
    );
    let empty = topology(vec![]);
    let nowhere = strategy.propose(&empty, &model, &options, Some(plan)).await;
    let refused = nowhere.unwrap().unwrap_err();
    assert_eq!(refused.message, "There is no node.");

    let LoadedPlugin::Scheduling(strategy) = load(&runtime, World::Scheduling).await else {
        panic!("a scheduling strategy")
    };
    let waiting = |id, key_name: &str| scheduling::WaitingRequest {
        id,
        key_name: key_name.into(),
        priority: 0,
        prompt_tokens: 1,
        cached_tokens: 0,
        max_output_tokens: 1,
        waited_ms: 0,
        ext: None,
    };
    let load = |max_running| scheduling::Load {
        running: 0,
        max_running,
        free_blocks: 1,
        total_blocks: 1,
        recent: vec![("laptop".into(), 5)],
    };
    let asking = [waiting(1, "laptop"), waiting(2, "")];
    let order = strategy.order(&asking, &load(4)).await;
    assert_eq!(
        order.unwrap().unwrap(),
        [
            scheduling::Decision::Admit(1),
            scheduling::Decision::Reject(2)
        ]
    );
    let full = strategy.order(&[], &load(0)).await.unwrap().unwrap_err();
    assert_eq!(full.retry_after_ms, Some(1000));
}

/// The copy of the contract that the components were built against is the contract: whoever changes one of
/// its files has to say so here, and, once it is released, makes a new version instead.
#[test]
fn the_contract_is_the_one_they_were_built_against() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"));
    let frozen = PathBuf::from(FIXTURES).join("wit");
    let names = |folder: &PathBuf| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&root), names(&frozen));
    // What is said in comments may be said better.
    let shape = |path: PathBuf| -> String {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().map(str::trim);
        lines.filter(|line| !line.starts_with("//")).collect()
    };
    for name in names(&root) {
        assert_eq!(
            shape(root.join(&name)),
            shape(frozen.join(&name)),
            "{} is not what it was: build the components of {FIXTURES} anew, or make a new version",
            name.display()
        );
    }
}
