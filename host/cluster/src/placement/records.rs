//! What a placement strategy is told and what it answers: the records of `wit/placement.wit`, in the
//! host's own types, so that a strategy can be a plugin, a function of this crate or a test's.
//!
//! Units are those of the contract: bytes, seconds, bytes a second, multiply-adds a second. Nodes are
//! named by their id in text, because a described cluster (`atoll plan`) has names of its own.

use serde::{Deserialize, Serialize};

/// Machines and the ways between them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Topology {
    /// Machines that have the model, or can get it.
    pub nodes: Vec<Node>,
    /// Directed; a missing pair cannot talk.
    pub links: Vec<Link>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Node {
    /// Its id; unique within the topology.
    pub id: String,
    /// For people.
    pub name: String,
    /// Bytes.
    pub memory_total: u64,
    /// Bytes that a plan may use, reservations already taken off.
    pub memory_free: u64,
    /// What it computes with.
    pub executors: Vec<Executor>,
    /// Bytes of the model's weights that it already has on disk.
    pub weights_present: u64,
    /// Room to grow: JSON.
    pub ext: Option<String>,
}

/// One executor of a machine. A rate of 0 has not been measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Executor {
    /// `cpu`, `mlx-metal`, `mlx-cuda`.
    pub kind: String,
    /// Bytes a second when reading weights.
    pub memory_bandwidth: f64,
    /// Multiply-adds a second in a large matrix product.
    pub matrix_rate: f64,
    /// Seconds per layer beyond reading and arithmetic.
    pub layer_overhead: f64,
}

/// One direction between two machines.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Link {
    /// From this node.
    pub source: String,
    /// To this one.
    pub target: String,
    /// Seconds, one way.
    pub latency: f64,
    /// Bytes a second.
    pub bandwidth: f64,
    /// `thunderbolt`, `rdma`, `ethernet`, `wifi`, `loopback`, `unknown`.
    pub kind: String,
}

/// What a model needs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Its name.
    pub name: String,
    /// Its layers, in order.
    pub layers: Vec<LayerFacts>,
    /// Bytes that the first stage holds besides its layers.
    pub embedding_bytes: u64,
    /// Bytes that the last stage holds besides its layers. For a model whose head is its embedding
    /// this is the embedding once more; a single stage holds it once, which `ext` says as
    /// `{"tied": true}`.
    pub head_bytes: u64,
    /// Numbers per position between stages.
    pub hidden_size: u32,
    /// Heads of keys and values.
    pub kv_heads: u32,
    /// Sizes of tensor-parallel groups that divide the model evenly.
    pub tensor_parallel_sizes: Vec<u32>,
    /// Bytes of one number on the wire.
    pub activation_bytes: u32,
    /// Room to grow: JSON.
    pub ext: Option<String>,
}

/// What one layer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LayerFacts {
    /// Bytes.
    pub weight_bytes: u64,
    /// Bytes read per token: less than `weight_bytes` for mixtures of experts.
    pub active_bytes: u64,
    /// Bytes of keys and values per position.
    pub kv_bytes_per_position: u64,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Options {
    /// What is to be best.
    pub objective: Objective,
    /// Positions of KV memory to plan for, over all sequences.
    pub kv_positions: u64,
    /// Most stages; `None` leaves it to the strategy.
    pub max_stages: Option<u32>,
    /// Nodes that must not be used.
    pub excluded: Vec<String>,
    /// Room to grow: JSON. `{"stages": 3}` asks for exactly so many.
    pub ext: Option<String>,
}

/// What is to be best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The time of one token of one sequence.
    #[default]
    Latency,
    /// Tokens a second of many.
    Throughput,
}

/// What a strategy proposes. Nothing in it is believed before [`check`](super::check).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProposedPlan {
    /// From first layer to last.
    pub stages: Vec<ProposedStage>,
    /// Seconds per decoded token of one sequence.
    pub predicted_latency: f64,
    /// Tokens a second with all stages busy.
    pub predicted_throughput: f64,
    /// For people: why this one.
    pub explanation: String,
}

/// Layers `first..end` on a group of nodes; one node unless tensor-parallel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProposedStage {
    /// First layer.
    pub first: u32,
    /// The layer after the last.
    pub end: u32,
    /// Which nodes.
    pub nodes: Vec<String>,
    /// Which of their executors.
    pub executor: String,
}
