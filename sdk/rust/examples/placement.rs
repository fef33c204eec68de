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
