//! From an HTTP request to a dialect's exchange: what a plugin gets to see of it.
//!
//! Credentials never reach a plugin: they are the host's to check. A dialect that breaks while it
//! answers is asked once more, with a fresh instance and an empty body, to say so in its own API's
//! shape, because official clients understand nothing else; if that fails too, the host speaks.

use std::sync::Arc;

use atoll_plugin_runtime::types::{Error, Event, Header, HttpRequest, HttpResponse, Operation};
use atoll_plugin_runtime::types::{OperationResult, ResponseHead};
use atoll_plugin_runtime::{Dialect, Exchange, PluginError};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::request::Parts;

use crate::failure::Failure;

/// Headers that carry somebody's secret, in any of the APIs we know or as a proxy in front adds them. In the last,
/// clients in browsers put the key of a WebSocket, because they can set no other; whatever is in it, the host has
/// answered.
const CREDENTIAL_HEADERS: [&str; 8] = [
    "cookie",
    "x-atoll-key",
    "ocp-apim-subscription-key",
    "x-amzn-oidc-data",
    "x-goog-iap-jwt-assertion",
    "cf-access-jwt-assertion",
    "x-forwarded-client-cert",
    "sec-websocket-protocol",
];

/// How names of further ones end: `proxy-authorization`, `x-goog-api-key`, `x-amz-security-token`.
const CREDENTIAL_ENDINGS: [&str; 7] = [
    "authorization",
    "api-key",
    "apikey",
    "-token",
    "accesstoken",
    "-secret",
    "-password",
];

/// Query parameters that do.
const CREDENTIAL_PARAMETERS: [&str; 8] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "x-api-key",
    "access_token",
    "token",
    "client_secret",
];

/// `name` in lower case, as HTTP libraries give it.
fn is_credential(name: &str) -> bool {
    CREDENTIAL_HEADERS.contains(&name)
        || CREDENTIAL_ENDINGS
            .iter()
            .any(|ending| name.ends_with(ending))
}

/// What the dialect sees, without the body. The method is the route's: whoever asks for the head alone asks a
/// route for GET, unless there is one for HEAD; the body is cut off on its way out.
pub(crate) fn request_head(
    parts: &Parts,
    id: &str,
    (method, path_params): (String, Vec<(String, String)>),
    received_at: u64,
) -> HttpRequest {
    let headers = parts
        .headers
        .iter()
        .filter(|(name, _)| !is_credential(name.as_str()))
        // They speak of the bytes on the wire; the body is the decoded one.
        .filter(|(name, _)| *name != CONTENT_ENCODING && *name != CONTENT_LENGTH)
        // A value that is not text has no meaning in any dialect.
        .filter_map(|(name, value)| {
            let value = value.to_str().ok()?.to_owned();
            Some(Header {
                name: name.as_str().to_owned(),
                value,
            })
        })
        .collect();
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, _)| {
            !CREDENTIAL_PARAMETERS
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret))
        })
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    HttpRequest {
        id: id.to_owned(),
        method,
        path: parts.uri.path().to_owned(),
        path_params,
        query,
        headers,
        body: Vec::new(),
        received_at,
        ext: None,
    }
}

/// A dialect at work on one request.
pub(crate) struct Conversation {
    dialect: Arc<Dialect>,
    exchange: Exchange,
    /// The request without its body, to open a second instance if this one breaks.
    head: HttpRequest,
}

impl Conversation {
    /// Gives the request to a fresh instance.
    pub(crate) async fn open(
        dialect: Arc<Dialect>,
        head: HttpRequest,
        body: Vec<u8>,
    ) -> Result<Self, PluginError> {
        let exchange = dialect
            .open(HttpRequest {
                body,
                ..head.clone()
            })
            .await?;
        Ok(Self {
            dialect,
            exchange,
            head,
        })
    }

    /// The dialect's name.
    pub(crate) fn dialect(&self) -> &str {
        &self.dialect.info().name
    }

    pub(crate) async fn decode(&mut self) -> Result<Operation, Failure> {
        Ok(self.exchange.decode().await??)
    }

    pub(crate) async fn head(&mut self) -> Result<ResponseHead, Failure> {
        Ok(self.exchange.head().await?)
    }

    pub(crate) async fn encode(&mut self, events: &[Event]) -> Result<Vec<u8>, Failure> {
        Ok(self.exchange.encode(events).await??)
    }

    pub(crate) async fn reply(
        &mut self,
        outcome: OperationResult,
    ) -> Result<HttpResponse, Failure> {
        Ok(self.exchange.reply(&outcome).await??)
    }

    /// The failure in the dialect's own shape, or `None` when the dialect cannot speak any more.
    pub(crate) async fn fail(mut self, failure: Failure) -> Result<HttpResponse, Error> {
        let error = match failure {
            Failure::Typed(error) => match self.exchange.fail(&error).await {
                Ok(response) => return Ok(response),
                Err(fault) => {
                    tracing::warn!(%fault, "a dialect broke while it reported an error");
                    error
                }
            },
            Failure::Fault(fault) => fault.to_canonical(),
        };
        // The broken instance goes before another is made, so that one slot is enough.
        drop(self.exchange);
        fail_afresh(self.dialect, self.head, error).await
    }
}

/// Asks a fresh instance of the dialect to render an error; gives the error back if it cannot.
pub(crate) async fn fail_afresh(
    dialect: Arc<Dialect>,
    head: HttpRequest,
    error: Error,
) -> Result<HttpResponse, Error> {
    let mut exchange = match dialect.open(head).await {
        Ok(exchange) => exchange,
        Err(fault) => {
            tracing::warn!(%fault, "no dialect could report an error");
            return Err(error);
        }
    };
    exchange.fail(&error).await.map_err(|fault| {
        tracing::warn!(%fault, "no dialect could report an error");
        error
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_see_no_credentials() {
        let (parts, ()) = http::Request::builder()
            .method("POST")
            .uri("/v1/models/a%2Fb?limit=2&API_KEY=s3cret&key=s3cret&Token=s3cret&q=a+b%26c")
            .header("authorization", "Bearer s3cret")
            .header("X-Api-Key", "s3cret")
            .header("cookie", "session=s3cret")
            .header("proxy-authorization", "Basic s3cret")
            .header("api-key", "s3cret")
            .header("x-goog-api-key", "s3cret")
            .header("x-amz-security-token", "s3cret")
            .header("X-Forwarded-Access-Token", "s3cret")
            .header("x-amzn-oidc-accesstoken", "s3cret")
            .header("cf-access-jwt-assertion", "s3cret")
            .header("cf-access-client-secret", "s3cret")
            .header(
                "sec-websocket-protocol",
                "realtime, openai-insecure-api-key.s3cret",
            )
            .header("content-encoding", "gzip")
            .header("content-length", "5")
            .header("anthropic-version", "2023-06-01")
            .body(())
            .unwrap()
            .into_parts();
        let route = ("POST".to_owned(), vec![("id".to_owned(), "a/b".to_owned())]);
        let head = request_head(&parts, "r1", route, 5);
        assert!(!format!("{head:?}").contains("s3cret"), "{head:?}");
        assert_eq!(head.path, "/v1/models/a%2Fb");
        let expected = [("limit", "2"), ("q", "a b&c")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(head.query, expected);
        assert_eq!(head.headers.len(), 1);
        assert_eq!((head.method.as_str(), head.received_at), ("POST", 5));
    }
}
