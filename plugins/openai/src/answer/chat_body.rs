//! A chat completion in one body.
//!
//! Folds the same events that [`super::chat_stream`] passes on, and writes once, at the end. A failed
//! answer writes nothing: the host then asks for the error instead.

use std::collections::BTreeMap;

use atoll_sdk::json;
use atoll_sdk::types::{Delta, Error, Event, Finished, ItemKind};
use serde::Serialize;

use super::chat::{CallIndex, ChatOptions};
use super::logprobs::{self, ChatLogprobs};
use super::usage::Usage;
use super::{Preamble, SERVICE_TIER, finish_reason};

/// The state of one body.
#[derive(Debug)]
pub(crate) struct ChatBody {
    options: ChatOptions,
    preamble: Preamble,
    choices: BTreeMap<u32, Choice>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Choice {
    content: Option<String>,
    refusal: Option<String>,
    reasoning: Option<String>,
    index: CallIndex,
    calls: Vec<Call>,
    logprobs: ChatLogprobs,
    reason: Option<&'static str>,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    arguments: String,
    custom: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: Option<&'a str>,
    choices: Vec<BodyChoice<'a>>,
    usage: Usage,
}

#[derive(Serialize)]
struct BodyChoice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<&'a ChatLogprobs>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    annotations: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Function<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ToolCall<'a> {
    Function { id: &'a str, function: Function<'a> },
    Custom { id: &'a str, custom: Custom<'a> },
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Custom<'a> {
    name: &'a str,
    input: &'a str,
}

impl ChatBody {
    pub(super) fn new(options: ChatOptions) -> Self {
        let (preamble, choices) = (Preamble::default(), BTreeMap::new());
        Self {
            options,
            preamble,
            choices,
            ended: false,
        }
    }

    /// Takes one event in; the terminal one appends the body.
    pub(super) fn event(&mut self, out: &mut Vec<u8>, event: Event) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        match event {
            Event::Started(started) => {
                self.preamble = Preamble::new("chatcmpl", started);
                for choice in 0..self.options.choices {
                    self.choices.entry(choice).or_default();
                }
            }
            Event::ItemStarted(item) => {
                let choice = self.choices.entry(item.choice).or_default();
                match item.kind {
                    ItemKind::ToolCall(start) => {
                        choice.index.begin(item.index, start.custom);
                        choice.calls.push(Call {
                            id: start.call_id,
                            name: start.name,
                            arguments: String::new(),
                            custom: start.custom,
                        });
                    }
                    // A message without a word is still an answer, and not `null`.
                    ItemKind::Message => {
                        choice.content.get_or_insert_default();
                    }
                    ItemKind::Reasoning => {}
                }
            }
            Event::TextDelta(delta) => {
                let choice = self.choices.entry(delta.choice).or_default();
                choice.content.get_or_insert_default().push_str(&delta.text);
                extend(&mut choice.logprobs.content, delta);
            }
            Event::RefusalDelta(delta) => {
                let choice = self.choices.entry(delta.choice).or_default();
                if !delta.text.is_empty() {
                    choice.refusal.get_or_insert_default().push_str(&delta.text);
                }
                extend(&mut choice.logprobs.refusal, delta);
            }
            Event::ReasoningDelta(delta) => {
                if !delta.text.is_empty() && !self.options.hide_reasoning {
                    let choice = self.choices.entry(delta.choice).or_default();
                    choice
                        .reasoning
                        .get_or_insert_default()
                        .push_str(&delta.text);
                }
            }
            Event::ArgumentsDelta(delta) => {
                let choice = self.choices.entry(delta.choice).or_default();
                let call = choice.index.of(delta.item);
                if let Some(call) = call.and_then(|(index, _)| choice.calls.get_mut(index)) {
                    call.arguments.push_str(&delta.text);
                }
            }
            Event::ChoiceFinished(end) => {
                let choice = self.choices.entry(end.choice).or_default();
                let legacy = self.options.legacy_function_call;
                choice.reason = Some(finish_reason(&end.reason, choice.index.any(), legacy));
            }
            Event::Finished(finished) => {
                self.ended = true;
                self.write(out, &finished)?;
            }
            Event::Failed(_) => self.ended = true,
            Event::Progress(_) | Event::ItemFinished(_) | Event::Usage(_) | Event::Other(_) => {}
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>, finished: &Finished) -> Result<(), Error> {
        let Preamble {
            id,
            created,
            model,
            fingerprint,
        } = &self.preamble;
        let body = Body {
            id,
            object: "chat.completion",
            created: *created,
            model,
            service_tier: SERVICE_TIER,
            system_fingerprint: fingerprint.as_deref(),
            choices: self
                .choices
                .iter()
                .map(|(index, choice)| BodyChoice {
                    index: *index,
                    message: self.message(choice),
                    logprobs: self.options.logprobs.then_some(&choice.logprobs),
                    finish_reason: choice.reason.unwrap_or("stop"),
                })
                .collect(),
            usage: finished.usage.into(),
        };
        json::write(out, &body)
    }

    fn message<'a>(&self, choice: &'a Choice) -> Message<'a> {
        let legacy = self.options.legacy_function_call;
        let calls = || choice.calls.iter().map(ToolCall::of).collect();
        let function_call = choice.calls.first().filter(|_| legacy).map(Function::of);
        Message {
            role: "assistant",
            content: choice.content.as_deref(),
            refusal: choice.refusal.as_deref(),
            annotations: [],
            reasoning_content: choice.reasoning.as_deref(),
            reasoning: choice.reasoning.as_deref(),
            tool_calls: (!legacy && !choice.calls.is_empty()).then(calls),
            function_call,
        }
    }
}

impl<'a> ToolCall<'a> {
    fn of(call: &'a Call) -> Self {
        let Call {
            id,
            name,
            arguments,
            custom,
        } = call;
        if *custom {
            Self::Custom {
                id,
                custom: Custom {
                    name,
                    input: arguments,
                },
            }
        } else {
            Self::Function {
                id,
                function: Function::of(call),
            }
        }
    }
}

impl<'a> Function<'a> {
    fn of(call: &'a Call) -> Self {
        Self {
            name: &call.name,
            arguments: &call.arguments,
        }
    }
}

fn extend(list: &mut Option<Vec<logprobs::TokenLogprob>>, delta: Delta) {
    if !delta.tokens.is_empty() {
        list.get_or_insert_default()
            .extend(logprobs::chat(delta.tokens));
    }
}
