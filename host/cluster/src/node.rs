//! [`Cluster`]: this node in its cluster.
//!
//! There is no master. Every node announces itself, says once a second what it is, measures its ways
//! to the others, holds stages for whoever asks, and coordinates the pipelines of the requests that
//! come to it. What it knows of the others is what they last said; when one is lost, every node that
//! shares a pipeline with it drops its part at once.

mod host;
mod instance;
mod measure;
mod status;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use atoll_engine::executor::StageExecutor;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use instance::PipelineOrder;
pub use status::{ClusterStatus, MemberStatus, PipelineStatus};

use crate::error::ClusterError;
use crate::identity::{ClusterName, Identity, NodeId};
use crate::members::{ExecutorFacts, Member, Members, NodeFacts};
use crate::pipeline::Monitor;
use crate::plan::Budget;
use crate::transport::{Network, Question, Transport};
use crate::wire;
use crate::wire::call::{Answer, Call, StageOrder};
use host::StageHost;

/// How often a node says what it is. Last values: a lost one is replaced by the next.
const FACTS_PERIOD: Duration = Duration::from_secs(1);

/// How often pipelines and stages are looked at.
const HEALTH_PERIOD: Duration = Duration::from_millis(50);

/// What this node loads stages from: its models and its executor. Called on blocking threads, but for
/// [`offer`](StageLoader::offer).
pub trait StageLoader: Send + Sync + 'static {
    /// What it has to offer now. Called once a second; must not take long.
    fn offer(&self) -> Offer;

    /// What identifies a model's weights, so that stages of different weights are never joined.
    ///
    /// # Errors
    /// Why there is none, in words for another node's log.
    fn fingerprint(&self, model: &str) -> Result<String, String>;

    /// Loads a stage. The order's model, layers and sizes are another node's words.
    ///
    /// # Errors
    /// Why not, in words for another node's log.
    fn load(&self, order: &StageOrder) -> Result<Box<dyn StageExecutor>, String>;
}

/// What a node has for stages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Offer {
    /// Bytes for stages, those it holds included.
    pub bytes: u64,
    /// Models it has.
    pub models: Vec<String>,
    /// What it computes with.
    pub executors: Vec<ExecutorFacts>,
}

/// How a node takes part.
#[derive(Debug)]
pub struct ClusterOptions {
    /// Which cluster.
    pub name: ClusterName,
    /// Who it is.
    pub identity: Identity,
    /// How it is reached.
    pub network: Network,
    /// Where its API listens, for the others to see.
    pub api: Vec<String>,
    /// Longest silence of a stage before it counts as lost.
    pub silence: Duration,
}

impl ClusterOptions {
    /// A node of `network` in the cluster `name`, patient for a second.
    #[must_use]
    pub fn new(name: ClusterName, identity: Identity, network: Network) -> Self {
        Self {
            name,
            identity,
            network,
            api: Vec::new(),
            silence: Duration::from_secs(1),
        }
    }
}

/// A pipeline this node coordinates.
struct Watched {
    model: String,
    monitor: Arc<Monitor>,
    nodes: Vec<NodeId>,
    failed: Option<FailureCallback>,
}

/// What is to be done when a pipeline fails.
pub type FailureCallback = Box<dyn FnOnce(ClusterError) + Send>;

struct Inner {
    options: ClusterOptions,
    transport: Transport,
    loader: Arc<dyn StageLoader>,
    members: Mutex<Members>,
    host: StageHost,
    watched: Mutex<HashMap<(Uuid, u64), Watched>>,
    /// The id of each model's instance here, and the epoch of its latest plan.
    instances: Mutex<HashMap<String, (Uuid, u64)>>,
    changed: Notify,
    /// What was begun for others: loading, unloading.
    work: TaskTracker,
    runtime: Handle,
}

/// A node that takes part. See the [module documentation](self). Clones share it.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Joins. Returns when this node can be found; others are found from then on.
    ///
    /// # Errors
    /// [`ClusterError::Transport`]: an address that cannot be used.
    pub async fn join(
        options: ClusterOptions,
        loader: Arc<dyn StageLoader>,
    ) -> Result<Self, ClusterError> {
        let transport = Transport::open(&options.name, &options.network).await?;
        let id = options.identity.id();
        let inner = Arc::new(Inner {
            options,
            transport,
            loader,
            members: Mutex::default(),
            host: StageHost::default(),
            watched: Mutex::default(),
            instances: Mutex::default(),
            changed: Notify::new(),
            work: TaskTracker::new(),
            runtime: Handle::current(),
        });
        let transport = &inner.transport;
        // Callbacks hold the node weakly: the session holds them, and the node holds the session.
        let asked = Arc::downgrade(&inner);
        let answer = move |question: Question| {
            if let Some(inner) = asked.upgrade() {
                inner.asked(question);
            }
        };
        let answering = transport.answer(id, answer).await?;
        let hearing = Arc::downgrade(&inner);
        let heard = move |node, facts: &[u8]| {
            if let Some(inner) = hearing.upgrade()
                && let Err(reason) = lock(&inner.members).heard(node, facts, Instant::now())
            {
                tracing::debug!(?node, reason, "facts that are none");
            }
        };
        let listening = transport.listen_facts(heard).await?;
        let seeing = Arc::downgrade(&inner);
        let seen = move |node, here| {
            if let Some(inner) = seeing.upgrade() {
                inner.seen(node, here);
            }
        };
        let watching = transport.watch(seen).await?;
        let token = transport.announce(id).await?;
        let mut tasks = JoinSet::new();
        let publisher = Arc::clone(&inner);
        tasks.spawn(async move {
            // Held for as long as the node takes part.
            let _held = (answering, listening, watching, token);
            publisher.publish().await;
        });
        let health = Arc::clone(&inner);
        tasks.spawn(async move { health.look_after().await });
        let meter = Arc::clone(&inner);
        tasks.spawn(async move { meter.measure().await });
        tracing::info!(cluster = %inner.options.name, node = %id, "joined");
        Ok(Self {
            inner,
            tasks: Arc::new(Mutex::new(tasks)),
        })
    }

    /// This node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.inner.options.identity.id()
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &ClusterName {
        &self.inner.options.name
    }

    /// Addresses on which other nodes reach this one.
    #[must_use]
    pub fn locators(&self) -> &[String] {
        self.inner.transport.locators()
    }

    /// Everybody who is here, this node included, by id.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        lock(&self.inner.members).iter().cloned().collect()
    }

    /// What each node that can run stages of `model` has for them.
    #[must_use]
    pub fn budgets(&self, model: &str) -> Vec<Budget> {
        let members = lock(&self.inner.members);
        let usable = members
            .iter()
            .filter(|member| member.incompatible().is_none());
        usable
            .filter_map(|member| {
                let facts = member.facts.as_ref()?;
                let has = facts.models.iter().any(|name| name == model);
                has.then_some(Budget {
                    node: member.id,
                    bytes: facts.stage_budget,
                })
            })
            .collect()
    }

    /// Leaves: gives up the stages it holds, and tells everybody.
    pub async fn leave(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
        self.inner.transport.close().await;
        let inner = Arc::clone(&self.inner);
        let dropped = tokio::task::spawn_blocking(move || inner.host.clear());
        if dropped.await.is_err() {
            tracing::error!("a stage panicked while it was given up");
        }
        self.inner.work.close();
        self.inner.work.wait().await;
    }
}

impl Inner {
    fn id(&self) -> NodeId {
        self.options.identity.id()
    }

    /// A node came or went. Runs on the transport's threads.
    fn seen(self: &Arc<Self>, node: NodeId, here: bool) {
        if here {
            if lock(&self.members).came(node, Instant::now()) {
                tracing::info!(node = %node, "a node joined");
                // It should know this one before the next second.
                self.changed.notify_one();
            }
        } else if lock(&self.members).went(node) {
            tracing::info!(node = %node, "a node left");
            for watched in lock(&self.watched).values() {
                if watched.nodes.contains(&node) {
                    watched.monitor.fail(ClusterError::Lost { node });
                }
            }
            let inner = Arc::clone(self);
            self.work
                .spawn_blocking_on(move || inner.host.lost(node), &self.runtime);
        }
    }

    /// A question came. Runs on the transport's threads.
    fn asked(self: &Arc<Self>, question: Question) {
        let runtime = &self.runtime;
        let call = match wire::decode(&question.payload()) {
            Ok(call) => call,
            Err(error) => {
                let reason = error.to_string();
                return reply(question, &Answer::Refused { reason });
            }
        };
        let inner = Arc::clone(self);
        match call {
            Call::Ping { answer, .. } => {
                let payload = vec![0; answer.min(measure::PROBE_BYTES) as usize];
                reply(question, &Answer::Pong { payload });
            }
            Call::Load(order) => {
                let answer = async move { reply(question, &inner.load(order).await) };
                self.work.spawn_on(answer, runtime);
            }
            Call::Start(name) => {
                let answer = async move { reply(question, &inner.host.start(name).await) };
                self.work.spawn_on(answer, runtime);
            }
            Call::Unload(name) => {
                let answer = move || {
                    inner.host.unload(name);
                    reply(question, &Answer::Done);
                };
                self.work.spawn_blocking_on(answer, runtime);
            }
        }
    }

    fn facts(&self) -> NodeFacts {
        let offer = self.loader.offer();
        let stages = self.host.held();
        let held: u64 = stages.iter().map(|stage| stage.bytes).sum();
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        NodeFacts {
            name: sysinfo::System::host_name().unwrap_or_default(),
            api: self.options.api.clone(),
            memory_total: system.total_memory(),
            memory_free: system.available_memory(),
            stage_budget: offer.bytes.saturating_sub(held),
            executors: offer.executors,
            models: offer.models,
            stages,
            ..NodeFacts::default()
        }
    }

    /// Says what this node is, again and again.
    async fn publish(self: Arc<Self>) {
        loop {
            let inner = Arc::clone(&self);
            // The loader looks at disks.
            let facts = tokio::task::spawn_blocking(move || serde_json::to_vec(&inner.facts()));
            match facts.await {
                Ok(Ok(facts)) => {
                    if let Err(error) = self.transport.publish_facts(self.id(), facts).await {
                        tracing::debug!(%error, "nobody knows what this node is");
                    }
                }
                Ok(Err(error)) => tracing::error!(%error, "this node's facts are not JSON"),
                Err(error) => tracing::error!(%error, "this node's facts are unknown"),
            }
            tokio::select! {
                () = tokio::time::sleep(FACTS_PERIOD) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Looks after pipelines and stages.
    async fn look_after(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(HEALTH_PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for (error, failed) in self.failures() {
                failed(error);
            }
            if self.host.has_finished() {
                let inner = Arc::clone(&self);
                self.work.spawn_blocking(move || inner.host.sweep());
            }
        }
    }

    /// Pipelines that have failed since the last look.
    fn failures(&self) -> Vec<(ClusterError, FailureCallback)> {
        let mut failures = Vec::new();
        for watched in lock(&self.watched).values_mut() {
            if watched.failed.is_some()
                && let Some(error) = watched.monitor.failure(self.options.silence)
                && let Some(failed) = watched.failed.take()
            {
                failures.push((error, failed));
            }
        }
        failures
    }
}

/// Memory of this machine in bytes.
#[must_use]
pub fn memory_total() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.total_memory()
}

fn reply(question: Question, answer: &Answer) {
    match wire::encode(answer) {
        Ok(frame) => question.reply(frame),
        Err(error) => tracing::error!(%error, "an answer has no bytes"),
    }
}
