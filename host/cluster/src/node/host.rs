//! [`StageHost`]: the stages this node holds for pipelines, its own or others'.
//!
//! A stage is loaded, then started once every stage listens, and held until its coordinator unloads
//! it, it fails, or a node of its pipeline is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atoll_engine::executor::{Capabilities, Epoch, StageExecutor};
use uuid::Uuid;
use zenoh::pubsub::Subscriber;

use super::{Inner, lock};
use crate::error::ClusterError;
use crate::identity::NodeId;
use crate::link::{FrameReceiver, FrameSender, channel};
use crate::members::HeldStage;
use crate::stage::{StageLinks, StageOptions, StageWorker};
use crate::transport::{LinkEnd, LinkName, LinkSender, Transport};
use crate::wire::call::{Answer, StageFacts, StageName, StageOrder};
use crate::wire::{self, Reply, ReplyBody};

/// Longest wait for the other stages to listen.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most stages of one node; a bound for what others can ask of it.
const MAX_STAGES: usize = 64;

/// Stages by name.
#[derive(Default)]
pub(super) struct StageHost {
    stages: Mutex<HashMap<StageName, Held>>,
}

struct Held {
    order: StageOrder,
    bytes: u64,
    replies: Arc<LinkSender>,
    /// Until it is started.
    ready: Option<Ready>,
    /// From then on.
    worker: Option<StageWorker>,
    /// Close their queues when dropped.
    _inputs: Vec<Subscriber<()>>,
}

/// A stage that is loaded and connected.
struct Ready {
    executor: Box<dyn StageExecutor>,
    commands: FrameReceiver,
    input: Option<FrameReceiver>,
    output: Option<Arc<LinkSender>>,
}

impl Inner {
    /// Loads a stage, and listens.
    pub(super) async fn load(self: &Arc<Self>, order: StageOrder) -> Answer {
        match self.try_load(order).await {
            Ok(facts) => Answer::Loaded(facts),
            Err(reason) => {
                tracing::warn!(reason, "a stage is refused");
                Answer::Refused { reason }
            }
        }
    }

    async fn try_load(self: &Arc<Self>, order: StageOrder) -> Result<StageFacts, String> {
        let name = order.name;
        if order.nodes.get(name.index as usize) != Some(&self.id()) {
            return Err("the stage is not this node's".to_owned());
        }
        if lock(&self.host.stages).len() >= MAX_STAGES {
            return Err(format!("this node holds {MAX_STAGES} stages already"));
        }
        let inner = Arc::clone(self);
        let wanted = order.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let here = inner.loader.fingerprint(&wanted.model)?;
            if here != wanted.fingerprint {
                return Err(format!(
                    "this node has other weights under the name {:?}; copy the same folder to all nodes",
                    wanted.model
                ));
            }
            inner.loader.load(&wanted)
        });
        let executor = loaded.await.map_err(|_| "loading panicked".to_owned())??;
        let facts = facts(executor.capabilities());
        let held = connect(&self.transport, order, executor).await;
        let held = held.map_err(|error| error.to_string())?;
        tracing::info!(
            model = held.order.model,
            stage = name.index,
            "a stage is loaded"
        );
        let before = lock(&self.host.stages).insert(name, held);
        drop_elsewhere(before);
        self.changed.notify_one();
        Ok(facts)
    }
}

async fn connect(
    transport: &Transport,
    order: StageOrder,
    executor: Box<dyn StageExecutor>,
) -> Result<Held, ClusterError> {
    let StageName {
        instance,
        epoch,
        index,
    } = order.name;
    let link = |to| LinkName {
        instance: Uuid::from_u128(instance),
        epoch,
        to,
    };
    let mut inputs = Vec::new();
    let (queue, commands) = channel(format!("stage {index}"));
    inputs.push(
        transport
            .receiver(&link(LinkEnd::Commands(index)), queue)
            .await?,
    );
    let input = if index > 0 {
        let (queue, input) = channel(format!("stage {index}"));
        inputs.push(
            transport
                .receiver(&link(LinkEnd::Hidden(index)), queue)
                .await?,
        );
        Some(input)
    } else {
        None
    };
    let last = index as usize + 1 == order.nodes.len();
    let output = match last {
        true => None,
        false => Some(Arc::new(
            transport.sender(&link(LinkEnd::Hidden(index + 1))).await?,
        )),
    };
    let facts = executor.capabilities();
    Ok(Held {
        bytes: facts.weight_bytes + facts.kv_bytes,
        order,
        replies: Arc::new(transport.sender(&link(LinkEnd::Coordinator)).await?),
        ready: Some(Ready {
            executor,
            commands,
            input,
            output,
        }),
        worker: None,
        _inputs: inputs,
    })
}

fn facts(capabilities: &Capabilities) -> StageFacts {
    StageFacts {
        block_size: capabilities.block_size as u64,
        num_blocks: capabilities.num_blocks as u64,
        max_rows: capabilities.max_rows as u64,
        max_tokens: capabilities.max_tokens as u64,
        max_positions: capabilities.max_positions as u64,
        vocab_size: capabilities.vocab_size as u64,
        batch_invariant: capabilities.batch_invariant,
        weight_bytes: capabilities.weight_bytes,
        kv_bytes: capabilities.kv_bytes,
    }
}

/// A stage's threads are waited for when it is dropped, which a transport's thread must not do.
fn drop_elsewhere(held: Option<Held>) {
    if let Some(held) = held {
        tokio::task::spawn_blocking(move || drop(held));
    }
}

impl StageHost {
    /// Starts a stage that is loaded, once its ways out are open.
    pub async fn start(&self, name: StageName) -> Answer {
        match self.try_start(name).await {
            Ok(()) => Answer::Done,
            Err(reason) => Answer::Refused { reason },
        }
    }

    async fn try_start(&self, name: StageName) -> Result<(), String> {
        let (ready, replies, beat_ms, precision) = {
            let mut stages = lock(&self.stages);
            let held = stages.get_mut(&name).ok_or("the stage is not loaded")?;
            let ready = held.ready.take().ok_or("the stage has been started")?;
            let order = &held.order;
            (
                ready,
                Arc::clone(&held.replies),
                order.beat_ms,
                order.precision,
            )
        };
        for link in ready.output.iter().chain([&replies]) {
            let connected = link.connected(CONNECT_TIMEOUT).await;
            connected.map_err(|error| error.to_string())?;
        }
        let links = StageLinks {
            commands: ready.commands,
            input: ready.input,
            output: ready.output.map(|link| link as Arc<dyn FrameSender>),
            replies,
        };
        let options = StageOptions {
            epoch: Epoch(name.epoch),
            index: name.index,
            precision,
            // Often enough to be heard, not so often that it is felt.
            beat: Duration::from_millis(u64::from(beat_ms.clamp(20, 10_000))),
        };
        let worker = StageWorker::start(ready.executor, links, options);
        let worker = worker.map_err(|error| error.to_string())?;
        match lock(&self.stages).get_mut(&name) {
            Some(held) => {
                held.worker = Some(worker);
                Ok(())
            }
            None => Err("the stage was unloaded meanwhile".to_owned()),
        }
    }

    /// Forgets a stage. Waits for the step it may be at.
    pub fn unload(&self, name: StageName) {
        let held = lock(&self.stages).remove(&name);
        drop(held);
    }

    /// A node is lost: pipelines that it was part of cannot go on. Waits for the steps they may be at.
    pub fn lost(&self, node: NodeId) {
        let concerned =
            self.take(|held| held.order.coordinator == node || held.order.nodes.contains(&node));
        for (name, held) in concerned {
            if held.order.coordinator != node {
                let reply = wire::encode(&Reply {
                    epoch: name.epoch,
                    stage: name.index,
                    body: ReplyBody::Failed {
                        reason: format!("node {node:?} is lost"),
                    },
                });
                let sent = reply.map_err(ClusterError::from);
                if let Err(error) = sent.and_then(|frame| held.replies.send(frame)) {
                    tracing::debug!(%error, "the coordinator does not hear of it");
                }
            }
        }
    }

    /// Whether a stage has ended by itself.
    pub fn has_finished(&self) -> bool {
        let finished = |held: &Held| held.worker.as_ref().is_some_and(StageWorker::is_finished);
        lock(&self.stages).values().any(finished)
    }

    /// Forgets stages that have ended.
    pub fn sweep(&self) {
        drop(self.take(|held| held.worker.as_ref().is_some_and(StageWorker::is_finished)));
    }

    /// Forgets all.
    pub fn clear(&self) {
        drop(self.take(|_| true));
    }

    fn take(&self, which: impl Fn(&Held) -> bool) -> Vec<(StageName, Held)> {
        let mut stages = lock(&self.stages);
        let names = stages.iter().filter(|(_, held)| which(held));
        let names: Vec<StageName> = names.map(|(name, _)| *name).collect();
        let taken = names.into_iter();
        taken
            .filter_map(|name| stages.remove_entry(&name))
            .collect()
    }

    /// Bytes that its stages hold.
    pub fn bytes(&self) -> u64 {
        lock(&self.stages).values().map(|held| held.bytes).sum()
    }

    /// What it holds, for others to see.
    pub fn held(&self) -> Vec<HeldStage> {
        let stages = lock(&self.stages);
        let mut held: Vec<HeldStage> = stages
            .values()
            .map(|held| HeldStage {
                model: held.order.model.clone(),
                epoch: held.order.name.epoch,
                index: held.order.name.index,
                first: held.order.first,
                end: held.order.end,
                bytes: held.bytes,
            })
            .collect();
        held.sort_by(|a, b| (&a.model, a.epoch, a.index).cmp(&(&b.model, b.epoch, b.index)));
        held
    }
}
