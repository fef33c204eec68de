//! [`ClusterStatus`]: the cluster as this node sees it, for people and for `/atoll/v1/cluster`.

use serde::Serialize;

use super::{Cluster, lock};
use crate::identity::NodeId;
use crate::members::{LinkFacts, Member, NodeFacts};
use crate::transport::Knock;
use crate::wire;

/// What this node knows.
#[derive(Debug, Clone, Serialize)]
pub struct ClusterStatus {
    /// The cluster's name.
    pub cluster: String,
    /// This node.
    pub node: NodeId,
    /// Whether everything between nodes is encrypted, and only those with the secret are let in.
    pub encrypted: bool,
    /// Its version of the wire.
    pub protocol: u8,
    /// Everybody, this node included.
    pub members: Vec<MemberStatus>,
    /// Pipelines that this node coordinates.
    pub pipelines: Vec<PipelineStatus>,
    /// Requests of other nodes that this one answers now.
    pub answering: usize,
    /// Models that should run.
    pub wanted: Vec<String>,
    /// Peers that this node was told of and that are not there, while it is alone.
    pub absent: Vec<AbsentPeer>,
}

/// A peer that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AbsentPeer {
    /// Where it should be.
    pub address: String,
    /// Why it is not in the cluster, as far as this node can tell.
    pub problem: String,
}

/// One member.
#[derive(Debug, Clone, Serialize)]
pub struct MemberStatus {
    /// Its id.
    pub id: NodeId,
    /// What it says of itself; `null` until it has.
    pub facts: Option<NodeFacts>,
    /// The way from this node to it; empty for this node.
    pub link: LinkFacts,
    /// Its kind, as in the placement contract; nothing for this node.
    pub link_kind: Option<&'static str>,
    /// Seconds since it joined, as this node saw it.
    pub seconds: u64,
    /// Seconds since it last said what it is.
    pub silent_seconds: Option<u64>,
    /// Whether it can be given work now.
    pub usable: bool,
    /// Why the two cannot work together, if so.
    pub problem: Option<String>,
}

/// One pipeline.
#[derive(Debug, Clone, Serialize)]
pub struct PipelineStatus {
    /// The model's name.
    pub model: String,
    /// Version of its plan.
    pub epoch: u64,
    /// Nodes of its stages, in order.
    pub nodes: Vec<NodeId>,
    /// Why it does not work any more, if so.
    pub failure: Option<String>,
    /// The node whose instance of the model stays instead, if there are two: this one is given up.
    pub yields_to: Option<NodeId>,
}

impl Cluster {
    /// The cluster as this node sees it now.
    #[must_use]
    pub fn status(&self) -> ClusterStatus {
        let all = self.members();
        let mine = all.iter().find(|member| member.id == self.id());
        let mine = mine.and_then(|member| member.facts.clone());
        let kind = |member: &Member| {
            let others = member.facts.as_ref().filter(|_| member.id != self.id());
            Some(mine.as_ref()?.link_kind(others?))
        };
        let members = all.iter().cloned().map(|member| MemberStatus {
            link_kind: kind(&member),
            usable: member.usable(),
            problem: member.incompatible(),
            id: member.id,
            link: member.link,
            seconds: member.since.elapsed().as_secs(),
            silent_seconds: member.heard.map(|at| at.elapsed().as_secs()),
            facts: member.facts,
        });
        let absent = |(address, found): (&String, &Knock)| AbsentPeer {
            address: address.clone(),
            problem: found.to_string(),
        };
        let absent = lock(&self.inner.absent).iter().map(absent).collect();
        let silence = self.inner.options.silence;
        let watched = lock(&self.inner.watched);
        let mut pipelines: Vec<PipelineStatus> = watched
            .iter()
            .map(|(&(_, epoch), watched)| PipelineStatus {
                model: watched.model.clone(),
                epoch,
                nodes: watched.nodes.clone(),
                yields_to: None,
                failure: watched
                    .monitor
                    .failure(silence)
                    .map(|error| error.to_string()),
            })
            .collect();
        drop(watched);
        for pipeline in &mut pipelines {
            pipeline.yields_to = self.yields_to(&pipeline.model);
        }
        pipelines.sort_by(|a, b| (&a.model, a.epoch).cmp(&(&b.model, b.epoch)));
        ClusterStatus {
            cluster: self.name().to_string(),
            node: self.id(),
            encrypted: self.inner.transport.is_encrypted(),
            protocol: wire::VERSION,
            members: members.collect(),
            pipelines,
            answering: self.inner.sessions.answering(),
            wanted: self.wanted(),
            absent,
        }
    }
}
