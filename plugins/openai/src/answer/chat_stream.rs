//! A streamed chat completion.
//!
//! The official clients accumulate strictly, and these rules follow from how they do it:
//! - per choice one chunk with the role, before anything else of it;
//! - a call's id, type and name exactly once, because repeated strings are concatenated; `index`
//!   present on every fragment and counted from 0 without gaps;
//! - one chunk with a finish reason per choice;
//! - usage only when asked for, in a last chunk without choices; every chunk before it says `null`;
//! - then `[DONE]`; or, if the answer failed, the error and nothing more.

use std::collections::BTreeMap;

use atoll_plugin_openai_common::failure;
use atoll_sdk::sse;
use atoll_sdk::types::{Delta, Error, Event, ItemKind, ToolCallStart};
use serde::Serialize;

use super::chat::{CallIndex, ChatOptions};
use super::logprobs::{self, ChatLogprobs};
use super::usage::Usage;
use super::{Mode, Preamble, SERVICE_TIER, finish_reason};

/// The state of one stream.
#[derive(Debug)]
pub(crate) struct ChatStream {
    options: ChatOptions,
    include_usage: bool,
    preamble: Preamble,
    choices: BTreeMap<u32, Choice>,
    ended: bool,
}

/// A choice whose role chunk was sent.
#[derive(Debug, Default)]
struct Choice {
    calls: CallIndex,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: Option<&'a str>,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: ChunkDelta<'a>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ChunkDelta<'a> {
    Role {
        role: &'static str,
        content: &'static str,
        refusal: Option<&'static str>,
    },
    Content {
        content: &'a str,
    },
    Refusal {
        refusal: &'a str,
    },
    /// Both names in use, because no client reads both and none agrees with the other.
    Reasoning {
        reasoning_content: &'a str,
        reasoning: &'a str,
    },
    ToolCalls {
        tool_calls: [CallDelta<'a>; 1],
    },
    FunctionCall {
        function_call: Function<'a>,
    },
    End {},
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<Custom<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Custom<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    input: &'a str,
}

impl ChatStream {
    pub(super) fn new(options: ChatOptions, include_usage: bool) -> Self {
        let (preamble, choices) = (Preamble::default(), BTreeMap::new());
        Self {
            options,
            include_usage,
            preamble,
            choices,
            ended: false,
        }
    }

    pub(super) fn mode(&self) -> Mode {
        Mode::Stream {
            include_usage: self.include_usage,
        }
    }

    /// Appends the bytes of one event.
    pub(super) fn event(&mut self, out: &mut Vec<u8>, event: Event) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        match event {
            Event::Started(started) => {
                self.preamble = Preamble::new("chatcmpl", started);
                // At once and for all choices: the first byte tells the client it was understood.
                for choice in 0..self.options.choices {
                    self.role(out, choice)?;
                }
            }
            Event::Progress(_) => sse::comment(out, "keep-alive"),
            Event::ItemStarted(item) => {
                self.role(out, item.choice)?;
                if let ItemKind::ToolCall(start) = item.kind {
                    self.call(out, item.choice, item.index, &start)?;
                }
            }
            Event::TextDelta(delta) => {
                let logprobs = self.logprobs(&delta).map(|tokens| ChatLogprobs {
                    content: Some(tokens),
                    refusal: None,
                });
                if !delta.text.is_empty() || logprobs.is_some() {
                    let content = ChunkDelta::Content {
                        content: &delta.text,
                    };
                    self.chunk(out, delta.choice, content, logprobs, None)?;
                }
            }
            Event::RefusalDelta(delta) => {
                let logprobs = self.logprobs(&delta).map(|tokens| ChatLogprobs {
                    content: None,
                    refusal: Some(tokens),
                });
                if !delta.text.is_empty() || logprobs.is_some() {
                    let refusal = ChunkDelta::Refusal {
                        refusal: &delta.text,
                    };
                    self.chunk(out, delta.choice, refusal, logprobs, None)?;
                }
            }
            Event::ReasoningDelta(delta) => {
                if !delta.text.is_empty() && !self.options.hide_reasoning {
                    let text = delta.text.as_str();
                    let reasoning = ChunkDelta::Reasoning {
                        reasoning_content: text,
                        reasoning: text,
                    };
                    self.chunk(out, delta.choice, reasoning, None, None)?;
                }
            }
            Event::ArgumentsDelta(delta) => self.arguments(out, &delta)?,
            Event::ChoiceFinished(end) => {
                self.role(out, end.choice)?;
                let called = self
                    .choices
                    .get(&end.choice)
                    .is_some_and(|choice| choice.calls.any());
                let legacy = self.options.legacy_function_call;
                let reason = finish_reason(&end.reason, called, legacy);
                self.chunk(out, end.choice, ChunkDelta::End {}, None, Some(reason))?;
            }
            Event::Finished(finished) => {
                self.ended = true;
                if self.include_usage {
                    self.write(out, &[], Some(Some(finished.usage.into())))?;
                }
                sse::text(out, "[DONE]");
            }
            Event::Failed(reason) => {
                self.ended = true;
                sse::data(out, &failure::body(&reason))?;
            }
            Event::ItemFinished(_) | Event::Usage(_) | Event::Other(_) => {}
        }
        Ok(())
    }

    fn logprobs(&self, delta: &Delta) -> Option<Vec<logprobs::TokenLogprob>> {
        let wanted = self.options.logprobs && !delta.tokens.is_empty();
        wanted.then(|| logprobs::chat(delta.tokens.clone()))
    }

    /// The role chunk of a choice, unless it was sent.
    fn role(&mut self, out: &mut Vec<u8>, choice: u32) -> Result<(), Error> {
        if self.choices.contains_key(&choice) {
            return Ok(());
        }
        self.choices.insert(choice, Choice::default());
        let role = ChunkDelta::Role {
            role: "assistant",
            content: "",
            refusal: None,
        };
        self.chunk(out, choice, role, None, None)
    }

    fn call(
        &mut self,
        out: &mut Vec<u8>,
        choice: u32,
        item: u32,
        start: &ToolCallStart,
    ) -> Result<(), Error> {
        let index = self
            .choices
            .entry(choice)
            .or_default()
            .calls
            .begin(item, start.custom);
        let function = Function {
            name: Some(&start.name),
            arguments: "",
        };
        let delta = if self.options.legacy_function_call {
            if index > 0 {
                return Ok(());
            }
            ChunkDelta::FunctionCall {
                function_call: function,
            }
        } else {
            let (kind, function, custom) = if start.custom {
                (
                    "custom",
                    None,
                    Some(Custom {
                        name: Some(&start.name),
                        input: "",
                    }),
                )
            } else {
                ("function", Some(function), None)
            };
            let (id, kind) = (Some(start.call_id.as_str()), Some(kind));
            ChunkDelta::ToolCalls {
                tool_calls: [CallDelta {
                    index,
                    id,
                    kind,
                    function,
                    custom,
                }],
            }
        };
        self.chunk(out, choice, delta, None, None)
    }

    /// A fragment of a call's arguments; of the second call on, the older shape has no place.
    fn arguments(&self, out: &mut Vec<u8>, delta: &Delta) -> Result<(), Error> {
        let call = self
            .choices
            .get(&delta.choice)
            .and_then(|choice| choice.calls.of(delta.item));
        let Some((index, custom)) = call else {
            return Ok(());
        };
        if delta.text.is_empty() {
            return Ok(());
        }
        let text = delta.text.as_str();
        let function = Function {
            name: None,
            arguments: text,
        };
        let delta_object = if self.options.legacy_function_call {
            if index > 0 {
                return Ok(());
            }
            ChunkDelta::FunctionCall {
                function_call: function,
            }
        } else {
            let (function, custom) = if custom {
                (
                    None,
                    Some(Custom {
                        name: None,
                        input: text,
                    }),
                )
            } else {
                (Some(function), None)
            };
            let (id, kind) = (None, None);
            ChunkDelta::ToolCalls {
                tool_calls: [CallDelta {
                    index,
                    id,
                    kind,
                    function,
                    custom,
                }],
            }
        };
        self.chunk(out, delta.choice, delta_object, None, None)
    }

    fn chunk(
        &self,
        out: &mut Vec<u8>,
        index: u32,
        delta: ChunkDelta<'_>,
        logprobs: Option<ChatLogprobs>,
        finish_reason: Option<&'static str>,
    ) -> Result<(), Error> {
        let choice = ChunkChoice {
            index,
            delta,
            logprobs,
            finish_reason,
        };
        self.write(out, &[choice], self.include_usage.then_some(None))
    }

    fn write(
        &self,
        out: &mut Vec<u8>,
        choices: &[ChunkChoice<'_>],
        usage: Option<Option<Usage>>,
    ) -> Result<(), Error> {
        let Preamble {
            id,
            created,
            model,
            fingerprint,
        } = &self.preamble;
        let chunk = Chunk {
            id,
            object: "chat.completion.chunk",
            created: *created,
            model,
            service_tier: SERVICE_TIER,
            system_fingerprint: fingerprint.as_deref(),
            choices,
            usage,
        };
        sse::data(out, &chunk)
    }
}
