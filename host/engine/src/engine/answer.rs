//! One choice's answer: tokens in, publishable text out.
//!
//! Text is held back while it might be the beginning of a stop string, and tokens are held back with
//! their text, so that neither tells what a stop string hides. Positions below are byte offsets into
//! the choice's whole text.

use std::collections::VecDeque;
use std::sync::Arc;

use super::constraint::SharedGuard;
use super::text::{ModelText, TextStream};
use super::{FinishReason, TokenEvent};
use crate::executor::{SampledToken, TokenId};
use crate::text::stop::{StopMatcher, StopOutput};

/// A token whose text has not been released yet.
#[derive(Debug)]
struct Held {
    event: TokenEvent,
    start: usize,
    end: usize,
}

/// Text and tokens ready to leave.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub tokens: Vec<TokenEvent>,
}

impl Piece {
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.tokens.is_empty()
    }
}

pub(super) struct Answer {
    stream: Box<dyn TextStream>,
    stops: StopMatcher,
    /// The request's stop strings.
    names: Arc<[String]>,
    held: VecDeque<Held>,
    /// Bytes of text so far, released or not.
    produced: usize,
    /// Bytes released.
    released: usize,
    /// Control tokens that are shown.
    shown: Arc<[TokenId]>,
    /// What restrains its tokens, if anything.
    pub guard: Option<SharedGuard>,
    pub output_tokens: u32,
    pub finished: bool,
}

impl Answer {
    /// An answer whose text comes from `stream`; `stops` matches `names`.
    pub fn new(stream: Box<dyn TextStream>, stops: StopMatcher, names: Arc<[String]>) -> Self {
        Self {
            stream,
            stops,
            names,
            held: VecDeque::new(),
            produced: 0,
            released: 0,
            shown: Arc::new([]),
            guard: None,
            output_tokens: 0,
            finished: false,
        }
    }

    /// Shows these control tokens as their text.
    pub fn showing(mut self, tokens: Arc<[TokenId]>) -> Self {
        self.shown = tokens;
        self
    }

    /// Takes a drawn token that is part of the answer. The reason is set when a stop string appeared.
    pub fn push(
        &mut self,
        text: &dyn ModelText,
        sampled: SampledToken,
    ) -> (Piece, Option<FinishReason>) {
        self.output_tokens += 1;
        let piece = if self.shown.contains(&sampled.token) {
            let name = text.token_bytes(sampled.token);
            self.stream.finish() + &String::from_utf8_lossy(&name)
        } else {
            self.stream.push(sampled.token)
        };
        let start = self.produced;
        self.produced += piece.len();
        self.held.push_back(Held {
            event: token_event(text, sampled),
            start,
            end: self.produced,
        });
        let StopOutput { text, matched } = self.stops.push(&piece);
        self.release(text, matched)
    }

    /// Takes a drawn token that ends the answer and is no part of it.
    pub fn push_hidden(&mut self) {
        self.output_tokens += 1;
    }

    /// Releases everything: no more tokens come. A stop string may still complete.
    pub fn finish(&mut self) -> (Piece, Option<FinishReason>) {
        let rest = self.stream.finish();
        self.produced += rest.len();
        if let Some(last) = self.held.back_mut() {
            last.end = self.produced;
        }
        let StopOutput { mut text, matched } = self.stops.push(&rest);
        if matched.is_none() {
            text.push_str(&self.stops.finish());
        }
        self.release(text, matched)
    }

    fn release(&mut self, text: String, matched: Option<usize>) -> (Piece, Option<FinishReason>) {
        self.released += text.len();
        let mut tokens = Vec::new();
        while let Some(held) = self.held.front()
            && held.end <= self.released
        {
            tokens.extend(self.held.pop_front().map(|held| held.event));
        }
        let reason = matched.map(|index| {
            // The token in which the stop string begins keeps the bytes before it.
            if let Some(mut held) = self.held.pop_front()
                && held.start < self.released
            {
                held.event.bytes.truncate(self.released - held.start);
                tokens.push(held.event);
            }
            self.held.clear();
            FinishReason::StopSequence(self.names.get(index).cloned().unwrap_or_default())
        });
        (Piece { text, tokens }, reason)
    }
}

fn token_event(text: &dyn ModelText, sampled: SampledToken) -> TokenEvent {
    let bytes = |token: TokenId| text.token_bytes(token);
    TokenEvent {
        token: sampled.token,
        bytes: bytes(sampled.token),
        logprob: sampled.logprob,
        top: sampled
            .top_logprobs
            .into_iter()
            .map(|(token, logprob)| (token, bytes(token), logprob))
            .collect(),
    }
}
