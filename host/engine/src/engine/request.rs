//! What goes into an engine and what comes out.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::EngineError;
use super::constraint::{Constraint, ReasoningBudget};
use crate::executor::TokenId;
use crate::sampling::SamplingParams;

/// A prompt in one of the forms clients have.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptInput {
    /// A conversation, to be rendered by the model's chat template.
    Chat(ChatPrompt),
    /// Text as it is.
    Text {
        /// The text.
        text: String,
        /// Whether the tokenizer's own special tokens (beginning of text) are added.
        add_special_tokens: bool,
    },
    /// Tokens as they are.
    Tokens(Vec<TokenId>),
    /// The gap between two texts, for models that were taught to fill it.
    Infill {
        /// What stands before the gap.
        prefix: String,
        /// What stands after it.
        suffix: String,
    },
}

/// How much of the model's context a prompt and its answer may use, and what happens at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContextWindow {
    /// Most tokens of prompt and answer together, if fewer than the model has room for.
    pub length: Option<u32>,
    /// A prompt that is too long loses tokens after its first `keep` until there is room for an answer, instead of
    /// being refused.
    pub cut: bool,
    /// An answer that reaches the end goes on: half of the tokens after the first `keep` are forgotten, and what
    /// is left is read again. For requests of one choice.
    pub slide: bool,
    /// Tokens at the beginning that stay. At most three quarters of the window do.
    pub keep: u32,
}

impl ContextWindow {
    /// Shorter ones hold no conversation.
    const SHORTEST: usize = 4;

    /// The window on a model with room for `positions`.
    pub(super) fn on(self, positions: usize) -> usize {
        let asked = self.length.map_or(positions, |length| length as usize);
        asked.max(Self::SHORTEST).min(positions)
    }

    /// Tokens at the beginning of a window of `length` that stay.
    pub(super) fn kept(self, length: usize) -> usize {
        (self.keep as usize).min(length - length.div_ceil(4))
    }
}

/// A conversation as Hugging Face chat templates take it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatPrompt {
    /// Objects with `role`, `content`, and what else the template knows.
    pub messages: Vec<Value>,
    /// A list of tool definitions, if any.
    pub tools: Option<Value>,
    /// Further variables for the template: `enable_thinking`, `documents`, ...
    pub template_variables: Map<String, Value>,
    /// Ask for the beginning of an assistant message at the end.
    pub add_generation_prompt: bool,
    /// The last message is the beginning of the answer: render it without its end.
    pub continue_final_message: bool,
}

/// A prompt as tokens, checked against the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedPrompt {
    tokens: Arc<[TokenId]>,
    continues: bool,
    reasoning: Option<PromptReasoning>,
    ends: Arc<[TokenId]>,
    window: Option<Window>,
    cut: usize,
}

/// A [`ContextWindow`] on a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Positions.
    pub length: usize,
    /// Tokens at the beginning that stay when it slides; `None` if it does not.
    pub slides_keeping: Option<usize>,
}

/// Where a rendered conversation leaves the model's reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptReasoning {
    /// The prompt opened it.
    Open,
    /// The prompt closed it: the answer begins with its text.
    Over,
    /// The model decides.
    Free,
}

impl PreparedPrompt {
    pub(super) fn new(
        tokens: Vec<TokenId>,
        continues: bool,
        reasoning: Option<PromptReasoning>,
    ) -> Self {
        Self {
            tokens: tokens.into(),
            continues,
            reasoning,
            ends: Arc::new([]),
            window: None,
            cut: 0,
        }
    }

    /// Also ended by these tokens.
    pub(super) fn ended_by(mut self, tokens: &[TokenId]) -> Self {
        self.ends = tokens.into();
        self
    }

    /// Shortens the prompt to fit into the window, leaving room for one token, if it must be and may be.
    ///
    /// # Errors
    /// [`EngineError::ContextOverflow`].
    pub(super) fn fit(
        mut self,
        window: ContextWindow,
        positions: usize,
    ) -> Result<Self, EngineError> {
        let length = window.on(positions);
        let (tokens, maximum) = (self.tokens.len(), length - 1);
        if tokens > maximum {
            if !window.cut {
                return Err(EngineError::ContextOverflow { tokens, maximum });
            }
            // As much as a first slide would forget, so that the answer has room.
            let kept = window.kept(length);
            self.cut = tokens - (length - ((length - kept) / 2).max(1));
            self.tokens = [&self.tokens[..kept], &self.tokens[kept + self.cut..]]
                .concat()
                .into();
        }
        if length < positions || window.slide {
            self.window = Some(Window {
                length,
                slides_keeping: window.slide.then(|| window.kept(length)),
            });
        }
        Ok(self)
    }

    pub(super) fn window(&self) -> Option<Window> {
        self.window
    }

    /// Tokens that end the answer, beside the model's own and the request's.
    #[must_use]
    pub fn ends(&self) -> &[TokenId] {
        &self.ends
    }

    /// Tokens that were cut out to make it fit.
    #[must_use]
    pub fn cut_tokens(&self) -> usize {
        self.cut
    }

    /// Where the reasoning stands; `None` for a prompt that is no conversation.
    pub(super) fn reasoning(&self) -> Option<PromptReasoning> {
        self.reasoning
    }

    /// Whether the answer goes on in the middle of a text, rather than being one of its own.
    pub(super) fn continues(&self) -> bool {
        self.continues
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// How many.
    #[must_use]
    pub fn token_count(&self) -> u32 {
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn shared(&self) -> Arc<[TokenId]> {
        Arc::clone(&self.tokens)
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// For logs and traces.
    pub id: String,
    /// What to continue.
    pub prompt: PreparedPrompt,
    /// How to draw. Choice `i` draws with a seed derived from `sampling.seed` and `i`; choice 0
    /// with `sampling.seed` itself.
    pub sampling: SamplingParams,
    /// How many answers.
    pub choices: u32,
    /// Longest answer in tokens; `None` goes on until the context is full. 0 reads the prompt into the prefix cache
    /// and answers nothing.
    pub max_tokens: Option<u32>,
    /// Strings that end an answer, and are not part of it.
    pub stop: Vec<String>,
    /// Tokens that end an answer, beside the model's own.
    pub stop_tokens: Vec<TokenId>,
    /// Go on past the model's own end-of-turn tokens.
    pub ignore_eos: bool,
    /// What the answer must look like, or `None` for anything. Not with `ignore_eos`.
    pub constraint: Option<Constraint>,
    /// How long it may reason, or `None` for as long as it likes.
    pub reasoning_budget: Option<ReasoningBudget>,
    /// Control tokens whose text is part of the answer: the markers that its parser looks for.
    pub shown_tokens: Arc<[TokenId]>,
    /// Requests with different salts never share cached prefixes, so that one tenant cannot learn
    /// by timing what another has asked.
    pub cache_salt: Option<String>,
    /// For the queue policy; higher is sooner. The built-in policy ignores it.
    pub priority: i32,
    /// On whose behalf, for the queue policy: the name of a key. Empty for nobody in particular.
    pub owner: Arc<str>,
}

/// What an engine says about a request, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum GenerationEvent {
    /// It runs now.
    Started {
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// Of those, found in the prefix cache.
        cached_tokens: u32,
    },
    /// Part of the prompt has been read. Only the latest is kept for a reader that lags.
    Progress {
        /// Prompt tokens done, cached ones included.
        done: u32,
        /// Prompt tokens in all.
        total: u32,
    },
    /// A piece of an answer.
    Text {
        /// Which answer.
        choice: u32,
        /// Whole code points; may be empty when a token completes none.
        text: String,
        /// The tokens behind it.
        tokens: Vec<TokenEvent>,
    },
    /// An answer is complete. Nothing more of it follows.
    Finished {
        /// Which answer.
        choice: u32,
        /// Why.
        reason: FinishReason,
        /// Tokens drawn for it, the one that ended it included.
        output_tokens: u32,
    },
    /// The request ended early. Terminal.
    Failed(EngineError),
    /// All answers are complete. Terminal.
    Done {
        /// Counts.
        usage: Usage,
        /// Durations.
        timings: Timings,
    },
}

impl GenerationEvent {
    /// Whether nothing can follow.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Done { .. })
    }
}

/// A drawn token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenEvent {
    /// The token.
    pub token: TokenId,
    /// Its bytes, which need not be whole code points; cut where a stop string begins.
    pub bytes: Vec<u8>,
    /// Its log probability, if asked for.
    pub logprob: Option<f32>,
    /// The most likely tokens with their bytes and log probabilities, if asked for.
    pub top: Vec<(TokenId, Vec<u8>, f32)>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its turn, or drew a stop token.
    Stop,
    /// This stop string was about to appear.
    StopSequence(String),
    /// It has `max_tokens` tokens.
    Length,
    /// The context is full.
    ContextWindow,
    /// It was cancelled.
    Cancelled,
}

/// What a request cost, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Prompt, counted once however many choices there are.
    pub prompt: u32,
    /// Of those, found in the prefix cache.
    pub cached: u32,
    /// Of the others, put into it.
    pub written: u32,
    /// Drawn, summed over choices.
    pub output: u32,
}

/// Where a request's time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// From acceptance until it first ran.
    pub queued: Duration,
    /// From then to its first token.
    pub prefill: Duration,
    /// From its first token to its last.
    pub decode: Duration,
}
