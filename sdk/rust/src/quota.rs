//! What is left of the caller's quotas, for the headers in which each API says it.
//!
//! The host knows whose key a request carries and what is left of it; a dialect knows how its API
//! spells that. The host puts it into [`HttpRequest::ext`] of requests whose key has limits.

use serde::Deserialize;

use crate::types::HttpRequest;

/// The limits of the caller's key; none where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct RateLimits {
    /// Requests in a minute.
    #[serde(default)]
    pub requests: Option<RateLimit>,
    /// Tokens of prompts and answers in a minute.
    #[serde(default)]
    pub tokens: Option<RateLimit>,
}

/// One limit, as it stood when the request began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RateLimit {
    /// In a minute.
    pub limit: u64,
    /// Left.
    pub remaining: u64,
    /// Milliseconds until all of it is back.
    pub reset_ms: u64,
}

impl RateLimits {
    /// What the host says about this request's key.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        #[derive(Deserialize)]
        struct Ext {
            #[serde(default)]
            rate_limits: RateLimits,
        }
        let ext = request.ext.as_deref().map(serde_json::from_str::<Ext>);
        match ext {
            Some(Ok(ext)) => ext.rate_limits,
            // Nothing said, or by a host of another time: then there is nothing to tell.
            _ => Self::default(),
        }
    }

    /// The limits there are, with the name most APIs have for each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, RateLimit)> {
        let named = [("requests", self.requests), ("tokens", self.tokens)];
        named
            .into_iter()
            .filter_map(|(name, limit)| Some((name, limit?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ext: Option<&str>) -> HttpRequest {
        HttpRequest {
            id: String::new(),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            path_params: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            received_at: 0,
            ext: ext.map(str::to_owned),
        }
    }

    #[test]
    fn limits_are_read_and_anything_else_is_none() {
        let said = r#"{"rate_limits": {"tokens": {"limit": 9, "remaining": 2, "reset_ms": 500}}}"#;
        let limits = RateLimits::of(&request(Some(said)));
        let tokens = RateLimit {
            limit: 9,
            remaining: 2,
            reset_ms: 500,
        };
        assert_eq!(limits.iter().collect::<Vec<_>>(), [("tokens", tokens)]);
        for other in [
            None,
            Some("{}"),
            Some("nonsense"),
            Some("{\"rate_limits\": 1}"),
        ] {
            assert_eq!(RateLimits::of(&request(other)), RateLimits::default());
        }
    }
}
