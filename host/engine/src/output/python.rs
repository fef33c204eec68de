//! Calls written as Python: `[name(key="value", other=[1, True]), ...]`.
//!
//! Arguments are literals of Python; each is passed on as JSON as soon as it is complete. What is held back
//! is one argument.

use super::calls::{MAX_HEADER_BYTES, Progress};
use super::syntax::ToolSyntax;
use super::{CallableTool, OutputEvent, callable};

/// Deepest nesting of a literal; deeper ones are malformed.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the bracket of the list.
    List,
    /// In a name, up to its parenthesis.
    Name,
    /// At an argument, or the end of the call.
    Argument,
    /// After a call: a comma, or the end of the list.
    Between,
    /// After the list, where the section may have an end of its own.
    End,
}

#[derive(Debug)]
pub(super) struct PythonParser {
    syntax: ToolSyntax,
    raw: String,
    index: usize,
    stage: Stage,
    buffer: String,
    /// How far the argument at the start of `buffer` has been scanned.
    scan: Scan,
    /// Arguments of this call so far.
    arguments: usize,
    /// A call has begun, so nothing before is text any more.
    begun: bool,
}

#[derive(Debug, Default)]
struct Scan {
    at: usize,
    depth: usize,
    quote: Option<char>,
    escaped: bool,
}

impl Scan {
    /// The byte at which an argument ends: its comma, or the call's parenthesis.
    fn end(&mut self, text: &str) -> Option<(usize, char)> {
        for (offset, c) in text[self.at..].char_indices() {
            match (self.quote, c) {
                (Some(_), _) if self.escaped => self.escaped = false,
                (Some(_), '\\') => self.escaped = true,
                (Some(quote), c) if c == quote => self.quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => self.quote = Some(c),
                (None, '[' | '{' | '(') => self.depth += 1,
                (None, ',' | ')') if self.depth == 0 => return Some((self.at + offset, c)),
                (None, ']' | '}' | ')') => self.depth = self.depth.saturating_sub(1),
                (None, _) => {}
            }
        }
        self.at = text.len();
        None
    }
}

impl PythonParser {
    pub(super) fn new(syntax: ToolSyntax, raw: String, index: usize) -> Self {
        Self {
            syntax,
            raw,
            index,
            stage: Stage::List,
            buffer: String::new(),
            scan: Scan::default(),
            arguments: 0,
            begun: false,
        }
    }

    /// The number the next call will have.
    pub(super) fn next_index(&self) -> usize {
        self.index + usize::from(self.stage == Stage::Argument)
    }

    pub(super) fn push(
        &mut self,
        input: &str,
        tools: &[CallableTool],
        events: &mut Vec<OutputEvent>,
    ) -> Progress {
        self.buffer.push_str(input);
        loop {
            let skip = self.buffer.len() - self.buffer.trim_start().len();
            let held = self.buffer.len() - skip;
            match self.stage {
                Stage::List => match self.buffer.trim_start().chars().next() {
                    None => return Progress::More,
                    Some('[') => {
                        self.raw.extend(self.buffer.drain(..=skip));
                        self.stage = Stage::Name;
                    }
                    Some(_) => return self.give_up(),
                },
                Stage::Name => {
                    let Some(at) = self.buffer.find('(') else {
                        let plain = self.buffer.trim_start().chars().all(is_name);
                        if plain && held <= MAX_HEADER_BYTES {
                            return Progress::More;
                        }
                        return self.give_up();
                    };
                    let name = self.buffer[skip..at].to_owned();
                    if name.is_empty() || !name.chars().all(is_name) || !callable(tools, &name) {
                        return self.give_up();
                    }
                    self.buffer.drain(..=at);
                    events.push(OutputEvent::CallStarted {
                        index: self.index,
                        name,
                    });
                    self.begun = true;
                    self.arguments = 0;
                    self.scan = Scan::default();
                    self.stage = Stage::Argument;
                }
                Stage::Argument => {
                    let Some((at, ending)) = self.scan.end(&self.buffer) else {
                        return Progress::More;
                    };
                    self.scan = Scan::default();
                    let argument = self.buffer[..at].trim().to_owned();
                    let fragment = match self.fragment(&argument, ending == ')') {
                        Some(fragment) => fragment,
                        None => {
                            self.finished(false, events);
                            return self.ended();
                        }
                    };
                    self.buffer.drain(..=at);
                    if !fragment.is_empty() {
                        events.push(OutputEvent::CallArguments {
                            index: self.index,
                            fragment,
                        });
                    }
                    if ending == ')' {
                        self.finished(true, events);
                    }
                }
                Stage::Between => match self.buffer.trim_start().chars().next() {
                    None => return Progress::More,
                    Some(',') => {
                        self.raw = self.buffer.drain(..=skip).collect();
                        self.stage = Stage::Name;
                    }
                    Some(']') => {
                        self.buffer.drain(..=skip);
                        self.stage = Stage::End;
                    }
                    Some(_) => return self.ended(),
                },
                Stage::End => {
                    let end = self.syntax.end.unwrap_or_default();
                    let visible = self.buffer.trim_start();
                    if !end.is_empty() && visible.starts_with(end) {
                        self.buffer.drain(..skip + end.len());
                    } else if !end.is_empty() && end.starts_with(visible) {
                        return Progress::More;
                    }
                    return self.ended();
                }
            }
        }
    }

    /// An argument as a piece of a JSON object; `None` if it is no literal.
    fn fragment(&mut self, argument: &str, last: bool) -> Option<String> {
        let mut fragment = String::new();
        if !argument.is_empty() {
            let (key, value) = argument.split_once('=')?;
            let key = key.trim();
            if key.is_empty() || !key.chars().all(is_name) {
                return None;
            }
            fragment.push_str(if self.arguments == 0 { "{" } else { ", " });
            fragment.push_str(&serde_json::Value::from(key).to_string());
            fragment.push_str(": ");
            fragment.push_str(&literal(value)?);
            self.arguments += 1;
        } else if !last {
            return None;
        }
        if last {
            fragment.push_str(if self.arguments == 0 { "{}" } else { "}" });
        }
        Some(fragment)
    }

    fn finished(&mut self, complete: bool, events: &mut Vec<OutputEvent>) {
        events.push(OutputEvent::CallFinished {
            index: self.index,
            complete,
        });
        self.index += 1;
        self.stage = Stage::Between;
    }

    fn ended(&mut self) -> Progress {
        Progress::Ended {
            rest: std::mem::take(&mut self.buffer),
        }
    }

    fn give_up(&mut self) -> Progress {
        Progress::Malformed {
            raw: std::mem::take(&mut self.raw),
            rest: std::mem::take(&mut self.buffer),
        }
    }

    /// Ends the answer inside this call. Returns text that turned out to be no call.
    pub(super) fn finish(self, events: &mut Vec<OutputEvent>) -> Option<String> {
        match self.stage {
            Stage::Argument => {
                events.push(OutputEvent::CallFinished {
                    index: self.index,
                    complete: false,
                });
                None
            }
            Stage::List | Stage::Name => Some(self.raw + &self.buffer),
            Stage::Between | Stage::End => None,
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// A literal of Python as JSON, or `None` if it is none. Literals of JSON are accepted too.
pub(super) fn literal(text: &str) -> Option<String> {
    let mut reader = Reader { rest: text.trim() };
    let mut out = String::new();
    reader.value(&mut out, 0)?;
    reader.rest.is_empty().then_some(out)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, out: &mut String, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip();
        match self.rest.chars().next()? {
            '"' | '\'' => self.string(out)?,
            '[' => self.sequence(']', out, depth)?,
            '(' => self.sequence(')', out, depth)?,
            '{' => {
                self.eat('{');
                out.push('{');
                let mut first = true;
                while !self.eat('}') {
                    if !first && !self.eat(',') {
                        return None;
                    }
                    if !first && self.eat('}') {
                        break;
                    }
                    if !first {
                        out.push_str(", ");
                    }
                    self.skip();
                    self.string(out)?;
                    if !self.eat(':') {
                        return None;
                    }
                    out.push_str(": ");
                    self.value(out, depth + 1)?;
                    first = false;
                }
                out.push('}');
            }
            _ => self.word(out)?,
        }
        self.skip();
        Some(())
    }

    fn sequence(&mut self, close: char, out: &mut String, depth: usize) -> Option<()> {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
        out.push('[');
        let mut first = true;
        while !self.eat(close) {
            if !first && !self.eat(',') {
                return None;
            }
            if !first && self.eat(close) {
                break;
            }
            if !first {
                out.push_str(", ");
            }
            self.value(out, depth + 1)?;
            first = false;
        }
        out.push(']');
        Some(())
    }

    fn string(&mut self, out: &mut String) -> Option<()> {
        let mut chars = self.rest.chars();
        let quote = chars.next().filter(|c| matches!(c, '"' | '\''))?;
        let mut text = String::new();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => match chars.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).ok()?;
                        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    c @ ('\\' | '\'' | '"' | '/') => text.push(c),
                    // Python keeps the backslash of an escape it does not know.
                    c => text.extend(['\\', c]),
                },
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        out.push_str(&serde_json::Value::from(text).to_string());
        Some(())
    }

    fn word(&mut self, out: &mut String) -> Option<()> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "True" | "true" => out.push_str("true"),
            "False" | "false" => out.push_str("false"),
            "None" | "null" => out.push_str("null"),
            number => {
                // Checked as JSON, passed on as written.
                serde_json::from_str::<serde_json::Number>(number).ok()?;
                out.push_str(number);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn literals_become_json() {
        for (python, json) in [
            ("'it\\'s \"x\"'", Some(r#""it's \"x\"""#)),
            ("True", Some("true")),
            ("None", Some("null")),
            ("-1.50", Some("-1.50")),
            ("[1, 'a', (2,),]", Some(r#"[1, "a", [2]]"#)),
            ("{'a': {\"b\": []}}", Some(r#"{"a": {"b": []}}"#)),
            ("name", None),
            ("'open", None),
            ("1 2", None),
            ("f(x)", None),
        ] {
            assert_eq!(literal(python).as_deref(), json, "{python}");
        }
        // Hostile nesting is refused, not recursed into.
        assert_eq!(literal(&"[".repeat(100_000)), None);
    }
}
