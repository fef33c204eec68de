//! Canonical events, into NDJSON lines or one object at the end.
//!
//! Tool calls go out whole, with their arguments as an object, so their deltas are collected. The last
//! line has the counts and durations; text never comes with it.

use std::time::Duration;

use atoll_sdk::time::rfc3339_millis;
use atoll_sdk::types::{
    Error, Event, FinishReason, Finished, ItemKind, Phase, Progress, Token, ToolCallStart,
};
use atoll_sdk::{json, ndjson};
use serde_json::{Map, Value, json};

use crate::memory::{Memory, Speaker};
use crate::message;
use crate::request::Kind;

/// One answer.
#[derive(Debug)]
pub struct Answer {
    kind: Kind,
    stream: bool,
    /// When the host handed over what is being encoded, since 1970: each line tells its own time.
    now: Duration,
    /// As the client spelled it.
    model: String,
    /// The conversation that the last line carries as `context`, with the answer added.
    memory: Option<Memory>,
    text: String,
    thinking: String,
    logprobs: Vec<Value>,
    calls: Vec<Value>,
    open_call: Option<(ToolCallStart, String)>,
    reason: &'static str,
}

impl Answer {
    /// An answer to a request of this kind, about this model, at no known time.
    #[must_use]
    pub fn new(kind: Kind, stream: bool, model: String) -> Self {
        Self {
            kind,
            stream,
            now: Duration::ZERO,
            model,
            memory: None,
            text: String::new(),
            thinking: String::new(),
            logprobs: vec![],
            calls: vec![],
            open_call: None,
            reason: "stop",
        }
    }

    /// Ends with the conversation so far, for clients that carry it themselves.
    #[must_use]
    pub fn carrying(mut self, memory: Option<Memory>) -> Self {
        self.memory = memory;
        self
    }

    /// What is encoded from here on says that it was made at this time since 1970.
    pub fn at(&mut self, now: Duration) {
        self.now = now;
    }

    /// Whether lines are sent as they come.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream
    }

    /// Takes one event; appends what can be sent.
    ///
    /// # Errors
    /// Only defects.
    pub fn encode(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), Error> {
        match event {
            Event::ItemStarted(item) => {
                if let ItemKind::ToolCall(start) = item.kind {
                    self.open_call = Some((start, String::new()));
                }
                Ok(())
            }
            Event::TextDelta(delta) | Event::RefusalDelta(delta) => {
                let logprobs: Vec<Value> = delta.tokens.iter().map(logprob).collect();
                if !self.stream || self.memory.is_some() {
                    self.text.push_str(&delta.text);
                }
                if self.stream {
                    return self.line(out, &delta.text, None, None, logprobs);
                }
                self.logprobs.extend(logprobs);
                Ok(())
            }
            Event::ReasoningDelta(delta) => {
                if self.stream {
                    return self.line(out, "", Some(&delta.text), None, vec![]);
                }
                self.thinking.push_str(&delta.text);
                Ok(())
            }
            Event::ArgumentsDelta(delta) => {
                if let Some((_, arguments)) = &mut self.open_call {
                    arguments.push_str(&delta.text);
                }
                Ok(())
            }
            Event::ItemFinished(_) => self.finish_call(out),
            Event::ChoiceFinished(end) => {
                self.reason = match end.reason {
                    FinishReason::Length | FinishReason::ContextWindow => "length",
                    _ => "stop",
                };
                Ok(())
            }
            Event::Progress(progress) if self.kind == Kind::Pull => self.pull(&progress, out),
            Event::Finished(finished) => self.finish(&finished, out),
            Event::Failed(reason) => {
                // The head of a pull is out by then, whether or not its progress is shown.
                if self.stream || self.kind == Kind::Pull {
                    ndjson::line(out, &json!({ "error": message(&reason) }))
                } else {
                    Ok(())
                }
            }
            Event::Started(_) | Event::Progress(_) | Event::Usage(_) | Event::Other(_) => Ok(()),
        }
    }

    /// The answer to a request that only loads or unloads.
    #[must_use]
    pub fn loaded(&self, model: &str, unload: bool, chat: bool) -> Value {
        let mut body = Map::new();
        body.insert("model".into(), json!(model));
        body.insert("created_at".into(), json!(rfc3339_millis(self.now)));
        if chat {
            body.insert(
                "message".into(),
                json!({ "role": "assistant", "content": "" }),
            );
        } else {
            body.insert("response".into(), json!(""));
        }
        body.insert("done".into(), json!(true));
        body.insert(
            "done_reason".into(),
            json!(if unload { "unload" } else { "load" }),
        );
        Value::Object(body)
    }

    fn finish_call(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some((start, arguments)) = self.open_call.take() else {
            return Ok(());
        };
        // Arguments cut off by a limit are no object; the call without them still tells what was meant.
        let arguments = serde_json::from_str::<Value>(&arguments)
            .ok()
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({}));
        let call = json!({
            "id": start.call_id,
            "function": { "index": self.calls.len(), "name": start.name, "arguments": arguments },
        });
        self.calls.push(call.clone());
        if self.stream {
            self.line(out, "", None, Some(vec![call]), vec![])
        } else {
            Ok(())
        }
    }

    fn line(
        &self,
        out: &mut Vec<u8>,
        text: &str,
        thinking: Option<&str>,
        calls: Option<Vec<Value>>,
        logprobs: Vec<Value>,
    ) -> Result<(), Error> {
        if text.is_empty() && thinking.is_none_or(str::is_empty) && calls.is_none() {
            return Ok(());
        }
        let mut line = self.base(text, thinking, calls);
        line.insert("done".into(), json!(false));
        if !logprobs.is_empty() {
            line.insert("logprobs".into(), json!(logprobs));
        }
        ndjson::line(out, &line)
    }

    fn base(
        &self,
        text: &str,
        thinking: Option<&str>,
        calls: Option<Vec<Value>>,
    ) -> Map<String, Value> {
        let mut line = Map::new();
        line.insert("model".into(), json!(self.model));
        line.insert("created_at".into(), json!(rfc3339_millis(self.now)));
        let thinking = thinking.filter(|text| !text.is_empty());
        if self.kind == Kind::Generate {
            line.insert("response".into(), json!(text));
            if let Some(thinking) = thinking {
                line.insert("thinking".into(), json!(thinking));
            }
            return line;
        }
        let mut message = Map::new();
        message.insert("role".into(), json!("assistant"));
        message.insert("content".into(), json!(text));
        if let Some(thinking) = thinking {
            message.insert("thinking".into(), json!(thinking));
        }
        if let Some(calls) = calls {
            message.insert("tool_calls".into(), json!(calls));
        }
        line.insert("message".into(), Value::Object(message));
        line
    }

    fn finish(&mut self, finished: &Finished, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.kind == Kind::Pull {
            return ndjson::line(out, &json!({ "status": "success" }));
        }
        let mut text = std::mem::take(&mut self.text);
        let context = self.memory.take().map(|mut memory| {
            memory.push(Speaker::Assistant, text.as_str());
            memory.encode()
        });
        if self.stream {
            text.clear();
        }
        let thinking = std::mem::take(&mut self.thinking);
        let calls =
            (!self.stream && !self.calls.is_empty()).then(|| std::mem::take(&mut self.calls));
        let mut last = self.base(&text, Some(&thinking), calls);
        last.insert("done".into(), json!(true));
        last.insert("done_reason".into(), json!(self.reason));
        if !self.logprobs.is_empty() {
            last.insert("logprobs".into(), json!(self.logprobs));
        }
        if let Some(context) = context {
            last.insert("context".into(), json!(context));
        }
        let timings = &finished.timings;
        for (name, value) in [
            ("total_duration", timings.total),
            ("load_duration", timings.load),
            ("prompt_eval_count", finished.usage.prompt_tokens.into()),
            ("prompt_eval_duration", timings.prefill),
            ("eval_count", finished.usage.output_tokens.into()),
            ("eval_duration", timings.decode),
        ] {
            last.insert(name.into(), json!(value));
        }
        if self.stream {
            ndjson::line(out, &last)
        } else {
            json::write(out, &last)
        }
    }

    fn pull(&self, progress: &Progress, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.stream || progress.phase != Phase::Transfer {
            return Ok(());
        }
        let status = progress.detail.as_deref().unwrap_or("pulling manifest");
        // A file is named by its hash; clients draw one bar per `digest`.
        let Some((kind, hex)) = status
            .strip_prefix("pulling ")
            .and_then(|digest| digest.split_once(':'))
        else {
            return ndjson::line(out, &json!({ "status": status }));
        };
        let line = json!({
            "status": format!("pulling {}", hex.get(..12).unwrap_or(hex)),
            "digest": format!("{kind}:{hex}"),
            "total": progress.total,
            "completed": progress.done,
        });
        ndjson::line(out, &line)
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
