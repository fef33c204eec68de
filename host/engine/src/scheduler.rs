//! Which rows run in the next step: a pure, deterministic state machine.
//!
//! It holds no tensor, does no I/O and has no clock. The engine loop adds requests, asks for the
//! next [`Schedule`], carries it out on an executor, and hands back each
//! [`StepOutput`](crate::executor::StepOutput); the same
//! calls in the same order give the same schedule, on any machine.
//!
//! # What a step contains
//!
//! A sequence is the tokens it knows and how many of them have been fed. One that lacks a single
//! token is *decoding*, whether that token was just drawn or ends its prompt; one that lacks more
//! is *prefilling*. Every decode row whose token is known goes into the step first, oldest request
//! first. Prefill chunks fill what is left of the token budget: at most
//! [`SchedulerConfig::prefill_chunk`] tokens a step while any stream is running, so that a long
//! prompt costs its neighbours a bounded delay. Half of that belongs to the oldest prompt, the rest
//! to whoever needs least, so a short question does not wait behind a book and the book still ends.
//!
//! Several steps may be in flight. A prefill chunk follows its predecessor at once; a decode row
//! waits for the token it feeds.
//!
//! On a pipeline of several stages one step can only keep one stage busy. There a step takes its
//! share of the running sequences (all of them, divided by the stages, rounded up), the same of the
//! prompts being computed, and prompts are always cut into chunks. The shares of all steps together hold every running sequence, so a row
//! that finds its step full has a place in a later one, and none starves.
//!
//! # Memory
//!
//! Admission is optimistic: a request enters when its prompt's blocks (less those found in the
//! prefix cache) are available, not when its longest answer is. When a decode row then finds no
//! block, the youngest running sequence gives its blocks up and goes back to the waiting queue;
//! its blocks stay in the cache, so that coming back costs little. The oldest sequence is never a
//! victim, and a request that could not finish even alone is refused by [`Scheduler::add`], so
//! something always progresses. Waiting requests are admitted strictly in the order the
//! [`QueuePolicy`] gives, none overtakes, so none starves under a policy that does not starve it. A
//! policy may hold requests back, or refuse them; while nothing runs the first of those held back
//! come in all the same.
//!
//! Because no more sequences run than a step has rows and tokens, no decode row is ever left out
//! for lack of room in a step (only, on a pipeline, for lack of room in a share).
//!
//! # Several choices
//!
//! A request for `n` choices prefills its prompt once up to the last token, then forks; each
//! choice feeds that token itself and draws with its own seed. The block they share is copied by
//! all but the last to write it.
//!
//! # Speculation
//!
//! The seam is there and unused: rows carry `sample.positions`, [`SequenceOp::Truncate`] takes back
//! positions, and a row's answer is a list of tokens.

mod admission;
mod memory;
mod outcome;
mod plan;
mod policy;
mod sequence;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use policy::{
    Decision, FirstComeFirstServed, QueueLoad, QueuePolicy, RECENT_TOKENS, WaitingFacts,
};

use crate::executor::{
    Capabilities, Epoch, RowError, SampledToken, SequenceId, SequenceSpec, Step, TokenId,
};
use crate::kv::{BlockHash, BlockPool};
use crate::sampling::SamplingParams;
use sequence::{Age, Group, InFlightStep, Sequence};

/// A request as the engine numbers it; never reused within a scheduler's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Limits and habits of one scheduler.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// Positions per KV block.
    pub block_size: usize,
    /// KV blocks there are.
    pub num_blocks: usize,
    /// Most rows in one step, and most sequences running at once.
    pub max_rows: usize,
    /// Most tokens in one step.
    pub max_tokens: usize,
    /// Steps the executor holds in flight.
    pub max_steps_in_flight: usize,
    /// Steps to divide the running sequences over, at least 1.
    pub stages: usize,
    /// Longest sequence, prompt and answer together.
    pub max_positions: usize,
    /// Most prefill tokens in one step while any stream is running. Small keeps streams smooth,
    /// large lets a new prompt answer sooner.
    pub prefill_chunk: usize,
    /// Most requests that wait beyond those that could start at once; at least 1.
    pub max_waiting: usize,
    /// Whether finished blocks are kept for later prompts.
    pub prefix_cache: bool,
    /// What besides tokens the keys and values depend on: model and adapter.
    pub cache_salt: String,
    /// The plan steps are made for.
    pub epoch: Epoch,
}

impl SchedulerConfig {
    /// What an executor's capabilities imply, with a prefill chunk of 256 and 256 waiting.
    #[must_use]
    pub fn new(capabilities: &Capabilities) -> Self {
        Self {
            block_size: capabilities.block_size.max(1),
            num_blocks: capabilities.num_blocks,
            max_rows: capabilities.max_rows.max(1),
            max_tokens: capabilities.max_tokens.max(1),
            max_steps_in_flight: capabilities.max_steps_in_flight.max(1),
            stages: capabilities.stages.max(1),
            max_positions: capabilities.max_positions,
            prefill_chunk: 256,
            max_waiting: 256,
            prefix_cache: true,
            cache_salt: String::new(),
            epoch: Epoch::default(),
        }
    }

    /// Most sequences that run at once.
    fn max_running(&self) -> usize {
        self.max_rows.min(self.max_tokens).max(1)
    }
}

/// What the scheduler needs to know about a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its number.
    pub id: RequestId,
    /// The prompt; not empty.
    pub prompt: Arc<[TokenId]>,
    /// One entry per choice; not empty.
    pub choices: Vec<Arc<SamplingParams>>,
    /// Longest answer of each choice in tokens, at least 1; `None` goes on until the context or
    /// the memory of the whole executor is full.
    pub max_tokens: Option<usize>,
    /// Tokens that end a choice.
    pub stop_tokens: Arc<[TokenId]>,
    /// Requests with different salts never share cached blocks.
    pub cache_salt: Option<String>,
    /// For the queue policy; the built-in first-come policy ignores it.
    pub priority: i32,
    /// On whose behalf, for the queue policy; empty for nobody in particular.
    pub owner: Arc<str>,
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// There is nothing to continue.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// `max_tokens` is 0 or there is no choice.
    #[error("nothing is asked for")]
    NothingAsked,
    /// The id is in use.
    #[error("request {0:?} exists already")]
    Duplicate(RequestId),
    /// More choices than sequences can run at once.
    #[error("{choices} choices, but at most {max} sequences run at once")]
    TooManyChoices {
        /// Asked for.
        choices: usize,
        /// The limit.
        max: usize,
    },
    /// The prompt leaves no room for a single token of answer.
    #[error("the prompt has {tokens} tokens, the model takes at most {max}")]
    ContextOverflow {
        /// Tokens of the prompt.
        tokens: usize,
        /// Longest prompt.
        max: usize,
    },
    /// Even alone it would need more KV memory than there is.
    #[error("needs {needed} KV blocks, there are {total}")]
    NeverFits {
        /// Blocks for the prompt and the longest answers.
        needed: usize,
        /// Blocks of the executor.
        total: usize,
    },
    /// The waiting queue is full.
    #[error("{waiting} requests are waiting already")]
    QueueFull {
        /// Requests waiting.
        waiting: usize,
    },
}

/// The executor's answer does not fit the step it claims to answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the executor broke its contract: {0}")]
pub struct ProtocolError(pub String);

/// Why a choice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finish {
    /// It drew this stop token.
    StopToken(TokenId),
    /// It has `max_tokens` tokens.
    Length,
    /// The context, or the whole KV memory, is full.
    ContextWindow,
}

/// What happened to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Admitted for the first time.
    Started {
        /// Which.
        request: RequestId,
        /// Prompt tokens whose keys and values were found in the prefix cache.
        cached_tokens: usize,
    },
    /// The queue policy refused it before it began.
    Rejected {
        /// Which.
        request: RequestId,
    },
    /// A prefill chunk of a prompt completed.
    Prefilled {
        /// Which.
        request: RequestId,
        /// Prompt tokens done.
        done: usize,
    },
    /// A choice drew a token.
    Token {
        /// Which.
        request: RequestId,
        /// Which of its choices.
        choice: u32,
        /// The token.
        sampled: SampledToken,
        /// Set when this was the choice's last.
        finish: Option<Finish>,
    },
    /// A choice ended because its row failed.
    Failed {
        /// Which.
        request: RequestId,
        /// Which of its choices.
        choice: u32,
        /// Why.
        error: RowError,
    },
}

/// A call to make on the executor before the step is submitted, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum SequenceOp {
    /// [`Executor::open`](crate::executor::Executor::open).
    Open {
        /// The new sequence.
        sequence: SequenceId,
        /// What it needs.
        spec: SequenceSpec,
    },
    /// [`Executor::fork`](crate::executor::Executor::fork).
    Fork {
        /// An open sequence.
        parent: SequenceId,
        /// The new one.
        child: SequenceId,
        /// How the child draws.
        sampling: Arc<SamplingParams>,
    },
    /// [`Executor::truncate`](crate::executor::Executor::truncate): after a preemption, and for
    /// rejected speculation.
    Truncate {
        /// Which.
        sequence: SequenceId,
        /// Positions that stay.
        len: usize,
    },
    /// [`Executor::close`](crate::executor::Executor::close).
    Close {
        /// Which.
        sequence: SequenceId,
    },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schedule {
    /// Calls to make first.
    pub ops: Vec<SequenceOp>,
    /// The step to submit, if any row can run now.
    pub step: Option<Step>,
    /// What happened while deciding.
    pub events: Vec<Event>,
}

/// Facts for metrics and admission, all current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchedulerLoad {
    /// Sequences waiting, preempted ones included.
    pub waiting: usize,
    /// Sequences running.
    pub running: usize,
    /// Steps in flight.
    pub steps_in_flight: usize,
    /// KV blocks there are.
    pub total_blocks: usize,
    /// KV blocks that could be handed out now: free, or cached and unreferenced.
    pub available_blocks: usize,
    /// KV blocks whose contents a later prompt may reuse.
    pub cached_blocks: usize,
    /// Tokens in those.
    pub cached_tokens: usize,
    /// Sequences that gave up their blocks, since the start.
    pub preemptions: u64,
    /// Cached blocks overwritten, since the start.
    pub evictions: u64,
    /// Prompt tokens admitted, since the start.
    pub prompt_tokens: u64,
    /// Of those, found in the prefix cache.
    pub hit_tokens: u64,
    /// Tokens drawn, since the start.
    pub output_tokens: u64,
    /// Steps submitted, since the start.
    pub steps: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    preemptions: u64,
    prompt_tokens: u64,
    hit_tokens: u64,
    output_tokens: u64,
}

/// The state machine. See the [module documentation](self).
pub struct Scheduler {
    config: SchedulerConfig,
    policy: Box<dyn QueuePolicy>,
    pool: BlockPool,
    groups: BTreeMap<RequestId, Group>,
    /// All sequences that hold anything: waiting, running, or ended with a row in flight.
    sequences: BTreeMap<SequenceId, Sequence>,
    /// Running ones, oldest first.
    running: BTreeMap<Age, SequenceId>,
    /// In admission order once `queue_changed` has been dealt with.
    waiting: VecDeque<SequenceId>,
    /// How many of those, from the front, the policy lets in when there is room.
    admissible: usize,
    /// Who waits, or how much room there is, changed since the policy was asked.
    queue_changed: bool,
    /// What admission last failed against: head of the queue, blocks returned, sequences running.
    /// Nothing to retry while it is unchanged.
    blocked: Option<(SequenceId, u64, usize)>,
    in_flight: VecDeque<InFlightStep>,
    /// Calls the executor has yet to get.
    ops: Vec<SequenceOp>,
    next_step: u64,
    next_sequence: u64,
    next_arrival: u64,
    counters: Counters,
    recent: policy::Recent,
}

impl Scheduler {
    /// A scheduler with all blocks free and nothing to do.
    #[must_use]
    pub fn new(config: SchedulerConfig, policy: Box<dyn QueuePolicy>) -> Self {
        Self {
            pool: BlockPool::new(config.num_blocks),
            config,
            policy,
            groups: BTreeMap::new(),
            sequences: BTreeMap::new(),
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            admissible: 0,
            queue_changed: false,
            recent: policy::Recent::default(),
            blocked: None,
            in_flight: VecDeque::new(),
            ops: Vec::new(),
            next_step: 0,
            next_sequence: 0,
            next_arrival: 0,
            counters: Counters::default(),
        }
    }

    /// The limits it works under.
    #[must_use]
    pub fn config(&self) -> &SchedulerConfig {
        &self.config
    }

    /// The block pool, to look at.
    #[must_use]
    pub fn pool(&self) -> &BlockPool {
        &self.pool
    }

    /// Whether nothing is waiting, running, in flight or left to tell the executor.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sequences.is_empty() && self.in_flight.is_empty() && self.ops.is_empty()
    }

    /// Whether another step may be submitted before one completes.
    #[must_use]
    pub fn has_room_in_flight(&self) -> bool {
        self.in_flight.len() < self.config.max_steps_in_flight
    }

    /// Steps in flight.
    #[must_use]
    pub fn steps_in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The request and choice a sequence belongs to.
    #[must_use]
    pub fn owner(&self, sequence: SequenceId) -> Option<(RequestId, u32)> {
        self.sequences
            .get(&sequence)
            .map(|sequence| (sequence.request, sequence.choice))
    }

    /// Current facts.
    #[must_use]
    pub fn load(&self) -> SchedulerLoad {
        let pool = self.pool.load();
        SchedulerLoad {
            waiting: self.waiting.len(),
            running: self.running.len(),
            steps_in_flight: self.in_flight.len(),
            total_blocks: pool.total,
            available_blocks: self.pool.available(),
            cached_blocks: pool.published,
            cached_tokens: pool.published * self.config.block_size,
            preemptions: self.counters.preemptions,
            evictions: self.pool.evictions(),
            prompt_tokens: self.counters.prompt_tokens,
            hit_tokens: self.counters.hit_tokens,
            output_tokens: self.counters.output_tokens,
            steps: self.next_step,
        }
    }

    /// Ends every choice of `request`, wherever it is. Blocks of a row in flight come back when its
    /// step completes. Unknown requests are ignored: they may just have ended.
    pub fn cancel(&mut self, request: RequestId) {
        let Some(group) = self.groups.get_mut(&request) else {
            return;
        };
        for choice in &mut group.choices {
            choice.ended = true;
        }
        let members: Vec<SequenceId> = self
            .sequences
            .iter()
            .filter(|(_, sequence)| sequence.request == request)
            .map(|(&id, _)| id)
            .collect();
        for id in members {
            self.end_sequence(id);
        }
    }

    /// Ends one choice (a stop string was found). Ignored when it has ended already. Only a choice
    /// that has drawn a token can be ended alone.
    pub fn finish_choice(&mut self, request: RequestId, choice: u32) {
        let member = self
            .sequences
            .iter()
            .find(|(_, s)| s.request == request && s.choice == choice && s.generated() > 0)
            .map(|(&id, _)| id);
        if let Some(id) = member {
            self.end_sequence(id);
        }
    }

    /// The chain of block hashes starts here for requests of one salt.
    fn cache_root(&self, salt: Option<&str>) -> BlockHash {
        BlockHash::root(&[
            self.config.cache_salt.as_bytes(),
            salt.unwrap_or_default().as_bytes(),
        ])
    }

    fn fresh_sequence_id(&mut self) -> SequenceId {
        let id = SequenceId(self.next_sequence);
        self.next_sequence += 1;
        id
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler")
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}
