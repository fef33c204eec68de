//! Chat Completions: what its two forms share.

use atoll_sdk::types::{Error, Event};

use super::Mode;
use super::chat_body::ChatBody;
use super::chat_stream::ChatStream;

/// What the request said about its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChatOptions {
    /// In pieces or whole.
    pub(crate) mode: Mode,
    /// How many choices there will be.
    pub(crate) choices: u32,
    /// Calls go out as `function_call`, of which a message has at most one.
    pub(crate) legacy_function_call: bool,
    /// Reasoning is left out.
    pub(crate) hide_reasoning: bool,
    /// Log probabilities were asked for.
    pub(crate) logprobs: bool,
}

/// An answer being made.
pub(crate) enum ChatAnswer {
    /// In pieces.
    Stream(ChatStream),
    /// Whole.
    Body(ChatBody),
}

impl ChatAnswer {
    /// An answer of which nothing is known yet.
    pub(crate) fn new(options: ChatOptions) -> Self {
        match options.mode {
            Mode::Stream { include_usage } => Self::Stream(ChatStream::new(options, include_usage)),
            Mode::Whole => Self::Body(ChatBody::new(options)),
        }
    }

    /// In which form it goes out.
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Stream(stream) => stream.mode(),
            Self::Body(_) => Mode::Whole,
        }
    }

    /// Bytes for these events.
    ///
    /// # Errors
    /// Never for events the host sends.
    pub(crate) fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for event in events {
            match self {
                Self::Stream(stream) => stream.event(&mut out, event)?,
                Self::Body(body) => body.event(&mut out, event)?,
            }
        }
        Ok(out)
    }
}

/// The tool calls of one choice, counted as the client counts them: from 0, in order of appearance,
/// whatever else the choice holds.
#[derive(Debug, Default)]
pub(super) struct CallIndex {
    items: Vec<(u32, bool)>,
}

impl CallIndex {
    /// A call begins as this item; its index.
    pub(super) fn begin(&mut self, item: u32, custom: bool) -> usize {
        self.items.push((item, custom));
        self.items.len() - 1
    }

    /// The index of the call that is this item, and whether its tool is custom.
    pub(super) fn of(&self, item: u32) -> Option<(usize, bool)> {
        let index = self.items.iter().rposition(|(known, _)| *known == item)?;
        self.items.get(index).map(|(_, custom)| (index, *custom))
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        !self.items.is_empty()
    }
}
