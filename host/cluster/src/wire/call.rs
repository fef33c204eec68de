//! Questions that nodes ask each other, and their answers: the control plane's wire types.

use serde::{Deserialize, Serialize};

use super::Precision;
use crate::identity::NodeId;

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// How long does this take? The answer has as many bytes as the question's payload asks for.
    Ping {
        /// Bytes to answer with.
        answer: u32,
        /// Bytes sent along.
        payload: Vec<u8>,
    },
    /// Load a stage, and listen.
    Load(StageOrder),
    /// Begin: everybody listens.
    Start(StageName),
    /// Forget a stage.
    Unload(StageName),
    /// May the asking node place a model?
    Claim {
        /// Which.
        model: String,
        /// Who asks.
        from: NodeId,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To a ping.
    Pong {
        /// As many as were asked for.
        payload: Vec<u8>,
    },
    /// The stage is loaded.
    Loaded(StageFacts),
    /// Done; to a claim: it may.
    Done,
    /// It cannot be done.
    Refused {
        /// Why.
        reason: String,
    },
    /// To a claim: this node places the model, or has placed it.
    Taken,
}

/// A stage, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StageName {
    /// Of which instance; drawn by its coordinator.
    pub instance: u128,
    /// Of which plan.
    pub epoch: u64,
    /// Which, counted from 0.
    pub index: u32,
}

/// What a node is to load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageOrder {
    /// The stage.
    pub name: StageName,
    /// Nodes of all stages, in order.
    pub nodes: Vec<NodeId>,
    /// Where the scheduler runs.
    pub coordinator: NodeId,
    /// The model's name.
    pub model: String,
    /// What identifies its weights.
    pub fingerprint: String,
    /// First layer.
    pub first: u32,
    /// The layer after the last.
    pub end: u32,
    /// Positions per KV block, the same on every stage.
    pub block_size: u32,
    /// KV blocks, the same on every stage.
    pub num_blocks: u32,
    /// How hidden states travel.
    pub precision: Precision,
    /// How often to give a sign of life, in milliseconds.
    pub beat_ms: u32,
}

/// What a loaded stage can do: the engine's `Capabilities`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFacts {
    /// Positions per KV block.
    pub block_size: u64,
    /// KV blocks.
    pub num_blocks: u64,
    /// Most rows of a step.
    pub max_rows: u64,
    /// Most tokens of a step.
    pub max_tokens: u64,
    /// Longest sequence.
    pub max_positions: u64,
    /// Logits per position.
    pub vocab_size: u64,
    /// Whether rows do not depend on their neighbours.
    pub batch_invariant: bool,
    /// Bytes of weights.
    pub weight_bytes: u64,
    /// Bytes of KV memory.
    pub kv_bytes: u64,
}
