//! Requests that one node answers for another: what travels on a session, in both directions.
//!
//! What is asked and told is opaque here; whoever sits above the cluster gives it a meaning. A
//! session's id is drawn by the asker, so a late frame of another one is recognised and dropped.

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;

/// From the asking node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Up {
    /// Which session.
    pub session: u128,
    /// What it says.
    pub body: UpBody,
}

/// What the asking node says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum UpBody {
    /// It begins.
    Open {
        /// Who asks.
        from: NodeId,
        /// What is asked.
        request: Vec<u8>,
    },
    /// So many more frames may be sent.
    Credit(u32),
    /// Nobody wants the rest.
    Cancel,
}

/// From the answering node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Down {
    /// Which session.
    pub session: u128,
    /// What it says.
    pub body: DownBody,
}

/// What the answering node says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DownBody {
    /// It is at work.
    Beat,
    /// A part of the answer.
    Part(Vec<u8>),
    /// That was all.
    End,
    /// There will be no answer.
    Refused {
        /// Why.
        reason: String,
    },
}
