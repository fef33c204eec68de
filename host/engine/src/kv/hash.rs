//! The name of a full block's contents: a chained SHA-256.
//!
//! A block's keys and values depend on every token before it, so its name must too: the digest
//! covers the parent's digest and the block's own tokens, and the root covers whatever else changes
//! the numbers (model, adapter) or must keep tenants apart (cache salt).
//!
//! Clients choose prompts, so they can search for collisions; a collision would feed one prompt's
//! attention with another's keys. SHA-256 leaves nothing to find, which is why a hit compares
//! digests and does not store tokens to compare. It costs about a microsecond a block, far below
//! the cost of computing one, and the same prefix has the same name on every machine.

use sha2::{Digest, Sha256};

use crate::executor::TokenId;

/// Digest of a block's tokens, of everything before them, and of the salts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHash([u8; 32]);

impl BlockHash {
    /// The chain's start, before any token. `salts` name what else the keys and values depend on
    /// or must be isolated by; each is length-prefixed, so `["ab", "c"]` and `["a", "bc"]` differ.
    #[must_use]
    pub fn root(salts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"atoll kv block chain 1");
        for salt in salts {
            hasher.update((salt.len() as u64).to_le_bytes());
            hasher.update(salt);
        }
        Self(hasher.finalize().into())
    }

    /// The name of the block that follows `self` and holds `tokens`.
    #[must_use]
    pub fn child(&self, tokens: &[TokenId]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        for token in tokens {
            hasher.update(token.to_le_bytes());
        }
        Self(hasher.finalize().into())
    }
}

impl std::fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlockHash(")?;
        for byte in self.0.iter().take(6) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_and_tokens_and_order_all_count() {
        let a = BlockHash::root(&[b"ab", b"c"]);
        let b = BlockHash::root(&[b"a", b"bc"]);
        assert_ne!(a, b);
        assert_ne!(a.child(&[1, 2]), b.child(&[1, 2]));
        assert_ne!(a.child(&[1, 2]), a.child(&[2, 1]));
        assert_ne!(a.child(&[1]).child(&[2]), a.child(&[2]).child(&[1]));
        assert_eq!(
            a.child(&[7, 8]),
            BlockHash::root(&[b"ab", b"c"]).child(&[7, 8])
        );
    }
}
