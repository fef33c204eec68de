//! One choice's text as canonical items: reasoning, messages and tool calls, one after the other.
//!
//! The engine's parser says what the text is; this module opens and closes the items, numbers them, counts the
//! tokens of the reasoning and keeps log probabilities with the text they belong to. Pure.

use std::sync::Arc;

use atoll_engine::engine::TokenEvent;
use atoll_engine::output::{OutputEvent, OutputParser};
use atoll_plugin_runtime::types::{
    Alternative, Delta, Event, FinishReason, Item, ItemEnd, ItemKind, Token, ToolCallStart,
};

/// What the items of a request have in common.
#[derive(Debug, Clone)]
pub(crate) struct ItemStyle {
    /// Report log probabilities.
    pub logprobs: bool,
    /// At most one call; what follows it is dropped.
    pub single_call: bool,
    /// Tools that take free text, which the model writes as the only string of an object.
    pub custom_tools: Arc<[String]>,
    /// How calls are named.
    pub call_ids: CallIds,
}

/// Names for calls: unique, and in the form the model's own template accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallIds {
    /// Random, one per request.
    pub seed: u128,
    /// Nine letters and digits, which Mistral's templates insist on.
    pub short: bool,
}

impl CallIds {
    fn id(self, choice: u32, call: u32) -> String {
        // An odd multiplier spreads neighbouring numbers over all digits.
        let number = (u128::from(choice) << 32 | u128::from(call))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let id = self.seed ^ number;
        if !self.short {
            return format!("call_{id:032x}");
        }
        const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut rest = id;
        let mut letters = String::with_capacity(9);
        for _ in 0..9 {
            letters.push(char::from(LETTERS[(rest % 36) as usize]));
            rest /= 36;
        }
        letters
    }
}

/// The items of one choice.
#[derive(Debug)]
pub(crate) struct Items {
    choice: u32,
    style: ItemStyle,
    parser: OutputParser,
    open: Option<Open>,
    /// Items begun.
    begun: u32,
    /// Calls begun.
    calls: u32,
    /// Log probabilities whose text has not come yet.
    pending: Vec<Token>,
    /// Tokens that may be reasoning or not.
    undecided: u32,
    reasoning_tokens: u32,
    /// The only call allowed is complete.
    muted: bool,
}

/// The item being written.
#[derive(Debug)]
enum Open {
    Message,
    Reasoning,
    Call,
    /// A call of free text, collected because its text is inside a JSON string.
    Custom(String),
}

impl Items {
    pub(crate) fn new(choice: u32, parser: OutputParser, style: ItemStyle) -> Self {
        Self {
            choice,
            style,
            parser,
            open: None,
            begun: 0,
            calls: 0,
            pending: Vec::new(),
            undecided: 0,
            reasoning_tokens: 0,
            muted: false,
        }
    }

    /// Tokens of reasoning so far, its markers included.
    pub(crate) fn reasoning_tokens(&self) -> u32 {
        self.reasoning_tokens
    }

    /// Text that is part of the message whatever the parser would say.
    pub(crate) fn verbatim(&mut self, text: String, out: &mut Vec<Event>) {
        if !text.is_empty() {
            self.message(text, out);
        }
    }

    /// Takes a piece of the answer and the tokens behind it.
    pub(crate) fn push(&mut self, text: &str, tokens: Vec<TokenEvent>, out: &mut Vec<Event>) {
        let last = tokens.len().saturating_sub(1);
        let (mut taken, mut bytes) = (0, 0);
        for (at, token) in tokens.into_iter().enumerate() {
            bytes += token.bytes.len();
            let end = if at == last {
                text.len()
            } else {
                text.floor_char_boundary(bytes.min(text.len())).max(taken)
            };
            let piece = text.get(taken..end).unwrap_or_default();
            taken = end;
            self.token(piece, token, out);
        }
        if let Some(rest) = text.get(taken..).filter(|rest| !rest.is_empty()) {
            let events = self.parser.push(rest);
            self.events(events, out);
        }
    }

    fn token(&mut self, text: &str, event: TokenEvent, out: &mut Vec<Event>) {
        if self.style.logprobs {
            self.pending.push(token(event));
        }
        let reasoned = self.parser.reasons() == Some(true);
        let events = self.parser.push(text);
        self.undecided += 1;
        match self.parser.reasons() {
            None => {}
            now => {
                // The closing marker belongs to the reasoning it closes.
                if reasoned || now == Some(true) {
                    self.reasoning_tokens += self.undecided;
                }
                self.undecided = 0;
            }
        }
        self.events(events, out);
        if !matches!(self.open, None | Some(Open::Message)) {
            self.pending.clear();
        }
    }

    /// Ends the choice: closes what is open, and says how it ended.
    pub(crate) fn finish(&mut self, reason: FinishReason, out: &mut Vec<Event>) -> FinishReason {
        let events = self.parser.finish();
        self.events(events, out);
        if !self.pending.is_empty() && matches!(self.open, Some(Open::Message)) {
            self.message(String::new(), out);
        }
        let complete = matches!(reason, FinishReason::Stop | FinishReason::StopSequence(_));
        if self.begun == 0 {
            self.start(ItemKind::Message, Open::Message, out);
        }
        self.close(complete, out);
        if self.calls > 0 && reason == FinishReason::Stop {
            FinishReason::ToolCalls
        } else {
            reason
        }
    }

    fn events(&mut self, events: Vec<OutputEvent>, out: &mut Vec<Event>) {
        for event in events {
            if self.muted {
                return;
            }
            match event {
                OutputEvent::Text(text) => self.message(text, out),
                OutputEvent::Reasoning(text) => {
                    if !matches!(self.open, Some(Open::Reasoning)) {
                        self.start(ItemKind::Reasoning, Open::Reasoning, out);
                    }
                    let delta = self.delta(text);
                    out.push(Event::ReasoningDelta(delta));
                }
                OutputEvent::CallStarted { name, .. } => self.start_call(name, out),
                OutputEvent::CallArguments { fragment, .. } => {
                    if let Some(Open::Custom(text)) = &mut self.open {
                        text.push_str(&fragment);
                    } else {
                        let delta = self.delta(fragment);
                        out.push(Event::ArgumentsDelta(delta));
                    }
                }
                OutputEvent::CallFinished { complete, .. } => {
                    self.end_call(complete, out);
                    self.muted = self.style.single_call;
                }
            }
        }
    }

    fn message(&mut self, text: String, out: &mut Vec<Event>) {
        if !matches!(self.open, Some(Open::Message)) {
            self.start(ItemKind::Message, Open::Message, out);
        }
        let tokens = std::mem::take(&mut self.pending);
        let delta = Delta {
            tokens,
            ..self.delta(text)
        };
        out.push(Event::TextDelta(delta));
    }

    fn start_call(&mut self, name: String, out: &mut Vec<Event>) {
        let custom = self.style.custom_tools.contains(&name);
        let call_id = self.style.call_ids.id(self.choice, self.calls);
        self.calls += 1;
        let kind = ItemKind::ToolCall(ToolCallStart {
            call_id,
            name,
            namespace: None,
            custom,
        });
        let open = if custom {
            Open::Custom(String::new())
        } else {
            Open::Call
        };
        self.start(kind, open, out);
    }

    fn end_call(&mut self, complete: bool, out: &mut Vec<Event>) {
        if let Some(Open::Custom(text)) = &self.open {
            let input = serde_json::from_str::<serde_json::Value>(text)
                .ok()
                .and_then(|arguments| arguments.get("input")?.as_str().map(str::to_owned))
                // Not as it was told to write: better passed on than lost.
                .unwrap_or_else(|| text.clone());
            if !input.is_empty() {
                let delta = self.delta(input);
                out.push(Event::ArgumentsDelta(delta));
            }
        }
        self.close(complete, out);
    }

    fn start(&mut self, kind: ItemKind, open: Open, out: &mut Vec<Event>) {
        self.close(true, out);
        out.push(Event::ItemStarted(Item {
            choice: self.choice,
            index: self.begun,
            kind,
        }));
        self.begun += 1;
        self.open = Some(open);
    }

    fn close(&mut self, complete: bool, out: &mut Vec<Event>) {
        if self.open.take().is_some() {
            out.push(Event::ItemFinished(ItemEnd {
                choice: self.choice,
                item: self.begun - 1,
                complete,
                signature: None,
            }));
        }
    }

    fn delta(&self, text: String) -> Delta {
        Delta {
            choice: self.choice,
            item: self.begun.saturating_sub(1),
            text,
            tokens: Vec::new(),
        }
    }
}

fn token(event: TokenEvent) -> Token {
    let alternatives = event
        .top
        .into_iter()
        .map(|(id, bytes, logprob)| Alternative { id, bytes, logprob })
        .collect();
    Token {
        id: event.token,
        bytes: event.bytes,
        // Asked for, so present; a missing one must not look certain.
        logprob: event.logprob.unwrap_or(f32::NEG_INFINITY),
        alternatives,
    }
}

#[cfg(test)]
mod tests;
