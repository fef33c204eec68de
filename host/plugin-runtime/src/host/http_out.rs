//! The interface `http-out`: HTTP requests to granted hosts, and to nothing else.
//!
//! Each loaded plugin has its own client, so its own connections. For every request: the URL against
//! the grant ([`allow`]); one look-up of the name, whose public addresses are the ones dialled
//! ([`resolve`], [`address`]); no proxy, no redirect, no cookie, no decompression. Time, sizes, how many
//! requests an exchange makes and how many run at once are bounded by [`HttpOutLimits`], and everything
//! is counted. A refusal is a typed answer: the plugin may go on without.

mod address;
mod allow;
mod resolve;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Serialize;
use tokio::sync::{OnceCell, Semaphore};

pub(crate) use self::allow::AllowList;
pub use self::resolve::Resolver;
pub(crate) use self::resolve::SystemResolver;
use self::resolve::{CheckedResolver, PrivateOnly};
use super::{HostState, wit};
use crate::bindings::imports::atoll::plugin::log::Level;
use crate::options::HttpOutLimits;
use crate::types::{Error, ErrorKind, Header};
use wit::http_out::{Request, Response};

/// Headers that belong to the connection or that the client computes.
const OURS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];
/// Left of a call's wall-clock time for the plugin to answer after a request timed out.
const MARGIN: Duration = Duration::from_millis(500);

/// One loaded plugin's way out.
pub(crate) struct HttpOut {
    allow: Arc<AllowList>,
    resolver: Arc<dyn Resolver>,
    limits: HttpOutLimits,
    counters: Arc<HttpOutCounters>,
    slots: Semaphore,
    /// Made at the first request: reading the system's certificates takes some milliseconds.
    client: OnceCell<reqwest::Client>,
}

/// What a plugin sent, over all its versions.
#[derive(Debug, Default)]
pub(crate) struct HttpOutCounters {
    answered: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
}

/// What a plugin sent through `http-out` since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HttpOutSnapshot {
    /// Requests that got an answer, whatever its status.
    pub answered: u64,
    /// Requests that were not sent: a host or an address that was not granted, or over a limit.
    pub refused: u64,
    /// Requests without an answer: unreachable, late, too large.
    pub failed: u64,
    /// Bytes of the bodies sent.
    pub sent_bytes: u64,
    /// Bytes of the bodies received.
    pub received_bytes: u64,
}

impl HttpOutCounters {
    pub fn snapshot(&self) -> HttpOutSnapshot {
        HttpOutSnapshot {
            answered: self.answered.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
        }
    }
}

impl HttpOut {
    pub fn new(
        allow: AllowList,
        resolver: Arc<dyn Resolver>,
        limits: HttpOutLimits,
        counters: Arc<HttpOutCounters>,
    ) -> Self {
        Self {
            allow: Arc::new(allow),
            resolver,
            slots: Semaphore::new(limits.concurrent),
            limits,
            counters,
            client: OnceCell::new(),
        }
    }

    /// Checks, sends, reads. `most` is what the call has left of its time.
    async fn send(&self, request: Request, most: Duration) -> Result<Response, Error> {
        let count = |counter: &AtomicU64, by: usize| counter.fetch_add(by as u64, Relaxed);
        let checked = self.check(&request).inspect_err(|_| {
            count(&self.counters.refused, 1);
        })?;
        let Ok(_slot) = self.slots.try_acquire() else {
            count(&self.counters.refused, 1);
            let message = "this plugin has as many requests on their way as it may";
            return Err(error(ErrorKind::Overloaded, message));
        };
        let asked = match request.timeout_ms {
            0 => self.limits.timeout,
            ms => Duration::from_millis(ms.into()),
        };
        let limit = asked.min(self.limits.timeout).min(most);
        let sent = request.body.len();
        let outcome = tokio::time::timeout(limit, self.exchange(checked, request.body)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let ms = limit.as_millis();
            Err(error(
                ErrorKind::Timeout,
                format!("no whole answer within {ms} ms"),
            ))
        });
        match &outcome {
            Ok(response) => {
                count(&self.counters.answered, 1);
                count(&self.counters.sent_bytes, sent);
                count(&self.counters.received_bytes, response.body.len());
            }
            Err(refused) if refused.kind == ErrorKind::Forbidden => {
                count(&self.counters.refused, 1);
            }
            Err(_) => {
                count(&self.counters.failed, 1);
            }
        }
        outcome
    }

    /// Everything that can be said before anything is sent.
    fn check(&self, request: &Request) -> Result<Checked, Error> {
        let invalid = |message: String| error(ErrorKind::InvalidArgument, message);
        let url = Url::parse(&request.url).map_err(|e| invalid(format!("the URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("the URL is neither http nor https".to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("the URL holds a user name".to_owned()));
        }
        self.allow
            .permits(&url)
            .map_err(|reason| error(ErrorKind::Forbidden, reason))?;
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT && *method != Method::TRACE)
            .ok_or_else(|| invalid(format!("the method {:?}", request.method)))?;
        if request.body.len() > self.limits.request_bytes {
            return Err(too_large("request", self.limits.request_bytes));
        }
        let mut headers = HeaderMap::new();
        let mut bytes = 0usize;
        for Header { name, value } in &request.headers {
            bytes = bytes.saturating_add(name.len() + value.len());
            if bytes > self.limits.header_bytes {
                return Err(too_large("request's headers", self.limits.header_bytes));
            }
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid(format!("the header name {name:?}")))?;
            if OURS.contains(&name.as_str()) {
                return Err(invalid(format!("the header {name} is the host's to set")));
            }
            let value = HeaderValue::from_str(value)
                .map_err(|_| invalid(format!("the value of the header {name}")))?;
            headers.append(name, value);
        }
        Ok(Checked {
            method,
            url,
            headers,
        })
    }

    async fn exchange(&self, checked: Checked, body: Vec<u8>) -> Result<Response, Error> {
        let client = self.client.get_or_try_init(|| async { self.client() });
        let request = client
            .await?
            .request(checked.method, checked.url)
            .headers(checked.headers)
            .body(body);
        let mut answer = request.send().await.map_err(failed)?;
        let limit = self.limits.response_bytes;
        if answer.content_length().is_some_and(|n| n > limit as u64) {
            return Err(too_large("answer", limit));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit {
                return Err(too_large("answer", limit));
            }
            body.extend_from_slice(&chunk);
        }
        let headers = answer.headers().iter().filter_map(|(name, value)| {
            Some(Header {
                name: name.as_str().to_owned(),
                // A value that is no text cannot cross.
                value: value.to_str().ok()?.to_owned(),
            })
        });
        Ok(Response {
            status: answer.status().as_u16(),
            headers: headers.collect(),
            body,
        })
    }

    fn client(&self) -> Result<reqwest::Client, Error> {
        // Another part of the process may have chosen already; any choice serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(CheckedResolver {
                allow: Arc::clone(&self.allow),
                resolver: Arc::clone(&self.resolver),
            }))
            // A proxy would do the look-up, and a redirect would ask for what nobody checked.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .pool_max_idle_per_host(2)
            .build()
            .map_err(|reason| error(ErrorKind::Internal, format!("no HTTP client: {reason}")))
    }
}

struct Checked {
    method: Method,
    url: Url,
    headers: HeaderMap,
}

fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error {
        kind,
        message: format!("http-out: {}", message.into()),
        param: None,
        retry_after_ms: None,
        ext: None,
    }
}

fn too_large(what: &str, limit: usize) -> Error {
    let message = format!("the {what} is larger than the {limit} bytes it may have");
    error(ErrorKind::TooLarge, message)
}

/// A transport failure, by what is at the bottom of it.
fn failed(reason: reqwest::Error) -> Error {
    let reason = reason.without_url();
    let mut text = reason.to_string();
    let mut cause = std::error::Error::source(&reason);
    while let Some(inner) = cause {
        if inner.is::<PrivateOnly>() {
            return error(ErrorKind::Forbidden, inner.to_string());
        }
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    error(ErrorKind::Other("unreachable".to_owned()), text)
}

impl wit::http_out::Host for HostState {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        self.charge_call()?;
        let Some(out) = self.plugin.http_out.clone() else {
            let message = "no requests while a plugin describes itself";
            return Ok(Err(error(ErrorKind::Forbidden, message)));
        };
        let Some(left) = self.requests_left.checked_sub(1) else {
            let message = "this exchange has made as many requests as it may";
            return Ok(Err(error(ErrorKind::RateLimited, message)));
        };
        self.requests_left = left;
        let most = self.time_left().saturating_sub(MARGIN);
        let outcome = out.send(request, most).await;
        if let Err(refused) = &outcome {
            let level = match refused.kind {
                ErrorKind::Forbidden => Level::Warn,
                _ => Level::Debug,
            };
            self.log
                .write(&self.plugin, &self.request, level, &refused.message);
        }
        Ok(outcome)
    }
}
