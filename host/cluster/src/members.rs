//! Who is in the cluster, as one node sees it: a pure state that messages change.
//!
//! A node is a member from the moment it announces itself until its announcement is withdrawn (by
//! itself, or by Zenoh when the connection is lost). What it says of itself is a last value: newer
//! facts replace older ones, and nothing is ever replayed. Facts are JSON with unknown fields ignored
//! and missing ones defaulted, so that nodes of different versions can at least see each other and
//! say why they do not work together.

mod news;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;
use crate::interfaces::{Interface, kind_between};
use crate::wire;

/// Most members; more are not listed. Bounds what a broken or hostile peer can make this node hold.
const MAX_MEMBERS: usize = 1024;

/// Largest facts taken from a node.
const MAX_FACTS: usize = 256 << 10;

/// Weight of a new measurement in the average.
const SMOOTHING: f64 = 0.2;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeFacts {
    /// Its machine's name, for people.
    pub name: String,
    /// The same for nodes of one machine.
    pub machine: String,
    /// Its version of Atoll.
    pub version: String,
    /// Its version of the wire.
    pub protocol: u8,
    /// What else it understands.
    pub features: Vec<String>,
    /// Where its API listens.
    pub api: Vec<String>,
    /// Memory of the machine, in bytes.
    pub memory_total: u64,
    /// Of that, not in use.
    pub memory_free: u64,
    /// Bytes it would give to stages, those it holds not counted.
    pub stage_budget: u64,
    /// What it computes with.
    pub executors: Vec<ExecutorFacts>,
    /// Models in its folders.
    pub models: Vec<String>,
    /// Stages it holds.
    pub stages: Vec<HeldStage>,
    /// Models it answers for others: those in its memory, and those whose pipeline it coordinates.
    pub serving: Vec<String>,
    /// Instances that it coordinates over several nodes, or one, and has the claim to.
    pub instances: Vec<RunningInstance>,
    /// Tells its map of models that should run from another.
    pub desired: u64,
    /// What it measured of its ways to others.
    pub links: Vec<LinkReport>,
    /// Its network interfaces.
    pub interfaces: Vec<Interface>,
    /// Its RDMA devices, by name.
    pub rdma: Vec<String>,
}

impl NodeFacts {
    /// The kind of the way to another node: `loopback` on one machine, else what its interfaces say.
    #[must_use]
    pub fn link_kind(&self, there: &Self) -> &'static str {
        match !self.machine.is_empty() && self.machine == there.machine {
            true => "loopback",
            false => kind_between(&self.interfaces, &there.interfaces),
        }
    }
}

impl Default for NodeFacts {
    fn default() -> Self {
        Self {
            name: String::new(),
            machine: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: wire::VERSION,
            features: Vec::new(),
            api: Vec::new(),
            memory_total: 0,
            memory_free: 0,
            stage_budget: 0,
            executors: Vec::new(),
            models: Vec::new(),
            stages: Vec::new(),
            serving: Vec::new(),
            instances: Vec::new(),
            desired: 0,
            links: Vec::new(),
            interfaces: Vec::new(),
            rdma: Vec::new(),
        }
    }
}

/// One executor of a node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecutorFacts {
    /// `cpu`, `mlx-metal`.
    pub name: String,
    /// Bytes a second from memory, measured; 0 if not yet.
    pub bytes_per_second: f64,
    /// Multiply-adds a second, measured; 0 if not yet.
    pub multiply_adds_per_second: f64,
}

/// A stage that a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeldStage {
    /// Of which model.
    pub model: String,
    /// Of which plan.
    pub epoch: u64,
    /// Which, counted from 0.
    pub index: u32,
    /// First layer.
    pub first: u32,
    /// The layer after the last.
    pub end: u32,
    /// Bytes it holds.
    pub bytes: u64,
}

/// An instance of a model that runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunningInstance {
    /// Of which model.
    pub model: String,
    /// Since when its coordinator has the claim to the model, in milliseconds since the Unix epoch. Never
    /// changes while it runs.
    pub since: u64,
}

/// One way, as the node at its beginning measured it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// To this node.
    pub to: NodeId,
    /// What was measured.
    #[serde(flatten)]
    pub facts: LinkFacts,
}

/// What was measured of the way to a node.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkFacts {
    /// Round trip in seconds, smoothed.
    pub round_trip: Option<f64>,
    /// Bytes a second, one way, smoothed.
    pub bytes_per_second: Option<f64>,
}

/// One member.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// What it says of itself; `None` until it has.
    pub facts: Option<NodeFacts>,
    /// The way to it.
    pub link: LinkFacts,
    /// Since when it is here.
    pub since: Instant,
    /// When it last said what it is, or answered.
    pub heard: Option<Instant>,
    /// When a pipeline last failed by it.
    pub suspected: Option<Instant>,
}

impl Member {
    /// Whether it can be given work: it speaks this node's version, and has been heard since it was
    /// last found silent. A frozen machine stays a member until the network closes its connections;
    /// nothing is placed there meanwhile.
    #[must_use]
    pub fn usable(&self) -> bool {
        let trusted = match (self.suspected, self.heard) {
            (Some(suspected), Some(heard)) => heard > suspected,
            (Some(_), None) => false,
            (None, _) => true,
        };
        trusted && self.facts.is_some() && self.incompatible().is_none()
    }

    /// Why this node and the member cannot work together, if so.
    #[must_use]
    pub fn incompatible(&self) -> Option<String> {
        let facts = self.facts.as_ref()?;
        (facts.protocol != wire::VERSION).then(|| {
            format!(
                "it runs Atoll {} with wire version {}, this node runs {} with {}; run the same version on both",
                facts.version,
                facts.protocol,
                env!("CARGO_PKG_VERSION"),
                wire::VERSION
            )
        })
    }
}

/// All members. See the [module documentation](self).
#[derive(Debug, Default)]
pub struct Members {
    all: BTreeMap<NodeId, Member>,
}

impl Members {
    /// `node` came. True if it was not here.
    pub fn came(&mut self, node: NodeId, now: Instant) -> bool {
        if self.all.contains_key(&node) || self.all.len() >= MAX_MEMBERS {
            return false;
        }
        let member = Member {
            id: node,
            facts: None,
            link: LinkFacts::default(),
            since: now,
            heard: None,
            suspected: None,
        };
        self.all.insert(node, member);
        true
    }

    /// `node` went. True if it was here.
    pub fn went(&mut self, node: NodeId) -> bool {
        self.all.remove(&node).is_some()
    }

    /// `node` says what it is. Only members are listened to.
    ///
    /// # Errors
    /// What is wrong with what it says.
    pub fn heard(&mut self, node: NodeId, facts: &[u8], now: Instant) -> Result<(), String> {
        let Some(member) = self.all.get_mut(&node) else {
            return Ok(());
        };
        if facts.len() > MAX_FACTS {
            return Err(format!("{} bytes of facts", facts.len()));
        }
        let facts = serde_json::from_slice(facts).map_err(|error| error.to_string())?;
        member.facts = Some(facts);
        member.heard = Some(now);
        Ok(())
    }

    /// `node` was silent where it should not have been.
    pub fn suspect(&mut self, node: NodeId, now: Instant) {
        if let Some(member) = self.all.get_mut(&node) {
            member.suspected = Some(now);
        }
    }

    /// `to` answers for `model`, as another node said, and not `from`. True until they say something else.
    pub fn moved(&mut self, model: &str, from: Option<NodeId>, to: NodeId) {
        let from = from.and_then(|from| self.all.get_mut(&from));
        if let Some(facts) = from.and_then(|member| member.facts.as_mut()) {
            facts.serving.retain(|name| name != model);
            facts.instances.retain(|runs| runs.model != model);
        }
        let to = self.all.get_mut(&to);
        if let Some(facts) = to.and_then(|member| member.facts.as_mut())
            && !facts.serving.iter().any(|name| name == model)
        {
            facts.serving.push(model.to_owned());
        }
    }

    /// A ping that was sent to `node` at `sent` took so long.
    pub fn round_trip(&mut self, node: NodeId, sent: Instant, took: Duration) {
        if let Some(member) = self.all.get_mut(&node) {
            // Who answers lives. Not before it was asked, though: it may have been lost since.
            member.heard = member.heard.max(Some(sent));
            smooth(&mut member.link.round_trip, took.as_secs_f64());
        }
    }

    /// So many bytes a second go to `node`.
    pub fn bandwidth(&mut self, node: NodeId, bytes_per_second: f64) {
        if let Some(member) = self.all.get_mut(&node) {
            smooth(&mut member.link.bytes_per_second, bytes_per_second);
        }
    }

    /// One member.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Member> {
        self.all.get(&node)
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.all.values()
    }
}

fn smooth(value: &mut Option<f64>, new: f64) {
    let old = value.unwrap_or(new);
    *value = Some(old + SMOOTHING * (new - old));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(facts: &NodeFacts) -> Vec<u8> {
        serde_json::to_vec(facts).unwrap()
    }

    #[test]
    fn members_come_say_what_they_are_and_go() {
        let (mut members, now) = (Members::default(), Instant::now());
        let node = NodeId::random();
        // Facts of somebody who is not here, or not any more, are a late message.
        members
            .heard(node, &json(&NodeFacts::default()), now)
            .unwrap();
        assert_eq!(members.iter().count(), 0);
        assert!(members.came(node, now));
        assert!(!members.came(node, now));
        let facts = NodeFacts {
            name: "reef".to_owned(),
            ..NodeFacts::default()
        };
        members.heard(node, &json(&facts), now).unwrap();
        assert_eq!(members.get(node).unwrap().facts, Some(facts));
        assert!(members.went(node));
        assert!(!members.went(node));
    }

    #[test]
    fn another_version_is_seen_and_named() {
        let (mut members, now) = (Members::default(), Instant::now());
        let node = NodeId::random();
        members.came(node, now);
        let future = br#"{"version": "9.1.0", "protocol": 7, "warp": {"cores": 3}}"#;
        members.heard(node, future, now).unwrap();
        let reason = members.get(node).unwrap().incompatible().unwrap();
        assert!(reason.contains("9.1.0") && reason.contains('7'), "{reason}");
        members
            .heard(node, &json(&NodeFacts::default()), now)
            .unwrap();
        assert_eq!(members.get(node).unwrap().incompatible(), None);
    }

    #[test]
    fn nonsense_changes_nothing() {
        let (mut members, now) = (Members::default(), Instant::now());
        let node = NodeId::random();
        members.came(node, now);
        assert!(members.heard(node, b"[1, 2", now).is_err());
        assert!(
            members
                .heard(node, &vec![b' '; MAX_FACTS + 1], now)
                .is_err()
        );
        assert_eq!(members.get(node).unwrap().facts, None);
        for _ in 0..2 * MAX_MEMBERS {
            members.came(NodeId::random(), now);
        }
        assert_eq!(members.iter().count(), MAX_MEMBERS);
    }

    #[test]
    fn a_silent_node_is_not_used_until_it_is_heard_again() {
        let mut members = Members::default();
        let (node, now) = (NodeId::random(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        members.came(node, now);
        assert!(
            !members.get(node).unwrap().usable(),
            "nothing is known of it"
        );
        let facts = json(&NodeFacts::default());
        members.heard(node, &facts, after(1)).unwrap();
        assert!(members.get(node).unwrap().usable());
        members.suspect(node, after(2));
        assert!(!members.get(node).unwrap().usable());
        members.heard(node, &facts, after(3)).unwrap();
        assert!(members.get(node).unwrap().usable());
        // An answer is a sign of life, too, but not of one asked before it fell silent.
        members.suspect(node, after(5));
        members.round_trip(node, after(4), Duration::from_secs(2));
        assert!(!members.get(node).unwrap().usable());
        members.round_trip(node, after(6), Duration::from_secs(1));
        assert!(members.get(node).unwrap().usable());
    }

    fn instance(model: &str) -> RunningInstance {
        RunningInstance {
            model: model.to_owned(),
            since: 1,
        }
    }

    #[test]
    fn a_model_that_moved_is_there_and_not_here() {
        let (mut members, now) = (Members::default(), Instant::now());
        let (from, to, stranger) = (NodeId::random(), NodeId::random(), NodeId::random());
        for (node, serving) in [
            (from, vec!["m".to_owned(), "n".to_owned()]),
            (to, Vec::new()),
        ] {
            members.came(node, now);
            let facts = NodeFacts {
                instances: serving.iter().map(|model| instance(model)).collect(),
                serving,
                ..NodeFacts::default()
            };
            members.heard(node, &json(&facts), now).unwrap();
        }
        let serving =
            |members: &Members, node| members.get(node).unwrap().facts.clone().unwrap().serving;
        for _ in 0..2 {
            members.moved("m", Some(from), to);
            assert_eq!(serving(&members, from), ["n"]);
            let said = members.get(from).unwrap().facts.clone().unwrap();
            assert_eq!(said.instances, [instance("n")]);
            assert_eq!(serving(&members, to), ["m"]);
        }
        members.moved("m", Some(to), stranger);
        assert!(serving(&members, to).is_empty());
        members.moved("m", None, from);
        assert_eq!(serving(&members, from), ["n", "m"]);
    }

    #[test]
    fn round_trips_are_smoothed() {
        let mut members = Members::default();
        let node = NodeId::random();
        let now = Instant::now();
        members.came(node, now);
        members.round_trip(node, now, Duration::from_millis(10));
        members.round_trip(node, now, Duration::from_millis(20));
        let trip = members.get(node).unwrap().link.round_trip.unwrap();
        assert!((trip - 0.012).abs() < 1e-9, "{trip}");
    }
}
