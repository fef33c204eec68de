//! A gateway on a port of its own, stopped when the test ends.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atoll_engine::engine::EngineError;
use atoll_gateway::audit::Audit;
use atoll_gateway::keys::KeyRing;
use atoll_gateway::library::Library;
use atoll_gateway::models::Models;
use atoll_gateway::{
    FilterEntry, Gateway, GatewayOptions, GatewayParts, Installed, PluginSet, Server, Shutdown,
};
use atoll_plugin_runtime::{
    Grant, LoadPolicy, LoadedPlugin, PluginRuntime, PluginSource, Registry, RuntimeOptions,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::PATIENCE;
use crate::elsewhere::{Moved, OnAnotherHost};
use crate::engine::{MODEL, Script, scripted};

pub struct TestServer {
    pub address: SocketAddr,
    pub script: Script,
    pub shutdown: Shutdown,
    serving: JoinSet<bool>,
}

/// How a test's gateway differs from the usual one.
#[derive(Default)]
pub struct Setup {
    /// Every shipped dialect instead of `openai` alone.
    pub every_dialect: bool,
    pub audit: Option<Arc<dyn Audit>>,
    /// Dialects beside the shipped ones.
    pub strangers: Vec<LoadedPlugin>,
    /// The models on disk.
    pub library: Option<Arc<dyn Library>>,
    pub change: Option<fn(&mut GatewayOptions)>,
    pub filters: Vec<FilterEntry>,
    pub refusal: Option<EngineError>,
    pub keys: Arc<KeyRing>,
    /// Listen where other machines could reach it.
    pub wide: bool,
    /// The model runs on another host, which is lost after so many parts of its answers.
    pub elsewhere: Option<usize>,
    /// So many answers of the other host are lost.
    pub losses: usize,
    /// So often it says that yet another host has the model.
    pub moves: usize,
    /// Where it said so.
    pub moved: Moved,
}

pub async fn start() -> TestServer {
    start_with(Setup::default()).await
}

pub async fn start_with(setup: Setup) -> TestServer {
    let (models, script) = scripted(setup.refusal);
    models.moves.store(setup.moves, Ordering::SeqCst);
    let models: Arc<dyn Models> = match setup.elsewhere {
        Some(parts) => Arc::new(OnAnotherHost {
            models,
            parts,
            losses: Arc::new(setup.losses.into()),
            moved: setup.moved,
        }),
        None => models,
    };
    let mut options = GatewayOptions::new("0.0.0-test");
    options.limits.drain_grace = Duration::from_secs(30);
    if let Some(change) = setup.change {
        change(&mut options);
    }
    let dialects: &[&str] = if setup.every_dialect {
        &["openai", "openai-responses", "claude", "ollama"]
    } else {
        &["openai", "openai-responses"]
    };
    let plugins = plugins(dialects, setup.strangers, setup.filters).await;
    let mut parts = GatewayParts::new(options, plugins, models);
    parts.keys = setup.keys;
    parts.library = setup.library;
    if let Some(audit) = setup.audit {
        parts.audit = audit;
    }
    let address = if setup.wide {
        [0, 0, 0, 0]
    } else {
        [127, 0, 0, 1]
    };
    let server = Server::bind(&[SocketAddr::from((address, 0))])
        .await
        .unwrap();
    let port = server.addresses()[0].port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let shutdown = Shutdown::default();
    let mut serving = JoinSet::new();
    serving.spawn(server.serve(Gateway::new(parts), shutdown.clone()));
    TestServer {
        address,
        script,
        shutdown,
        serving,
    }
}

impl TestServer {
    /// Waits for the end of a shutdown; says whether everything finished by itself.
    pub async fn stopped(&mut self) -> bool {
        tokio::time::timeout(PATIENCE, self.serving.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    }
}

/// One runtime for all tests of the process: components compile once.
pub fn runtime() -> &'static PluginRuntime {
    static RUNTIME: OnceLock<PluginRuntime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let cache = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
        let options = RuntimeOptions {
            cache_dir: Some(cache),
            ..RuntimeOptions::default()
        };
        PluginRuntime::new(options).unwrap()
    })
}

/// A bundled plugin.
pub async fn load(name: &str, settings: Value) -> LoadedPlugin {
    let bundled = atoll_bundled_plugins::find(name).unwrap();
    let source = PluginSource::Bytes {
        name: name.to_owned(),
        wasm: Arc::from(bundled.wasm),
    };
    let policy = LoadPolicy {
        grants: Grant::all_local(),
        settings,
    };
    runtime().load(source, policy).await.unwrap()
}

async fn plugins(
    dialects: &[&str],
    mut loaded: Vec<LoadedPlugin>,
    filters: Vec<FilterEntry>,
) -> Arc<PluginSet> {
    for name in dialects {
        loaded.push(load(name, json!({})).await);
    }
    Arc::new(PluginSet::new(Installed {
        registry: Registry::new(loaded).unwrap(),
        filters,
        refused: Vec::new(),
    }))
}

/// A chat request with one message.
pub fn chat(stream: bool) -> Value {
    json!({
        "model": MODEL,
        "messages": [{ "role": "user", "content": "Hello" }],
        "stream": stream,
    })
}
