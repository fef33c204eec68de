//! Zenoh, narrowed to what a cluster uses.
//!
//! One session in peer mode: nodes connect to each other directly, over TCP or, in a cluster with a
//! secret, over TLS and nothing else ([`ClusterSecret`]), and every key is below the cluster's name. Of Zenoh's many ways this uses four: liveliness tokens (who is there), last
//! values (what they are), queries (one question, one answer), and, for a pipeline, publications that
//! block rather than drop and are sent at once rather than batched.
//!
//! Nothing here changes the system's network settings, and nothing opens a socket before
//! [`Transport::open`].

mod knock;
mod link;
mod network;
mod secret;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zenoh::Wait as _;
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Subscriber;
use zenoh::qos::{CongestionControl, Priority};
use zenoh::query::{Query, Queryable};
use zenoh::sample::{Sample, SampleKind};

pub(crate) use knock::Knock;
pub(crate) use link::{LinkEnd, LinkName, LinkSender};
pub use network::Network;
pub use secret::ClusterSecret;

use crate::error::ClusterError;
use crate::identity::{ClusterName, NodeId};
use crate::link::{ChannelSender, FrameSender as _};
use crate::sessions::Post;
use secret::Credentials;

/// A session of one node in one cluster.
#[derive(Clone)]
pub struct Transport {
    session: zenoh::Session,
    prefix: Arc<str>,
    listen: Arc<[String]>,
    peers: Arc<[String]>,
    credentials: Option<Arc<Credentials>>,
}

impl Transport {
    /// Opens the sockets.
    ///
    /// # Errors
    /// [`ClusterError::Transport`]: an address that cannot be used.
    pub async fn open(cluster: &ClusterName, network: &Network) -> Result<Self, ClusterError> {
        let credentials = match &network.secret {
            Some(secret) => Some(Arc::new(secret.credentials()?)),
            None => None,
        };
        let network = network.clone().settled()?;
        Self::open_as(cluster, network, credentials).await
    }

    async fn open_as(
        cluster: &ClusterName,
        network: Network,
        credentials: Option<Arc<Credentials>>,
    ) -> Result<Self, ClusterError> {
        let fault = |error: zenoh::Error| ClusterError::Transport {
            what: format!("joining cluster {cluster}"),
            reason: error.to_string(),
        };
        let config = network.config(cluster, credentials.as_deref());
        let session = zenoh::open(config.map_err(fault)?).await.map_err(fault)?;
        Ok(Self {
            session,
            listen: network.listen.into(),
            peers: network.peers.into(),
            credentials,
            prefix: format!("atoll/{cluster}").into(),
        })
    }

    /// Whether everything between nodes is encrypted, and only those with the secret are let in.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.credentials.is_some()
    }

    /// The nodes that it always tries to reach.
    pub(crate) fn peers(&self) -> &[String] {
        &self.peers
    }

    /// Looks what stands at the address of a peer that is not here.
    pub(crate) async fn knock(&self, peer: &str) -> Knock {
        let (peer, credentials) = (peer.to_owned(), self.credentials.clone());
        let knocking = move || knock::knock(&peer, credentials.as_deref());
        let knocked = tokio::task::spawn_blocking(knocking).await;
        knocked.unwrap_or_else(|error| Knock::Unreachable(error.to_string()))
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
            .congestion_control(CongestionControl::Block);
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Whether a node with a certificate of this name hears and is heard by a member.
    async fn is_let_in(member: Option<&str>) -> bool {
        let name = ClusterName::default();
        let secret = ClusterSecret::new("0123456789abcdef", &name).unwrap();
        let network = Network {
            secret: Some(secret.clone()),
            ..Network::loopback()
        };
        let inside = Transport::open(&name, &network).await.unwrap();
        let network = Network {
            peers: inside.locators().to_vec(),
            ..network
        };
        let shown = member.map_or(secret.member(), str::to_owned);
        let credentials = Arc::new(secret.credentials_of(&shown).unwrap());
        let network = network.settled().unwrap();
        let outside = Transport::open_as(&name, network, Some(credentials));
        let outside = outside.await.unwrap();
        // The link is there in both cases: its certificate is of the cluster's authority.
        let started = Instant::now();
        while outside.session.info().peers_zid().await.count() == 0 {
            assert!(started.elapsed() < Duration::from_secs(60), "no link");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let node = NodeId::random();
        let answer = |question: Question| question.reply(b"yes".to_vec());
        let _answering = inside.answer(node, answer).await.unwrap();
        let asked = async {
            let patience = Duration::from_millis(200);
            for _ in 0..25 {
                let answer = outside.ask(node, b"in?".to_vec(), patience).await;
                if answer.is_ok() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            false
        };
        let heard = asked.await;
        outside.close().await;
        inside.close().await;
        heard
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn only_the_name_that_the_secret_gives_is_a_member() {
        assert!(is_let_in(None).await);
        // What an authority of the public web would at most have signed.
        assert!(!is_let_in(Some("www.example.com")).await);
    }
}
