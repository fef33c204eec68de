//! [`ClusterSecret`]: nodes that share a secret, and nobody else.
//!
//! From the secret and the cluster's name every node derives the same certificate authority (PBKDF2,
//! then HKDF, then an Ed25519 key), and with it signs a certificate for itself each time it starts.
//! Nothing is stored and nothing has to be handed out but the secret. Nodes speak mutual TLS 1.3 with
//! these certificates: one without the secret is refused in the handshake before it has said or heard
//! anything, and everything between nodes is encrypted. Who has the secret is a node, wherever it is
//! and whatever it calls itself.
//!
//! Zenoh's client side also believes the authorities of the public web and, as nodes have no host
//! names, checks no names. Somebody with any web site's certificate could therefore wait for a node to
//! call. That is why every certificate carries a name that only this secret gives and no public
//! authority signs, and why nodes exchange messages only with those that carry it
//! ([`only_members`](super::network)). Such a caller hears the addresses that Zenoh's nodes tell each
//! other, and nothing else.
//!
//! What is not hidden: the announcements by multicast (an address and a number that Zenoh draws), from
//! which a listener on the same network learns that a node is there, but not of which cluster. They go
//! to a port that depends on the secret. A node also shows its certificate to whoever calls it, so a
//! secret can be guessed at leisure: that is what the slow derivation is for, and why a short or
//! repetitive one is refused. The tokens that `atoll cluster token` makes have 256 random bits.
//!
//! Changing the secret on all nodes is the way to lock one out.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use ring::{hkdf, pbkdf2};

use crate::error::ClusterError;
use crate::identity::ClusterName;

/// What OWASP asks of PBKDF2-HMAC-SHA256 since 2023; some tenths of a second, once a start.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

/// Shortest secret, in bytes.
const MIN_LEN: usize = 16;

/// Fewest different bytes in a secret.
const MIN_DISTINCT: usize = 8;

/// What every node's certificate is for; below a domain that does not exist (RFC 2606).
pub(super) const NODE_NAME: &str = "node.atoll.invalid";

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// See the [module documentation](self).
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret {
    authority: [u8; 32],
    member: u128,
    meeting: u32,
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret")
    }
}

/// What a node shows and what it believes.
pub(super) struct Credentials {
    pub authority: Certificate,
    pub certificate: Certificate,
    pub key: KeyPair,
}

/// How many bytes HKDF is asked for.
struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl ClusterSecret {
    /// Whether a secret is none that is easily guessed. Says nothing about the rest: only a drawn one
    /// is good.
    ///
    /// # Errors
    /// [`ClusterError::Secret`].
    pub fn check(secret: &str) -> Result<(), ClusterError> {
        let distinct: BTreeSet<u8> = secret.bytes().collect();
        if secret.len() < MIN_LEN || distinct.len() < MIN_DISTINCT {
            return Err(ClusterError::Secret {
                reason: format!(
                    "it is too easy to guess: it needs at least {MIN_LEN} characters, {MIN_DISTINCT} of \
                     them different; `atoll cluster token` makes a good one"
                ),
            });
        }
        Ok(())
    }

    /// Derives everything from a secret. Takes some tenths of a second of computing.
    ///
    /// # Errors
    /// [`ClusterError::Secret`] for one that [`check`](Self::check) refuses.
    pub fn new(secret: &str, cluster: &ClusterName) -> Result<Self, ClusterError> {
        Self::check(secret)?;
        let salt = format!("atoll cluster 1/{cluster}");
        let mut master = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ITERATIONS,
            salt.as_bytes(),
            secret.as_bytes(),
            &mut master,
        );
        let master = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &master);
        Ok(Self {
            authority: expand(&master, "authority")?,
            member: u128::from_le_bytes(expand(&master, "member")?),
            meeting: u32::from_le_bytes(expand(&master, "meeting")?),
        })
    }

    /// The name in every member's certificate.
    pub(super) fn member(&self) -> String {
        format!("atoll-{:032x}", self.member)
    }

    /// A number that decides where its nodes look for each other.
    pub(super) fn meeting(&self) -> u32 {
        self.meeting
    }

    /// A certificate for a node, made anew at each call.
    pub(super) fn credentials(&self) -> Result<Credentials, ClusterError> {
        self.credentials_of(&self.member())
    }

    pub(super) fn credentials_of(&self, member: &str) -> Result<Credentials, ClusterError> {
        let fault = |error: rcgen::Error| ClusterError::Secret {
            reason: format!("no certificate can be made from it: {error}"),
        };
        let mut pkcs8 = PKCS8.to_vec();
        pkcs8.extend_from_slice(&self.authority);
        let authority_key = KeyPair::try_from(pkcs8).map_err(fault)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "atoll cluster");
        let authority = params.self_signed(&authority_key).map_err(fault)?;
        let issuer = Issuer::from_params(&params, &authority_key);

        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(fault)?;
        let mut leaf = CertificateParams::new(vec![NODE_NAME.to_owned()]).map_err(fault)?;
        leaf.distinguished_name.push(DnType::CommonName, member);
        leaf.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = leaf.signed_by(&key, &issuer).map_err(fault)?;
        Ok(Credentials {
            authority,
            certificate,
            key,
        })
    }
}

fn expand<const N: usize>(master: &hkdf::Prk, what: &str) -> Result<[u8; N], ClusterError> {
    let mut derived = [0; N];
    let filled = master
        .expand(&[what.as_bytes()], Bytes(N))
        .and_then(|key| key.fill(&mut derived));
    // Only asking for very many bytes could fail.
    filled.map_err(|_| ClusterError::Secret {
        reason: format!("no {what} can be derived from it"),
    })?;
    Ok(derived)
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
        for other in [
            secret("0123456789abcdef", "home"),
            secret("0123456789abcdeF", "lab"),
        ] {
            assert_ne!(other.authority, usual.authority);
            assert_ne!(other.member(), usual.member());
        }
        assert_eq!(format!("{usual:?}"), "ClusterSecret");
    }

    #[test]
    fn a_secret_that_is_easily_guessed_is_none() {
        for weak in [
            "",
            "short",
            "0123456789abcde",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabc",
        ] {
            let refused = ClusterSecret::new(weak, &ClusterName::default());
            assert!(
                matches!(refused, Err(ClusterError::Secret { .. })),
                "{weak}"
            );
        }
    }

    #[test]
    fn every_start_has_a_key_of_its_own_under_one_authority() {
        let secret = ClusterSecret::new("0123456789abcdef", &ClusterName::default()).unwrap();
        let (one, two) = (secret.credentials().unwrap(), secret.credentials().unwrap());
        assert_ne!(one.key.serialize_der(), two.key.serialize_der());
        assert_ne!(one.certificate, two.certificate);
    }
}
