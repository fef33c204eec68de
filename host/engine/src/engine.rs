//! [`Engine`]: one loaded model that answers many requests at once.
//!
//! One OS thread owns the executor, the scheduler and every request's text state; nothing else
//! touches them. Commands come in over a bounded channel. Events leave through a mailbox per
//! request that merges what nobody has read yet (see [`Generation`]), so a slow reader costs the
//! loop nothing and memory stays bounded.
//!
//! Guarantees:
//!
//! - every accepted request gets exactly one terminal event, [`GenerationEvent::Done`] or
//!   [`GenerationEvent::Failed`], whatever happens: a panic, a failed device, a shutdown;
//! - dropping a [`Generation`] cancels it before the next step is put together, and its KV blocks
//!   come back at the latest when the step in flight completes;
//! - usage counts what the model did: prompt tokens, those found in the cache, tokens drawn;
//! - text is whole code points, and nothing of a stop string ever leaves.

mod active;
mod answer;
mod answer_plan;
mod constraint;
mod embed;
mod grammars;
mod mailbox;
mod pool;
mod request;
mod slide;
mod text;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

pub use crate::error::EngineError;
pub use answer_plan::{AnswerPlan, AnswerRules};
pub use constraint::{Constraint, ReasoningBudget, Scope};
pub use mailbox::Generation;
pub use pool::{
    EngineFactory, EngineGuard, KeepAlive, ModelPool, ModelState, ModelStatus, PoolOptions,
};
pub use request::{
    ChatPrompt, ContextWindow, FinishReason, GenerateRequest, GenerationEvent, PreparedPrompt,
    PromptInput, PromptReasoning, Timings, TokenEvent, Usage,
};
pub use text::{Marker, ModelText, TextStream};

use crate::executor::{Executor, TokenId};
use crate::scheduler::{
    FirstComeFirstServed, QueuePolicy, Scheduler, SchedulerConfig, SchedulerLoad,
};
use crate::store::TextModel;
use crate::text::infill::InfillFormat;
use crate::text::stop::StopMatcher;
use embed::EmbedJob;
use grammars::Grammars;
use worker::{Command, Worker};

/// Commands that may wait for the loop. It takes all of them between two steps, so a full channel
/// means that many requests arrived during one step; their callers then wait here, in order.
const COMMAND_CAPACITY: usize = 256;

/// Habits of one engine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// Most requests that wait beyond those that run; more are refused with
    /// [`EngineError::Overloaded`].
    pub max_waiting: usize,
    /// Most prompt tokens in one step while answers are streaming: small keeps streams smooth,
    /// large lets a new prompt answer sooner.
    pub prefill_chunk: usize,
    /// Whether KV blocks of finished requests serve later prompts that begin the same way.
    pub prefix_cache: bool,
    /// Tokens an unread answer may grow to before it is given up with
    /// [`EngineError::SlowReader`]. At some 50 bytes a token, or 500 with many alternatives, the
    /// default costs a stalled client at most 8 MB.
    pub max_unread_tokens: usize,
    /// Most choices of one request, if fewer than the executor could run.
    pub max_choices: u32,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            max_waiting: 256,
            prefill_chunk: 256,
            prefix_cache: true,
            max_unread_tokens: 16 * 1024,
            max_choices: 128,
        }
    }
}

/// How busy an engine is; a snapshot taken after each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineLoad {
    /// Requests accepted and not ended.
    pub requests: usize,
    /// Sequences waiting for rows or memory, preempted ones included.
    pub waiting: usize,
    /// Sequences running.
    pub running: usize,
    /// KV blocks there are.
    pub total_blocks: usize,
    /// KV blocks free, or cached and unreferenced.
    pub available_blocks: usize,
    /// Tokens whose keys and values a later prompt may reuse.
    pub cached_tokens: usize,
    /// Prompt tokens admitted since the start.
    pub prompt_tokens_total: u64,
    /// Of those, found in the prefix cache.
    pub cached_prompt_tokens_total: u64,
    /// Tokens drawn since the start.
    pub output_tokens_total: u64,
    /// Sequences that gave their blocks up to older ones since the start.
    pub preemptions_total: u64,
    /// Cached blocks overwritten since the start.
    pub evictions_total: u64,
    /// Steps since the start.
    pub steps_total: u64,
}

impl EngineLoad {
    fn new(requests: usize, load: &SchedulerLoad) -> Self {
        Self {
            requests,
            waiting: load.waiting,
            running: load.running,
            total_blocks: load.total_blocks,
            available_blocks: load.available_blocks,
            cached_tokens: load.cached_tokens,
            prompt_tokens_total: load.prompt_tokens,
            cached_prompt_tokens_total: load.hit_tokens,
            output_tokens_total: load.output_tokens,
            preemptions_total: load.preemptions,
            evictions_total: load.evictions,
            steps_total: load.steps,
        }
    }
}

/// What handles and the loop thread both see.
#[derive(Debug, Default)]
struct Shared {
    load: Mutex<EngineLoad>,
    /// No new requests.
    draining: AtomicBool,
    /// End running requests too.
    stopping: AtomicBool,
    /// Why the loop ended, once it has by failure.
    failure: OnceLock<EngineError>,
}

impl Shared {
    fn load(&self) -> EngineLoad {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_load(&self, load: EngineLoad) {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = load;
    }

    /// Why no request is taken.
    fn refusal(&self) -> EngineError {
        self.failure
            .get()
            .cloned()
            .unwrap_or(EngineError::ShuttingDown)
    }
}

/// A handle to one loaded model; clones share it. The model is freed when the last handle and the
/// last [`Generation`] are gone, or by [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    text: Arc<dyn ModelText>,
    model: Option<Arc<TextModel>>,
    grammars: Grammars,
    vocab_size: usize,
    max_positions: usize,
    max_choices: u32,
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
}

/// See [`Engine::ender`].
#[derive(Debug)]
pub struct EngineEnder {
    shared: Arc<Shared>,
    commands: mpsc::WeakSender<Command>,
}

impl EngineEnder {
    /// Ends the engine with this failure: running requests get it, and the next one finds the model
    /// to be loaded again. Does not wait.
    pub fn fail(&self, error: EngineError) {
        self.shared.failure.get_or_init(|| error);
        self.shared.draining.store(true, Ordering::Release);
        self.shared.stopping.store(true, Ordering::Release);
        if let Some(commands) = self.commands.upgrade() {
            // A full channel means that the loop is awake.
            commands.try_send(Command::Wake).ok();
        }
    }
}

impl Engine {
    /// Starts the loop thread for a model folder that has been opened, on an executor that holds
    /// its weights.
    ///
    /// # Errors
    /// As [`with_text`](Self::with_text).
    pub fn start(
        model: TextModel,
        executor: Box<dyn Executor>,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        Self::start_with_policy(model, executor, options, Box::new(FirstComeFirstServed))
    }

    /// As [`start`](Self::start), with a waiting order of one's own.
    ///
    /// # Errors
    /// As there.
    pub fn start_with_policy(
        model: TextModel,
        executor: Box<dyn Executor>,
        options: EngineOptions,
        policy: Box<dyn QueuePolicy>,
    ) -> Result<Self, EngineError> {
        let model = Arc::new(model);
        let text: Arc<dyn ModelText> = Arc::clone(&model) as Arc<dyn ModelText>;
        Self::assemble(text, Some(model), executor, options, policy)
    }

    /// Starts the loop thread with any text side; [`start`](Self::start) has a model folder's own.
    ///
    /// # Errors
    /// [`EngineError::Internal`] if the executor holds nothing to work with, or the system gives no
    /// thread.
    pub fn with_text(
        text: Arc<dyn ModelText>,
        executor: Box<dyn Executor>,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        Self::with_policy(text, executor, options, Box::new(FirstComeFirstServed))
    }

    /// As [`with_text`](Self::with_text), with a waiting order of one's own.
    ///
    /// # Errors
    /// As there.
    pub fn with_policy(
        text: Arc<dyn ModelText>,
        executor: Box<dyn Executor>,
        options: EngineOptions,
        policy: Box<dyn QueuePolicy>,
    ) -> Result<Self, EngineError> {
        Self::assemble(text, None, executor, options, policy)
    }

    fn assemble(
        text: Arc<dyn ModelText>,
        model: Option<Arc<TextModel>>,
        executor: Box<dyn Executor>,
        options: EngineOptions,
        policy: Box<dyn QueuePolicy>,
    ) -> Result<Self, EngineError> {
        let capabilities = executor.capabilities().clone();
        // An answer can be no longer than what the whole KV memory holds; clients see one limit.
        let memory = capabilities
            .num_blocks
            .saturating_mul(capabilities.block_size);
        let max_positions = capabilities
            .max_positions
            .min(text.context_length())
            .min(memory);
        if max_positions < 2 || capabilities.vocab_size == 0 {
            return Err(EngineError::Internal(format!(
                "executor `{}` has room for {max_positions} positions and {} tokens",
                capabilities.name, capabilities.vocab_size
            )));
        }
        let config = SchedulerConfig {
            prefill_chunk: options.prefill_chunk,
            max_waiting: options.max_waiting,
            prefix_cache: options.prefix_cache,
            cache_salt: text.model_id().to_owned(),
            max_positions,
            ..SchedulerConfig::new(&capabilities)
        };
        let cache_block = options.prefix_cache.then_some(capabilities.block_size);
        let scheduler = Scheduler::new(config, policy);
        let shared = Arc::new(Shared::default());
        shared.set_load(EngineLoad::new(0, &scheduler.load()));
        let (commands, inbox) = mpsc::channel(COMMAND_CAPACITY);
        let (stopped_tx, stopped) = watch::channel(false);
        let worker = Worker::new(
            executor,
            scheduler,
            Arc::clone(&text),
            Arc::clone(&shared),
            options.max_unread_tokens,
            cache_block,
        );
        std::thread::Builder::new()
            .name(format!("engine {}", text.model_id()))
            .spawn(move || {
                worker.run(inbox);
                stopped_tx.send_replace(true);
            })
            .map_err(|error| EngineError::Internal(format!("no thread for the engine: {error}")))?;
        Ok(Self {
            inner: Arc::new(Inner {
                text,
                model,
                grammars: Grammars::default(),
                vocab_size: capabilities.vocab_size,
                max_positions,
                max_choices: options.max_choices,
                commands,
                shared,
                stopped,
            }),
        })
    }

    /// The model's text side: tokenizer, template, detokenizer.
    #[must_use]
    pub fn text(&self) -> &Arc<dyn ModelText> {
        &self.inner.text
    }

    /// The model folder behind this engine: its description, tokenizer, template and facts. `None`
    /// for one started with a text side of its own.
    #[must_use]
    pub fn model(&self) -> Option<&TextModel> {
        self.inner.model.as_deref()
    }

    /// Most tokens of prompt and answer together: the model's context, or less if the KV memory
    /// is smaller.
    #[must_use]
    pub fn max_positions(&self) -> usize {
        self.inner.max_positions
    }

    /// Renders and tokenizes a prompt. CPU-bound, about a millisecond per thousand tokens: call it
    /// off the async runtime for long inputs.
    ///
    /// # Errors
    /// A template that refuses the messages, a token outside the vocabulary, or
    /// [`EngineError::ContextOverflow`].
    pub fn prepare(&self, input: &PromptInput) -> Result<PreparedPrompt, EngineError> {
        self.prepare_within(input, ContextWindow::default())
    }

    /// As [`prepare`](Self::prepare), for a window of the context.
    ///
    /// # Errors
    /// As there; a prompt that may be cut never overflows.
    pub fn prepare_within(
        &self,
        input: &PromptInput,
        window: ContextWindow,
    ) -> Result<PreparedPrompt, EngineError> {
        let text = &self.inner.text;
        let continues = match input {
            PromptInput::Chat(chat) => chat.continue_final_message,
            PromptInput::Text { .. } | PromptInput::Tokens(_) | PromptInput::Infill { .. } => true,
        };
        let mut reasoning = None;
        let mut ends = Vec::new();
        let tokens = match input {
            PromptInput::Chat(chat) => {
                let rendered = text.render(chat)?;
                reasoning = Some(reasoning_after(&rendered, continues, text.as_ref()));
                text.encode_chat(&rendered)?
            }
            PromptInput::Text {
                text: prompt,
                add_special_tokens,
            } => text.encode(prompt, *add_special_tokens)?,
            PromptInput::Tokens(tokens) => tokens.clone(),
            PromptInput::Infill { prefix, suffix } => {
                let format = InfillFormat::detect(|name| text.marker(name).map(|m| m.token));
                let format = format.ok_or_else(|| {
                    EngineError::unsupported(
                        "suffix",
                        "this model was not taught to fill in the middle; leave the suffix out, or choose a code \
                         model that was",
                    )
                })?;
                ends = format.ends().to_vec();
                let mut begin = text.encode("", true)?;
                begin.retain(|token| !text.eos().contains(token));
                let before = without_marks(text.as_ref(), prefix, &ends)?;
                let after = without_marks(text.as_ref(), suffix, &ends)?;
                format.prompt(&begin, &before, &after)
            }
        };
        if tokens.is_empty() {
            return Err(EngineError::invalid("prompt", "has no tokens"));
        }
        self.check_tokens("prompt", &tokens)?;
        PreparedPrompt::new(tokens, continues, reasoning)
            .ended_by(&ends)
            .fit(window, self.inner.max_positions)
    }

    /// How an answer to `prompt` that must follow `rules` is enforced and read. CPU-bound where it
    /// compiles a grammar: call it off the async runtime.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`] for what this model cannot do, naming the field.
    pub fn plan_answer(
        &self,
        rules: &AnswerRules,
        prompt: &PreparedPrompt,
    ) -> Result<AnswerPlan, EngineError> {
        let text = self.inner.text.as_ref();
        answer_plan::plan(text, prompt.reasoning(), rules, |spec| {
            self.inner.grammars.compile(text, spec)
        })
    }

    /// Queues a request. Returns as soon as it is accepted; its events follow.
    ///
    /// # Errors
    /// A parameter out of range, a full queue ([`EngineError::Overloaded`]), a shutdown, or the
    /// failure that ended the engine.
    pub async fn generate(&self, request: GenerateRequest) -> Result<Generation, EngineError> {
        self.check(&request)?;
        let stops = StopMatcher::new(&request.stop)?;
        let inner = &self.inner;
        if inner.shared.draining.load(Ordering::Acquire) {
            return Err(inner.shared.refusal());
        }
        let (reply, accepted) = oneshot::channel();
        let command = Command::Generate {
            request: Box::new(request),
            stops,
            reply,
        };
        if inner.commands.send(command).await.is_err() {
            return Err(inner.shared.refusal());
        }
        accepted
            .await
            .unwrap_or_else(|_| Err(inner.shared.refusal()))
    }

    /// A vector for a prompt: the hidden states after the model's last norm, pooled as its makers say,
    /// not normalised. Dropping the future gives the work up.
    ///
    /// # Errors
    /// An executor that cannot embed, a full queue, a shutdown, or the failure that ended the engine.
    pub async fn embed(&self, prompt: PreparedPrompt) -> Result<Vec<f32>, EngineError> {
        self.check_tokens("prompt", prompt.tokens())?;
        let inner = &self.inner;
        if inner.shared.draining.load(Ordering::Acquire) {
            return Err(inner.shared.refusal());
        }
        let (reply, pooled) = oneshot::channel();
        let job = EmbedJob {
            prompt: prompt.shared(),
            reply,
        };
        if inner.commands.send(Command::Embed(job)).await.is_err() {
            return Err(inner.shared.refusal());
        }
        pooled.await.unwrap_or_else(|_| Err(inner.shared.refusal()))
    }

    /// How busy it is.
    #[must_use]
    pub fn load(&self) -> EngineLoad {
        self.inner.shared.load()
    }

    /// Why the engine no longer works, if it failed.
    #[must_use]
    pub fn failure(&self) -> Option<EngineError> {
        self.inner.shared.failure.get().cloned()
    }

    /// Refuses new requests, lets accepted ones finish, then frees the model. Returns when the
    /// thread has ended. Cancel-safe: the drain goes on if the caller stops waiting, for instance
    /// to call [`stop`](Self::stop) after a grace period.
    pub async fn shutdown(&self) {
        self.inner.shared.draining.store(true, Ordering::Release);
        self.wake().await;
        self.stopped().await;
    }

    /// Ends every request with [`EngineError::ShuttingDown`] and frees the model. Returns when the
    /// thread has ended, which takes at most the step in flight.
    pub async fn stop(&self) {
        self.inner.shared.draining.store(true, Ordering::Release);
        self.inner.shared.stopping.store(true, Ordering::Release);
        self.wake().await;
        self.stopped().await;
    }

    /// A way to end this engine from outside, for whoever learns that its executor is lost while it
    /// is idle. Does not keep the engine.
    #[must_use]
    pub fn ender(&self) -> EngineEnder {
        EngineEnder {
            shared: Arc::clone(&self.inner.shared),
            commands: self.inner.commands.downgrade(),
        }
    }

    /// Makes an idle loop look at its flags. A closed channel means that it has ended.
    async fn wake(&self) {
        self.inner.commands.send(Command::Wake).await.ok();
    }

    async fn stopped(&self) {
        // An error means that the sender is gone, and with it the thread.
        self.inner
            .stopped
            .clone()
            .wait_for(|stopped| *stopped)
            .await
            .ok();
    }

    fn check(&self, request: &GenerateRequest) -> Result<(), EngineError> {
        request.sampling.validate(self.inner.vocab_size)?;
        if request.choices == 0 || request.choices > self.inner.max_choices {
            return Err(EngineError::invalid(
                "choices",
                format!("must be between 1 and {}", self.inner.max_choices),
            ));
        }
        if request.choices > 1
            && request
                .prompt
                .window()
                .is_some_and(|w| w.slides_keeping.is_some())
        {
            return Err(EngineError::invalid(
                "choices",
                "must be 1 for an answer that may outgrow its context",
            ));
        }
        if request.ignore_eos && request.constraint.is_some() {
            return Err(EngineError::invalid(
                "ignore_eos",
                "cannot be combined with a required form: the form decides when the answer ends",
            ));
        }
        self.check_tokens("prompt", request.prompt.tokens())
    }

    fn check_tokens(&self, param: &str, tokens: &[TokenId]) -> Result<(), EngineError> {
        let size = self.inner.vocab_size;
        match tokens.iter().find(|&&token| token as usize >= size) {
            Some(bad) => Err(EngineError::invalid(
                param,
                format!("token {bad} is outside the vocabulary of {size}"),
            )),
            None => Ok(()),
        }
    }
}

/// The tokens of a text in which no written mark counts as one: its first character is tokenized apart, and then
/// nothing recognises it.
fn without_marks(
    text: &dyn ModelText,
    part: &str,
    marks: &[TokenId],
) -> Result<Vec<TokenId>, EngineError> {
    let mut tokens = Vec::new();
    for token in text.encode(part, false)? {
        if !marks.contains(&token) {
            tokens.push(token);
            continue;
        }
        let name = String::from_utf8_lossy(&text.token_bytes(token)).into_owned();
        let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
        tokens.extend(text.encode(first, false)?);
        tokens.extend(text.encode(rest, false)?);
    }
    Ok(tokens)
}

/// Where a rendered conversation leaves the model's reasoning.
fn reasoning_after(rendered: &str, continues: bool, text: &dyn ModelText) -> PromptReasoning {
    let Some(markers) = text.features().output.reasoning else {
        return PromptReasoning::Free;
    };
    let end = rendered.trim_end();
    if end.ends_with(markers.open) {
        PromptReasoning::Open
    } else if continues || end.ends_with(markers.close) {
        PromptReasoning::Over
    } else {
        PromptReasoning::Free
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("model", &self.inner.text.model_id())
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}
