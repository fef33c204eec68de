//! A deterministic executor for tests: no model, every rule of the contract checked.
//!
//! Its pages hold numbers instead of keys and values: the number at a position depends on the
//! token there and on the number before it, and a draw folds all numbers of the sequence, *read back
//! through the row's block table*. So a wrong table, a missed copy, a page overwritten while in use
//! or a stale prefix hit changes the drawn token, and [`FakeExecutor::oracle`], which needs no pages
//! at all, tells. Rows also check the rules they can: pages written before they are read, history
//! complete, no call on a sequence with rows in flight, limits of the capabilities respected.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::engine::{ChatPrompt, EngineError, ModelText, TextStream};
use crate::executor::{
    Capabilities, Executor, ExecutorError, Pooling, Row, RowError, RowOutput, SampledToken,
    SequenceId, SequenceSpec, Step, StepOutput, TokenId,
};
use crate::sampling::SamplingParams;
use crate::text::TextError;

/// How a [`FakeExecutor`] misbehaves, if it does.
#[derive(Debug, Default)]
pub struct FakeFaults {
    /// A row that feeds this token fails with [`RowError::NotFinite`].
    pub poison: Option<TokenId>,
    /// The step with this number fails the executor.
    pub fail_step: Option<u64>,
    /// The step with this number panics.
    pub panic_step: Option<u64>,
    /// Each step waits for one message before it completes; free running once the sender is gone.
    pub gate: Option<Receiver<()>>,
}

#[derive(Debug)]
struct FakeSequence {
    sampling: Arc<SamplingParams>,
    history: Vec<TokenId>,
    in_flight: usize,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub struct FakeExecutor {
    capabilities: Capabilities,
    faults: FakeFaults,
    pages: Vec<Vec<Option<u64>>>,
    sequences: HashMap<SequenceId, FakeSequence>,
    ever_opened: HashSet<SequenceId>,
    in_flight: VecDeque<Step>,
    /// The message for the oldest step has come.
    opened: bool,
}

/// Small capabilities: 4 positions a block, 64 blocks, 8 rows, 32 tokens, 256 positions.
#[must_use]
pub fn small_capabilities() -> Capabilities {
    Capabilities {
        name: "fake".into(),
        block_size: 4,
        num_blocks: 64,
        max_steps_in_flight: 1,
        stages: 1,
        max_rows: 8,
        max_tokens: 32,
        max_positions: 256,
        vocab_size: 64,
        batch_invariant: true,
        weight_bytes: 1,
        kv_bytes: 1,
    }
}

fn mix(state: u64, value: u64) -> u64 {
    let mut z =
        (state ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x632b_e59b_d9b4_e019);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number a position holds.
fn entry(previous: u64, token: TokenId, position: usize) -> u64 {
    mix(mix(previous, u64::from(token)), position as u64)
}

fn draw(folded: u64, sampling: &SamplingParams, position: usize, vocab: usize) -> SampledToken {
    let vocab = vocab.max(1) as u64;
    let number = mix(mix(folded, sampling.seed), position as u64);
    let token = (number % vocab) as TokenId;
    let count = sampling.logprobs.unwrap_or(0);
    SampledToken {
        token,
        logprob: sampling.logprobs.map(|_| -((number % 997) as f32) / 997.0),
        top_logprobs: (0..u64::from(count))
            .map(|i| (((u64::from(token) + i) % vocab) as TokenId, -(i as f32)))
            .collect(),
    }
}

impl FakeExecutor {
    /// An executor with empty pages.
    #[must_use]
    pub fn new(capabilities: Capabilities, faults: FakeFaults) -> Self {
        Self {
            pages: vec![vec![None; capabilities.block_size]; capabilities.num_blocks],
            capabilities,
            faults,
            sequences: HashMap::new(),
            ever_opened: HashSet::new(),
            in_flight: VecDeque::new(),
            opened: false,
        }
    }

    /// Sequences open now.
    #[must_use]
    pub fn open_sequences(&self) -> usize {
        self.sequences.len()
    }

    /// What a sequence draws when it runs alone: `max` tokens, or up to a stop token.
    #[must_use]
    pub fn oracle(
        vocab_size: usize,
        prompt: &[TokenId],
        sampling: &SamplingParams,
        max: usize,
        stop: &[TokenId],
    ) -> Vec<TokenId> {
        let mut numbers = Vec::new();
        let push = |numbers: &mut Vec<u64>, token: TokenId| {
            let previous = numbers.last().copied().unwrap_or(0);
            numbers.push(entry(previous, token, numbers.len()));
        };
        for &token in prompt {
            push(&mut numbers, token);
        }
        let mut drawn = Vec::new();
        while drawn.len() < max {
            let folded = numbers.iter().fold(0, |sum, &number| mix(sum, number));
            let token = draw(folded, sampling, numbers.len(), vocab_size).token;
            drawn.push(token);
            if stop.contains(&token) {
                break;
            }
            push(&mut numbers, token);
        }
        drawn
    }

    fn page(&self, row: &Row, position: usize) -> Result<Option<u64>, RowError> {
        let size = self.capabilities.block_size;
        let block = row
            .block_table
            .get(position / size)
            .ok_or_else(|| RowError::Invalid(format!("no block for position {position}")))?;
        self.pages
            .get(block.0 as usize)
            .and_then(|page| page.get(position % size))
            .copied()
            .ok_or_else(|| RowError::Invalid(format!("no such block {block:?}")))
    }

    /// The numbers a row writes, from what is there before the step.
    fn compute(&self, row: &Row) -> Result<Vec<u64>, RowError> {
        let sequence = self
            .sequences
            .get(&row.sequence)
            .ok_or_else(|| RowError::Invalid("sequence is not open".into()))?;
        let distinct: HashSet<_> = row.block_table.iter().collect();
        if row.tokens.is_empty() || distinct.len() != row.block_table.len() {
            return Err(RowError::Invalid("empty row or repeated block".into()));
        }
        if row.start + row.tokens.len() > self.capabilities.max_positions {
            return Err(RowError::Invalid("beyond the model's positions".into()));
        }
        if sequence.history.len() < row.start {
            return Err(RowError::Invalid("a gap in the history".into()));
        }
        if self.faults.poison.is_some_and(|p| row.tokens.contains(&p)) {
            return Err(RowError::NotFinite);
        }
        let mut previous = match row.start.checked_sub(1) {
            None => 0,
            Some(last) => self
                .page(row, last)?
                .ok_or_else(|| RowError::Invalid("page read before it was written".into()))?,
        };
        let mut numbers = Vec::with_capacity(row.tokens.len());
        for (position, &token) in (row.start..).zip(&row.tokens) {
            let known = sequence.history.get(position);
            if known.is_some_and(|&known| known != token) {
                return Err(RowError::Invalid("the history disagrees".into()));
            }
            previous = entry(previous, token, position);
            numbers.push(previous);
        }
        Ok(numbers)
    }

    fn write(&mut self, row: &Row, numbers: &[u64]) -> Result<(), RowError> {
        let size = self.capabilities.block_size;
        for (position, &number) in (row.start..).zip(numbers) {
            self.page(row, position)?;
            let block = row.block_table.get(position / size).copied();
            if let Some(slot) = block
                .and_then(|block| self.pages.get_mut(block.0 as usize))
                .and_then(|page| page.get_mut(position % size))
            {
                *slot = Some(number);
            }
        }
        if let Some(sequence) = self.sequences.get_mut(&row.sequence) {
            let known = sequence.history.len().saturating_sub(row.start);
            let new = row.tokens.iter().skip(known).copied();
            sequence.history.extend(new);
        }
        Ok(())
    }

    fn sample(&self, row: &Row) -> Result<Vec<SampledToken>, RowError> {
        let Some(request) = &row.sample else {
            return Ok(Vec::new());
        };
        let sequence = self
            .sequences
            .get(&row.sequence)
            .ok_or_else(|| RowError::Invalid("sequence is not open".into()))?;
        let end = row.start + row.tokens.len();
        let mut drawn = Vec::new();
        for len in end + 1 - request.positions..=end {
            let mut folded = 0;
            for position in 0..len {
                let number = self
                    .page(row, position)?
                    .ok_or_else(|| RowError::Invalid("page read before it was written".into()))?;
                folded = mix(folded, number);
            }
            let vocab = self.capabilities.vocab_size;
            drawn.push(draw(folded, &sequence.sampling, len, vocab));
        }
        Ok(drawn)
    }

    fn check(&self, step: &Step) -> Result<(), ExecutorError> {
        let fail = |why: &str| Err(ExecutorError::Failed(format!("{:?}: {why}", step.id)));
        let tokens: usize = step.rows.iter().map(|row| row.tokens.len()).sum();
        if step.rows.len() > self.capabilities.max_rows || tokens > self.capabilities.max_tokens {
            return fail("more rows or tokens than allowed");
        }
        let sequences: HashSet<_> = step.rows.iter().map(|row| row.sequence).collect();
        if sequences.len() != step.rows.len() {
            return fail("two rows of one sequence");
        }
        for copy in &step.block_copies {
            let users = step
                .rows
                .iter()
                .filter(|row| row.block_table.contains(&copy.to));
            if users.count() > 1 || step.block_copies.iter().any(|other| other.from == copy.to) {
                return fail("a copy's target is used twice");
            }
        }
        let size = self.capabilities.block_size;
        let mut written = HashSet::new();
        for row in &step.rows {
            let blocks = row.start / size..(row.start + row.tokens.len()).div_ceil(size);
            for block in row.block_table.get(blocks).unwrap_or_default() {
                if !written.insert(*block) {
                    return fail("two rows write one block");
                }
            }
        }
        Ok(())
    }

    fn idle(&self, sequence: SequenceId) -> Result<(), ExecutorError> {
        match self.sequences.get(&sequence) {
            Some(state) if state.in_flight == 0 => Ok(()),
            _ => Err(ExecutorError::Sequence(sequence)),
        }
    }
}

impl Executor for FakeExecutor {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError> {
        if !self.ever_opened.insert(sequence) {
            return Err(ExecutorError::Sequence(sequence));
        }
        let state = FakeSequence {
            sampling: spec.sampling,
            history: spec.prompt.to_vec(),
            in_flight: 0,
        };
        self.sequences.insert(sequence, state);
        Ok(())
    }

    fn fork(
        &mut self,
        parent: SequenceId,
        child: SequenceId,
        sampling: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError> {
        self.idle(parent)?;
        let Some(state) = self.sequences.get(&parent) else {
            return Err(ExecutorError::Sequence(parent));
        };
        let state = FakeSequence {
            sampling,
            history: state.history.clone(),
            in_flight: 0,
        };
        if !self.ever_opened.insert(child) {
            return Err(ExecutorError::Sequence(child));
        }
        self.sequences.insert(child, state);
        Ok(())
    }

    /// Pools the numbers of the pages as if each were a hidden state of two.
    fn pool(
        &mut self,
        rows: &[Row],
        pooling: Pooling,
        sums: &mut [Vec<f32>],
    ) -> Result<Vec<Result<(), RowError>>, ExecutorError> {
        if !self.in_flight.is_empty() {
            return Err(ExecutorError::Failed("a step is in flight".into()));
        }
        let tokens: usize = rows.iter().map(|row| row.tokens.len()).sum();
        if rows.len() > self.capabilities.max_rows || tokens > self.capabilities.max_tokens {
            return Err(ExecutorError::Failed("more than a step's worth".into()));
        }
        let mut results = Vec::new();
        for (row, sum) in rows.iter().zip(sums) {
            let result = self.compute(row).and_then(|numbers| {
                self.write(row, &numbers)?;
                for number in numbers {
                    let state = [(number % 97) as f32, (number % 89) as f32];
                    if pooling == Pooling::Last || sum.is_empty() {
                        *sum = state.to_vec();
                    } else {
                        sum.iter_mut().zip(state).for_each(|(sum, s)| *sum += s);
                    }
                }
                Ok(())
            });
            results.push(result);
        }
        Ok(results)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError> {
        self.idle(sequence)?;
        if let Some(state) = self.sequences.get_mut(&sequence) {
            state.history.truncate(len);
        }
        Ok(())
    }

    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError> {
        self.idle(sequence)?;
        self.sequences.remove(&sequence);
        Ok(())
    }

    fn submit(&mut self, step: Step) -> Result<(), ExecutorError> {
        let limit = self.capabilities.max_steps_in_flight;
        if self.in_flight.len() >= limit {
            return Err(ExecutorError::TooManySteps { limit });
        }
        self.check(&step)?;
        for row in &step.rows {
            if let Some(state) = self.sequences.get_mut(&row.sequence) {
                state.in_flight += 1;
            }
        }
        self.in_flight.push_back(step);
        Ok(())
    }

    fn ready(&mut self, wait: Duration) -> Result<bool, ExecutorError> {
        let Some(gate) = &self.faults.gate else {
            return Ok(true);
        };
        self.opened = self.opened || gate.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
        Ok(self.opened)
    }

    fn complete(&mut self) -> Result<StepOutput, ExecutorError> {
        let step = self.in_flight.pop_front().ok_or(ExecutorError::Idle)?;
        let opened = std::mem::take(&mut self.opened);
        if let Some(gate) = self.faults.gate.as_ref().filter(|_| !opened) {
            // A closed gate opens for good when the test drops its end.
            gate.recv().ok();
        }
        if self.faults.fail_step == Some(step.id.0) {
            return Err(ExecutorError::Failed("asked to".into()));
        }
        assert!(
            self.faults.panic_step != Some(step.id.0),
            "asked to panic in {:?}",
            step.id
        );
        for copy in &step.block_copies {
            let page = self.pages.get(copy.from.0 as usize).cloned();
            if let (Some(page), Some(target)) = (page, self.pages.get_mut(copy.to.0 as usize)) {
                *target = page;
            }
        }
        let computed: Vec<_> = step.rows.iter().map(|row| self.compute(row)).collect();
        let written: Vec<_> = step
            .rows
            .iter()
            .zip(computed)
            .map(|(row, numbers)| self.write(row, &numbers?))
            .collect();
        let rows = step
            .rows
            .iter()
            .zip(written)
            .map(|(row, written)| RowOutput {
                sequence: row.sequence,
                result: written.and_then(|()| self.sample(row)),
            })
            .collect();
        for row in &step.rows {
            if let Some(state) = self.sequences.get_mut(&row.sequence) {
                state.in_flight -= 1;
            }
        }
        Ok(StepOutput {
            id: step.id,
            epoch: step.epoch,
            rows,
        })
    }
}

/// A text side without files: token `t` is the character at `t` of [`FakeText::ALPHABET`], token 0
/// ends an answer, a conversation renders to its contents joined by `|`.
#[derive(Debug, Clone)]
pub struct FakeText {
    eos: Vec<TokenId>,
}

impl FakeText {
    /// One character a token.
    pub const ALPHABET: &'static str =
        "\u{0}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 |مé🌊?!";

    /// With token 0 as the end of an answer.
    #[must_use]
    pub fn new() -> Self {
        Self { eos: vec![0] }
    }

    /// The text of tokens.
    #[must_use]
    pub fn decode(tokens: &[TokenId]) -> String {
        tokens.iter().filter_map(|&token| char_of(token)).collect()
    }
}

impl Default for FakeText {
    fn default() -> Self {
        Self::new()
    }
}

fn char_of(token: TokenId) -> Option<char> {
    FakeText::ALPHABET
        .chars()
        .nth(token as usize)
        .filter(|_| token != 0)
}

impl ModelText for FakeText {
    fn model_id(&self) -> &str {
        "fake"
    }

    fn context_length(&self) -> usize {
        usize::MAX
    }

    fn eos(&self) -> &[TokenId] {
        &self.eos
    }

    fn render(&self, chat: &ChatPrompt) -> Result<String, EngineError> {
        let contents: Vec<&str> = chat
            .messages
            .iter()
            .filter_map(|message| message.get("content")?.as_str())
            .collect();
        Ok(contents.join("|"))
    }

    fn encode(&self, text: &str, _add_special_tokens: bool) -> Result<Vec<TokenId>, EngineError> {
        text.chars()
            .map(|wanted| {
                let position = Self::ALPHABET.chars().position(|c| c == wanted);
                position.map(|token| token as TokenId).ok_or_else(|| {
                    TextError::Encode(format!("{wanted:?} is not in the alphabet")).into()
                })
            })
            .collect()
    }

    fn token_bytes(&self, token: TokenId) -> Vec<u8> {
        char_of(token).map(String::from).unwrap_or_default().into()
    }

    fn stream(&self, _continues: bool) -> Box<dyn TextStream> {
        Box::new(FakeStream)
    }
}

struct FakeStream;

impl TextStream for FakeStream {
    fn push(&mut self, token: TokenId) -> String {
        char_of(token).map(String::from).unwrap_or_default()
    }

    fn finish(&mut self) -> String {
        String::new()
    }
}
