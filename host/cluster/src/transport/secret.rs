//! [`ClusterSecret`]: nodes that share a secret, and nobody else.
//!
//! From the secret and the cluster's name every node derives the same key of a certificate authority
//! (PBKDF2-HMAC-SHA256, so that a weak secret costs who guesses it, then Ed25519), and with it signs a
//! certificate for itself each time it starts. Nothing is stored and nothing has to be handed out but
//! the secret. Nodes speak mutual TLS with these certificates: one without the secret is refused in the
//! handshake, in either direction, before it has said or heard anything, and everything between nodes
//! is encrypted. Addresses do not matter to it, so host names are not checked: who has the secret is a
//! node.
//!
//! What is not hidden: the announcements by multicast (an address and a number that Zenoh draws), from
//! which a listener on the same network learns that a node is there, but not of which cluster. They go
//! to a port that depends on the secret.
//!
//! Changing the secret on all nodes is the way to lock one out.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use ring::pbkdf2;

use crate::error::ClusterError;
use crate::identity::{ClusterName, NodeId};

/// As OWASP asks for since 2023; a tenth of a second, once a start.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

/// Shortest secret.
const MIN_LEN: usize = 16;

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// See the [module documentation](self).
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret {
    authority: [u8; 32],
    /// Where its nodes look for each other.
    salt: u32,
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret")
    }
}

/// A node's certificate and what it believes, in PEM and then base64, as Zenoh takes them.
pub(super) struct Credentials {
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

impl ClusterSecret {
    /// Derives everything from a secret. Takes a tenth of a second.
    ///
    /// # Errors
    /// [`ClusterError::Identity`] for one that is too short.
    pub fn new(secret: &str, cluster: &ClusterName) -> Result<Self, ClusterError> {
        if secret.len() < MIN_LEN {
            let reason = format!("a cluster secret needs at least {MIN_LEN} characters");
            return Err(ClusterError::Identity { reason });
        }
        let salt = format!("atoll cluster 1/{cluster}");
        let mut derived = [0; 36];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ITERATIONS,
            salt.as_bytes(),
            secret.as_bytes(),
            &mut derived,
        );
        let [a, b, c, d, authority @ ..] = derived;
        Ok(Self {
            authority,
            salt: u32::from_le_bytes([a, b, c, d]),
        })
    }

    pub(super) fn salt(&self) -> u32 {
        self.salt
    }

    /// A certificate for `node`, signed for as long as the process lives.
    pub(super) fn credentials(&self, node: NodeId) -> Result<Credentials, ClusterError> {
        let fault = |error: rcgen::Error| ClusterError::Transport {
            what: "making this node's certificate".to_owned(),
            reason: error.to_string(),
        };
        let mut pkcs8 = PKCS8.to_vec();
        pkcs8.extend_from_slice(&self.authority);
        let authority_key = KeyPair::try_from(pkcs8).map_err(fault)?;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority
            .distinguished_name
            .push(DnType::CommonName, "atoll cluster");
        let root = authority.self_signed(&authority_key).map_err(fault)?;

        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(fault)?;
        let name = vec![format!("{node}.atoll.invalid")];
        let mut leaf = CertificateParams::new(name).map_err(fault)?;
        leaf.distinguished_name
            .push(DnType::CommonName, node.to_string());
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let issuer = Issuer::from_params(&authority, &authority_key);
        let certificate = leaf.signed_by(&key, &issuer).map_err(fault)?;
        Ok(Credentials {
            authority: STANDARD.encode(root.pem()),
            certificate: STANDARD.encode(certificate.pem()),
            key: STANDARD.encode(key.serialize_pem()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_and_name_give_the_same_authority() {
        let name = |name: &str| name.parse::<ClusterName>().unwrap();
        let secret = |text: &str, cluster: &str| ClusterSecret::new(text, &name(cluster)).unwrap();
        let usual = secret("0123456789abcdef", "lab");
        assert_eq!(secret("0123456789abcdef", "lab"), usual);
        assert_ne!(secret("0123456789abcdef", "home"), usual);
        assert_ne!(secret("0123456789abcdeF", "lab"), usual);
        assert!(ClusterSecret::new("short", &name("lab")).is_err());
        assert_eq!(format!("{usual:?}"), "ClusterSecret");
    }

    #[test]
    fn every_node_has_a_certificate_of_its_own() {
        let name = ClusterName::default();
        let secret = ClusterSecret::new("0123456789abcdef", &name).unwrap();
        let node = NodeId::random();
        let (one, two) = (secret.credentials(node), secret.credentials(node));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_ne!(one.key, two.key);
        assert_ne!(one.certificate, two.certificate);
        let pem = STANDARD.decode(one.certificate).unwrap();
        assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
    }
}
