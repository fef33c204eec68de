//! This host in its cluster: the composition root's part that joins [`atoll_cluster`] to the models
//! folder, the pool and the gateway.
//!
//! - `loader`: what this node offers to pipelines, and its stages.
//! - `factory`: loads a model here, or over several nodes when it must be.
//! - `keeper`: brings models back that should run and do not.
//! - `drain`: gives instances up that other nodes run, too.
//! - `models`: the gateway's models, those of other nodes included.
//! - `view`: what people see of it. `command`: `atoll cluster`.

pub mod command;
mod drain;
mod factory;
mod fingerprint;
mod keeper;
mod loader;
mod models;
mod probe;
pub mod saved;
pub mod threads;
mod view;

use std::sync::{Arc, OnceLock};

use atoll_cluster::Cluster;
use atoll_cluster::identity::{ClusterName, Identity};
use atoll_cluster::node::ClusterOptions;
use atoll_cluster::sessions::Service;
use atoll_cluster::transport::{ClusterSecret, Network};
use atoll_gateway::Limits;
use atoll_gateway::forward;
use atoll_gateway::models::Models;
use futures::StreamExt as _;
use futures::stream::BoxStream;

pub use self::drain::drain;
pub use self::factory::ClusterFactory;
pub use self::fingerprint::of as fingerprint;
pub use self::keeper::keep;
pub use self::models::ClusterModels;
pub use self::view::ClusterPage;

use self::loader::FolderLoader;
use crate::compose::ModelCatalog;
use crate::config::{Config, Mode};
use crate::error::CliError;

/// A node that takes part.
#[derive(Clone)]
pub struct Joined {
    /// The node.
    pub cluster: Cluster,
    /// What it offers.
    loader: Arc<FolderLoader>,
    /// What it answers others with; set when everything is put together.
    answers: Arc<Answers>,
}

/// Joins, if this host is to be part of a cluster. A host that cannot join serves alone and says so.
///
/// # Errors
/// A name, an address or a secret that cannot be used. Without it the host would be in another cluster
/// than it was told to be in, or in none.
pub async fn join(
    config: &Config,
    catalog: &Arc<ModelCatalog>,
    has_keys: bool,
) -> Result<Option<Joined>, CliError> {
    let settings = &config.cluster;
    match settings.mode.value {
        Mode::Off => return Ok(None),
        Mode::Auto if (has_keys || config.require_key.value) && !settings.has_secret() => {
            tracing::info!(
                "this host asks for keys and is therefore part of no cluster: without a secret any node \
                 could use it without a key; --cluster NAME joins all the same"
            );
            return Ok(None);
        }
        Mode::Auto | Mode::On => {}
    }
    let secret = settings.read_secret()?;
    let name: ClusterName = settings.name.value.parse().map_err(refused)?;
    let secret = match secret {
        // It takes some tenths of a second, which others need not wait for.
        Some(secret) => {
            let name = name.clone();
            let derive = move || ClusterSecret::new(secret.expose(), &name);
            let derived = tokio::task::spawn_blocking(derive).await;
            let derived = derived.map_err(|error| CliError::Other(error.to_string()))?;
            Some(derived.map_err(refused)?)
        }
        None => None,
    };
    let open = secret.is_none();
    let network = Network {
        listen: settings.listen.value.iter().map(|at| address(at)).collect(),
        peers: settings.peers.value.iter().map(|at| address(at)).collect(),
        multicast: settings.multicast,
        // The connection outlives what is noticed by silence, so that it is named for what it is.
        lease: 2 * settings.patience,
        secret,
    };
    let identity = Identity::keep(&config.paths.node.join("id")).unwrap_or_else(|error| {
        tracing::warn!(%error, "this node gets a new id");
        Identity::passing()
    });
    let loader = Arc::new(FolderLoader::new(config, Arc::clone(catalog)));
    let answers = Arc::new(Answers {
        models: OnceLock::new(),
        limits: config.limits.clone(),
    });
    let mut options = ClusterOptions::new(name, identity, network);
    options.api = config
        .listen
        .value
        .iter()
        .map(ToString::to_string)
        .collect();
    options.silence = settings.patience;
    options.desired = Some(config.paths.node.join("desired.json"));
    options.service = Some(Arc::clone(&answers) as Arc<dyn Service>);
    let cluster = match Cluster::join(options, Arc::clone(&loader) as _).await {
        Ok(cluster) => cluster,
        // Nobody asked for it: a machine without a network serves itself.
        Err(error) if !settings.chosen() => {
            tracing::warn!(%error, "this host serves alone");
            return Ok(None);
        }
        Err(error) => return Err(refused(error)),
    };
    if open {
        tracing::warn!(
            cluster = %cluster.name(),
            "the cluster has no secret: every machine of this network can join it; `atoll cluster token` \
             makes one, --no-cluster keeps this host out"
        );
    }
    Ok(Some(Joined {
        cluster,
        loader,
        answers,
    }))
}

impl Joined {
    /// Begins to answer other nodes with these models.
    pub fn answer_with(&self, models: Arc<dyn Models>) {
        // Set once: a host is put together once.
        let _ = self.answers.models.set(models);
    }
}

fn refused(error: atoll_cluster::ClusterError) -> CliError {
    CliError::Other(format!("the cluster cannot be joined: {error}"))
}

/// `host:port`, or what Zenoh takes.
fn address(text: &str) -> String {
    if text.contains('/') {
        text.to_owned()
    } else {
        format!("tcp/{text}")
    }
}

/// Answers other nodes' requests with this node's models.
struct Answers {
    models: OnceLock<Arc<dyn Models>>,
    limits: Limits,
}

impl Service for Answers {
    fn answer(&self, request: Vec<u8>) -> BoxStream<'static, Vec<u8>> {
        match self.models.get() {
            Some(models) => forward::answer(Arc::clone(models), &self.limits, &request),
            None => futures::stream::empty().boxed(),
        }
    }
}
