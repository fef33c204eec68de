//! Nodes on loopback, each with a session of its own: they find each other, and run one model.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use atoll_cluster::identity::{ClusterName, Identity};
use atoll_cluster::members::ExecutorFacts;
use atoll_cluster::node::{ClusterOptions, Offer, PipelineOrder, StageLoader};
use atoll_cluster::plan::{Needs, Plan, PlannedStage, proportional};
use atoll_cluster::transport::Network;
use atoll_cluster::wire::Precision;
use atoll_cluster::wire::call::StageOrder;
use atoll_cluster::{Cluster, ClusterError};
use atoll_engine::executor::{
    BlockId, Epoch, Executor, ExecutorError, Row, SampleRequest, SequenceId, SequenceSpec,
    StageExecutor, Step, StepId,
};
use atoll_engine::sampling::SamplingParams;
use atoll_executor_cpu::{CpuOptions, CpuStage, KvMemory};

use crate::support::{PATIENCE, opened, options, ranges, single};

const MODEL: &str = "atoll-demo";

struct Loader {
    fingerprint: &'static str,
}

impl StageLoader for Loader {
    fn offer(&self) -> Offer {
        Offer {
            bytes: Some(1 << 30),
            models: vec![MODEL.to_owned()],
            serving: Vec::new(),
            executors: vec![ExecutorFacts::default()],
        }
    }

    fn fingerprint(&self, _: &str) -> Result<String, String> {
        Ok(self.fingerprint.to_owned())
    }

    fn load(&self, order: &StageOrder) -> Result<Box<dyn StageExecutor>, String> {
        let (spec, checkpoint) = opened();
        let options = CpuOptions {
            kv: KvMemory::Blocks(order.num_blocks as usize),
            ..options(1)
        };
        let layers = order.first as usize..order.end as usize;
        let stage = CpuStage::load(&spec, layers, &checkpoint, &options);
        stage
            .map(|stage| Box::new(stage) as _)
            .map_err(|error| error.to_string())
    }
}

/// A node of `network`, patient: a busy test machine is not a dead one.
pub async fn join_on(name: &str, network: Network, fingerprint: &'static str) -> Cluster {
    let network = Network {
        lease: Duration::from_secs(20),
        ..network
    };
    let name: ClusterName = name.parse().unwrap();
    let mut options = ClusterOptions::new(name, Identity::passing(), network);
    options.silence = PATIENCE;
    Cluster::join(options, Arc::new(Loader { fingerprint }))
        .await
        .unwrap()
}

pub async fn join(name: &str, peers: &[String], fingerprint: &'static str) -> Cluster {
    let network = Network {
        peers: peers.to_vec(),
        ..Network::loopback()
    };
    join_on(name, network, fingerprint).await
}

/// Nodes that each know only the first.
pub async fn nodes(name: &str, count: usize) -> Vec<Cluster> {
    let first = join(name, &[], "same").await;
    let peers = first.locators().to_vec();
    assert!(
        peers.iter().all(|peer| peer.starts_with("tcp/127.0.0.1:")),
        "{peers:?}"
    );
    let mut nodes = vec![first];
    for _ in 1..count {
        nodes.push(join(name, &peers, "same").await);
    }
    for node in &nodes {
        until("all are seen with their facts", || {
            let members = node.members();
            members.len() == count && members.iter().all(|member| member.facts.is_some())
        })
        .await;
    }
    nodes
}

pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < PATIENCE,
            "it never happened that {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn plan(nodes: &[Cluster]) -> Plan {
    let ranges = ranges(10, nodes.len()).into_iter();
    let stage = |(layers, node): (_, &Cluster)| PlannedStage {
        node: node.id(),
        layers,
    };
    Plan {
        stages: ranges.zip(nodes).map(stage).collect(),
    }
}

pub fn order(plan: Plan) -> PipelineOrder {
    PipelineOrder {
        model: MODEL.to_owned(),
        fingerprint: "same".to_owned(),
        plan,
        block_size: 16,
        num_blocks: 32,
        precision: Precision::F32,
    }
}

/// Twelve tokens, drawn one after the other.
fn draw(executor: &mut dyn Executor) -> Result<Vec<u32>, ExecutorError> {
    let prompt: Vec<u32> = (5..45).collect();
    let sequence = SequenceId(1);
    let sampling = Arc::new(SamplingParams {
        seed: 3,
        ..SamplingParams::default()
    });
    let spec = SequenceSpec {
        sampling,
        prompt: prompt.clone().into(),
    };
    executor.open(sequence, spec)?;
    let (mut start, mut tokens, mut drawn) = (0, prompt, Vec::new());
    for id in 0..12 {
        let end = start + tokens.len();
        executor.submit(Step {
            id: StepId(id),
            epoch: Epoch(0),
            block_copies: Vec::new(),
            rows: vec![Row {
                sequence,
                start,
                tokens,
                block_table: (0..8).map(BlockId).collect(),
                sample: Some(SampleRequest {
                    positions: 1,
                    mask: None,
                }),
            }],
        })?;
        let output = executor.complete()?;
        let token = output.rows[0].result.as_ref().unwrap()[0].token;
        drawn.push(token);
        (start, tokens) = (end, vec![token]);
    }
    executor.close(sequence)?;
    Ok(drawn)
}

pub async fn draw_on(mut executor: impl Executor + 'static) -> Result<Vec<u32>, ExecutorError> {
    let drawn = tokio::task::spawn_blocking(move || draw(&mut executor));
    drawn.await.unwrap()
}

pub fn ignore() -> Box<dyn FnOnce(ClusterError) + Send> {
    Box::new(|_| {})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_know_one_find_all_and_see_what_they_are() {
    let nodes = nodes("find", 3).await;
    let stranger = join("other", nodes[0].locators(), "same").await;
    until("ways are measured", || {
        let members = nodes[1].members();
        let others = members.iter().filter(|member| member.id != nodes[1].id());
        others.clone().count() == 2
            && others
                .clone()
                .all(|m| m.link.round_trip.is_some() && m.link.bytes_per_second.is_some())
    })
    .await;
    // Another cluster's node on the same wire is not a member, nor are these members of its.
    assert_eq!(nodes[0].members().len(), 3);
    assert_eq!(stranger.members().len(), 1);
    let status = serde_json::to_value(nodes[2].status()).unwrap();
    assert_eq!(status["cluster"], "find");
    assert_eq!(status["members"].as_array().unwrap().len(), 3);
    assert_eq!(nodes[0].budgets(MODEL).len(), 3);
    assert_eq!(nodes[0].budgets("another").len(), 0);

    // One that leaves is gone for the others.
    nodes[1].leave().await;
    until("the node that left is gone", || {
        nodes[0].members().len() == 2
    })
    .await;
    for node in [&nodes[0], &nodes[2], &stranger] {
        node.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_over_three_nodes_draws_what_one_machine_does() {
    let nodes = nodes("pipe", 3).await;
    let expected = draw_on(single(&options(32))).await.unwrap();
    // The coordinator need not be the first stage, nor any.
    for (coordinator, stages) in [(0, &nodes[..]), (2, &nodes[..2]), (1, &nodes[1..2])] {
        let order = order(plan(stages));
        let pipeline = nodes[coordinator].start(order, ignore()).await.unwrap();
        assert_eq!(draw_on(pipeline).await.unwrap(), expected);
        // Dropped with its thread: every node gives its stage up.
        until("the stages are unloaded", || {
            let members = nodes[coordinator].members();
            members
                .iter()
                .all(|member| member.facts.as_ref().is_some_and(|f| f.stages.is_empty()))
        })
        .await;
    }
    let (spec, _) = opened();
    let needs = Needs {
        spec,
        kv_positions: 512,
        kv_value_bytes: 4,
    };
    let plan = proportional(&needs, &nodes[0].budgets(MODEL), Some(3)).unwrap();
    let pipeline = nodes[0].start(order(plan), ignore()).await.unwrap();
    assert_eq!(draw_on(pipeline).await.unwrap(), expected);
    for node in &nodes {
        node.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_goes_ends_its_pipelines_even_while_nobody_uses_them() {
    let nodes = nodes("lost", 3).await;
    let (tell, told) = channel();
    let failed = Box::new(move |error| tell.send(error).unwrap());
    let pipeline = nodes[0].start(order(plan(&nodes)), failed).await.unwrap();
    nodes[1].leave().await;
    let error = tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE))
        .await
        .unwrap();
    assert!(
        matches!(
            error,
            Ok(ClusterError::Lost { .. } | ClusterError::Stage { .. })
        ),
        "{error:?}"
    );
    let refused = draw_on(pipeline).await;
    assert!(
        matches!(refused, Err(ExecutorError::Lost(_))),
        "{refused:?}"
    );
    // The survivors serve on.
    let survivors = [nodes[0].clone(), nodes[2].clone()];
    let pipeline = nodes[0]
        .start(order(plan(&survivors)), ignore())
        .await
        .unwrap();
    assert_eq!(
        draw_on(pipeline).await.unwrap(),
        draw_on(single(&options(32))).await.unwrap()
    );
    for node in survivors {
        node.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_that_differ_are_never_joined() {
    let first = join("mixed", &[], "same").await;
    let second = join("mixed", first.locators(), "other").await;
    until("both are seen", || first.members().len() == 2).await;
    let plan = plan(&[first.clone(), second.clone()]);
    let refused = first.start(order(plan), ignore()).await;
    match refused {
        Err(ClusterError::Refused {
            stage: 1, reason, ..
        }) => {
            assert!(reason.contains("other weights"), "{reason}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("stages of different weights were joined"),
    }
    // Nothing stays loaded.
    until("the other stage is unloaded", || {
        let members = first.members();
        members
            .iter()
            .all(|member| member.facts.as_ref().is_some_and(|f| f.stages.is_empty()))
    })
    .await;
    first.leave().await;
    second.leave().await;
}
