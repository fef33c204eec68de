//! What is left of a key's limits, in the headers that OpenAI's API has for it.

use atoll_sdk::quota::RateLimits;
use atoll_sdk::types::{Header, HttpRequest};

/// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` for the limits of this request's key.
#[must_use]
pub fn headers(request: &HttpRequest) -> Vec<Header> {
    let mut headers = Vec::new();
    for (name, limit) in RateLimits::of(request).iter() {
        for (what, value) in [
            ("limit", limit.limit.to_string()),
            ("remaining", limit.remaining.to_string()),
            ("reset", duration(limit.reset_ms)),
        ] {
            headers.push(Header::new(format!("x-ratelimit-{what}-{name}"), value));
        }
    }
    headers
}

/// As the API spells it: `6m0s`, `1s`, `12ms`.
fn duration(milliseconds: u64) -> String {
    let (minutes, rest) = (milliseconds / 60_000, milliseconds % 60_000);
    if milliseconds > 0 && milliseconds < 1000 {
        return format!("{milliseconds}ms");
    }
    let mut seconds = (rest / 1000).to_string();
    if rest % 1000 > 0 {
        let fraction = format!(".{:03}", rest % 1000);
        seconds.push_str(fraction.trim_end_matches('0'));
    }
    if minutes > 0 {
        format!("{minutes}m{seconds}s")
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_as_the_api_does() {
        for (milliseconds, text) in [
            (0, "0s"),
            (12, "12ms"),
            (1000, "1s"),
            (6500, "6.5s"),
            (60_000, "1m0s"),
            (360_020, "6m0.02s"),
        ] {
            assert_eq!(duration(milliseconds), text);
        }
    }
}
