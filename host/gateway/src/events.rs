//! Engine events to canonical events: the one place where the order that every dialect relies on is
//! made.
//!
//! Per answer: `started`; per choice one message item (start, text, end) and one `choice-finished`;
//! then exactly one of `finished` or `failed`. A choice gets its item even when the model says
//! nothing, so that dialects need no special case. Several prompts of one request are merged here:
//! choice index = input index * choices per input + choice.
//!
//! Pure: no clock, no channel; durations come in from outside.

use std::time::Duration;

use atoll_engine::engine::{FinishReason as EngineFinish, GenerationEvent, TokenEvent};
use atoll_plugin_runtime::types::{
    Alternative, ChoiceEnd, Delta, Error, ErrorKind, Event, FinishReason, Finished, Item, ItemEnd,
    ItemKind, Phase, Progress, Started, Timings, Token, Usage,
};

use crate::failure;

/// Translates the events of all generations behind one request.
#[derive(Debug)]
pub(crate) struct Translator {
    started: Started,
    announced: bool,
    per_input: u32,
    logprobs: bool,
    choices: Vec<Choice>,
    inputs: Vec<Input>,
    ended: bool,
}

/// Where a choice is in its life, and the prompt to repeat before its text.
#[derive(Debug)]
struct Choice {
    state: ChoiceState,
    echo: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChoiceState {
    Waiting,
    Open,
    Finished,
}

/// What has been learned about one prompt's generation.
#[derive(Debug, Default)]
struct Input {
    done: bool,
    usage: Counts,
    queued: Duration,
    prefill: Duration,
    decode: Duration,
}

/// Sums that saturate: hostile counts must not wrap.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    prompt: u32,
    cached: u32,
    output: u32,
}

/// What the host knows about time when a request ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Elapsed {
    /// Waiting for the model to be in memory.
    pub load: Duration,
    /// Since the request arrived.
    pub total: Duration,
}

impl Translator {
    /// `started` as it will be announced (its token counts are filled in here); one entry of
    /// `prompts` per prompt: its length in tokens and, if the client wants it repeated, its text.
    pub(crate) fn new(
        started: Started,
        prompts: Vec<(u32, Option<String>)>,
        per_input: u32,
        logprobs: bool,
    ) -> Self {
        let mut choices = Vec::new();
        let mut inputs = Vec::with_capacity(prompts.len());
        for (tokens, echo) in prompts {
            choices.extend((0..per_input).map(|_| Choice {
                state: ChoiceState::Waiting,
                echo: echo.clone(),
            }));
            let usage = Counts {
                prompt: tokens,
                ..Counts::default()
            };
            inputs.push(Input {
                usage,
                ..Input::default()
            });
        }
        Self {
            started,
            announced: false,
            per_input,
            logprobs,
            choices,
            inputs,
            ended: false,
        }
    }

    /// Whether the terminal event is out.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes one event of prompt `input`'s generation; `None` is the end of its stream.
    pub(crate) fn push(
        &mut self,
        input: usize,
        event: Option<GenerationEvent>,
        elapsed: Elapsed,
        out: &mut Vec<Event>,
    ) {
        if self.ended || input >= self.inputs.len() {
            return;
        }
        match event {
            Some(GenerationEvent::Started {
                prompt_tokens,
                cached_tokens,
            }) => {
                if let Some(state) = self.inputs.get_mut(input) {
                    state.usage.prompt = prompt_tokens;
                    state.usage.cached = cached_tokens;
                }
                self.announce(out);
            }
            Some(GenerationEvent::Progress { done, total }) => {
                out.push(Event::Progress(Progress {
                    phase: Phase::Prefill,
                    done: u64::from(done),
                    total: u64::from(total),
                    detail: None,
                }));
            }
            Some(GenerationEvent::Text {
                choice,
                text,
                tokens,
            }) => {
                self.text(input, choice, text, tokens, out);
            }
            Some(GenerationEvent::Finished { choice, reason, .. }) => {
                self.finish_choice(input, choice, reason, out);
            }
            Some(GenerationEvent::Failed(error)) => {
                self.fail(failure::from_engine(&error), out);
            }
            Some(GenerationEvent::Done { usage, timings }) => {
                if let Some(state) = self.inputs.get_mut(input) {
                    state.done = true;
                    state.usage = Counts {
                        prompt: usage.prompt,
                        cached: usage.cached,
                        output: usage.output,
                    };
                    state.queued = timings.queued;
                    state.prefill = timings.prefill;
                    state.decode = timings.decode;
                }
                if self.inputs.iter().all(|input| input.done) {
                    self.finish(elapsed, out);
                }
            }
            None => {
                if self.inputs.get(input).is_some_and(|input| !input.done) {
                    let message = "the engine ended the answer without saying why";
                    self.fail(failure::error(ErrorKind::Internal, message), out);
                }
            }
        }
    }

    /// Ends the answer with an error, unless it has ended.
    pub(crate) fn fail(&mut self, error: Error, out: &mut Vec<Event>) {
        if !self.ended {
            self.ended = true;
            out.push(Event::Failed(error));
        }
    }

    fn announce(&mut self, out: &mut Vec<Event>) {
        if self.announced {
            return;
        }
        self.announced = true;
        let usage = self.usage();
        self.started.prompt_tokens = usage.prompt_tokens;
        self.started.cached_tokens = usage.cached_tokens;
        out.push(Event::Started(self.started.clone()));
    }

    /// The choice's index over all prompts, its item opened if it was not.
    fn open(&mut self, input: usize, choice: u32, out: &mut Vec<Event>) -> Option<u32> {
        if choice >= self.per_input {
            return None;
        }
        self.announce(out);
        let index = u32::try_from(input)
            .ok()?
            .checked_mul(self.per_input)?
            .checked_add(choice)?;
        let entry = self.choices.get_mut(index as usize)?;
        match entry.state {
            ChoiceState::Finished => return None,
            ChoiceState::Open => {}
            ChoiceState::Waiting => {
                entry.state = ChoiceState::Open;
                let kind = ItemKind::Message;
                out.push(Event::ItemStarted(Item {
                    choice: index,
                    index: 0,
                    kind,
                }));
                if let Some(text) = entry.echo.take().filter(|text| !text.is_empty()) {
                    out.push(delta(index, text, Vec::new()));
                }
            }
        }
        Some(index)
    }

    fn text(
        &mut self,
        input: usize,
        choice: u32,
        text: String,
        tokens: Vec<TokenEvent>,
        out: &mut Vec<Event>,
    ) {
        let Some(index) = self.open(input, choice, out) else {
            return;
        };
        let tokens = if self.logprobs {
            tokens.into_iter().map(token).collect()
        } else {
            Vec::new()
        };
        // A token may complete no code point yet; without log probabilities there is nothing to say.
        if !text.is_empty() || !tokens.is_empty() {
            out.push(delta(index, text, tokens));
        }
    }

    fn finish_choice(
        &mut self,
        input: usize,
        choice: u32,
        reason: EngineFinish,
        out: &mut Vec<Event>,
    ) {
        let Some(index) = self.open(input, choice, out) else {
            return;
        };
        if let Some(entry) = self.choices.get_mut(index as usize) {
            entry.state = ChoiceState::Finished;
        }
        let reason = finish_reason(reason);
        let complete = matches!(reason, FinishReason::Stop | FinishReason::StopSequence(_));
        out.push(Event::ItemFinished(ItemEnd {
            choice: index,
            item: 0,
            complete,
            signature: None,
        }));
        out.push(Event::ChoiceFinished(ChoiceEnd {
            choice: index,
            reason,
        }));
    }

    fn finish(&mut self, elapsed: Elapsed, out: &mut Vec<Event>) {
        if self
            .choices
            .iter()
            .any(|choice| choice.state != ChoiceState::Finished)
        {
            let message = "the engine finished without finishing every choice";
            return self.fail(failure::error(ErrorKind::Internal, message), out);
        }
        self.ended = true;
        let longest = |of: fn(&Input) -> Duration| self.inputs.iter().map(of).max();
        let timings = Timings {
            queued: nanos(longest(|input| input.queued)),
            load: nanos(Some(elapsed.load)),
            prefill: nanos(longest(|input| input.prefill)),
            decode: nanos(longest(|input| input.decode)),
            total: nanos(Some(elapsed.total)),
        };
        out.push(Event::Finished(Finished {
            usage: self.usage(),
            timings,
        }));
    }

    fn usage(&self) -> Usage {
        let sum = |of: fn(&Counts) -> u32| {
            self.inputs
                .iter()
                .fold(0u32, |sum, input| sum.saturating_add(of(&input.usage)))
        };
        Usage {
            prompt_tokens: sum(|usage| usage.prompt),
            cached_tokens: sum(|usage| usage.cached),
            cache_written_tokens: 0,
            output_tokens: sum(|usage| usage.output),
            reasoning_tokens: 0,
        }
    }
}

pub(crate) fn nanos(duration: Option<Duration>) -> u64 {
    u64::try_from(duration.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

fn delta(choice: u32, text: String, tokens: Vec<Token>) -> Event {
    Event::TextDelta(Delta {
        choice,
        item: 0,
        text,
        tokens,
    })
}

fn token(event: TokenEvent) -> Token {
    let alternatives = event
        .top
        .into_iter()
        .map(|(id, bytes, logprob)| Alternative { id, bytes, logprob })
        .collect();
    Token {
        id: event.token,
        bytes: event.bytes,
        // Asked for, so present; a missing one must not look certain.
        logprob: event.logprob.unwrap_or(f32::NEG_INFINITY),
        alternatives,
    }
}

fn finish_reason(reason: EngineFinish) -> FinishReason {
    match reason {
        EngineFinish::Stop => FinishReason::Stop,
        EngineFinish::StopSequence(text) => FinishReason::StopSequence(text),
        EngineFinish::Length => FinishReason::Length,
        EngineFinish::ContextWindow => FinishReason::ContextWindow,
        EngineFinish::Cancelled => FinishReason::Cancelled,
    }
}

#[cfg(test)]
mod tests;
