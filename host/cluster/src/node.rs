//! [`Cluster`]: this node in its cluster.
//!
//! There is no master. Every node announces itself, says what it is when that has changed, measures its
//! ways to the others, holds stages for whoever asks, and coordinates the pipelines of the requests that
//! come to it. What it knows of the others is what they last said; when one is lost, every node that
//! shares a pipeline with it drops its part at once.

mod absent;
mod claim;
mod duplicates;
mod facts;
mod host;
mod instance;
mod measure;
mod status;
mod topology;
mod wishes;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use atoll_engine::executor::StageExecutor;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use claim::Claim;
pub use facts::{host_name, memory_total};
pub use instance::PipelineOrder;
pub use status::{AbsentPeer, ClusterStatus, MemberStatus, PipelineStatus};

use crate::claims::Claims;
use crate::desired::Desired;
use crate::error::ClusterError;
use crate::identity::{ClusterName, Identity, NodeId};
use crate::interfaces::Interface;
use crate::members::{ExecutorFacts, Member, Members};
use crate::pipeline::Monitor;
use crate::plan::Budget;
use crate::route;
use crate::sessions::{Service, Sessions};
use crate::transport::{Knock, Network, Question, SessionWay, Transport};
use crate::wire;
use crate::wire::call::{Answer, Call, StageOrder};
use facts::budget;
use host::StageHost;

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
    /// Most bytes for stages, those it holds included; `None` is what the machine has free, but for a
    /// reserve.
    pub bytes: Option<u64>,
    /// Models it has.
    pub models: Vec<String>,
    /// Models it answers for others.
    pub serving: Vec<String>,
    /// What it computes with.
    pub executors: Vec<ExecutorFacts>,
}

/// How a node takes part.
pub struct ClusterOptions {
    /// Which cluster.
    pub name: ClusterName,
    /// Who it is.
    pub identity: Identity,
    /// How it is reached.
    pub network: Network,
    /// Where its API listens, for the others to see.
    pub api: Vec<String>,
    /// Longest silence of a stage, or of a node that answers, before it counts as lost.
    pub silence: Duration,
    /// Where the map of models that should run is kept; `None` keeps it in memory only.
    pub desired: Option<PathBuf>,
    /// Answers the requests that other nodes forward; `None` refuses them.
    pub service: Option<Arc<dyn Service>>,
}

impl fmt::Debug for ClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterOptions")
            .field("name", &self.name)
            .field("identity", &self.identity)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
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
            desired: None,
            service: None,
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
    sessions: Arc<Sessions<Transport>>,
    host: StageHost,
    watched: Mutex<HashMap<(Uuid, u64), Watched>>,
    /// The id of each model's instance here, and the epoch of its latest plan.
    instances: Mutex<HashMap<String, (Uuid, u64)>>,
    /// What this node places, and has placed.
    claims: Mutex<Claims>,
    desired: Mutex<Desired>,
    changed: Notify,
    /// When a node was last seen to join.
    joined: Mutex<Instant>,
    tell_wishes: Notify,
    /// Why no node is reached at these addresses.
    absent: Mutex<BTreeMap<String, Knock>>,
    /// Read again from time to time: cables are plugged.
    interfaces: Mutex<Option<(Instant, Vec<Interface>)>>,
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
        let id = options.identity.id();
        let transport = Transport::open(&options.name, &options.network).await?;
        let desired = options
            .desired
            .as_deref()
            .map(Desired::load)
            .unwrap_or_default();
        let inner = Arc::new(Inner {
            options,
            sessions: Sessions::new(id, transport.clone()),
            transport,
            loader,
            members: Mutex::default(),
            host: StageHost::default(),
            watched: Mutex::default(),
            instances: Mutex::default(),
            claims: Mutex::new(Claims::new(id)),
            desired: Mutex::new(desired),
            changed: Notify::new(),
            joined: Mutex::new(Instant::now()),
            tell_wishes: Notify::new(),
            absent: Mutex::default(),
            interfaces: Mutex::default(),
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
            if let Some(inner) = hearing.upgrade() {
                inner.facts_heard(node, facts);
            }
        };
        let listening = transport.listen_facts(heard).await?;
        let wishing = Arc::downgrade(&inner);
        let wished = move |map: &[u8]| {
            if let Some(inner) = wishing.upgrade() {
                inner.wishes_heard(map);
            }
        };
        let wishes = transport.listen_wishes(wished).await?;
        let seeing = Arc::downgrade(&inner);
        let seen = move |node, here| {
            if let Some(inner) = seeing.upgrade() {
                inner.seen(node, here);
            }
        };
        let watching = transport.watch(seen).await?;
        let begun = Arc::downgrade(&inner);
        let asked = move |frame: Vec<u8>| {
            if let Some(inner) = begun.upgrade() {
                let spawn = |work| drop(inner.work.spawn_on(work, &inner.runtime));
                let service = inner.options.service.as_ref();
                inner.sessions.asked(&frame, service, spawn);
            }
        };
        let asked = transport.sessions(id, SessionWay::Ask, asked).await?;
        let answers = Arc::downgrade(&inner.sessions);
        let told = move |frame: Vec<u8>| {
            if let Some(sessions) = answers.upgrade() {
                sessions.told(&frame);
            }
        };
        let told = transport.sessions(id, SessionWay::Tell, told).await?;
        let token = transport.announce(id).await?;
        let mut tasks = JoinSet::new();
        let publisher = Arc::clone(&inner);
        tasks.spawn(async move {
            // Held for as long as the node takes part.
            let _held = (answering, listening, wishes, watching, asked, told, token);
            publisher.publish().await;
        });
        let health = Arc::clone(&inner);
        tasks.spawn(async move { health.look_after().await });
        let teller = Arc::clone(&inner);
        tasks.spawn(async move { teller.tell_wishes().await });
        let meter = Arc::clone(&inner);
        tasks.spawn(async move { meter.measure().await });
        let seeker = Arc::clone(&inner);
        tasks.spawn(async move { seeker.explain_absence().await });
        let encrypted = inner.transport.is_encrypted();
        tracing::info!(cluster = %inner.options.name, node = %id, encrypted, "joined");
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
        let usable = members.iter().filter(|member| member.usable());
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

    /// Asks another node something that its [`Service`] answers. Dropping the answer cancels it.
    ///
    /// # Errors
    /// [`ClusterError::Unreachable`]. The answer itself ends with an error if the node is lost, or
    /// silent for longer than this node's patience.
    pub async fn ask(
        &self,
        node: NodeId,
        request: Vec<u8>,
    ) -> Result<BoxStream<'static, Result<Vec<u8>, ClusterError>>, ClusterError> {
        let silence = self.inner.options.silence;
        let inner = Arc::clone(&self.inner);
        let suspect = move || lock(&inner.members).suspect(node, Instant::now());
        let asked = self.inner.sessions.ask(node, request, silence).await;
        let answer = asked.inspect_err(|_| suspect())?;
        let watched = answer.inspect(move |part| {
            if part.is_err() {
                suspect();
            }
        });
        Ok(watched.boxed())
    }

    /// The node that answers requests for `model`, if it is not this one; see [`route`]. A node that is
    /// placing a model answers for it already, but for one that another node runs with a
    /// [better right](Self::yields_to).
    #[must_use]
    pub fn elsewhere(&self, model: &str, serving: bool, alone: bool) -> Option<NodeId> {
        if let Some(node) = self.yields_to(model) {
            return Some(node);
        }
        let asked = route::Asked {
            node: self.id(),
            serving: serving || lock(&self.inner.claims).is_wanted(model),
            alone,
        };
        route::elsewhere(model, asked, lock(&self.inner.members).iter())
    }

    /// Says what this node is now, rather than within a second.
    pub fn refresh(&self) {
        self.inner.changed.notify_one();
    }

    /// Bytes that this node has for stages now, if it may hold `limit` of them.
    #[must_use]
    pub fn memory_for_stages(&self, limit: Option<u64>) -> u64 {
        budget(limit, self.inner.host.bytes())
    }

    /// Why the latest pipeline of `model` that this node coordinates does not work, if so.
    #[must_use]
    pub fn pipeline_failure(&self, model: &str) -> Option<ClusterError> {
        let silence = self.inner.options.silence;
        let watched = lock(&self.inner.watched);
        let of_model = watched.iter().filter(|(_, watched)| watched.model == model);
        let latest = of_model.max_by_key(|((_, epoch), _)| *epoch);
        latest.and_then(|(_, watched)| watched.monitor.failure(silence))
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
                *lock(&self.joined) = Instant::now();
                // It should know this one before the next second.
                self.changed.notify_one();
                if lock(&self.desired).wanted().next().is_some() {
                    self.tell_wishes.notify_one();
                }
            }
        } else if lock(&self.members).went(node) {
            tracing::info!(node = %node, "a node left");
            for watched in lock(&self.watched).values() {
                if watched.nodes.contains(&node) {
                    watched.monitor.fail(ClusterError::Lost { node });
                }
            }
            self.sessions.lost(node);
            let inner = Arc::clone(self);
            self.work
                .spawn_blocking_on(move || inner.host.lost(node), &self.runtime);
        }
    }

    /// A node said what it is. Runs on the transport's threads.
    fn facts_heard(&self, node: NodeId, facts: &[u8]) {
        let mut members = lock(&self.members);
        if let Err(reason) = members.heard(node, facts, Instant::now()) {
            return tracing::debug!(?node, reason, "facts that are none");
        }
        let facts = members.get(node).and_then(|member| member.facts.as_ref());
        let theirs = facts.map(|facts| facts.desired);
        drop(members);
        if theirs.is_some_and(|theirs| theirs != lock(&self.desired).digest()) {
            self.tell_wishes.notify_one();
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
            Call::Claim { model, from } => reply(question, &self.asked_to_place(&model, from)),
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
                // What it does not answer for any more should be known at once.
                self.changed.notify_one();
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
                if let ClusterError::Silent { stage, .. } = &error
                    && let Some(&node) = watched.nodes.get(*stage)
                {
                    lock(&self.members).suspect(node, Instant::now());
                }
                failures.push((error, failed));
            }
        }
        failures
    }
}

fn reply(question: Question, answer: &Answer) {
    match wire::encode(answer) {
        Ok(frame) => question.reply(frame),
        Err(error) => tracing::error!(%error, "an answer has no bytes"),
    }
}
