use std::collections::HashSet;

use atoll_cluster::placement::{
    Executor, Link, Options, Placement as Placed, Topology, check, model_facts, place,
};
use atoll_cluster::plan::Needs;
use atoll_engine::model::ModelSpec;
use atoll_plugin_runtime::{
    CallLimits, Grant, LoadPolicy, PluginRuntime, PluginSource, RuntimeOptions,
};
use proptest::prelude::*;

use super::*;
use crate::config::strategies::PinnedStage;

const LAYERS: usize = 12;

fn needs() -> Needs {
    let config = format!(
        r#"{{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": {LAYERS}, "num_attention_heads": 2, "num_key_value_heads": 1,
        "vocab_size": 64, "max_position_embeddings": 128, "rms_norm_eps": 1e-5}}"#
    );
    Needs {
        spec: ModelSpec::from_config(config.as_bytes()).unwrap(),
        kv_positions: 64,
        kv_value_bytes: 2,
    }
}

fn id(index: usize) -> String {
    format!("{index:032x}")
}

/// Nodes of different speed and memory, all linked.
fn request(memory: &[u64]) -> PlacementRequest {
    let node = |(index, &memory): (usize, &u64)| Node {
        id: id(index),
        name: format!("node-{index}"),
        memory_total: memory,
        memory_free: memory,
        executors: vec![Executor {
            kind: "cpu".to_owned(),
            memory_bandwidth: 1e9 * (index + 1) as f64,
            matrix_rate: 1e12,
            layer_overhead: 0.0,
        }],
        ..Node::default()
    };
    let count = memory.len();
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let links = pairs
        .filter(|(from, to)| from != to)
        .map(|(from, to)| Link {
            source: id(from),
            target: id(to),
            latency: 1e-4,
            bandwidth: 1e9,
            kind: "loopback".to_owned(),
        });
    PlacementRequest {
        topology: Topology {
            links: links.collect(),
            nodes: memory.iter().enumerate().map(node).collect(),
        },
        model: model_facts("m", &needs(), 4),
        options: Options::default(),
        previous: None,
    }
}

async fn registry(placement: CallLimits) -> Registry {
    let options = RuntimeOptions {
        max_instances: 4,
        placement,
        ..RuntimeOptions::default()
    };
    let plugins = PluginRuntime::new(options).unwrap();
    let mut loaded = Vec::new();
    for name in ["auto", "spread", "pack", "single"] {
        let bundled = atoll_bundled_plugins::find(name).unwrap();
        let source = PluginSource::Bytes {
            name: name.to_owned(),
            wasm: Arc::from(bundled.wasm),
        };
        let policy = LoadPolicy {
            grants: Grant::all_local(),
            ..LoadPolicy::default()
        };
        loaded.push(plugins.load(source, policy).await.unwrap());
    }
    Registry::new(loaded).unwrap()
}

fn wanted(strategy: &str) -> PlacementConfig {
    PlacementConfig {
        strategy: Some(strategy.to_owned()),
        ..PlacementConfig::default()
    }
}

fn stages(placed: &Placed) -> Vec<(String, usize)> {
    let stages = placed.proposal.stages.iter();
    stages
        .map(|stage| (stage.nodes[0].clone(), (stage.end - stage.first) as usize))
        .collect()
}

#[tokio::test]
async fn each_strategy_places_and_is_swapped_by_the_configuration() {
    let slot = PlacementSlot::new();
    let registry = registry(RuntimeOptions::default().placement).await;
    let needs = needs();
    let whole = needs.bytes(0..LAYERS) + (1 << 20);
    // The last is the fastest, the first the smallest that holds it.
    let request = request(&[whole, 2 * whole, 3 * whole]);
    for (strategy, expected) in [
        ("auto", vec![(id(2), LAYERS)]),
        ("pack", vec![(id(0), LAYERS)]),
        ("spread", vec![(id(2), 6), (id(1), 4), (id(0), 2)]),
        ("single", vec![(id(2), LAYERS)]),
    ] {
        slot.apply(&wanted(strategy), &registry);
        let placed = place(&[slot.as_ref()], &request, &needs).await.unwrap();
        assert_eq!(placed.fallback, None);
        assert_eq!(placed.strategy, strategy);
        assert_eq!(stages(&placed), expected, "{strategy}");
        assert!(placed.proposal.predicted_throughput > 0.0);
    }
    slot.apply(&PlacementConfig::default(), &registry);
    assert!(slot.standing().in_force.starts_with("auto"));
}

#[tokio::test]
async fn a_strategy_that_faults_or_is_missing_costs_nobody_a_model() {
    let nothing = CallLimits {
        output_bytes: 0,
        output_per_input: 0,
        ..RuntimeOptions::default().placement
    };
    let registry = registry(nothing).await;
    let slot = PlacementSlot::new();
    let needs = needs();
    let request = request(&[needs.bytes(0..LAYERS) + (1 << 20)]);
    slot.apply(&wanted("auto"), &registry);
    let placed = place(&[slot.as_ref()], &request, &needs).await.unwrap();
    assert_eq!(placed.strategy, "proportional");
    assert!(placed.fallback.unwrap().contains("auto"));
    assert_eq!(slot.standing().faults, 1);
    slot.apply(&wanted("fair"), &registry);
    let placed = place(&[slot.as_ref()], &request, &needs).await.unwrap();
    assert_eq!(placed.strategy, "proportional");
    assert!(slot.standing().problem.unwrap().contains("`fair`"));
}

#[tokio::test]
async fn a_pin_counts_if_it_fits() {
    let slot = PlacementSlot::new();
    let registry = registry(RuntimeOptions::default().placement).await;
    let needs = needs();
    let whole = needs.bytes(0..LAYERS) + (1 << 20);
    let request = request(&[whole, whole]);
    let pin = |layers: [u32; 2], second: &str| {
        let stages = [("node-1", layers[0]), (second, layers[1])];
        let stages = stages.map(|(node, layers)| PinnedStage {
            node: node.to_owned(),
            layers,
        });
        let pin = Pin {
            stages: stages.to_vec(),
        };
        PlacementConfig {
            pin: BTreeMap::from([("m".to_owned(), pin)]),
            ..PlacementConfig::default()
        }
    };
    let decide = async || {
        let pinned = slot.pin("m").unwrap();
        assert!(slot.pin("another").is_none());
        place(&[&pinned, slot.as_ref()], &request, &needs)
            .await
            .unwrap()
    };
    slot.apply(&pin([5, 7], &id(0)), &registry);
    let placed = decide().await;
    assert_eq!(stages(&placed), [(id(1), 5), (id(0), 7)]);
    assert_eq!(
        (placed.strategy.as_str(), placed.fallback),
        ("pinned", None)
    );
    for (layers, second) in [([5, 6], "node-0"), ([5, 7], "elsewhere")] {
        slot.apply(&pin(layers, second), &registry);
        let placed = decide().await;
        assert_eq!(stages(&placed), [(id(1), LAYERS)], "the strategy's own");
        assert_eq!(placed.strategy, "auto");
        assert!(placed.candidates[0].refused.is_some());
        assert!(placed.fallback.unwrap().contains("strategy pinned"));
    }
}

#[tokio::test]
async fn what_is_to_be_best_is_asked_for() {
    let slot = PlacementSlot::new();
    let registry = registry(RuntimeOptions::default().placement).await;
    let needs = needs();
    let whole = needs.bytes(0..LAYERS) + (1 << 20);
    let mut request = request(&[whole, whole]);
    // One of two equal nodes for one sequence, both for many.
    request.topology.nodes[1].executors[0].memory_bandwidth = 1e9;
    for link in &mut request.topology.links {
        link.latency = 0.0;
    }
    for (objective, count) in [(Objective::Latency, 1), (Objective::Throughput, 2)] {
        let config = PlacementConfig {
            objective,
            ..PlacementConfig::default()
        };
        slot.apply(&config, &registry);
        request.options.objective = slot.objective();
        let placed = place(&[slot.as_ref()], &request, &needs).await.unwrap();
        assert_eq!(stages(&placed).len(), count, "{objective:?}");
    }
}

/// A plan as a hostile plugin might make it: every field nearly right, or not at all.
fn hostile() -> impl Strategy<Value = ProposedPlan> {
    let edge = prop_oneof![0_u32..14, Just(u32::MAX), Just(LAYERS as u32)];
    let node = prop_oneof![
        (0_usize..5).prop_map(id),
        Just(String::new()),
        "[a-f0-9]{32}",
        Just("node-0".to_owned()),
    ];
    let executor = prop_oneof![4 => Just("cpu".to_owned()), 1 => Just("gpu".to_owned())];
    let nodes = prop::collection::vec(node, 0..3);
    let stage = (edge.clone(), edge, nodes, executor);
    let number = prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-1.0)
    ];
    let wild = prop::collection::vec(stage, 0..5).prop_map(|stages| {
        let stages = stages.into_iter();
        stages
            .map(|(first, end, nodes, executor)| ProposedStage {
                first,
                end,
                nodes,
                executor,
            })
            .collect::<Vec<_>>()
    });
    // Ranges that are right, on any nodes: only memory can speak against many of them.
    let cuts = prop::collection::btree_set(1_u32..LAYERS as u32, 0..4);
    let right = (cuts, Just((0..5).collect::<Vec<usize>>()).prop_shuffle());
    let right = right.prop_map(|(cuts, nodes)| {
        let ends: Vec<u32> = cuts.into_iter().chain([LAYERS as u32]).collect();
        let mut first = 0;
        let stages = ends.iter().zip(nodes).map(|(&end, node)| {
            let stage = ProposedStage {
                first,
                end,
                nodes: vec![id(node)],
                executor: "cpu".to_owned(),
            };
            first = end;
            stage
        });
        stages.collect::<Vec<_>>()
    });
    let stages = prop_oneof![wild, right];
    (stages, number.clone(), number).prop_map(|(stages, latency, throughput)| ProposedPlan {
        stages,
        predicted_latency: latency,
        predicted_throughput: throughput,
        explanation: "trust me".to_owned(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_plan_that_does_not_fit_is_ever_accepted(
        plan in hostile(),
        shares in prop::collection::vec(0_u64..150, 1..5),
        excluded in prop::option::of(0_usize..4),
        limit in prop::option::of(1_u32..4),
    ) {
        let needs = needs();
        let memory: Vec<u64> = shares
            .iter()
            .map(|share| needs.bytes(0..LAYERS) * share / 100)
            .collect();
        let mut request = request(&memory);
        request.options.excluded.extend(excluded.map(id));
        request.options.max_stages = limit;
        let Ok(accepted) = check(&plan, &request, &needs) else { return Ok(()) };
        // Everything again, straight from the proposal and the topology.
        let mut next = 0;
        let mut used = HashSet::new();
        for stage in &plan.stages {
            prop_assert_eq!(stage.first as usize, next);
            prop_assert!(stage.end > stage.first);
            next = stage.end as usize;
            prop_assert_eq!(stage.nodes.len(), 1);
            let node = request.topology.nodes.iter().find(|node| node.id == stage.nodes[0]);
            let node = node.expect("a node that is there");
            prop_assert!(used.insert(&node.id), "twice");
            prop_assert!(!request.options.excluded.contains(&node.id));
            prop_assert!(node.executors.iter().any(|executor| executor.kind == stage.executor));
            prop_assert!(needs.bytes(stage.first as usize..next) <= node.memory_free);
        }
        prop_assert_eq!(next, LAYERS);
        prop_assert!(limit.is_none_or(|limit| plan.stages.len() <= limit as usize));
        prop_assert_eq!(accepted.stages.len(), plan.stages.len());
    }
}
