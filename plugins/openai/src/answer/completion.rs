//! Completions: text without roles, streamed or whole.
//!
//! The host joins prompt and continuation when the client wants an echo, so text deltas are the whole
//! of it. Choices of several prompts are numbered through.

use std::collections::BTreeMap;

use atoll_plugin_openai_common::failure;
use atoll_sdk::types::{Delta, Error, Event};
use atoll_sdk::{json, sse};
use serde::Serialize;

use super::logprobs::{self, CompletionLogprobs};
use super::usage::Usage;
use super::{Mode, Preamble, finish_reason};

/// The state of one answer.
#[derive(Debug)]
pub(crate) struct CompletionAnswer {
    mode: Mode,
    expected: u32,
    logprobs: bool,
    preamble: Preamble,
    choices: BTreeMap<u32, Choice>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Choice {
    text: String,
    /// Characters of text so far, by which log probabilities are placed.
    offset: u64,
    logprobs: CompletionLogprobs,
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: Option<&'a str>,
    choices: &'a [BodyChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct BodyChoice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<&'a CompletionLogprobs>,
    finish_reason: Option<&'static str>,
}

impl CompletionAnswer {
    /// An answer of so many choices of which nothing is known yet.
    pub(crate) fn new(mode: Mode, choices: u32, logprobs: bool) -> Self {
        let preamble = Preamble::default();
        let (expected, choices) = (choices, BTreeMap::new());
        Self {
            mode,
            expected,
            logprobs,
            preamble,
            choices,
            ended: false,
        }
    }

    /// In which form it goes out.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Bytes for these events.
    ///
    /// # Errors
    /// Never for events the host sends.
    pub(crate) fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for event in events {
            if !self.ended {
                self.event(&mut out, event)?;
            }
        }
        Ok(out)
    }

    fn event(&mut self, out: &mut Vec<u8>, event: Event) -> Result<(), Error> {
        let streaming = self.mode != Mode::Whole;
        match event {
            Event::Started(started) => {
                self.preamble = Preamble::new("cmpl", started);
                if !streaming {
                    for choice in 0..self.expected {
                        self.choices.entry(choice).or_default();
                    }
                }
            }
            Event::Progress(_) if streaming => sse::comment(out, "keep-alive"),
            Event::TextDelta(delta) => self.text(out, delta)?,
            Event::ChoiceFinished(end) => {
                let reason = finish_reason(&end.reason, false, false);
                if streaming {
                    let (index, finish_reason) = (end.choice, Some(reason));
                    let choice = BodyChoice {
                        text: "",
                        index,
                        logprobs: None,
                        finish_reason,
                    };
                    self.write(out, &[choice], None)?;
                } else {
                    self.choices.entry(end.choice).or_default().reason = Some(reason);
                }
            }
            Event::Finished(finished) => {
                self.ended = true;
                match self.mode {
                    Mode::Whole => self.body(out, finished.usage.into())?,
                    Mode::Stream { include_usage } => {
                        if include_usage {
                            self.write(out, &[], Some(finished.usage.into()))?;
                        }
                        sse::text(out, "[DONE]");
                    }
                }
            }
            Event::Failed(reason) => {
                self.ended = true;
                if streaming {
                    sse::data(out, &failure::body(&reason))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, out: &mut Vec<u8>, delta: Delta) -> Result<(), Error> {
        let choice = self.choices.entry(delta.choice).or_default();
        let offset = choice.offset;
        choice.offset += logprobs::advance(&delta.text, &delta.tokens);
        let lists = (self.logprobs && !delta.tokens.is_empty())
            .then(|| CompletionLogprobs::new(delta.tokens, offset));
        if self.mode == Mode::Whole {
            choice.text.push_str(&delta.text);
            if let Some(lists) = lists {
                choice.logprobs.extend(lists);
            }
            return Ok(());
        }
        if delta.text.is_empty() && lists.is_none() {
            return Ok(());
        }
        let (text, index, logprobs) = (delta.text.as_str(), delta.choice, lists.as_ref());
        self.write(
            out,
            &[BodyChoice {
                text,
                index,
                logprobs,
                finish_reason: None,
            }],
            None,
        )
    }

    fn body(&self, out: &mut Vec<u8>, usage: Usage) -> Result<(), Error> {
        let choices: Vec<BodyChoice<'_>> = self
            .choices
            .iter()
            .map(|(index, choice)| BodyChoice {
                text: &choice.text,
                index: *index,
                logprobs: self.logprobs.then_some(&choice.logprobs),
                finish_reason: Some(choice.reason.unwrap_or("stop")),
            })
            .collect();
        json::write(out, &self.object(&choices, Some(Some(usage))))
    }

    fn write(
        &self,
        out: &mut Vec<u8>,
        choices: &[BodyChoice<'_>],
        usage: Option<Usage>,
    ) -> Result<(), Error> {
        let include_usage = self.mode
            == Mode::Stream {
                include_usage: true,
            };
        sse::data(out, &self.object(choices, include_usage.then_some(usage)))
    }

    fn object<'a>(
        &'a self,
        choices: &'a [BodyChoice<'a>],
        usage: Option<Option<Usage>>,
    ) -> Body<'a> {
        let Preamble {
            id,
            created,
            model,
            fingerprint,
        } = &self.preamble;
        Body {
            id,
            object: "text_completion",
            created: *created,
            model,
            system_fingerprint: fingerprint.as_deref(),
            choices,
            usage,
        }
    }
}
