//! The thread that owns MLX, and what it does there: rows in chunks, each chunk a transaction.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use atoll_engine::executor::{BlockCopy, ExecutorError, RowError, SequenceState};
use atoll_engine::sampling::SamplingParams;
use mlx_rs::Dtype;
use mlx_rs::error::Exception;
use mlx_rs::memory::clear_cache;
use mlx_rs::transforms::async_eval;

use super::attention::{Plan, Segment, index, joins};
use super::budget::{Budget, Costs};
use super::draw::Pick;
use super::forward::{self, Input};
use super::lane::Lane;
use super::pages::{Fresh, Pages};
use super::results::{Look, Results, Seen, to_vec};
use super::weights::Model;
use super::{ffi, out_of_memory, step_error};
use crate::LoadError;

/// Positions whose logits are computed together; bounds their memory (64 of 150,000 floats: 38 MB).
const HEAD_ROWS: usize = 64;

/// A sequence's state; draws on the thread look at it too.
pub(super) type Shared = Arc<Mutex<SequenceState>>;

/// A look at a sequence's state.
pub(super) fn lock(state: &Shared) -> MutexGuard<'_, SequenceState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One checked row.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// Whose.
    pub(super) sequence: u64,
    /// First position.
    pub(super) start: usize,
    /// Tokens to feed.
    pub(super) tokens: Vec<u32>,
    /// Blocks of all positions so far.
    pub(super) blocks: Vec<u32>,
    /// How many of its last positions are looked at.
    pub(super) wants: usize,
    /// How tokens are drawn after them and what that looks at, if it is done where the logits are.
    pub(super) draw: Option<(Arc<SamplingParams>, Shared)>,
}

impl Work {
    /// The draw of the token that will have `position`, if it is made on the device.
    pub(super) fn pick(&self, position: usize) -> Option<Pick<'_>> {
        let (sampling, sequence) = self.draw.as_ref()?;
        Some(Pick {
            sampling,
            sequence,
            position,
        })
    }
}

/// Receives results: the work's index, the position, and what was seen there. Of one work in order.
pub(super) type Deliver<'a> = &'a mut dyn FnMut(usize, usize, Result<Seen, RowError>);

/// Part of a work in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    work: usize,
    /// Which of its tokens.
    tokens: Range<usize>,
}

/// A loaded model, on its thread.
pub(super) struct Worker {
    pub(super) model: Model,
    pub(super) pages: Pages,
    /// Most tokens of a chunk.
    pub(super) chunk: usize,
    /// Whether rows of one token are attended to together.
    pub(super) batched: bool,
    /// Attention windows that occur.
    pub(super) windows: Vec<Option<usize>>,
    /// Rows that decode together now.
    pub(super) lane: Option<Lane>,
    /// Most memory.
    pub(super) budget: Budget,
    /// What a chunk takes of it.
    pub(super) costs: Costs,
    /// Time from the beginning of the last chunk until MLX was asked to compute.
    pub(super) last_build: Duration,
    /// Steps that had been begun before they were asked for.
    pub(super) begun_ahead: u64,
    /// Why nothing can be computed any more.
    pub(super) broken: Option<String>,
}

impl Worker {
    /// Copies blocks, then feeds all works. `hidden` holds the hidden states of all their tokens, in
    /// order, where the model has no embedding; the result is those after its layers, where it has no
    /// end.
    pub(super) fn run(
        &mut self,
        copies: &[BlockCopy],
        works: &[Work],
        hidden: &[f32],
        look: Look,
        deliver: Deliver<'_>,
    ) -> Result<Vec<f32>, ExecutorError> {
        if let Some(reason) = &self.broken {
            return Err(ExecutorError::Failed(reason.clone()));
        }
        if copies.is_empty() && self.decode(works, look, deliver)? {
            return Ok(Vec::new());
        }
        self.leave()?;
        self.pages.copy(copies).map_err(|error| {
            self.broken = Some(format!("blocks could not be copied: {error}"));
            step_error(&error)
        })?;
        let mut firsts = Vec::with_capacity(works.len());
        let mut tokens = 0;
        for work in works {
            firsts.push(tokens);
            tokens += work.tokens.len();
        }
        let width = usize::try_from(self.model.hidden).unwrap_or(0);
        let mut feed = Feed {
            works,
            firsts,
            width,
            input: hidden,
            output: match self.model.weights.end {
                Some(_) => Vec::new(),
                None => vec![0.0; tokens * width],
            },
            failed: vec![false; works.len()],
            look,
            deliver,
        };
        for chunk in chunks(works, self.chunk) {
            self.feed(&mut feed, chunk)?;
        }
        Ok(feed.leaving())
    }

    /// Runs works in the lane, if they can be; whether they were. A step that fails there is run again
    /// without it.
    fn decode(
        &mut self,
        works: &[Work],
        look: Look,
        deliver: Deliver<'_>,
    ) -> Result<bool, ExecutorError> {
        let whole = self.model.weights.embedding.is_some() && self.model.weights.end.is_some();
        if !whole || look != Look::Logits || !Lane::suits(works, &self.windows) {
            return Ok(false);
        }
        if self
            .lane
            .as_ref()
            .is_some_and(|lane| !lane.continues(works))
        {
            self.leave()?;
        }
        let entered = match self.lane.take() {
            Some(lane) => Ok(lane),
            None => Lane::enter(&self.pages, works, &self.budget),
        };
        let stepped = entered.and_then(|lane| {
            let lane = self.lane.insert(lane);
            let seen = lane.step(&self.model, works, &self.budget)?;
            self.last_build = lane.last_build;
            self.begun_ahead += u64::from(lane.was_ahead);
            Ok((seen, lane.pending()))
        });
        match stepped {
            Ok((seen, pending)) => {
                for (index, (work, seen)) in works.iter().zip(seen).enumerate() {
                    deliver(index, work.start, Ok(seen));
                }
                if pending {
                    self.flush()?;
                }
                Ok(true)
            }
            Err(error) => {
                tracing::debug!(error = error.what(), "not in a lane");
                Ok(false)
            }
        }
    }

    /// Ends the lane; the pages have everything then.
    fn leave(&mut self) -> Result<(), ExecutorError> {
        self.flush()?;
        self.lane = None;
        Ok(())
    }

    /// Writes what only the lane has into the pages.
    fn flush(&mut self) -> Result<(), ExecutorError> {
        let Some(lane) = &mut self.lane else {
            return Ok(());
        };
        let flushed = lane.flush(&mut self.pages);
        flushed.map_err(|error| {
            self.broken = Some(format!("keys and values could not be written: {error}"));
            step_error(&error)
        })
    }

    /// Runs one chunk; halves it as long as memory does not suffice.
    fn feed(
        &mut self,
        feed: &mut Feed<'_, '_>,
        mut pieces: Vec<Piece>,
    ) -> Result<(), ExecutorError> {
        pieces.retain(|piece| !feed.failed.get(piece.work).copied().unwrap_or(true));
        if pieces.is_empty() {
            return Ok(());
        }
        let error = match self.attempt(feed, &pieces) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if self.broken.is_some() || !out_of_memory(&error) {
            return Err(step_error(&error));
        }
        // Nothing was written. What the failed graph held is free now.
        let _ = ffi::synchronize().and_then(|()| clear_cache());
        let tokens: usize = pieces.iter().map(|piece| piece.tokens.len()).sum();
        tracing::warn!(tokens, error = error.what(), "out of device memory");
        if tokens > 1 {
            let (first, second) = halves(pieces, tokens / 2);
            self.feed(feed, first)?;
            return self.feed(feed, second);
        }
        for piece in pieces {
            feed.fail(piece.work, RowError::OutOfMemory);
        }
        Ok(())
    }

    /// Runs one chunk. If it fails, the pages are as they were, or the worker is broken.
    fn attempt(&mut self, feed: &mut Feed<'_, '_>, pieces: &[Piece]) -> Result<(), Exception> {
        let began = Instant::now();
        let block_size = usize::try_from(self.pages.block_size()).unwrap_or(1);
        // Rows of one token first: the plan joins them.
        let mut ordered: Vec<(&Piece, Segment)> = pieces
            .iter()
            .filter_map(|piece| Some((piece, segment(feed.works.get(piece.work)?, piece))))
            .collect();
        ordered.sort_by_key(|(_, segment)| !joins(segment));
        let segments: Vec<Segment> = ordered.iter().map(|(_, segment)| segment.clone()).collect();
        let plan = Plan::new(&segments, &self.windows, block_size, self.batched)?;

        let mut tokens = Vec::new();
        let mut hidden = Vec::new();
        let mut wanted = Vec::new();
        for (piece, _) in &ordered {
            let Some(work) = feed.works.get(piece.work) else {
                continue;
            };
            let unwanted = work.tokens.len().saturating_sub(work.wants);
            for token in piece.tokens.clone() {
                if token >= unwanted && self.model.weights.end.is_some() {
                    wanted.push((tokens.len(), piece.work, token));
                }
                tokens.extend(work.tokens.get(token));
            }
            if self.model.weights.embedding.is_none() {
                hidden.extend_from_slice(feed.input.get(feed.rows(piece)).unwrap_or(&[]));
            }
        }
        self.budget
            .check(self.costs.chunk(&segments, wanted.len()))?;
        let input = match self.model.weights.embedding {
            Some(_) => Input::Tokens(&tokens),
            None => Input::Hidden(&hidden),
        };
        let pass = forward::run(&self.model, &self.pages, &plan, input)?;

        // Everything the chunk makes, before anything is written.
        let pick = |&(_, work, token): &Wanted| {
            let work = feed.works.get(work)?;
            work.pick(work.start + token + 1)
        };
        let here = |wanted: &Wanted| pick(wanted).is_some();
        wanted.sort_by_key(here);
        let alike = wanted.chunk_by(|a, b| here(a) == here(b));
        let together: Vec<&[Wanted]> = alike.flat_map(|alike| alike.chunks(HEAD_ROWS)).collect();
        let looks = together
            .iter()
            .map(|wanted| {
                let places = wanted.iter().map(|&(token, ..)| index(token));
                let places: Vec<i32> = places.collect::<Result<_, _>>()?;
                let normed = forward::normed(&self.model, &pass.hidden, &places)?;
                let picks: Option<Vec<Pick<'_>>> = wanted.iter().map(pick).collect();
                Results::new(&self.model, &normed, feed.look, picks.as_deref(), None)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let leaving = match self.model.weights.end {
            Some(_) => None,
            None => Some(pass.hidden.as_dtype(Dtype::Float32)?),
        };
        let results = looks.iter().map(Results::array).chain(&leaving);
        let fresh = pass.fresh.iter().flat_map(Fresh::arrays);
        self.last_build = began.elapsed();
        async_eval(results.chain(fresh))?;
        // The device may still fail; from here its failures are not for want of memory.
        ffi::synchronize()?;
        if let Err(error) = self.pages.write(&plan.slots, pass.fresh) {
            self.broken = Some(format!("keys and values could not be written: {error}"));
            return Err(error);
        }
        for (wanted, results) in together.into_iter().zip(looks) {
            for (wanted, seen) in wanted.iter().zip(results.read()?) {
                feed.deliver(wanted, seen);
            }
        }
        if let Some(leaving) = leaving {
            let states = to_vec(&leaving)?;
            let mut states = states.as_slice();
            for (piece, _) in &ordered {
                let rows = feed.rows(piece);
                let (own, rest) = states.split_at(rows.len().min(states.len()));
                states = rest;
                if let Some(out) = feed.output.get_mut(rows)
                    && out.len() == own.len()
                {
                    out.copy_from_slice(own);
                }
            }
        }
        Ok(())
    }
}

/// A position to look at: token of the chunk, work, token of the work.
type Wanted = (usize, usize, usize);

/// The works of a step on their way.
struct Feed<'a, 'b> {
    works: &'a [Work],
    /// Of each work: its first token among all.
    firsts: Vec<usize>,
    /// Numbers of a hidden state.
    width: usize,
    input: &'a [f32],
    output: Vec<f32>,
    failed: Vec<bool>,
    look: Look,
    deliver: Deliver<'b>,
}

impl Feed<'_, '_> {
    /// The hidden states of all works that did not fail.
    fn leaving(mut self) -> Vec<f32> {
        if self.output.is_empty() || !self.failed.contains(&true) {
            return self.output;
        }
        let output = std::mem::take(&mut self.output);
        let whole = |work: usize| Piece {
            work,
            tokens: 0..self.works.get(work).map_or(0, |work| work.tokens.len()),
        };
        let kept = self
            .failed
            .iter()
            .enumerate()
            .filter(|(_, failed)| !**failed);
        kept.filter_map(|(work, _)| output.get(self.rows(&whole(work))))
            .flatten()
            .copied()
            .collect()
    }

    /// Where a piece's hidden states are.
    fn rows(&self, piece: &Piece) -> Range<usize> {
        let first = self
            .firsts
            .get(piece.work)
            .copied()
            .unwrap_or(usize::MAX / 2);
        let at = |token: usize| first.saturating_add(token).saturating_mul(self.width);
        at(piece.tokens.start)..at(piece.tokens.end)
    }

    fn deliver(&mut self, &(_, work, token): &Wanted, seen: Seen) {
        let start = self.works.get(work).map_or(0, |work| work.start);
        (self.deliver)(work, start + token, Ok(seen));
    }

    fn fail(&mut self, work: usize, error: RowError) {
        if let Some(failed) = self.failed.get_mut(work) {
            *failed = true;
        }
        (self.deliver)(work, 0, Err(error));
    }
}

fn segment(work: &Work, piece: &Piece) -> Segment {
    Segment {
        start: work.start + piece.tokens.start,
        count: piece.tokens.len(),
        blocks: work.blocks.clone(),
    }
}

/// Cuts works into chunks of at most `capacity` tokens, in order.
fn chunks(works: &[Work], capacity: usize) -> Vec<Vec<Piece>> {
    let mut chunks = vec![Vec::new()];
    let mut room = capacity;
    for (index, work) in works.iter().enumerate() {
        let mut done = 0;
        while done < work.tokens.len() {
            if room == 0 {
                chunks.push(Vec::new());
                room = capacity;
            }
            let count = (work.tokens.len() - done).min(room);
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(Piece {
                    work: index,
                    tokens: done..done + count,
                });
            }
            done += count;
            room -= count;
        }
    }
    chunks
}

/// The first `count` tokens of some pieces, and the rest.
fn halves(pieces: Vec<Piece>, count: usize) -> (Vec<Piece>, Vec<Piece>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut room = count;
    for piece in pieces {
        let cut = piece.tokens.start + piece.tokens.len().min(room);
        room -= cut - piece.tokens.start;
        let parts = [
            (&mut first, piece.tokens.start..cut),
            (&mut second, cut..piece.tokens.end),
        ];
        for (side, tokens) in parts {
            if !tokens.is_empty() {
                side.push(Piece {
                    work: piece.work,
                    tokens,
                });
            }
        }
    }
    (first, second)
}

/// On CUDA one thread at a time works with MLX: what one allocates while another records a graph spoils the
/// recording, and MLX ends the process then.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for this thread's turn, where there are turns.
pub(super) fn turn() -> Option<MutexGuard<'static, ()>> {
    ffi::cuda_available().then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Something to do on the thread.
type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// The other end: owns the thread, and ends it when dropped.
pub(super) struct Thread {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    /// Starts the thread and loads a model on it.
    pub(super) fn start<T: Send + 'static>(
        load: impl FnOnce() -> Result<(Worker, T), LoadError> + Send + 'static,
    ) -> Result<(Self, T), LoadError> {
        let (jobs, inbox) = sync_channel::<Job>(4);
        let (loaded, result) = sync_channel(1);
        let run = move || {
            let outcome = {
                let _turn = turn();
                catch_unwind(AssertUnwindSafe(load))
                    .unwrap_or_else(|_| Err(LoadError::Mlx("loading panicked".to_owned())))
            };
            match outcome {
                Ok((worker, facts)) => {
                    if loaded.send(Ok(facts)).is_ok() {
                        serve(worker, inbox);
                    }
                }
                // Nobody waits any more if this cannot be sent.
                Err(error) => drop(loaded.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new()
            .name("mlx".to_owned())
            .spawn(run)
            .map_err(|error| LoadError::Thread(error.to_string()))?;
        let facts = result
            .recv()
            .unwrap_or_else(|_| Err(LoadError::Mlx("loading ended early".to_owned())))?;
        let this = Self {
            jobs: Some(jobs),
            thread: Some(thread),
        };
        Ok((this, facts))
    }

    /// Sends work to the thread; its result will be in the channel. A panic there is an error here.
    pub(super) fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> Result<T, ExecutorError> + Send + 'static,
    ) -> Receiver<Result<T, ExecutorError>> {
        let (answer, result) = sync_channel(1);
        let job: Job = Box::new(move |worker| {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(worker))).unwrap_or_else(|_| {
                let reason = "the MLX executor panicked".to_owned();
                worker.broken = Some(reason.clone());
                Err(ExecutorError::Failed(reason))
            });
            // The executor may be gone.
            drop(answer.send(outcome));
        });
        if let Some(jobs) = &self.jobs {
            // A thread that ended drops the job, and with it the answer's sender.
            drop(jobs.send(job));
        }
        result
    }

    /// Does work on the thread and waits for it.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> Result<T, ExecutorError> + Send + 'static,
    ) -> Result<T, ExecutorError> {
        receive(&self.send(work))
    }
}

/// Waits for what [`Thread::send`] promised.
pub(super) fn receive<T>(result: &Receiver<Result<T, ExecutorError>>) -> Result<T, ExecutorError> {
    let ended = |_| Err(ExecutorError::Failed("the MLX thread ended".to_owned()));
    result.recv().unwrap_or_else(ended)
}

fn serve(mut worker: Worker, inbox: Receiver<Job>) {
    for job in inbox {
        let _turn = turn();
        job(&mut worker);
    }
    let _turn = turn();
    // Nothing may be in flight when buffers go back to the system: Metal's driver does not forgive it.
    let idle = ffi::synchronize();
    drop(worker);
    if let Err(error) = idle.and_then(|()| clear_cache()) {
        tracing::warn!(%error, "MLX's memory could not be given back");
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the MLX thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works(lengths: &[usize]) -> Vec<Work> {
        let work = |&len: &usize| Work {
            sequence: 0,
            start: 0,
            tokens: vec![0; len],
            blocks: Vec::new(),
            wants: 0,
            draw: None,
        };
        lengths.iter().map(work).collect()
    }

    fn flat(chunks: &[Vec<Piece>]) -> Vec<(usize, usize)> {
        let tokens = chunks
            .iter()
            .flatten()
            .flat_map(|piece| piece.tokens.clone().map(|token| (piece.work, token)));
        tokens.collect()
    }

    #[test]
    fn chunks_and_halves_keep_every_token_in_order() {
        for lengths in [&[][..], &[5], &[1, 1, 1], &[7, 2, 9]] {
            for capacity in 1..8 {
                let works = works(lengths);
                let cut = chunks(&works, capacity);
                let all: Vec<(usize, usize)> = lengths
                    .iter()
                    .enumerate()
                    .flat_map(|(work, &len)| (0..len).map(move |token| (work, token)))
                    .collect();
                assert_eq!(flat(&cut), all);
                for chunk in cut {
                    let tokens = flat(std::slice::from_ref(&chunk));
                    assert!(tokens.len() <= capacity);
                    for count in 0..=tokens.len() {
                        let (first, second) = halves(chunk.clone(), count);
                        assert_eq!(flat(&[first.clone(), second]), tokens);
                        assert_eq!(flat(&[first]).len(), count);
                    }
                }
            }
        }
    }
}
