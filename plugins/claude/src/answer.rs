//! Canonical events, into Messages: a stream of named events, or one body at the end.
//!
//! Blocks are numbered from 0 without gaps and never overlap. A text block opens with its first text, so
//! that an answer of nothing but a tool call has no empty block before it. A thinking block ends with
//! exactly one signature.

use atoll_sdk::types::{
    Error, Event, FinishReason, ItemKind, ReasoningVisibility, Started, ToolCallStart, Usage,
};
use atoll_sdk::{json, sse};
use serde_json::{Value, json};

use crate::{Signing, bare_id, error};

/// What the request decided about the answer.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Send events as they come.
    pub stream: bool,
    /// Whether thinking is shown.
    pub visibility: ReasoningVisibility,
    /// The client marked parts of its prompt to be cached; without a mark the API counts nothing as written.
    pub caches: Option<CacheLife>,
}

/// How long a client wants a prompt to be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheLife {
    /// Five minutes.
    Minutes,
    /// One hour.
    Hour,
}

/// The block being written.
#[derive(Debug)]
enum Block {
    Text(String),
    Thinking(String),
    ToolUse {
        start: ToolCallStart,
        arguments: String,
    },
}

/// One answer.
#[derive(Debug, Default)]
pub struct Answer {
    shape: Option<Shape>,
    id: String,
    model: String,
    usage: Counts,
    content: Vec<Value>,
    /// Blocks opened so far.
    blocks: usize,
    open: Option<Block>,
    stop_reason: &'static str,
    stop_sequence: Option<String>,
}

/// Usage as this API counts it: what came from the cache is not in `input`.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    input: u32,
    cache_read: u32,
    cache_written: u32,
    output: u32,
    thinking: u32,
}

impl Answer {
    /// An answer of this shape.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self {
            shape: Some(shape),
            stop_reason: "end_turn",
            ..Self::default()
        }
    }

    /// Whether events are sent as they come.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.shape.is_some_and(|shape| shape.stream)
    }

    fn shows_thinking(&self) -> bool {
        self.shape
            .is_none_or(|shape| shape.visibility != ReasoningVisibility::Omitted)
    }

    /// Takes one event; appends what can be sent.
    ///
    /// # Errors
    /// Only defects.
    pub(crate) fn encode(
        &mut self,
        event: Event,
        request_id: &str,
        signing: &mut Signing,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match event {
            Event::Started(started) => self.start(&started, out),
            Event::Progress(_) => self.ping(out),
            Event::ItemStarted(item) => match item.kind {
                // Opened by the first text.
                ItemKind::Message => Ok(()),
                ItemKind::Reasoning => self.open(Block::Thinking(String::new()), signing, out),
                ItemKind::ToolCall(start) => self.open(
                    Block::ToolUse {
                        start,
                        arguments: String::new(),
                    },
                    signing,
                    out,
                ),
            },
            Event::TextDelta(delta) | Event::RefusalDelta(delta) => {
                if !delta.text.is_empty() && !matches!(self.open, Some(Block::Text(_))) {
                    self.open(Block::Text(String::new()), signing, out)?;
                }
                self.delta(&delta.text, out)
            }
            Event::ReasoningDelta(delta) | Event::ArgumentsDelta(delta) => {
                self.delta(&delta.text, out)
            }
            Event::ItemFinished(_) => self.close(signing, out),
            Event::ChoiceFinished(end) => {
                self.close(signing, out)?;
                self.finish_reason(end.reason);
                Ok(())
            }
            Event::Usage(usage) => {
                self.count(&usage);
                Ok(())
            }
            Event::Finished(finished) => {
                self.count(&finished.usage);
                self.finish(signing, out)
            }
            Event::Failed(reason) => {
                let body = error::body(&reason, request_id);
                self.send(out, "error", &body)
            }
            Event::Other(_) => Ok(()),
        }
    }

    fn start(&mut self, started: &Started, out: &mut Vec<u8>) -> Result<(), Error> {
        self.id = format!("msg_{}", bare_id(&started.response_id));
        self.model.clone_from(&started.model);
        self.usage.input = started.prompt_tokens.saturating_sub(started.cached_tokens);
        self.usage.cache_read = started.cached_tokens;
        self.usage.output = 1;
        let message = self.message(Value::Null, &[]);
        self.send(
            out,
            "message_start",
            &json!({ "type": "message_start", "message": message }),
        )?;
        self.ping(out)
    }

    /// Keeps connections alive; clients expect the first one here, and more at any time.
    fn ping(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.send(out, "ping", &json!({ "type": "ping" }))
    }

    fn open(
        &mut self,
        block: Block,
        signing: &mut Signing,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.close(signing, out)?;
        let shown = match &block {
            Block::Text(_) => json!({ "type": "text", "text": "" }),
            Block::Thinking(_) => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Block::ToolUse { start, .. } => json!({
                "type": "tool_use", "id": call_id(start), "name": start.name, "input": {},
            }),
        };
        let event = json!({
            "type": "content_block_start", "index": self.blocks, "content_block": shown,
        });
        let calls = matches!(block, Block::ToolUse { .. });
        self.open = Some(block);
        self.send(out, "content_block_start", &event)?;
        if calls {
            // As the service does: the input of a call begins with an empty piece, so that clients that
            // make its text on the first one have it for a call without arguments too.
            return self.input_json(out, "");
        }
        Ok(())
    }

    fn input_json(&self, out: &mut Vec<u8>, piece: &str) -> Result<(), Error> {
        let event = json!({
            "type": "content_block_delta", "index": self.blocks,
            "delta": { "type": "input_json_delta", "partial_json": piece },
        });
        self.send(out, "content_block_delta", &event)
    }

    fn delta(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
        let shows_thinking = self.shows_thinking();
        let delta = match &mut self.open {
            Some(Block::Text(all)) => {
                all.push_str(text);
                json!({ "type": "text_delta", "text": text })
            }
            Some(Block::Thinking(all)) => {
                all.push_str(text);
                if !shows_thinking {
                    return Ok(());
                }
                json!({ "type": "thinking_delta", "thinking": text })
            }
            Some(Block::ToolUse { arguments, .. }) => {
                arguments.push_str(text);
                if text.is_empty() {
                    return Ok(());
                }
                return self.input_json(out, text);
            }
            None => return Ok(()),
        };
        if text.is_empty() {
            return Ok(());
        }
        let event = json!({ "type": "content_block_delta", "index": self.blocks, "delta": delta });
        self.send(out, "content_block_delta", &event)
    }

    fn close(&mut self, signing: &mut Signing, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(block) = self.open.take() else {
            return Ok(());
        };
        match block {
            Block::Text(text) => self.content.push(json!({ "type": "text", "text": text })),
            Block::Thinking(text) => {
                let shown = self.shows_thinking();
                let signature = signing.key()?.sign(&text, shown);
                let text = if shown { text } else { String::new() };
                let event = json!({
                    "type": "content_block_delta", "index": self.blocks,
                    "delta": { "type": "signature_delta", "signature": signature },
                });
                self.send(out, "content_block_delta", &event)?;
                self.content.push(json!({
                    "type": "thinking", "thinking": text, "signature": signature,
                }));
            }
            Block::ToolUse { start, arguments } => {
                // Arguments cut off by a limit are not JSON; the stream showed them as they were.
                let input = serde_json::from_str::<Value>(&arguments)
                    .ok()
                    .filter(Value::is_object)
                    .unwrap_or_else(|| json!({}));
                self.content.push(json!({
                    "type": "tool_use", "id": call_id(&start), "name": start.name, "input": input,
                }));
            }
        }
        let event = json!({ "type": "content_block_stop", "index": self.blocks });
        self.blocks += 1;
        self.send(out, "content_block_stop", &event)
    }

    fn finish_reason(&mut self, reason: FinishReason) {
        self.stop_reason = match reason {
            FinishReason::Stop | FinishReason::Cancelled => "end_turn",
            FinishReason::StopSequence(text) => {
                self.stop_sequence = Some(text);
                "stop_sequence"
            }
            FinishReason::Length => "max_tokens",
            FinishReason::ContextWindow => "model_context_window_exceeded",
            FinishReason::ToolCalls => "tool_use",
            FinishReason::ContentFilter => "refusal",
        };
    }

    fn cache_life(&self) -> Option<CacheLife> {
        self.shape.and_then(|shape| shape.caches)
    }

    fn count(&mut self, usage: &Usage) {
        // Every prompt is cached here; the API counts it as written where the client asked for that.
        let written = match self.cache_life() {
            Some(_) => usage.cache_written_tokens,
            None => 0,
        };
        self.usage = Counts {
            input: usage
                .prompt_tokens
                .saturating_sub(usage.cached_tokens)
                .saturating_sub(written),
            cache_read: usage.cached_tokens,
            cache_written: written,
            output: usage.output_tokens,
            thinking: usage.reasoning_tokens,
        };
    }

    fn finish(&mut self, signing: &mut Signing, out: &mut Vec<u8>) -> Result<(), Error> {
        self.close(signing, out)?;
        if !self.streams() {
            let content = std::mem::take(&mut self.content);
            let body = self.message(json!(self.stop_reason), &content);
            return json::write(out, &body);
        }
        let delta = json!({
            "type": "message_delta",
            "delta": { "stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence },
            "usage": self.final_usage(),
        });
        self.send(out, "message_delta", &delta)?;
        self.send(out, "message_stop", &json!({ "type": "message_stop" }))
    }

    fn message(&self, stop_reason: Value, content: &[Value]) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": null,
            "container": null,
            "usage": self.usage_object(),
        })
    }

    /// The counts that a stream ends with: those of [`Self::usage_object`] that can still change.
    fn final_usage(&self) -> Value {
        let usage = &self.usage;
        json!({
            "input_tokens": usage.input,
            "cache_creation_input_tokens": usage.cache_written,
            "cache_read_input_tokens": usage.cache_read,
            "output_tokens": usage.output,
            "output_tokens_details": { "thinking_tokens": usage.thinking },
        })
    }

    fn usage_object(&self) -> Value {
        let usage = &self.usage;
        let (minutes, hour) = match self.cache_life() {
            Some(CacheLife::Hour) => (0, usage.cache_written),
            _ => (usage.cache_written, 0),
        };
        json!({
            "input_tokens": usage.input,
            "cache_creation_input_tokens": usage.cache_written,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": minutes,
                "ephemeral_1h_input_tokens": hour,
            },
            "output_tokens": usage.output,
            "output_tokens_details": { "thinking_tokens": usage.thinking },
            "server_tool_use": null,
            "inference_geo": null,
            "service_tier": "standard",
        })
    }

    /// Appends a named event; nothing when the answer is one body.
    fn send(&self, out: &mut Vec<u8>, name: &str, event: &Value) -> Result<(), Error> {
        if self.streams() {
            sse::event(out, name, event)
        } else {
            Ok(())
        }
    }
}

/// The id of a call as this API spells it; clients send it back as it is.
fn call_id(start: &ToolCallStart) -> String {
    if start.call_id.starts_with("toolu_") {
        start.call_id.clone()
    } else {
        format!("toolu_{}", start.call_id)
    }
}
