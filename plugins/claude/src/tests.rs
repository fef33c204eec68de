//! The dialect as the host drives it: bodies in, canonical requests out; canonical events in, bytes out.

mod answers;
mod requests;

use crate::ClaudeExchange;
use crate::seal::Key;
use atoll_sdk::dialect::Exchange;
use atoll_sdk::types::*;
use serde_json::{Value, json};

fn http(path: &str, body: &Value) -> HttpRequest {
    HttpRequest {
        id: "7".into(),
        method: "POST".into(),
        path: path.into(),
        path_params: vec![],
        query: vec![],
        headers: vec![],
        body: body.to_string().into_bytes(),
        received_at: 0,
        ext: None,
    }
}

fn key() -> Key {
    Key::new(b"a secret of the tests")
}

/// A fresh exchange, as the host makes one for each request.
fn exchange(path: &str, body: &Value) -> ClaudeExchange {
    ClaudeExchange::new(http(path, body)).signing_with(key())
}

fn decode(body: &Value) -> Result<GenerateRequest, Error> {
    match exchange("/v1/messages", body).decode()? {
        Operation::Generate(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

/// The smallest body, changed.
fn with(change: Value) -> Value {
    let mut body =
        json!({"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]});
    for (key, value) in change.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn conversation(request: &GenerateRequest) -> &[Message] {
    match &request.prompt {
        Prompt::Conversation(messages) => messages,
        Prompt::Completion(_) => panic!("not a conversation"),
    }
}

/// The events of an answer made of these items.
fn answer_events(items: &[(u8, Vec<String>)], reason: FinishReason) -> Vec<Event> {
    let mut events = vec![Event::Started(Started {
        response_id: "9".into(),
        created_at: 1,
        model: "m".into(),
        prompt_tokens: 20,
        cached_tokens: 16,
        fingerprint: None,
    })];
    for (index, (kind, pieces)) in items.iter().enumerate() {
        let index = index as u32;
        let kind_of_item = match kind {
            0 => ItemKind::Message,
            1 => ItemKind::Reasoning,
            _ => ItemKind::ToolCall(ToolCallStart {
                call_id: format!("c{index}"),
                name: "tool".into(),
                namespace: None,
                custom: false,
            }),
        };
        events.push(Event::ItemStarted(Item {
            choice: 0,
            index,
            kind: kind_of_item,
        }));
        let pieces: Vec<String> = if *kind == 2 {
            // Arguments are one JSON object, cut anywhere.
            let text = json!({ "text": pieces.concat() }).to_string();
            text.chars().map(String::from).collect()
        } else {
            pieces.clone()
        };
        for text in pieces {
            let delta = Delta {
                choice: 0,
                item: index,
                text,
                tokens: vec![],
            };
            events.push(match kind {
                0 => Event::TextDelta(delta),
                1 => Event::ReasoningDelta(delta),
                _ => Event::ArgumentsDelta(delta),
            });
        }
        events.push(Event::ItemFinished(ItemEnd {
            choice: 0,
            item: index,
            complete: true,
            signature: None,
        }));
    }
    events.push(Event::ChoiceFinished(ChoiceEnd { choice: 0, reason }));
    events.push(Event::Finished(Finished {
        usage: Usage {
            prompt_tokens: 20,
            cached_tokens: 16,
            cache_written_tokens: 0,
            output_tokens: 7,
            reasoning_tokens: 2,
        },
        timings: Timings {
            queued: 0,
            load: 0,
            prefill: 0,
            decode: 0,
            total: 0,
        },
    }));
    events
}

fn run(stream: bool, batches: impl IntoIterator<Item = Vec<Event>>) -> Vec<u8> {
    let body = with(json!({"stream": stream, "thinking": {"type": "adaptive"}}));
    let mut exchange = exchange("/v1/messages", &body);
    exchange.decode().unwrap();
    exchange.head();
    batches
        .into_iter()
        .flat_map(|batch| exchange.encode(batch).unwrap())
        .collect()
}
