//! The same code as in the host, natively: requests in, canonical operations out; events in, bytes out.

use atoll_sdk::types::{
    ChoiceEnd, Delta, Finished, FinishReason, Item, ItemEnd, ItemKind, OutputFormat, PartContent,
    Prompt, Role, Started, Timings, ToolCallStart, ToolChoice, Usage,
};
use serde_json::{Value, json};

use super::*;

fn call(target: &str, query: &[(&str, &str)], body: &Value) -> Call {
    let own = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    Call::new(HttpRequest {
        id: "r1".to_owned(),
        method: "POST".to_owned(),
        path: format!("/v1beta/models/{target}"),
        path_params: vec![("target".to_owned(), target.to_owned())],
        query: query.iter().map(own).collect(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        received_at: 0,
        ext: None,
    })
}

fn hello() -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] })
}

fn refusal(body: Value) -> String {
    let mut call = call("m:generateContent", &[], &body);
    let error = call.decode().unwrap_err();
    error.param.unwrap_or_default()
}

#[test]
fn a_conversation_with_instructions_and_settings() {
    let body = json!({
        "systemInstruction": { "parts": [{ "text": "Be brief." }] },
        "contents": [
            { "role": "user", "parts": [{ "text": "Hi" }] },
            { "role": "model", "parts": [{ "text": "Hello" }] },
            { "parts": [{ "text": "Again" }] },
        ],
        "generationConfig": {
            "temperature": 0.5, "topK": 3, "maxOutputTokens": 9, "stopSequences": ["x"],
            "responseMimeType": "application/json",
            "responseSchema": { "type": "OBJECT", "properties": { "type": { "type": "STRING" } } },
        },
        "safetySettings": [],
    });
    let operation = call("org/m:7b:generateContent", &[], &body).decode().unwrap();
    let Operation::Generate(request) = operation else {
        panic!("{operation:?}")
    };
    assert_eq!(request.model, "org/m:7b");
    assert!(!request.streaming.enabled);
    assert_eq!((request.sampling.temperature, request.sampling.top_k), (Some(0.5), Some(3)));
    assert_eq!((request.max_output_tokens, request.stop.len()), (Some(9), 1));
    let Prompt::Conversation(messages) = &request.prompt else {
        panic!("{:?}", request.prompt)
    };
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    let OutputFormat::JsonSchema(schema) = &request.format else {
        panic!("{:?}", request.format)
    };
    let expected = r#"{"type":"object","properties":{"type":{"type":"string"}}}"#;
    assert_eq!(schema.schema, expected);
}

/// Results name the function; the canonical form needs the call.
#[test]
fn function_results_find_their_calls() {
    let call_of = |city: &str| json!({ "functionCall": { "name": "weather", "args": { "city": city } } });
    let result = |sky: &str| json!({ "functionResponse": { "name": "weather", "response": { "sky": sky } } });
    let body = json!({
        "contents": [
            { "role": "user", "parts": [{ "text": "Weather?" }] },
            { "role": "model", "parts": [call_of("Oslo"), call_of("Rome")] },
            { "role": "user", "parts": [result("grey"), result("blue")] },
        ],
        "tools": [{ "functionDeclarations": [{ "name": "weather", "parameters": { "type": "OBJECT" } }] }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY" } },
    });
    let operation = call("m:generateContent", &[], &body).decode().unwrap();
    let Operation::Generate(request) = operation else {
        panic!("{operation:?}")
    };
    assert_eq!(request.tool_choice, ToolChoice::Required);
    assert_eq!(request.tools[0].parameters, r#"{"type":"object"}"#);
    let Prompt::Conversation(messages) = &request.prompt else {
        panic!("{:?}", request.prompt)
    };
    assert_eq!(messages[2].role, Role::Tool);
    let ids = |message: &atoll_sdk::types::Message| -> Vec<String> {
        message
            .parts
            .iter()
            .map(|part| match &part.content {
                PartContent::ToolCall(call) => call.call_id.clone(),
                PartContent::ToolResult(result) => result.call_id.clone(),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(ids(&messages[1]), ids(&messages[2]));
}

/// A feature that would be lost in silence is an error that names the field.
#[test]
fn what_is_not_translated_is_refused_by_name() {
    let mut image = hello();
    image["contents"][0]["parts"][0] = json!({ "inlineData": { "mimeType": "image/png", "data": "" } });
    let mut thinking = hello();
    thinking["generationConfig"] = json!({ "thinkingConfig": {} });
    let mut search = hello();
    search["tools"] = json!([{ "googleSearch": {} }]);
    for (body, param) in [
        (image, "contents[0].parts[0]"),
        (thinking, "generationConfig.thinkingConfig"),
        (search, "tools[0].googleSearch"),
        (json!({}), "contents"),
        (json!({ "contents": [] }), "contents"),
        (json!({ "contents": [{ "role": "king", "parts": [] }] }), "contents[0].role"),
    ] {
        assert_eq!(refusal(body), param);
    }
}

#[test]
fn unknown_methods_do_not_exist() {
    for target in ["m", "m:", "m:embedContent"] {
        let error = call(target, &[], &hello()).decode().unwrap_err();
        assert_eq!(error.http_status(), 404, "{target}");
    }
}

fn events() -> Vec<Event> {
    let text = |text: &str| {
        Event::TextDelta(Delta {
            choice: 0,
            item: 0,
            text: text.to_owned(),
            tokens: Vec::new(),
        })
    };
    let item = |index, kind| {
        Event::ItemStarted(Item {
            choice: 0,
            index,
            kind,
        })
    };
    let end = |item| {
        Event::ItemFinished(ItemEnd {
            choice: 0,
            item,
            complete: true,
            signature: None,
        })
    };
    let arguments = |text: &str| {
        Event::ArgumentsDelta(Delta {
            choice: 0,
            item: 1,
            text: text.to_owned(),
            tokens: Vec::new(),
        })
    };
    let start = ToolCallStart {
        call_id: "c1".to_owned(),
        name: "f".to_owned(),
        namespace: None,
        custom: false,
    };
    vec![
        Event::Started(Started {
            response_id: "id".to_owned(),
            created_at: 0,
            model: "m".to_owned(),
            prompt_tokens: 3,
            cached_tokens: 0,
            fingerprint: None,
        }),
        item(0, ItemKind::Message),
        text("He"),
        text("llo"),
        end(0),
        item(1, ItemKind::ToolCall(start)),
        arguments("{\"a\""),
        arguments(":1}"),
        end(1),
        Event::ChoiceFinished(ChoiceEnd {
            choice: 0,
            reason: FinishReason::Stop,
        }),
        Event::Finished(Finished {
            usage: Usage {
                prompt_tokens: 3,
                cached_tokens: 0,
                cache_written_tokens: 0,
                output_tokens: 2,
                reasoning_tokens: 0,
            },
            timings: Timings {
                queued: 0,
                load: 0,
                prefill: 0,
                decode: 0,
                total: 0,
            },
        }),
    ]
}

/// All events at once, or one by one: the bytes are the same.
fn encoded(target: &str, query: &[(&str, &str)]) -> String {
    let mut whole = call(target, query, &hello());
    whole.decode().unwrap();
    let at_once = whole.encode(events()).unwrap();
    let mut single = call(target, query, &hello());
    single.decode().unwrap();
    let mut one_by_one = Vec::new();
    for event in events() {
        one_by_one.extend(single.encode(vec![event]).unwrap());
    }
    assert_eq!(at_once, one_by_one);
    String::from_utf8(at_once).unwrap()
}

#[test]
fn a_whole_answer() {
    let answer: Value = serde_json::from_str(&encoded("m:generateContent", &[])).unwrap();
    let candidate = &answer["candidates"][0];
    let call = json!({ "functionCall": { "id": "c1", "name": "f", "args": { "a": 1 } } });
    assert_eq!(candidate["content"]["parts"], json!([{ "text": "Hello" }, call]));
    assert_eq!(candidate["finishReason"], "STOP");
    assert_eq!(answer["usageMetadata"]["totalTokenCount"], 5);
    assert_eq!((&answer["modelVersion"], &answer["responseId"]), (&json!("m"), &json!("id")));
}

#[test]
fn a_stream_of_events_and_an_array_say_the_same() {
    let events = encoded("m:streamGenerateContent", &[("alt", "sse")]);
    let from_events: Vec<Value> = events
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let array = encoded("m:streamGenerateContent", &[]);
    let from_array: Vec<Value> = serde_json::from_str(&array).unwrap();
    assert_eq!(from_events, from_array);
    let text: String = from_array
        .iter()
        .filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str())
        .collect();
    assert_eq!(text, "Hello");
}

#[test]
fn failures_have_googles_shape() {
    let mut call = call("m:generateContent", &[], &hello());
    let response = call.fail(Error::model_not_found("m"));
    assert_eq!(response.head.status, 404);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["error"]["status"], "NOT_FOUND");
}
