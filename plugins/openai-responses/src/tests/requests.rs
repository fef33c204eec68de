//! Bodies into canonical requests, and what is refused.

use atoll_sdk::dialect::Exchange;
use atoll_sdk::types::*;
use serde_json::json;

use super::*;

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
    assert_eq!(request.state.transient_messages, 1);
    assert_eq!(
        request.unconsumed.as_deref(),
        Some("{\"client_metadata\":{\"a\":1},\"input.web_search_call\":true}"),
        "what has no effect is reported"
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
        (
            json!({"model": "m", "input": "x", "metadata": {"a": "b".repeat(513)}}),
            "metadata",
        ),
        (
            json!({"model": "m", "input": "x", "include": ["everything"]}),
            "include[0]",
        ),
        (
            json!({"model": "m", "input": "x", "service_tier": "first"}),
            "service_tier",
        ),
        (
            json!({"model": "m", "input": "x", "text": {"verbosity": "shouting"}}),
            "text.verbosity",
        ),
        (
            json!({"model": "m", "input": [{"type": "item_reference", "id": "rs"}]}),
            "input[0].id",
        ),
    ] {
        assert_eq!(
            decode(&body).unwrap_err().param.as_deref(),
            Some(param),
            "{body}"
        );
    }
}

/// The host's count of messages is not the client's: instructions are one, and neighbouring items join.
#[test]
fn what_the_host_may_refuse_says_where_it_stands() {
    let picture = json!({"type": "input_image", "image_url": "https://example.com/a.png"});
    let body = json!({"model": "m", "instructions": "Be brief.", "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "x"}, picture]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [picture]},
    ]});
    let request = decode(&body).unwrap();
    let places: Vec<_> = conversation(&request)
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| part.ext.as_deref())
        .collect();
    assert_eq!(
        places,
        [
            r#"{"path":"input[0].content[1]"}"#,
            r#"{"path":"input[2].output"}"#
        ]
    );
}

#[test]
fn the_hosts_fields_and_ids_become_this_apis() {
    for (error, param, message) in [
        (
            Error::unsupported("messages[2].content[0]", "no images"),
            "input",
            "no images",
        ),
        (
            Error::unsupported("input[2].content[0]", "no images"),
            "input[2].content[0]",
            "no images",
        ),
        (
            Error::invalid("response_format", "response_format: no such pointer"),
            "text.format.schema",
            "text.format.schema: no such pointer",
        ),
        (
            Error::new(ErrorKind::NotFound, "there is no stored answer \"9\": gone")
                .with_param("x"),
            "x",
            "there is no stored answer \"resp_9\": gone",
        ),
    ] {
        let answer = exchange("/v1/responses", &json!({})).fail(error);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["error"]["param"], param);
        assert_eq!(body["error"]["message"], message);
    }
}

/// What would make the answer another one than was asked for is not left out in silence.
#[test]
fn what_this_host_cannot_do_is_refused() {
    for (field, value, param) in [
        ("conversation", json!("conv_1"), "conversation"),
        ("conversation", json!({"id": "conv_1"}), "conversation"),
        ("prompt", json!({"id": "pmpt_1"}), "prompt"),
        ("moderation", json!({"model": "omni"}), "moderation"),
        (
            "context_management",
            json!([{"type": "compaction"}]),
            "context_management",
        ),
        (
            "image",
            json!({"context_compression": "enabled"}),
            "image.context_compression",
        ),
        ("reasoning", json!({"mode": "pro"}), "reasoning.mode"),
        (
            "stream_options",
            json!({"include_obfuscation": true}),
            "stream_options.include_obfuscation",
        ),
        ("tool_choice", json!({"type": "web_search"}), "tool_choice"),
        (
            "tool_choice",
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}),
            "tool_choice.tools",
        ),
    ] {
        let mut body = json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}]});
        body[field] = value;
        let error = decode(&body).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Unsupported), "{body}");
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn what_changes_nothing_is_taken_or_reported() {
    let request = decode(&json!({
        "model": "m", "input": "x", "stream": true,
        "conversation": null, "moderation": null, "prompt": null, "context_management": [],
        "image": {"context_compression": "auto"},
        "reasoning": {"mode": "standard", "context": "all_turns", "generate_summary": "concise", "new": 1},
        "stream_options": {"include_obfuscation": false},
        "prompt_cache_options": {"mode": "explicit", "ttl": "12h", "comparison_response_id": "resp_1"},
        "prompt_cache_retention": "24h", "service_tier": "flex", "user": "u",
        "include": ["web_search_call.action.sources"],
        "text": {"verbosity": "low"}, "access_programs": {"cyber": "standard"},
    }))
    .unwrap();
    let reported: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(request.unconsumed.as_deref().unwrap()).unwrap();
    let mut reported: Vec<&str> = reported.keys().map(String::as_str).collect();
    reported.sort_unstable();
    assert_eq!(
        reported,
        [
            "access_programs",
            "prompt_cache_options.comparison_response_id",
            "prompt_cache_options.mode",
            "prompt_cache_retention",
            "reasoning.context",
            "reasoning.new",
            "text.verbosity",
        ]
    );
    assert_eq!(request.cache.ttl.as_deref(), Some("12h"));
    assert_eq!(request.end_user.as_deref(), Some("u"));
}

#[test]
fn an_item_of_a_stored_answer_is_named_by_its_place() {
    let request = decode(&json!({"model": "m", "input": [
        {"role": "user", "content": "x"},
        {"type": "item_reference", "id": "rs_0f3e_0"},
        {"id": "msg_0f3e_1"},
        {"role": "user", "content": [
            {"type": "input_text", "text": "y", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
    ]}))
    .unwrap();
    let messages = conversation(&request);
    let places: Vec<&str> = messages[1]
        .parts
        .iter()
        .map(|part| match &part.content {
            PartContent::Other(other) if other.kind == "stored-item" => other.value.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        places,
        [
            "{\"response\":\"0f3e\",\"item\":0}",
            "{\"response\":\"0f3e\",\"item\":1}"
        ]
    );
    assert_eq!(messages[2].parts[0].cache_ttl.as_deref(), Some("30m"));
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
    assert_eq!(compacted["output"][0]["id"], "msg_9_kept0");
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

#[test]
fn tools_may_come_as_an_item() {
    let function =
        |name: &str, about: &str| json!({"type": "function", "name": name, "description": about});
    let request = decode(&json!({
        "model": "m",
        "tools": [function("a", "old"), function("b", "")],
        "input": [
            {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [
                function("a", "new"),
                {"type": "namespace", "name": "space", "tools": [{"type": "custom", "name": "exec"}]},
            ]},
            {"role": "user", "content": "x"},
            {"type": "custom_tool_call", "call_id": "c", "namespace": "space", "name": "exec", "input": "1"},
        ],
    }))
    .unwrap();
    let tools: Vec<_> = request
        .tools
        .iter()
        .map(|tool| (tool.name.as_str(), tool.description.as_deref()))
        .collect();
    assert_eq!(
        tools,
        [("b", Some("")), ("a", Some("new")), ("space__exec", None)]
    );
    let Prompt::Conversation(messages) = &request.prompt else {
        panic!("a conversation")
    };
    assert_eq!(messages.len(), 2);
    let PartContent::ToolCall(call) = &messages[1].parts[0].content else {
        panic!("a call")
    };
    assert!(call.name == "space__exec" && call.custom);
    assert_eq!(request.unconsumed, None);
}
