//! Checks what a dialect wants to send to a client.
//!
//! A plugin chooses status and headers, the host frames the message. So what frames it (lengths,
//! transfer codings, connection options), what guards browsers (CORS) and what would stay with a browser
//! or send a client elsewhere is refused, and so is anything that could end a header early and begin
//! another.

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

/// What outlives the answer in a browser, or acts on more than it. Cookies and storage are by host name,
/// whatever the port: one plugin's would reach every service of this machine, and lock its user out of
/// them. The others move later requests elsewhere, or tell somebody else of them.
const OUTLIVING: [&str; 13] = [
    "alt-svc",
    "clear-site-data",
    "nel",
    "public-key-pins",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "speculation-rules",
    "strict-transport-security",
    "timing-allow-origin",
];

/// The host's own remarks to clients.
const REMARKS: &str = "x-atoll-";

/// Whether a redirect stays on this host. Clients send what they sent here to wherever it leads, keys in
/// headers of their API's own included, which no plugin gets to see otherwise.
fn stays_here(location: &str) -> bool {
    // Browsers read a backslash as a slash and skip tabs.
    let plain = !location.contains(['\\', '\t']);
    plain && location.starts_with('/') && !location.starts_with("//")
}

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
        if RESERVED.contains(&name.as_str())
            || name.starts_with("access-control-")
            || name.starts_with(REMARKS)
        {
            return Err((
                Breach::Header,
                format!("header {name:?} is the host's to set"),
            ));
        }
        if OUTLIVING.contains(&name.as_str()) {
            let message = format!("header {name:?} acts on more than this answer");
            return Err((Breach::Header, message));
        }
        if name == "location" && !stays_here(&header.value) {
            let message = "header \"location\" leads to another host; begin it with one slash";
            return Err((Breach::Header, message.to_owned()));
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

    /// Cookies of `localhost` reach every service of this machine that a browser speaks to.
    #[test]
    fn an_answer_leaves_nothing_behind_in_a_browser() {
        for (name, value) in [
            ("set-cookie", "session=stolen; path=/"),
            ("clear-site-data", "\"*\""),
            (
                "strict-transport-security",
                "max-age=31536000; includeSubDomains",
            ),
            ("alt-svc", "h2=\"evil.example:443\""),
            ("service-worker-allowed", "/"),
            ("refresh", "0;url=https://evil.example/"),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("x-atoll-ignored", "nothing"),
        ] {
            assert_eq!(
                verdict(200, &[(name, value)]),
                Some(Breach::Header),
                "{name}"
            );
        }
        assert_eq!(
            verdict(200, &[("cache-control", "no-store"), ("etag", "x")]),
            None
        );
    }

    /// Official clients follow redirects, and send their keys along in headers that are no `Authorization`.
    #[test]
    fn a_client_is_not_sent_to_another_host() {
        for location in ["/v2/chat", "/", "/a?b=//c"] {
            assert_eq!(verdict(307, &[("location", location)]), None, "{location}");
        }
        for location in [
            "https://evil.example/",
            "HTTPS:evil.example",
            "//evil.example/",
            "/\\evil.example/",
            "\\\\evil.example",
            "/\t/evil.example",
            " //evil.example",
            "evil",
            "",
        ] {
            assert_eq!(
                verdict(307, &[("location", location)]),
                Some(Breach::Header),
                "{location:?}"
            );
        }
    }
}
