//! Checks what a dialect wants to send to a client.
//!
//! A plugin chooses status and headers, the host frames the message. So what frames it (lengths,
//! transfer codings, connection options) and what guards browsers (CORS) is refused, and so is anything
//! that could end a header early and begin another.

use http::header::HeaderName;

use crate::error::Breach;
use crate::types::ResponseHead;

/// Headers an answer may have.
const MAX_HEADERS: usize = 64;
/// Bytes of all names and values together: what common proxies accept.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// The host's own: framing, connection options, `date`.
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "server",
];

/// Whether this head may go out; else which rule it breaks, in words.
pub(crate) fn check(head: &ResponseHead) -> Result<(), (Breach, String)> {
    if !(200..=599).contains(&head.status) {
        return Err((Breach::Status, format!("status {}", head.status)));
    }
    if head.headers.len() > MAX_HEADERS {
        return Err((
            Breach::Header,
            format!(
                "{} headers where {MAX_HEADERS} are allowed",
                head.headers.len()
            ),
        ));
    }
    let mut bytes = 0usize;
    for header in &head.headers {
        bytes = bytes
            .saturating_add(header.name.len())
            .saturating_add(header.value.len());
        if bytes > MAX_HEADER_BYTES {
            return Err((
                Breach::Header,
                format!("headers larger than {MAX_HEADER_BYTES} bytes"),
            ));
        }
        let name = &header.name;
        let well_formed =
            HeaderName::from_bytes(name.as_bytes()).is_ok_and(|parsed| parsed.as_str() == name);
        if !well_formed {
            return Err((
                Breach::Header,
                format!("header name {:?} is not a lower-case token", shorten(name)),
            ));
        }
        if RESERVED.contains(&name.as_str()) || name.starts_with("access-control-") {
            return Err((
                Breach::Header,
                format!("header {name:?} is the host's to set"),
            ));
        }
        if !header
            .value
            .bytes()
            .all(|b| b == b'\t' || (0x20..0x7f).contains(&b))
        {
            return Err((
                Breach::Header,
                format!("header {name:?} has a value with control characters or non-ASCII text"),
            ));
        }
    }
    Ok(())
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Header;

    fn verdict(status: u16, headers: &[(&str, &str)]) -> Option<Breach> {
        let headers = headers
            .iter()
            .map(|(n, v)| Header {
                name: (*n).into(),
                value: (*v).into(),
            })
            .collect();
        check(&ResponseHead { status, headers })
            .err()
            .map(|(breach, _)| breach)
    }

    #[test]
    fn the_host_frames_the_message() {
        assert_eq!(
            verdict(
                200,
                &[("content-type", "text/event-stream"), ("x-note", "a\tb")]
            ),
            None
        );
        for status in [0, 100, 199, 600, 65535] {
            assert_eq!(verdict(status, &[]), Some(Breach::Status), "{status}");
        }
        for (name, value) in [
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("access-control-allow-origin", "*"),
            ("Content-Type", "text/plain"),
            ("x y", "1"),
            ("", "1"),
            ("x-split", "a\r\nset-cookie: b"),
            ("x-split", "a\nb"),
            ("x-nul", "a\0b"),
            ("x-accent", "é"),
            ("x-in-name\r\n", "1"),
        ] {
            assert_eq!(
                verdict(200, &[(name, value)]),
                Some(Breach::Header),
                "{name:?}: {value:?}"
            );
        }
        assert_eq!(verdict(200, &vec![("x", "1"); 65]), Some(Breach::Header));
        assert_eq!(
            verdict(200, &[("x", "1".repeat(17_000).as_str())]),
            Some(Breach::Header)
        );
    }
}
