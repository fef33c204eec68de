//! The ways to the other nodes: round trip and bandwidth over the real transport.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Inner, lock};
use crate::error::ClusterError;
use crate::identity::NodeId;
use crate::members::Member;
use crate::wire;
use crate::wire::call::{Answer, Call};

/// How often it is looked which nodes are to be pinged.
const ROUND: Duration = Duration::from_secs(2);

/// Nodes that nothing is new about are pinged every so many rounds.
const PING_EVERY: u32 = 8;

/// A node is pinged in every round for so long after it joined, so that its average settles.
const NEW: Duration = Duration::from_secs(10);

/// Bandwidth is measured with the first ping and then every so many rounds: it moves a megabyte.
const PROBE_EVERY: u32 = 152;

/// Bytes of a bandwidth probe, and most that a ping is answered with.
pub(super) const PROBE_BYTES: u32 = 1 << 20;

/// Longest wait for an answer to a ping.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Inner {
    /// Measures, again and again.
    pub(super) async fn measure(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(ROUND);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for round in 0_u32.. {
            ticks.tick().await;
            let all = round % PING_EVERY == PING_EVERY - 1;
            let due: Vec<(NodeId, bool)> = {
                let members = lock(&self.members);
                let others = members.iter().filter(|member| member.id != self.id());
                others
                    .filter(|member| all || is_pressing(member))
                    .map(|member| (member.id, member.link.bytes_per_second.is_none()))
                    .collect()
            };
            for (node, unknown) in due {
                let probe = unknown || round % PROBE_EVERY == PROBE_EVERY - 1;
                if let Err(error) = self.measure_one(node, probe).await {
                    tracing::debug!(?node, %error, "a ping was not answered");
                }
            }
        }
    }

    async fn measure_one(&self, node: NodeId, probe: bool) -> Result<(), ClusterError> {
        let sent = Instant::now();
        let trip = self.ping(node, 0).await?;
        lock(&self.members).round_trip(node, sent, trip);
        if probe {
            let with_payload = self.ping(node, PROBE_BYTES).await?;
            // What the payload added, one way. At least a microsecond: clocks have an end.
            let added = with_payload.saturating_sub(trip).as_secs_f64().max(1e-6);
            lock(&self.members).bandwidth(node, f64::from(PROBE_BYTES) / added);
        }
        Ok(())
    }

    /// How long a question with `bytes` of payload takes.
    async fn ping(&self, node: NodeId, bytes: u32) -> Result<Duration, ClusterError> {
        let call = wire::encode(&Call::Ping {
            answer: 0,
            payload: vec![0; bytes as usize],
        })?;
        let started = Instant::now();
        let answer = self.transport.ask(node, call, TIMEOUT).await?;
        let took = started.elapsed();
        match wire::decode(&answer)? {
            Answer::Pong { .. } => Ok(took),
            other => Err(ClusterError::Mismatch(format!(
                "a ping was answered by {other:?}"
            ))),
        }
    }
}

/// Whether the way to a node is to be measured in this round: it is new or unknown, or the node was
/// found silent and nothing would be given to it until it answers.
fn is_pressing(member: &Member) -> bool {
    member.since.elapsed() < NEW
        || member.link.bytes_per_second.is_none()
        || (member.suspected.is_some() && !member.usable())
}
