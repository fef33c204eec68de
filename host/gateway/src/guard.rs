//! The gate every request passes first: an id, the host name, the origin, the drain.
//!
//! A server on loopback is reachable by every web page its user has open. Two checks keep pages out.
//! The `Host` header must be a name of this machine (a page that points its own name at 127.0.0.1
//! still sends that name), and a request with an `Origin` must come from the gateway's own pages or
//! from an origin that was allowed: without that even a page that cannot read answers could make the
//! model work. A page's images, links and forms carry no `Origin` with a GET; browsers say of every
//! request whether another site's page made it (`Sec-Fetch-Site`), so those are kept out too, but for a
//! link that leads to one of the host's own pages.

use std::net::{IpAddr, SocketAddr};

use atoll_plugin_runtime::types::ErrorKind;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONNECTION, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::failure;
use crate::gateway::{Gateway, no_body};
use crate::options::Access;
use crate::response;

/// The header that carries a request's id, both ways.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub String);

/// The connection a request came over, in its extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Whether the listener is bound to loopback.
    pub loopback: bool,
    /// The other side.
    pub remote: SocketAddr,
}

pub(crate) async fn guard(
    State(gateway): State<Gateway>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request_id(request.headers());
    let drained = gateway.is_draining() && !stays_open(request.uri().path());
    let origin = allowed_origin(&request, &gateway.inner.options.access);
    let mut response = match (admit(&request, &gateway.inner.options.access), &origin) {
        (Err(reason), _) => {
            let remote = request.extensions().get::<Peer>().map(|peer| peer.remote);
            tracing::warn!(id, ?remote, reason, "request refused");
            response::host_error(&failure::error(ErrorKind::Forbidden, reason))
        }
        (Ok(()), Some(_)) if is_preflight(&request) => preflight(request.headers()),
        (Ok(()), _) if drained => {
            let mut response = response::host_error(&response::draining());
            // The next attempt should look for another host, not reuse this connection.
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
        (Ok(()), _) => {
            request.extensions_mut().insert(RequestId(id.clone()));
            next.run(request).await
        }
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static("x-request-id, retry-after, retry-after-ms");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// Paths that answer during a drain: whoever watches the drain needs them.
fn stays_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// The client's own id if it is plain, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(plain);
    given.map_or_else(
        || format!("req_{}", uuid::Uuid::new_v4().simple()),
        str::to_owned,
    )
}

/// Host name and origin.
fn admit(request: &Request, access: &Access) -> Result<(), &'static str> {
    let loopback = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|peer| peer.loopback);
    if loopback && !host(request).is_none_or(|host| names_this_machine(host, access)) {
        return Err(
            "this Host is not one of this machine's names; add it to `allowed_hosts` if it \
                    should be",
        );
    }
    match request.headers().get(ORIGIN) {
        None if by_another_page(request, access) => Err(
            "another site's page may not do this; open the address itself, or add that site to \
             `allowed_origins` and let its page ask with CORS",
        ),
        None => Ok(()),
        Some(origin) if same_origin(origin, request) => Ok(()),
        Some(origin) if listed(origin, access) => Ok(()),
        Some(_) => Err(
            "requests from this web origin are not allowed; add it to `allowed_origins` \
                        if they should be",
        ),
    }
}

/// Whether a page of another origin made a browser send this, other than by a link to a page of the host's.
fn by_another_page(request: &Request, access: &Access) -> bool {
    let said = |name: &str| {
        let value = request.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    // Ports of one host name are one site, and not one origin.
    let foreign = matches!(said("sec-fetch-site"), "cross-site" | "same-site");
    let path = request.uri().path();
    let link = request.method() == Method::GET && said("sec-fetch-mode") == "navigate";
    let own = path == "/" || stays_open(path) || path == "/atoll" || path.starts_with("/atoll/");
    foreign && !(link && own) && !access.allowed_origins.iter().any(|allowed| allowed == "*")
}

/// The name the client used for us, with its port.
fn host(request: &Request) -> Option<&str> {
    let header = request
        .headers()
        .get(HOST)
        .map(|value| value.to_str().unwrap_or("?"));
    // HTTP/2 says it in the URI.
    header.or_else(|| {
        request
            .uri()
            .authority()
            .map(|authority| authority.as_str())
    })
}

fn names_this_machine(host: &str, access: &Access) -> bool {
    let name = without_port(host)
        .trim_end_matches('.')
        .to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(&name);
    if address
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback())
    {
        return true;
    }
    access
        .allowed_hosts
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(&name))
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        // The last colon of `[::1]` is inside the brackets.
        Some(colon) if !host.get(colon..).is_some_and(|rest| rest.contains(']')) => {
            host.get(..colon).unwrap_or(host)
        }
        _ => host,
    }
}

/// The gateway's own pages.
fn same_origin(origin: &HeaderValue, request: &Request) -> bool {
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    let Some((_, authority)) = origin else {
        return false;
    };
    host(request).is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

fn listed(origin: &HeaderValue, access: &Access) -> bool {
    let same = |allowed: &String| {
        allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes())
    };
    access.allowed_origins.iter().any(same)
}

/// The origin to allow in the answer's CORS headers.
fn allowed_origin(request: &Request, access: &Access) -> Option<HeaderValue> {
    request
        .headers()
        .get(ORIGIN)
        .filter(|origin| listed(origin, access))
        .cloned()
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a browser that asks first. The origin is allowed; methods and headers are the
/// dialects' business, so what is asked for is granted.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = Response::new(no_body());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Some(method) = asked.get(ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    }
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(loopback: bool, headers: &[(&str, &str)]) -> Request {
        let mut builder = http::Request::builder().uri("/v1/models");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let mut request = builder.body(Body::empty()).unwrap();
        let remote = SocketAddr::from(([127, 0, 0, 1], 9));
        request.extensions_mut().insert(Peer { loopback, remote });
        request
    }

    fn access(origins: &[&str], hosts: &[&str]) -> Access {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Access {
            allowed_origins: own(origins),
            allowed_hosts: own(hosts),
            ..Access::default()
        }
    }

    #[test]
    fn loopback_answers_to_its_own_names_only() {
        let access = access(&[], &["atoll.lan"]);
        for (host, expected) in [
            ("localhost", true),
            ("localhost:8000", true),
            ("LOCALHOST.:8000", true),
            ("api.localhost:8000", true),
            ("127.0.0.1:8000", true),
            ("127.9.9.9", true),
            ("[::1]:8000", true),
            ("[::1]", true),
            ("atoll.lan:8000", true),
            ("evil.example:8000", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("10.0.0.1:8000", false),
            ("", false),
        ] {
            let admitted = admit(&request(true, &[("host", host)]), &access).is_ok();
            assert_eq!(admitted, expected, "{host}");
            // A wide listener has names it cannot know.
            assert!(admit(&request(false, &[("host", host)]), &access).is_ok());
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused_unless_listed() {
        let host = ("host", "localhost:8000");
        for (origin, allowed, expected) in [
            ("http://localhost:8000", &[][..], true),
            ("http://localhost:3000", &[], false),
            ("https://evil.example", &[], false),
            ("null", &[], false),
            (
                "https://chat.example.com",
                &["https://chat.example.com"],
                true,
            ),
            (
                "https://chat.example.com.evil.example",
                &["https://chat.example.com"],
                false,
            ),
            ("https://evil.example", &["*"], true),
        ] {
            let request = request(true, &[host, ("origin", origin)]);
            let access = access(allowed, &[]);
            assert_eq!(admit(&request, &access).is_ok(), expected, "{origin}");
            // Answers may be read across origins only where a list says so.
            let readable = allowed_origin(&request, &access).is_some();
            assert_eq!(readable, expected && !allowed.is_empty(), "{origin}");
        }
    }

    /// An image, a form, a link of another site's page: no `Origin`, but the browser says whose page it was.
    #[test]
    fn what_another_page_makes_a_browser_fetch_is_refused() {
        let from = |uri: &str, site: &str, mode: &str, access: &Access| {
            let mut request = request(true, &[("host", "localhost:8000")]);
            *request.uri_mut() = uri.parse().unwrap();
            for (name, value) in [("sec-fetch-site", site), ("sec-fetch-mode", mode)] {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                let value = HeaderValue::from_str(value).unwrap();
                request.headers_mut().insert(name, value);
            }
            admit(&request, access).is_ok()
        };
        let closed = access(&["https://chat.example.com"], &[]);
        for (uri, site, mode, expected) in [
            ("/v1/models", "cross-site", "no-cors", false),
            ("/v1/models", "same-site", "no-cors", false),
            ("/v1/models", "cross-site", "navigate", false),
            ("/atollen/x", "cross-site", "navigate", false),
            ("/atoll/v1/plugins", "cross-site", "no-cors", false),
            ("/atoll/v1/plugins", "cross-site", "navigate", true),
            ("/", "cross-site", "navigate", true),
            ("/v1/models", "same-origin", "no-cors", true),
            // Typed, or a bookmark.
            ("/v1/models", "none", "navigate", true),
        ] {
            assert_eq!(
                from(uri, site, mode, &closed),
                expected,
                "{uri} {site} {mode}"
            );
        }
        assert!(from(
            "/v1/models",
            "cross-site",
            "no-cors",
            &access(&["*"], &[])
        ));
    }

    #[test]
    fn an_id_is_kept_when_plain_and_replaced_when_not() {
        let id = |value: &str| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request_id(&HeaderMap::from_iter([(REQUEST_ID, value)]))
        };
        assert_eq!(id("trace:1.2-3_4"), "trace:1.2-3_4");
        for odd in ["", "a b", "a\"b", "é", &"x".repeat(129)] {
            assert!(id(odd).starts_with("req_"), "{odd}");
        }
    }
}
