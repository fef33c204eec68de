//! From canonical events to Gemini's JSON: one object, a JSON array, or server-sent events.

use std::collections::BTreeMap;

use atoll_sdk::types::{Error, Event, FinishReason, ItemKind, Usage};
use atoll_sdk::{json as sdk_json, sse};
use serde_json::{Map, Value, json};

use crate::errors;
use crate::request::Method;

/// How the answer is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    /// One object at the end.
    #[default]
    Whole,
    /// A JSON array that grows, the way without `alt=sse`.
    Array,
    /// `alt=sse`.
    Events,
}

/// The state of one answer.
#[derive(Default)]
pub struct Answer {
    framing: Framing,
    id: String,
    model: String,
    prompt_tokens: u32,
    /// Calls whose arguments are still coming: by choice and item.
    calls: BTreeMap<(u32, u32), Call>,
    /// What a whole answer is made of, by choice.
    whole: BTreeMap<u32, Whole>,
    chunks: usize,
}

struct Call {
    id: String,
    name: String,
    arguments: String,
}

#[derive(Default)]
struct Whole {
    text: String,
    calls: Vec<Value>,
    finish: Option<&'static str>,
}

impl Answer {
    pub fn new(method: &Method, sse: bool) -> Self {
        let framing = match (method, sse) {
            (Method::Stream, true) => Framing::Events,
            (Method::Stream, false) => Framing::Array,
            _ => Framing::Whole,
        };
        Self {
            framing,
            ..Self::default()
        }
    }

    pub fn content_type(&self) -> &'static str {
        match self.framing {
            Framing::Events => sse::CONTENT_TYPE,
            _ => "application/json; charset=utf-8",
        }
    }

    pub fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for event in events {
            self.one(event, &mut out)?;
        }
        Ok(out)
    }

    fn one(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), Error> {
        match event {
            Event::Started(started) => {
                self.id = started.response_id;
                self.model = started.model;
                self.prompt_tokens = started.prompt_tokens;
                Ok(())
            }
            Event::ItemStarted(item) => {
                if let ItemKind::ToolCall(call) = item.kind {
                    let call = Call {
                        id: call.call_id,
                        name: call.name,
                        arguments: String::new(),
                    };
                    self.calls.insert((item.choice, item.index), call);
                }
                Ok(())
            }
            Event::TextDelta(delta) => self.part(delta.choice, json!({ "text": delta.text }), out),
            Event::ArgumentsDelta(delta) => {
                if let Some(call) = self.calls.get_mut(&(delta.choice, delta.item)) {
                    call.arguments.push_str(&delta.text);
                }
                Ok(())
            }
            // Gemini has no parts of calls: a call is said when it is whole.
            Event::ItemFinished(end) => match self.calls.remove(&(end.choice, end.item)) {
                Some(call) => {
                    // Cut off in the middle it is no JSON; the client gets what there is.
                    let arguments = serde_json::from_str(&call.arguments)
                        .unwrap_or_else(|_| Value::String(call.arguments.clone()));
                    let call = json!({ "id": call.id, "name": call.name, "args": arguments });
                    self.part(end.choice, json!({ "functionCall": call }), out)
                }
                None => Ok(()),
            },
            Event::ChoiceFinished(end) => {
                let reason = finish(&end.reason);
                if self.framing == Framing::Whole {
                    self.whole.entry(end.choice).or_default().finish = Some(reason);
                    return Ok(());
                }
                let candidate = json!({
                    "content": { "parts": [{ "text": "" }], "role": "model" },
                    "finishReason": reason,
                    "index": end.choice,
                });
                self.chunk(vec![candidate], None, out)
            }
            Event::Finished(finished) => self.end(&finished.usage, out),
            Event::Failed(error) => {
                self.write(&errors::body(&error), out)?;
                self.close(out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn part(&mut self, choice: u32, part: Value, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.framing != Framing::Whole {
            let content = json!({ "parts": [part], "role": "model" });
            return self.chunk(vec![json!({ "content": content, "index": choice })], None, out);
        }
        let whole = self.whole.entry(choice).or_default();
        match part.get("text").and_then(Value::as_str) {
            Some(text) => whole.text.push_str(text),
            None => whole.calls.push(part),
        }
        Ok(())
    }

    fn end(&mut self, usage: &Usage, out: &mut Vec<u8>) -> Result<(), Error> {
        let candidates = std::mem::take(&mut self.whole)
            .into_iter()
            .map(|(choice, whole)| {
                let text = (!whole.text.is_empty()).then(|| json!({ "text": whole.text }));
                let parts: Vec<Value> = text.into_iter().chain(whole.calls).collect();
                json!({
                    "content": { "parts": parts, "role": "model" },
                    "finishReason": whole.finish.unwrap_or("OTHER"),
                    "index": choice,
                })
            });
        let candidates = candidates.collect();
        self.chunk(candidates, Some(usage), out)?;
        self.close(out);
        Ok(())
    }

    fn chunk(
        &mut self,
        candidates: Vec<Value>,
        usage: Option<&Usage>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut chunk = Map::new();
        if !candidates.is_empty() {
            chunk.insert("candidates".to_owned(), candidates.into());
        }
        let metadata = match usage {
            Some(usage) => json!({
                "promptTokenCount": usage.prompt_tokens,
                "cachedContentTokenCount": usage.cached_tokens,
                "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens.min(usage.output_tokens),
                "thoughtsTokenCount": usage.reasoning_tokens,
                "totalTokenCount": u64::from(usage.prompt_tokens) + u64::from(usage.output_tokens),
            }),
            None => json!({ "promptTokenCount": self.prompt_tokens }),
        };
        chunk.insert("usageMetadata".to_owned(), metadata);
        chunk.insert("modelVersion".to_owned(), self.model.as_str().into());
        chunk.insert("responseId".to_owned(), self.id.as_str().into());
        self.write(&Value::Object(chunk), out)
    }

    fn write(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<(), Error> {
        self.chunks += 1;
        match self.framing {
            Framing::Events => return sse::data(out, value),
            Framing::Array if self.chunks == 1 => out.push(b'['),
            Framing::Array => out.extend_from_slice(b",\r\n"),
            Framing::Whole => {}
        }
        sdk_json::write(out, value)
    }

    fn close(&self, out: &mut Vec<u8>) {
        if self.framing == Framing::Array {
            out.push(b']');
        }
    }
}

fn finish(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => "STOP",
        FinishReason::Length | FinishReason::ContextWindow => "MAX_TOKENS",
        FinishReason::ContentFilter => "SAFETY",
        FinishReason::Cancelled => "OTHER",
    }
}
