//! The harmony format: every stretch of an answer is a message in a channel.
//!
//! `<|channel|>analysis<|message|>...<|end|>` is reasoning, `final` is text, `commentary` is text or, with
//! `to=functions.name` in its header, a call. The prompt ends inside the first header.

use super::calls::MAX_HEADER_BYTES;
use super::families::HARMONY_MARKERS;
use super::scan::{JsonScanner, Scan, held_suffix};
use super::{CallableTool, OutputEvent, callable, emit_reasoning, emit_text};

#[derive(Debug)]
enum State {
    /// Nothing yet: a header, or text without any.
    Fresh,
    /// After `<|start|>` or `<|channel|>`, up to `<|message|>`. A channel marker becomes a NUL.
    Header(String),
    Reasoning,
    Text,
    Call {
        scanner: JsonScanner,
        ended: bool,
    },
    /// Between messages.
    Idle,
}

#[derive(Debug)]
pub(super) struct HarmonyParser {
    tools: Vec<CallableTool>,
    state: State,
    buffer: String,
    calls: usize,
}

impl HarmonyParser {
    pub(super) fn new(tools: Vec<CallableTool>) -> Self {
        Self {
            tools,
            state: State::Fresh,
            buffer: String::new(),
            calls: 0,
        }
    }

    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Whether the last text was reasoning; `None` while that cannot be said.
    pub(super) fn reasons(&self) -> Option<bool> {
        match self.state {
            State::Fresh | State::Header(_) | State::Idle => None,
            State::Reasoning => Some(true),
            State::Text | State::Call { .. } => Some(false),
        }
    }

    pub(super) fn push(&mut self, text: &str, events: &mut Vec<OutputEvent>) {
        self.buffer.push_str(text);
        loop {
            let next = HARMONY_MARKERS
                .iter()
                .filter_map(|marker| self.buffer.find(marker).map(|at| (at, *marker)))
                .min();
            let Some((at, marker)) = next else { break };
            let before: String = self.buffer.drain(..at).collect();
            self.buffer.drain(..marker.len());
            self.text(before, events);
            self.marker(marker, events);
        }
        let keep = HARMONY_MARKERS
            .iter()
            .map(|marker| held_suffix(&self.buffer, marker))
            .max()
            .unwrap_or(0);
        let ready = self.buffer.drain(..self.buffer.len() - keep).collect();
        self.text(ready, events);
    }

    pub(super) fn finish(&mut self, events: &mut Vec<OutputEvent>) {
        let rest = std::mem::take(&mut self.buffer);
        self.text(rest, events);
        self.close(events);
    }

    fn marker(&mut self, marker: &str, events: &mut Vec<OutputEvent>) {
        match marker {
            "<|start|>" => {
                self.close(events);
                self.state = State::Header(String::new());
            }
            "<|channel|>" => {
                if let State::Header(header) = &mut self.state {
                    header.push('\0');
                } else {
                    self.close(events);
                    self.state = State::Header("\0".to_owned());
                }
            }
            "<|constrain|>" => {
                if let State::Header(header) = &mut self.state {
                    header.push(' ');
                }
            }
            "<|message|>" => {
                if let State::Header(header) = &mut self.state {
                    let header = std::mem::take(header);
                    self.open(&header, events);
                }
            }
            _ => self.close(events),
        }
    }

    /// A message begins: what it is stands in its header.
    fn open(&mut self, header: &str, events: &mut Vec<OutputEvent>) {
        let channel = header
            .split_once('\0')
            .and_then(|(_, after)| after.split_whitespace().next())
            .unwrap_or("final");
        let recipient = header
            .split(|c: char| c.is_whitespace() || c == '\0')
            .find_map(|word| word.strip_prefix("to="));
        let name = recipient.map(|name| name.strip_prefix("functions.").unwrap_or(name));
        self.state = match name {
            Some(name) if callable(&self.tools, name) => {
                events.push(OutputEvent::CallStarted {
                    index: self.calls,
                    name: name.to_owned(),
                });
                self.calls += 1;
                State::Call {
                    scanner: JsonScanner::default(),
                    ended: false,
                }
            }
            _ if channel == "analysis" => State::Reasoning,
            _ => State::Text,
        };
    }

    fn text(&mut self, text: String, events: &mut Vec<OutputEvent>) {
        if text.is_empty() {
            return;
        }
        match &mut self.state {
            State::Header(header) => {
                // A header that never ends is no reason to hold everything: the rest of it is dropped.
                if header.len() < MAX_HEADER_BYTES {
                    header.push_str(&text);
                }
            }
            State::Reasoning => emit_reasoning(events, text),
            State::Fresh | State::Text => {
                self.state = State::Text;
                emit_text(events, text);
            }
            State::Idle => {
                let visible = text.trim_start();
                if !visible.is_empty() {
                    self.state = State::Text;
                    emit_text(events, visible.to_owned());
                }
            }
            State::Call { scanner, ended } => {
                let mut end = text.len();
                for (at, c) in text.char_indices() {
                    if *ended {
                        end = at;
                        break;
                    }
                    match scanner.push(c) {
                        Scan::EndsHere => *ended = true,
                        Scan::More => {}
                        Scan::EndedBefore | Scan::Invalid => {}
                    }
                }
                let fragment = text[..end].to_owned();
                if !fragment.is_empty() {
                    events.push(OutputEvent::CallArguments {
                        index: self.calls - 1,
                        fragment,
                    });
                }
            }
        }
    }

    /// The message that is open ends.
    fn close(&mut self, events: &mut Vec<OutputEvent>) {
        if let State::Call { ended, .. } = self.state {
            events.push(OutputEvent::CallFinished {
                index: self.calls - 1,
                complete: ended,
            });
        }
        self.state = State::Idle;
    }
}
