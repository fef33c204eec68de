//! How model families mark reasoning and tool calls, as data.

use super::families;

/// Everything one model marks in its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputSyntax {
    /// How reasoning is marked, if this model reasons and the split is wanted.
    pub reasoning: Option<ReasoningSyntax>,
    /// How calls are marked, if tools were offered.
    pub tools: Option<ToolSyntax>,
}

/// Reasoning at the beginning of an answer, between two markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasoningSyntax {
    /// `<think>`.
    pub open: &'static str,
    /// `</think>`.
    pub close: &'static str,
}

/// A way to write tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolSyntax {
    /// For logs and `show`.
    pub name: &'static str,
    /// Comes before a call, or before a section of calls.
    pub open: &'static str,
    /// Comes before every call of a section.
    pub each: Option<&'static str>,
    /// How name and arguments are written.
    pub header: CallHeader,
    /// Comes after a call, or nothing.
    pub close: Option<&'static str>,
    /// Comes after a section of calls.
    pub end: Option<&'static str>,
    /// The calls are a list in brackets after one `open`.
    pub list: bool,
    /// A whole answer that begins as a call does is one, without `open`.
    pub bare: bool,
}

/// How one call is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallHeader {
    /// `{"name": ..., "arguments": ...}`, keys in any order; this is the arguments' usual key.
    Object(&'static str),
    /// The name, a separator, then the arguments as JSON.
    Named(NamedHeader),
    /// The name, then each argument between markers of its own.
    Pairs(PairHeader),
    /// `name(key=value, ...)` with literals of Python.
    Python,
    /// Channels of the harmony format, which mark everything, not only calls.
    Harmony,
}

/// A name before its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedHeader {
    /// Stands before the name and says nothing.
    pub before: &'static str,
    /// Belongs to the format, not to the name: `functions.`.
    pub prefix: &'static str,
    /// What follows this in the name (a number, an id) is no part of it.
    pub cut: Option<&'static str>,
    /// Ends the name. `{` is also the first character of the arguments.
    pub separators: &'static [&'static str],
}

/// A name, then arguments between markers: values are text, typed by the tool's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairHeader {
    /// Before the name.
    pub name_open: &'static str,
    /// After the name, unless an argument or the end follows at once.
    pub name_close: &'static str,
    /// Before a key.
    pub key_open: &'static str,
    /// Between a key and its value; white space inside it may be left out.
    pub key_close: &'static str,
    /// Before a value.
    pub value_open: &'static str,
    /// After a value.
    pub value_close: &'static str,
    /// After the last argument.
    pub end: &'static str,
    /// One line break inside each end of a value belongs to the format.
    pub lines: bool,
}

impl OutputSyntax {
    /// What a chat template teaches its model to write, from the markers in the template's source.
    #[must_use]
    pub fn detect(template: &str) -> Self {
        let tools = families::TOOLS
            .iter()
            .find(|family| {
                family
                    .markers
                    .iter()
                    .all(|marker| template.contains(marker))
            })
            .map(|family| family.syntax);
        let reasoning = families::REASONING
            .into_iter()
            .find(|syntax| template.contains(syntax.close));
        Self { reasoning, tools }
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.reasoning.is_none() && self.tools.is_none()
    }

    /// Whether the model marks its reasoning.
    #[must_use]
    pub fn can_reason(&self) -> bool {
        self.reasoning.is_some() || self.is_harmony()
    }

    /// Whether the model writes in channels.
    #[must_use]
    pub fn is_harmony(&self) -> bool {
        self.tools
            .is_some_and(|tools| tools.header == CallHeader::Harmony)
    }

    /// Every marker that may stand in an answer. Where the vocabulary has a special token for one, its
    /// text must reach the parser.
    #[must_use]
    pub fn markers(&self) -> Vec<&'static str> {
        let mut markers = Vec::new();
        if let Some(reasoning) = self.reasoning {
            markers.extend([reasoning.open, reasoning.close]);
        }
        if let Some(tools) = self.tools {
            markers.push(tools.open);
            markers.extend([tools.each, tools.close, tools.end].into_iter().flatten());
            match tools.header {
                CallHeader::Named(header) => {
                    markers.extend(header.separators);
                    markers.extend(header.cut);
                    markers.extend(families::PARTS);
                }
                CallHeader::Pairs(pair) => markers.extend([
                    pair.key_open,
                    pair.key_close,
                    pair.value_open,
                    pair.value_close,
                    pair.end,
                ]),
                CallHeader::Harmony => markers.extend(families::HARMONY_MARKERS),
                CallHeader::Object(_) | CallHeader::Python => {}
            }
        }
        markers.retain(|marker| !marker.is_empty());
        markers
    }
}
