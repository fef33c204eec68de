//! The gateway itself: shared state, the router, and one dialect request from arrival to answer.
//!
//! The host keeps `/`, `/healthz`, `/readyz`, `/metrics` and `/atoll/*`; every other path belongs to
//! the dialects' routes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use atoll_plugin_runtime::PluginRuntime;
use atoll_plugin_runtime::types::{Error, ErrorKind, FilterContext, HttpResponse, Operation};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::audit::{Audit, LogAudit};
use crate::body::{self, BodyError};
use crate::cluster::ClusterView;
use crate::exchange::{self, Conversation};
use crate::failure::{self, Failure};
use crate::filters::Chain;
use crate::guard::{self, RequestId};
use crate::keys::KeyRing;
use crate::library::Library;
use crate::metrics::{Metrics, Outcome, Watch};
use crate::models::Models;
use crate::options::GatewayOptions;
use crate::plugins::{Installed, PluginSet};
use crate::responses::history::{self, Splice};
use crate::responses::local::LocalAnswers;
use crate::responses::{ResponseStore, Responses, StoreLimits};
use crate::source::RequestFacts;
use crate::strategies::Strategies;
use crate::{admin, auth, operation, refusal, response, socket};

/// What a gateway is made of.
pub struct GatewayParts {
    /// Limits, access, version.
    pub options: GatewayOptions,
    /// Dialects and the filter chain; may be replaced at any time.
    pub plugins: Arc<PluginSet>,
    /// The models.
    pub models: Arc<dyn Models>,
    /// What clients may do to the models on disk; `None` refuses it.
    pub library: Option<Arc<dyn Library>>,
    /// Receives what filters find.
    pub audit: Arc<dyn Audit>,
    /// Who may use it. Whoever puts the gateway together runs [`KeyRing::watch`] beside it.
    pub keys: Arc<KeyRing>,
    /// Where answers are kept.
    pub responses: Option<Arc<ResponseStore>>,
    /// The other machines; `None` for a host that is on its own.
    pub cluster: Option<Arc<dyn ClusterView>>,
    /// Scheduling and placement strategies, for people who look.
    pub strategies: Option<Arc<dyn Strategies>>,
    /// Where plugins run, for what they report on `/metrics` and what they store.
    pub plugin_runtime: Option<PluginRuntime>,
}

impl GatewayParts {
    /// A gateway without keys that logs findings and keeps answers in memory.
    #[must_use]
    pub fn new(options: GatewayOptions, plugins: Arc<PluginSet>, models: Arc<dyn Models>) -> Self {
        let audit = Arc::new(LogAudit);
        Self {
            options,
            plugins,
            models,
            library: None,
            cluster: None,
            audit,
            keys: Arc::default(),
            strategies: None,
            responses: match ResponseStore::in_memory(IN_MEMORY) {
                Ok(store) => Some(Arc::new(store)),
                Err(error) => {
                    tracing::error!(%error, "answers cannot be kept");
                    None
                }
            },
            plugin_runtime: None,
        }
    }
}

/// What a store without a file holds: enough for a few long conversations.
const IN_MEMORY: StoreLimits = StoreLimits {
    max_bytes: 64 << 20,
    max_age: Duration::from_secs(24 * 3600),
};

/// Shared state of all requests. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: GatewayOptions,
    pub(crate) plugins: Arc<PluginSet>,
    pub(crate) models: Arc<dyn Models>,
    pub(crate) library: Option<Arc<dyn Library>>,
    pub(crate) cluster: Option<Arc<dyn ClusterView>>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) strategies: Option<Arc<dyn Strategies>>,
    pub(crate) responses: Option<Responses>,
    pub(crate) metrics: Metrics,
    pub(crate) plugin_runtime: Option<PluginRuntime>,
    /// Requests under way; drained on shutdown.
    pub(crate) requests: TaskTracker,
    /// Cancelled when shutdown begins: new requests are refused, and sockets nobody waits on close.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the grace is over: answers under way end with an error.
    pub(crate) kill: CancellationToken,
}

impl Gateway {
    /// Puts a gateway together. Nothing listens yet: see [`Server`](crate::server::Server).
    #[must_use]
    pub fn new(parts: GatewayParts) -> Self {
        let GatewayParts {
            options,
            plugins,
            models,
            library,
            audit,
            keys,
            responses,
            cluster,
            strategies,
            plugin_runtime,
        } = parts;
        let inner = Inner {
            options,
            plugins,
            models,
            library,
            cluster,
            audit,
            keys,
            strategies,
            responses: responses.map(Responses::new),
            metrics: Metrics::new(plugin_runtime.clone()),
            plugin_runtime,
            requests: TaskTracker::new(),
            draining: CancellationToken::new(),
            kill: CancellationToken::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The routes, as a service.
    pub fn router(&self) -> Router {
        let admin = Router::new()
            .route("/metrics", get(admin::metrics))
            .route("/atoll/v1/version", get(admin::version))
            .route("/atoll/v1/plugins", get(admin::plugins))
            .route("/atoll/v1/plugins/{name}/forget", post(admin::forget))
            .route("/atoll/v1/models", get(admin::models))
            .route("/atoll/v1/cluster", get(admin::cluster))
            .route("/atoll/v1/cluster/leave", post(admin::leave_cluster))
            .route("/atoll/v1/placements", get(admin::placements))
            .route("/atoll", get(admin::unknown))
            .route("/atoll/{*rest}", get(admin::unknown))
            .route_layer(axum::middleware::from_fn_with_state(
                self.clone(),
                auth::admin_only,
            ));
        Router::new()
            .route("/", get(admin::index))
            .route("/healthz", get(admin::health))
            .route("/readyz", get(admin::ready))
            .merge(admin)
            .fallback(dialect_request)
            .layer(axum::middleware::from_fn_with_state(
                self.clone(),
                guard::guard,
            ))
            .with_state(self.clone())
    }

    /// Keeps the response store within its limits, for as long as it is polled.
    pub async fn maintain(&self) {
        loop {
            if let Some(responses) = &self.inner.responses {
                responses.tidy(unix_seconds()).await;
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }

    /// Whether shutdown has begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    /// Refuses new requests from now on.
    pub(crate) fn begin_drain(&self) {
        self.inner.draining.cancel();
        self.inner.requests.close();
    }

    /// Waits for requests under way, at most `grace`; then ends them with an error, and waits until
    /// they have noticed, at most `notice`. Returns whether all ended by themselves.
    pub(crate) async fn drained(
        &self,
        grace: Duration,
        hurry: &CancellationToken,
        notice: Duration,
    ) -> bool {
        let clean = tokio::select! {
            () = self.inner.requests.wait() => true,
            () = tokio::time::sleep(grace) => false,
            () = hurry.cancelled() => false,
        };
        if !clean {
            self.inner.kill.cancel();
            // Those that are still there after this are dropped with their connections.
            let _ = tokio::time::timeout(notice, self.inner.requests.wait()).await;
        }
        clean
    }
}

/// How often what has expired or was deleted leaves the response store's file.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// The answer to a message of a socket, which is a request like any other.
pub(crate) fn message(gateway: &Gateway, request: Request) -> BoxFuture<'static, Response> {
    Box::pin(dialect_request(State(gateway.clone()), request))
}

/// The fallback route: everything the host does not keep for itself.
async fn dialect_request(State(gateway): State<Gateway>, request: Request) -> Response {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default();
    let span = tracing::info_span!(
        "request",
        id = %id,
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        atoll.dialect = tracing::field::Empty,
        atoll.key = tracing::field::Empty,
        gen_ai.operation.name = tracing::field::Empty,
        gen_ai.request.model = tracing::field::Empty,
        gen_ai.response.model = tracing::field::Empty,
        gen_ai.usage.input_tokens = tracing::field::Empty,
        gen_ai.usage.output_tokens = tracing::field::Empty,
    );
    // On the heap: the future holds a request's whole life, and the server keeps one per connection.
    Box::pin(answer(gateway, request, id).instrument(span)).await
}

async fn answer(gateway: Gateway, request: Request, id: String) -> Response {
    let mut facts = RequestFacts {
        // The answer's is written with a prefix of its API's own.
        answer_id: id.strip_prefix("req_").unwrap_or(&id).to_owned(),
        id,
        received_at: unix_seconds(),
        arrived: Instant::now(),
        owner: "".into(),
        chance: uuid::Uuid::new_v4().as_u128(),
    };
    let (parts, body) = request.into_parts();
    // One snapshot from here to the end: the route's dialect and the filters belong together.
    let installed = gateway.inner.plugins.snapshot();
    let registry = &installed.registry;
    let route = match registry.route(parts.method.as_str(), parts.uri.path(), &parts.headers) {
        Ok(route) => route,
        Err(none) => return refusal::without_route(registry, &parts, &facts, none).await,
    };
    let socket = parts.extensions.get::<socket::Message>().cloned();
    let dialect = route.dialect;
    let name = dialect.info().name.to_string();
    let mut watch = Watch::begin(&gateway, &name, facts.arrived);
    // The watch is counted by now, so a drain either sees this request or this line sees the drain.
    if gateway.is_draining() {
        watch.outcome(Outcome::Failed(ErrorKind::Overloaded));
        return response::host_error(&response::draining());
    }
    let mut head = exchange::request_head(
        &parts,
        &facts.id,
        (route.method, route.params),
        facts.received_at,
    );
    if route.socket && socket.is_none() {
        return socket::open(gateway, parts, dialect, head, watch).await;
    }
    match auth::admit(&gateway, &parts.headers, &parts.extensions) {
        Ok(caller) => {
            head.ext = caller.ext();
            facts.owner = caller.name().unwrap_or_default().into();
            watch.caller(caller);
        }
        Err(refused) => {
            head.ext = refused.ext();
            watch.outcome(Outcome::Failed(refused.error.kind.clone()));
            let rendered = exchange::fail_afresh(dialect, head, refused.error).await;
            return watch.finish_response(rendered_or_host(rendered));
        }
    }
    let body = match body::read(&parts, body, &gateway.inner.options.limits).await {
        Ok(body) => body,
        Err(BodyError::Gone) => {
            watch.outcome(Outcome::Failed(ErrorKind::Cancelled));
            return response::host_error(&failure::error(
                ErrorKind::Cancelled,
                "the request body did not arrive",
            ));
        }
        Err(BodyError::Refused(error)) => {
            watch.outcome(Outcome::Failed(error.kind.clone()));
            let rendered = exchange::fail_afresh(dialect, head, error).await;
            return watch.finish_response(rendered_or_host(rendered));
        }
    };
    let mut conversation = match Conversation::open(dialect, head, body).await {
        Ok(conversation) => conversation,
        Err(fault) => {
            watch.plugin_fault(&fault);
            let error = fault.to_canonical();
            watch.outcome(Outcome::Failed(error.kind.clone()));
            return watch.finish_response(response::host_error(&error));
        }
    };
    let local = socket.map(|message| message.answers);
    let begun = begin(
        &gateway,
        &installed,
        &facts,
        &mut conversation,
        &mut watch,
        local,
    )
    .await;
    // The exchange and its sessions keep what they need; an old version goes when they do.
    drop(installed);
    match begun {
        Ok((chain, operation, keeping)) => {
            let asked = (operation, keeping);
            // What an answer needs to be kept or left alone is large; it lives on the heap.
            Box::pin(operation::execute(
                gateway,
                facts,
                conversation,
                chain,
                asked,
                watch,
            ))
            .await
        }
        Err(failure) => fail(conversation, failure, watch).await,
    }
}

/// The client's request in canonical form, through the filters.
async fn begin(
    gateway: &Gateway,
    installed: &Installed,
    facts: &RequestFacts,
    conversation: &mut Conversation,
    watch: &mut Watch,
    local: Option<Arc<LocalAnswers>>,
) -> Result<(Chain, Operation, Keeping), Failure> {
    let mut operation = conversation.decode().await?;
    watch.operation(&operation);
    watch.who().check(&operation)?;
    let mut keeping = Keeping {
        owner: watch.who().name().map(str::to_owned),
        local,
        ..Keeping::default()
    };
    let continues = operation::continues(&operation).map(str::to_owned);
    if let (Some(local), Some(previous)) = (&keeping.local, &continues) {
        watch.continues(Arc::clone(local), previous.clone());
    }
    if let Some(responses) = &gateway.inner.responses {
        let (owner, local) = (keeping.owner.clone(), keeping.local.clone());
        keeping.splice = responses.splice(owner, local, &mut operation).await?;
    } else if let Some(previous) = continues {
        return Err(history::missing(&previous).into());
    }
    let context = FilterContext {
        request_id: facts.id.clone(),
        dialect: conversation.dialect().to_owned(),
        model: operation::model(&operation).unwrap_or_default().to_owned(),
        key_name: watch.who().name().map(str::to_owned),
        conversation: operation::conversation_id(&operation).map(str::to_owned),
        ext: None,
    };
    let audit = Arc::clone(&gateway.inner.audit);
    let (chain, operation) = Chain::apply(&installed.filters, audit, context, operation).await?;
    Ok((chain, operation, keeping))
}

/// What a request's answer is kept with.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// The key that may see it.
    pub owner: Option<String>,
    /// What its socket remembers.
    pub local: Option<Arc<LocalAnswers>>,
    /// Where its own messages are.
    pub splice: Splice,
}

/// Answers with a failure before any head was sent.
pub(crate) async fn fail(
    conversation: Conversation,
    failure: Failure,
    mut watch: Watch,
) -> Response {
    if let Failure::Fault(fault) = &failure {
        watch.plugin_fault(fault);
    }
    watch.failed(&failure);
    let rendered = conversation.fail(failure).await;
    watch.finish_response(rendered_or_host(rendered))
}

pub(crate) fn rendered_or_host(rendered: Result<HttpResponse, Error>) -> Response {
    match rendered {
        Ok(rendered) => response::whole(rendered),
        Err(error) => response::host_error(&error),
    }
}

/// Seconds since 1970; 0 on a machine whose clock stands before that.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// An empty body, for answers without one.
pub(crate) fn no_body() -> Body {
    Body::empty()
}
