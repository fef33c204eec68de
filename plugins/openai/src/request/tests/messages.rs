//! Messages and their content.

use atoll_sdk::types::{
    Error, Media, MediaSource, Message, PartContent, Prompt, ResultContent, Role, ToolCall,
    ToolResult,
};
use serde_json::{Value, json};

use super::{chat, param};

fn conversation(messages: Value) -> Result<Vec<Message>, Error> {
    match chat(json!({"messages": messages}))?.request.prompt {
        Prompt::Conversation(messages) => Ok(messages),
        Prompt::Completion(_) => panic!("no conversation"),
    }
}

fn contents(message: Value) -> Vec<PartContent> {
    let message = conversation(json!([message])).unwrap().remove(0);
    message.parts.into_iter().map(|part| part.content).collect()
}

fn text(text: &str) -> PartContent {
    PartContent::Text(text.to_owned())
}

#[test]
fn every_role_arrives() {
    let messages = conversation(json!([
        {"role": "developer", "content": "d"},
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u", "name": "Ann"},
        {"role": "assistant", "content": "a"},
    ]))
    .unwrap();
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    assert_eq!(
        roles,
        [Role::Developer, Role::System, Role::User, Role::Assistant]
    );
    assert_eq!(messages[2].name.as_deref(), Some("Ann"));
}

#[test]
fn every_kind_of_part_arrives() {
    let parts = contents(json!({"role": "user", "content": [
        {"type": "text", "text": "t"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,AQID"}},
        {"type": "image_url", "image_url": "http://x/z"},
        {"type": "input_audio", "input_audio": {"data": "AQI", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "f1", "filename": "n"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AQ=="}},
        {"type": "refusal", "refusal": "no"},
    ]}));
    let media = |source, media_type: &str, detail: Option<&str>| Media {
        source,
        media_type: media_type.to_owned(),
        detail: detail.map(str::to_owned),
    };
    let url = |url: &str| MediaSource::Url(url.to_owned());
    let bytes = |bytes: &[u8]| MediaSource::Bytes(bytes.to_vec());
    let expected = [
        text("t"),
        PartContent::Image(media(url("https://x/y.png"), "", Some("high"))),
        PartContent::Image(media(bytes(&[1, 2, 3]), "image/png", None)),
        PartContent::Image(media(url("http://x/z"), "", None)),
        PartContent::Audio(media(bytes(&[1, 2]), "audio/mpeg", None)),
        PartContent::Document(media(MediaSource::FileId("f1".to_owned()), "", Some("n"))),
        PartContent::Document(media(bytes(&[1]), "application/pdf", None)),
        PartContent::Refusal("no".to_owned()),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn cache_boundaries_and_unknown_fields_are_kept() {
    let messages = conversation(json!([{"role": "user", "odd": 1, "content": [
        {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "5m"}},
        {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "text", "text": "t", "more": true},
    ]}]))
    .unwrap();
    let parts = &messages[0].parts;
    assert_eq!(parts[0].cache_ttl.as_deref(), Some("5m"));
    assert_eq!(parts[1].cache_ttl.as_deref(), Some(""));
    assert_eq!(parts[2].ext.as_deref(), Some(r#"{"more":true}"#));
    assert_eq!(messages[0].ext.as_deref(), Some(r#"{"odd":1}"#));
}

#[test]
fn an_assistants_turn_keeps_its_order() {
    let parts = contents(json!({"role": "assistant", "content": "said",
    "reasoning_content": "thought", "reasoning": "thought", "refusal": "declined",
    "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}},
        {"id": "2", "type": "custom", "custom": {"name": "c", "input": "free"}},
        {"id": "3", "function": {"name": "g", "arguments": {"b": 2}}},
    ]}));
    let [reasoning, said, refusal, one, two, three] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    assert!(matches!(reasoning, PartContent::Reasoning(r) if r.text == "thought"));
    assert_eq!(*said, text("said"));
    assert_eq!(*refusal, PartContent::Refusal("declined".to_owned()));
    let call = |call_id: &str, name: &str, arguments: &str, custom| {
        PartContent::ToolCall(ToolCall {
            call_id: call_id.to_owned(),
            name: name.to_owned(),
            namespace: None,
            arguments: arguments.to_owned(),
            custom,
        })
    };
    assert_eq!(*one, call("1", "f", "{\"a\": 1}", false));
    assert_eq!(*two, call("2", "c", "free", true));
    assert_eq!(*three, call("3", "g", "{\"b\":2}", false));
}

#[test]
fn an_assistant_may_say_nothing() {
    let calls = json!([{"id": "1", "function": {"name": "f", "arguments": ""}}]);
    for content in [json!(null), json!("")] {
        let message = json!({"role": "assistant", "content": content, "tool_calls": calls});
        assert_eq!(contents(message).len(), 1);
    }
    assert_eq!(
        contents(json!({"role": "assistant", "content": null})),
        [text("")]
    );
    assert_eq!(
        contents(json!({"role": "assistant", "content": ""})),
        [text("")]
    );
}

#[test]
fn results_find_their_calls() {
    let messages = conversation(json!([
        {"role": "assistant", "tool_calls": [
            {"id": "1", "function": {"name": "f", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "1", "content": "plain"},
        {"role": "tool", "tool_call_id": "9", "content": [
            {"type": "text", "text": "t"},
            {"type": "image_url", "image_url": {"url": "https://x"}},
        ]},
        {"role": "assistant", "function_call": {"name": "old", "arguments": "{}"}},
        {"role": "function", "name": "old", "content": "r"},
    ]))
    .unwrap();
    let result = |index: usize| match &messages[index].parts[0].content {
        PartContent::ToolResult(result) => result.clone(),
        other => panic!("{other:?}"),
    };
    let expected = ToolResult {
        call_id: "1".to_owned(),
        name: Some("f".to_owned()),
        content: vec![ResultContent::Text("plain".to_owned())],
        is_error: false,
    };
    assert_eq!(result(1), expected);
    assert_eq!((result(2).name, result(2).content.len()), (None, 2));
    let PartContent::ToolCall(old) = &messages[3].parts[0].content else {
        panic!()
    };
    assert_eq!(result(4).call_id, old.call_id);
    assert!(messages.iter().all(|message| message.name.is_none()));
}

#[test]
fn wrong_messages_are_named_by_their_path() {
    for (message, expected) in [
        (json!("Hi"), "messages[0]"),
        (json!({}), "messages[0].role"),
        (json!({"role": "robot", "content": ""}), "messages[0].role"),
        (json!({"role": "user"}), "messages[0].content"),
        (
            json!({"role": "user", "content": null}),
            "messages[0].content",
        ),
        (json!({"role": "user", "content": 7}), "messages[0].content"),
        (
            json!({"role": "user", "content": [7]}),
            "messages[0].content[0]",
        ),
        (
            json!({"role": "user", "content": [{"type": "text"}]}),
            "messages[0].content[0].text",
        ),
        (
            json!({"role": "user", "content": [{"type": "odd"}]}),
            "messages[0].content[0].type",
        ),
        (
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}),
            "messages[0].content[0].image_url.url",
        ),
        (
            json!({"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,!!"}},
            ]}),
            "messages[0].content[0].image_url.url",
        ),
        (
            json!({"role": "user", "content": [
                {"type": "input_audio", "input_audio": {"data": "AQ", "format": "ogg"}},
            ]}),
            "messages[0].content[0].input_audio.format",
        ),
        (
            json!({"role": "user", "content": [{"type": "file", "file": {}}]}),
            "messages[0].content[0].file.file_data",
        ),
        (
            json!({"role": "tool", "content": "x"}),
            "messages[0].tool_call_id",
        ),
        (
            json!({"role": "function", "content": "x"}),
            "messages[0].name",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"function": {}}]}),
            "messages[0].tool_calls[0].id",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}]}),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"id": "1", "type": "odd"}]}),
            "messages[0].tool_calls[0].type",
        ),
    ] {
        assert_eq!(
            param(conversation(json!([message.clone()]))),
            expected,
            "{message}"
        );
    }
}
