//! A placement strategy: all layers on the one node with the most free memory.
//!
//! Build it with `atoll plugin build`, or by hand with
//! `cargo build --release --target wasm32-wasip2`.

#![forbid(unsafe_code)]

use atoll_sdk::placement::{ModelFacts, Options, Placement, Plan, Stage, Topology};
use atoll_sdk::types::{Descriptor, Error};

struct OneNode;

impl Placement for OneNode {
    fn describe() -> Descriptor {
        Descriptor::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Everything on the roomiest node.",
        )
    }

    fn propose(
        topology: Topology,
        model: ModelFacts,
        options: Options,
        _previous: Option<Plan>,
    ) -> Result<Vec<Plan>, Error> {
        let mut nodes = topology.nodes;
        nodes.retain(|node| !options.excluded.contains(&node.id) && !node.executors.is_empty());
        // By name where they are equal, so that the same input gives the same plan.
        nodes.sort_by(|a, b| (b.memory_free, &a.id).cmp(&(a.memory_free, &b.id)));
        let end = u32::try_from(model.layers.len())
            .map_err(|_| Error::invalid("model.layers", "There are too many layers."))?;
        let plans = nodes.into_iter().filter_map(|node| {
            let executor = node.executors.into_iter().next()?;
            let bytes: u64 = model.layers.iter().map(|layer| layer.active_bytes).sum();
            let latency = bytes as f64 / executor.memory_bandwidth;
            Some(Plan {
                stages: vec![Stage {
                    first: 0,
                    end,
                    nodes: vec![node.id],
                    executor: executor.kind,
                }],
                predicted_latency: latency,
                predicted_throughput: 1.0 / latency,
                explanation: format!("{} has {} bytes free.", node.name, node.memory_free),
            })
        });
        Ok(plans.collect())
    }
}

atoll_sdk::export_placement!(OneNode);

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_sdk::placement::{Executor, LayerFacts, Node, Objective};

    fn node(id: &str, memory_free: u64) -> Node {
        Node {
            id: id.to_owned(),
            name: id.to_owned(),
            memory_total: 100,
            memory_free,
            executors: vec![Executor {
                kind: "cpu".to_owned(),
                memory_bandwidth: 10.0,
                matrix_rate: 1.0,
                layer_overhead: 0.0,
            }],
            weights_present: 0,
            ext: None,
        }
    }

    fn model(layers: usize) -> ModelFacts {
        let layer = LayerFacts {
            weight_bytes: 10,
            active_bytes: 10,
            kv_bytes_per_position: 1,
        };
        ModelFacts {
            name: "m".to_owned(),
            layers: vec![layer; layers],
            embedding_bytes: 1,
            head_bytes: 1,
            hidden_size: 1,
            kv_heads: 1,
            tensor_parallel_sizes: vec![1],
            activation_bytes: 2,
            ext: None,
        }
    }

    fn nodes_of(topology: Vec<Node>, excluded: &[&str]) -> Vec<String> {
        let topology = Topology {
            nodes: topology,
            links: Vec::new(),
        };
        let options = Options {
            objective: Objective::Latency,
            kv_positions: 1,
            max_stages: None,
            excluded: excluded.iter().map(|&id| id.to_owned()).collect(),
            ext: None,
        };
        let plans = OneNode::propose(topology, model(3), options, None).unwrap();
        for plan in &plans {
            assert_eq!((plan.stages[0].first, plan.stages[0].end), (0, 3));
            assert!((plan.predicted_latency - 3.0).abs() < 1e-9);
        }
        let chosen = plans.into_iter().map(|plan| plan.stages[0].nodes.join(","));
        chosen.collect()
    }

    #[test]
    fn the_roomiest_node_comes_first_and_excluded_ones_never() {
        let nodes = || vec![node("small", 10), node("big", 90), node("also-big", 90)];
        assert_eq!(nodes_of(nodes(), &[]), ["also-big", "big", "small"]);
        assert_eq!(nodes_of(nodes(), &["also-big"]), ["big", "small"]);
        assert_eq!(nodes_of(Vec::new(), &[]), Vec::<String>::new());
    }
}
