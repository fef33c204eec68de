//! [`ClusterModels`]: the models of this host and of the other nodes, as one list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_cluster::identity::NodeId;
use atoll_cluster::{Cluster, ClusterError};
use atoll_engine::engine::{EngineError, EngineLoad};
use atoll_gateway::forward::{self, Elsewhere};
use atoll_gateway::models::{Models, TextEngine};
use atoll_gateway::pool::PoolModels;
use atoll_plugin_runtime::types::{Error, ErrorKind, KeepAlive, ModelInfo};
use futures::future::{BoxFuture, join_all};
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};

use super::{ClusterFactory, Joined};

/// Longest wait for another node's word on a model when a list is asked for.
const SHOW_TIMEOUT: Duration = Duration::from_secs(1);

/// When a request is worth another try after the node that answered it was lost.
const RETRY_AFTER_MS: u64 = 1000;

/// Most models of other nodes that are remembered.
const MAX_REMEMBERED: usize = 4096;

/// See the [module documentation](self).
#[derive(Clone)]
pub struct ClusterModels {
    local: PoolModels,
    cluster: Cluster,
    factory: Arc<ClusterFactory>,
    /// What other nodes said of their models.
    remembered: Arc<Mutex<BTreeMap<(NodeId, String), ModelInfo>>>,
}

impl ClusterModels {
    /// Puts this host's models and the others' together, and begins to answer the others.
    pub fn new(local: PoolModels, joined: &Joined, factory: Arc<ClusterFactory>) -> Self {
        joined.loader.serve(local.clone());
        let models = Self {
            local,
            cluster: joined.cluster.clone(),
            factory,
            remembered: Arc::default(),
        };
        joined.answer_with(Arc::new(models.clone()));
        models
    }

    fn there(&self, node: NodeId) -> Arc<dyn Elsewhere> {
        Arc::new(There {
            cluster: self.cluster.clone(),
            node,
        })
    }

    /// Models that only other nodes have, each with the lowest id among them.
    fn others(&self, local: &BTreeSet<String>) -> BTreeMap<String, NodeId> {
        let mut others = BTreeMap::new();
        for member in self.cluster.members() {
            let facts = member.facts.as_ref().filter(|_| member.usable());
            for name in facts.iter().flat_map(|facts| &facts.models) {
                if !local.contains(name) && member.id != self.cluster.id() {
                    others.entry(name.clone()).or_insert(member.id);
                }
            }
        }
        others
    }

    async fn shown(&self, node: NodeId, name: &str) -> Option<ModelInfo> {
        let key = (node, name.to_owned());
        let remembered = || {
            self.remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(model) = remembered().get(&key) {
            return Some(model.clone());
        }
        let there = self.there(node);
        let shown = forward::show(there.as_ref(), name);
        let model = match tokio::time::timeout(SHOW_TIMEOUT, shown).await {
            Ok(Ok(model)) => model?,
            Ok(Err(error)) => {
                tracing::debug!(?node, message = error.message, "a model is not described");
                return None;
            }
            Err(_) => return None,
        };
        let model = ModelInfo {
            loaded: None,
            ..model
        };
        let mut all = remembered();
        if all.len() < MAX_REMEMBERED {
            all.insert(key, model.clone());
        }
        Some(model)
    }
}

impl Models for ClusterModels {
    fn list(&self) -> BoxFuture<'_, Vec<ModelInfo>> {
        async move {
            let mut list = self.local.list().await;
            let names = list.iter().map(|model| model.id.clone()).collect();
            let others = self.others(&names);
            let shown = others.iter().map(|(name, &node)| self.shown(node, name));
            list.extend(join_all(shown).await.into_iter().flatten());
            list.sort_by(|a, b| a.id.cmp(&b.id));
            list
        }
        .boxed()
    }

    fn show<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<ModelInfo>> {
        async move {
            if let Some(model) = self.local.show(name).await {
                return Some(model);
            }
            let node = self.others(&BTreeSet::new()).get(name).copied()?;
            self.shown(node, name).await
        }
        .boxed()
    }

    fn show_here<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<ModelInfo>> {
        self.local.show(name)
    }

    fn elsewhere(&self, name: &str) -> Option<Arc<dyn Elsewhere>> {
        let serving = self.local.loaded(name).is_some();
        let alone = !serving && self.factory.alone(name);
        let node = self.cluster.elsewhere(name, serving, alone)?;
        Some(self.there(node))
    }

    fn keep(&self, name: &str, keep: KeepAlive) {
        if matches!(keep, KeepAlive::ForMs(_)) {
            // It may end by itself, and nobody is to bring it back then.
            self.cluster.want(name, false);
        }
        self.local.keep(name, keep);
    }

    fn unload<'a>(&'a self, name: &'a str) -> BoxFuture<'a, bool> {
        self.cluster.want(name, false);
        self.local.unload(name)
    }

    fn engine<'a>(
        &'a self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn TextEngine>, EngineError>> {
        // Another node runs it, too, and goes on.
        match self.cluster.yields_to(name) {
            Some(node) => {
                let node = node.to_string();
                std::future::ready(Err(EngineError::Elsewhere { node })).boxed()
            }
            None => self.local.engine(name),
        }
    }

    fn loaded(&self, name: &str) -> Option<Arc<dyn TextEngine>> {
        self.local.loaded(name)
    }

    fn loads(&self) -> Vec<(String, EngineLoad)> {
        self.local.loads()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async move {
            self.local.shutdown().await;
            self.cluster.leave().await;
        }
        .boxed()
    }
}

/// Another node, to the gateway.
struct There {
    cluster: Cluster,
    node: NodeId,
}

impl Elsewhere for There {
    fn moved(&self, model: &str, to: &str) {
        match to.parse() {
            Ok(to) => self.cluster.moved(model, self.node, to),
            Err(_) => tracing::debug!(node = ?self.node, "a model is said to be nowhere"),
        }
    }

    fn ask(&self, request: Vec<u8>) -> BoxStream<'static, Result<Vec<u8>, Error>> {
        let (cluster, node) = (self.cluster.clone(), self.node);
        let asked = async move {
            match cluster.ask(node, request).await {
                Ok(answer) => answer
                    .map(|part| part.map_err(|error| lost(&error)))
                    .boxed(),
                Err(error) => stream::iter([Err(lost(&error))]).boxed(),
            }
        };
        asked.flatten_stream().boxed()
    }
}

fn lost(error: &ClusterError) -> Error {
    Error {
        kind: ErrorKind::Overloaded,
        message: format!("the machine that answers for this model is lost: {error}; try again"),
        param: None,
        retry_after_ms: Some(RETRY_AFTER_MS),
        ext: None,
    }
}
