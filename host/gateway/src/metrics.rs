//! Counting requests: `/metrics` in OpenMetrics text, and one log line per request.
//!
//! A [`Watch`] accompanies each request from its route to its last byte. Whatever way the request
//! ends, also by being dropped because the client went away, its end is recorded once. Labels take
//! values from closed sets (dialect names, operations, status codes, models and names of keys of this
//! host), never from what a client sends.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use atoll_plugin_runtime::types::{ErrorKind, Event, Operation, Usage};
use atoll_plugin_runtime::{PluginError, PluginRuntime};
use axum::response::Response;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::auth::Caller;
use crate::failure::{self, Failure};
use crate::gateway::{Gateway, Inner};
use crate::operation;
use crate::plugin_metrics::PluginMetrics;
use crate::responses::local::LocalAnswers;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    dialect: String,
    operation: &'static str,
    status: u16,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    model: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    plugin: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    key: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyTokenLabels {
    key: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoadLabels {
    model: String,
    state: &'static str,
}

/// All the gateway's own metrics.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    in_flight: Gauge,
    sockets: Gauge,
    duration: Family<RequestLabels, Histogram, fn() -> Histogram>,
    first_token: Family<ModelLabels, Histogram, fn() -> Histogram>,
    inter_token: Family<ModelLabels, Histogram, fn() -> Histogram>,
    tokens: Family<TokenLabels, Counter>,
    faults: Family<FaultLabels, Counter>,
    key_requests: Family<KeyLabels, Counter>,
    key_tokens: Family<KeyTokenLabels, Counter>,
    sequences: Family<LoadLabels, Gauge>,
    blocks: Family<LoadLabels, Gauge>,
    audit_lost: Gauge,
}

/// From 5 ms (a question answered from memory) to 5 min (a long answer).
fn request_buckets() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 30., 60., 120., 300.,
    ])
}

/// From 10 ms (a cached prefix on a small model) to 10 min (a large model loading from a slow disk).
fn first_token_buckets() -> Histogram {
    Histogram::new([
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 30., 60., 300., 600.,
    ])
}

/// From 1000 tokens/s to one token in 5 s.
fn inter_token_buckets() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 5.,
    ])
}

impl Metrics {
    /// Everything at zero; with `plugins`, what those report too.
    pub(crate) fn new(plugins: Option<PluginRuntime>) -> Self {
        let mut registry = Registry::with_prefix("atoll");
        if let Some(runtime) = plugins {
            registry.register_collector(Box::new(PluginMetrics(runtime)));
        }
        let requests = Family::default();
        registry.register("requests", "Requests that ended, by how", requests.clone());
        let in_flight = Gauge::default();
        registry.register(
            "requests_in_flight",
            "Requests under way",
            in_flight.clone(),
        );
        let sockets = Gauge::default();
        registry.register("sockets", "Open WebSockets", sockets.clone());
        let duration = Family::new_with_constructor(request_buckets as fn() -> Histogram);
        registry.register_with_unit(
            "request_duration",
            "From a request's arrival to its last byte",
            Unit::Seconds,
            duration.clone(),
        );
        let first_token = Family::new_with_constructor(first_token_buckets as fn() -> Histogram);
        registry.register_with_unit(
            "time_to_first_token",
            "From a request's arrival to the first text of its answer",
            Unit::Seconds,
            first_token.clone(),
        );
        let inter_token = Family::new_with_constructor(inter_token_buckets as fn() -> Histogram);
        registry.register_with_unit(
            "time_between_tokens",
            "Between one piece of text and the next within an answer",
            Unit::Seconds,
            inter_token.clone(),
        );
        let tokens = Family::default();
        registry.register("tokens", "Tokens of finished answers", tokens.clone());
        let faults = Family::default();
        registry.register(
            "plugin_faults",
            "Calls in which a plugin broke a limit",
            faults.clone(),
        );
        let key_requests = Family::default();
        registry.register(
            "key_requests",
            "Requests that ended, by the name of their key",
            key_requests.clone(),
        );
        let key_tokens = Family::default();
        registry.register(
            "key_tokens",
            "Tokens of finished answers, by the name of their key",
            key_tokens.clone(),
        );
        let sequences = Family::default();
        registry.register(
            "engine_sequences",
            "Sequences in each engine",
            sequences.clone(),
        );
        let blocks = Family::default();
        registry.register(
            "engine_kv_blocks",
            "KV blocks of each engine",
            blocks.clone(),
        );
        let audit_lost = Gauge::default();
        registry.register(
            "audit_records_lost",
            "Records of filters' decisions that could not be written",
            audit_lost.clone(),
        );
        Self {
            registry,
            requests,
            in_flight,
            sockets,
            duration,
            first_token,
            inter_token,
            tokens,
            faults,
            key_requests,
            key_tokens,
            sequences,
            blocks,
            audit_lost,
        }
    }

    /// Counts a socket until the guard goes.
    pub(crate) fn socket_opened(&self) -> SocketGuard {
        self.sockets.inc();
        SocketGuard(self.sockets.clone())
    }

    /// Everything, as text, with the engines' load at this moment.
    pub(crate) fn encode(&self, inner: &Inner) -> String {
        for (model, load) in inner.models.loads() {
            let set = |family: &Family<LoadLabels, Gauge>, state, value: usize| {
                let labels = LoadLabels {
                    model: model.clone(),
                    state,
                };
                family
                    .get_or_create(&labels)
                    .set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            set(&self.sequences, "waiting", load.waiting);
            set(&self.sequences, "running", load.running);
            set(&self.blocks, "available", load.available_blocks);
            set(&self.blocks, "total", load.total_blocks);
        }
        self.audit_lost
            .set(i64::try_from(inner.audit.lost()).unwrap_or(i64::MAX));
        let mut out = String::new();
        if text::encode(&mut out, &self.registry).is_err() {
            let _ = writeln!(out, "# the metrics could not be written");
        }
        out
    }
}

/// An open socket.
pub(crate) struct SocketGuard(Gauge);

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// With an answer.
    Finished,
    /// With an error.
    Failed(ErrorKind),
    /// The client went away first.
    Disconnected,
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed(kind) => failure::kind_name(kind),
            Self::Disconnected => "disconnected",
        }
    }
}

/// One request, from its route to its end.
pub(crate) struct Watch {
    inner: Arc<Inner>,
    span: tracing::Span,
    dialect: String,
    operation: &'static str,
    model: Option<String>,
    streamed: bool,
    status: Option<u16>,
    arrived: Instant,
    last_text: Option<Instant>,
    first_token: Option<std::time::Duration>,
    usage: Option<Usage>,
    outcome: Option<Outcome>,
    /// Who asks. His quota is charged as tokens are made, so that an answer that is broken off costs
    /// what it took.
    caller: Caller,
    /// Tokens of the answer charged so far.
    charged: u32,
    /// What it continues on its socket.
    continues: Option<(Arc<LocalAnswers>, String)>,
    /// Counts the request as under way.
    _token: TaskTrackerToken,
}

impl Watch {
    pub(crate) fn begin(gateway: &Gateway, dialect: &str, arrived: Instant) -> Self {
        let inner = Arc::clone(&gateway.inner);
        inner.metrics.in_flight.inc();
        let span = tracing::Span::current();
        span.record("atoll.dialect", dialect);
        Self {
            span,
            dialect: dialect.to_owned(),
            operation: "unknown",
            model: None,
            streamed: false,
            status: None,
            arrived,
            last_text: None,
            first_token: None,
            usage: None,
            outcome: None,
            caller: Caller::default(),
            charged: 0,
            continues: None,
            _token: inner.requests.token(),
            inner,
        }
    }

    /// Who asks.
    pub(crate) fn caller(&mut self, caller: Caller) {
        if let Some(name) = caller.name() {
            self.span.record("atoll.key", name);
        }
        self.caller = caller;
    }

    /// Who asks.
    pub(crate) fn who(&self) -> &Caller {
        &self.caller
    }

    /// Tokens of an answer that is no stream of events.
    pub(crate) fn charge(&self, tokens: u32) {
        self.caller.charge(tokens);
    }

    /// What the dialect asks for.
    pub(crate) fn operation(&mut self, operation: &Operation) {
        self.operation = operation::name(operation);
        self.span.record("gen_ai.operation.name", self.operation);
        if let Some(model) = operation::model(operation) {
            self.span.record("gen_ai.request.model", model);
        }
    }

    pub(crate) fn streamed(&mut self, streamed: bool) {
        self.streamed = streamed;
    }

    /// Looks at events on their way; says whether the answer's own words have begun (or it is over).
    pub(crate) fn events(&mut self, events: &[Event]) -> bool {
        let mut begun = false;
        for event in events {
            match event {
                Event::Started(started) => {
                    self.span
                        .record("gen_ai.response.model", started.model.as_str());
                    self.model = Some(started.model.clone());
                    self.caller.charge(started.prompt_tokens);
                }
                Event::TextDelta(_) | Event::ReasoningDelta(_) | Event::ArgumentsDelta(_) => {
                    begun = true;
                    self.text();
                    // At least one each; the exact number comes at the end.
                    self.charged = self.charged.saturating_add(1);
                    self.caller.charge(1);
                }
                Event::ChoiceFinished(_) => begun = true,
                Event::Finished(finished) => {
                    begun = true;
                    let rest = finished.usage.output_tokens.saturating_sub(self.charged);
                    self.caller.charge(rest);
                    self.usage = Some(finished.usage);
                }
                Event::Failed(error) => {
                    begun = true;
                    self.outcome(Outcome::Failed(error.kind.clone()));
                }
                _ => {}
            }
        }
        begun
    }

    fn text(&mut self) {
        let now = Instant::now();
        let labels = ModelLabels {
            model: self.model.clone().unwrap_or_default(),
        };
        match self.last_text {
            None => {
                let waited = now.duration_since(self.arrived);
                self.first_token = Some(waited);
                let histogram = self.inner.metrics.first_token.get_or_create(&labels);
                histogram.observe(waited.as_secs_f64());
            }
            Some(last) => {
                let waited = now.duration_since(last);
                let histogram = self.inner.metrics.inter_token.get_or_create(&labels);
                histogram.observe(waited.as_secs_f64());
            }
        }
        self.last_text = Some(now);
    }

    pub(crate) fn plugin_fault(&self, fault: &PluginError) {
        tracing::warn!(parent: &self.span, %fault, "a plugin failed a request");
        let Some(fault) = fault.fault() else { return };
        let labels = FaultLabels {
            plugin: fault.plugin.to_string(),
            kind: fault.kind.as_str(),
        };
        self.inner.metrics.faults.get_or_create(&labels).inc();
    }

    pub(crate) fn failed(&mut self, failure: &Failure) {
        let kind = match failure {
            Failure::Typed(error) => error.kind.clone(),
            Failure::Fault(fault) => fault.to_canonical().kind,
        };
        self.outcome(Outcome::Failed(kind));
    }

    pub(crate) fn finished(&mut self) {
        self.outcome(Outcome::Finished);
    }

    /// How it ended; the first word counts.
    pub(crate) fn outcome(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
    }

    /// The request opens a socket: it has no operation of its own.
    pub(crate) fn opens_socket(&mut self) {
        self.operation = "open_socket";
    }

    /// Should it fail, the socket forgets what it continues, as the original does: the next attempt says
    /// everything again.
    pub(crate) fn continues(&mut self, local: Arc<LocalAnswers>, previous: String) {
        self.continues = Some((local, previous));
    }

    /// The status that the client is told.
    pub(crate) fn status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// The head of an answer that goes on.
    pub(crate) fn peek_response(&mut self, response: Response) -> Response {
        self.status = Some(response.status().as_u16());
        response
    }

    /// The whole answer: the request is over.
    pub(crate) fn finish_response(mut self, response: Response) -> Response {
        self.peek_response(response)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or(Outcome::Disconnected);
        if let Some((local, previous)) = self.continues.take()
            && outcome != Outcome::Finished
        {
            local.forget(&previous);
        }
        // nginx's code for a client that closed first.
        let status = self.status.unwrap_or(499);
        let metrics = &self.inner.metrics;
        metrics.in_flight.dec();
        let labels = RequestLabels {
            dialect: self.dialect.clone(),
            operation: self.operation,
            status,
            outcome: outcome.name(),
        };
        metrics.requests.get_or_create(&labels).inc();
        let duration = self.arrived.elapsed();
        metrics
            .duration
            .get_or_create(&labels)
            .observe(duration.as_secs_f64());
        let usage = self.usage;
        if let Some(key) = self.caller.name() {
            let labels = KeyLabels {
                key: key.to_owned(),
                outcome: outcome.name(),
            };
            metrics.key_requests.get_or_create(&labels).inc();
            for (kind, count) in usage.iter().flat_map(|usage| {
                [
                    ("prompt", usage.prompt_tokens),
                    ("output", usage.output_tokens),
                ]
            }) {
                let labels = KeyTokenLabels {
                    key: key.to_owned(),
                    kind,
                };
                let counter = metrics.key_tokens.get_or_create(&labels);
                counter.inc_by(u64::from(count));
            }
        }
        if let (Some(usage), Some(model)) = (usage, &self.model) {
            for (kind, count) in [
                ("prompt", usage.prompt_tokens),
                ("cached", usage.cached_tokens),
                ("output", usage.output_tokens),
            ] {
                let labels = TokenLabels {
                    model: model.clone(),
                    kind,
                };
                metrics
                    .tokens
                    .get_or_create(&labels)
                    .inc_by(u64::from(count));
            }
            self.span
                .record("gen_ai.usage.input_tokens", usage.prompt_tokens);
            self.span
                .record("gen_ai.usage.output_tokens", usage.output_tokens);
        }
        tracing::info!(
            parent: &self.span,
            status,
            outcome = outcome.name(),
            stream = self.streamed,
            duration_ms = duration.as_millis(),
            first_token_ms = self.first_token.map(|waited| waited.as_millis()),
            prompt_tokens = usage.map(|usage| usage.prompt_tokens),
            cached_tokens = usage.map(|usage| usage.cached_tokens),
            output_tokens = usage.map(|usage| usage.output_tokens),
            "request"
        );
    }
}
