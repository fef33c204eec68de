//! [`knock`]: why a peer that was named is not part of the cluster.
//!
//! Zenoh tries again for ever and says nothing. This calls at the peer's address once, with a TLS
//! handshake of its own, and tells from the answer what stands there.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::secret::{Credentials, NODE_NAME};

/// Longest wait for each answer of the peer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What stands at a peer's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Knock {
    /// A node that shares this one's secret, or needs none as this one.
    Open,
    /// A node with another secret than this one's.
    OtherSecret,
    /// A node with a secret; this one has none.
    Closed,
    /// Something that does not encrypt, although this node's cluster does.
    Clear,
    /// Nothing answers.
    Unreachable(String),
}

impl fmt::Display for Knock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str(
                "it answers and is not in this cluster; does it belong to one of another name?",
            ),
            Self::OtherSecret => f.write_str(
                "it has another cluster secret than this node, or a cluster of another name; `atoll \
                 cluster token` there and `atoll cluster join` here give both the same",
            ),
            Self::Closed => f.write_str(
                "it lets in only nodes with its cluster secret, and this node has none; `atoll cluster \
                 token` there and `atoll cluster join` here give it one",
            ),
            Self::Clear => f.write_str(
                "it does not encrypt, so it has no cluster secret and this node has one; nothing is said \
                 to it",
            ),
            Self::Unreachable(reason) => write!(f, "it cannot be reached: {reason}"),
        }
    }
}

/// Looks what is at `address` (`tcp/host:port` or `tls/host:port`). Blocks for some seconds at most.
pub(super) fn knock(address: &str, credentials: Option<&Credentials>) -> Knock {
    let host = address.split_once('/').map_or(address, |(_, host)| host);
    let stream = match connect(host) {
        Ok(stream) => stream,
        Err(error) => return Knock::Unreachable(error.to_string()),
    };
    match (handshake(stream, credentials), credentials.is_some()) {
        (Ok(()), _) => Knock::Open,
        (Err(Refusal::Tls), true) => Knock::OtherSecret,
        (Err(Refusal::Tls), false) => Knock::Closed,
        (Err(Refusal::NotTls), true) => Knock::Clear,
        // Neither encrypts.
        (Err(Refusal::NotTls), false) => Knock::Open,
        (Err(Refusal::Other(reason)), _) => Knock::Unreachable(reason),
    }
}

fn connect(host: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Why there was no handshake.
enum Refusal {
    /// It speaks TLS, of another authority.
    Tls,
    /// It does not speak TLS.
    NotTls,
    /// This end could not even try.
    Other(String),
}

impl From<rustls::Error> for Refusal {
    fn from(error: rustls::Error) -> Self {
        Self::Other(error.to_string())
    }
}

fn handshake(mut stream: TcpStream, credentials: Option<&Credentials>) -> Result<(), Refusal> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    // Only the cluster's own authority is believed here; without a secret, none.
    let mut roots = RootCertStore::empty();
    if let Some(credentials) = credentials {
        roots.add(credentials.authority.der().clone())?;
    }
    let builder = builder.with_root_certificates(roots);
    let config = match credentials {
        Some(credentials) => {
            let key = PrivatePkcs8KeyDer::from(credentials.key.serialize_der());
            builder
                .with_client_auth_cert(vec![credentials.certificate.der().clone()], key.into())?
        }
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from(NODE_NAME).map_err(|e| Refusal::Other(e.to_string()))?;
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(refusal)?;
    }
    Ok(())
}

fn refusal(error: io::Error) -> Refusal {
    let tls = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidMessage(_)) => Refusal::NotTls,
        Some(_) => Refusal::Tls,
        // It closed the connection, or waits for more: our greeting was none to it.
        None => Refusal::NotTls,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::identity::ClusterName;
    use crate::transport::ClusterSecret;

    fn credentials(text: &str) -> Credentials {
        let secret = ClusterSecret::new(text, &ClusterName::default()).unwrap();
        secret.credentials().unwrap()
    }

    /// Something that says this to the first caller.
    fn speaker(words: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut caller, _) = listener.accept().unwrap();
            let mut heard = [0; 16];
            caller.read_exact(&mut heard).unwrap();
            caller.write_all(words).unwrap();
        });
        format!("tcp/{address}")
    }

    #[test]
    fn something_without_tls_is_told_from_nothing() {
        let ours = credentials("0123456789abcdef");
        assert_eq!(
            knock(&speaker(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Some(&ours)),
            Knock::Clear
        );
        assert_eq!(knock(&speaker(b""), None), Knock::Open);
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let refused = knock(&format!("tls/{closed}"), Some(&ours));
        assert!(matches!(refused, Knock::Unreachable(_)), "{refused:?}");
        let unknown = knock("tcp/does-not-exist.invalid:1", None);
        assert!(matches!(unknown, Knock::Unreachable(_)), "{unknown:?}");
    }
}
