//! Why a gateway cannot start. What goes wrong with single requests is in `failure`.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Any failure of this crate outside a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why, and what to do about it.
        reason: String,
        /// The system's own error.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to listen on.
    #[error("no address to listen on was given")]
    NoAddress,
    /// The file of keys cannot be used.
    #[error("the file of keys {path} cannot be used: {reason}", path = .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why, and what to do about it.
        reason: String,
    },
    /// A name that no key can have.
    #[error("{name:?} cannot be a key's name: use 1 to 64 of the characters A-Z a-z 0-9 - _ . @")]
    KeyName {
        /// The name.
        name: String,
    },
    /// A name that is taken.
    #[error("there is a key {name:?} already; revoke it first, or choose another name")]
    KeyExists {
        /// The name.
        name: String,
    },
    /// A key that does not exist.
    #[error("there is no key {name:?}; `atoll keys list` shows which there are")]
    NoKey {
        /// The name.
        name: String,
    },
}

impl GatewayError {
    /// A failed bind, with advice for the usual causes.
    pub(crate) fn bind(address: SocketAddr, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let reason = match source.kind() {
            ErrorKind::AddrInUse => {
                format!("another program uses port {}; stop it or choose another port", address.port())
            }
            ErrorKind::PermissionDenied => {
                "the system does not permit it; ports below 1024 need privileges, so choose a higher \
                 one"
                .to_owned()
            }
            ErrorKind::AddrNotAvailable => {
                format!("this machine has no address {}", address.ip())
            }
            _ => source.to_string(),
        };
        Self::Bind {
            address,
            reason,
            source,
        }
    }
}
