//! What the host keeps for itself: health, metrics, and facts about plugins and models as JSON.

use std::collections::BTreeMap;

use atoll_plugin_runtime::PluginInfo;
use atoll_plugin_runtime::types::ErrorKind;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use crate::failure;
use crate::gateway::Gateway;
use crate::response::{self, json, text};

const PLAIN: &str = "text/plain; charset=utf-8";

/// The process is alive.
pub(crate) async fn health() -> Response {
    text(StatusCode::OK, PLAIN, "ok\n".to_owned())
}

/// Whether new requests are welcome.
pub(crate) async fn ready(State(gateway): State<Gateway>) -> Response {
    if gateway.is_draining() {
        text(
            StatusCode::SERVICE_UNAVAILABLE,
            PLAIN,
            "draining\n".to_owned(),
        )
    } else {
        text(StatusCode::OK, PLAIN, "ready\n".to_owned())
    }
}

/// Everything that is counted.
pub(crate) async fn metrics(State(gateway): State<Gateway>) -> Response {
    let body = gateway.inner.metrics.encode(&gateway.inner);
    text(
        StatusCode::OK,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        body,
    )
}

/// Who is speaking.
pub(crate) async fn version(State(gateway): State<Gateway>) -> Response {
    let version = &gateway.inner.options.version;
    json(
        StatusCode::OK,
        &json!({ "name": "atoll", "version": version, "plugin_contract": "atoll:plugin@0.1.0" }),
    )
}

/// Loaded plugins, and those that did not get in with the reason.
pub(crate) async fn plugins(State(gateway): State<Gateway>) -> Response {
    let installed = gateway.inner.plugins.snapshot();
    let dialects: Vec<Value> = installed
        .registry
        .dialects()
        .map(|dialect| value(dialect.info()))
        .collect();
    let filters: Vec<Value> = installed
        .filters
        .iter()
        .map(|entry| value(entry.filter.info()))
        .collect();
    let infos = |plugins: Vec<&PluginInfo>| plugins.into_iter().map(value).collect::<Vec<_>>();
    let registry = &installed.registry;
    let strategies = gateway.inner.strategies.as_ref();
    let stored = match gateway.inner.plugin_runtime.clone() {
        // It reads a file.
        Some(runtime) => tokio::task::spawn_blocking(move || runtime.stored()).await,
        None => Ok(BTreeMap::new()),
    };
    json(
        StatusCode::OK,
        &json!({
            "dialects": dialects,
            "filters": filters,
            "placement": infos(registry.placements().map(|plugin| plugin.info()).collect()),
            "scheduling": infos(registry.schedulings().map(|plugin| plugin.info()).collect()),
            "strategies": strategies.map(|strategies| strategies.standing()),
            "refused": value(&installed.refused),
            "stored": stored.unwrap_or_default(),
        }),
    )
}

/// Deletes what a plugin that is not in force left in `kv`.
pub(crate) async fn forget(State(gateway): State<Gateway>, Path(name): Path<String>) -> Response {
    let Some(runtime) = gateway.inner.plugin_runtime.clone() else {
        let message = "this host runs no plugins";
        return response::host_error(&failure::error(ErrorKind::Unsupported, message));
    };
    let plugin = name.clone();
    match tokio::task::spawn_blocking(move || runtime.forget(&plugin)).await {
        Ok(Some(stored)) => {
            tracing::info!(
                plugin = name,
                keys = stored.keys,
                "what the plugin stored is deleted"
            );
            json(
                StatusCode::OK,
                &json!({ "plugin": name, "deleted": stored }),
            )
        }
        Ok(None) => {
            let message = format!("the plugin {name} is in force, or a request still uses it");
            response::host_error(&failure::error(ErrorKind::Conflict, message))
        }
        Err(error) => response::host_error(&failure::error(ErrorKind::Internal, error.to_string())),
    }
}

/// Where a model would run, and why there.
pub(crate) async fn placements(
    State(gateway): State<Gateway>,
    Query(asked): Query<Placements>,
) -> Response {
    let outcome = match &gateway.inner.strategies {
        Some(strategies) => {
            let objective = asked.objective.as_deref();
            strategies.placements(&asked.model, objective).await
        }
        None => Err(failure::error(
            ErrorKind::Unsupported,
            "this host places no models",
        )),
    };
    match outcome {
        Ok(found) => json(StatusCode::OK, &found),
        Err(error) => response::host_error(&error),
    }
}

/// What `/atoll/v1/placements` is asked.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Placements {
    model: String,
    objective: Option<String>,
}

/// Every model that can be named.
pub(crate) async fn models(State(gateway): State<Gateway>) -> Response {
    let models = gateway.inner.models.list().await;
    let models: Vec<Value> = models
        .iter()
        .map(|model| {
            json!({
                "id": model.id,
                "family": model.family,
                "quantization": model.quantization,
                "parameters": model.parameters,
                "size_bytes": model.size_bytes,
                "context_length": model.context_length,
                "capabilities": model.capabilities,
                "loaded": model.loaded.as_ref().map(|loaded| json!({
                    "memory_bytes": loaded.memory_bytes,
                    "expires_at": loaded.expires_at,
                })),
            })
        })
        .collect();
    json(StatusCode::OK, &json!({ "models": models }))
}

/// The other machines as this one sees them.
pub(crate) async fn cluster(State(gateway): State<Gateway>) -> Response {
    let status = match &gateway.inner.cluster {
        Some(cluster) => cluster.status(),
        None => json!({ "cluster": null }),
    };
    json(StatusCode::OK, &status)
}

/// Leaves the cluster.
pub(crate) async fn leave_cluster(State(gateway): State<Gateway>) -> Response {
    if let Some(cluster) = &gateway.inner.cluster {
        cluster.leave().await;
    }
    json(
        StatusCode::OK,
        &json!({ "left": gateway.inner.cluster.is_some() }),
    )
}

/// A path under `/atoll` that does not exist.
pub(crate) async fn unknown(request: Request) -> Response {
    let message = format!("there is no {}", request.uri().path());
    let routes = [
        "GET /atoll/v1/version",
        "GET /atoll/v1/plugins",
        "POST /atoll/v1/plugins/NAME/forget",
        "GET /atoll/v1/models",
        "GET /atoll/v1/cluster",
        "GET /atoll/v1/placements?model=NAME&objective=latency|throughput",
    ];
    response::with_routes(&failure::error(ErrorKind::NotFound, message), routes)
}

/// For a person who opens the address in a browser.
pub(crate) async fn index(State(gateway): State<Gateway>) -> Response {
    let mut page = format!(
        "Atoll {}\n\nThis address serves language models. Point a client at one of these:\n\n",
        gateway.inner.options.version
    );
    let installed = gateway.inner.plugins.snapshot();
    for (dialect, routes) in response::routes(&installed.registry) {
        page.push_str(&format!("{dialect}\n"));
        for route in routes {
            page.push_str(&format!("  {route}\n"));
        }
    }
    page.push_str("\nhost\n");
    for route in [
        "/healthz           alive",
        "/readyz            ready for requests",
        "/metrics           OpenMetrics",
        "/atoll/v1/models   models, as JSON",
        "/atoll/v1/cluster  other machines, as JSON",
        "/atoll/v1/plugins  plugins, as JSON",
        "/atoll/v1/version  version, as JSON",
    ] {
        page.push_str(&format!("  GET {route}\n"));
    }
    text(StatusCode::OK, PLAIN, page)
}

/// JSON of something that always serialises; `null` would mean a defect, not a failure to report.
fn value(item: &impl serde::Serialize) -> Value {
    serde_json::to_value(item).unwrap_or(Value::Null)
}
