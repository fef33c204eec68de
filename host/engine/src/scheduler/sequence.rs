//! The scheduler's records: requests, their sequences, and steps in flight.

use std::sync::Arc;

use super::{Finish, RequestId};
use crate::executor::{BlockId, SequenceId, StepId, TokenId};
use crate::kv::BlockHash;
use crate::sampling::SamplingParams;

/// Order of seniority: arrival of the request, then choice.
pub(super) type Age = (u64, u32);

/// One of a request's answers.
#[derive(Debug)]
pub(super) struct Choice {
    pub sampling: Arc<SamplingParams>,
    /// Ended, or cancelled before it was forked.
    pub ended: bool,
}

/// A request: one sequence per choice once forked, its leader alone before.
#[derive(Debug)]
pub(super) struct Group {
    pub prompt: Arc<[TokenId]>,
    pub stop_tokens: Arc<[TokenId]>,
    pub choices: Vec<Choice>,
    pub arrival: u64,
    pub priority: i32,
    pub owner: Arc<str>,
    /// Tokens each choice may draw, and what it means to have drawn them.
    pub max_new: usize,
    pub at_max: Finish,
    /// Choices are sequences of their own; true from the start for a single choice.
    pub forked: bool,
    /// Was admitted once.
    pub started: bool,
    /// Sequences not yet removed.
    pub sequences: usize,
}

impl Group {
    /// Sequences that run, or will once forked.
    pub fn width(&self) -> usize {
        self.choices.iter().filter(|choice| !choice.ended).count()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Running,
    /// Waits only for its rows in flight.
    Ended,
}

#[derive(Debug)]
pub(super) struct Sequence {
    pub request: RequestId,
    pub choice: u32,
    pub age: Age,
    pub state: State,
    /// Prompt and drawn tokens.
    pub tokens: Vec<TokenId>,
    pub prompt_len: usize,
    /// Positions in completed steps.
    pub computed: usize,
    /// Positions in submitted steps.
    pub submitted: usize,
    pub rows_in_flight: usize,
    /// A row in flight draws the next token.
    pub awaiting: bool,
    pub table: Vec<BlockId>,
    /// Names of the leading full blocks of `tokens`, as far as needed so far; element 0 is the
    /// root, element `i + 1` names block `i`.
    pub chain: Vec<BlockHash>,
    /// Leading blocks whose names have been given to the pool.
    pub published: usize,
    /// The executor knows it.
    pub opened: bool,
    /// Leading tokens the executor has seen since it was last told to forget any. Its penalties
    /// need them all, so no prefix hit may skip beyond.
    pub known_to_executor: usize,
}

impl Sequence {
    pub fn generated(&self) -> usize {
        self.tokens.len() - self.prompt_len
    }

    /// The name of block `index`, which must be full of known tokens.
    pub fn block_hash(&mut self, index: usize, block_size: usize) -> Option<BlockHash> {
        while self.chain.len() <= index + 1 {
            let block = self.chain.len() - 1;
            let tokens = self
                .tokens
                .get(block * block_size..(block + 1) * block_size)?;
            let next = self.chain.last()?.child(tokens);
            self.chain.push(next);
        }
        self.chain.get(index + 1).copied()
    }
}

/// What to remember about a row until its step completes.
#[derive(Debug)]
pub(super) struct InFlightRow {
    pub sequence: SequenceId,
    /// Positions that exist once it completes.
    pub end: usize,
    /// Tokens it draws.
    pub draws: usize,
}

#[derive(Debug)]
pub(super) struct InFlightStep {
    pub id: StepId,
    pub rows: Vec<InFlightRow>,
}
