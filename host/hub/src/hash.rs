//! The two kinds of hash a hub's listing has: sha256 of large files, Git's object hash of small ones.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// What a file must hash to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Digest {
    /// sha256 of the content.
    Sha256([u8; 32]),
    /// Git's hash of a blob: sha1 of `blob LENGTH\0` and the content. It guards against damage, not
    /// against somebody who makes collisions; files that hold weights have sha256.
    GitBlob([u8; 20]),
}

impl Digest {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn sha256(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self::Sha256(bytes))
    }

    /// Reads 40 hexadecimal digits.
    #[must_use]
    pub fn git_blob(text: &str) -> Option<Self> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self::GitBlob(bytes))
    }

    /// The digits alone.
    #[must_use]
    pub fn hex(&self) -> String {
        match self {
            Self::Sha256(bytes) => hex::encode(bytes),
            Self::GitBlob(bytes) => hex::encode(bytes),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Sha256(_) => "sha256",
            Self::GitBlob(_) => "git",
        };
        write!(f, "{kind}:{}", self.hex())
    }
}

/// A hash being computed.
#[derive(Debug, Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    GitBlob(Sha1),
}

impl Hasher {
    /// For content of `size` bytes that should have this digest.
    pub fn of(digest: &Digest, size: u64) -> Self {
        match digest {
            Digest::Sha256(_) => Self::Sha256(Sha256::new()),
            Digest::GitBlob(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {size}\0"));
                Self::GitBlob(hasher)
            }
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::GitBlob(hasher) => hasher.update(bytes),
        }
    }

    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            Self::GitBlob(hasher) => Digest::GitBlob(hasher.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n' | git hash-object --stdin` and `printf 'hello\n' | sha256sum`.
    #[test]
    fn known_answers() {
        let git = Digest::git_blob("ce013625030ba8dba906f756967f9e9ca394464a").unwrap();
        let sha =
            Digest::sha256("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        for expected in [git, sha.unwrap()] {
            let mut hasher = Hasher::of(&expected, 6);
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            assert_eq!(hasher.finish(), expected);
        }
    }

    #[test]
    fn digits_are_checked() {
        assert!(Digest::sha256("5891").is_none());
        assert!(Digest::git_blob("zz013625030ba8dba906f756967f9e9ca394464a").is_none());
    }
}
