//! The dialect as the host drives it: what all topics need.

mod answers;
mod requests;
mod shapes;
mod sockets;
mod stored;
mod streams;

use atoll_sdk::dialect::Exchange;
use atoll_sdk::types::*;
use serde_json::{Value, json};

use crate::ResponsesExchange;

fn exchange(path: &str, body: &Value) -> ResponsesExchange {
    ResponsesExchange::new(HttpRequest {
        id: "7".into(),
        method: "POST".into(),
        path: path.into(),
        path_params: vec![],
        query: vec![],
        headers: vec![],
        body: body.to_string().into_bytes(),
        received_at: 0,
        ext: None,
    })
}

fn decode(body: &Value) -> Result<GenerateRequest, Error> {
    match exchange("/v1/responses", body).decode()? {
        Operation::Generate(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

fn conversation(request: &GenerateRequest) -> &[Message] {
    match &request.prompt {
        Prompt::Conversation(messages) => messages,
        Prompt::Completion(_) => panic!("not a conversation"),
    }
}

fn events(items: &[(u8, Vec<String>)], reason: FinishReason) -> Vec<Event> {
    let mut events = vec![Event::Started(Started {
        response_id: "9".into(),
        created_at: 5,
        model: "m".into(),
        prompt_tokens: 20,
        cached_tokens: 16,
        fingerprint: None,
    })];
    for (index, (kind, pieces)) in items.iter().enumerate() {
        let index = index as u32;
        let names = ["", "", "tool", "shell__run", "patch"];
        let item_kind = match kind {
            0 => ItemKind::Message,
            1 => ItemKind::Reasoning,
            tool => ItemKind::ToolCall(ToolCallStart {
                call_id: format!("c{index}"),
                name: names[usize::from(*tool)].into(),
                namespace: None,
                custom: *tool == 4,
            }),
        };
        events.push(Event::ItemStarted(Item {
            choice: 0,
            index,
            kind: item_kind,
        }));
        let pieces: Vec<String> = match kind {
            0 | 1 | 4 => pieces.clone(),
            _ => json!({"input": pieces.concat()})
                .to_string()
                .chars()
                .map(String::from)
                .collect(),
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
            signature: Some("sig".into()),
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

/// A request that uses much of what an answer repeats.
fn rich(stream: bool) -> Value {
    json!({
        "model": "m", "input": "x", "stream": stream, "include": ["reasoning.encrypted_content"],
        "instructions": "Be brief.", "metadata": {"a": "b"}, "temperature": 0.5,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"}, "service_tier": "flex",
        "tools": [
            {"type": "namespace", "name": "shell", "tools": [{"type": "function", "name": "run"}]},
            {"type": "custom", "name": "patch"},
            {"type": "web_search", "search_context_size": "low"},
        ],
        "tool_choice": {"type": "function", "name": "run"},
    })
}

fn run(stream: bool, batches: impl IntoIterator<Item = Vec<Event>>) -> Vec<u8> {
    let mut exchange = exchange("/v1/responses", &rich(stream));
    exchange.decode().unwrap();
    exchange.head();
    batches
        .into_iter()
        .flat_map(|batch| exchange.encode(batch).unwrap())
        .collect()
}

/// What the store would hand back for that request.
fn stored(events: Vec<Event>, status: StoredStatus) -> OperationResult {
    stored_as(&rich(false), events, status)
}

fn stored_as(body: &Value, events: Vec<Event>, status: StoredStatus) -> OperationResult {
    OperationResult::Stored(StoredResponse {
        id: "9".into(),
        created_at: 5,
        status,
        request: decode(body).unwrap(),
        events,
    })
}

fn about(method: &str, path: &str, query: &[(&str, &str)]) -> ResponsesExchange {
    let query = query
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    ResponsesExchange::new(HttpRequest {
        id: "7".into(),
        method: method.into(),
        path: path.into(),
        path_params: vec![("id".into(), "resp_9".into())],
        query: query.collect(),
        headers: vec![],
        body: vec![],
        received_at: 0,
        ext: None,
    })
}
