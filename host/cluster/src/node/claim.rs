//! Asking all others before a model is placed from here; see [`claims`](crate::claims).

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

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
        let taken = taken.or_else(|| lock(&inner.claims).hold(model, claim.number).err());
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
        let asked = Instant::now();
        let answer = match wire::encode(&call) {
            Ok(call) => self.transport.ask(node, call, patience).await,
            Err(error) => Err(error.into()),
        };
        match answer.and_then(|answer| Ok(wire::decode(&answer)?)) {
            Ok(Answer::Taken) => true,
            Ok(_) => false,
            Err(error) => {
                tracing::info!(model, ?node, %error, "it is placed without this node's word");
                lock(&self.members).suspect(node, asked);
                false
            }
        }
    }
}
