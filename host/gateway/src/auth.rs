//! Who asks, and whether he may.
//!
//! On loopback everybody may, because only this machine's users reach it; a key that is sent and known
//! is still counted on. On any other listener, or where the configuration demands it, a request without a
//! working key goes no further than this module. What the host keeps for itself (`/atoll/*`,
//! `/metrics`) needs an administrator's key there, even where the models are open to all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_plugin_runtime::types::{Error, ErrorKind, ModelInfo, Operation};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use serde_json::json;

use crate::filters::matches;
use crate::gateway::{Gateway, unix_seconds};
use crate::guard::Peer;
use crate::keys::{Key, Permit, RateLimits, Refusal};
use crate::{failure, operation, response};

/// The longest wait a client is told, for a quota that never flows back.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Whoever sent a request.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// His key at work; none on an open listener.
    permit: Option<Permit>,
    limits: RateLimits,
}

/// A request that goes no further, and what is left of the key's quotas.
#[derive(Debug)]
pub(crate) struct Refused {
    pub error: Error,
    pub limits: RateLimits,
}

impl Caller {
    /// What the key is called.
    pub(crate) fn name(&self) -> Option<&str> {
        self.permit.as_ref().map(|permit| permit.key().name())
    }

    /// What dialects may tell about the key's quotas.
    pub(crate) fn ext(&self) -> Option<String> {
        ext(&self.limits)
    }

    /// Takes used tokens off the quota.
    pub(crate) fn charge(&self, tokens: u32) {
        if let Some(permit) = &self.permit {
            permit.charge(tokens);
        }
    }

    /// Whether the key covers an operation.
    ///
    /// # Errors
    /// `forbidden`, with what it lacks.
    pub(crate) fn check(&self, operation: &Operation) -> Result<(), Error> {
        let Some(key) = self.permit.as_ref().map(Permit::key) else {
            return Ok(());
        };
        let changes_host = matches!(
            operation,
            Operation::PullModel(_) | Operation::DeleteModel(_) | Operation::CopyModel(_)
        );
        if changes_host && !key.is_admin() {
            let message = format!(
                "the key {:?} may use models but not add or remove them; an administrator's key may",
                key.name()
            );
            return Err(failure::error(ErrorKind::Forbidden, message));
        }
        match operation::model(operation) {
            Some(model) if !covers(key, model) => {
                let message = format!("the key {:?} may not use the model {model:?}", key.name());
                Err(failure::error(ErrorKind::Forbidden, message))
            }
            _ => Ok(()),
        }
    }

    /// Leaves of a list of models those that the key may use.
    pub(crate) fn narrow(&self, models: &mut Vec<ModelInfo>) {
        if let Some(permit) = &self.permit {
            models.retain(|model| covers(permit.key(), &model.id));
        }
    }
}

impl Refused {
    /// As [`Caller::ext`].
    pub(crate) fn ext(&self) -> Option<String> {
        ext(&self.limits)
    }
}

fn ext(limits: &RateLimits) -> Option<String> {
    let known = limits.requests.is_some() || limits.tokens.is_some();
    known.then(|| json!({ "rate_limits": limits }).to_string())
}

fn covers(key: &Key, model: &str) -> bool {
    let patterns = key.models();
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, model))
}

/// Lets a dialect's request in.
///
/// # Errors
/// No key, a wrong one, or one whose quota is used up.
pub(crate) fn admit(
    gateway: &Gateway,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, Box<Refused>> {
    let Some(key) = known(gateway, headers, extensions)? else {
        return Ok(Caller::default());
    };
    let name = key.name().to_owned();
    let (admitted, limits) = key.admit(Instant::now());
    match admitted {
        Ok(permit) => Ok(Caller {
            permit: Some(permit),
            limits,
        }),
        Err(refusal) => Err(used_up(&name, refusal, limits)),
    }
}

/// Whether a request could be let in now, without counting one: for what only opens the way for requests. Gives
/// the key's name.
///
/// # Errors
/// As [`admit`].
pub(crate) fn may_begin(
    gateway: &Gateway,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<String>, Box<Refused>> {
    let Some(key) = known(gateway, headers, extensions)? else {
        return Ok(None);
    };
    let (admitted, limits) = key.may_begin(Instant::now());
    let name = key.name().to_owned();
    match admitted {
        Ok(()) => Ok(Some(name)),
        Err(refusal) => Err(used_up(&name, refusal, limits)),
    }
}

/// The key of a request, where one is needed or sent.
fn known(
    gateway: &Gateway,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Arc<Key>>, Box<Refused>> {
    let needed = needs_key(gateway, extensions);
    identify(gateway, headers, needed).map_err(|error| {
        let limits = RateLimits::default();
        Box::new(Refused { error, limits })
    })
}

fn used_up(name: &str, refusal: Refusal, limits: RateLimits) -> Box<Refused> {
    let wait = refusal.retry_after.min(LONGEST_WAIT).as_millis();
    let message = format!("the key {name:?} has used up its {}", refusal.what);
    let error = Error {
        retry_after_ms: Some(u64::try_from(wait).unwrap_or(u64::MAX)),
        ..failure::error(ErrorKind::RateLimited, message)
    };
    Box::new(Refused { error, limits })
}

/// The gate before what the host keeps for itself.
pub(crate) async fn admin_only(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Response {
    let needed = !is_loopback(request.extensions()) || needs_key(&gateway, request.extensions());
    if needed {
        let refusal = match identify(&gateway, request.headers(), true) {
            Ok(Some(key)) if key.is_admin() => None,
            Ok(_) => {
                let message = "this needs an administrator's key: atoll keys create NAME --admin";
                Some(failure::error(ErrorKind::Forbidden, message))
            }
            Err(error) => Some(error),
        };
        if let Some(error) = refusal {
            return response::host_error(&error);
        }
    }
    next.run(request).await
}

fn needs_key(gateway: &Gateway, extensions: &Extensions) -> bool {
    let access = &gateway.inner.options.access;
    access.require_key || !(is_loopback(extensions) || access.insecure)
}

/// A request of unknown origin is not from here.
fn is_loopback(extensions: &Extensions) -> bool {
    extensions.get::<Peer>().is_some_and(|peer| peer.loopback)
}

/// The key that was sent. Where none is needed, one that is not known is taken for the placeholder that
/// many clients insist on.
fn identify(
    gateway: &Gateway,
    headers: &HeaderMap,
    needed: bool,
) -> Result<Option<Arc<Key>>, Error> {
    let now = unix_seconds();
    let ring = &gateway.inner.keys;
    let found = sent_keys(headers).find_map(|sent| ring.find(sent, now));
    if found.is_some() || !needed {
        return Ok(found);
    }
    let message = if sent_keys(headers).next().is_some() {
        "this key is not known here, has expired or was revoked"
    } else {
        "a key is needed; send it as `Authorization: Bearer KEY` or `x-api-key: KEY`"
    };
    Err(failure::error(ErrorKind::Unauthenticated, message))
}

/// Keys in the places where each API's clients put them.
fn sent_keys(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let plain = ["x-api-key", "api-key"]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .filter_map(|value| Some(value.to_str().ok()?.trim()));
    bearer.chain(plain).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_found_where_clients_put_them() {
        for (name, value, expected) in [
            ("authorization", "Bearer k1", Some("k1")),
            ("authorization", "bearer  k1 ", Some("k1")),
            ("x-api-key", "k1", Some("k1")),
            ("api-key", " k1", Some("k1")),
            ("authorization", "Basic k1", None),
            ("authorization", "k1", None),
            ("authorization", "Bearer ", None),
            ("x-api-key", "", None),
            ("cookie", "k1", None),
        ] {
            let mut headers = HeaderMap::new();
            let name = http::HeaderName::from_static(name);
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            assert_eq!(sent_keys(&headers).next(), expected, "{value:?}");
        }
    }
}
