//! [`ClusterFactory`]: engines from this machine's models, over several nodes where it must be.
//!
//! A model that fits here alone is loaded here. Any other is placed by a strategy over the nodes that
//! have it, loaded by each from its own folder, and driven from here. When a node of it is lost the
//! engine ends with an error that says so; the next request for the model, or the keeper of what
//! should run, loads it again on the nodes that are left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use atoll_cluster::node::PipelineOrder;
use atoll_cluster::placement::{
    Objective, Options, Placement, PlacementRequest, PlacementStrategy, model_facts, place,
};
use atoll_cluster::plan::Needs;
use atoll_cluster::wire::Precision;
use atoll_cluster::{Cluster, ClusterError};
use atoll_engine::engine::{Engine, EngineEnder, EngineError, EngineFactory, EngineOptions};
use atoll_engine::executor::ExecutorError;
use tokio::runtime::Handle;

use super::Joined;
use super::loader::FolderLoader;
use crate::compose::ModelCatalog;
use crate::config::{ClusterConfig, WirePrecision};
use crate::strategies::PlacementSlot;

/// How often a placement is tried on other nodes after some refused or went.
const ATTEMPTS: usize = 4;

/// How often, and after which wait, a model that was lost is placed again before there is no room.
const TRIES_FOR_ROOM: usize = 5;
const WAIT_FOR_ROOM: Duration = Duration::from_millis(500);

/// Positions that a token is taken to look back at: KV memory is for many sequences, and no token reads
/// all of it.
const USUAL_CONTEXT: u64 = 4096;

/// When a model that does not fit is worth another try: a node may come back.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// See the [module documentation](self).
pub struct ClusterFactory {
    catalog: Arc<ModelCatalog>,
    cluster: Cluster,
    loader: Arc<FolderLoader>,
    settings: ClusterConfig,
    strategies: Arc<PlacementSlot>,
    runtime: Handle,
    /// The latest placement of each model that was placed.
    placements: Mutex<BTreeMap<String, Placement>>,
}

impl ClusterFactory {
    /// A factory on the runtime that calls this.
    pub fn new(
        joined: &Joined,
        catalog: Arc<ModelCatalog>,
        settings: ClusterConfig,
        strategies: Arc<PlacementSlot>,
    ) -> Self {
        Self {
            catalog,
            cluster: joined.cluster.clone(),
            loader: Arc::clone(&joined.loader),
            settings,
            strategies,
            runtime: Handle::current(),
            placements: Mutex::default(),
        }
    }

    /// Whether this node has the model and runs it without others. Looks at no disk.
    pub fn alone(&self, name: &str) -> bool {
        let bytes = self.loader.bytes_of(name);
        !self.is_divided(name) && bytes.is_some_and(|bytes| self.fits(bytes))
    }

    /// Whether a person said that it runs over several nodes, or on another.
    fn is_divided(&self, name: &str) -> bool {
        match self.strategies.pin(name) {
            Some(pinned) => {
                let id = self.cluster.id().to_string();
                !pinned.is_alone_on(&id, &atoll_cluster::node::host_name())
            }
            None => self.settings.stages_of(name).is_some(),
        }
    }

    fn fits(&self, bytes: u64) -> bool {
        bytes <= self.cluster.memory_for_stages(self.loader.limit())
    }

    /// The latest placements, by model.
    pub fn placements(&self) -> BTreeMap<String, Placement> {
        let placements = self.placements.lock();
        placements.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the model was placed, if it runs from here over the pool.
    pub fn running(&self, name: &str) -> Option<Placement> {
        let loads = self.loader.is_loaded(name);
        self.placements().remove(name).filter(|_| loads)
    }

    /// What a strategy is told about a model of this node's folder, and what the host checks its answer
    /// with.
    ///
    /// # Errors
    /// A model that is not here or cannot be read.
    pub fn request(&self, name: &str) -> Result<(PlacementRequest, Needs), EngineError> {
        let needs = self.catalog.needs(name)?;
        // A pin says it all.
        let wanted = match self.strategies.pin(name) {
            Some(_) => None,
            None => self.settings.stages_of(name),
        };
        let request = PlacementRequest {
            topology: self.cluster.topology(name),
            model: model_facts(name, &needs, self.precision().bytes() as u32),
            options: Options {
                objective: self.strategies.objective(),
                kv_positions: needs.kv_positions,
                max_stages: wanted.and_then(|stages| u32::try_from(stages).ok()),
                ext: Some(hints(needs.kv_positions.min(USUAL_CONTEXT), wanted)),
                ..Options::default()
            },
            previous: self.placements().remove(name).map(|placed| placed.proposal),
        };
        Ok((request, needs))
    }

    /// Where the model would go now, and what was asked: with this objective, or the configured one.
    /// Nothing is loaded.
    ///
    /// # Errors
    /// A model that is not here or cannot be read; and, with what was asked, one that fits nowhere.
    pub async fn preview(
        self: &Arc<Self>,
        name: &str,
        objective: Option<Objective>,
    ) -> Result<(PlacementRequest, Result<Placement, EngineError>), EngineError> {
        let (factory, asked) = (Arc::clone(self), name.to_owned());
        // Reads the model's folder.
        let read = tokio::task::spawn_blocking(move || factory.request(&asked)).await;
        let (mut request, needs) =
            read.map_err(|error| EngineError::Internal(error.to_string()))??;
        if let Some(objective) = objective {
            request.options.objective = objective;
        }
        let placement = self.place(name, &request, &needs).await;
        Ok((request, placement))
    }

    fn precision(&self) -> Precision {
        match self.settings.wire {
            WirePrecision::F32 => Precision::F32,
            WirePrecision::Bf16 => Precision::Bf16,
        }
    }

    /// Whether the machine could hold the model if nothing else ran: then a host that is on its own
    /// does what it always did.
    fn could_hold(&self, bytes: u64) -> bool {
        let limit = self.loader.limit();
        bytes <= limit.unwrap_or_else(atoll_cluster::node::memory_total)
    }

    async fn place(
        &self,
        name: &str,
        request: &PlacementRequest,
        needs: &Needs,
    ) -> Result<Placement, EngineError> {
        let pinned = self.strategies.pin(name);
        let pinned = pinned.iter().map(|pinned| pinned as &dyn PlacementStrategy);
        let chosen: &dyn PlacementStrategy = self.strategies.as_ref();
        let strategies: Vec<&dyn PlacementStrategy> = pinned.chain([chosen]).collect();
        let placement = place(&strategies, request, needs).await;
        placement.map_err(|error| unavailable(name, &error))
    }

    /// As [`place`](Self::place). A model that ran until a moment ago may still hold the memory it is to
    /// be placed in: its stages are being given up.
    async fn place_again(
        &self,
        name: &str,
        request: &mut PlacementRequest,
        needs: &Needs,
    ) -> Result<Placement, EngineError> {
        let mut tries = if self.was_placed(name) {
            TRIES_FOR_ROOM
        } else {
            1
        };
        loop {
            tries -= 1;
            match self.place(name, request, needs).await {
                Err(_) if tries > 0 => tokio::time::sleep(WAIT_FOR_ROOM).await,
                placed => return placed,
            }
            request.topology = self.cluster.topology(name);
        }
    }

    /// Whether it ran until a moment ago, as far as anybody knows: placed from here, or by a node that
    /// may be the one that was lost.
    fn was_placed(&self, name: &str) -> bool {
        let wanted = || self.cluster.wanted().iter().any(|wanted| wanted == name);
        let placements = self.placements.lock();
        let placements = placements.unwrap_or_else(PoisonError::into_inner);
        placements.contains_key(name) || wanted()
    }

    async fn load_over_nodes(&self, name: &str) -> Result<Engine, EngineError> {
        let claim = self.cluster.claim(name).await;
        let claim = Arc::new(claim.map_err(|node| EngineError::Elsewhere {
            node: node.to_string(),
        })?);
        let (mut request, needs) = self.request(name)?;
        let fingerprint = self
            .catalog
            .weights_fingerprint(name)
            .map_err(EngineError::Internal)?;
        let blocks = self.catalog.kv_blocks(needs.kv_positions);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let placement = self.place_again(name, &mut request, &needs).await?;
            tracing::info!(
                model = name,
                strategy = placement.strategy,
                plan = ?placement.plan,
                "placed"
            );
            let order = PipelineOrder {
                model: name.to_owned(),
                fingerprint: fingerprint.clone(),
                plan: placement.plan.clone(),
                block_size: blocks.size,
                num_blocks: blocks.count,
                precision: self.precision(),
            };
            let engine: Arc<OnceLock<EngineEnder>> = Arc::default();
            let (ender, claim) = (Arc::clone(&engine), Arc::clone(&claim));
            let failed = Box::new(move |error: ClusterError| {
                // Whoever hears of the loss may place the model; so may others if nobody uses it any more.
                drop(claim);
                if let Some(ender) = ender.get() {
                    ender.fail(lost(&error));
                }
            });
            match self.cluster.start(order, failed).await {
                Ok(executor) => {
                    let model = self.catalog.open_text(name)?;
                    let options = EngineOptions::default();
                    let started = Engine::start_with_policy(
                        model,
                        Box::new(executor),
                        options,
                        self.catalog.policy(),
                    )?;
                    engine.get_or_init(|| started.ender());
                    // One that was lost in between has called nobody.
                    if let Some(error) = self.cluster.pipeline_failure(name) {
                        started.ender().fail(lost(&error));
                    }
                    let placements = self.placements.lock();
                    let mut placements = placements.unwrap_or_else(PoisonError::into_inner);
                    placements.insert(name.to_owned(), placement);
                    self.cluster.want(name, true);
                    return Ok(started);
                }
                Err(error) if attempt < ATTEMPTS => {
                    tracing::warn!(model = name, %error, "placing it again");
                    match node_of(&error) {
                        Some(node) => request.options.excluded.push(node),
                        None => request.topology = self.cluster.topology(name),
                    }
                }
                Err(error) => return Err(unavailable(name, &error)),
            }
        }
    }
}

/// What [`Options::ext`] says.
fn hints(context: u64, stages: Option<usize>) -> String {
    let mut hints = serde_json::json!({ "context": context });
    if let Some(stages) = stages {
        hints["stages"] = stages.into();
    }
    hints.to_string()
}

/// The node that an error names, which another placement should do without.
fn node_of(error: &ClusterError) -> Option<String> {
    match error {
        ClusterError::Refused { node, .. } | ClusterError::Lost { node } => Some(node.to_string()),
        _ => None,
    }
}

fn lost(error: &ClusterError) -> EngineError {
    let reason = format!("a machine that ran this model is lost: {error}");
    ExecutorError::Lost(reason).into()
}

fn unavailable(name: &str, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Unavailable {
        reason: format!("model `{name}` cannot be placed on this cluster now: {error}"),
        retry_after: RETRY_AFTER,
    }
}

impl EngineFactory for ClusterFactory {
    fn known(&self) -> Vec<String> {
        self.catalog.known()
    }

    fn bytes(&self, name: &str) -> Result<u64, EngineError> {
        self.catalog.bytes(name)
    }

    fn load(&self, name: &str) -> Result<Engine, EngineError> {
        let bytes = self.catalog.bytes(name)?;
        let on_its_own = || self.cluster.budgets(name).len() <= 1 && self.could_hold(bytes);
        if !self.is_divided(name) && (self.fits(bytes) || on_its_own()) {
            return self.catalog.load(name);
        }
        self.runtime.block_on(self.load_over_nodes(name))
    }
}
