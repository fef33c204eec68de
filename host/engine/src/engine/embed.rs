//! Embeddings: whole prompts through the model, each pooled into one vector.
//!
//! They draw no tokens and need every position's hidden state, also those whose keys and values a cache
//! would have, so they are no requests of the scheduler: it lends them blocks while they run. They share
//! the executor with it turn by turn. One turn feeds as many tokens as a prefill chunk may have while
//! answers are streaming, and a whole step otherwise; prompts go through in the order they came.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::EngineError;
use crate::executor::{
    BlockId, Executor, ExecutorError, Pooling, Row, SequenceId, SequenceSpec, TokenId,
};
use crate::kv::blocks_for;
use crate::sampling::SamplingParams;
use crate::scheduler::Scheduler;

/// Most prompts that wait: two requests of the most inputs that public APIs allow.
const MAX_WAITING: usize = 4096;

/// Most prompts under way at once: enough to fill a step with short ones, few enough to leave blocks to
/// answers.
const MAX_RUNNING: usize = 32;

/// One prompt.
#[derive(Debug)]
pub(super) struct EmbedJob {
    pub prompt: Arc<[TokenId]>,
    /// Closed when nobody waits any more.
    pub reply: oneshot::Sender<Result<Vec<f32>, EngineError>>,
}

#[derive(Debug)]
struct Running {
    job: EmbedJob,
    sequence: SequenceId,
    table: Vec<BlockId>,
    done: usize,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Embedder {
    pooling: Pooling,
    waiting: VecDeque<EmbedJob>,
    running: Vec<Running>,
    /// The hidden states of each running prompt so far, in the same order.
    sums: Vec<Vec<f32>>,
}

impl Embedder {
    pub fn new(pooling: Pooling) -> Self {
        Self {
            pooling,
            waiting: VecDeque::new(),
            running: Vec::new(),
            sums: Vec::new(),
        }
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Takes a prompt, or answers that there is no room.
    pub fn push(&mut self, job: EmbedJob, retry_after: std::time::Duration) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(job);
        } else {
            // Whoever no longer waits needs no answer.
            job.reply
                .send(Err(EngineError::Overloaded { retry_after }))
                .ok();
        }
    }

    /// Feeds one step's worth of tokens. Nothing may be in flight.
    ///
    /// # Errors
    /// A failure of the executor as a whole.
    pub fn turn(
        &mut self,
        executor: &mut dyn Executor,
        scheduler: &mut Scheduler,
    ) -> Result<(), EngineError> {
        self.waiting.retain(|job| !job.reply.is_closed());
        for at in (0..self.running.len()).rev() {
            if self
                .running
                .get(at)
                .is_some_and(|run| run.job.reply.is_closed())
            {
                self.end(at, executor, scheduler)?;
            }
        }
        self.admit(executor, scheduler)?;
        let rows = self.rows(executor, scheduler);
        if rows.is_empty() {
            return Ok(());
        }
        let sums = self.sums.get_mut(..rows.len()).unwrap_or_default();
        let results = match executor.pool(&rows, self.pooling, sums) {
            Ok(results) => results,
            Err(error @ ExecutorError::Unsupported { .. }) => {
                return self.refuse(&error, executor, scheduler);
            }
            Err(error) => return Err(error.into()),
        };
        if results.len() != rows.len() {
            return Err(EngineError::Internal(format!(
                "{} pooled rows for {}",
                results.len(),
                rows.len()
            )));
        }
        for (at, (row, result)) in rows.iter().zip(results).enumerate().rev() {
            let Some(run) = self.running.get_mut(at) else {
                continue;
            };
            run.done += row.tokens.len();
            let whole = run.done == run.job.prompt.len();
            let answer = match result {
                Err(error) => Err(EngineError::from(error)),
                Ok(()) if whole => Ok(()),
                Ok(()) => continue,
            };
            let (job, sum) = self.end(at, executor, scheduler)?;
            let vector = answer.map(|()| self.pooled(sum, job.prompt.len()));
            job.reply.send(vector).ok();
        }
        Ok(())
    }

    /// Lets prompts begin, oldest first, while there are blocks for the whole of each.
    fn admit(
        &mut self,
        executor: &mut dyn Executor,
        scheduler: &mut Scheduler,
    ) -> Result<(), EngineError> {
        let capabilities = executor.capabilities();
        let (block_size, rows) = (capabilities.block_size, capabilities.max_rows);
        while self.running.len() < rows.min(MAX_RUNNING)
            && let Some(job) = self.waiting.front()
        {
            let blocks = blocks_for(job.prompt.len(), block_size);
            let Some((sequence, table)) = scheduler.lend(blocks) else {
                break;
            };
            let Some(job) = self.waiting.pop_front() else {
                break;
            };
            let spec = SequenceSpec {
                sampling: Arc::new(SamplingParams::default()),
                prompt: Arc::clone(&job.prompt),
            };
            executor.open(sequence, spec)?;
            self.sums.push(Vec::new());
            self.running.push(Running {
                job,
                sequence,
                table,
                done: 0,
            });
        }
        Ok(())
    }

    /// The next tokens of the oldest prompts, in their order.
    fn rows(&self, executor: &dyn Executor, scheduler: &Scheduler) -> Vec<Row> {
        let capabilities = executor.capabilities();
        let mut budget = capabilities.max_tokens;
        if !scheduler.is_idle() {
            budget = budget.min(scheduler.config().prefill_chunk.max(1));
        }
        let mut rows = Vec::new();
        for run in &self.running {
            let end = run.job.prompt.len().min(run.done + budget);
            let Some(tokens) = run.job.prompt.get(run.done..end).filter(|t| !t.is_empty()) else {
                break;
            };
            budget -= tokens.len();
            rows.push(Row {
                sequence: run.sequence,
                start: run.done,
                tokens: tokens.to_vec(),
                block_table: run.table.clone(),
                sample: None,
            });
        }
        rows
    }

    fn end(
        &mut self,
        at: usize,
        executor: &mut dyn Executor,
        scheduler: &mut Scheduler,
    ) -> Result<(EmbedJob, Vec<f32>), EngineError> {
        let run = self.running.remove(at);
        let sum = self.sums.remove(at);
        scheduler.take_back(run.table);
        executor.close(run.sequence)?;
        Ok((run.job, sum))
    }

    /// Tells everybody that this executor does not embed.
    fn refuse(
        &mut self,
        error: &ExecutorError,
        executor: &mut dyn Executor,
        scheduler: &mut Scheduler,
    ) -> Result<(), EngineError> {
        for _ in 0..self.running.len() {
            let (job, _) = self.end(0, executor, scheduler)?;
            self.waiting.push_back(job);
        }
        for job in self.waiting.drain(..) {
            job.reply.send(Err(error.clone().into())).ok();
        }
        Ok(())
    }

    fn pooled(&self, mut sum: Vec<f32>, positions: usize) -> Vec<f32> {
        if self.pooling == Pooling::Mean {
            let count = positions.max(1) as f32;
            sum.iter_mut().for_each(|value| *value /= count);
        }
        sum
    }
}
