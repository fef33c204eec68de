//! The loop: one thread that owns the executor, the scheduler and all requests.
//!
//! Each turn takes what has arrived, drops what nobody reads any more, submits steps until the
//! executor is full or nothing can run, and completes the oldest. It blocks in two places only: for
//! a command when idle, and for a step when one is in flight; there it goes on with what arrives if the
//! executor takes another step meanwhile.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::active::Active;
use super::answer::{Answer, Piece};
use super::constraint::{Guard, MaskWorker, accept};
use super::embed::{EmbedJob, Embedder};
use super::mailbox::{Generation, mailbox};
use super::slide::Sliding;
use super::text::ModelText;
use super::{EngineError, EngineLoad, FinishReason, GenerateRequest, GenerationEvent, Shared};
use crate::executor::{Executor, SampledToken, Step};
use crate::sampling::{SamplingParams, derive_seed};
use crate::scheduler::{AddError, Event, Finish, Request, RequestId, Scheduler, SequenceOp};
use crate::text::stop::StopMatcher;

/// Bounds of the advice to come back later, in seconds: below, clients would hammer; above, they
/// would give up on what may be a short burst.
const RETRY_AFTER: std::ops::RangeInclusive<f64> = 1.0..=60.0;

/// How long what arrives may wait while a step is in flight beside which another could run.
const ARRIVALS: Duration = Duration::from_millis(1);

/// What a handle asks of the loop.
pub(super) enum Command {
    /// Take this request.
    Generate {
        request: Box<GenerateRequest>,
        stops: StopMatcher,
        reply: oneshot::Sender<Result<Generation, EngineError>>,
    },
    /// Make a vector of this prompt.
    Embed(EmbedJob),
    /// Look at the flags.
    Wake,
}

pub(super) struct Worker {
    executor: Box<dyn Executor>,
    scheduler: Scheduler,
    text: Arc<dyn ModelText>,
    shared: Arc<Shared>,
    requests: HashMap<RequestId, Active>,
    max_unread_tokens: usize,
    /// Tokens in a block of the prefix cache, if there is one.
    cache_block: Option<usize>,
    next_request: u64,
    /// Started by the first request that needs it.
    masks: Option<MaskWorker>,
    embedder: Embedder,
    /// How long requests took lately, in seconds, smoothed.
    typical_seconds: f64,
}

impl Worker {
    pub fn new(
        executor: Box<dyn Executor>,
        scheduler: Scheduler,
        text: Arc<dyn ModelText>,
        shared: Arc<Shared>,
        max_unread_tokens: usize,
        cache_block: Option<usize>,
    ) -> Self {
        Self {
            embedder: Embedder::new(text.pooling()),
            executor,
            scheduler,
            text,
            shared,
            requests: HashMap::new(),
            max_unread_tokens,
            cache_block,
            next_request: 0,
            masks: None,
            typical_seconds: 1.0,
        }
    }

    /// Runs until shutdown, until nobody is left to ask, or until something fails; then ends every
    /// request, so that none waits for an answer that cannot come.
    pub fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve(&mut inbox)));
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(panic) => Some(EngineError::Internal(format!(
                "the engine loop panicked: {}",
                panic_message(panic.as_ref())
            ))),
        };
        if let Some(error) = &failure {
            tracing::error!(model = self.text.model_id(), %error, "the engine failed");
            self.shared.failure.get_or_init(|| error.clone());
        }
        self.shared.draining.store(true, Ordering::Release);
        let failure = failure.or_else(|| self.shared.failure.get().cloned());
        let error = failure.unwrap_or(EngineError::ShuttingDown);
        for (_, active) in self.requests.drain() {
            active.sender.send(GenerationEvent::Failed(error.clone()));
        }
        inbox.close();
        while let Ok(command) = inbox.try_recv() {
            if let Command::Generate { reply, .. } = command {
                // An asker that has gone away needs no answer.
                reply.send(Err(error.clone())).ok();
            }
        }
        self.shared
            .set_load(EngineLoad::new(0, &self.scheduler.load()));
    }

    fn serve(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Result<(), EngineError> {
        loop {
            self.reap();
            let submitted = self.advance()?;
            self.publish_load();
            if self.scheduler.steps_in_flight() > 0 {
                if self.is_done(inbox)? {
                    let output = self.executor.complete()?;
                    let events = self
                        .scheduler
                        .complete(output)
                        .map_err(|error| EngineError::Internal(error.to_string()))?;
                    for event in events {
                        self.handle(event);
                    }
                }
            } else if !submitted && !self.scheduler.is_idle() && self.embedder.is_idle() {
                // Cannot happen: with nothing in flight the oldest request always has room.
                return Err(EngineError::Internal(format!(
                    "nothing can run: {:?}",
                    self.scheduler.load()
                )));
            }
            self.publish_load();
            if self.scheduler.is_idle() && self.embedder.is_idle() {
                if self.shared.draining.load(Ordering::Acquire) {
                    return Ok(());
                }
                match inbox.blocking_recv() {
                    Some(command) => self.command(command),
                    None => return Ok(()),
                }
            }
            while let Ok(command) = inbox.try_recv() {
                self.command(command);
            }
            if self.shared.stopping.load(Ordering::Acquire) {
                return Ok(());
            }
        }
    }

    /// Waits for the oldest step in flight. False if something arrived before it was done that may run
    /// beside it: a pipeline would stand idle in part until the step has passed all of it.
    fn is_done(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Result<bool, EngineError> {
        while self.scheduler.has_room_in_flight() && !self.executor.ready(ARRIVALS)? {
            if let Ok(command) = inbox.try_recv() {
                self.command(command);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Submits what can run. Embeddings need the executor to themselves for a turn: while any wait, steps
    /// are not submitted ahead.
    fn advance(&mut self) -> Result<bool, EngineError> {
        if !self.embedder.is_idle() {
            if self.scheduler.steps_in_flight() > 0 {
                return Ok(false);
            }
            self.embedder
                .turn(self.executor.as_mut(), &mut self.scheduler)?;
        }
        self.submit()
    }

    fn publish_load(&self) {
        let load = EngineLoad::new(self.requests.len(), &self.scheduler.load());
        self.shared.set_load(load);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Wake => {}
            Command::Embed(job) => {
                let waiting = self.scheduler.load().waiting + 1;
                let retry_after = self.retry_after(waiting);
                self.embedder.push(job, retry_after);
            }
            Command::Generate {
                request,
                stops,
                reply,
            } => {
                let result = self.accept(*request, &stops);
                // Before the answer, so that whoever has it sees itself counted.
                self.publish_load();
                // An asker that has gone away dropped the generation, which cancels it.
                reply.send(result).ok();
            }
        }
    }

    fn accept(
        &mut self,
        request: GenerateRequest,
        stops: &StopMatcher,
    ) -> Result<Generation, EngineError> {
        if self.shared.draining.load(Ordering::Acquire) {
            return Err(self.shared.refusal());
        }
        let warms = request.max_tokens == Some(0);
        if self.masks.is_none()
            && !warms
            && (request.constraint.is_some() || request.reasoning_budget.is_some())
        {
            self.masks = Some(MaskWorker::start()?);
        }
        let id = self.next_id();
        let prompt_tokens = request.prompt.token_count();
        let (sender, reader) = mailbox(prompt_tokens);
        let names: Arc<[String]> = request.stop.into();
        let answers = (0..request.choices)
            .map(|_| {
                let stream = self.text.stream(request.prompt.continues());
                let guard = Guard::new(request.constraint.clone(), request.reasoning_budget);
                let mut answer = Answer::new(stream, stops.clone(), Arc::clone(&names))
                    .showing(Arc::clone(&request.shown_tokens));
                answer.guard = guard
                    .filter(|_| !warms)
                    .map(|guard| Arc::new(Mutex::new(guard)));
                answer
            })
            .collect();
        let mut active = Active {
            name: request.id,
            sender,
            answers,
            prompt_tokens,
            cached_tokens: 0,
            cache_block: self.cache_block,
            warms,
            sliding: None,
            accepted: Instant::now(),
            started: None,
            first_token: None,
            last_token: None,
        };
        let mut stop_tokens = request.stop_tokens;
        stop_tokens.extend_from_slice(request.prompt.ends());
        if !request.ignore_eos {
            stop_tokens.extend_from_slice(self.text.eos());
        }
        let asked = Request {
            id,
            prompt: request.prompt.shared(),
            // The step that reads the end of a prompt draws a token; who only reads drops it.
            choices: choices(&request.sampling, if warms { 1 } else { request.choices }),
            max_tokens: request.max_tokens.map(|max| max.max(1) as usize),
            stop_tokens: stop_tokens.into(),
            cache_salt: request.cache_salt,
            priority: request.priority,
            owner: request.owner,
        };
        let asked = match request.prompt.window().filter(|_| !warms) {
            None => asked,
            Some(window) => {
                let (sliding, first) = Sliding::begin(window, asked);
                active.sliding = Some(sliding);
                first
            }
        };
        let added = self.scheduler.add(asked);
        match added {
            Ok(()) => {
                tracing::debug!(request = active.name, prompt_tokens, "accepted");
                self.requests.insert(id, active);
                Ok(reader)
            }
            Err(AddError::QueueFull { waiting }) => Err(EngineError::Overloaded {
                retry_after: self.retry_after(waiting),
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn next_id(&mut self) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        id
    }

    /// Lets an answer at the end of its window go on in the next one. False if there is none, or no place in the
    /// queue.
    fn slide(&mut self, request: RequestId) -> bool {
        let next = self.next_id();
        let Some(mut active) = self.requests.remove(&request) else {
            return false;
        };
        let asked = active
            .sliding
            .as_mut()
            .and_then(|sliding| sliding.next(next));
        let slid = match asked.map(|asked| self.scheduler.add(asked)) {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                tracing::debug!(request = active.name, %error, "its window cannot slide");
                false
            }
            None => false,
        };
        self.requests
            .insert(if slid { next } else { request }, active);
        slid
    }

    /// When the queue may have moved: as long as the requests ahead take at the present pace.
    fn retry_after(&self, waiting: usize) -> Duration {
        let running = self.scheduler.load().running.max(1);
        let seconds = self.typical_seconds * waiting as f64 / running as f64;
        Duration::from_secs_f64(seconds.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end()))
    }

    /// Cancels what nobody reads: readers that are gone, and readers too far behind.
    fn reap(&mut self) {
        let mut gone = Vec::new();
        for (&id, active) in &self.requests {
            let unread = active.sender.unread_tokens();
            if active.sender.is_abandoned() {
                tracing::debug!(request = active.name, "cancelled by its reader");
                gone.push(id);
            } else if unread > self.max_unread_tokens {
                tracing::warn!(request = active.name, unread, "given up: nobody reads it");
                let error = EngineError::SlowReader { unread };
                active.sender.send(GenerationEvent::Failed(error));
                gone.push(id);
            }
        }
        for id in gone {
            self.requests.remove(&id);
            self.scheduler.cancel(id);
        }
    }

    /// Submits steps until the executor is full or nothing can run. True if any was.
    fn submit(&mut self) -> Result<bool, EngineError> {
        let mut submitted = false;
        loop {
            let schedule = self.scheduler.schedule();
            for op in schedule.ops {
                self.apply(op)?;
            }
            for event in schedule.events {
                self.handle(event);
            }
            let Some(mut step) = schedule.step else {
                return Ok(submitted);
            };
            self.add_masks(&mut step);
            self.executor.submit(step)?;
            submitted = true;
        }
    }

    /// Orders a mask for every row that draws a token of a restrained answer. They are computed while the
    /// executor works on the step.
    fn add_masks(&self, step: &mut Step) {
        let Some(masks) = &self.masks else { return };
        for row in &mut step.rows {
            let Some(sample) = &mut row.sample else {
                continue;
            };
            let guard = self
                .scheduler
                .owner(row.sequence)
                .and_then(|(request, choice)| {
                    let active = self.requests.get(&request)?;
                    active.answers.get(choice as usize)?.guard.as_ref()
                });
            if let Some(guard) = guard {
                sample.mask = masks.mask(guard);
            }
        }
    }

    fn apply(&mut self, op: SequenceOp) -> Result<(), EngineError> {
        match op {
            SequenceOp::Open { sequence, spec } => self.executor.open(sequence, spec),
            SequenceOp::Fork {
                parent,
                child,
                sampling,
            } => self.executor.fork(parent, child, sampling),
            SequenceOp::Truncate { sequence, len } => self.executor.truncate(sequence, len),
            SequenceOp::Close { sequence } => self.executor.close(sequence),
        }?;
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Started {
                request,
                cached_tokens,
            } => {
                if let Some(active) = self.requests.get_mut(&request) {
                    active.start(u32::try_from(cached_tokens).unwrap_or(u32::MAX));
                }
            }
            Event::Rejected { request } => {
                let retry_after = self.retry_after(self.scheduler.load().waiting + 1);
                if let Some(active) = self.requests.remove(&request) {
                    tracing::debug!(request = active.name, "refused by the queue policy");
                    let error = EngineError::Overloaded { retry_after };
                    active.sender.send(GenerationEvent::Failed(error));
                }
            }
            Event::Prefilled { request, done } => {
                // Not for what is read again after a window slid.
                if let Some(active) = self.requests.get(&request)
                    && active.first_token.is_none()
                {
                    active.sender.send(GenerationEvent::Progress {
                        done: u32::try_from(done).unwrap_or(u32::MAX),
                        total: active.prompt_tokens,
                    });
                }
            }
            Event::Token {
                request,
                choice,
                sampled,
                finish,
            } => self.token(request, choice, sampled, finish),
            Event::Failed { request, error, .. } => {
                // The choices share one stream and one terminal event, so the others end too.
                if let Some(active) = self.requests.remove(&request) {
                    tracing::warn!(request = active.name, %error, "a row failed");
                    active.sender.send(GenerationEvent::Failed(error.into()));
                    self.scheduler.cancel(request);
                }
            }
        }
    }

    fn token(
        &mut self,
        request: RequestId,
        choice: u32,
        sampled: SampledToken,
        finish: Option<Finish>,
    ) {
        let Some(active) = self.requests.get_mut(&request) else {
            return;
        };
        let now = Instant::now();
        active.first_token.get_or_insert(now);
        active.last_token = Some(now);
        if active.warms {
            return self.warmed(request);
        }
        let finish = match &mut active.sliding {
            Some(sliding) => sliding.push(sampled.token, finish),
            None => finish,
        };
        let Some(answer) = active.answers.get_mut(choice as usize) else {
            return;
        };
        // A token that ends the answer is not part of what the grammar rules.
        if let (Some(guard), true) = (&answer.guard, !matches!(finish, Some(Finish::StopToken(_))))
            && let Err(error) = accept(guard, sampled.token)
        {
            tracing::warn!(request = active.name, %error, "the grammar refused a drawn token");
            active.sender.send(GenerationEvent::Failed(error));
            self.requests.remove(&request);
            self.scheduler.cancel(request);
            return;
        }
        let (piece, mut stopped) = if let Some(Finish::StopToken(_)) = finish {
            answer.push_hidden();
            (Piece::default(), None)
        } else {
            answer.push(self.text.as_ref(), sampled)
        };
        active.text(choice, piece);
        if finish == Some(Finish::ContextWindow) && stopped.is_none() && self.slide(request) {
            return;
        }
        let Some(active) = self.requests.get_mut(&request) else {
            return;
        };
        if let (Some(_), None) = (finish, &stopped)
            && let Some(answer) = active.answers.get_mut(choice as usize)
        {
            let (piece, late) = answer.finish();
            stopped = late;
            active.text(choice, piece);
        }
        let reason = match (stopped, finish) {
            (Some(stopped), finish) => {
                if finish.is_none() {
                    self.scheduler.finish_choice(request, choice);
                }
                stopped
            }
            (None, Some(Finish::StopToken(_))) => FinishReason::Stop,
            (None, Some(Finish::Length)) => FinishReason::Length,
            (None, Some(Finish::ContextWindow)) => FinishReason::ContextWindow,
            (None, None) => return,
        };
        active.finish_choice(choice, reason);
        if active.answers.iter().all(|answer| answer.finished) {
            let seconds = now.duration_since(active.accepted).as_secs_f64();
            self.typical_seconds += (seconds - self.typical_seconds) / 8.0;
            active.done();
            self.requests.remove(&request);
        }
    }

    /// The prompt of a request that asked for no more has been read.
    fn warmed(&mut self, request: RequestId) {
        if let Some(mut active) = self.requests.remove(&request) {
            for choice in (0..).take(active.answers.len()) {
                active.finish_choice(choice, FinishReason::Length);
            }
            active.done();
        }
    }
}

/// Each choice's own parameters.
fn choices(sampling: &SamplingParams, count: u32) -> Vec<Arc<SamplingParams>> {
    (0..count)
        .map(|choice| {
            Arc::new(SamplingParams {
                seed: derive_seed(sampling.seed, choice),
                ..sampling.clone()
            })
        })
        .collect()
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
