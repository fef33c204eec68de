//! Zenoh, narrowed to what a cluster uses.
//!
//! One session in peer mode: nodes connect to each other directly, over TCP, and every key is below
//! the cluster's name. Of Zenoh's many ways this uses four: liveliness tokens (who is there), last
//! values (what they are), queries (one question, one answer), and, for a pipeline, publications that
//! block rather than drop and are sent at once rather than batched.
//!
//! Nothing here changes the system's network settings, and nothing opens a socket before
//! [`Transport::open`].

mod secret;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zenoh::Wait as _;
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::{Publisher, Subscriber};
use zenoh::qos::{CongestionControl, Priority};
use zenoh::query::{Query, Queryable};
use zenoh::sample::{Sample, SampleKind};

pub use secret::ClusterSecret;

use crate::error::ClusterError;
use crate::identity::{ClusterName, NodeId};
use crate::link::{ChannelSender, FrameSender};
use crate::sessions::Post;

/// How a node is reached and finds others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where it listens, as `tcp/host:port`; port 0 takes a free one.
    pub listen: Vec<String>,
    /// Nodes it always tries to reach, as `tcp/host:port`.
    pub peers: Vec<String>,
    /// Whether it looks for nodes by multicast, and answers those who look.
    pub multicast: bool,
    /// A connection without a sign of life for so long is closed, and the node behind it is lost.
    pub lease: Duration,
    /// Only nodes that have it are let in, and everything between them is encrypted.
    pub secret: Option<ClusterSecret>,
}

impl Network {
    /// Any interface, any port, found by multicast.
    #[must_use]
    pub fn automatic() -> Self {
        Self {
            listen: vec!["tcp/[::]:0".to_owned()],
            peers: Vec::new(),
            multicast: true,
            lease: Duration::from_secs(2),
            secret: None,
        }
    }

    /// This machine only: nothing leaves it, and nobody is looked for.
    #[must_use]
    pub fn loopback() -> Self {
        Self {
            listen: vec!["tcp/127.0.0.1:0".to_owned()],
            multicast: false,
            ..Self::automatic()
        }
    }

    /// The same addresses over TLS, if there is a secret.
    fn over_tls(&mut self) {
        if self.secret.is_some() {
            for address in self.listen.iter_mut().chain(&mut self.peers) {
                if let Some(rest) = address.strip_prefix("tcp/") {
                    *address = format!("tls/{rest}");
                }
            }
        }
    }

    fn config(&self, cluster: &ClusterName) -> Result<zenoh::Config, zenoh::Error> {
        let text = |value: &dyn fmt::Debug| format!("{value:?}");
        let lease = self.lease.as_millis();
        let mut config = zenoh::Config::default();
        for (key, value) in [
            ("mode", "\"peer\"".to_owned()),
            ("listen/endpoints", text(&self.listen)),
            ("connect/endpoints", text(&self.peers)),
            // Peers that are not there yet are tried again, for ever, beside everything else.
            ("connect/timeout_ms", "-1".to_owned()),
            ("connect/exit_on_failure", "false".to_owned()),
            (
                "connect/retry",
                "{ period_init_ms: 200, period_max_ms: 2000 }".to_owned(),
            ),
            ("scouting/multicast/enabled", self.multicast.to_string()),
            (
                "scouting/multicast/address",
                text(&multicast_address(cluster, self.secret.as_ref())),
            ),
            ("scouting/gossip/enabled", "true".to_owned()),
            ("open/return_conditions/connect_scouted", "false".to_owned()),
            ("transport/link/tx/lease", lease.to_string()),
            // Someone who takes nothing for that long is cut off; nobody waits longer to be heard.
            (
                "transport/link/tx/queue/congestion_control/block/wait_before_close",
                (lease * 1000).to_string(),
            ),
            (
                "transport/link/rx/max_message_size",
                MAX_MESSAGE.to_string(),
            ),
        ] {
            config.insert_json5(key, &value)?;
        }
        // Only what was chosen is spoken: a node with a secret has no way in without TLS.
        let protocol = if self.secret.is_some() { "tls" } else { "tcp" };
        config.insert_json5("transport/link/protocols", &text(&[protocol]))?;
        Ok(config)
    }
}

/// The certificates of a node, for mutual TLS.
fn use_certificates(
    config: &mut zenoh::Config,
    credentials: &secret::Credentials,
) -> Result<(), zenoh::Error> {
    let text = |value: &str| format!("{value:?}");
    for (key, value) in [
        ("root_ca_certificate_base64", text(&credentials.authority)),
        ("listen_certificate_base64", text(&credentials.certificate)),
        ("listen_private_key_base64", text(&credentials.key)),
        ("connect_certificate_base64", text(&credentials.certificate)),
        ("connect_private_key_base64", text(&credentials.key)),
        ("enable_mtls", "true".to_owned()),
        // Who has a certificate of this authority is a node, wherever it is.
        ("verify_name_on_connect", "false".to_owned()),
    ] {
        config.insert_json5(&format!("transport/link/tls/{key}"), &value)?;
    }
    Ok(())
}

/// Largest message taken from another node. A step of 4096 tokens of a model 16384 wide has 256 MiB
/// of hidden states in `f32`.
const MAX_MESSAGE: usize = 512 << 20;

/// The multicast group in which a cluster's nodes look for each other: of its own, so that neither
/// other clusters nor other programs that use Zenoh are bothered. One with a secret looks elsewhere than
/// one of the same name without.
fn multicast_address(cluster: &ClusterName, secret: Option<&ClusterSecret>) -> String {
    // FNV-1a; only has to spread names over ports.
    let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = cluster.as_str().bytes().fold(0x811c_9dc5, fold);
    let hash = hash ^ secret.map_or(0, ClusterSecret::salt);
    // 224.0.0.0/24 stays on the link; these ports are registered to nobody.
    let group = Ipv4Addr::new(224, 0, 0, 225);
    format!("{group}:{}", 27_000 + hash % 1000)
}

/// `tcp/host:0` with a port that is free now, so that people and other nodes can be told; Zenoh would
/// take one and keep it to itself. On a machine without IPv6, `[::]` becomes its IPv4 equivalent.
fn with_port(address: &str) -> std::io::Result<String> {
    let parsed = address
        .split_once('/')
        .filter(|(protocol, _)| ["tcp", "tls"].contains(protocol))
        .and_then(|(protocol, socket)| Some((protocol, socket.parse::<SocketAddr>().ok()?)))
        .filter(|(_, socket)| socket.port() == 0);
    let Some((protocol, mut socket)) = parsed else {
        return Ok(address.to_owned());
    };
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let listener = match TcpListener::bind(socket) {
        Err(_) if socket.ip().is_unspecified() && socket.is_ipv6() => {
            socket = any;
            TcpListener::bind(any)?
        }
        bound => bound?,
    };
    socket.set_port(listener.local_addr()?.port());
    Ok(format!("{protocol}/{socket}"))
}

/// A session of one node in one cluster.
#[derive(Clone)]
pub struct Transport {
    session: zenoh::Session,
    prefix: Arc<str>,
    listen: Arc<[String]>,
}

impl Transport {
    /// Opens the sockets.
    ///
    /// # Errors
    /// [`ClusterError::Transport`]: an address that cannot be used.
    pub async fn open(
        cluster: &ClusterName,
        network: &Network,
        node: NodeId,
    ) -> Result<Self, ClusterError> {
        let fault = |error: zenoh::Error| ClusterError::Transport {
            what: format!("joining cluster {cluster}"),
            reason: error.to_string(),
        };
        let mut network = network.clone();
        network.over_tls();
        for address in &mut network.listen {
            *address = with_port(address).map_err(|error| ClusterError::Transport {
                what: format!("listening on {address}"),
                reason: error.to_string(),
            })?;
        }
        let mut config = network.config(cluster).map_err(fault)?;
        if let Some(secret) = &network.secret {
            use_certificates(&mut config, &secret.credentials(node)?).map_err(fault)?;
        }
        let session = zenoh::open(config).await.map_err(fault)?;
        Ok(Self {
            session,
            listen: network.listen.into(),
            prefix: format!("atoll/{cluster}").into(),
        })
    }

    /// Addresses this node listens on, as others write them after `--peer` (but for an unspecified
    /// host, which is any of this machine's).
    #[must_use]
    pub fn locators(&self) -> &[String] {
        &self.listen
    }

    /// Leaves: everybody learns at once.
    pub async fn close(&self) {
        if let Err(error) = self.session.close().await {
            tracing::debug!(%error, "the session was not closed in order");
        }
    }

    fn key(&self, path: fmt::Arguments<'_>) -> String {
        format!("{}/{path}", self.prefix)
    }

    /// Tells everybody that `node` is there, for as long as the token lives.
    pub(crate) async fn announce(&self, node: NodeId) -> Result<LivelinessToken, ClusterError> {
        let key = self.key(format_args!("alive/{node}"));
        let token = self.session.liveliness().declare_token(key).await;
        token.map_err(transport("announcing this node"))
    }

    /// Calls `seen` with every node that comes (`true`) or goes, those included that are there.
    pub(crate) async fn watch(
        &self,
        seen: impl Fn(NodeId, bool) + Send + Sync + 'static,
    ) -> Result<Subscriber<()>, ClusterError> {
        let key = self.key(format_args!("alive/*"));
        let liveliness = self.session.liveliness();
        let watch = liveliness.declare_subscriber(key).history(true);
        let callback = move |sample: Sample| {
            if let Some(node) = last_part(sample.key_expr().as_str()) {
                seen(node, sample.kind() == SampleKind::Put);
            }
        };
        watch
            .callback(callback)
            .await
            .map_err(transport("watching for nodes"))
    }

    /// Publishes what `node` is.
    pub(crate) async fn publish_facts(
        &self,
        node: NodeId,
        facts: Vec<u8>,
    ) -> Result<(), ClusterError> {
        let key = self.key(format_args!("node/{node}"));
        let put = self
            .session
            .put(key, facts)
            .congestion_control(CongestionControl::Drop);
        put.await.map_err(transport("publishing this node's facts"))
    }

    /// Calls `heard` with what every node says it is.
    pub(crate) async fn listen_facts(
        &self,
        heard: impl Fn(NodeId, &[u8]) + Send + Sync + 'static,
    ) -> Result<Subscriber<()>, ClusterError> {
        let key = self.key(format_args!("node/*"));
        let callback = move |sample: Sample| {
            if let Some(node) = last_part(sample.key_expr().as_str()) {
                heard(node, &sample.payload().to_bytes());
            }
        };
        let subscriber = self.session.declare_subscriber(key).callback(callback);
        subscriber.await.map_err(transport("listening to nodes"))
    }

    /// Tells all nodes which models should run.
    pub(crate) async fn publish_wishes(&self, map: Vec<u8>) -> Result<(), ClusterError> {
        let key = self.key(format_args!("wishes"));
        let put = self.session.put(key, map);
        let put = put.congestion_control(CongestionControl::Block);
        put.await
            .map_err(transport("publishing which models should run"))
    }

    /// Calls `heard` with every map that a node tells.
    pub(crate) async fn listen_wishes(
        &self,
        heard: impl Fn(&[u8]) + Send + Sync + 'static,
    ) -> Result<Subscriber<()>, ClusterError> {
        let key = self.key(format_args!("wishes"));
        let callback = move |sample: Sample| heard(&sample.payload().to_bytes());
        let subscriber = self.session.declare_subscriber(key).callback(callback);
        subscriber.await.map_err(transport("listening to nodes"))
    }

    /// Calls `asked` with every question to `node`. It runs on the transport's threads and must not
    /// wait.
    pub(crate) async fn answer(
        &self,
        node: NodeId,
        asked: impl Fn(Question) + Send + Sync + 'static,
    ) -> Result<Queryable<()>, ClusterError> {
        let key = self.key(format_args!("call/{node}"));
        let callback = move |query: Query| asked(Question(query));
        let queryable = self.session.declare_queryable(key).callback(callback);
        queryable.await.map_err(transport("answering calls"))
    }

    /// Asks `node` something.
    ///
    /// # Errors
    /// [`ClusterError::Unreachable`] if no answer comes within `timeout`.
    pub(crate) async fn ask(
        &self,
        node: NodeId,
        question: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>, ClusterError> {
        let unreachable = |reason: String| ClusterError::Unreachable {
            to: format!("node {node:?}"),
            reason,
        };
        let key = self.key(format_args!("call/{node}"));
        let get = self.session.get(key).payload(question).timeout(timeout);
        let get = get.congestion_control(CongestionControl::Block);
        let replies = get.await.map_err(|error| unreachable(error.to_string()))?;
        let reply = replies.recv_async().await;
        let reply = reply.map_err(|_| unreachable(format!("no answer within {timeout:?}")))?;
        match reply.result() {
            Ok(sample) => Ok(sample.payload().to_bytes().into_owned()),
            Err(error) => Err(unreachable(
                String::from_utf8_lossy(&error.payload().to_bytes()).into_owned(),
            )),
        }
    }

    /// Sends a frame of a session to `node`.
    async fn post(
        &self,
        node: NodeId,
        way: SessionWay,
        frame: Vec<u8>,
    ) -> Result<(), ClusterError> {
        let key = self.key(format_args!("{way}/{node}"));
        let put = self
            .session
            .put(key, frame)
            .congestion_control(CongestionControl::Block)
            .priority(Priority::InteractiveLow)
            .express(true);
        put.await.map_err(|error| ClusterError::Unreachable {
            to: format!("node {node:?}"),
            reason: error.to_string(),
        })
    }

    /// Calls `take`, which must not wait, with every frame of a session that comes to `node`.
    pub(crate) async fn sessions(
        &self,
        node: NodeId,
        way: SessionWay,
        take: impl Fn(Vec<u8>) + Send + Sync + 'static,
    ) -> Result<Subscriber<()>, ClusterError> {
        let key = self.key(format_args!("{way}/{node}"));
        let callback = move |sample: Sample| take(sample.payload().to_bytes().into_owned());
        let subscriber = self.session.declare_subscriber(key).callback(callback);
        subscriber
            .await
            .map_err(transport("listening for requests"))
    }

    /// The sending end of a link of a pipeline.
    pub(crate) async fn sender(&self, link: &LinkName) -> Result<LinkSender, ClusterError> {
        let key = self.key(format_args!("{link}"));
        let publisher = self.session.declare_publisher(key);
        let publisher = publisher
            .congestion_control(CongestionControl::Block)
            .priority(Priority::InteractiveHigh)
            .express(true);
        let publisher = publisher.await.map_err(transport("opening a link"))?;
        Ok(LinkSender {
            to: link.to_string(),
            publisher,
        })
    }

    /// The receiving end of a link: frames go into `queue` until it is full or closed.
    pub(crate) async fn receiver(
        &self,
        link: &LinkName,
        queue: ChannelSender,
    ) -> Result<Subscriber<()>, ClusterError> {
        let queue = Mutex::new(Some(queue));
        self.receiver_with(link, move |frame| {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = queue.as_ref().map(|queue| queue.send(frame));
            if let Some(Err(error)) = sent {
                // Dropping it tells the receiver.
                *queue = None;
                tracing::warn!(%error, "a link is closed");
            }
        })
        .await
    }

    /// As [`receiver`](Self::receiver), with a function that must not wait.
    pub(crate) async fn receiver_with(
        &self,
        link: &LinkName,
        take: impl Fn(Vec<u8>) + Send + Sync + 'static,
    ) -> Result<Subscriber<()>, ClusterError> {
        let key = self.key(format_args!("{link}"));
        let callback = move |sample: Sample| take(sample.payload().to_bytes().into_owned());
        let subscriber = self.session.declare_subscriber(key).callback(callback);
        subscriber.await.map_err(transport("opening a link"))
    }
}

fn transport(what: &'static str) -> impl Fn(zenoh::Error) -> ClusterError {
    move |error| ClusterError::Transport {
        what: what.to_owned(),
        reason: error.to_string(),
    }
}

fn last_part(key: &str) -> Option<NodeId> {
    key.rsplit('/').next()?.parse().ok()
}

/// Which way a session's frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionWay {
    /// To the node that answers.
    Ask,
    /// To the node that asked.
    Tell,
}

impl fmt::Display for SessionWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ask => "ask",
            Self::Tell => "tell",
        })
    }
}

impl Post for Transport {
    async fn up(&self, to: NodeId, frame: Vec<u8>) -> Result<(), ClusterError> {
        self.post(to, SessionWay::Ask, frame).await
    }

    async fn down(&self, to: NodeId, frame: Vec<u8>) -> Result<(), ClusterError> {
        self.post(to, SessionWay::Tell, frame).await
    }
}

/// A link of a pipeline, by name. The epoch is part of it: links of different plans never meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkName {
    pub instance: uuid::Uuid,
    pub epoch: u64,
    pub to: LinkEnd,
}

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// Commands to this stage.
    Commands(u32),
    /// Hidden states to this stage.
    Hidden(u32),
    /// Replies to the coordinator.
    Coordinator,
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link/{}/{}/", self.instance.simple(), self.epoch)?;
        match self.to {
            LinkEnd::Commands(stage) => write!(f, "commands/{stage}"),
            LinkEnd::Hidden(stage) => write!(f, "hidden/{stage}"),
            LinkEnd::Coordinator => f.write_str("replies"),
        }
    }
}

/// The sending end of a link between nodes.
pub(crate) struct LinkSender {
    to: String,
    publisher: Publisher<'static>,
}

impl LinkSender {
    /// Waits until somebody listens at the other end.
    ///
    /// # Errors
    /// [`ClusterError::Unreachable`] after `timeout`.
    pub async fn connected(&self, timeout: Duration) -> Result<(), ClusterError> {
        let started = Instant::now();
        loop {
            let status = self.publisher.matching_status().await;
            if status.map_err(transport("opening a link"))?.matching() {
                return Ok(());
            }
            if started.elapsed() > timeout {
                return Err(ClusterError::Unreachable {
                    to: self.to.clone(),
                    reason: format!("nobody listens after {timeout:?}"),
                });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl FrameSender for LinkSender {
    fn send(&self, frame: Vec<u8>) -> Result<(), ClusterError> {
        let sent = self.publisher.put(frame).wait();
        sent.map_err(|error| ClusterError::Unreachable {
            to: self.to.clone(),
            reason: error.to_string(),
        })
    }
}

/// A question from another node.
pub(crate) struct Question(Query);

impl Question {
    /// What is asked.
    pub fn payload(&self) -> Vec<u8> {
        let payload = self.0.payload();
        payload
            .map(|bytes| bytes.to_bytes().into_owned())
            .unwrap_or_default()
    }

    /// Answers. May wait for the transport.
    pub fn reply(self, answer: Vec<u8>) {
        let key = self.0.key_expr().clone();
        if let Err(error) = self.0.reply(key, answer).wait() {
            tracing::debug!(%error, "an answer was not sent");
        }
    }
}
