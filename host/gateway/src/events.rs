//! Engine events to canonical events: the one place where the order that every dialect relies on is
//! made.
//!
//! Per answer: `started`; per choice its items ([`Items`]) and one `choice-finished`; then exactly one of
//! `finished` or `failed`. A choice gets an item even when the model says nothing, so that dialects need
//! no special case. Several prompts of one request are merged here:
//! choice index = input index * choices per input + choice.
//!
//! Pure: no clock, no channel; durations come in from outside.

use std::sync::Arc;
use std::time::Duration;

use atoll_engine::engine::{AnswerPlan, FinishReason as EngineFinish, GenerationEvent};
use atoll_plugin_runtime::types::{
    ChoiceEnd, Error, ErrorKind, Event, FinishReason, Finished, Phase, Progress, Started, Timings,
    Usage,
};

use crate::failure;
use crate::items::{CallIds, ItemStyle, Items};

/// Translates the events of all generations behind one request.
#[derive(Debug)]
pub(crate) struct Translator {
    started: Started,
    announced: bool,
    per_input: u32,
    style: ItemStyle,
    choices: Vec<Choice>,
    inputs: Vec<Input>,
    ended: bool,
}

/// One choice of the request.
#[derive(Debug)]
struct Choice {
    index: u32,
    items: Items,
    /// The prompt, to be repeated before the text.
    echo: Option<String>,
    finished: bool,
}

/// How the text of a request is split into items.
pub(crate) struct Splitting<'a> {
    /// One per prompt.
    pub plans: &'a [AnswerPlan],
    /// Tools that take free text.
    pub custom_tools: &'a [String],
    /// Random, for the ids of calls.
    pub call_ids: u128,
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
    written: u32,
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
        let style = ItemStyle {
            logprobs,
            single_call: false,
            custom_tools: Arc::new([]),
            call_ids: CallIds {
                seed: 0,
                short: false,
            },
        };
        for (tokens, echo) in prompts {
            for _ in 0..per_input {
                let index = u32::try_from(choices.len()).unwrap_or(u32::MAX);
                choices.push(Choice {
                    index,
                    items: Items::new(index, AnswerPlan::plain().parser(), style.clone()),
                    echo: echo.clone(),
                    finished: false,
                });
            }
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
            style,
            choices,
            inputs,
            ended: false,
        }
    }

    /// Splits the text of each choice as its prompt's plan says, instead of passing it on whole.
    pub(crate) fn splitting(mut self, splitting: &Splitting<'_>) -> Self {
        let custom_tools: Arc<[String]> = splitting.custom_tools.into();
        let per_input = self.per_input.max(1) as usize;
        for (at, choice) in self.choices.iter_mut().enumerate() {
            let Some(plan) = splitting.plans.get(at / per_input) else {
                continue;
            };
            let short = plan
                .call_syntax()
                .is_some_and(|name| name.starts_with("mistral"));
            let style = ItemStyle {
                single_call: plan.single_call,
                custom_tools: Arc::clone(&custom_tools),
                call_ids: CallIds {
                    seed: splitting.call_ids,
                    short,
                },
                ..self.style.clone()
            };
            choice.items = Items::new(choice.index, plan.parser(), style);
        }
        self
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
                if let Some(entry) = self.open(input, choice, out) {
                    entry.items.push(&text, tokens, out);
                }
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
                        written: usage.written,
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

    /// The choice's place over all prompts, its prompt repeated if it was not and must be.
    fn open(&mut self, input: usize, choice: u32, out: &mut Vec<Event>) -> Option<&mut Choice> {
        if choice >= self.per_input {
            return None;
        }
        self.announce(out);
        let index = u32::try_from(input)
            .ok()?
            .checked_mul(self.per_input)?
            .checked_add(choice)?;
        let entry = self.choices.get_mut(index as usize)?;
        if entry.finished {
            return None;
        }
        if let Some(text) = entry.echo.take() {
            entry.items.verbatim(text, out);
        }
        Some(entry)
    }

    fn finish_choice(
        &mut self,
        input: usize,
        choice: u32,
        reason: EngineFinish,
        out: &mut Vec<Event>,
    ) {
        let Some(entry) = self.open(input, choice, out) else {
            return;
        };
        entry.finished = true;
        let reason = entry.items.finish(finish_reason(reason), out);
        let choice = entry.index;
        out.push(Event::ChoiceFinished(ChoiceEnd { choice, reason }));
    }

    fn finish(&mut self, elapsed: Elapsed, out: &mut Vec<Event>) {
        if self.choices.iter().any(|choice| !choice.finished) {
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
            cache_written_tokens: sum(|usage| usage.written),
            output_tokens: sum(|usage| usage.output),
            reasoning_tokens: self
                .choices
                .iter()
                .map(|choice| choice.items.reasoning_tokens())
                .sum(),
        }
    }
}

pub(crate) fn nanos(duration: Option<Duration>) -> u64 {
    u64::try_from(duration.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
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
