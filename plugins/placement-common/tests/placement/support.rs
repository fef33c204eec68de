//! Clusters and models to plan for.

use atoll_sdk::placement::{
    Executor, LayerFacts, Link, ModelFacts, Node, Objective, Options, Topology,
};

pub fn node(index: usize, memory: u64, executors: &[(&str, f64, f64, f64)]) -> Node {
    Node {
        id: format!("n{index}"),
        name: format!("node-{index}"),
        memory_total: memory,
        memory_free: memory,
        executors: executors
            .iter()
            .map(|&(kind, bandwidth, rate, overhead)| Executor {
                kind: kind.to_owned(),
                memory_bandwidth: bandwidth,
                matrix_rate: rate,
                layer_overhead: overhead,
            })
            .collect(),
        weights_present: 0,
        ext: None,
    }
}

pub fn link(from: usize, to: usize, latency: f64, bandwidth: f64) -> Link {
    Link {
        source: format!("n{from}"),
        target: format!("n{to}"),
        latency,
        bandwidth,
        kind: "ethernet".to_owned(),
    }
}

/// Every node to every other, all the same.
pub fn full_mesh(nodes: Vec<Node>, latency: f64, bandwidth: f64) -> Topology {
    let count = nodes.len();
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    Topology {
        links: pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| link(from, to, latency, bandwidth))
            .collect(),
        nodes,
    }
}

pub fn layer(weights: u64, active: u64, kv: u64) -> LayerFacts {
    LayerFacts {
        weight_bytes: weights,
        active_bytes: active,
        kv_bytes_per_position: kv,
    }
}

pub fn model(layers: Vec<LayerFacts>, hidden: u32, group_sizes: &[u32]) -> ModelFacts {
    ModelFacts {
        name: "m".to_owned(),
        layers,
        embedding_bytes: 0,
        head_bytes: 0,
        hidden_size: hidden,
        kv_heads: 8,
        tensor_parallel_sizes: group_sizes.to_vec(),
        activation_bytes: 1,
        ext: None,
    }
}

pub fn options(objective: Objective, kv_positions: u64) -> Options {
    Options {
        objective,
        kv_positions,
        max_stages: None,
        excluded: Vec::new(),
        ext: None,
    }
}
