//! Calls whose arguments stand between markers of their own: `<arg_key>city</arg_key><arg_value>Tunis</arg_value>`.
//!
//! Values are plain text. What the tool's schema calls a string stays text; anything else is JSON where it
//! reads as JSON. Each argument is passed on as soon as it is complete.

use super::calls::{MAX_HEADER_BYTES, Progress};
use super::python::literal;
use super::syntax::{PairHeader, ToolSyntax};
use super::{CallableTool, OutputEvent, callable};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Name,
    /// Before a key, or the end.
    Between,
    Key,
    ValueOpen,
    Value,
    /// After the last argument, before the marker that closes the call.
    Close,
}

#[derive(Debug)]
pub(super) struct PairsParser {
    syntax: ToolSyntax,
    header: PairHeader,
    raw: String,
    index: usize,
    stage: Stage,
    buffer: String,
    /// Bytes of `buffer` known not to hold the marker that is looked for.
    searched: usize,
    name: String,
    key: String,
    arguments: usize,
}

impl PairsParser {
    pub(super) fn new(syntax: ToolSyntax, header: PairHeader, raw: String, index: usize) -> Self {
        Self {
            syntax,
            header,
            raw,
            index,
            stage: Stage::Name,
            buffer: String::new(),
            searched: 0,
            name: String::new(),
            key: String::new(),
            arguments: 0,
        }
    }

    /// The number the next call will have.
    pub(super) fn next_index(&self) -> usize {
        self.index + usize::from(!matches!(self.stage, Stage::Name | Stage::Close))
    }

    pub(super) fn push(
        &mut self,
        input: &str,
        tools: &[CallableTool],
        events: &mut Vec<OutputEvent>,
    ) -> Progress {
        self.buffer.push_str(input);
        loop {
            match self.stage {
                Stage::Name => match self.name(tools) {
                    Found::More => return Progress::More,
                    Found::Wrong => {
                        return Progress::Malformed {
                            raw: std::mem::take(&mut self.raw),
                            rest: std::mem::take(&mut self.buffer),
                        };
                    }
                    Found::At(_) => events.push(OutputEvent::CallStarted {
                        index: self.index,
                        name: self.name.clone(),
                    }),
                },
                Stage::Between => match self.between(events) {
                    Found::More => return Progress::More,
                    Found::At(_) => {}
                    Found::Wrong => return self.broken(events),
                },
                Stage::Key => match self.find(self.header.key_close, MAX_HEADER_BYTES) {
                    Found::More => return Progress::More,
                    Found::Wrong => return self.broken(events),
                    Found::At(at) => {
                        self.key = self.take(at, self.header.key_close).trim().to_owned();
                        self.stage = Stage::ValueOpen;
                    }
                },
                Stage::ValueOpen => {
                    let open = self.header.value_open;
                    match self.expect(open) {
                        Found::More => return Progress::More,
                        Found::Wrong => return self.broken(events),
                        Found::At(_) => self.stage = Stage::Value,
                    }
                }
                Stage::Value => match self.find(self.header.value_close, usize::MAX) {
                    Found::More | Found::Wrong => return Progress::More,
                    Found::At(at) => {
                        let value = self.take(at, self.header.value_close);
                        let fragment = self.fragment(&value, tools);
                        events.push(OutputEvent::CallArguments {
                            index: self.index,
                            fragment,
                        });
                        self.stage = Stage::Between;
                    }
                },
                Stage::Close => {
                    let close = self.syntax.close.unwrap_or_default();
                    return match self.expect(close) {
                        Found::More => Progress::More,
                        Found::At(_) | Found::Wrong => self.ended(),
                    };
                }
            }
        }
    }

    /// The name is complete, and may be called.
    fn name(&mut self, tools: &[CallableTool]) -> Found {
        let header = self.header;
        let visible = self.buffer.trim_start();
        let Some(named) = visible.strip_prefix(header.name_open) else {
            return if header.name_open.starts_with(visible) {
                Found::More
            } else {
                Found::Wrong
            };
        };
        let Some((at, length)) = [
            (named.find(header.name_close), header.name_close.len()),
            (named.find(header.key_open), 0),
            (named.find(header.end), 0),
        ]
        .into_iter()
        .filter_map(|(at, length)| Some((at?, length)))
        .min() else {
            return if named.len() > MAX_HEADER_BYTES {
                Found::Wrong
            } else {
                Found::More
            };
        };
        let name = named[..at].trim().to_owned();
        if name.is_empty() || name.contains(char::is_whitespace) || !callable(tools, &name) {
            return Found::Wrong;
        }
        self.name = name;
        let rest = named[at + length..].to_owned();
        self.buffer = rest;
        self.stage = Stage::Between;
        Found::At(0)
    }

    fn between(&mut self, events: &mut Vec<OutputEvent>) -> Found {
        let visible = self.buffer.trim_start();
        let skip = self.buffer.len() - visible.len();
        let PairHeader { key_open, end, .. } = self.header;
        if visible.starts_with(key_open) {
            self.buffer.drain(..skip + key_open.len());
            self.stage = Stage::Key;
            return Found::At(0);
        }
        if visible.starts_with(end) {
            self.buffer.drain(..skip + end.len());
            let fragment = if self.arguments == 0 { "{}" } else { "}" };
            events.push(OutputEvent::CallArguments {
                index: self.index,
                fragment: fragment.to_owned(),
            });
            self.finished(true, events);
            return Found::At(0);
        }
        if key_open.starts_with(visible) || end.starts_with(visible) {
            Found::More
        } else {
            Found::Wrong
        }
    }

    /// The argument `key` as a piece of a JSON object.
    fn fragment(&mut self, value: &str, tools: &[CallableTool]) -> String {
        let mut value = value;
        if self.header.lines {
            value = value.strip_prefix('\n').unwrap_or(value);
            value = value.strip_suffix('\n').unwrap_or(value);
        }
        let text = tools
            .iter()
            .find(|tool| tool.name == self.name)
            .is_some_and(|tool| tool.text_parameters.contains(&self.key));
        let json = if text { None } else { as_json(value) };
        let json = json.unwrap_or_else(|| serde_json::Value::from(value).to_string());
        let opening = if self.arguments == 0 { "{" } else { ", " };
        self.arguments += 1;
        format!(
            "{opening}{}: {json}",
            serde_json::Value::from(self.key.as_str())
        )
    }

    /// Where `marker` is, looking at every byte once.
    fn find(&mut self, marker: &str, longest: usize) -> Found {
        let mut from = self.searched.min(self.buffer.len());
        while !self.buffer.is_char_boundary(from) {
            from -= 1;
        }
        if let Some(at) = self.buffer[from..].find(marker) {
            return Found::At(from + at);
        }
        self.searched = self.buffer.len().saturating_sub(marker.len());
        if self.buffer.len() > longest {
            Found::Wrong
        } else {
            Found::More
        }
    }

    /// What stands before `marker` at `at`; both leave the buffer.
    fn take(&mut self, at: usize, marker: &str) -> String {
        self.searched = 0;
        let text = self.buffer[..at].to_owned();
        self.buffer.drain(..at + marker.len());
        text
    }

    /// Takes `marker` after white space; an empty one is there already.
    fn expect(&mut self, marker: &str) -> Found {
        if marker.is_empty() {
            return Found::At(0);
        }
        let visible = self.buffer.trim_start();
        let skip = self.buffer.len() - visible.len();
        if visible.starts_with(marker) {
            self.buffer.drain(..skip + marker.len());
            Found::At(0)
        } else if marker.starts_with(visible) {
            Found::More
        } else {
            Found::Wrong
        }
    }

    fn finished(&mut self, complete: bool, events: &mut Vec<OutputEvent>) {
        events.push(OutputEvent::CallFinished {
            index: self.index,
            complete,
        });
        self.index += 1;
        self.stage = Stage::Close;
    }

    fn broken(&mut self, events: &mut Vec<OutputEvent>) -> Progress {
        self.finished(false, events);
        self.ended()
    }

    fn ended(&mut self) -> Progress {
        Progress::Ended {
            rest: std::mem::take(&mut self.buffer),
        }
    }

    /// Ends the answer inside this call. Returns text that turned out to be no call.
    pub(super) fn finish(self, events: &mut Vec<OutputEvent>) -> Option<String> {
        match self.stage {
            Stage::Name => Some(self.raw + &self.buffer),
            Stage::Close => None,
            _ => {
                events.push(OutputEvent::CallFinished {
                    index: self.index,
                    complete: false,
                });
                None
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Found {
    More,
    Wrong,
    At(usize),
}

/// A value that is JSON, or a literal of Python, as JSON; as written if it can be.
fn as_json(value: &str) -> Option<String> {
    let trimmed = value.trim();
    if serde_json::from_str::<serde::de::IgnoredAny>(trimmed).is_ok() {
        return Some(trimmed.to_owned());
    }
    // Some models write `True` and `None` here.
    literal(trimmed)
}
