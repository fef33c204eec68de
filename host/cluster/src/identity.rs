//! Who a node is: an id that lasts, a name for people, and the cluster it belongs to.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ClusterError;

/// A node's id: 32 hexadecimal digits, drawn once and kept in a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(u128);

impl NodeId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().as_u128())
    }

    /// The first digits, enough for people to tell nodes apart.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.short())
    }
}

impl FromStr for NodeId {
    type Err = ClusterError;

    fn from_str(text: &str) -> Result<Self, ClusterError> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        number.map(Self).ok_or_else(|| ClusterError::Identity {
            reason: format!("{text:?} is not a node id of 32 hexadecimal digits"),
        })
    }
}

impl TryFrom<String> for NodeId {
    type Error = ClusterError;

    fn try_from(text: String) -> Result<Self, ClusterError> {
        text.parse()
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.to_string()
    }
}

/// An id that is this process's own for as long as this exists: the file that keeps it is locked.
#[derive(Debug)]
pub struct Identity {
    id: NodeId,
    _file: Option<File>,
}

impl Identity {
    /// The id in `file`, made if there is none. A second process with the same file, which is how
    /// several nodes run on one machine for a try, gets an id that lasts as long as it does.
    ///
    /// # Errors
    /// [`ClusterError::Identity`] if the file cannot be used, or holds something else.
    pub fn keep(path: &Path) -> Result<Self, ClusterError> {
        let fault = |error: std::io::Error| ClusterError::Identity {
            reason: format!("{}: {error}", path.display()),
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fault)?;
        }
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(fault)?;
        if file.try_lock().is_err() {
            tracing::info!(file = %path.display(), "another process has this node's id; using a new one");
            return Ok(Self::passing());
        }
        let mut text = String::new();
        // An id has 32 digits and a line end.
        (&mut file)
            .take(64)
            .read_to_string(&mut text)
            .map_err(fault)?;
        let id = if text.trim().is_empty() {
            let id = NodeId::random();
            file.rewind().map_err(fault)?;
            writeln!(file, "{id}").map_err(fault)?;
            id
        } else {
            text.trim().parse()?
        };
        let _file = Some(file);
        Ok(Self { id, _file })
    }

    /// An id that is not kept.
    #[must_use]
    pub fn passing() -> Self {
        Self {
            id: NodeId::random(),
            _file: None,
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }
}

/// A cluster's name: letters, digits, `-` and `_`, at most 64 of them. It separates clusters on one
/// network; it is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(String);

impl ClusterName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ClusterName {
    fn default() -> Self {
        Self("atoll".to_owned())
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClusterName {
    type Err = ClusterError;

    fn from_str(text: &str) -> Result<Self, ClusterError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=64).contains(&text.len()) && text.chars().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(ClusterError::Identity {
            reason: format!(
                "{text:?} cannot be a cluster's name: use 1 to 64 letters, digits, - and _"
            ),
        })
    }
}

impl TryFrom<String> for ClusterName {
    type Error = ClusterError;

    fn try_from(text: String) -> Result<Self, ClusterError> {
        text.parse()
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_lasts_and_is_one_processs_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/node-id");
        let first = Identity::keep(&path).unwrap();
        let second = Identity::keep(&path).unwrap();
        assert_ne!(first.id(), second.id());
        let id = first.id();
        drop((first, second));
        assert_eq!(Identity::keep(&path).unwrap().id(), id);
        std::fs::write(&path, "something else").unwrap();
        assert!(Identity::keep(&path).is_err());
    }

    #[test]
    fn names_cannot_reach_into_other_keys() {
        for bad in ["", "a/b", "*", "**", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad}");
        }
        assert!("lab-2_x".parse::<ClusterName>().is_ok());
    }
}
