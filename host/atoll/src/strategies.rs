//! Which plugins decide, and what became of it: scheduling (who goes next) and placement (what runs
//! where).
//!
//! The host asks a strategy, checks its answer and has an answer of its own: a strategy that is
//! missing, fails or takes too long costs nobody a request. Which one is asked can change at any time,
//! by the configuration file or by the plugin's.

pub mod convert;
mod placement;
mod scheduling;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use atoll_cluster::placement::Objective;
use atoll_engine::engine::EngineError;
use atoll_plugin_runtime::types::{Error, ErrorKind};
use atoll_plugin_runtime::{PluginInfo, Registry};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};

pub use self::placement::PlacementSlot;
pub use self::scheduling::SchedulingSlot;

use crate::cluster::ClusterFactory;
use crate::config::StrategiesConfig;

/// How a strategy that was asked for is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The strategy that the configuration names; nothing if it names none.
    pub wanted: Option<String>,
    /// Who decides now.
    pub in_force: String,
    /// Why that is not who was asked for, or what its last answer lacked.
    pub problem: Option<String>,
    /// Answers that were used, since it was asked for.
    pub used: u64,
    /// Answers that could not be used, since it was asked for.
    pub faults: u64,
}

/// A standing that several threads report to.
#[derive(Debug)]
struct Reports(Mutex<Standing>);

impl Reports {
    /// The host's own decides.
    fn of(own: &str) -> Self {
        Self(Mutex::new(Standing {
            in_force: own.to_owned(),
            ..Standing::default()
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another strategy is asked from now on.
    fn begin(&self, what: &str, standing: Standing) {
        match &standing.problem {
            Some(problem) => tracing::error!(what, problem, "the host's own strategy decides"),
            None => tracing::info!(what, strategy = standing.in_force, "strategy in force"),
        }
        *self.lock() = standing;
    }

    /// An answer could not be used. Logged when it is news.
    fn faulted(&self, what: &str, problem: String) {
        let mut standing = self.lock();
        standing.faults += 1;
        if standing.problem.as_ref() != Some(&problem) {
            tracing::warn!(what, problem, "the host's own strategy decides");
            standing.problem = Some(problem);
        }
    }

    /// An answer could be used.
    fn worked(&self) {
        let mut standing = self.lock();
        standing.used += 1;
        standing.problem = None;
    }
}

/// What a plugin is called, with its version.
fn title(info: &PluginInfo) -> String {
    format!("{} {}", info.name, info.version)
}

/// Why a plugin that is wanted is not there.
fn missing(name: &str, world: &str, registry: &Registry, known: Vec<&str>) -> String {
    match registry.get(name) {
        Some(plugin) => format!(
            "`{name}` is a {}, not a {world} strategy",
            plugin.info().world
        ),
        None => format!(
            "there is no {world} strategy `{name}` (known: {})",
            known.join(", ")
        ),
    }
}

/// Both, for `/atoll/v1/plugins`.
pub struct Strategies {
    /// Who goes next.
    pub scheduling: Arc<SchedulingSlot>,
    /// What runs where.
    pub placement: Arc<PlacementSlot>,
    /// Who asks for placements; nobody on a host that is in no cluster.
    pub factory: OnceLock<Arc<ClusterFactory>>,
}

impl Strategies {
    /// Puts in force what is wanted, out of what there is.
    pub fn apply(&self, config: &StrategiesConfig, registry: &Registry) {
        self.scheduling.apply(&config.scheduling, registry);
        self.placement.apply(&config.placement, registry);
    }
}

impl atoll_gateway::Strategies for Strategies {
    fn standing(&self) -> Value {
        json!({
            "scheduling": self.scheduling.standing(),
            "placement": self.placement.standing(),
        })
    }

    fn placements<'a>(
        &'a self,
        model: &'a str,
        objective: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Value, Error>> {
        let place = async move {
            let factory = self.factory.get().ok_or_else(|| {
                let message = "this host is in no cluster: every model runs here, or not at all";
                error(ErrorKind::Unsupported, message.to_owned())
            })?;
            let objective = objective.map(objective_of).transpose()?;
            let previewed = factory.preview(model, objective).await;
            let (request, placed) = previewed.map_err(|failure| {
                let kind = match &failure {
                    EngineError::ModelNotFound { name } => ErrorKind::ModelNotFound(name.clone()),
                    _ => ErrorKind::Internal,
                };
                error(kind, failure.to_string())
            })?;
            let mut answer = json!({
                "model": request.model,
                "topology": request.topology,
                "options": request.options,
                "running": factory.running(model),
            });
            let found = match placed {
                Ok(placed) => json!({
                    "strategy": placed.strategy,
                    "fallback": placed.fallback,
                    "plan": placed.proposal,
                    "candidates": placed.candidates,
                }),
                Err(problem) => json!({ "problem": problem.to_string(), "candidates": [] }),
            };
            if let (Value::Object(answer), Value::Object(found)) = (&mut answer, found) {
                answer.extend(found);
            }
            Ok(answer)
        };
        place.boxed()
    }
}

fn objective_of(name: &str) -> Result<Objective, Error> {
    serde_json::from_value(Value::from(name)).map_err(|_| Error {
        param: Some("objective".to_owned()),
        ..error(
            ErrorKind::InvalidArgument,
            format!("the objective is latency or throughput, not {name:?}"),
        )
    })
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error {
        kind,
        message,
        param: None,
        retry_after_ms: None,
        ext: None,
    }
}
