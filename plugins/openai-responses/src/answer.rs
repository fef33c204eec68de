//! Canonical events, into the numbered events of this API and the response object.
//!
//! What strict clients check: numbers go up by one from 0; `response.created` comes first and
//! `response.in_progress` second; items never overlap and their indices never go back; everything opened
//! is closed; exactly one terminal event, which repeats the whole output.

use atoll_sdk::types::{
    Error, Event, FinishReason, Finished, Item, ItemEnd, ItemKind, Started, Usage,
};
use atoll_sdk::{json, sse};
use serde_json::{Map, Value, json};

use crate::output::{Open, OpenKind};
use crate::tools::{Told, ToolSet};
use atoll_plugin_openai_common::failure;

/// What the request decided about the answer.
#[derive(Debug)]
pub struct Shape {
    /// Send events as they come.
    pub stream: bool,
    /// Fields of the request that the response object repeats.
    pub echo: Map<String, Value>,
    /// Names of tools, both ways.
    pub tools: ToolSet,
    /// Log probabilities were asked for.
    pub logprobs: bool,
    /// The client wants reasoning back in a form it can send again.
    pub encrypted: bool,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    shape: Shape,
    sequence: u64,
    id: String,
    created_at: u64,
    model: String,
    output: Vec<Value>,
    open: Option<Open>,
    incomplete: Option<&'static str>,
    usage: Option<Usage>,
}

impl Answer {
    /// An answer of this shape.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            sequence: 0,
            id: String::new(),
            created_at: 0,
            model: String::new(),
            output: vec![],
            open: None,
            incomplete: None,
            usage: None,
        }
    }

    /// Whether events are sent as they come.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.shape.stream
    }

    /// Takes one event; appends what can be sent.
    ///
    /// # Errors
    /// Only defects.
    pub fn encode(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), Error> {
        match event {
            Event::Started(started) => self.start(started, out),
            Event::Progress(_) => {
                if self.streams() {
                    sse::comment(out, "keep-alive");
                }
                Ok(())
            }
            Event::ItemStarted(item) => self.open(item, out),
            Event::TextDelta(delta)
            | Event::ReasoningDelta(delta)
            | Event::RefusalDelta(delta)
            | Event::ArgumentsDelta(delta) => {
                let Some(open) = &mut self.open else {
                    return Ok(());
                };
                let Some((name, fields)) = open.extend(&delta) else {
                    return Ok(());
                };
                self.send_inside(name, fields, out)
            }
            Event::ItemFinished(end) => self.close(Some(&end), out),
            Event::ChoiceFinished(end) => {
                self.incomplete = match end.reason {
                    FinishReason::Length | FinishReason::ContextWindow => Some("max_output_tokens"),
                    FinishReason::ContentFilter => Some("content_filter"),
                    _ => None,
                };
                self.close(None, out)
            }
            Event::Usage(usage) => {
                self.usage = Some(usage);
                Ok(())
            }
            Event::Finished(finished) => self.finish(&finished, out),
            Event::Failed(reason) => self.failed(&reason, out),
            Event::Other(_) => Ok(()),
        }
    }

    fn start(&mut self, started: Started, out: &mut Vec<u8>) -> Result<(), Error> {
        self.id = format!("resp_{}", started.response_id);
        self.created_at = started.created_at;
        self.model = started.model;
        for name in ["response.created", "response.in_progress"] {
            let response = self.response("in_progress", Value::Null);
            self.send(name, json!({ "response": response }), out)?;
        }
        Ok(())
    }

    fn open(&mut self, item: Item, out: &mut Vec<u8>) -> Result<(), Error> {
        self.close(None, out)?;
        let (prefix, kind) = match item.kind {
            ItemKind::Message => ("msg", OpenKind::Message),
            ItemKind::Reasoning => ("rs", OpenKind::Reasoning),
            ItemKind::ToolCall(call) => {
                let told = self.shape.tools.told(&call.name).cloned().unwrap_or(Told {
                    flat: call.name.clone(),
                    name: call.name,
                    namespace: call.namespace,
                    custom: call.custom,
                });
                let prefix = if told.custom { "ctc" } else { "fc" };
                (
                    prefix,
                    OpenKind::Call {
                        call_id: call.call_id,
                        told,
                    },
                )
            }
        };
        let id = format!(
            "{prefix}_{}_{}",
            self.id.trim_start_matches("resp_"),
            self.output.len()
        );
        let open = Open {
            id,
            kind,
            text: String::new(),
            logprobs: vec![],
        };
        let shown = open.item("in_progress", None, false);
        let inside = open.opened();
        self.open = Some(open);
        self.send_inside("response.output_item.added", json!({ "item": shown }), out)?;
        for (name, fields) in inside {
            self.send_inside(name, fields, out)?;
        }
        Ok(())
    }

    fn close(&mut self, end: Option<&ItemEnd>, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        for (name, fields) in open.closed() {
            self.send_inside(name, fields, out)?;
        }
        let complete = end.is_none_or(|end| end.complete);
        let status = if complete { "completed" } else { "incomplete" };
        let item = open.item(status, end, self.shape.encrypted);
        self.send_inside("response.output_item.done", json!({ "item": item }), out)?;
        self.output.push(item);
        Ok(())
    }

    fn finish(&mut self, finished: &Finished, out: &mut Vec<u8>) -> Result<(), Error> {
        self.close(None, out)?;
        self.usage = Some(finished.usage);
        let status = if self.incomplete.is_some() {
            "incomplete"
        } else {
            "completed"
        };
        let response = self.response(status, Value::Null);
        if self.streams() {
            let name = if self.incomplete.is_some() {
                "response.incomplete"
            } else {
                "response.completed"
            };
            self.send(name, json!({ "response": response }), out)
        } else {
            json::write(out, &response)
        }
    }

    fn failed(&mut self, reason: &Error, out: &mut Vec<u8>) -> Result<(), Error> {
        self.close(None, out)?;
        let object = json!(failure::body(reason));
        let code = object["error"]["code"].as_str().unwrap_or("server_error");
        let error = json!({ "code": code, "message": object["error"]["message"] });
        let response = self.response("failed", error);
        self.send("response.failed", json!({ "response": response }), out)
    }

    /// The response object. Clients want every key, null where there is nothing to say.
    fn response(&self, status: &str, error: Value) -> Value {
        let over = status != "in_progress";
        let mut response = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": (status == "completed").then_some(self.created_at),
            "status": status,
            "incomplete_details": self.incomplete.filter(|_| over).map(|reason| json!({ "reason": reason })),
            "model": self.model,
            "output": self.output,
            "error": error,
            "usage": self.usage.filter(|_| over).map(usage_object),
            "user": null,
        });
        if let Value::Object(fields) = &mut response {
            fields.extend(self.shape.echo.clone());
        }
        response
    }

    /// An event about the open item, or the one just closed.
    fn send_inside(
        &mut self,
        name: &str,
        mut fields: Value,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        fields["output_index"] = json!(self.output.len());
        self.send(name, fields, out)
    }

    fn send(&mut self, name: &str, fields: Value, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.streams() {
            return Ok(());
        }
        let mut event = Map::new();
        event.insert("type".into(), json!(name));
        event.insert("sequence_number".into(), json!(self.sequence));
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.sequence += 1;
        sse::event(out, name, &event)
    }
}

fn usage_object(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_written_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
        "total_tokens": u64::from(usage.prompt_tokens) + u64::from(usage.output_tokens),
    })
}
