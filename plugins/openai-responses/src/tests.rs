//! The dialect as the host drives it.

use atoll_sdk::dialect::Exchange;
use atoll_sdk::types::*;
use proptest::prelude::*;
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

#[test]
fn a_coding_agents_request() {
    let request = decode(&json!({
        "model": "m",
        "stream": true,
        "instructions": "Be brief.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules."}]},
            {"role": "user", "content": "List files."},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Use ls."}],
             "encrypted_content": "zzz"},
            {"type": "function_call", "call_id": "c1", "name": "run", "namespace": "shell", "arguments": "{\"z\":1.50}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
            {"type": "function_call_output", "call_id": "c1", "output": "a.txt"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "done"}]},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"role": "user", "content": [{"type": "input_text", "text": "And?"}]},
        ],
        "tools": [
            {"type": "namespace", "name": "shell", "tools": [
                {"type": "function", "name": "run", "parameters": {"type": "object"}}]},
            {"type": "custom", "name": "patch", "description": "Edit.", "format": {"type": "text"}},
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "function", "name": "run"},
        "parallel_tool_calls": false,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "client_metadata": {"a": 1},
        "store": false,
    }))
    .unwrap();
    let messages = conversation(&request);
    let roles: Vec<Role> = messages.iter().map(|m| m.role).collect();
    assert_eq!(
        roles,
        [
            Role::System,
            Role::Developer,
            Role::User,
            Role::Assistant,
            Role::Tool,
            Role::Tool,
            Role::User
        ]
    );
    assert_eq!(
        messages[3].parts.len(),
        3,
        "reasoning and calls are one turn"
    );
    assert!(matches!(&messages[3].parts[1].content,
        PartContent::ToolCall(call) if call.name == "shell__run" && call.arguments == "{\"z\":1.50}"));
    assert_eq!(
        request
            .tools
            .iter()
            .map(|t| t.name.as_str())
            .collect::<Vec<_>>(),
        ["shell__run", "patch", "web_search"]
    );
    assert!(matches!(&request.tools[2].kind, ToolKind::Hosted(kind) if kind == "web_search"));
    assert!(matches!(&request.tool_choice, ToolChoice::Named(name) if name == "shell__run"));
    let ext: Value = serde_json::from_str(request.ext.as_deref().unwrap()).unwrap();
    assert_eq!(ext["skipped"], json!(["web_search", "web_search_call"]));
    assert_eq!(request.state.transient_messages, 1);
    assert_eq!(
        request.unconsumed.as_deref(),
        Some("{\"client_metadata\":{\"a\":1}}")
    );
    assert!(!request.state.store);
}

#[test]
fn what_is_wrong_names_its_field() {
    for (body, param) in [
        (json!({"input": "x"}), "model"),
        (json!({"model": "m"}), "input"),
        (
            json!({"model": "m", "input": [{"role": "wizard", "content": ""}]}),
            "input[0].role",
        ),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "x"}]}]}),
            "input[0].content[0].type",
        ),
        (
            json!({"model": "m", "input": [{"type": "function_call", "name": "f"}]}),
            "input[0].call_id",
        ),
        (
            json!({"model": "m", "input": "x", "temperature": 3}),
            "temperature",
        ),
        (
            json!({"model": "m", "input": "x", "tool_choice": "required"}),
            "tool_choice",
        ),
        (
            json!({"model": "m", "input": "x", "tool_choice": {"type": "function", "name": "f"}}),
            "tool_choice.name",
        ),
        (
            json!({"model": "m", "input": "x", "text": {"format": {"type": "xml"}}}),
            "text.format.type",
        ),
        (
            json!({"model": "m", "input": "x", "reasoning": {"effort": "huge"}}),
            "reasoning.effort",
        ),
        (
            json!({"model": "m", "input": "x", "top_logprobs": 21}),
            "top_logprobs",
        ),
        (
            json!({"model": "m", "input": "x", "truncation": "some"}),
            "truncation",
        ),
        (
            json!({"model": "m", "input": "x", "max_output_tokens": 0}),
            "max_output_tokens",
        ),
        (
            json!({"model": "m", "input": "x", "previous_response_id": "chatcmpl_1"}),
            "previous_response_id",
        ),
        (
            json!({"model": "m", "input": "x", "background": true, "store": false}),
            "background",
        ),
        (
            json!({"model": "m", "input": [{"type": "compaction", "encrypted_content": "AAAA"}]}),
            "input[0].encrypted_content",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "custom", "name": "f",
                "format": {"type": "grammar", "syntax": "ebnf", "definition": "x"}}]}),
            "tools[0].format.syntax",
        ),
        (
            json!({"model": "m", "input": "x", "metadata": {"a": 1}}),
            "metadata",
        ),
    ] {
        assert_eq!(
            decode(&body).unwrap_err().param.as_deref(),
            Some(param),
            "{body}"
        );
    }
}

#[test]
fn counting_answers_only_the_count() {
    let mut exchange = exchange(
        "/v1/responses/input_tokens",
        &json!({"model": "m", "input": "x"}),
    );
    assert!(matches!(exchange.decode(), Ok(Operation::CountTokens(_))));
    let reply = exchange.reply(OperationResult::TokenCount(3)).unwrap();
    assert_eq!(
        reply.body,
        b"{\"object\":\"response.input_tokens\",\"input_tokens\":3}"
    );
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

/// Follows a stream by the rules strict clients check, and gives the response of the terminal event.
fn follow(bytes: &[u8]) -> Value {
    let mut output: Vec<Value> = vec![];
    let mut open: Option<(String, String)> = None;
    let mut terminal = None;
    let mut number = 0;
    for event in std::str::from_utf8(bytes).unwrap().split_terminator("\n\n") {
        if event.starts_with(':') {
            continue;
        }
        let (name, data) = event.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name);
        assert_eq!(data["sequence_number"], number);
        assert!(terminal.is_none());
        match number {
            0 => assert_eq!(name, "response.created"),
            1 => assert_eq!(name, "response.in_progress"),
            _ => assert!(name != "response.created" && name != "response.in_progress"),
        }
        number += 1;
        if name.contains("output_item") || data.get("item_id").is_some() {
            assert_eq!(data["output_index"], output.len());
        }
        match name {
            "response.output_item.added" => {
                assert!(open.is_none());
                open = Some((
                    data["item"]["id"].as_str().unwrap().to_owned(),
                    String::new(),
                ));
            }
            "response.output_item.done" => {
                let (id, text) = open.take().unwrap();
                let item = &data["item"];
                assert_eq!(item["id"], id);
                let whole = match item["type"].as_str().unwrap() {
                    "message" => item["content"][0]["text"].clone(),
                    "reasoning" => item["summary"]
                        .get(0)
                        .map_or(json!(""), |part| part["text"].clone()),
                    "function_call" => item["arguments"].clone(),
                    _ => item["input"].clone(),
                };
                assert_eq!(whole, text);
                output.push(item.clone());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                assert!(open.is_none());
                assert_eq!(data["response"]["output"], json!(output));
                terminal = Some(data["response"].clone());
            }
            name if name.ends_with(".delta") => {
                let (id, text) = open.as_mut().unwrap();
                assert_eq!(data["item_id"], *id);
                text.push_str(data["delta"].as_str().unwrap());
            }
            _ => {}
        }
    }
    terminal.unwrap()
}

#[test]
fn names_come_back_as_the_client_knows_them() {
    let items = [(3, vec!["x".into()]), (4, vec!["*** Begin\n".into()])];
    let response = follow(&run(true, [events(&items, FinishReason::ToolCalls)]));
    assert_eq!(response["output"][0]["name"], "run");
    assert_eq!(response["output"][0]["namespace"], "shell");
    assert_eq!(response["output"][1]["type"], "custom_tool_call");
    assert_eq!(response["output"][1]["input"], "*** Begin\n");
    assert_eq!(response["status"], "completed");
}

#[test]
fn a_limit_is_incomplete_and_a_failure_fails() {
    let response = follow(&run(
        true,
        [events(&[(0, vec!["a".into()])], FinishReason::Length)],
    ));
    assert_eq!(response["status"], "incomplete");
    assert_eq!(
        response["incomplete_details"]["reason"],
        "max_output_tokens"
    );
    let mut started = events(&[(0, vec!["a".into()])], FinishReason::Stop);
    started.truncate(3);
    started.push(Event::Failed(Error::context_overflow(9, 4)));
    let response = follow(&run(true, [started]));
    assert_eq!(response["status"], "failed");
    assert_eq!(response["error"]["code"], "context_length_exceeded");
}

#[test]
fn the_response_object_has_every_key() {
    let response: Value =
        serde_json::from_slice(&run(false, [events(&[], FinishReason::Stop)])).unwrap();
    for key in [
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
    ] {
        assert!(response.get(key).is_some(), "{key}");
    }
    assert_eq!(response["usage"]["total_tokens"], 27);
}

/// What the store would hand back for that request.
fn stored(events: Vec<Event>, status: StoredStatus) -> OperationResult {
    OperationResult::Stored(StoredResponse {
        id: "9".into(),
        created_at: 5,
        status,
        request: decode(&rich(false)).unwrap(),
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

#[test]
fn the_answer_repeats_its_request() {
    let bytes = run(false, [events(&[], FinishReason::Stop)]);
    let response: Value = serde_json::from_slice(&bytes).unwrap();
    let sent = rich(false);
    for key in [
        "instructions",
        "metadata",
        "temperature",
        "reasoning",
        "service_tier",
        "text",
        "tool_choice",
    ] {
        assert_eq!(response[key], sent[key], "{key}");
    }
    assert_eq!(response["tools"][0]["type"], "namespace");
    assert_eq!(response["tools"][0]["tools"][0]["name"], "run");
    assert_eq!(response["tools"][1]["type"], "custom");
    assert_eq!(response["tools"][2], sent["tools"][2]);
    assert_eq!(
        response["store"], true,
        "as in the original, unless told otherwise"
    );
}

#[test]
fn a_stored_answer_is_asked_for_by_its_id() {
    let mut get = about("GET", "/v1/responses/resp_9", &[]);
    assert!(matches!(get.decode(), Ok(Operation::GetResponse(id)) if id == "9"));
    let mut cancel = about("POST", "/v1/responses/resp_9/cancel", &[]);
    assert!(matches!(cancel.decode(), Ok(Operation::CancelResponse(id)) if id == "9"));
    let mut delete = about("DELETE", "/v1/responses/resp_9", &[]);
    assert!(matches!(delete.decode(), Ok(Operation::DeleteResponse(id)) if id == "9"));
    let reply: Value =
        serde_json::from_slice(&delete.reply(OperationResult::None).unwrap().body).unwrap();
    assert_eq!(
        reply,
        json!({"id": "resp_9", "object": "response", "deleted": true})
    );
}

#[test]
fn an_answer_under_way_shows_its_status() {
    for (status, name) in [
        (StoredStatus::Queued, "queued"),
        (StoredStatus::InProgress, "in_progress"),
    ] {
        let mut get = about("GET", "/v1/responses/resp_9", &[]);
        get.decode().unwrap();
        let reply = get.reply(stored(vec![], status)).unwrap();
        let response: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            (response["status"].as_str(), response["id"].as_str()),
            (Some(name), Some("resp_9"))
        );
        assert_eq!(response["usage"], Value::Null);
    }
    let cancelled = vec![Event::Failed(Error::new(ErrorKind::Cancelled, "cancelled"))];
    let mut get = about("GET", "/v1/responses/resp_9", &[]);
    get.decode().unwrap();
    let reply = get
        .reply(stored(cancelled, StoredStatus::Cancelled))
        .unwrap();
    let response: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (response["status"].as_str(), &response["error"]),
        (Some("cancelled"), &Value::Null)
    );
}

#[test]
fn input_items_come_in_pages() {
    let page = |query: &[(&str, &str)]| -> Value {
        let mut list = about("GET", "/v1/responses/resp_9/input_items", query);
        list.decode().unwrap();
        let mut request = decode(&json!({"model": "m", "instructions": "I", "input": [
            {"role": "user", "content": "one"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ]}))
        .unwrap();
        request.state.store = true;
        let stored = StoredResponse {
            id: "9".into(),
            created_at: 5,
            status: StoredStatus::Finished,
            request,
            events: vec![],
        };
        serde_json::from_slice(&list.reply(OperationResult::Stored(stored)).unwrap().body).unwrap()
    };
    let kinds = |page: &Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = page(&[("order", "asc")]);
    assert_eq!(
        kinds(&all),
        ["message", "function_call", "function_call_output"]
    );
    assert_eq!(all["has_more"], false);
    let first = page(&[("limit", "2")]);
    assert_eq!(kinds(&first), ["function_call_output", "function_call"]);
    assert_eq!(first["has_more"], true);
    let last = first["last_id"].as_str().unwrap().to_owned();
    assert_eq!(kinds(&page(&[("after", &last)])), ["message"]);
}

#[test]
fn a_conversation_is_compacted_and_goes_on() {
    let mut compact = exchange(
        "/v1/responses/compact",
        &json!({"model": "m", "input": "Find the bug."}),
    );
    let Ok(Operation::Generate(request)) = compact.decode() else {
        panic!()
    };
    assert!(!request.state.store && conversation(&request).len() == 2);
    let bytes = compact
        .encode(events(
            &[(0, vec!["It is in ".into(), "line 3.".into()])],
            FinishReason::Stop,
        ))
        .unwrap();
    let compacted: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(compacted["object"], "response.compaction");
    let request = decode(&json!({"model": "m", "input": compacted["output"]})).unwrap();
    let texts: Vec<&str> = conversation(&request)
        .iter()
        .map(|message| match &message.parts[0].content {
            PartContent::Text(text) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts[0], "Find the bug.");
    assert!(texts[1].ends_with("It is in line 3."), "{texts:?}");
}

/// A client that keeps nothing on the host sends its reasoning back sealed.
#[test]
fn sealed_reasoning_returns_as_it_was() {
    let bytes = run(
        false,
        [events(
            &[(1, vec!["because ".into(), "of é".into()])],
            FinishReason::Stop,
        )],
    );
    let response: Value = serde_json::from_slice(&bytes).unwrap();
    let mut item = response["output"][0].clone();
    item["summary"] = json!([]);
    let request =
        decode(&json!({"model": "m", "input": [item, {"role": "user", "content": "x"}]})).unwrap();
    assert!(matches!(&conversation(&request)[0].parts[0].content,
        PartContent::Reasoning(reasoning) if reasoning.text == "because of é"));
    let foreign = json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"});
    let request =
        decode(&json!({"model": "m", "input": [foreign, {"role": "user", "content": "x"}]}))
            .unwrap();
    assert_eq!(
        conversation(&request).len(),
        1,
        "what somebody else sealed is left out"
    );
}

fn message(body: &Value) -> ResponsesExchange {
    ResponsesExchange::new(HttpRequest {
        method: "GET".into(),
        headers: vec![Header::new("upgrade", "websocket")],
        path_params: vec![],
        body: body.to_string().into_bytes(),
        ..about("GET", "/v1/responses", &[]).request
    })
}

#[test]
fn a_socket_speaks_in_lines() {
    let mut socket = message(&json!({"type": "response.create", "model": "m", "input": "x"}));
    assert!(
        matches!(socket.decode(), Ok(Operation::Generate(request)) if request.streaming.enabled)
    );
    let bytes = socket
        .encode(events(&[(0, vec!["a\nb".into()])], FinishReason::Stop))
        .unwrap();
    let lines: Vec<Value> = std::str::from_utf8(&bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["type"], "response.created");
    assert_eq!(lines.last().unwrap()["type"], "response.completed");
    let mut wrong = message(&json!({"type": "response.steer"}));
    let error = wrong.decode().unwrap_err();
    let line: Value = serde_json::from_slice(&wrong.fail(error).body).unwrap();
    assert_eq!(
        (line["type"].as_str(), line["status"].as_u64()),
        (Some("error"), Some(400))
    );
}

#[test]
fn warming_up_answers_with_nothing() {
    let mut socket =
        message(&json!({"type": "response.create", "model": "m", "input": "x", "generate": false}));
    assert!(
        matches!(socket.decode(), Ok(Operation::Generate(request)) if request.max_output_tokens == Some(0))
    );
    let bytes = socket
        .encode(events(&[(0, vec![])], FinishReason::Length))
        .unwrap();
    let last: Value =
        serde_json::from_str(std::str::from_utf8(&bytes).unwrap().lines().last().unwrap()).unwrap();
    assert_eq!(
        (last["type"].as_str(), &last["response"]["output"]),
        (Some("response.completed"), &json!([]))
    );
}

proptest! {
    /// From the store an answer is what it was, whole and as a stream.
    #[test]
    fn a_stored_answer_is_the_answer(
        items in prop::collection::vec((0u8..5, prop::collection::vec("[a-zé\"\\\\\\n]{1,5}", 1..3)), 0..5),
    ) {
        let events = events(&items, FinishReason::Stop);
        let whole: Value = serde_json::from_slice(&run(false, [events.clone()])).unwrap();
        let mut get = about("GET", "/v1/responses/resp_9", &[]);
        get.decode().unwrap();
        let reply = get.reply(stored(events.clone(), StoredStatus::Finished)).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<Value>(&reply.body).unwrap(), &whole);
        let mut get = about("GET", "/v1/responses/resp_9", &[("stream", "true")]);
        get.decode().unwrap();
        let reply = get.reply(stored(events, StoredStatus::Finished)).unwrap();
        prop_assert_eq!(&follow(&reply.body), &whole);
    }

    #[test]
    fn the_stream_ends_with_the_whole_answer(
        items in prop::collection::vec((0u8..5, prop::collection::vec("[a-zé\"\\\\\\n]{0,5}", 0..4)), 0..5),
        cuts in prop::collection::vec(1usize..6, 1..40),
    ) {
        let events = events(&items, FinishReason::Stop);
        let whole: Value = serde_json::from_slice(&run(false, [events.clone()])).unwrap();
        let mut batches = Vec::new();
        let mut rest = events;
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() { break }
            let tail = rest.split_off(cut.min(rest.len()));
            batches.push(std::mem::replace(&mut rest, tail));
        }
        prop_assert_eq!(&follow(&run(true, batches)), &whole);
    }
}
