//! [`Network`]: how a node is reached and finds others, and what Zenoh is told of it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::secret::{ClusterSecret, Credentials};
use crate::error::ClusterError;
use crate::identity::ClusterName;

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
    /// Only nodes that have it are let in, and everything between them is encrypted: addresses are
    /// `tls/host:port` then, and written with `tcp/` they mean the same.
    pub secret: Option<ClusterSecret>,
}

/// Largest message taken from another node. A step of 4096 tokens of a model 16384 wide has 256 MiB
/// of hidden states in `f32`.
const MAX_MESSAGE: usize = 512 << 20;

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

    /// The same with every address in the protocol that is spoken, and every port chosen.
    pub(super) fn settled(mut self) -> Result<Self, ClusterError> {
        let protocol = self.protocol();
        for address in self.listen.iter_mut().chain(&mut self.peers) {
            *address = match address.split_once('/') {
                Some(("tcp", host)) => format!("{protocol}/{host}"),
                Some(("tls", _)) if protocol == "tls" => continue,
                _ => {
                    let reason = if address.starts_with("tls/") {
                        "it is encrypted, which needs a cluster secret"
                    } else {
                        "an address is written tcp/HOST:PORT"
                    };
                    return Err(ClusterError::Transport {
                        what: format!("the address {address}"),
                        reason: reason.to_owned(),
                    });
                }
            };
        }
        for address in &mut self.listen {
            *address = with_port(address).map_err(|error| ClusterError::Transport {
                what: format!("listening on {address}"),
                reason: error.to_string(),
            })?;
        }
        Ok(self)
    }

    fn protocol(&self) -> &'static str {
        if self.secret.is_some() { "tls" } else { "tcp" }
    }

    /// What Zenoh is told.
    pub(super) fn config(
        &self,
        cluster: &ClusterName,
        credentials: Option<&Credentials>,
    ) -> Result<zenoh::Config, zenoh::Error> {
        let text = |value: &dyn fmt::Debug| format!("{value:?}");
        let lease = self.lease.as_millis();
        let meeting = self.secret.as_ref().map_or(0, ClusterSecret::meeting);
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
                text(&multicast_address(cluster, meeting)),
            ),
            ("scouting/gossip/enabled", "true".to_owned()),
            ("open/return_conditions/connect_scouted", "false".to_owned()),
            // Nothing else is spoken, whatever an announcement offers: a cluster with a secret has no
            // way in or out without TLS.
            ("transport/link/protocols", text(&[self.protocol()])),
            ("transport/link/tx/lease", lease.to_string()),
            // Signs of life within a lease when there is nothing else to say. They are most of what an
            // idle cluster sends, nearly all of it headers, and leave as much room for one that is late
            // as pipelines do.
            ("transport/link/tx/keep_alive", "2".to_owned()),
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
        if let (Some(secret), Some(credentials)) = (&self.secret, credentials) {
            use_certificates(&mut config, credentials)?;
            let access = only_members(cluster, &secret.member());
            config.insert_json5("access_control", &access)?;
        }
        Ok(config)
    }
}

/// Mutual TLS with these certificates.
fn use_certificates(
    config: &mut zenoh::Config,
    credentials: &Credentials,
) -> Result<(), zenoh::Error> {
    let encoded = |pem: String| format!("{:?}", STANDARD.encode(pem));
    let certificate = encoded(credentials.certificate.pem());
    let key = encoded(credentials.key.serialize_pem());
    for (name, value) in [
        (
            "root_ca_certificate_base64",
            encoded(credentials.authority.pem()),
        ),
        ("listen_certificate_base64", certificate.clone()),
        ("listen_private_key_base64", key.clone()),
        ("connect_certificate_base64", certificate),
        ("connect_private_key_base64", key),
        ("enable_mtls", "true".to_owned()),
        // Nodes have addresses and no names. See `only_members` for what stands in for it.
        ("verify_name_on_connect", "false".to_owned()),
    ] {
        config.insert_json5(&format!("transport/link/tls/{name}"), &value)?;
    }
    Ok(())
}

/// Zenoh's access control: messages are exchanged only with nodes whose certificate carries the name
/// `member`, which only the cluster's authority signs. Without it a node that calls somebody with a
/// certificate of the public web would talk to them; see [`ClusterSecret`].
fn only_members(cluster: &ClusterName, member: &str) -> String {
    serde_json::json!({
        "enabled": true,
        "default_permission": "deny",
        "rules": [{
            "id": "cluster",
            "permission": "allow",
            "flows": ["egress", "ingress"],
            "key_exprs": [format!("atoll/{cluster}/**")],
            "messages": [
                "put", "delete", "declare_subscriber", "query", "reply", "declare_queryable",
                "liveliness_token", "liveliness_query", "declare_liveliness_subscriber",
            ],
        }],
        "subjects": [{ "id": "members", "cert_common_names": [member] }],
        "policies": [{ "rules": ["cluster"], "subjects": ["members"] }],
    })
    .to_string()
}

/// The multicast group in which a cluster's nodes look for each other: of its own, so that neither
/// other clusters nor other programs that use Zenoh are bothered. One with a secret looks elsewhere
/// than one of the same name without (`meeting`).
fn multicast_address(cluster: &ClusterName, meeting: u32) -> String {
    // FNV-1a; only has to spread names over ports.
    let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = cluster.as_str().bytes().fold(0x811c_9dc5, fold) ^ meeting;
    // 224.0.0.0/24 stays on the link; these ports are registered to nobody.
    let group = Ipv4Addr::new(224, 0, 0, 225);
    format!("{group}:{}", 27_000 + hash % 1000)
}

/// `tcp/host:0` with a port that is free now, so that people and other nodes can be told; Zenoh would
/// take one and keep it to itself. On a machine without IPv6, `[::]` becomes its IPv4 equivalent.
fn with_port(address: &str) -> std::io::Result<String> {
    let parsed = address
        .split_once('/')
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

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> ClusterSecret {
        ClusterSecret::new("0123456789abcdef", &ClusterName::default()).unwrap()
    }

    #[test]
    fn a_secret_leaves_no_address_in_the_clear() {
        let network = Network {
            peers: vec!["tcp/10.0.0.2:7447".to_owned(), "tls/10.0.0.3:1".to_owned()],
            secret: Some(secret()),
            ..Network::loopback()
        };
        let settled = network.clone().settled().unwrap();
        assert!(settled.listen[0].starts_with("tls/127.0.0.1:"));
        assert_ne!(settled.listen[0], "tls/127.0.0.1:0");
        assert_eq!(settled.peers, ["tls/10.0.0.2:7447", "tls/10.0.0.3:1"]);
        for bad in ["quic/10.0.0.2:1", "udp/10.0.0.2:1", "10.0.0.2:1"] {
            let network = Network {
                peers: vec![bad.to_owned()],
                ..network.clone()
            };
            assert!(network.settled().is_err(), "{bad}");
        }
        let without = Network {
            peers: vec!["tls/10.0.0.3:1".to_owned()],
            ..Network::loopback()
        };
        let refused = without.settled().unwrap_err().to_string();
        assert!(refused.contains("secret"), "{refused}");
    }

    #[test]
    fn zenoh_takes_what_it_is_told_and_its_settings_show_no_key() {
        let secret = secret();
        let credentials = secret.credentials().unwrap();
        let network = Network {
            secret: Some(secret.clone()),
            ..Network::loopback()
        };
        let settled = network.settled().unwrap();
        let config = settled
            .config(&ClusterName::default(), Some(&credentials))
            .unwrap();
        let told = |key: &str| config.get_json(key).unwrap();
        assert_eq!(told("transport/link/protocols"), "[\"tls\"]");
        assert_eq!(told("transport/link/tls/enable_mtls"), "true");
        assert_eq!(told("access_control/enabled"), "true");
        assert!(told("access_control/subjects").contains(&secret.member()));
        let shown = format!("{config:?}");
        let key = STANDARD.encode(credentials.key.serialize_pem());
        assert!(!shown.contains(&key), "{shown}");
    }

    #[test]
    fn clusters_with_and_without_a_secret_meet_elsewhere() {
        let name = ClusterName::default();
        let open = multicast_address(&name, 0);
        assert_eq!(open, multicast_address(&name, 0));
        assert_ne!(open, multicast_address(&name, 1));
        assert_ne!(open, multicast_address(&"lab".parse().unwrap(), 0));
    }
}
