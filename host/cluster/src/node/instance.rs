//! Making a pipeline out of a plan: load every stage, connect them, start them, watch them.

use std::sync::Arc;
use std::time::Duration;

use atoll_engine::executor::{Capabilities, Epoch};
use futures::future::try_join_all;
use uuid::Uuid;
use zenoh::pubsub::Subscriber;

use super::{Cluster, FailureCallback, Inner, Watched, lock};
use crate::error::ClusterError;
use crate::identity::NodeId;
use crate::link::FrameSender;
use crate::pipeline::{PipelineExecutor, PipelineOptions, Replies};
use crate::plan::Plan;
use crate::transport::{LinkEnd, LinkName};
use crate::wire::call::{Answer, Call, StageFacts, StageName, StageOrder};
use crate::wire::{self, Precision};

/// Longest wait for a stage to be loaded: hundreds of gigabytes from a slow disk.
const LOAD_TIMEOUT: Duration = Duration::from_secs(900);

/// Longest wait for anything else.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What to run where.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineOrder {
    /// The model's name, the same on all nodes.
    pub model: String,
    /// What identifies its weights.
    pub fingerprint: String,
    /// A plan that was validated.
    pub plan: Plan,
    /// Positions per KV block.
    pub block_size: u32,
    /// KV blocks.
    pub num_blocks: u32,
    /// How hidden states travel.
    pub precision: Precision,
}

impl Cluster {
    /// Loads and starts a pipeline that this node coordinates. `failed` is called once if it fails,
    /// even while nobody uses it. Dropping the executor unloads the stages.
    ///
    /// # Errors
    /// A node that refused or went; then nothing stays loaded.
    pub async fn start(
        &self,
        order: PipelineOrder,
        failed: FailureCallback,
    ) -> Result<PipelineExecutor, ClusterError> {
        let (instance, epoch) = {
            let mut instances = lock(&self.inner.instances);
            let fresh = || (Uuid::new_v4(), 0);
            let entry = instances.entry(order.model.clone()).or_insert_with(fresh);
            entry.1 += 1;
            *entry
        };
        let nodes: Vec<NodeId> = order.plan.stages.iter().map(|stage| stage.node).collect();
        // From here on, giving up means unloading.
        let mut placed = Placed {
            inner: Arc::clone(&self.inner),
            instance,
            epoch,
            nodes: nodes.clone(),
            _replies: None,
        };
        let (sink, replies) = Replies::new(Epoch(epoch), nodes.len());
        let link = |to| LinkName {
            instance,
            epoch,
            to,
        };
        let transport = &self.inner.transport;
        let take = move |frame: Vec<u8>| sink.deliver(&frame);
        let coordinator = link(LinkEnd::Coordinator);
        placed._replies = Some(transport.receiver_with(&coordinator, take).await?);

        let orders = self.orders(&order, &nodes, instance, epoch);
        let loading = orders.into_iter().map(|order| self.load(order));
        let facts = try_join_all(loading).await?;

        let mut stages: Vec<(Capabilities, Arc<dyn FrameSender>)> = Vec::new();
        for (index, facts) in (0..).zip(facts) {
            let sender = transport.sender(&link(LinkEnd::Commands(index))).await?;
            sender.connected(CALL_TIMEOUT).await?;
            stages.push((facts, Arc::new(sender)));
        }
        let starting = (0..).zip(&nodes).map(|(index, &node)| {
            let name = StageName {
                instance: instance.as_u128(),
                epoch,
                index,
            };
            self.inner
                .call(node, index, Call::Start(name), CALL_TIMEOUT)
        });
        try_join_all(starting).await?;

        let monitor = replies.monitor();
        monitor.begin();
        let watched = Watched {
            model: order.model.clone(),
            monitor,
            nodes: nodes.clone(),
            failed: Some(failed),
        };
        lock(&self.inner.watched).insert((instance, epoch), watched);
        // One that went while its stage was loading went before anybody watched.
        if let Some(&node) = nodes
            .iter()
            .find(|node| lock(&self.inner.members).get(**node).is_none())
        {
            return Err(ClusterError::Lost { node });
        }
        tracing::info!(
            model = order.model,
            epoch,
            stages = nodes.len(),
            "a pipeline runs"
        );
        let options = PipelineOptions {
            epoch: Epoch(epoch),
            silence: self.inner.options.silence,
            ..PipelineOptions::default()
        };
        Ok(PipelineExecutor::new(stages, replies, options)?.holding(placed))
    }

    fn orders(
        &self,
        order: &PipelineOrder,
        nodes: &[NodeId],
        instance: Uuid,
        epoch: u64,
    ) -> Vec<StageOrder> {
        let narrow = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        // Five signs of life before silence.
        let beat = self.inner.options.silence.as_millis() / 5;
        let stages = (0..).zip(&order.plan.stages);
        stages
            .map(|(index, stage)| StageOrder {
                name: StageName {
                    instance: instance.as_u128(),
                    epoch,
                    index,
                },
                nodes: nodes.to_vec(),
                coordinator: self.id(),
                model: order.model.clone(),
                fingerprint: order.fingerprint.clone(),
                first: narrow(stage.layers.start),
                end: narrow(stage.layers.end),
                block_size: order.block_size,
                num_blocks: order.num_blocks,
                precision: order.precision,
                beat_ms: u32::try_from(beat).unwrap_or(u32::MAX),
            })
            .collect()
    }

    async fn load(&self, order: StageOrder) -> Result<Capabilities, ClusterError> {
        let index = order.name.index;
        let node = order.nodes.get(index as usize).copied();
        let node = node.ok_or_else(|| ClusterError::Mismatch("a stage has no node".to_owned()))?;
        let answer = self
            .inner
            .call(node, index, Call::Load(order), LOAD_TIMEOUT)
            .await?;
        match answer {
            Answer::Loaded(facts) => capabilities(&facts),
            other => Err(ClusterError::Mismatch(format!(
                "an order was answered by {other:?}"
            ))),
        }
    }
}

/// What a stage says it can do.
fn capabilities(facts: &StageFacts) -> Result<Capabilities, ClusterError> {
    let size = |value: u64| {
        let size = usize::try_from(value);
        size.map_err(|_| ClusterError::Mismatch(format!("a stage has {value} of something")))
    };
    Ok(Capabilities {
        name: "stage".to_owned(),
        block_size: size(facts.block_size)?,
        num_blocks: size(facts.num_blocks)?,
        max_steps_in_flight: 1,
        stages: 1,
        max_rows: size(facts.max_rows)?,
        max_tokens: size(facts.max_tokens)?,
        max_positions: size(facts.max_positions)?,
        vocab_size: size(facts.vocab_size)?,
        batch_invariant: facts.batch_invariant,
        weight_bytes: facts.weight_bytes,
        kv_bytes: facts.kv_bytes,
    })
}

impl Inner {
    /// Asks the node of a stage something; a refusal is an error.
    async fn call(
        &self,
        node: NodeId,
        stage: u32,
        call: Call,
        timeout: Duration,
    ) -> Result<Answer, ClusterError> {
        let answer = self
            .transport
            .ask(node, wire::encode(&call)?, timeout)
            .await?;
        match wire::decode(&answer)? {
            Answer::Refused { reason } => Err(ClusterError::Refused {
                node,
                stage: stage as usize,
                reason,
            }),
            answer => Ok(answer),
        }
    }
}

/// A pipeline's stages on their nodes; unloads them when dropped.
struct Placed {
    inner: Arc<Inner>,
    instance: Uuid,
    epoch: u64,
    nodes: Vec<NodeId>,
    _replies: Option<Subscriber<()>>,
}

impl Drop for Placed {
    fn drop(&mut self) {
        lock(&self.inner.watched).remove(&(self.instance, self.epoch));
        for (index, &node) in (0..).zip(&self.nodes) {
            let name = StageName {
                instance: self.instance.as_u128(),
                epoch: self.epoch,
                index,
            };
            let inner = Arc::clone(&self.inner);
            let unload = async move {
                let call = Call::Unload(name);
                if let Err(error) = inner.call(node, index, call, CALL_TIMEOUT).await {
                    // A node that is gone has dropped its stages, or will when it finds out.
                    tracing::debug!(?node, %error, "a stage is not unloaded");
                }
            };
            self.inner.work.spawn_on(unload, &self.inner.runtime);
        }
    }
}
