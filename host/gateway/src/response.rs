//! Answers as HTTP: a dialect's head and bytes, and the few errors the host says itself.

use std::collections::BTreeMap;

use atoll_plugin_runtime::types::{Error, ErrorKind, HttpResponse, ResponseHead};
use atoll_plugin_runtime::{Registry, RouteError};
use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure;

/// A dialect's whole answer.
pub(crate) fn whole(response: HttpResponse) -> Response {
    bytes(response.head, response.body)
}

/// A dialect's head with all its bytes.
pub(crate) fn bytes(head: ResponseHead, bytes: Vec<u8>) -> Response {
    with_body(head, Body::from(bytes))
}

/// A dialect's head with bytes that are still to come. Proxies are told not to collect them.
pub(crate) fn streaming(head: ResponseHead, body: Body) -> Response {
    let mut response = with_body(head, body);
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    headers
        .entry(HeaderName::from_static("x-accel-buffering"))
        .or_insert(HeaderValue::from_static("no"));
    response
}

/// The plugin runtime has checked status and headers; what still does not fit is left out.
fn with_body(head: ResponseHead, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for header in head.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    // Data stays data, whatever it looks like.
    let sniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, sniff);
    if may_be_a_page(&response) {
        // Browsers apply every policy that there is, so a plugin's own takes nothing away.
        response
            .headers_mut()
            .append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE));
    }
    response
}

/// What a plugin's page may do: be looked at. It runs nothing, is of no origin, and fetches nothing, so that it
/// cannot tell another server what it was asked.
const PAGE: &str =
    "sandbox; default-src data: 'unsafe-inline'; form-action 'none'; base-uri 'none'";

/// Whether a browser may show the answer as a document with scripts. Those would run as the host's own page, which
/// every API listens to (see [`crate::guard`]); sandboxed, they are of no origin.
fn may_be_a_page(response: &Response) -> bool {
    const DATA: [&str; 5] = [
        "application/json",
        "application/x-ndjson",
        "text/event-stream",
        "text/plain",
        "application/octet-stream",
    ];
    let mut types = response.headers().get_all(CONTENT_TYPE).iter();
    let (Some(first), None) = (types.next(), types.next()) else {
        return true;
    };
    let essence = first.to_str().unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    !DATA.iter().any(|data| essence.eq_ignore_ascii_case(data))
}

/// JSON of the host's own.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    let mut body = value.to_string();
    body.push('\n');
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Plain text of the host's own.
pub(crate) fn text(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn host_body(error: &Error) -> Value {
    let kind = failure::kind_name(&error.kind);
    json!({
        "error": {
            "message": error.message,
            "type": kind,
            "param": error.param,
            "code": kind,
        }
    })
}

/// An error where no dialect can speak. The shape is the one most clients know.
pub(crate) fn host_error(error: &Error) -> Response {
    let mut response = json(failure::status(&error.kind), &host_body(error));
    if let Some(millis) = error.retry_after_ms {
        // Whole seconds, rounded up: the header knows no others.
        let seconds = HeaderValue::from(millis.div_ceil(1000));
        response.headers_mut().insert(RETRY_AFTER, seconds);
        response.headers_mut().insert(
            HeaderName::from_static("retry-after-ms"),
            HeaderValue::from(millis),
        );
    }
    response
}

/// What a client hears once shutdown has begun.
pub(crate) fn draining() -> Error {
    let message = "this host is shutting down; try again soon, or on another host";
    failure::overloaded(message, failure::DEFAULT_RETRY_AFTER_MS)
}

/// Why no dialect takes a request, and what to do about it.
pub(crate) fn no_route(registry: &Registry, parts: &Parts, why: &RouteError) -> Error {
    let (method, path) = (&parts.method, parts.uri.path());
    match why {
        RouteError::NotFound => {
            let what = hint(path, &routes(registry))
                .unwrap_or_else(|| "GET / lists what there is".to_owned());
            let message = format!("no API of this host has {method} {path}. {what}");
            failure::error(ErrorKind::NotFound, message)
        }
        RouteError::MethodNotAllowed { allow } => {
            let allow = allow.join(", ");
            let message = format!("{path} does not take {method}; it takes {allow}");
            failure::error(ErrorKind::MethodNotAllowed, message)
        }
    }
}

/// An error in the host's shape, with the paths that there are instead.
pub(crate) fn with_routes(error: &Error, routes: impl Serialize) -> Response {
    let mut body = host_body(error);
    body["routes"] = json!(routes);
    json(failure::status(&error.kind), &body)
}

/// Every dialect's routes, as `POST /v1/chat/completions`.
pub(crate) fn routes(registry: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut routes = BTreeMap::new();
    for dialect in registry.dialects() {
        let info = dialect.info();
        let entry: &mut Vec<String> = routes.entry(info.name.to_string()).or_default();
        entry.extend(
            info.routes
                .iter()
                .map(|route| format!("{} {}", route.method, route.path)),
        );
    }
    routes
}

/// The usual mistake is a base URL with a part too many or too few: find the route that the path ends
/// with, or that ends with the path.
fn hint(path: &str, routes: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let path = path.trim_end_matches('/');
    let known = routes
        .values()
        .flatten()
        .filter_map(|route| route.split_once(' '));
    let mut paths = known
        .map(|(_, known)| known)
        .filter(|known| !known.contains('{'));
    if path.len() < 2 {
        return None;
    }
    let close = paths.find(|known| path.ends_with(known) || known.ends_with(path))?;
    Some(format!(
        "Did you mean {close}? Check the base URL that your client is set up with"
    ))
}

/// The request fields no part of the host understood, as a header value: nothing is dropped silently.
/// `unconsumed` is what the dialect left, `further` what was left out after it.
pub(crate) fn ignored_fields(
    unconsumed: Option<&str>,
    further: impl Iterator<Item = String>,
) -> Option<HeaderValue> {
    /// Names beyond this many are cut: a header is for people.
    const MOST: usize = 16;
    let fields = match unconsumed.map(serde_json::from_str::<Value>) {
        Some(Ok(Value::Object(fields))) => fields,
        _ => serde_json::Map::new(),
    };
    let plain = |name: &String| {
        (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    let names = fields.keys().cloned().chain(further).filter(plain);
    let names: Vec<String> = names.take(MOST).collect();
    if names.is_empty() {
        None
    } else {
        HeaderValue::from_str(&names.join(", ")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_plugin_runtime::types::Header;

    #[test]
    fn what_a_browser_may_run_is_sandboxed() {
        let policy = |types: &[&str]| {
            let headers = types.iter().map(|value| Header {
                name: "content-type".to_owned(),
                value: (*value).to_owned(),
            });
            let head = ResponseHead {
                status: 200,
                headers: headers.collect(),
            };
            let response = bytes(head, Vec::new());
            response.headers().get(CONTENT_SECURITY_POLICY).cloned()
        };
        for types in [
            &[][..],
            &["text/html"],
            &["Text/HTML; charset=utf-8"],
            &["image/svg+xml"],
            &["application/json", "text/html"],
            &["text/plain, text/html"],
        ] {
            assert_eq!(policy(types).unwrap(), PAGE, "{types:?}");
        }
        for types in [
            "application/json; charset=utf-8",
            "text/event-stream",
            "application/x-ndjson",
            "TEXT/PLAIN; charset=utf-8",
        ] {
            assert_eq!(policy(&[types]), None, "{types}");
        }
    }

    #[test]
    fn a_wrong_base_url_gets_a_hint() {
        let routes = BTreeMap::from([(
            "openai".to_owned(),
            vec![
                "POST /v1/chat/completions".to_owned(),
                "GET /v1/models/{id...}".to_owned(),
            ],
        )]);
        for path in [
            "/v1/v1/chat/completions",
            "/chat/completions",
            "/openai/v1/chat/completions/",
        ] {
            let hint = hint(path, &routes).unwrap();
            assert!(hint.contains("/v1/chat/completions?"), "{path}: {hint}");
        }
        assert_eq!(hint("/", &routes), None);
        assert_eq!(hint("/nothing", &routes), None);
    }

    #[test]
    fn ignored_fields_are_named_without_their_values() {
        let fields = r#"{"client_metadata": "x", "bad name\n": 1, "verbosity": 2}"#;
        let tools = ["tools.web_search".to_owned()];
        let value = ignored_fields(Some(fields), tools.into_iter());
        assert_eq!(
            value.unwrap(),
            "client_metadata, verbosity, tools.web_search"
        );
        for nothing in [None, Some("{}"), Some("nonsense")] {
            assert_eq!(ignored_fields(nothing, std::iter::empty()), None);
        }
    }

    #[test]
    fn retry_after_is_rounded_up() {
        let response = host_error(&failure::overloaded("full", 1500));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["retry-after-ms"], "1500");
    }
}
