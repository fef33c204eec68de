//! The boundary between the engine and whatever runs a model: [`Executor`].
//!
//! An executor is anything that can run a batch of tokens through a model: one CPU, one GPU, a
//! tensor-parallel group, or a chain of machines. The scheduler, the prefix cache and the sampler's
//! policy are written once above this line and do not know which.
//!
//! # Who calls what, and when
//!
//! One OS thread (the engine loop) owns the executor and makes every call; implementations need
//! [`Send`] to be moved there, never `Sync`. For one sequence the order is
//!
//! 1. [`open`](Executor::open) (or [`fork`](Executor::fork) from an open one), once;
//! 2. [`submit`](Executor::submit) of steps that hold rows of that sequence, each answered by one
//!    [`StepOutput`] from [`complete`](Executor::complete), in submission order;
//! 3. [`truncate`](Executor::truncate), any number of times, never while a row of it is in flight;
//! 4. [`close`](Executor::close), once, never while a row of it is in flight.
//!
//! The scheduler is the only owner of KV blocks. Block ids arrive in each row's block table; an
//! executor keeps pages under those ids and never allocates, shares or frees one. That makes prefix
//! caching, forking and truncation work unchanged across machines: every stage of a pipeline keeps
//! its own layers' pages under the same ids.
//!
//! # What a step means
//!
//! Copies first ([`Step::block_copies`], for copy-on-write), then all rows, as if at once. A row
//! feeds [`Row::tokens`] at positions `start..start + tokens.len()`, attends to everything before
//! them in its block table, writes their keys and values, and, if [`Row::sample`] is set, draws one
//! token after each of its last `sample.positions` positions.
//!
//! # Batch invariance
//!
//! On an executor whose [`Capabilities::batch_invariant`] is true, a row's result depends neither
//! on the rows beside it nor on how its prompt was cut into chunks, bit for bit.

pub mod rows;
mod sequence;
mod stage;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use sequence::SequenceState;
pub use stage::{Activations, StageExecutor, StageOutput};

use crate::sampling::SamplingParams;

/// Index into the model's vocabulary.
pub type TokenId = u32;

/// One sequence as the engine numbers it; never reused within an executor's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(pub u64);

/// Number of one step; increases by one for each step submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub u64);

/// Version of an instance's plan. Messages of an older epoch are dropped. A single machine stays at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

/// One page of the KV memory: the keys and values of `block_size` positions in every layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// What an executor can do and how much it holds; fixed once it is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Capabilities {
    /// Short name for logs and metrics: `cpu`, `mlx-metal`, `pipeline`.
    pub name: String,
    /// Positions per KV block.
    pub block_size: usize,
    /// KV blocks available; valid ids are `0..num_blocks`.
    pub num_blocks: usize,
    /// Steps it can hold in flight: 1 for a CPU, 2 for a GPU, the number of stages for a pipeline.
    pub max_steps_in_flight: usize,
    /// Parts of it that work on different steps at once: the number of stages for a pipeline, else
    /// 1. Rows that could run together are divided over so many steps, to keep all parts busy.
    pub stages: usize,
    /// Most rows in one step.
    pub max_rows: usize,
    /// Most tokens in one step, summed over its rows.
    pub max_tokens: usize,
    /// Longest sequence (positions) the loaded model supports.
    pub max_positions: usize,
    /// Logits per position; sampled ids are below this.
    pub vocab_size: usize,
    /// Whether a row's result is independent of its neighbours and of chunking, bit for bit.
    pub batch_invariant: bool,
    /// Bytes of weights held.
    pub weight_bytes: u64,
    /// Bytes of KV memory held (all blocks).
    pub kv_bytes: u64,
}

/// How much KV memory an executor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvMemory {
    /// As many blocks as fit.
    Bytes(usize),
    /// This many blocks.
    Blocks(usize),
}

/// A batch of rows that pass through the model together.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// This step's number; its [`StepOutput`] repeats it.
    pub id: StepId,
    /// The plan this step was made for.
    pub epoch: Epoch,
    /// Whole-block copies to make before any row runs.
    pub block_copies: Vec<BlockCopy>,
    /// At most one row per sequence.
    pub rows: Vec<Row>,
}

/// Copy every layer's keys and values of block `from` into block `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCopy {
    /// Source block.
    pub from: BlockId,
    /// Destination block; not in any other row's table of this step.
    pub to: BlockId,
}

/// One sequence's part of a step: a prefill chunk (many tokens) or a decode step (one token).
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which open sequence this row extends.
    pub sequence: SequenceId,
    /// Position of `tokens[0]`, equal to the number of positions whose keys and values exist.
    pub start: usize,
    /// Token ids to feed; never empty.
    pub tokens: Vec<TokenId>,
    /// Blocks that hold positions `0..start + tokens.len()`, in order; the last may be partly used.
    pub block_table: Vec<BlockId>,
    /// Draw tokens from this row's logits, or `None` to only write keys and values.
    pub sample: Option<SampleRequest>,
}

/// How to turn the row's last hidden states into tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRequest {
    /// How many trailing positions of the row want a token; 1 for decoding, more to verify a
    /// speculated continuation. Between 1 and `tokens.len()`.
    pub positions: usize,
    /// Tokens allowed after the last position (a grammar's mask), or `None` for all. Only legal
    /// with `positions == 1`.
    pub mask: Option<Arc<TokenMask>>,
}

/// A set of allowed tokens, one bit per vocabulary entry. It may still be in the making while the
/// step that carries it runs: the first look at it waits until it is there, so that a grammar's mask
/// is computed beside the forward pass instead of before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenMask {
    words: OnceLock<Vec<u32>>,
}

impl TokenMask {
    /// A mask from little-endian bit words: bit `i % 32` of `words[i / 32]` allows token `i`.
    /// Tokens beyond the words are not allowed.
    #[must_use]
    pub fn from_words(words: Vec<u32>) -> Self {
        Self {
            words: OnceLock::from(words),
        }
    }

    /// A mask that somebody else fills in. Dropping the [`PendingMask`] unfilled allows nothing,
    /// which fails the row instead of blocking the executor for ever.
    #[must_use]
    pub fn pending() -> (Arc<Self>, PendingMask) {
        let mask = Arc::new(Self {
            words: OnceLock::new(),
        });
        (Arc::clone(&mask), PendingMask(mask))
    }

    /// The bit words; waits until they are known.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        self.words.wait()
    }

    /// Whether `token` may be drawn; waits until the mask is known.
    #[must_use]
    pub fn allows(&self, token: TokenId) -> bool {
        self.words()
            .get(token as usize / 32)
            .is_some_and(|word| word >> (token % 32) & 1 == 1)
    }
}

/// The duty to fill a [`TokenMask`].
#[derive(Debug)]
pub struct PendingMask(Arc<TokenMask>);

impl PendingMask {
    /// Fills the mask; see [`TokenMask::from_words`].
    pub fn fill(self, words: Vec<u32>) {
        // Only this value can fill it, once, so nothing can be there yet.
        let _ = self.0.words.set(words);
    }
}

impl Drop for PendingMask {
    fn drop(&mut self) {
        let _ = self.0.words.set(Vec::new());
    }
}

/// What a sequence needs from the last stage for as long as it is open.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceSpec {
    /// How tokens are drawn.
    pub sampling: Arc<SamplingParams>,
    /// The prompt, for penalties that look at it. Rows may skip a cached prefix of it, so the
    /// executor cannot learn it from rows alone.
    pub prompt: Arc<[TokenId]>,
}

/// The answer to one [`Step`], in submission order.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// The step this answers.
    pub id: StepId,
    /// The plan the step ran under.
    pub epoch: Epoch,
    /// One entry per row, in the step's row order.
    pub rows: Vec<RowOutput>,
}

impl StepOutput {
    /// The answer to `step`, from one result per row, in the step's row order.
    #[must_use]
    pub fn new(step: &Step, results: Vec<Result<Vec<SampledToken>, RowError>>) -> Self {
        let rows = step.rows.iter().zip(results);
        Self {
            id: step.id,
            epoch: step.epoch,
            rows: rows
                .map(|(row, result)| RowOutput {
                    sequence: row.sequence,
                    result,
                })
                .collect(),
        }
    }
}

/// The answer to one [`Row`].
#[derive(Debug, Clone, PartialEq)]
pub struct RowOutput {
    /// Which sequence.
    pub sequence: SequenceId,
    /// The drawn tokens (empty when none were asked for), or why this row alone failed. After an
    /// error the keys and values of the row's positions are undefined.
    pub result: Result<Vec<SampledToken>, RowError>,
}

/// How the hidden states of a sequence become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The last position's, which has seen all others.
    #[default]
    Last,
    /// The mean over all positions.
    Mean,
}

/// A drawn token with what the client asked to know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledToken {
    /// The token.
    pub token: TokenId,
    /// Its natural-log probability under the model's own distribution (softmax of the raw logits,
    /// before penalties, temperature and truncation); present when `SamplingParams::logprobs` is.
    pub logprob: Option<f32>,
    /// The `SamplingParams::logprobs` most likely tokens with their log probabilities, best first.
    pub top_logprobs: Vec<(TokenId, f32)>,
}

/// Why one row failed while the others went on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row breaks a rule of this module (empty, beyond the model's positions, unknown
    /// sequence, bad block id, token outside the vocabulary).
    #[error("invalid row: {0}")]
    Invalid(String),
    /// The model produced NaN or no finite logit: broken weights or a numeric overflow.
    #[error("the model produced no usable logits (NaN or all -inf)")]
    NotFinite,
    /// The device had no memory for this row, not even for one token of it.
    #[error("the device has not enough memory for this row")]
    OutOfMemory,
    /// The mask allows no token.
    #[error("the grammar allows no token here")]
    EmptyMask,
}

/// Why the executor as a whole cannot go on with this step or this load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// `open`/`fork` named a sequence that is already open, or another call one that is not.
    #[error("sequence {0:?} is not in the state this call needs")]
    Sequence(SequenceId),
    /// More steps were submitted than `max_steps_in_flight`.
    #[error("too many steps in flight (limit {limit})")]
    TooManySteps {
        /// The executor's limit.
        limit: usize,
    },
    /// `complete` was called with nothing in flight.
    #[error("no step is in flight")]
    Idle,
    /// The device refused an allocation.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// This executor cannot do what was asked; nothing is lost.
    #[error("executor `{name}` cannot {what}")]
    Unsupported {
        /// The executor's name.
        name: String,
        /// What it cannot do.
        what: &'static str,
    },
    /// A machine that ran a part of the model has gone; every sequence is lost. The model can be
    /// loaded again on what is left.
    #[error("{0}")]
    Lost(String),
    /// The device, a peer or a kernel failed; every sequence it holds is lost.
    #[error("executor failed: {0}")]
    Failed(String),
}

/// Runs batches of tokens through one loaded model. See the [module documentation](self).
pub trait Executor: Send {
    /// Fixed facts about this executor.
    fn capabilities(&self) -> &Capabilities;

    /// Makes `sequence` known. Holds no KV memory by itself.
    ///
    /// # Errors
    /// [`ExecutorError::Sequence`] if it is already open.
    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError>;

    /// Makes `child` known with `parent`'s token history so far and its own sampling. The
    /// scheduler shares the parent's blocks in the child's rows.
    ///
    /// # Errors
    /// [`ExecutorError::Sequence`] if the parent is not open or the child is.
    fn fork(
        &mut self,
        parent: SequenceId,
        child: SequenceId,
        sampling: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError>;

    /// Forgets everything at positions `len..` of `sequence` (a rejected speculation).
    ///
    /// # Errors
    /// [`ExecutorError::Sequence`] if it is not open.
    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError>;

    /// Forgets `sequence`.
    ///
    /// # Errors
    /// [`ExecutorError::Sequence`] if it is not open.
    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError>;

    /// Hands over a step. May run it at once (a CPU) or return while it runs.
    ///
    /// # Errors
    /// [`ExecutorError::TooManySteps`], or a device failure. A row that breaks a rule is not an
    /// error of the step: it fails alone, in its [`RowOutput`].
    fn submit(&mut self, step: Step) -> Result<(), ExecutorError>;

    /// Waits for up to `wait` until [`complete`](Self::complete) would return at once, if only with an
    /// error, and says whether it would. Whoever has more to submit asks before it waits for a step; an
    /// executor that cannot tell, or takes one step at a time, says yes.
    ///
    /// # Errors
    /// Device failures.
    fn ready(&mut self, wait: Duration) -> Result<bool, ExecutorError> {
        let _ = wait;
        Ok(true)
    }

    /// Waits for the oldest step in flight and returns its output.
    ///
    /// # Errors
    /// [`ExecutorError::Idle`] if nothing is in flight; device failures.
    fn complete(&mut self) -> Result<StepOutput, ExecutorError>;

    /// Runs rows as a step would, but for embeddings: nothing is drawn, and each row's hidden states
    /// (after the last norm) go into its entry of `sums`. [`Pooling::Mean`] adds them there, one
    /// position after the other, so that a sequence's sum does not depend on how it was cut into rows;
    /// [`Pooling::Last`] leaves the last position's. An entry is empty before its sequence's first row.
    ///
    /// Called with no step in flight, on open sequences, with rows that have no `sample`.
    ///
    /// # Errors
    /// [`ExecutorError::Unsupported`] where it is not implemented; device failures. A row that breaks
    /// a rule fails alone.
    fn pool(
        &mut self,
        rows: &[Row],
        pooling: Pooling,
        sums: &mut [Vec<f32>],
    ) -> Result<Vec<Result<(), RowError>>, ExecutorError> {
        let _ = (rows, pooling, sums);
        Err(ExecutorError::Unsupported {
            name: self.capabilities().name.clone(),
            what: "embed",
        })
    }
}
