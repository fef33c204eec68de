//! What machines say to each other, and the bytes it has on the wire.
//!
//! Every frame begins with one byte, [`VERSION`]; what follows is [postcard](https://postcard.jamesmunns.com/wire-format)
//! of one of the types here, and after that, for [`Hidden`], the raw numbers. The types repeat the
//! engine's on purpose: the engine may change its own freely, while a change here changes the bytes,
//! which `tests/wire.rs` holds frozen. A frame of another version is refused with both numbers named,
//! never guessed at.
//!
//! Everything that arrives is untrusted. Decoding checks form; what values mean (ranges, lengths,
//! ids) is checked where they are used, before anything is allocated or run by them.

pub mod call;
mod convert;
mod hidden;
pub mod session;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use hidden::{Hidden, Precision};

/// The version of every frame that this build writes and reads.
pub const VERSION: u8 = 1;

/// Why a frame cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// There is nothing in it.
    #[error("an empty frame")]
    Empty,
    /// The other side speaks another version.
    #[error(
        "a frame of wire version {theirs}, but this node speaks {VERSION}; run the same version of Atoll on both"
    )]
    Version {
        /// The frame's version.
        theirs: u8,
    },
    /// The bytes are not what they should be.
    #[error("a malformed frame: {0}")]
    Malformed(String),
}

impl WireError {
    fn malformed(reason: impl ToString) -> Self {
        Self::Malformed(reason.to_string())
    }
}

/// The frame of a message.
///
/// # Errors
/// [`WireError::Malformed`], which no type here can cause.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    postcard::to_extend(message, vec![VERSION]).map_err(WireError::malformed)
}

/// The message in a frame, to its last byte.
///
/// # Errors
/// [`WireError`].
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, WireError> {
    let (message, rest) = decode_head(frame)?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(WireError::Malformed(format!(
            "{} bytes too many",
            rest.len()
        )))
    }
}

/// The message at the beginning of a frame, and the bytes after it.
fn decode_head<T: DeserializeOwned>(frame: &[u8]) -> Result<(T, &[u8]), WireError> {
    match frame.split_first() {
        None => Err(WireError::Empty),
        Some((&VERSION, body)) => postcard::take_from_bytes(body).map_err(WireError::malformed),
        Some((&theirs, _)) => Err(WireError::Version { theirs }),
    }
}

/// From the coordinator to one stage: commands, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commands {
    /// The plan they belong to.
    pub epoch: u64,
    /// What to do.
    pub commands: Vec<Command>,
}

/// One call of the engine's executor trait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// A sequence begins.
    Open {
        /// Which.
        sequence: u64,
        /// How it draws.
        sampling: Sampling,
        /// Its prompt.
        prompt: Vec<u32>,
    },
    /// A sequence splits off another.
    Fork {
        /// The open one.
        parent: u64,
        /// The new one.
        child: u64,
        /// How the new one draws.
        sampling: Sampling,
    },
    /// A sequence forgets its end.
    Truncate {
        /// Which.
        sequence: u64,
        /// Positions that stay.
        len: u64,
    },
    /// A sequence ends.
    Close {
        /// Which.
        sequence: u64,
    },
    /// A step is to be run, once the stage before has.
    Step(Step),
}

/// The engine's `Step`, without its epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number.
    pub id: u64,
    /// Copies of whole blocks: from, to.
    pub copies: Vec<(u32, u32)>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// The engine's `Row`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which sequence.
    pub sequence: u64,
    /// Position of the first token.
    pub start: u64,
    /// Tokens.
    pub tokens: Vec<u32>,
    /// Blocks.
    pub blocks: Vec<u32>,
    /// What to draw.
    pub sample: Option<Sample>,
}

/// The engine's `SampleRequest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Trailing positions that want a token.
    pub positions: u64,
    /// Little-endian words of the allowed tokens' bits; sent to the last stage only.
    pub mask: Option<Vec<u8>>,
}

/// The engine's `SamplingParams`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Divides logits.
    pub temperature: f32,
    /// Most candidates.
    pub top_k: Option<u32>,
    /// Mass kept.
    pub top_p: f32,
    /// Likelihood kept.
    pub min_p: f32,
    /// Penalty on tokens seen.
    pub repetition_penalty: f32,
    /// How far back it looks.
    pub repeat_last_n: Option<u64>,
    /// Penalty on tokens of the answer.
    pub presence_penalty: f32,
    /// The same, per occurrence.
    pub frequency_penalty: f32,
    /// Added to single logits.
    pub logit_bias: Vec<(u32, f32)>,
    /// Of the generator.
    pub seed: u64,
    /// Alternatives to report.
    pub logprobs: Option<u32>,
}

/// From a stage to its coordinator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The plan it belongs to.
    pub epoch: u64,
    /// Which stage, counted from 0.
    pub stage: u32,
    /// What it says.
    pub body: ReplyBody,
}

/// What a stage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ReplyBody {
    /// It lives.
    Beat,
    /// The last stage has run a step.
    Output {
        /// The step's number.
        step: u64,
        /// One entry per row, in the step's order.
        rows: Vec<RowResult>,
    },
    /// It cannot go on.
    Failed {
        /// Why.
        reason: String,
    },
}

/// The engine's `RowOutput`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowResult {
    /// Which sequence.
    pub sequence: u64,
    /// Its tokens, or why there are none.
    pub result: Result<Vec<Sampled>, RowFault>,
}

/// The engine's `SampledToken`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// The token.
    pub token: u32,
    /// Its log probability.
    pub logprob: Option<f32>,
    /// Likely tokens.
    pub top: Vec<(u32, f32)>,
}

/// The engine's `RowError`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RowFault {
    /// It breaks a rule.
    Invalid(String),
    /// The logits are of no use.
    NotFinite,
    /// No token is allowed.
    EmptyMask,
}
