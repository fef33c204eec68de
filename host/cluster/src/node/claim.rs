//! Asking all others before a model is placed from here; see [`claims`](crate::claims).

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::{Cluster, Inner, lock};
use crate::identity::NodeId;
use crate::members::Member;
use crate::wire;
use crate::wire::call::{Answer, Call};

/// A node that has been found silent is waited for for this part of the pool's patience: it may be back, and
/// is most likely not.
const SILENT: u32 = 4;

/// How often a node is asked again that does not know this one yet.
const UNKNOWN: Duration = Duration::from_millis(50);

/// The right of this node to place a model; given up when dropped.
pub struct Claim {
    /// Who holds the claim may be held by the node.
    inner: Weak<Inner>,
    model: String,
    number: u64,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.model).finish()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            lock(&inner.claims).release(&self.model, self.number);
            inner.changed.notify_one();
        }
    }
}

impl Cluster {
    /// Asks all others whether this node may place `model`. A node that does not answer within the
    /// pool's patience has no say, and is given no work until it is heard again.
    ///
    /// # Errors
    /// The node that places it or has placed it, which requests go to from now on.
    pub async fn claim(&self, model: &str) -> Result<Claim, NodeId> {
        let inner = &self.inner;
        let claim = Claim {
            inner: Arc::downgrade(inner),
            model: model.to_owned(),
            number: lock(&inner.claims).want(model),
        };
        let silence = inner.options.silence;
        let others: Vec<(NodeId, Duration)> = {
            let members = lock(&inner.members);
            let others = members
                .iter()
                .filter(|member| member.id != self.id() && member.incompatible().is_none());
            let patience = |member: &Member| match member.facts.is_some() && !member.usable() {
                true => silence / SILENT,
                false => silence,
            };
            others.map(|member| (member.id, patience(member))).collect()
        };
        let asking = others.into_iter().map(|(node, patience)| async move {
            let objects = inner.objects(node, model, patience).await;
            objects.then_some(node)
        });
        let mut answers: FuturesUnordered<_> = asking.collect();
        let mut taken = None;
        while let (None, Some(objection)) = (taken, answers.next().await) {
            taken = objection;
        }
        let hold = || lock(&inner.claims).hold(model, claim.number, now());
        let taken = taken.or_else(|| hold().err());
        if let Some(node) = taken {
            tracing::info!(model, ?node, "another node brings it into memory");
            lock(&inner.members).moved(model, None, node);
            return Err(node);
        }
        // It should be found here from now on, rather than within a second.
        self.refresh();
        Ok(claim)
    }

    /// `from` was asked for `model` and said that `to` has it, or brings it into memory.
    pub fn moved(&self, model: &str, from: NodeId, to: NodeId) {
        lock(&self.inner.members).moved(model, Some(from), to);
    }
}

impl Inner {
    /// Whether `node` objects to this one placing `model`.
    async fn objects(&self, node: NodeId, model: &str, patience: Duration) -> bool {
        let call = Call::Claim {
            model: model.to_owned(),
            from: self.id(),
        };
        let call = match wire::encode(&call) {
            Ok(call) => call,
            Err(error) => {
                tracing::error!(%error, "a claim has no bytes");
                return false;
            }
        };
        let began = Instant::now();
        loop {
            let asked = Instant::now();
            let left = patience.saturating_sub(began.elapsed());
            let answer = self.transport.ask(node, call.clone(), left).await;
            match answer.and_then(|answer| Ok(wire::decode(&answer)?)) {
                Ok(Answer::Taken) => return true,
                // It has not seen this node join yet.
                Ok(Answer::Refused { .. }) if began.elapsed() + UNKNOWN < patience => {
                    tokio::time::sleep(UNKNOWN).await;
                }
                Ok(Answer::Refused { reason }) => {
                    tracing::warn!(
                        model,
                        ?node,
                        reason,
                        "it is placed without this node's word"
                    );
                    return false;
                }
                Ok(_) => return false,
                Err(error) => {
                    tracing::info!(model, ?node, %error, "it is placed without this node's word");
                    lock(&self.members).suspect(node, asked);
                    return false;
                }
            }
        }
    }

    /// The answer to `from`, which asks whether it may place `model`.
    pub(super) fn asked_to_place(&self, model: &str, from: NodeId) -> Answer {
        // Way would be given to a node that nobody can reach, or to this one itself.
        let member = from != self.id() && lock(&self.members).get(from).is_some();
        if !member {
            let reason = format!("node {from} is not in the cluster, as this node sees it");
            return Answer::Refused { reason };
        }
        match lock(&self.claims).objects(model, from) {
            true => Answer::Taken,
            false => Answer::Done,
        }
    }
}

/// Milliseconds since the Unix epoch, by this machine's clock; 0 if that is before it.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_engine::executor::StageExecutor;

    use super::*;
    use crate::identity::Identity;
    use crate::node::{ClusterOptions, Offer, StageLoader};
    use crate::transport::Network;
    use crate::wire::call::StageOrder;

    struct Nothing;

    impl StageLoader for Nothing {
        fn offer(&self) -> Offer {
            Offer::default()
        }

        fn fingerprint(&self, model: &str) -> Result<String, String> {
            Err(format!("no {model} here"))
        }

        fn load(&self, _: &StageOrder) -> Result<Box<dyn StageExecutor>, String> {
            Err("nothing is loaded here".to_owned())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_claim_of_a_node_that_is_no_member_is_refused() {
        let options = ClusterOptions::new(
            "strangers".parse().unwrap(),
            Identity::passing(),
            Network::loopback(),
        );
        let node = Cluster::join(options, Arc::new(Nothing)).await.unwrap();
        let number = lock(&node.inner.claims).want("m");
        let refused = |from| matches!(node.inner.asked_to_place("m", from), Answer::Refused { .. });
        // The lowest id of all, to which way would be given if it were a member.
        let stranger: NodeId = format!("{:032x}", 1).parse().unwrap();
        assert!(refused(stranger) && refused(node.id()));
        lock(&node.inner.claims).hold("m", number, 0).unwrap();
        lock(&node.inner.members).came(stranger, Instant::now());
        assert_eq!(node.inner.asked_to_place("m", stranger), Answer::Taken);
        assert_eq!(node.inner.asked_to_place("n", stranger), Answer::Done);
        lock(&node.inner.members).went(stranger);
        assert!(refused(stranger));
        node.leave().await;
    }
}
