//! One marker's worth of tool calls: header, arguments, and what may follow.

use super::OutputEvent;
use super::scan::{JsonScanner, Scan};
use super::syntax::{CallHeader, NamedHeader, ToolSyntax};
use super::{CallableTool, callable};

/// Longest text before the arguments of a call; a longer one is text. Names are short, and some models
/// write their arguments before the name, which then have to fit too.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;

#[derive(Debug)]
enum Stage {
    /// Waiting for the marker of a section's first call.
    Opening(String),
    /// Collecting until the name is known and the arguments begin.
    Header(String),
    /// Passing arguments on.
    Arguments(JsonScanner),
    /// Arguments given as a JSON string that holds JSON; collected until its end.
    Encoded { text: String, scanner: JsonScanner },
    /// After the arguments, until the call's object closes.
    Tail(JsonScanner),
    /// After a call: before its closing marker, the next call or the end of the section.
    Between { held: String, closed: bool },
}

/// What a push led to.
#[derive(Debug)]
pub(super) enum Progress {
    /// Everything was used; more is needed.
    More,
    /// This is no call: `raw` is text, `rest` has not been looked at as text yet.
    Malformed { raw: String, rest: String },
    /// The calls are over; `rest` follows them.
    Ended { rest: String },
}

#[derive(Debug)]
pub(super) struct CallParser {
    syntax: ToolSyntax,
    /// What stood before the header, to give back if there is no call after all.
    raw: String,
    index: usize,
    stage: Stage,
}

/// What a header says so far.
enum Header {
    More,
    Malformed,
    /// The arguments begin at this byte of the header.
    Arguments {
        name: String,
        at: usize,
        encoded: bool,
    },
    /// The whole call is here.
    Complete {
        name: String,
        arguments: String,
        end: usize,
    },
}

impl CallParser {
    pub(super) fn new(syntax: ToolSyntax, raw: String, index: usize) -> Self {
        Self {
            syntax,
            raw,
            index,
            stage: match syntax.each {
                Some(_) => Stage::Opening(String::new()),
                None => Stage::Header(String::new()),
            },
        }
    }

    /// The number the next call will have.
    pub(super) fn next_index(&self) -> usize {
        self.index
            + usize::from(matches!(
                self.stage,
                Stage::Arguments(_) | Stage::Encoded { .. }
            ))
    }

    pub(super) fn push(
        &mut self,
        input: &str,
        tools: &[CallableTool],
        events: &mut Vec<OutputEvent>,
    ) -> Progress {
        let mut input = input.to_owned();
        loop {
            match &mut self.stage {
                Stage::Opening(held) => {
                    held.push_str(&input);
                    let text = std::mem::take(held);
                    let each = self.syntax.each.unwrap_or_default();
                    let rest = text.trim_start();
                    if let Some(after) = rest.strip_prefix(each) {
                        let at = text.len() - after.len();
                        self.raw.push_str(&text[..at]);
                        input = text[at..].to_owned();
                        self.stage = Stage::Header(String::new());
                    } else if each.starts_with(rest) && text.len() <= MAX_HEADER_BYTES {
                        self.stage = Stage::Opening(text);
                        return Progress::More;
                    } else {
                        return self.give_up(text);
                    }
                }
                Stage::Header(header) => {
                    header.push_str(&input);
                    input.clear();
                    let text = std::mem::take(header);
                    match read_header(&text, &self.syntax) {
                        Header::More if text.len() <= MAX_HEADER_BYTES => {
                            self.stage = Stage::Header(text);
                            return Progress::More;
                        }
                        Header::More | Header::Malformed => return self.give_up(text),
                        Header::Arguments { name, .. } | Header::Complete { name, .. }
                            if !callable(tools, &name) =>
                        {
                            return self.give_up(text);
                        }
                        Header::Arguments { name, at, encoded } => {
                            events.push(OutputEvent::CallStarted {
                                index: self.index,
                                name,
                            });
                            input = text[at..].to_owned();
                            self.stage = if encoded {
                                Stage::Encoded {
                                    text: String::new(),
                                    scanner: JsonScanner::default(),
                                }
                            } else {
                                Stage::Arguments(JsonScanner::default())
                            };
                        }
                        Header::Complete {
                            name,
                            arguments,
                            end,
                        } => {
                            events.push(OutputEvent::CallStarted {
                                index: self.index,
                                name,
                            });
                            self.arguments(arguments, events);
                            self.finished(true, events);
                            input = text[end..].to_owned();
                        }
                    }
                }
                Stage::Arguments(scanner) => match scan(scanner, &input) {
                    Found::More => {
                        self.arguments(input, events);
                        return Progress::More;
                    }
                    Found::End(at) => {
                        let rest = input.split_off(at);
                        self.arguments(input, events);
                        input = rest;
                        self.arguments_end(events);
                    }
                    Found::Invalid(at) => {
                        let rest = input.split_off(at);
                        self.arguments(input, events);
                        self.finished(false, events);
                        return Progress::Ended { rest };
                    }
                },
                Stage::Encoded { text, scanner } => match scan(scanner, &input) {
                    Found::More => {
                        text.push_str(&input);
                        return Progress::More;
                    }
                    Found::End(at) | Found::Invalid(at) => {
                        let rest = input.split_off(at);
                        text.push_str(&input);
                        let text = std::mem::take(text);
                        // A string that is not JSON inside is passed on as it stands.
                        let decoded = serde_json::from_str::<String>(text.trim()).unwrap_or(text);
                        self.arguments(decoded, events);
                        input = rest;
                        self.arguments_end(events);
                    }
                },
                Stage::Tail(scanner) => match scan(scanner, &input) {
                    Found::More => return Progress::More,
                    Found::End(at) => {
                        input = input.split_off(at);
                        self.stage = Stage::between();
                    }
                    Found::Invalid(at) => {
                        return Progress::Ended {
                            rest: input.split_off(at),
                        };
                    }
                },
                Stage::Between { held, closed } => {
                    held.push_str(&input);
                    let text = std::mem::take(held);
                    match between(&text, &self.syntax, *closed) {
                        Between::More => {
                            *held = text;
                            return Progress::More;
                        }
                        Between::Closed(at) => {
                            *closed = true;
                            input = text[at..].to_owned();
                        }
                        Between::NextCall(at) => {
                            self.raw = text[..at].to_owned();
                            input = text[at..].to_owned();
                            self.stage = Stage::Header(String::new());
                        }
                        Between::Ended(at) => {
                            return Progress::Ended {
                                rest: text[at..].to_owned(),
                            };
                        }
                    }
                }
            }
        }
    }

    /// Ends the answer inside this call. Returns text that turned out to be no call.
    pub(super) fn finish(self, events: &mut Vec<OutputEvent>) -> Option<String> {
        match self.stage {
            Stage::Opening(held) | Stage::Header(held) => Some(self.raw + &held),
            Stage::Arguments(_) => {
                events.push(OutputEvent::CallFinished {
                    index: self.index,
                    complete: false,
                });
                None
            }
            Stage::Encoded { text, .. } => {
                events.push(OutputEvent::CallArguments {
                    index: self.index,
                    fragment: text,
                });
                events.push(OutputEvent::CallFinished {
                    index: self.index,
                    complete: false,
                });
                None
            }
            Stage::Tail(_) | Stage::Between { .. } => None,
        }
    }

    fn give_up(&mut self, rest: String) -> Progress {
        Progress::Malformed {
            raw: std::mem::take(&mut self.raw),
            rest,
        }
    }

    fn arguments(&self, fragment: String, events: &mut Vec<OutputEvent>) {
        if !fragment.is_empty() {
            events.push(OutputEvent::CallArguments {
                index: self.index,
                fragment,
            });
        }
    }

    fn arguments_end(&mut self, events: &mut Vec<OutputEvent>) {
        self.finished(true, events);
        if matches!(self.syntax.header, CallHeader::Object(_)) {
            self.stage = Stage::Tail(JsonScanner::inside_object());
        }
    }

    fn finished(&mut self, complete: bool, events: &mut Vec<OutputEvent>) {
        events.push(OutputEvent::CallFinished {
            index: self.index,
            complete,
        });
        self.index += 1;
        self.stage = Stage::between();
    }
}

impl Stage {
    fn between() -> Self {
        Self::Between {
            held: String::new(),
            closed: false,
        }
    }
}

enum Found {
    More,
    End(usize),
    Invalid(usize),
}

fn scan(scanner: &mut JsonScanner, text: &str) -> Found {
    for (at, c) in text.char_indices() {
        match scanner.push(c) {
            Scan::More => {}
            Scan::EndsHere => return Found::End(at + c.len_utf8()),
            Scan::EndedBefore => return Found::End(at),
            Scan::Invalid => return Found::Invalid(at),
        }
    }
    Found::More
}

enum Between {
    More,
    /// The call's closing marker, or its absence, ends at this byte.
    Closed(usize),
    /// The next call's header begins at this byte.
    NextCall(usize),
    /// Calls are over at this byte.
    Ended(usize),
}

fn between(text: &str, syntax: &ToolSyntax, closed: bool) -> Between {
    let mut rest = text.trim_start();
    let at = |rest: &str| text.len() - rest.len();
    if let Some(close) = syntax.close.filter(|_| !closed) {
        return match rest.strip_prefix(close) {
            Some(after) => Between::Closed(at(after)),
            None if close.starts_with(rest) => Between::More,
            // A missing closing marker does not undo the call; the text goes on.
            None => Between::Closed(at(rest)),
        };
    }
    if let Some(each) = syntax.each {
        let end = syntax.end.unwrap_or_default();
        return if let Some(after) = rest.strip_prefix(each) {
            Between::NextCall(at(after))
        } else if let Some(after) = rest.strip_prefix(end).filter(|_| !end.is_empty()) {
            Between::Ended(at(after))
        } else if each.starts_with(rest) || end.starts_with(rest) {
            Between::More
        } else {
            Between::Ended(at(rest))
        };
    }
    let separator = match (syntax.list, syntax.bare) {
        (true, _) => ',',
        (false, true) => ';',
        (false, false) => return Between::Ended(0),
    };
    let mut separated = false;
    if let Some(after) = rest.strip_prefix(separator) {
        rest = after.trim_start();
        separated = true;
    }
    match rest.chars().next() {
        None => Between::More,
        Some('{') if separated || syntax.bare => Between::NextCall(at(rest)),
        Some(']') if syntax.list => Between::Ended(at(rest) + 1),
        Some(_) => Between::Ended(at(rest)),
    }
}

fn read_header(text: &str, syntax: &ToolSyntax) -> Header {
    match syntax.header {
        CallHeader::Named(header) => read_named(text, header),
        CallHeader::Object(key) => {
            let mut cursor = Cursor { text, at: 0 };
            if syntax.list {
                // The array opens before its first call only; later headers begin at `{`.
                cursor.skip_space();
                if cursor.peek() == Some('[') {
                    cursor.at += 1;
                }
            }
            read_object(cursor, key).unwrap_or_else(|stop| match stop {
                Stop::More => Header::More,
                Stop::Malformed => Header::Malformed,
            })
        }
        // These have parsers of their own.
        CallHeader::Pairs(_) | CallHeader::Python | CallHeader::Harmony => Header::Malformed,
    }
}

fn read_named(text: &str, header: NamedHeader) -> Header {
    let visible = text.trim_start();
    let Some(named) = visible.strip_prefix(header.before) else {
        return if header.before.starts_with(visible) {
            Header::More
        } else {
            Header::Malformed
        };
    };
    let Some((at, separator)) = header
        .separators
        .iter()
        .filter_map(|separator| named.find(separator).map(|at| (at, *separator)))
        .min()
    else {
        return Header::More;
    };
    let mut name = named[..at].trim();
    name = name.strip_prefix(header.prefix).unwrap_or(name);
    if let Some((before, _)) = header.cut.and_then(|cut| name.split_once(cut)) {
        name = before;
    }
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Header::Malformed;
    }
    // A brace ends the name and begins the arguments.
    let skipped = if separator == "{" { 0 } else { separator.len() };
    Header::Arguments {
        name: name.to_owned(),
        at: text.len() - named.len() + at + skipped,
        encoded: false,
    }
}

/// Why reading stopped before the end.
enum Stop {
    More,
    Malformed,
}

fn read_object(mut cursor: Cursor<'_>, usual: &str) -> Result<Header, Stop> {
    let mut name: Option<String> = None;
    let mut arguments: Option<String> = None;
    cursor.expect('{')?;
    loop {
        let key = cursor.string()?;
        cursor.expect(':')?;
        cursor.skip_space();
        let is_arguments = key == usual || key == "arguments" || key == "parameters";
        if key == "name" {
            name = Some(cursor.string()?);
        } else if is_arguments && let Some(name) = name.clone() {
            let first = cursor.peek().ok_or(Stop::More)?;
            return Ok(Header::Arguments {
                name,
                at: cursor.at,
                encoded: first == '"',
            });
        } else {
            let value = cursor.value()?;
            if is_arguments {
                arguments = Some(match serde_json::from_str::<String>(value) {
                    Ok(inner) => inner,
                    Err(_) => value.to_owned(),
                });
            }
        }
        match cursor.next_visible()? {
            ',' => {}
            '}' => break,
            _ => return Err(Stop::Malformed),
        }
    }
    let name = name.ok_or(Stop::Malformed)?;
    Ok(Header::Complete {
        name,
        arguments: arguments.unwrap_or_else(|| "{}".to_owned()),
        end: cursor.at,
    })
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn next_visible(&mut self) -> Result<char, Stop> {
        self.skip_space();
        let c = self.peek().ok_or(Stop::More)?;
        self.at += c.len_utf8();
        Ok(c)
    }

    fn expect(&mut self, wanted: char) -> Result<(), Stop> {
        if self.next_visible()? == wanted {
            Ok(())
        } else {
            Err(Stop::Malformed)
        }
    }

    fn string(&mut self) -> Result<String, Stop> {
        self.skip_space();
        if self.peek().ok_or(Stop::More)? != '"' {
            return Err(Stop::Malformed);
        }
        serde_json::from_str(self.value()?).map_err(|_| Stop::Malformed)
    }

    /// The JSON value here, as written.
    fn value(&mut self) -> Result<&'a str, Stop> {
        let rest = self.rest();
        match scan(&mut JsonScanner::default(), rest) {
            Found::More => Err(Stop::More),
            Found::Invalid(_) => Err(Stop::Malformed),
            Found::End(end) => {
                self.at += end;
                Ok(&rest[..end])
            }
        }
    }
}
