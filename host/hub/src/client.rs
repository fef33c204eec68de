//! The two requests a hub answers, and what it means when it does not.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};

use crate::manifest::{Listing, Manifest};
use crate::{HubError, HubOptions, RepoId};

/// The hub says in this header what a status is about.
const ERROR_CODE: &str = "x-error-code";
/// Largest listing read. One with ten thousand files has about 3 MB.
const MAX_LISTING: usize = 32 << 20;
/// Redirects followed; a hub needs one or two (to its storage).
const MAX_REDIRECTS: usize = 8;

/// Speaks to one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    endpoint: Url,
    /// `Bearer ...`, marked so that it is not logged.
    authorization: Option<HeaderValue>,
}

impl Client {
    pub fn new(options: &HubOptions) -> Result<Self, HubError> {
        let wrong = |reason: String| HubError::Options(reason);
        let endpoint: Url = options
            .endpoint
            .parse()
            .map_err(|error| wrong(format!("the endpoint {:?}: {error}", options.endpoint)))?;
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host_str().is_none() {
            return Err(wrong(format!(
                "the endpoint {:?} is not an http or https address",
                options.endpoint
            )));
        }
        let authorization = match &options.token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                    .map_err(|_| wrong("the token has characters no token has".to_owned()))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        // Another part of the process may have chosen already; any choice serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            .read_timeout(options.read_timeout)
            .redirect(redirects());
        if is_loopback(&endpoint) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            http,
            endpoint,
            authorization,
        })
    }

    /// What there is to fetch.
    pub async fn manifest(&self, repo: &RepoId) -> Result<Manifest, HubError> {
        let mut url = self.url(repo, &["api", "models"], &["revision", "main"])?;
        url.set_query(Some("blobs=true"));
        let what = format!("the list of files of {repo}");
        let response = self.get(url, None, &what).await?;
        let mut response = accepted(repo, &what, response)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| HubError::transport(&what, &error))?
        {
            if bytes.len() + chunk.len() > MAX_LISTING {
                return Err(HubError::Listing {
                    repo: repo.to_string(),
                    reason: format!("it is larger than {MAX_LISTING} bytes"),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        let listing: Listing =
            serde_json::from_slice(&bytes).map_err(|error| HubError::Listing {
                repo: repo.to_string(),
                reason: error.to_string(),
            })?;
        Manifest::choose(repo, &listing)
    }

    /// A file's bytes from `from` on. Any status comes back: the caller knows what a range means.
    pub async fn file(
        &self,
        repo: &RepoId,
        revision: &str,
        name: &str,
        from: u64,
    ) -> Result<Response, HubError> {
        let url = self.url(repo, &[], &["resolve", revision, name])?;
        let range = (from > 0).then(|| format!("bytes={from}-"));
        self.get(url, range, name).await
    }

    async fn get(&self, url: Url, range: Option<String>, what: &str) -> Result<Response, HubError> {
        let mut request = self.http.get(url).header(ACCEPT_ENCODING, "identity");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        request
            .send()
            .await
            .map_err(|error| HubError::transport(what, &error))
    }

    /// Segments are encoded one by one, so none can become two.
    fn url(&self, repo: &RepoId, before: &[&str], after: &[&str]) -> Result<Url, HubError> {
        let mut url = self.endpoint.clone();
        url.path_segments_mut()
            .map_err(|()| HubError::Options("the endpoint cannot have a path".to_owned()))?
            .pop_if_empty()
            .extend(before)
            .extend([repo.org(), repo.name()])
            .extend(after);
        Ok(url)
    }
}

/// A success, or what the refusal means.
pub(crate) fn accepted(
    repo: &RepoId,
    what: &str,
    response: Response,
) -> Result<Response, HubError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let code = response
        .headers()
        .get(ERROR_CODE)
        .and_then(|code| code.to_str().ok())
        .unwrap_or_default();
    let repo = repo.to_string();
    Err(match (status, code) {
        (_, "GatedRepo") => HubError::Gated { repo },
        // The hub tells nobody without a token whether a private model exists.
        (_, "RepoNotFound") => HubError::NotFound { repo },
        (StatusCode::UNAUTHORIZED, _) => HubError::Unauthorized { repo },
        (StatusCode::FORBIDDEN, _) => HubError::Gated { repo },
        (StatusCode::NOT_FOUND, _) => HubError::NotFound { repo },
        _ => HubError::Status {
            status: status.as_u16(),
            what: what.to_owned(),
            retry_after: retry_after(response.headers()),
        },
    })
}

/// Seconds are enough: a hub that gives a date is asked again when our own pause is over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Follows a few redirects, never from an encrypted connection to a plain one. reqwest drops the
/// authorization when the host changes.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let was_https = attempt
            .previous()
            .last()
            .is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if was_https && attempt.url().scheme() != "https" {
            attempt.error("a redirect from https to http was refused")
        } else {
            attempt.follow()
        }
    })
}

/// A proxy has no way to this machine's own loopback.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(endpoint: &str) -> Result<Client, HubError> {
        let mut options = HubOptions::new("models");
        options.endpoint = endpoint.to_owned();
        Client::new(&options)
    }

    #[test]
    fn urls_keep_the_endpoints_path_and_encode_each_segment() {
        let repo = RepoId::parse("a/b").unwrap();
        for (endpoint, expected) in [
            (
                "https://hub.example",
                "https://hub.example/a/b/resolve/r%2F1/x%3Fy",
            ),
            (
                "http://127.0.0.1:9/mirror/",
                "http://127.0.0.1:9/mirror/a/b/resolve/r%2F1/x%3Fy",
            ),
        ] {
            let client = client(endpoint).unwrap();
            let url = client.url(&repo, &[], &["resolve", "r/1", "x?y"]).unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn an_endpoint_that_is_no_address_is_refused() {
        for endpoint in ["", "hub.example", "file:///etc", "ftp://x", "data:,x"] {
            assert!(
                matches!(client(endpoint), Err(HubError::Options(_))),
                "{endpoint:?}"
            );
        }
    }
}
