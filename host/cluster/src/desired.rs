//! [`Desired`]: which models should run, the one thing that the nodes of a cluster agree on.
//!
//! A small map, whole on every node and on every node's disk. Each entry carries an epoch and the
//! node that wrote it; of two entries for one model the higher epoch stays, and of equal ones the
//! higher node id. So it does not matter in which order, how often or over which node a change
//! arrives: whoever has seen the same changes has the same map. Nothing that belongs to a request is
//! ever in it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;

/// Most models, and the longest name: bounds what a broken peer can make this node keep.
const MAX_MODELS: usize = 1024;
const MAX_NAME: usize = 512;

/// Largest map taken from a file or another node.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// What is wished for one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// It should run.
    pub wanted: bool,
    /// Counts the changes.
    pub epoch: u64,
    /// Who made the latest.
    pub node: NodeId,
}

/// See the [module documentation](self).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Desired {
    wishes: BTreeMap<String, Wish>,
}

impl Desired {
    /// Says that a model should run, or need not any more. False if that is known already, or there is
    /// no room.
    pub fn set(&mut self, model: &str, wanted: bool, node: NodeId) -> bool {
        let before = self.wishes.get(model);
        let same = match before {
            Some(wish) => wish.wanted == wanted,
            None => !wanted,
        };
        if same {
            return false;
        }
        let epoch = before.map_or(0, |wish| wish.epoch).saturating_add(1);
        let wish = Wish {
            wanted,
            epoch,
            node,
        };
        self.put(model, wish)
    }

    /// Takes what is newer. Whether anything was.
    pub fn merge(&mut self, other: Self) -> bool {
        let newer = |(model, wish): (String, Wish)| self.put(&model, wish);
        other
            .wishes
            .into_iter()
            .map(newer)
            .fold(false, |any, one| any | one)
    }

    fn put(&mut self, model: &str, wish: Wish) -> bool {
        let order = |wish: &Wish| (wish.epoch, wish.node);
        let room = self.wishes.len() < MAX_MODELS && model.len() <= MAX_NAME;
        match self.wishes.get_mut(model) {
            Some(old) if order(old) >= order(&wish) => false,
            Some(old) => {
                *old = wish;
                true
            }
            None if room => {
                self.wishes.insert(model.to_owned(), wish);
                true
            }
            None => false,
        }
    }

    /// Models that should run, by name.
    pub fn wanted(&self) -> impl Iterator<Item = &str> {
        let wanted = self.wishes.iter().filter(|(_, wish)| wish.wanted);
        wanted.map(|(model, _)| model.as_str())
    }

    /// The same for equal maps, and almost surely different for others: FNV-1a over all entries.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let entries = self.wishes.iter().flat_map(|(model, wish)| {
            let text = format!("{model}\0{}{}{}\0", wish.wanted, wish.epoch, wish.node);
            text.into_bytes()
        });
        entries.fold(0xcbf2_9ce4_8422_2325, fold)
    }

    /// The map in these bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("{} bytes of wishes", bytes.len()));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// The map in a file; an empty one if there is none that can be read.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        let Ok(bytes) = atoll_engine::files::read_bounded(path, MAX_BYTES as u64) else {
            return Self::default();
        };
        Self::from_bytes(&bytes).unwrap_or_else(|reason| {
            tracing::warn!(file = %path.display(), reason, "which models should run is forgotten");
            Self::default()
        })
    }

    /// Writes the map, whole or not at all.
    ///
    /// # Errors
    /// What the system said.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u8) -> NodeId {
        format!("{number:032x}").parse().unwrap()
    }

    #[test]
    fn the_latest_word_counts() {
        let mut map = Desired::default();
        assert!(!map.set("a", false, id(1)), "nobody wanted it");
        assert!(map.set("a", true, id(1)));
        assert!(!map.set("a", true, id(2)));
        assert!(map.set("b", true, id(1)) && map.set("a", false, id(2)));
        assert_eq!(map.wanted().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_map_survives_its_file_and_nonsense_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desired.json");
        assert_eq!(Desired::load(&path), Desired::default());
        let mut map = Desired::default();
        map.set("m", true, id(3));
        map.save(&path).unwrap();
        assert_eq!(Desired::load(&path), map);
        std::fs::write(&path, "[]").unwrap();
        assert_eq!(Desired::load(&path), Desired::default());
    }

    #[test]
    fn a_peer_cannot_fill_this_node() {
        let mut map = Desired::default();
        for number in 0..2 * MAX_MODELS {
            map.set(&number.to_string(), true, id(1));
        }
        assert!(!map.set(&"x".repeat(MAX_NAME + 1), true, id(1)));
        assert_eq!(map.wanted().count(), MAX_MODELS);
    }

    fn change() -> impl Strategy<Value = (usize, usize, bool)> {
        (0usize..3, 0usize..4, any::<bool>())
    }

    proptest! {
        /// Three nodes change their maps and hear of each other's in any order, more than once.
        #[test]
        fn nodes_that_heard_the_same_agree(
            changes in prop::collection::vec(change(), 0..40),
            heard in prop::collection::vec((0usize..3, 0usize..3), 0..40),
        ) {
            let mut maps = vec![Desired::default(); 3];
            let mut heard = heard.into_iter();
            for (node, model, wanted) in changes {
                maps[node].set(&format!("m{model}"), wanted, id(node as u8));
                if let Some((from, to)) = heard.next() {
                    let other = maps[from].clone();
                    maps[to].merge(other);
                }
            }
            let mut forward = Desired::default();
            let mut backward = Desired::default();
            for index in 0..3 {
                forward.merge(maps[index].clone());
                backward.merge(maps[2 - index].clone());
            }
            prop_assert_eq!(&forward, &backward);
            prop_assert_eq!(forward.digest(), backward.digest());
            prop_assert!(!forward.clone().merge(backward));
        }
    }
}
