//! [`FolderLoader`]: what this node offers to pipelines, from its own models folder.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use atoll_cluster::members::ExecutorFacts;
use atoll_cluster::node::{Offer, StageLoader};
use atoll_cluster::wire::call::StageOrder;
use atoll_engine::engine::EngineFactory as _;
use atoll_engine::executor::StageExecutor;
use atoll_gateway::models::Models as _;
use atoll_gateway::pool::PoolModels;

use super::probe::Probe;
use crate::compose::ModelCatalog;
use crate::config::Config;
use crate::executor::Runner;

/// See the [module documentation](self).
pub struct FolderLoader {
    catalog: Arc<ModelCatalog>,
    /// Most bytes for stages.
    limit: Option<u64>,
    /// Bytes that each known model needs on one machine; looked up once.
    bytes: Mutex<HashMap<String, Option<u64>>>,
    /// What is in memory; set when everything is put together.
    pool: OnceLock<PoolModels>,
    probe: Probe,
}

impl FolderLoader {
    pub fn new(config: &Config, catalog: Arc<ModelCatalog>) -> Self {
        let selection = catalog.executor();
        let runner = selection.ok().map(|selection| &selection.runner);
        let probe = Probe::start(config, runner.unwrap_or(&Runner::Cpu));
        let limit = match config.cluster.memory {
            Some(bytes) => Some(bytes.0),
            None => runner.and_then(Runner::memory),
        };
        Self {
            catalog,
            limit,
            bytes: Mutex::default(),
            pool: OnceLock::new(),
            probe,
        }
    }

    /// Tells which models are in memory from now on.
    pub fn serve(&self, pool: PoolModels) {
        // Set once: a host is put together once.
        let _ = self.pool.set(pool);
    }

    /// Most bytes for stages, as configured.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Whether it is in memory, or its pipeline is coordinated from here.
    pub fn is_loaded(&self, model: &str) -> bool {
        let pool = self.pool.get();
        pool.is_some_and(|pool| pool.loaded(model).is_some())
    }

    /// Bytes that a model of this node's folder needs on one machine; `None` for one that is not there
    /// or has not been seen yet. Looks at no disk.
    pub fn bytes_of(&self, model: &str) -> Option<u64> {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.get(model).copied().flatten()
    }

    /// Looks at the models folder; what is new is read.
    fn models(&self) -> Vec<String> {
        let known = self.catalog.known();
        let fresh: Vec<String> = {
            let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
            bytes.retain(|name, _| known.contains(name));
            let fresh = known.iter().filter(|name| !bytes.contains_key(*name));
            fresh.cloned().collect()
        };
        for name in fresh {
            let needed = self.catalog.bytes(&name).ok();
            let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
            bytes.insert(name, needed);
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = |name: &String| bytes.get(name).copied().flatten().is_some();
        known.into_iter().filter(usable).collect()
    }
}

impl StageLoader for FolderLoader {
    fn offer(&self) -> Offer {
        let loaded = self.pool.get().map(|pool| pool.loads()).unwrap_or_default();
        Offer {
            bytes: self.limit,
            models: self.models(),
            serving: loaded.into_iter().map(|(name, _)| name).collect(),
            executors: vec![self.executor()],
        }
    }

    fn fingerprint(&self, model: &str) -> Result<String, String> {
        self.catalog.weights_fingerprint(model)
    }

    fn load(&self, order: &StageOrder) -> Result<Box<dyn StageExecutor>, String> {
        self.catalog.load_stage(order)
    }
}

impl FolderLoader {
    fn executor(&self) -> ExecutorFacts {
        let rates = self.probe.rates().unwrap_or_default();
        let selection = self.catalog.executor();
        let runner = selection.ok().map(|selection| &selection.runner);
        ExecutorFacts {
            name: runner.map_or("cpu", Runner::name).to_owned(),
            bytes_per_second: rates.bytes_per_second,
            multiply_adds_per_second: rates.multiply_adds_per_second,
        }
    }
}
