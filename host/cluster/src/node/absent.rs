//! Why the peers that this node was told of are not there.

use std::time::Duration;

use super::{Inner, lock};
use crate::transport::Knock;

/// How long a node waits for its peers before it asks why they are not there.
const FIRST: Duration = Duration::from_secs(3);

/// The longest time between two such questions; they grow rarer.
const RAREST: Duration = Duration::from_secs(60);

impl Inner {
    /// While nobody is here although there should be: knocks at every peer, and says once what stands
    /// there. Zenoh itself tries again for ever, silently.
    pub(super) async fn explain_absence(&self) {
        if self.transport.peers().is_empty() {
            return;
        }
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RAREST);
            if !self.is_alone() {
                lock(&self.absent).clear();
                continue;
            }
            for peer in self.transport.peers() {
                let found = self.transport.knock(peer).await;
                // It may have come meanwhile.
                if self.is_alone() {
                    self.explain(peer, found);
                }
            }
        }
    }

    fn is_alone(&self) -> bool {
        lock(&self.members)
            .iter()
            .all(|member| member.id == self.id())
    }

    fn explain(&self, peer: &str, found: Knock) {
        let mut absent = lock(&self.absent);
        if absent.get(peer) != Some(&found) {
            tracing::warn!(peer, "this node is alone in its cluster: {found}");
            absent.insert(peer.to_owned(), found);
        }
    }
}
