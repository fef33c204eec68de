//! How long the shipped placement strategy `auto` takes inside the sandbox.
//!
//! ```text
//! cargo run -p atoll-plugin-runtime --example placement
//! ```
//!
//! Each call has an instance of its own, as in a running host; the topology goes in and the plans come
//! out. The least and the median of some rounds, on one thread; on a busy machine the least says more.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_plugin_runtime::types::placement::{
    Executor, LayerFacts, Link, ModelFacts, Node, Objective, Options, Topology,
};
use atoll_plugin_runtime::{
    CallLimits, Grant, LoadPolicy, LoadedPlugin, PluginError, PluginRuntime, PluginSource,
    RuntimeOptions,
};

const GB: u64 = 1_000_000_000;
const ROUNDS: usize = 25;

/// `count` nodes, all linked; each of its own kind, or all equal.
fn topology(count: usize, different: bool) -> Topology {
    let node = |at: usize| {
        let spread = if different { (at * 37) % 64 } else { 0 };
        Node {
            id: format!("node-{at}"),
            name: format!("node-{at}"),
            memory_total: 128 * GB,
            memory_free: (20 + spread as u64) * GB,
            executors: vec![Executor {
                kind: "mlx-metal".to_owned(),
                memory_bandwidth: 1e11 + 1e10 * spread as f64,
                matrix_rate: 1e12,
                layer_overhead: 1e-5,
            }],
            weights_present: 0,
            ext: None,
        }
    };
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let links = pairs
        .filter(|(from, to)| from != to)
        .map(|(from, to)| Link {
            source: format!("node-{from}"),
            target: format!("node-{to}"),
            latency: 1e-4 * (1 + (from * 7 + to * 3) % 5 * usize::from(different)) as f64,
            bandwidth: 1e9,
            kind: "ethernet".to_owned(),
        });
    Topology {
        links: links.collect(),
        nodes: (0..count).map(node).collect(),
    }
}

/// 80 layers; as much as half of the nodes hold.
fn model(topology: &Topology) -> ModelFacts {
    let memory: u64 = topology.nodes.iter().map(|node| node.memory_free).sum();
    let layer = LayerFacts {
        weight_bytes: memory / 2 / 80,
        active_bytes: memory / 2 / 80,
        kv_bytes_per_position: 4096,
    };
    ModelFacts {
        name: "bench".to_owned(),
        layers: vec![layer; 80],
        embedding_bytes: GB,
        head_bytes: GB,
        hidden_size: 8192,
        kv_heads: 8,
        tensor_parallel_sizes: Vec::new(),
        activation_bytes: 2,
        ext: None,
    }
}

#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Answer(String),
}

fn main() -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), BenchError> {
    let defaults = RuntimeOptions::default();
    let plugins = PluginRuntime::new(RuntimeOptions {
        placement: CallLimits {
            cpu: Duration::from_secs(60),
            wall: Duration::from_secs(60),
            ..defaults.placement
        },
        ..defaults
    })?;
    let Some(auto) = atoll_bundled_plugins::find("auto") else {
        return Err(BenchError::Answer("there is no auto".to_owned()));
    };
    let source = PluginSource::Bytes {
        name: "auto".to_owned(),
        wasm: Arc::from(auto.wasm),
    };
    let policy = LoadPolicy {
        grants: Grant::all_local(),
        ..LoadPolicy::default()
    };
    let LoadedPlugin::Placement(auto) = plugins.load(source, policy).await? else {
        return Err(BenchError::Answer(
            "auto is no placement strategy".to_owned(),
        ));
    };
    println!(
        "{:<20} {:<10} {:>10} {:>10} {:>7}",
        "80 layers on", "objective", "least", "median", "stages"
    );
    for (name, topology) in [
        ("8 different nodes", topology(8, true)),
        ("10 different nodes", topology(10, true)),
        ("16 different nodes", topology(16, true)),
        ("64 different nodes", topology(64, true)),
        ("64 equal nodes", topology(64, false)),
    ] {
        for objective in [Objective::Latency, Objective::Throughput] {
            let options = Options {
                objective,
                kv_positions: 8192,
                max_stages: None,
                excluded: Vec::new(),
                ext: None,
            };
            let model = model(&topology);
            let mut times = Vec::new();
            let mut stages = 0;
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                let plans = auto.propose(&topology, &model, &options, None).await?;
                times.push(begun.elapsed());
                let plans = plans.map_err(|error| BenchError::Answer(error.message))?;
                stages = plans.first().map_or(0, |plan| plan.stages.len());
            }
            times.sort();
            let at = |index: usize| {
                let time = times.get(index).copied().unwrap_or_default();
                format!("{:.2} ms", time.as_secs_f64() * 1000.0)
            };
            let (least, median) = (at(0), at(ROUNDS / 2));
            let objective = match objective {
                Objective::Latency => "latency",
                Objective::Throughput => "throughput",
            };
            println!("{name:<20} {objective:<10} {least:>10} {median:>10} {stages:>7}");
        }
    }
    Ok(())
}
