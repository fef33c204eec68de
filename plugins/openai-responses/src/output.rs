//! The items of an answer while they are written, and the events about them.

use atoll_sdk::types::{Delta, Token};
use serde_json::{Value, json};

use crate::sealed;

/// An item being written.
#[derive(Debug)]
pub struct Open {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: OpenKind,
    /// Everything so far.
    pub text: String,
    /// Log probabilities of its tokens.
    pub logprobs: Vec<Value>,
}

/// What an item is.
#[derive(Debug)]
pub enum OpenKind {
    /// A message with one text.
    Message,
    /// Reasoning with one summary.
    Reasoning,
    /// A call.
    Call {
        /// Joins it with its result.
        call_id: String,
        /// What the client calls the tool.
        name: String,
        /// The client's namespace.
        namespace: Option<String>,
        /// Free text instead of JSON arguments.
        custom: bool,
    },
}

/// An event without its number and output index, which the answer adds.
pub type Sketch = (&'static str, Value);

impl Open {
    /// The item as it stands; `status` only where the API has one.
    #[must_use]
    pub fn item(&self, status: &str, encrypted: bool) -> Value {
        match &self.kind {
            OpenKind::Message => {
                let content = if status == "in_progress" {
                    json!([])
                } else {
                    json!([self.part()])
                };
                json!({
                    "id": self.id, "type": "message", "status": status, "role": "assistant",
                    "content": content,
                })
            }
            OpenKind::Reasoning => {
                let summary = if self.text.is_empty() {
                    json!([])
                } else {
                    json!([{ "type": "summary_text", "text": self.text }])
                };
                let mut item = json!({ "id": self.id, "type": "reasoning", "summary": summary });
                if encrypted && status != "in_progress" {
                    item["encrypted_content"] = json!(sealed::seal(sealed::REASONING, &self.text));
                }
                item
            }
            OpenKind::Call {
                call_id,
                name,
                custom: true,
                ..
            } => json!({
                "id": self.id, "type": "custom_tool_call", "status": status, "call_id": call_id,
                "name": name, "input": self.text,
            }),
            OpenKind::Call {
                call_id,
                name,
                namespace,
                ..
            } => {
                let mut item = json!({
                    "id": self.id, "type": "function_call", "status": status, "call_id": call_id,
                    "name": name, "arguments": self.text,
                });
                if let Some(namespace) = namespace {
                    item["namespace"] = json!(namespace);
                }
                item
            }
        }
    }

    fn part(&self) -> Value {
        json!({
            "type": "output_text", "text": self.text, "annotations": [], "logprobs": self.logprobs,
        })
    }

    /// Events that open what is inside the item.
    #[must_use]
    pub fn opened(&self) -> Vec<Sketch> {
        match &self.kind {
            OpenKind::Message => vec![(
                "response.content_part.added",
                json!({
                    "item_id": self.id, "content_index": 0,
                    "part": { "type": "output_text", "text": "", "annotations": [], "logprobs": [] },
                }),
            )],
            // Reasoning opens its part with its first text: without any it has none.
            OpenKind::Reasoning | OpenKind::Call { .. } => vec![],
        }
    }

    /// Takes more text; the events that say so.
    pub fn extend(&mut self, delta: &Delta) -> Vec<Sketch> {
        let nothing = match &self.kind {
            OpenKind::Message => delta.text.is_empty() && delta.tokens.is_empty(),
            OpenKind::Reasoning | OpenKind::Call { .. } => delta.text.is_empty(),
        };
        if nothing {
            return vec![];
        }
        let first = self.text.is_empty();
        self.text.push_str(&delta.text);
        match &self.kind {
            OpenKind::Message => {
                let logprobs: Vec<Value> = delta.tokens.iter().map(logprob).collect();
                self.logprobs.extend(logprobs.iter().cloned());
                vec![(
                    "response.output_text.delta",
                    json!({
                        "item_id": self.id, "content_index": 0, "delta": delta.text,
                        "logprobs": logprobs,
                    }),
                )]
            }
            OpenKind::Reasoning => {
                let added = (
                    "response.reasoning_summary_part.added",
                    json!({
                        "item_id": self.id, "summary_index": 0,
                        "part": { "type": "summary_text", "text": "" },
                    }),
                );
                let text = (
                    "response.reasoning_summary_text.delta",
                    json!({ "item_id": self.id, "summary_index": 0, "delta": delta.text }),
                );
                if first { vec![added, text] } else { vec![text] }
            }
            OpenKind::Call { custom, .. } => vec![(
                if *custom {
                    "response.custom_tool_call_input.delta"
                } else {
                    "response.function_call_arguments.delta"
                },
                json!({ "item_id": self.id, "delta": delta.text }),
            )],
        }
    }

    /// Events that close what is inside the item.
    #[must_use]
    pub fn closed(&self) -> Vec<Sketch> {
        match &self.kind {
            OpenKind::Message => vec![
                (
                    "response.output_text.done",
                    json!({
                        "item_id": self.id, "content_index": 0, "text": self.text,
                        "logprobs": self.logprobs,
                    }),
                ),
                (
                    "response.content_part.done",
                    json!({ "item_id": self.id, "content_index": 0, "part": self.part() }),
                ),
            ],
            OpenKind::Reasoning if self.text.is_empty() => vec![],
            OpenKind::Reasoning => vec![
                (
                    "response.reasoning_summary_text.done",
                    json!({ "item_id": self.id, "summary_index": 0, "text": self.text }),
                ),
                (
                    "response.reasoning_summary_part.done",
                    json!({
                        "item_id": self.id, "summary_index": 0,
                        "part": { "type": "summary_text", "text": self.text },
                    }),
                ),
            ],
            OpenKind::Call { custom: true, .. } => vec![(
                "response.custom_tool_call_input.done",
                json!({ "item_id": self.id, "input": self.text }),
            )],
            OpenKind::Call { name, .. } => vec![(
                "response.function_call_arguments.done",
                json!({ "item_id": self.id, "name": name, "arguments": self.text }),
            )],
        }
    }
}

fn logprob(token: &Token) -> Value {
    json!({
        "token": String::from_utf8_lossy(&token.bytes),
        "logprob": token.logprob,
        "bytes": token.bytes,
        "top_logprobs": token.alternatives.iter().map(|other| json!({
            "token": String::from_utf8_lossy(&other.bytes),
            "logprob": other.logprob,
            "bytes": other.bytes,
        })).collect::<Vec<_>>(),
    })
}
