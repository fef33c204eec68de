//! Refusals of what never became a request: no dialect has a route for it, or its message came at a bad time.
//! Whose client it is from can be told all the same, and that dialect has the words.

use atoll_plugin_runtime::types::Error;
use atoll_plugin_runtime::{Registry, RouteError};
use axum::extract::Request;
use axum::response::Response;
use http::HeaderValue;
use http::header::ALLOW;
use http::request::Parts;

use crate::exchange;
use crate::gateway::{Gateway, rendered_or_host, unix_seconds};
use crate::guard::RequestId;
use crate::response;
use crate::source::RequestFacts;

/// Refuses a request without a route in the words of the dialect that it is nearest to, and in the host's own,
/// with a list of all paths, where that is none.
pub(crate) async fn without_route(
    registry: &Registry,
    parts: &Parts,
    facts: &RequestFacts,
    why: RouteError,
) -> Response {
    let error = response::no_route(registry, parts, &why);
    let mut refused = match registry.nearest(parts.uri.path(), &parts.headers) {
        Some(dialect) => {
            let asked = (parts.method.to_string(), Vec::new());
            let head = exchange::request_head(parts, &facts.id, asked, facts.received_at);
            rendered_or_host(exchange::fail_afresh(dialect, head, error).await)
        }
        None => response::with_routes(&error, response::routes(registry)),
    };
    if let RouteError::MethodNotAllowed { allow } = why
        && let Ok(allow) = HeaderValue::from_str(&allow.join(", "))
    {
        refused.headers_mut().insert(ALLOW, allow);
    }
    refused
}

/// The words in which the dialect refuses a message of a socket that never became a request.
pub(crate) async fn message(gateway: &Gateway, request: Request, error: Error) -> Response {
    let (parts, _) = request.into_parts();
    let installed = gateway.inner.plugins.snapshot();
    let path = parts.uri.path();
    let Ok(route) = installed
        .registry
        .route(parts.method.as_str(), path, &parts.headers)
    else {
        return response::host_error(&error);
    };
    let id = parts.extensions.get::<RequestId>().map(|id| id.0.as_str());
    let head = exchange::request_head(
        &parts,
        id.unwrap_or_default(),
        (route.method, route.params),
        unix_seconds(),
    );
    rendered_or_host(exchange::fail_afresh(route.dialect, head, error).await)
}
