//! What a gateway allows. Every limit has its reason beside it.

use std::time::Duration;

/// Limits on one request and on the process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Largest request body in bytes. A body is copied once into the dialect's memory, so this is
    /// also what one request may cost there; 32 MiB holds long conversations and a few pictures.
    pub max_body_bytes: usize,
    /// Largest request head in bytes; agents send long headers, browsers at most 8 KiB.
    pub max_head_bytes: usize,
    /// Most header lines.
    pub max_headers: usize,
    /// How long a client may take to send its head, and then its body (a slow sender holds a
    /// connection).
    pub read_timeout: Duration,
    /// Time from the request to the first token, with queueing and the model's load inside: beyond
    /// this the client gets `timeout`. Loading a large model from a slow disk takes minutes.
    pub first_token_timeout: Duration,
    /// How long a streamed answer waits for the engine before its head is sent anyway. Failures
    /// within this time are plain HTTP errors; later ones are the stream's last event. Shorter than
    /// the time after which clients and proxies grow nervous.
    pub head_after: Duration,
    /// Silence on a stream after which a progress event goes out. Clients with idle timers of a
    /// minute and proxies with half of that stay calm.
    pub keep_alive: Duration,
    /// Chunks of a stream that may wait for a slow client before generation waits too.
    pub stream_buffer: usize,
    /// Most answers of one request, over all its prompts.
    pub max_choices: u32,
    /// Most stop strings.
    pub max_stop_strings: usize,
    /// Longest stop string in bytes; text is held back by this much.
    pub max_stop_bytes: usize,
    /// How long an open socket may go without a message of its client. People think longer between two turns
    /// than any proxy waits, and what a socket remembers is gone with it.
    pub socket_idle: Duration,
    /// Silence on an open socket after which the client is asked whether it is there. After three such spans
    /// without a sign it is gone, and so is the answer it waits for.
    pub socket_ping: Duration,
    /// Most open connections; more wait to be accepted.
    pub max_connections: usize,
    /// On shutdown, how long answers under way may take to finish before they are cut off.
    pub drain_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 32 << 20,
            max_head_bytes: 64 << 10,
            max_headers: 100,
            read_timeout: Duration::from_secs(30),
            first_token_timeout: Duration::from_secs(600),
            head_after: Duration::from_secs(2),
            keep_alive: Duration::from_secs(5),
            stream_buffer: 16,
            max_choices: 128,
            max_stop_strings: 16,
            max_stop_bytes: 1024,
            socket_idle: Duration::from_secs(30 * 60),
            socket_ping: Duration::from_secs(20),
            max_connections: 1024,
            drain_grace: Duration::from_secs(30),
        }
    }
}

/// Who may talk to the gateway, from where, and under which names it answers.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Ask for a key on loopback too (a reverse proxy stands in front of it).
    pub require_key: bool,
    /// Ask for no key on other listeners either. The host's own routes still do.
    pub insecure: bool,
    /// Origins allowed by CORS, such as `https://chat.example.com`; `*` allows all. Empty: none, and
    /// requests from other sites' pages are refused.
    pub allowed_origins: Vec<String>,
    /// Host names (without port) that a loopback listener answers to beside `localhost` and loopback
    /// addresses. Anything else is refused there, so that a web page cannot reach the gateway by
    /// pointing its own name at 127.0.0.1 (DNS rebinding).
    pub allowed_hosts: Vec<String>,
}

/// What the gateway is set up with.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GatewayOptions {
    /// Limits on requests.
    pub limits: Limits,
    /// Keys, browsers and host names.
    pub access: Access,
    /// The product's version, for `/atoll/v1/version`.
    pub version: String,
}

impl GatewayOptions {
    /// Options with every limit at its default.
    #[must_use]
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            ..Self::default()
        }
    }
}
