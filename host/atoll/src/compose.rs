//! The composition root: which parts there are, and how they are joined. No part knows another
//! except through what it is given here.

mod catalog;
mod details;
mod library;
mod plugin_set;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use atoll_engine::engine::{ModelPool, PoolOptions};
use atoll_gateway::audit::{Audit, AuditFile, LogAudit};
use atoll_gateway::cluster::ClusterView;
use atoll_gateway::keys::KeyRing;
use atoll_gateway::models::Models;
use atoll_gateway::pool::PoolModels;
use atoll_gateway::responses::{ResponseStore, StoreError};
use atoll_gateway::tokenizer::ModelTokenizer;
use atoll_gateway::{GatewayOptions, GatewayParts, PluginSet};
use atoll_hub::Hub;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::runtime::Handle;

pub use self::catalog::ModelCatalog;
use self::library::FolderLibrary;
pub use self::plugin_set::{library, plugin_runtime};

use crate::cluster::{self, ClusterFactory, ClusterModels, ClusterPage};
use crate::config::Config;
use crate::embedded;
use crate::error::CliError;
use crate::strategies::{PlacementSlot, SchedulingSlot, Strategies};

/// The asynchronous runtime every command uses.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Other(format!("the asynchronous runtime cannot start: {error}")))
}

/// What is known about the models on this machine, without loading any.
pub fn catalog(config: &Config) -> ModelCatalog {
    ModelCatalog::open(config)
}

/// The models, loaded when asked for.
///
/// # Errors
/// The executor that was asked for is not there.
pub fn models(config: &Config) -> Result<PoolModels, CliError> {
    let catalog = Arc::new(catalog(config));
    select_executor(&catalog)?;
    Ok(pooled(catalog))
}

/// Decides now what runs models: the answer should not come with the first request.
fn select_executor(catalog: &ModelCatalog) -> Result<(), CliError> {
    let selection = catalog
        .executor()
        .map_err(|error| CliError::Executor(error.clone()))?;
    let executor = selection.runner.name();
    tracing::info!(executor, reason = selection.reason, "executor chosen");
    Ok(())
}

fn pooled(catalog: Arc<ModelCatalog>) -> PoolModels {
    let pool = ModelPool::new(Arc::clone(&catalog) as _, pool_options(&catalog));
    PoolModels::new(pool, catalog)
}

/// A device with a memory of its own holds no more models than fit.
fn pool_options(catalog: &ModelCatalog) -> PoolOptions {
    let selection = catalog.executor();
    PoolOptions {
        memory_budget: selection
            .ok()
            .and_then(|selection| selection.runner.memory()),
        ..PoolOptions::default()
    }
}

/// Everything `serve` runs.
pub struct Parts {
    /// For the gateway.
    pub gateway: GatewayParts,
    /// Names of the models, the demo model last.
    pub models: Vec<String>,
    /// Unloads idle models, follows the plugin folder and the keys; to be run beside the server.
    pub maintenance: BoxFuture<'static, ()>,
}

/// Puts a server together.
pub async fn gateway(config: &Config) -> Result<Parts, CliError> {
    let strategies = Arc::new(Strategies {
        scheduling: SchedulingSlot::new(Handle::current()),
        placement: PlacementSlot::new(),
        factory: OnceLock::new(),
    });
    let scheduling = Arc::clone(&strategies.scheduling);
    let catalog = Arc::new(catalog(config).scheduled_by(scheduling));
    select_executor(&catalog)?;
    let keys = Arc::new(KeyRing::open(&config.keys.value)?);
    let has_keys = !config.key_file().read()?.is_empty();
    let Host {
        models,
        shared,
        cluster,
        keeper,
    } = host(config, &catalog, has_keys, &strategies).await?;
    let tokenizer = Arc::new(ModelTokenizer::new(Arc::clone(&shared)));
    let runtime = plugin_set::plugin_runtime(config, Some(tokenizer))?;
    plugin_set::keep_kv(config, &runtime);
    let mut library = plugin_set::library(config, runtime.clone())?.recording();
    library.refresh().await;
    let installed = plugin_set::installed(config, library.inventory())?;
    strategies.apply(&config.strategies, &installed.registry);
    let plugins = Arc::new(PluginSet::new(installed));
    let mut options = GatewayOptions::new(env!("CARGO_PKG_VERSION"));
    options.limits = config.limits.clone();
    options.access = config.access();
    let mut gateway = GatewayParts::new(options, Arc::clone(&plugins), shared);
    gateway.plugin_runtime = Some(runtime);
    gateway.audit = audit(config)?;
    gateway.keys = Arc::clone(&keys);
    gateway.cluster = cluster;
    gateway.strategies = Some(Arc::clone(&strategies) as _);
    let follow = plugin_set::follow(config.clone(), library, plugins, strategies);
    gateway.library = Some(Arc::new(FolderLibrary {
        hub: Hub::new(config.hub.clone())?,
        catalog,
        models: models.clone(),
        roots: config.models.value.clone(),
    }));
    match responses(config) {
        Ok(Some(store)) => gateway.responses = Some(Arc::new(store)),
        // In memory, as it stands.
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "answers are kept in memory only"),
    }
    let mut names = models.names();
    names.sort_by_key(|name| name == embedded::NAME);
    Ok(Parts {
        gateway,
        models: names,
        maintenance: async move {
            tokio::join!(models.maintain(), follow, keys.watch(), keeper);
        }
        .boxed(),
    })
}

/// The models of this host, and of its cluster if it is part of one.
struct Host {
    /// This machine's.
    models: PoolModels,
    /// All.
    shared: Arc<dyn Models>,
    cluster: Option<Arc<dyn ClusterView>>,
    /// Brings models back that should run, and gives up what runs twice; to be run beside the server.
    keeper: BoxFuture<'static, ()>,
}

async fn host(
    config: &Config,
    catalog: &Arc<ModelCatalog>,
    has_keys: bool,
    strategies: &Strategies,
) -> Result<Host, CliError> {
    let Some(joined) = cluster::join(config, catalog, has_keys).await? else {
        let models = pooled(Arc::clone(catalog));
        return Ok(Host {
            shared: Arc::new(models.clone()),
            models,
            cluster: None,
            keeper: std::future::ready(()).boxed(),
        });
    };
    let placement = Arc::clone(&strategies.placement);
    let settings = config.cluster.clone();
    let factory = ClusterFactory::new(&joined, Arc::clone(catalog), settings, placement);
    let factory = strategies.factory.get_or_init(|| Arc::new(factory));
    let factory = Arc::clone(factory);
    let pool = ModelPool::new(Arc::clone(&factory) as _, pool_options(catalog));
    let models = PoolModels::new(pool, Arc::clone(catalog) as _);
    let shared = ClusterModels::new(models.clone(), &joined, Arc::clone(&factory));
    let keep = cluster::keep(joined.cluster.clone(), models.clone());
    let drain = cluster::drain(joined.cluster.clone(), models.clone());
    let keeper = async move {
        tokio::join!(keep, drain);
    };
    Ok(Host {
        keeper: keeper.boxed(),
        models,
        shared: Arc::new(shared),
        cluster: Some(Arc::new(ClusterPage::new(&joined, factory))),
    })
}

/// The record of what filters did: a file, or the log where there is no filter or no place for one.
fn audit(config: &Config) -> Result<Arc<dyn Audit>, CliError> {
    if config.filters.is_empty() {
        return Ok(Arc::new(LogAudit));
    }
    match AuditFile::open(config.audit.clone()) {
        Ok(file) => Ok(Arc::new(file)),
        Err(error) if config.audit.required => Err(CliError::Audit(error)),
        Err(error) => {
            tracing::error!(%error, "filters' findings go to this log instead");
            Ok(Arc::new(LogAudit))
        }
    }
}

/// The database of stored answers; nothing if they are kept in memory.
fn responses(config: &Config) -> Result<Option<ResponseStore>, StoreError> {
    let folder = config.file.as_deref().and_then(Path::parent);
    let Some(file) = config.responses.file(folder, &config.paths.responses) else {
        return Ok(None);
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    ResponseStore::open(&file, config.responses.limits()).map(Some)
}
