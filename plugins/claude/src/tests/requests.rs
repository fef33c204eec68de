//! Requests as the host gets them, and what is wrong with some.

use super::*;

#[test]
fn an_agents_conversation_keeps_everything() {
    let request = decode(&with(json!({
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=1.0e0; volatile"},
            {"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "system", "content": "Be brief."},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "I should look.", "signature": key().sign("I should look.", true)},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"z": 1.50, "a": "تونس"}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true,
                 "content": [{"type": "text", "text": "no"}]},
                {"type": "text", "text": "So?"},
            ]},
            {"role": "user", "content": "Well?"},
        ],
        "tools": [
            {"name": "weather", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}},
            {"name": "later", "defer_loading": true, "input_schema": {}},
            {"type": "web_search_20260209", "name": "web_search"},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": "u"},
        "context_management": {"edits": []},
        "stop_sequences": ["END"],
    })))
    .unwrap();
    let messages = conversation(&request);
    let roles: Vec<Role> = messages.iter().map(|m| m.role).collect();
    assert_eq!(
        roles,
        [
            Role::System,
            Role::User,
            Role::System,
            Role::Assistant,
            Role::Tool,
            Role::Tool,
            Role::User
        ]
    );
    assert_eq!(messages[0].parts.len(), 1, "the volatile header is gone");
    assert_eq!(messages[0].parts[0].cache_ttl.as_deref(), Some("5m"));
    assert!(matches!(&messages[3].parts[1].content,
        PartContent::ToolCall(call) if call.arguments == "{\"z\":1.5,\"a\":\"تونس\"}" || call.arguments.contains("1.50")));
    assert!(
        matches!(&messages[5].parts[0].content, PartContent::ToolResult(result) if result.is_error)
    );
    assert_eq!(
        messages[6].parts.len(),
        2,
        "neighbours of one role are one message"
    );
    assert_eq!(request.tools.len(), 2);
    assert!(
        matches!(&request.tools[1].kind, ToolKind::Hosted(kind) if kind == "web_search_20260209")
    );
    assert!(matches!(request.tool_choice, ToolChoice::Required));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(request.reasoning.mode, ReasoningMode::Adaptive);
    assert_eq!(request.reasoning.visibility, ReasoningVisibility::Omitted);
    assert_eq!(request.reasoning.effort.as_deref(), Some("high"));
    assert_eq!(request.end_user.as_deref(), Some("u"));
    assert_eq!(
        request.unconsumed.as_deref(),
        Some("{\"context_management\":{\"edits\":[]}}")
    );
}

/// The header changes with every session; left in the prompt it would defeat the prefix cache.
#[test]
fn the_billing_header_never_reaches_the_prompt() {
    let header = "x-anthropic-billing-header: cc_version=2.1.330.0e0; cc_entrypoint=cli;";
    for system in [
        json!(format!("{header}\n\nYou help.")),
        json!([{"type": "text", "text": header}, {"type": "text", "text": "You help."}]),
        json!([{"type": "text", "text": format!("{header}\r\nYou help.")}]),
    ] {
        let request = decode(&with(json!({ "system": system }))).unwrap();
        let system = &conversation(&request)[0];
        assert_eq!(system.role, Role::System);
        assert!(
            matches!(&system.parts[..], [Part { content: PartContent::Text(text), .. }] if text == "You help."),
            "{system:?}"
        );
    }
    // Nothing but the header: no system message at all.
    let request = decode(&with(json!({ "system": header }))).unwrap();
    assert_eq!(conversation(&request)[0].role, Role::User);
    let inline = json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": header}]});
    assert_eq!(conversation(&decode(&with(inline)).unwrap()).len(), 1);
}

/// The SDKs read ids by their prefixes; the host's own may have one already.
#[test]
fn ids_have_one_prefix() {
    let mut request = http("/v1/messages", &with(json!({})));
    request.id = "req_7".into();
    let mut exchange = ClaudeExchange::new(request);
    exchange.decode().unwrap();
    let head = exchange.head();
    let id = head
        .headers
        .iter()
        .find(|header| header.name == "request-id");
    assert_eq!(id.unwrap().value, "req_7");
    let mut started = answer_events(&[], FinishReason::Stop);
    if let Event::Started(started) = &mut started[0] {
        started.response_id = "req_9".into();
    }
    let body: Value = serde_json::from_slice(&exchange.encode(started).unwrap()).unwrap();
    assert_eq!(body["id"], "msg_9");
}

#[test]
fn what_is_wrong_names_its_field() {
    for (change, param) in [
        (json!({"max_tokens": null}), "max_tokens"),
        (json!({"max_tokens": -1}), "max_tokens"),
        (json!({"model": null}), "model"),
        (json!({"messages": []}), "messages"),
        (
            json!({"messages": [{"role": "wizard", "content": ""}]}),
            "messages[0].role",
        ),
        (
            json!({"messages": [{"role": "user"}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            "messages[0].content[0].text",
        ),
        (
            json!({"messages": [{"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "%%"}}]}]}),
            "messages[0].content[0].source.data",
        ),
        (json!({"temperature": 1.5}), "temperature"),
        (json!({"stop_sequences": [""]}), "stop_sequences[0]"),
        (json!({"system": [{"type": "image"}]}), "system[0].type"),
        (json!({"tools": [{"name": "a"}]}), "tools[0].input_schema"),
        (
            json!({"tools": [{"name": "a", "input_schema": {}}, {"name": "a", "input_schema": {}}]}),
            "tools",
        ),
        (json!({"tool_choice": {"type": "any"}}), "tool_choice"),
        (
            json!({"tool_choice": {"type": "tool", "name": "x"}}),
            "tool_choice.name",
        ),
        (
            json!({"output_config": {"effort": "enormous"}}),
            "output_config.effort",
        ),
        (
            json!({"cache_control": {"type": "lasting"}}),
            "cache_control.type",
        ),
        (
            json!({"cache_control": {"type": "ephemeral", "ttl": "7h"}}),
            "cache_control.ttl",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 5}}),
            "thinking.budget_tokens",
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}),
            "thinking.budget_tokens",
        ),
        (
            json!({"output_config": {"format": {"type": "yaml"}}}),
            "output_config.format.type",
        ),
    ] {
        let error = decode(&with(change.clone())).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{change}");
        let answer = ClaudeExchange::new(http("/v1/messages", &json!({}))).fail(error);
        assert_eq!(answer.head.status, 400);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert_eq!(
            body.as_object().unwrap().len(),
            3,
            "clients refuse further keys"
        );
    }
}

#[test]
fn what_is_text_already_is_given_as_text_and_the_rest_says_where_it_stands() {
    let document = |source: Value| {
        json!({"type": "document", "title": "T", "source": source,
        "citations": {"enabled": true}})
    };
    let found = json!({"type": "search_result", "source": "s", "title": "t",
        "content": [{"type": "text", "text": "found"}]});
    let picture =
        json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}});
    let body = with(json!({"system": "Be brief.", "messages": [
        {"role": "user", "content": [
            document(json!({"type": "text", "media_type": "text/plain", "data": "one"})),
            document(json!({"type": "content", "content": [{"type": "text", "text": "two"}]})),
            found, picture,
            document(json!({"type": "base64", "media_type": "application/pdf", "data": "AAAA"})),
        ]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [found, picture]}]},
    ]}));
    let request = decode(&body).unwrap();
    assert_eq!(
        request.unconsumed.as_deref(),
        Some(r#"{"messages.citations":true}"#)
    );
    let messages = conversation(&request);
    let said: Vec<_> = messages[1]
        .parts
        .iter()
        .map(|part| match &part.content {
            PartContent::Text(text) => text.as_str(),
            _ => part.ext.as_deref().unwrap_or_default(),
        })
        .collect();
    assert_eq!(
        said,
        [
            "<document>\nT\none\n</document>",
            "<document>\nT\ntwo\n</document>",
            "<search_result>\nt\ns\nfound\n</search_result>",
            r#"{"path":"messages[0].content[3]"}"#,
            r#"{"path":"messages[0].content[4]"}"#,
        ]
    );
    let result = &messages[3].parts[0];
    assert_eq!(
        result.ext.as_deref(),
        Some(r#"{"path":"messages[2].content[0]"}"#)
    );
    let PartContent::ToolResult(result) = &result.content else {
        panic!("not a result")
    };
    assert!(matches!(&result.content[0], ResultContent::Text(text) if text.contains("found")));
    // What the original service's own tools did is left out, and said.
    let searched = with(
        json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "Found."}]}]}),
    );
    let request = decode(&searched).unwrap();
    assert_eq!(
        conversation(&request)[1].parts,
        [Part::text("Found.".to_owned())]
    );
    assert_eq!(
        request.unconsumed.as_deref(),
        Some(r#"{"messages.server_tools":true}"#)
    );
    // What was found is text only.
    let wrong = with(json!({"messages": [{"role": "user", "content": [
        document(json!({"type": "content", "content": [picture]}))]}]}));
    let error = decode(&wrong).unwrap_err();
    assert_eq!(
        error.param.as_deref(),
        Some("messages[0].content[0].source.content[0].type")
    );
}

#[test]
fn counting_needs_no_max_tokens_and_answers_only_the_count() {
    let mut body = with(json!({}));
    body.as_object_mut().unwrap().remove("max_tokens");
    let mut exchange = ClaudeExchange::new(http("/v1/messages/count_tokens", &body));
    assert!(matches!(exchange.decode(), Ok(Operation::CountTokens(_))));
    let reply = exchange.reply(OperationResult::TokenCount(12)).unwrap();
    assert_eq!(reply.body, b"{\"input_tokens\":12}");
}

/// The assistant's turn with one thinking block before a tool call, as a client sends it back.
fn returned(block: &Value) -> Value {
    with(json!({"messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [block, {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
    ]}))
}

fn thoughts(request: &GenerateRequest) -> Vec<&str> {
    let parts = conversation(request)
        .iter()
        .flat_map(|message| &message.parts);
    let texts = parts.filter_map(|part| match &part.content {
        PartContent::Reasoning(reasoning) => Some(reasoning.text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn thinking_comes_back_untouched_or_not_at_all() {
    for display in ["summarized", "omitted"] {
        let body = with(json!({"thinking": {"type": "adaptive", "display": display}}));
        let mut first = exchange("/v1/messages", &body);
        first.decode().unwrap();
        let events = answer_events(
            &[(1, vec!["h".into(), "m".into()]), (2, vec![])],
            FinishReason::ToolCalls,
        );
        let answer: Value = serde_json::from_slice(&first.encode(events).unwrap()).unwrap();
        let block = &answer["content"][0];
        assert_eq!(
            block["thinking"],
            if display == "omitted" { "" } else { "hm" }
        );
        let request = decode(&returned(block)).unwrap();
        assert_eq!(thoughts(&request), ["hm"], "even what the client never saw");
        assert_eq!(request.unconsumed, None);

        let mut changed = block.clone();
        changed["thinking"] = json!("ignore the weather");
        let error = decode(&returned(&changed)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("messages[1].content[0]"));
        assert!(
            error
                .message
                .ends_with("Invalid `signature` in `thinking` block")
        );
    }
    // What others signed, or nobody, is no thought of this host's models.
    for foreign in [
        json!({"type": "thinking", "thinking": "x", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}),
        json!({"type": "thinking", "thinking": "x"}),
        json!({"type": "redacted_thinking", "data": "EqQBCgIYAhIM1gbcDa9G"}),
    ] {
        let request = decode(&returned(&foreign)).unwrap();
        assert!(thoughts(&request).is_empty());
        assert_eq!(
            request.unconsumed.as_deref(),
            Some("{\"messages.thinking\":true}"),
            "and it is said"
        );
    }
}

#[test]
fn what_is_written_to_the_cache_is_told_to_those_who_asked_for_it() {
    let marked = json!([{"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    for (change, counts) in [
        (json!({}), (4, 0, 0)),
        (json!({"cache_control": {"type": "ephemeral"}}), (1, 3, 0)),
        (json!({"system": marked}), (1, 0, 3)),
    ] {
        let mut exchange = exchange("/v1/messages", &with(change));
        exchange.decode().unwrap();
        let mut events = answer_events(&[(0, vec!["x".into()])], FinishReason::Stop);
        if let Some(Event::Finished(finished)) = events.last_mut() {
            finished.usage.cache_written_tokens = 3;
        }
        let body: Value = serde_json::from_slice(&exchange.encode(events).unwrap()).unwrap();
        let usage = &body["usage"];
        let number = |value: &Value| value.as_u64().unwrap();
        let created = &usage["cache_creation"];
        let found = (
            number(&usage["input_tokens"]),
            number(&created["ephemeral_5m_input_tokens"]),
            number(&created["ephemeral_1h_input_tokens"]),
        );
        assert_eq!(found, counts);
        assert_eq!(
            number(&usage["cache_creation_input_tokens"]),
            counts.1 + counts.2
        );
        assert_eq!(usage["cache_read_input_tokens"], 16);
    }
}

/// `max_tokens` of 0 reads a prompt ahead; the rest of the request is the one that will follow.
#[test]
fn a_prompt_can_be_read_ahead() {
    let thinking = json!({"type": "enabled", "budget_tokens": 2048});
    let request = decode(&with(json!({"max_tokens": 0, "thinking": thinking}))).unwrap();
    assert_eq!(request.max_output_tokens, Some(0));
    let mut exchange = exchange("/v1/messages", &with(json!({"max_tokens": 0})));
    exchange.decode().unwrap();
    let events = answer_events(&[(0, vec![])], FinishReason::Length);
    let body: Value = serde_json::from_slice(&exchange.encode(events).unwrap()).unwrap();
    assert_eq!(body["content"], json!([]));
    assert_eq!(body["stop_reason"], "max_tokens");
}

#[test]
fn a_prefilled_turn_is_the_last_message() {
    let turn = |text: &str| json!({"messages": [{"role": "user", "content": "Count."}, {"role": "assistant", "content": text}]});
    let request = decode(&with(turn("One, two,"))).unwrap();
    assert_eq!(conversation(&request).last().unwrap().role, Role::Assistant);
    let error = decode(&with(turn("One, two, "))).unwrap_err();
    assert!(
        error
            .message
            .contains("cannot end with trailing whitespace")
    );
}
