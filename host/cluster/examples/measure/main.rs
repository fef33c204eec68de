//! What a cluster costs beside the work itself, on one machine over loopback. See `bench/cluster.md`.
//!
//! ```text
//! cargo run --release -p atoll-cluster --example measure -- hop
//! cargo run --release -p atoll-cluster --example measure -- pipeline
//! unshare -rn sh -c 'ip link set lo up; exec target/release/examples/measure control'
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for whoever measures"
)]

mod synthetic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_cluster::Cluster;
use atoll_cluster::identity::Identity;
use atoll_cluster::node::{ClusterOptions, PipelineOrder};
use atoll_cluster::pipeline::PipelineExecutor;
use atoll_cluster::plan::{Plan, PlannedStage};
use atoll_cluster::transport::Network;
use atoll_cluster::wire::Precision;
use atoll_engine::engine::{Engine, EngineOptions, GenerateRequest, PromptInput};
use atoll_engine::executor::{
    BlockId, Epoch, Executor, Row, SampleRequest, SequenceId, SequenceSpec, Step, StepId,
};
use atoll_engine::sampling::SamplingParams;
use atoll_engine::testing::FakeText;
use synthetic::{LAYERS, Loader, Shape};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match std::env::args().nth(1).as_deref() {
        Some("hop") => runtime.block_on(hop()),
        Some("pipeline") => runtime.block_on(pipeline()),
        Some("control") => runtime.block_on(control()),
        _ => println!("say what: hop, pipeline or control"),
    }
}

async fn join(peers: &[String], shape: Shape) -> Cluster {
    let network = Network {
        peers: peers.to_vec(),
        ..Network::loopback()
    };
    let name = "measure".parse().unwrap();
    let options = ClusterOptions::new(name, Identity::passing(), network);
    Cluster::join(options, Arc::new(Loader(shape)))
        .await
        .unwrap()
}

async fn nodes(count: usize, shape: Shape) -> Vec<Cluster> {
    let first = join(&[], shape).await;
    let mut nodes = vec![first];
    for _ in 1..count {
        let peers = nodes[0].locators().to_vec();
        nodes.push(join(&peers, shape).await);
    }
    let started = Instant::now();
    let known = |node: &Cluster| node.members().iter().filter(|m| m.facts.is_some()).count();
    while nodes.iter().any(|node| known(node) < count) {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the nodes do not find each other"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    nodes
}

async fn start(nodes: &[Cluster], stages: usize) -> PipelineExecutor {
    let stage = |index: usize| PlannedStage {
        node: nodes[index].id(),
        layers: index * LAYERS / stages..(index + 1) * LAYERS / stages,
    };
    let order = PipelineOrder {
        model: "synthetic".to_owned(),
        fingerprint: "synthetic".to_owned(),
        plan: Plan {
            stages: (0..stages).map(stage).collect(),
        },
        block_size: 16,
        num_blocks: 4096,
        precision: Precision::F32,
    };
    nodes[0].start(order, Box::new(|_| {})).await.unwrap()
}

/// The time of a step of one token, one after the other: the median of many.
fn step_time(executor: &mut dyn Executor, steps: u64) -> Duration {
    let sequence = SequenceId(1);
    let spec = SequenceSpec {
        sampling: Arc::new(SamplingParams::default()),
        prompt: vec![1].into(),
    };
    executor.open(sequence, spec).unwrap();
    let mut times = Vec::new();
    for id in 0..steps {
        let started = Instant::now();
        let row = Row {
            sequence,
            start: id as usize,
            tokens: vec![1],
            block_table: (0..64).map(BlockId).collect(),
            sample: Some(SampleRequest {
                positions: 1,
                mask: None,
            }),
        };
        let step = Step {
            id: StepId(id),
            epoch: Epoch(0),
            block_copies: Vec::new(),
            rows: vec![row],
        };
        executor.submit(step).unwrap();
        executor.complete().unwrap();
        times.push(started.elapsed());
    }
    executor.close(sequence).unwrap();
    times.sort();
    times[times.len() / 2]
}

/// What one more stage adds to a step: encoding, sending, receiving, decoding, waking up. From two stages
/// on, because the second also brings the way of the tokens back to the coordinator.
async fn hop() {
    const ROUNDS: usize = 5;
    println!("hidden states   1 stage     2 stages    4 stages    a hop");
    for kib in [8, 64, 1024] {
        let shape = Shape {
            hidden: kib * 1024 / 4,
            layer: Duration::ZERO,
        };
        let nodes = nodes(4, shape).await;
        // By turns, so that what else the machine does meanwhile meets all of them.
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let mut times = [Duration::ZERO; 3];
            for (stages, time) in [1, 2, 4].into_iter().zip(&mut times) {
                let mut executor = start(&nodes, stages).await;
                let measured = tokio::task::spawn_blocking(move || step_time(&mut executor, 1000));
                *time = measured.await.unwrap();
            }
            rounds.push(times);
        }
        let median = |of: &dyn Fn(&[Duration; 3]) -> Duration| {
            let mut all: Vec<Duration> = rounds.iter().map(of).collect();
            all.sort();
            all[ROUNDS / 2]
        };
        let [one, two, four] = [0, 1, 2].map(|at| median(&move |times| times[at]));
        let hop = median(&|[_, two, four]| four.saturating_sub(*two) / 2);
        println!("{kib:>8} KiB   {one:>9.1?}   {two:>9.1?}   {four:>9.1?}   {hop:>9.1?}");
        for node in nodes {
            node.leave().await;
        }
    }
}

/// Tokens a second of 16 streams through an engine on so many stages.
async fn throughput(nodes: &[Cluster], stages: usize) -> f64 {
    const STREAMS: u64 = 16;
    const TOKENS: u32 = 128;
    let executor = start(nodes, stages).await;
    let options = EngineOptions::default();
    let engine = Engine::with_text(Arc::new(FakeText::new()), Box::new(executor), options).unwrap();
    let started = Instant::now();
    let mut streams = Vec::new();
    for seed in 0..STREAMS {
        let prompt = PromptInput::Text {
            text: "abc".to_owned(),
            add_special_tokens: false,
        };
        let request = GenerateRequest {
            id: seed.to_string(),
            prompt: engine.prepare(&prompt).unwrap(),
            sampling: SamplingParams {
                seed,
                ..SamplingParams::default()
            },
            choices: 1,
            max_tokens: Some(TOKENS),
            stop: Vec::new(),
            stop_tokens: Vec::new(),
            ignore_eos: true,
            constraint: None,
            reasoning_budget: None,
            shown_tokens: Arc::new([]),
            cache_salt: Some(seed.to_string()),
            priority: 0,
            owner: "".into(),
        };
        streams.push(engine.generate(request).await.unwrap());
    }
    for mut stream in streams {
        while let Some(event) = stream.next().await {
            assert!(
                !matches!(event, atoll_engine::engine::GenerationEvent::Failed(_)),
                "{event:?}"
            );
        }
    }
    let took = started.elapsed();
    engine.shutdown().await;
    STREAMS as f64 * f64::from(TOKENS) / took.as_secs_f64()
}

/// How much of the ideal four stages reach: a row costs its time on every layer, so four stages could do
/// four times what one does.
async fn pipeline() {
    let shape = Shape {
        hidden: 4096,
        layer: Duration::from_micros(500),
    };
    let nodes = nodes(4, shape).await;
    let one = throughput(&nodes, 1).await;
    println!("1 stage    {one:>8.1} tokens/s");
    for stages in [2, 4] {
        let many = throughput(&nodes, stages).await;
        let share = many / (one * stages as f64) * 100.0;
        println!(
            "{stages} stages   {many:>8.1} tokens/s   {share:.1} % of {stages} times one stage"
        );
    }
    for node in nodes {
        node.leave().await;
    }
}

/// Bytes on the loopback device while five nodes do nothing for a minute. Only meaningful in a network
/// namespace of its own.
async fn control() {
    let shape = Shape {
        hidden: 1,
        layer: Duration::ZERO,
    };
    let nodes = nodes(5, shape).await;
    // The first measurements of the links move a megabyte each.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let before = loopback_bytes();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let bytes = loopback_bytes() - before;
    println!(
        "5 nodes, idle: {bytes} bytes a minute in all, {} for each of the 20 ways",
        bytes / 20
    );
    for node in nodes {
        node.leave().await;
    }
}

fn loopback_bytes() -> u64 {
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap();
    let line = devices
        .lines()
        .find(|line| line.trim().starts_with("lo:"))
        .unwrap();
    let received = line
        .split(':')
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    received.parse().unwrap()
}
