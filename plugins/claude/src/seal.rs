//! Signatures of thinking blocks.
//!
//! Clients must send thinking back as they got it, and the API refuses what was changed. A signature here is a keyed
//! hash (HMAC-SHA-256) of the text under a key that only this plugin has, in base64: a mark, the key's id, the hash,
//! and, where the client did not want to see the thinking, the thinking itself, so that it is not lost between two
//! tool calls. That is a wrapping and not a secret: it is the client's own conversation.
//!
//! What comes back is one of three: as it was; changed, which is refused; or not ours to judge (another service's, or
//! signed under a key that is gone), which is left out of the prompt as the original leaves out other models' thinking.

use atoll_sdk::types::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Begins every signature of this host. Six bytes make whole letters of base64, so it can be seen there too.
const MARK: &[u8; 6] = b"atoll1";
/// Bytes of a key's id.
const ID: usize = 4;
/// Bytes of a hash.
const HASH: usize = 32;

/// A key for signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; HASH]);

/// What a thinking block that came back is worth.
#[derive(Debug, PartialEq, Eq)]
pub enum Returned {
    /// This is what the model thought.
    Ours(String),
    /// Another service's, or under a key that is gone.
    Unknown,
    /// Ours, but not what the model thought.
    Changed,
}

impl Key {
    /// A key of these bytes; any number of them, the more random the better.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    fn id(&self) -> [u8; ID] {
        let mut id = [0; ID];
        id.copy_from_slice(&hash(&self.0, b"id", &[])[..ID]);
        id
    }

    /// The signature of a thinking block. `shown` says whether the client sees the text beside it.
    #[must_use]
    pub fn sign(&self, thinking: &str, shown: bool) -> String {
        let mut bytes = MARK.to_vec();
        bytes.extend(self.id());
        bytes.extend(hash(&self.0, b"thinking", thinking.as_bytes()));
        if !shown {
            bytes.extend(thinking.as_bytes());
        }
        STANDARD.encode(bytes)
    }

    /// Judges a block that came back.
    #[must_use]
    pub fn judge(&self, thinking: &str, signature: &str) -> Returned {
        let Ok(bytes) = STANDARD.decode(signature) else {
            return Returned::Unknown;
        };
        let Some(rest) = bytes.strip_prefix(MARK) else {
            return Returned::Unknown;
        };
        let Some((id, rest)) = rest.split_first_chunk::<ID>() else {
            return Returned::Changed;
        };
        if *id != self.id() {
            return Returned::Unknown;
        }
        let Some((hash, hidden)) = rest.split_first_chunk::<HASH>() else {
            return Returned::Changed;
        };
        // What was not shown comes back empty, with its text in the signature.
        let text = match (thinking.is_empty(), std::str::from_utf8(hidden)) {
            (true, Ok(hidden)) => hidden,
            (false, Ok("")) => thinking,
            _ => return Returned::Changed,
        };
        let mut mac = mac(&self.0, b"thinking");
        mac.update(text.as_bytes());
        // Takes as long wherever the difference is.
        match mac.verify_slice(hash) {
            Ok(()) => Returned::Ours(text.to_owned()),
            Err(_) => Returned::Changed,
        }
    }

    /// The plugin's key: from its settings, so that hosts may share one and it survives a restart, else one made at
    /// random and kept in the plugin's store.
    ///
    /// # Errors
    /// The host's store failed.
    #[cfg(target_family = "wasm")]
    pub fn load() -> Result<Self, Error> {
        use atoll_sdk::host::{config, kv, random};
        const NAME: &str = "signing-key";

        #[derive(serde::Deserialize)]
        struct Settings {
            #[serde(rename = "signing-key")]
            signing_key: Option<String>,
        }
        if let Some(secret) = config::settings::<Settings>()?.signing_key {
            return Ok(Self::new(secret.as_bytes()));
        }
        if let Some(secret) = kv::get(NAME)? {
            return Ok(Self::new(&secret));
        }
        let mut secret = [0; HASH];
        random::fill(&mut secret)?;
        if kv::compare_and_set(NAME, None, &secret)? {
            return Ok(Self::new(&secret));
        }
        // Another request was first.
        let secret = kv::get(NAME)?.ok_or_else(|| Error::internal("the signing key is gone"))?;
        Ok(Self::new(&secret))
    }

    /// Outside a component there is no host to keep a key.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_family = "wasm"))]
    pub fn load() -> Result<Self, Error> {
        Err(Error::internal("there is no host to keep a signing key"))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// JSON Schema of the settings.
pub const SETTINGS: &str = r#"{
  "type": "object",
  "properties": {
    "signing-key": {
      "type": "string",
      "minLength": 32,
      "description": "Secret under which thinking blocks are signed. Give the same to several hosts, and keep it over restarts; without it each start makes one."
    }
  },
  "additionalProperties": false
}"#;

/// A hash under `key`, for one purpose.
fn mac(key: &[u8; HASH], purpose: &[u8]) -> Hmac<Sha256> {
    // A key shorter than a block is filled up with zeros, as HMAC has it.
    let mut block = [0; 64];
    block[..HASH].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(purpose);
    mac.update(&[0]);
    mac
}

fn hash(key: &[u8; HASH], purpose: &[u8], text: &[u8]) -> [u8; HASH] {
    let mut mac = mac(key, purpose);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_went_out_comes_back(text in ".{0,40}", shown: bool) {
            let key = Key::new(b"secret");
            let signature = key.sign(&text, shown);
            let back = if shown { text.as_str() } else { "" };
            prop_assert_eq!(key.judge(back, &signature), Returned::Ours(text));
        }

        /// Whatever a client does to it, nothing but the text itself is taken for it.
        #[test]
        fn what_was_changed_is_never_ours(
            text in "[a-z]{1,20}", other in "[a-z]{0,20}", shown: bool, at in 0usize..80, bit in 0u8..8,
        ) {
            let key = Key::new(b"secret");
            let signature = key.sign(&text, shown);
            if other != text && (shown || !other.is_empty()) {
                prop_assert_eq!(key.judge(&other, &signature), Returned::Changed);
            }
            let mut bytes = STANDARD.decode(&signature).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let back = if shown { text.as_str() } else { "" };
            let judged = key.judge(back, &STANDARD.encode(bytes));
            prop_assert!(!matches!(judged, Returned::Ours(_)), "{:?}", judged);
        }

        #[test]
        fn any_signature_can_be_judged(thinking in ".{0,10}", signature in ".{0,80}") {
            let judged = Key::new(b"secret").judge(&thinking, &signature);
            prop_assert_eq!(judged, Returned::Unknown);
        }
    }

    #[test]
    fn others_signatures_are_not_ours_to_judge() {
        let signature = Key::new(b"secret").sign("hm", true);
        assert!(
            signature.starts_with("YXRvbGwx"),
            "recognisable: {signature}"
        );
        assert_eq!(
            Key::new(b"another").judge("hm", &signature),
            Returned::Unknown
        );
        for foreign in ["", "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk", "%%"] {
            assert_eq!(Key::new(b"secret").judge("hm", foreign), Returned::Unknown);
        }
    }

    #[test]
    fn the_settings_are_a_schema() {
        assert!(serde_json::from_str::<serde_json::Value>(SETTINGS).is_ok());
    }
}
