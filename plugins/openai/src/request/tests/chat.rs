//! Fields of Chat Completions.

use atoll_sdk::types::{
    AllowedTools, GenerateRequest, Grammar, GrammarSyntax, JsonSchema, KeepAlive, OutputFormat,
    ReasoningMode, ReasoningVisibility, ToolChoice, ToolKind,
};
use serde_json::{Value, json};

use super::{chat, chat_request, param};

#[test]
fn what_is_left_out_stays_unset() {
    let request = chat_request(json!({}));
    let expected = GenerateRequest::new("m", request.prompt.clone());
    assert_eq!(request, expected);
}

#[test]
fn null_is_the_same_as_left_out() {
    let names = [
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "n",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "reasoning",
        "metadata",
        "user",
        "modalities",
        "keep_alive",
        "top_k",
        "chat_template_kwargs",
        "functions",
        "function_call",
        "prompt_cache_key",
        "whatever",
    ];
    let nulls: Value = names
        .iter()
        .map(|name| ((*name).to_owned(), Value::Null))
        .collect();
    assert_eq!(chat_request(nulls), chat_request(json!({})));
}

type Check = fn(&GenerateRequest) -> bool;

#[test]
fn every_field_arrives() {
    let table: Vec<(Value, Check)> = vec![
        (json!({"stream": true}), |r| {
            r.streaming.enabled && !r.streaming.include_usage
        }),
        (
            json!({"stream": true, "stream_options": {"include_usage": true}}),
            |r| r.streaming.include_usage,
        ),
        (json!({"max_tokens": 5}), |r| r.max_output_tokens == Some(5)),
        (json!({"max_tokens": 5, "max_completion_tokens": 6}), |r| {
            r.max_output_tokens == Some(6) && r.unconsumed.is_none()
        }),
        (json!({"max_tokens": -1}), |r| r.max_output_tokens.is_none()),
        (json!({"max_tokens": 0}), |r| r.max_output_tokens == Some(0)),
        (json!({"temperature": 0}), |r| {
            r.sampling.temperature == Some(0.0)
        }),
        (json!({"top_p": 0.5}), |r| r.sampling.top_p == Some(0.5)),
        (json!({"min_p": 0.1}), |r| r.sampling.min_p == Some(0.1)),
        (json!({"top_k": 40}), |r| r.sampling.top_k == Some(40)),
        (json!({"top_k": -1}), |r| r.sampling.top_k == Some(0)),
        (json!({"top_p": 0}), |r| r.sampling.top_p == Some(0.0)),
        (json!({"max_tokens": 1e12 as u64}), |r| {
            r.max_output_tokens == Some(u32::MAX)
        }),
        (json!({"repetition_penalty": 1.1}), |r| {
            r.sampling.repetition_penalty == Some(1.1)
        }),
        (json!({"frequency_penalty": -2}), |r| {
            r.sampling.frequency_penalty == Some(-2.0)
        }),
        (json!({"presence_penalty": 2.0}), |r| {
            r.sampling.presence_penalty == Some(2.0)
        }),
        (json!({"seed": 7}), |r| r.sampling.seed == Some(7)),
        (json!({"seed": -1}), |r| r.sampling.seed == Some(u64::MAX)),
        (json!({"logit_bias": {"50256": -100, "7": 1.5}}), |r| {
            r.sampling.logit_bias == [(50256, -100.0), (7, 1.5)]
        }),
        (json!({"n": 3}), |r| r.choices == 3),
        (json!({"stop": "x"}), |r| r.stop == ["x"]),
        (json!({"stop": ["x", "", "y"]}), |r| r.stop == ["x", "y"]),
        (json!({"logprobs": true}), |r| r.logprobs == Some(0)),
        (json!({"logprobs": true, "top_logprobs": 5}), |r| {
            r.logprobs == Some(5)
        }),
        (json!({"logprobs": false, "top_logprobs": 0}), |r| {
            r.logprobs.is_none()
        }),
        (json!({"parallel_tool_calls": false}), |r| {
            r.parallel_tool_calls == Some(false)
        }),
        (json!({"user": "u"}), |r| r.end_user.as_deref() == Some("u")),
        (json!({"user": "u", "safety_identifier": "s"}), |r| {
            r.end_user.as_deref() == Some("s")
        }),
        (json!({"metadata": {"b": "2", "a": "1"}}), |r| {
            r.metadata.len() == 2
        }),
        (
            json!({"prompt_cache_key": "k", "prompt_cache_retention": "24h"}),
            |r| r.cache.key.as_deref() == Some("k") && r.cache.ttl.as_deref() == Some("24h"),
        ),
        (
            json!({"prompt_cache_options": {"mode": "explicit", "ttl": "5m"}}),
            |r| r.cache.ttl.as_deref() == Some("5m"),
        ),
        (json!({"keep_alive": "5m"}), |r| {
            r.keep_alive == Some(KeepAlive::ForMs(300_000))
        }),
        (json!({"keep_alive": -1}), |r| {
            r.keep_alive == Some(KeepAlive::Forever)
        }),
        (json!({"modalities": ["text"]}), |r| r.unconsumed.is_none()),
        (json!({"chat_template_kwargs": {"z": 1, "a": [2]}}), |r| {
            r.template_variables.as_deref() == Some(r#"{"z":1,"a":[2]}"#)
        }),
    ];
    for (extra, check) in table {
        assert!(check(&chat_request(extra.clone())), "{extra}");
    }
}

#[test]
fn what_is_not_understood_inside_an_object_is_reported_under_its_name() {
    for (extra, left) in [
        (
            json!({"reasoning": {"effort": "low", "context": "all_turns"}}),
            r#"{"reasoning":{"context":"all_turns"}}"#,
        ),
        (
            json!({"prompt_cache_options": {"ttl": "5m", "prewarm": true}}),
            r#"{"prompt_cache_options":{"prewarm":true}}"#,
        ),
        (
            json!({"stream": true, "stream_options": {"include_usage": true, "x": 1}}),
            r#"{"stream_options":{"x":1}}"#,
        ),
    ] {
        assert_eq!(chat_request(extra).unconsumed.as_deref(), Some(left));
    }
}

#[test]
fn reasoning_in_all_its_spellings() {
    let mode = |extra: Value| chat_request(extra).reasoning.mode;
    assert_eq!(
        mode(json!({"reasoning_effort": "none"})),
        ReasoningMode::Off
    );
    for effort in ["minimal", "low", "medium", "high", "xhigh", "max"] {
        let request = chat_request(json!({"reasoning_effort": effort}));
        assert_eq!(request.reasoning.mode, ReasoningMode::On);
        assert_eq!(request.reasoning.effort.as_deref(), Some(effort));
    }
    assert_eq!(
        mode(json!({"reasoning": {"effort": "low"}})),
        ReasoningMode::On
    );
    assert_eq!(
        mode(json!({"reasoning": {"enabled": false}})),
        ReasoningMode::Off
    );
    assert_eq!(mode(json!({"enable_thinking": false})), ReasoningMode::Off);
    assert_eq!(mode(json!({"enable_thinking": true})), ReasoningMode::On);
    let hidden = chat(json!({"include_reasoning": false})).unwrap();
    assert!(hidden.hide_reasoning);
    assert_eq!(
        hidden.request.reasoning.visibility,
        ReasoningVisibility::Omitted
    );
    assert!(
        chat(json!({"reasoning": {"exclude": true}}))
            .unwrap()
            .hide_reasoning
    );
}

#[test]
fn formats() {
    let format = |value: Value| chat_request(json!({"response_format": value})).format;
    assert_eq!(format(json!({"type": "text"})), OutputFormat::Text);
    assert_eq!(
        format(json!({"type": "json_object"})),
        OutputFormat::JsonObject
    );
    let schema = format(json!({"type": "json_schema", "json_schema": {
        "name": "n", "description": "d", "schema": {"z": 1, "a": 2}, "strict": true,
    }}));
    assert_eq!(
        schema,
        OutputFormat::JsonSchema(JsonSchema {
            name: Some("n".to_owned()),
            description: Some("d".to_owned()),
            schema: r#"{"z":1,"a":2}"#.to_owned(),
            strict: Some(true),
        })
    );
    let inline = format(json!({"type": "json_object", "schema": {}}));
    assert!(matches!(inline, OutputFormat::JsonSchema(_)));
}

#[test]
fn tools_of_every_kind() {
    let request = chat_request(json!({"tools": [
        {"type": "function", "function": {
            "name": "f", "description": "d", "parameters": {"z": 1, "a": 2}, "strict": true,
        }},
        {"type": "function", "function": {"name": "bare"}},
        {"type": "custom", "custom": {"name": "c", "format": {
            "type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"},
        }}},
        {"type": "custom", "custom": {"name": "t", "format": {"type": "text"}}},
        {"type": "web_search", "user_location": "x"},
    ]}));
    let [f, bare, custom, text, hosted] = request.tools.as_slice() else {
        panic!()
    };
    assert_eq!(
        (f.kind.clone(), f.parameters.as_str()),
        (ToolKind::Function, r#"{"z":1,"a":2}"#)
    );
    assert_eq!(
        (f.description.as_deref(), f.strict),
        (Some("d"), Some(true))
    );
    assert_eq!(
        (bare.name.as_str(), bare.parameters.as_str()),
        ("bare", atoll_sdk::types::Tool::WITHOUT_PARAMETERS)
    );
    let grammar = Grammar {
        syntax: GrammarSyntax::Lark,
        source: "start: x".to_owned(),
    };
    assert_eq!(custom.kind, ToolKind::Custom(Some(grammar)));
    assert_eq!(text.kind, ToolKind::Custom(None));
    assert_eq!(hosted.kind, ToolKind::Hosted("web_search".to_owned()));
}

#[test]
fn tool_choices() {
    let choice = |value: Value| {
        let tools = json!([{"type": "function", "function": {"name": "f"}},
            {"type": "custom", "custom": {"name": "c"}}]);
        chat(json!({"tools": tools, "tool_choice": value})).map(|chat| chat.request.tool_choice)
    };
    assert_eq!(choice(json!("auto")).unwrap(), ToolChoice::Auto);
    assert_eq!(choice(json!("none")).unwrap(), ToolChoice::None);
    assert_eq!(choice(json!("required")).unwrap(), ToolChoice::Required);
    let named = |name: &str| ToolChoice::Named(name.to_owned());
    let function = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(choice(function.clone()).unwrap(), named("f"));
    let custom = json!({"type": "custom", "custom": {"name": "c"}});
    assert_eq!(choice(custom.clone()).unwrap(), named("c"));
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {
        "mode": "required", "tools": [function, custom],
    }});
    let names = vec!["f".to_owned(), "c".to_owned()];
    let expected = ToolChoice::Allowed(AllowedTools {
        required: true,
        names,
    });
    assert_eq!(choice(allowed).unwrap(), expected);
    for wrong in [
        json!("some"),
        json!({"type": "function", "function": {"name": "other"}}),
        json!({"type": "function"}),
        json!({"type": "mcp"}),
        json!(7),
    ] {
        assert!(
            param(choice(wrong.clone())).starts_with("tool_choice"),
            "{wrong}"
        );
    }
    assert_eq!(
        param(chat(json!({"tool_choice": "required"}))),
        "tool_choice"
    );
    assert_eq!(
        chat_request(json!({"tool_choice": "auto"})).tool_choice,
        ToolChoice::Auto
    );
}

#[test]
fn functions_become_tools_and_the_answer_is_told() {
    let old = chat(json!({"functions": [{"name": "f", "parameters": {"a": 1}}],
        "function_call": {"name": "f"}}))
    .unwrap();
    assert!(old.legacy_function_call);
    assert_eq!(old.request.tools.len(), 1);
    assert_eq!(old.request.tool_choice, ToolChoice::Named("f".to_owned()));
    assert_eq!(old.request.parallel_tool_calls, Some(false));
    assert!(!chat(json!({"functions": []})).unwrap().legacy_function_call);
}

#[test]
fn nothing_unknown_is_refused_and_nothing_is_lost() {
    let request = chat_request(json!({
        "store": true, "verbosity": "low", "prediction": {"type": "content", "content": "x"},
        "service_tier": "auto", "web_search_options": {}, "client_metadata": {"k": [1]},
        "options": {"num_ctx": 1},
    }));
    assert!(!request.state.store);
    let unconsumed: Value = serde_json::from_str(&request.unconsumed.unwrap()).unwrap();
    let names: Vec<&String> = unconsumed.as_object().unwrap().keys().collect();
    let expected = [
        "store",
        "verbosity",
        "prediction",
        "service_tier",
        "web_search_options",
        "client_metadata",
        "options",
    ];
    assert_eq!(names.len(), expected.len());
    assert!(expected.iter().all(|name| unconsumed.get(*name).is_some()));
    assert_eq!(unconsumed["client_metadata"], json!({"k": [1]}));
}

#[test]
fn wrong_fields_are_named() {
    for (extra, expected) in [
        (json!({"model": ""}), "model"),
        (json!({"model": 7}), "model"),
        (json!({"model": null}), "model"),
        (json!({"messages": null}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": "Hi"}), "messages"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"stream_options": true}), "stream_options"),
        (
            json!({"stream_options": {"include_usage": true}}),
            "stream_options",
        ),
        (
            json!({"stream": true, "stream_options": {"include_usage": 1}}),
            "stream_options.include_usage",
        ),
        (json!({"max_tokens": -2}), "max_tokens"),
        (
            json!({"max_completion_tokens": 1.5}),
            "max_completion_tokens",
        ),
        (json!({"temperature": 2.1}), "temperature"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"top_p": -0.1}), "top_p"),
        (json!({"top_k": -2}), "top_k"),
        (json!({"n": 0}), "n"),
        (json!({"n": 129}), "n"),
        (json!({"seed": 1.5}), "seed"),
        (json!({"stop": 7}), "stop"),
        (json!({"stop": ["a", 7]}), "stop[1]"),
        (json!({"stop": vec!["a"; 17]}), "stop"),
        (json!({"logit_bias": {"x": 1}}), "logit_bias.x"),
        (json!({"logit_bias": {"1": 101}}), "logit_bias.1"),
        (json!({"logit_bias": [1]}), "logit_bias"),
        (
            json!({"logprobs": true, "top_logprobs": 21}),
            "top_logprobs",
        ),
        (json!({"top_logprobs": 2}), "top_logprobs"),
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format.type",
        ),
        (json!({"response_format": {}}), "response_format.type"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}),
            "response_format.json_schema.schema",
        ),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0].function",
        ),
        (
            json!({"tools": [{"type": "function", "function": {}}]}),
            "tools[0].function.name",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": 1}}]}),
            "tools[0].function.parameters",
        ),
        (json!({"functions": [{}]}), "functions[0].name"),
        (json!({"reasoning_effort": "extreme"}), "reasoning_effort"),
        (
            json!({"reasoning": {"effort": "extreme"}}),
            "reasoning.effort",
        ),
        (json!({"chat_template_kwargs": []}), "chat_template_kwargs"),
        (json!({"metadata": {"a": 1}}), "metadata"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"keep_alive": "soon"}), "keep_alive"),
        (json!({"keep_alive": {}}), "keep_alive"),
    ] {
        assert_eq!(param(chat(extra.clone())), expected, "{extra}");
    }
}
