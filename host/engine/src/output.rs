//! What the model wrote, split into reasoning, text and tool calls while it streams.
//!
//! Models mark reasoning and calls inside their text, each family in its own way. A [`ToolSyntax`] or
//! [`ReasoningSyntax`] describes one way as data; [`OutputParser`] is the one state machine over them.
//!
//! Guarantees, tested on random text and random ways of cutting it into pieces:
//! - the events do not depend on how the text was cut;
//! - a call's name is known before the first byte of its arguments, and arguments are passed on as they
//!   are written, never re-serialised, so key order and numbers survive;
//! - malformed calls become text: nothing fails;
//! - what is held back is bounded by a marker, white space, or a call's header.

mod calls;
mod families;
mod harmony;
mod pairs;
mod python;
mod references;
mod scan;
mod syntax;
#[cfg(test)]
mod tests;
mod tool_grammar;

pub use calls::MAX_HEADER_BYTES;
pub use syntax::{CallHeader, NamedHeader, OutputSyntax, PairHeader, ReasoningSyntax, ToolSyntax};
pub use tool_grammar::{ToolDemand, ToolSpec, auto_call_grammar, demanded_call_grammar};
pub(crate) use tool_grammar::{after_reasoning, harmony_answer};

use calls::{CallParser, Progress};
use harmony::HarmonyParser;
use pairs::PairsParser;
use python::PythonParser;
use scan::held_suffix;

/// One piece of the answer, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputEvent {
    /// Visible text.
    Text(String),
    /// Reasoning text.
    Reasoning(String),
    /// A tool call begins. Calls are numbered from 0 and never overlap.
    CallStarted {
        /// Which call.
        index: usize,
        /// The tool's name.
        name: String,
    },
    /// More of the current call's arguments, exactly as written.
    CallArguments {
        /// Which call.
        index: usize,
        /// JSON text.
        fragment: String,
    },
    /// The current call is over.
    CallFinished {
        /// Which call.
        index: usize,
        /// False when the arguments were cut off or are not JSON.
        complete: bool,
    },
}

/// A tool that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallableTool {
    /// Its name.
    pub name: String,
    /// Its arguments that are strings: formats without quotes do not tell `7` from `"7"`.
    pub text_parameters: Vec<String>,
}

impl CallableTool {
    /// A tool by its name and the JSON Schema of its arguments.
    #[must_use]
    pub fn new(name: impl Into<String>, parameters: &serde_json::Value) -> Self {
        let is_text = |schema: &serde_json::Value| {
            schema.get("type").and_then(serde_json::Value::as_str) == Some("string")
                || schema
                    .get("enum")
                    .and_then(serde_json::Value::as_array)
                    .is_some_and(|values| values.iter().all(serde_json::Value::is_string))
        };
        let text_parameters = parameters
            .get("properties")
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(_, schema)| is_text(references::target(schema, parameters)))
            .map(|(name, _)| name.clone())
            .collect();
        Self {
            name: name.into(),
            text_parameters,
        }
    }
}

/// Whether `name` may be called; an empty list allows any name.
fn callable(tools: &[CallableTool], name: &str) -> bool {
    tools.is_empty() || tools.iter().any(|tool| tool.name == name)
}

/// Calls in the way of one family.
#[derive(Debug)]
enum Calls {
    Json(CallParser),
    Pairs(PairsParser),
    Python(PythonParser),
}

impl Calls {
    fn new(syntax: ToolSyntax, raw: String, index: usize) -> Self {
        match syntax.header {
            CallHeader::Pairs(header) => Self::Pairs(PairsParser::new(syntax, header, raw, index)),
            CallHeader::Python => Self::Python(PythonParser::new(syntax, raw, index)),
            CallHeader::Object(_) | CallHeader::Named(_) | CallHeader::Harmony => {
                Self::Json(CallParser::new(syntax, raw, index))
            }
        }
    }

    fn push(
        &mut self,
        input: &str,
        tools: &[CallableTool],
        events: &mut Vec<OutputEvent>,
    ) -> Progress {
        match self {
            Self::Json(parser) => parser.push(input, tools, events),
            Self::Pairs(parser) => parser.push(input, tools, events),
            Self::Python(parser) => parser.push(input, tools, events),
        }
    }

    fn next_index(&self) -> usize {
        match self {
            Self::Json(parser) => parser.next_index(),
            Self::Pairs(parser) => parser.next_index(),
            Self::Python(parser) => parser.next_index(),
        }
    }

    fn finish(self, events: &mut Vec<OutputEvent>) -> Option<String> {
        match self {
            Self::Json(parser) => parser.finish(events),
            Self::Pairs(parser) => parser.finish(events),
            Self::Python(parser) => parser.finish(events),
        }
    }
}

/// Where the parser is in the answer.
#[derive(Debug)]
enum State {
    /// Nothing visible yet: reasoning or a bare call may open here. White space after reasoning is
    /// dropped, white space at the very beginning is not.
    Start {
        after_reasoning: bool,
    },
    Reasoning,
    Text,
    Call(Box<Calls>),
    /// A format that marks everything has a machine of its own.
    Harmony(HarmonyParser),
}

/// Splits one choice's text. Feed it with [`push`](Self::push), end with [`finish`](Self::finish).
#[derive(Debug)]
pub struct OutputParser {
    syntax: OutputSyntax,
    /// Names that may be called; a call of anything else is text. Empty allows any name.
    tools: Vec<CallableTool>,
    state: State,
    /// Text not decided on yet.
    buffer: String,
    /// Calls started so far.
    calls: usize,
}

impl OutputParser {
    /// A parser for one choice. `inside_reasoning` says that the prompt already opened the reasoning.
    #[must_use]
    pub fn new(syntax: OutputSyntax, tools: Vec<CallableTool>, inside_reasoning: bool) -> Self {
        let state = if syntax.is_harmony() {
            State::Harmony(HarmonyParser::new(tools.clone()))
        } else if inside_reasoning && syntax.reasoning.is_some() {
            State::Reasoning
        } else {
            State::Start {
                after_reasoning: false,
            }
        };
        Self {
            syntax,
            tools,
            state,
            buffer: String::new(),
            calls: 0,
        }
    }

    /// Adds text and returns what is certain by now.
    pub fn push(&mut self, text: &str) -> Vec<OutputEvent> {
        let mut events = Vec::new();
        if self.syntax.is_plain() {
            emit_text(&mut events, text.to_owned());
            return events;
        }
        if let State::Harmony(parser) = &mut self.state {
            parser.push(text, &mut events);
            return events;
        }
        self.buffer.push_str(text);
        while self.advance(false, &mut events) {}
        events
    }

    /// Ends the answer: what was held back is decided now.
    pub fn finish(&mut self) -> Vec<OutputEvent> {
        let mut events = Vec::new();
        if let State::Harmony(parser) = &mut self.state {
            parser.finish(&mut events);
            return events;
        }
        while self.advance(true, &mut events) {}
        match std::mem::replace(&mut self.state, State::Text) {
            // An unfinished header becomes text, which may hold further calls.
            State::Call(call) => {
                if let Some(text) = call.finish(&mut events) {
                    emit_text(&mut events, text);
                }
            }
            State::Reasoning => emit_reasoning(&mut events, std::mem::take(&mut self.buffer)),
            State::Start {
                after_reasoning: true,
            } => {}
            State::Harmony(_) => {}
            // White space after the last call is not an answer.
            State::Text if self.calls > 0 && self.buffer.trim().is_empty() => {}
            State::Start { .. } | State::Text => {
                emit_text(&mut events, std::mem::take(&mut self.buffer));
            }
        }
        self.buffer.clear();
        events
    }

    /// How many calls have started.
    #[must_use]
    pub fn calls(&self) -> usize {
        match &self.state {
            State::Harmony(parser) => parser.calls(),
            _ => self.calls,
        }
    }

    /// Whether the text pushed last was reasoning, its markers included; `None` while that cannot be
    /// said yet.
    #[must_use]
    pub fn reasons(&self) -> Option<bool> {
        match &self.state {
            State::Harmony(parser) => parser.reasons(),
            State::Reasoning => Some(true),
            State::Start {
                after_reasoning: false,
            } if self.syntax.reasoning.is_some() => None,
            State::Start { .. } | State::Text | State::Call(_) => Some(false),
        }
    }

    /// Takes one decision if the buffer allows it; `last` says that no more text will come.
    fn advance(&mut self, last: bool, events: &mut Vec<OutputEvent>) -> bool {
        match &self.state {
            State::Start { after_reasoning } => {
                let after_reasoning = *after_reasoning;
                self.advance_start(after_reasoning, last)
            }
            State::Reasoning => self.advance_reasoning(events),
            State::Text => self.advance_text(events),
            State::Call(_) => self.advance_call(events),
            State::Harmony(_) => false,
        }
    }

    fn advance_start(&mut self, after_reasoning: bool, last: bool) -> bool {
        let visible = self.buffer.trim_start();
        let leading = self.buffer.len() - visible.len();
        if visible.is_empty() {
            return false;
        }
        if let Some(reasoning) = self.syntax.reasoning
            && !after_reasoning
        {
            if visible.starts_with(reasoning.open) {
                self.buffer.drain(..leading + reasoning.open.len());
                self.state = State::Reasoning;
                return true;
            }
            if !last && reasoning.open.starts_with(visible) {
                return false;
            }
        }
        if let Some(tools) = self.syntax.tools
            && tools.bare
            && visible.starts_with(if tools.list { '[' } else { '{' })
        {
            let raw = self.buffer.drain(..leading).collect();
            self.state = State::Call(Box::new(Calls::new(tools, raw, self.calls)));
            return true;
        }
        if after_reasoning {
            self.buffer.drain(..leading);
        }
        self.state = State::Text;
        true
    }

    fn advance_reasoning(&mut self, events: &mut Vec<OutputEvent>) -> bool {
        let Some(reasoning) = self.syntax.reasoning else {
            self.state = State::Text;
            return true;
        };
        if let Some(at) = self.buffer.find(reasoning.close) {
            let text: String = self.buffer.drain(..at).collect();
            emit_reasoning(events, text);
            self.buffer.drain(..reasoning.close.len());
            self.state = State::Start {
                after_reasoning: true,
            };
            return true;
        }
        let keep = held_suffix(&self.buffer, reasoning.close);
        let text = self.buffer.drain(..self.buffer.len() - keep).collect();
        emit_reasoning(events, text);
        false
    }

    fn advance_text(&mut self, events: &mut Vec<OutputEvent>) -> bool {
        let Some(tools) = self.syntax.tools else {
            emit_text(events, std::mem::take(&mut self.buffer));
            return false;
        };
        if let Some(at) = self.buffer.find(tools.open) {
            let visible = self.buffer[..at].trim_end().len();
            let text: String = self.buffer.drain(..visible).collect();
            emit_text(events, text);
            let raw = self
                .buffer
                .drain(..at - visible + tools.open.len())
                .collect();
            self.state = State::Call(Box::new(Calls::new(tools, raw, self.calls)));
            return true;
        }
        // White space before a call belongs to the call, so it waits until something follows.
        let keep = held_suffix(&self.buffer, tools.open);
        let visible = self.buffer[..self.buffer.len() - keep].trim_end().len();
        let text = self.buffer.drain(..visible).collect();
        emit_text(events, text);
        false
    }

    fn advance_call(&mut self, events: &mut Vec<OutputEvent>) -> bool {
        let State::Call(call) = &mut self.state else {
            return false;
        };
        let input = std::mem::take(&mut self.buffer);
        let progress = call.push(&input, &self.tools, events);
        self.calls = call.next_index();
        match progress {
            Progress::More => false,
            Progress::Malformed { raw, rest } => {
                // Only the marker is certainly text; what follows may hold a call of its own.
                emit_text(events, raw);
                self.buffer = rest;
                self.state = State::Text;
                true
            }
            Progress::Ended { rest } => {
                self.buffer = rest;
                self.state = State::Text;
                true
            }
        }
    }
}

fn emit_text(events: &mut Vec<OutputEvent>, text: String) {
    if text.is_empty() {
        return;
    }
    if let Some(OutputEvent::Text(before)) = events.last_mut() {
        before.push_str(&text);
    } else {
        events.push(OutputEvent::Text(text));
    }
}

fn emit_reasoning(events: &mut Vec<OutputEvent>, text: String) {
    if !text.is_empty() {
        events.push(OutputEvent::Reasoning(text));
    }
}
