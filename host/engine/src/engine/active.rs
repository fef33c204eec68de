//! A request the loop works on: its answers, its clock, its way out.

use std::time::{Duration, Instant};

use super::answer::{Answer, Piece};
use super::mailbox::EventSender;
use super::slide::Sliding;
use super::{FinishReason, GenerationEvent, Timings, Usage};

/// A request the loop works on.
pub(super) struct Active {
    pub name: String,
    pub sender: EventSender,
    pub answers: Vec<Answer>,
    pub prompt_tokens: u32,
    pub cached_tokens: u32,
    /// Tokens in a block of the prefix cache, if there is one.
    pub cache_block: Option<usize>,
    /// Reads its prompt and answers nothing.
    pub warms: bool,
    /// Its place in a window of the context, if it has one of its own.
    pub sliding: Option<Sliding>,
    pub accepted: Instant,
    pub started: Option<Instant>,
    pub first_token: Option<Instant>,
    pub last_token: Option<Instant>,
}

impl Active {
    /// It was admitted.
    pub fn start(&mut self, cached_tokens: u32) {
        if self.started.is_some() {
            // Again, after its window slid.
            return;
        }
        self.started = Some(Instant::now());
        self.cached_tokens = cached_tokens;
        self.sender.send(GenerationEvent::Started {
            prompt_tokens: self.prompt_tokens,
            cached_tokens,
        });
    }

    /// Passes on what became publishable.
    pub fn text(&self, choice: u32, piece: Piece) {
        if !piece.is_empty() {
            self.sender.send(GenerationEvent::Text {
                choice,
                text: piece.text,
                tokens: piece.tokens,
            });
        }
    }

    /// An answer is complete.
    pub fn finish_choice(&mut self, choice: u32, reason: FinishReason) {
        let Some(answer) = self.answers.get_mut(choice as usize) else {
            return;
        };
        answer.finished = true;
        self.sender.send(GenerationEvent::Finished {
            choice,
            reason,
            output_tokens: answer.output_tokens,
        });
    }

    /// Prompt tokens that this request put into the prefix cache: whole blocks only.
    fn written_tokens(&self) -> u32 {
        let Some(block) = self.cache_block.and_then(|block| u32::try_from(block).ok()) else {
            return 0;
        };
        let whole = self.prompt_tokens - self.prompt_tokens % block.max(1);
        whole.saturating_sub(self.cached_tokens)
    }

    /// All answers are.
    pub fn done(&self) {
        let between = |from: Option<Instant>, to: Option<Instant>| match (from, to) {
            (Some(from), Some(to)) => to.saturating_duration_since(from),
            _ => Duration::ZERO,
        };
        let usage = Usage {
            prompt: self.prompt_tokens,
            cached: self.cached_tokens,
            written: self.written_tokens(),
            output: self.answers.iter().map(|answer| answer.output_tokens).sum(),
        };
        let timings = Timings {
            queued: between(Some(self.accepted), self.started),
            prefill: between(self.started, self.first_token),
            decode: between(self.first_token, self.last_token),
        };
        tracing::debug!(request = self.name, ?usage, ?timings, "done");
        self.sender.send(GenerationEvent::Done { usage, timings });
    }
}
