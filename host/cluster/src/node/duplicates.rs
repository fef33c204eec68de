//! Giving an instance up for another node's; see [`duplicates`](crate::duplicates).

use super::{Cluster, Inner, lock};
use crate::duplicates::{Right, stays_instead};
use crate::identity::NodeId;
use crate::members::RunningInstance;

impl Cluster {
    /// The node whose instance of `model` stays instead of the one that this node places or coordinates, if
    /// there is one. Requests go there; what runs here is to end, and to be unloaded. It holds for as
    /// long as that node is heard and runs the model.
    #[must_use]
    pub fn yields_to(&self, model: &str) -> Option<NodeId> {
        self.inner.yields_to(model)
    }

    /// All models of which that is so, each with the node whose instance stays.
    #[must_use]
    pub fn yielding(&self) -> Vec<(String, NodeId)> {
        let claims = lock(&self.inner.claims);
        let held: Vec<String> = claims.held().map(|(model, _)| model.to_owned()).collect();
        drop(claims);
        held.into_iter()
            .filter_map(|model| Some((self.yields_to(&model)?, model)))
            .map(|(node, model)| (model, node))
            .collect()
    }
}

impl Inner {
    /// See [`Cluster::yields_to`].
    pub(super) fn yields_to(&self, model: &str) -> Option<NodeId> {
        let node = self.id();
        let since = lock(&self.claims).held_since(model)?;
        let members = lock(&self.members);
        let others = members.iter().filter(|member| member.id != node);
        let rights = others.filter_map(|member| {
            let facts = member.facts.as_ref().filter(|_| member.usable())?;
            let runs = facts.instances.iter().find(|runs| runs.model == model)?;
            Some(Right {
                since: runs.since,
                node: member.id,
            })
        });
        stays_instead(Right { since, node }, rights)
    }

    /// The instances that run and that this node has the claim to, by model.
    pub(super) fn instances(&self) -> Vec<RunningInstance> {
        let silence = self.options.silence;
        let watched = lock(&self.watched);
        let running = watched
            .values()
            .filter(|watched| watched.monitor.failure(silence).is_none());
        let running: Vec<String> = running.map(|watched| watched.model.clone()).collect();
        drop(watched);
        let claims = lock(&self.claims);
        let mut instances: Vec<RunningInstance> = claims
            .held()
            .filter(|(model, _)| running.iter().any(|running| running == model))
            .map(|(model, since)| RunningInstance {
                model: model.to_owned(),
                since,
            })
            .collect();
        instances.sort();
        instances
    }
}
