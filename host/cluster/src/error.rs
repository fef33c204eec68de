//! [`ClusterError`]: everything that can go wrong between machines.

use std::time::Duration;

/// Why something that needs other machines did not work. Messages name the node or stage at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A message that this version cannot read.
    #[error(transparent)]
    Wire(#[from] crate::wire::WireError),
    /// The other side has gone, or takes nothing any more.
    #[error("{to} cannot be reached: {reason}")]
    Unreachable {
        /// Who was to get the message.
        to: String,
        /// What the transport said.
        reason: String,
    },
    /// A stage of a pipeline failed.
    #[error("stage {stage} failed: {reason}")]
    Stage {
        /// Which, counted from 0.
        stage: usize,
        /// What it said.
        reason: String,
    },
    /// A stage gives no sign of life.
    #[error("stage {stage} has been silent for {} ms", silence.as_millis())]
    Silent {
        /// Which, counted from 0.
        stage: usize,
        /// For how long.
        silence: Duration,
    },
    /// A step took longer than allowed although every stage is alive.
    #[error("a step is not done after {} s; the stages are alive but make no progress", after.as_secs())]
    Deadline {
        /// The limit.
        after: Duration,
    },
    /// The stages do not make a pipeline.
    #[error("the stages do not fit together: {0}")]
    Mismatch(String),
    /// A name, an id or the file that keeps it cannot be used.
    #[error("{reason}")]
    Identity {
        /// What is wrong.
        reason: String,
    },
    /// The cluster's secret cannot be used.
    #[error("the cluster secret cannot be used: {reason}")]
    Secret {
        /// What is wrong; never the secret.
        reason: String,
    },
    /// The network does not do what was asked.
    #[error("{what}: {reason}")]
    Transport {
        /// What was tried.
        what: String,
        /// What Zenoh said.
        reason: String,
    },
    /// A plan cannot be carried out.
    #[error(transparent)]
    Plan(#[from] crate::plan::PlanError),
    /// A node refused its part.
    #[error("node {node:?} refused stage {stage}: {reason}")]
    Refused {
        /// Which node.
        node: crate::identity::NodeId,
        /// Which stage, counted from 0.
        stage: usize,
        /// Why.
        reason: String,
    },
    /// A node that took part has gone.
    #[error("node {node:?} has left the cluster")]
    Lost {
        /// Which.
        node: crate::identity::NodeId,
    },
    /// The system gives no thread.
    #[error("no thread for {what}: {reason}")]
    Thread {
        /// What for.
        what: &'static str,
        /// What the system said.
        reason: String,
    },
}
