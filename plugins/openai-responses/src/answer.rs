//! Canonical events, into the numbered events of this API and the response object.
//!
//! What strict clients check: numbers go up by one from 0; `response.created` comes first and
//! `response.in_progress` second; items never overlap and their indices never go back; everything opened
//! is closed; exactly one terminal event, which repeats the whole output.

use atoll_plugin_openai_common::failure;
use atoll_sdk::types::{
    Error, ErrorKind, Event, FinishReason, Finished, Item, ItemEnd, ItemKind, Started,
    StoredResponse, StoredStatus, Usage,
};
use atoll_sdk::{json, ndjson, sse};
use serde_json::{Map, Value, json};

use crate::output::{Open, OpenKind};
use crate::shape::Shape;

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// The response object at the end, nothing before.
    Whole,
    /// Server-sent events.
    Sse,
    /// One line of JSON per event: the messages of a WebSocket.
    Lines,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    wire: Wire,
    shape: Shape,
    sequence: u64,
    /// Events up to this number are counted but not written: the client has them.
    starting_after: Option<u64>,
    /// The socket's lane, which every event names.
    lane: Option<String>,
    id: String,
    created_at: u64,
    completed_at: Option<u64>,
    model: String,
    output: Vec<Value>,
    open: Option<Open>,
    incomplete: Option<&'static str>,
    error: Value,
    usage: Option<Usage>,
}

impl Answer {
    /// An answer of this shape.
    #[must_use]
    pub fn new(shape: Shape, wire: Wire) -> Self {
        Self {
            wire,
            shape,
            sequence: 0,
            starting_after: None,
            lane: None,
            id: String::new(),
            created_at: 0,
            completed_at: None,
            model: String::new(),
            output: vec![],
            open: None,
            incomplete: None,
            error: Value::Null,
            usage: None,
        }
    }

    /// How it travels.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// Only what follows this event is written.
    #[must_use]
    pub fn starting_after(mut self, number: Option<u64>) -> Self {
        self.starting_after = number;
        self
    }

    /// Events name the socket's lane they belong to.
    #[must_use]
    pub fn on_lane(mut self, lane: Option<String>) -> Self {
        self.lane = lane;
        self
    }

    /// A stored answer, as the bytes it was or would have been sent in. While it runs, more events may follow.
    ///
    /// # Errors
    /// Only defects.
    pub fn replay(&mut self, stored: StoredResponse) -> Result<Vec<u8>, Error> {
        self.id = format!("resp_{}", stored.id);
        self.created_at = stored.created_at;
        self.model = stored.request.model;
        let mut out = Vec::new();
        let mut error = None;
        for event in stored.events {
            match event {
                Event::Failed(reason) => error = Some(reason),
                event => self.encode(event, &mut out)?,
            }
        }
        if let Some(reason) = error {
            self.failed(&reason, &mut out)?;
        }
        if self.wire == Wire::Whole && stored.status != StoredStatus::Finished {
            self.close(None, &mut Vec::new())?;
            let status = match stored.status {
                StoredStatus::Queued => "queued",
                StoredStatus::InProgress | StoredStatus::Finished => "in_progress",
                StoredStatus::Failed => "failed",
                StoredStatus::Cancelled => "cancelled",
            };
            out.clear();
            json::write(&mut out, &self.response(status))?;
        }
        Ok(out)
    }

    /// Takes one event; appends what can be sent.
    ///
    /// # Errors
    /// Only defects.
    pub fn encode(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), Error> {
        match event {
            Event::Started(started) => self.start(started, out),
            Event::Progress(_) => {
                if self.wire == Wire::Sse {
                    sse::comment(out, "keep-alive");
                }
                Ok(())
            }
            Event::ItemStarted(_) if self.shape.prewarm => Ok(()),
            Event::ItemStarted(item) => self.open(item, out),
            Event::TextDelta(delta)
            | Event::ReasoningDelta(delta)
            | Event::RefusalDelta(delta)
            | Event::ArgumentsDelta(delta) => {
                let Some(open) = &mut self.open else {
                    return Ok(());
                };
                for (name, fields) in open.extend(&delta) {
                    self.send_inside(name, fields, out)?;
                }
                Ok(())
            }
            Event::ItemFinished(end) => self.close(Some(&end), out),
            Event::ChoiceFinished(end) => {
                self.incomplete = match end.reason {
                    FinishReason::Length if self.shape.prewarm => None,
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
        let first = if self.shape.background {
            "queued"
        } else {
            "in_progress"
        };
        let response = self.response(first);
        self.send("response.created", json!({ "response": response }), out)?;
        if self.shape.background {
            self.send("response.queued", json!({ "response": response }), out)?;
        }
        let response = self.response("in_progress");
        self.send("response.in_progress", json!({ "response": response }), out)
    }

    fn open(&mut self, item: Item, out: &mut Vec<u8>) -> Result<(), Error> {
        self.close(None, out)?;
        let (prefix, kind) = match item.kind {
            ItemKind::Message => ("msg", OpenKind::Message),
            ItemKind::Reasoning => ("rs", OpenKind::Reasoning),
            ItemKind::ToolCall(call) => {
                let (name, namespace) = self.shape.told(&call.name);
                let kind = OpenKind::Call {
                    call_id: call.call_id,
                    name,
                    namespace: namespace.or(call.namespace),
                    custom: call.custom,
                };
                (if call.custom { "ctc" } else { "fc" }, kind)
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
        let shown = open.item("in_progress", false);
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
        let complete = end.is_some_and(|end| end.complete);
        let status = if complete { "completed" } else { "incomplete" };
        let item = open.item(status, self.shape.encrypted);
        self.send_inside("response.output_item.done", json!({ "item": item }), out)?;
        self.output.push(item);
        Ok(())
    }

    fn finish(&mut self, finished: &Finished, out: &mut Vec<u8>) -> Result<(), Error> {
        self.close(None, out)?;
        self.usage = Some(finished.usage);
        let status = match self.incomplete {
            Some(_) => "incomplete",
            None => {
                let seconds = finished.timings.total / 1_000_000_000;
                self.completed_at = Some(self.created_at.saturating_add(seconds));
                "completed"
            }
        };
        let response = self.response(status);
        if self.wire == Wire::Whole {
            json::write(out, &response)
        } else {
            let name = format!("response.{status}");
            self.send(&name, json!({ "response": response }), out)
        }
    }

    /// Whatever ended the answer, a client hears `response.failed`: the one event that every client takes
    /// for the end.
    fn failed(&mut self, reason: &Error, out: &mut Vec<u8>) -> Result<(), Error> {
        self.close(None, out)?;
        let status = if matches!(reason.kind, ErrorKind::Cancelled) {
            "cancelled"
        } else {
            let object = json!(failure::body(reason));
            let code = object["error"]["code"].as_str().unwrap_or("server_error");
            self.error = json!({ "code": code, "message": object["error"]["message"] });
            "failed"
        };
        let response = self.response(status);
        self.send("response.failed", json!({ "response": response }), out)
    }

    /// The response object. Clients want every key, null where there is nothing to say.
    fn response(&self, status: &str) -> Value {
        let over = !matches!(status, "queued" | "in_progress");
        let mut response = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": self.completed_at,
            "status": status,
            "incomplete_details": self.incomplete.filter(|_| over).map(|reason| json!({ "reason": reason })),
            "model": self.model,
            "output": self.output,
            "error": self.error,
            "usage": self.usage.filter(|_| over).map(usage_object),
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
        if self.wire == Wire::Whole {
            return Ok(());
        }
        if self
            .starting_after
            .is_some_and(|number| self.sequence <= number)
        {
            self.sequence += 1;
            return Ok(());
        }
        let mut event = Map::new();
        event.insert("type".into(), json!(name));
        event.insert("sequence_number".into(), json!(self.sequence));
        if let Some(lane) = &self.lane {
            event.insert("stream_id".into(), json!(lane));
        }
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.sequence += 1;
        match self.wire {
            Wire::Lines => ndjson::line(out, &event),
            Wire::Sse | Wire::Whole => sse::event(out, name, &event),
        }
    }
}

/// Usage as this API counts it.
#[must_use]
pub fn usage_object(usage: Usage) -> Value {
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
