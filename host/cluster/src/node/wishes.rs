//! Which models should run: this node's copy of the map, told to all.

use super::{Cluster, Inner, lock};
use crate::desired::Desired;
use crate::identity::NodeId;

impl Cluster {
    /// Says that `model` should run, or need not any more; every node learns of it.
    pub fn want(&self, model: &str, wanted: bool) {
        let id = self.id();
        let changed = lock(&self.inner.desired).set(model, wanted, id);
        if changed {
            self.inner.wishes_changed();
        }
    }

    /// Models that should run, by name.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        let desired = lock(&self.inner.desired);
        desired.wanted().map(str::to_owned).collect()
    }

    /// The node that brings `model` back if nobody runs it: the lowest id among those that can. All
    /// nodes agree on it without talking.
    #[must_use]
    pub fn keeper(&self, model: &str) -> Option<NodeId> {
        let members = lock(&self.inner.members);
        let mut able = members.iter().filter(|member| {
            let facts = member.facts.as_ref().filter(|_| member.usable());
            facts.is_some_and(|facts| facts.models.iter().any(|name| name == model))
        });
        // Members are in the order of their ids.
        able.next().map(|member| member.id)
    }

    /// Whether another node says that it answers for `model`.
    #[must_use]
    pub fn is_served_elsewhere(&self, model: &str) -> bool {
        let (me, members) = (self.id(), lock(&self.inner.members));
        let serves = |member: &crate::members::Member| {
            let facts = member.facts.as_ref().filter(|_| member.usable());
            facts.is_some_and(|facts| facts.serving.iter().any(|name| name == model))
        };
        members
            .iter()
            .any(|member| member.id != me && serves(member))
    }
}

impl Inner {
    /// Another node's map came. Runs on the transport's threads.
    pub(super) fn wishes_heard(&self, bytes: &[u8]) {
        match Desired::from_bytes(bytes) {
            // Everybody heard it, so it is not told again.
            Ok(map) => {
                if lock(&self.desired).merge(map) {
                    self.save_wishes();
                }
            }
            Err(reason) => tracing::debug!(reason, "wishes that are none"),
        }
    }

    /// This node's map has changed.
    fn wishes_changed(&self) {
        self.save_wishes();
        self.tell_wishes.notify_one();
    }

    fn save_wishes(&self) {
        if let Some(path) = self.options.desired.clone() {
            let map = lock(&self.desired).clone();
            let save = move || {
                if let Err(error) = map.save(&path) {
                    tracing::warn!(%error, "which models should run is not kept");
                }
            };
            self.work.spawn_blocking_on(save, &self.runtime);
        }
    }

    /// Tells the map when it has changed, when a node came, and when a node has another one.
    pub(super) async fn tell_wishes(&self) {
        loop {
            self.tell_wishes.notified().await;
            let map = lock(&self.desired).clone();
            let told = match serde_json::to_vec(&map) {
                Ok(map) => self.transport.publish_wishes(map).await,
                Err(error) => {
                    tracing::error!(%error, "the wishes are not JSON");
                    continue;
                }
            };
            if let Err(error) = told {
                tracing::debug!(%error, "nobody knows which models should run");
            }
            // Nodes that disagree for ever cost one small message a second.
            tokio::time::sleep(super::facts::PERIOD).await;
        }
    }
}
