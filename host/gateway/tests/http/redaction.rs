//! The redaction filter in its sandbox, between a client and a model that repeats what it is told.

use atoll_gateway::FilterEntry;
use atoll_plugin_runtime::LoadedPlugin;
use serde_json::json;

use crate::client::{post, send, streamed_text};
use crate::server::{Setup, chat, load, start_with};

pub async fn redact(settings: serde_json::Value) -> Setup {
    match load("redact-pii", settings).await {
        LoadedPlugin::Filter(filter) => Setup {
            filters: vec![FilterEntry::new(filter)],
            ..Setup::default()
        },
        _ => panic!("redact-pii is a filter"),
    }
}

#[tokio::test]
async fn the_model_never_sees_values_and_the_stream_restores_them() {
    const TEXT: &str = "CIN ٠٩٨٧٦٥٤٣, IBAN TN٥٩ ١٠٠٠ ٦٠٣٥ ١٨٣٥ ٩٨٤٧ ٨٨٣١, to alice@example.com.";
    const KEY: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let mut server = start_with(redact(json!({})).await).await;
    let mut body = chat(true);
    body["messages"][0]["content"] = format!("{TEXT} {KEY}").into();
    let request = send(server.address, post("/v1/chat/completions", &body));
    let play = async {
        let play = server.script.next().await;
        let bytes = play
            .request
            .prompt
            .tokens()
            .iter()
            .map(|&token| u8::try_from(token).unwrap());
        let prompt = String::from_utf8(bytes.collect()).unwrap();
        let from = prompt.find("CIN").unwrap();
        // Three characters at a time cut every token into pieces.
        let said: Vec<char> = prompt[from..].chars().collect();
        play.start();
        for piece in said.chunks(3) {
            play.say(0, &piece.iter().collect::<String>());
        }
        play.finish(0).done(2);
        prompt
    };
    let (answer, prompt) = tokio::join!(request, play);
    for secret in ["٠٩٨٧٦٥٤٣", "TN٥٩", "alice", KEY] {
        assert!(!prompt.contains(secret), "{prompt}");
    }
    let text = streamed_text(&answer.text().await.unwrap());
    assert!(text.starts_with(TEXT), "{text}");
    assert!(
        text.contains("PII_SECRET_1_") && !text.contains(KEY),
        "{text}"
    );
}

#[tokio::test]
async fn a_blocked_kind_is_refused_before_the_model() {
    let settings = json!({ "actions": { "EMAIL_ADDRESS": "block" } });
    let server = start_with(redact(settings).await).await;
    let mut body = chat(false);
    body["messages"][0]["content"] = "I am alice@example.com".into();
    let answer = send(server.address, post("/v1/chat/completions", &body)).await;
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("EMAIL_ADDRESS") && !text.contains("alice"),
        "{text}"
    );
}

/// Whatever API a text comes by, and whatever is asked for, the filter stands before it.
#[tokio::test]
async fn every_operation_of_every_dialect_passes_the_filter() {
    const SAID: &str = "I am alice@example.com";
    let messages = json!([{ "role": "user", "content": SAID }]);
    let cases = [
        ("/v1/chat/completions", json!({ "messages": messages })),
        (
            "/v1/chat/completions",
            json!({ "messages": [
                { "role": "system", "content": [{ "type": "text", "text": SAID }] },
                { "role": "user", "content": "Hi" },
            ] }),
        ),
        (
            "/v1/chat/completions",
            json!({ "messages": [
                { "role": "user", "content": "Hi" },
                { "role": "assistant", "content": null, "tool_calls": [{
                    "id": "c", "type": "function",
                    "function": { "name": "mail", "arguments": "{\"to\": \"alice\\u0040example.com\"}" },
                }] },
                { "role": "tool", "tool_call_id": "c", "content": "sent" },
            ] }),
        ),
        (
            "/v1/chat/completions",
            json!({ "messages": [{ "role": "user", "content": "Hi" }], "tools": [{
                "type": "function",
                "function": { "name": "f", "description": SAID, "parameters": { "type": "object" } },
            }] }),
        ),
        ("/v1/completions", json!({ "prompt": ["one", SAID] })),
        ("/v1/embeddings", json!({ "input": SAID })),
        ("/v1/responses", json!({ "input": SAID })),
        (
            "/v1/responses",
            json!({ "instructions": SAID, "input": "Hi" }),
        ),
        ("/v1/responses/input_tokens", json!({ "input": SAID })),
        (
            "/v1/messages",
            json!({ "max_tokens": 5, "messages": messages }),
        ),
        (
            "/v1/messages",
            json!({ "max_tokens": 5, "system": SAID, "messages": [{ "role": "user", "content": "Hi" }] }),
        ),
        ("/v1/messages/count_tokens", json!({ "messages": messages })),
        ("/api/chat", json!({ "messages": messages })),
        ("/api/generate", json!({ "prompt": SAID })),
        ("/api/embed", json!({ "input": SAID })),
        ("/api/embeddings", json!({ "prompt": SAID })),
    ];
    let settings = json!({ "actions": { "EMAIL_ADDRESS": "block" } });
    let mut server = start_with(Setup {
        every_dialect: true,
        ..redact(settings).await
    })
    .await;
    for (path, mut body) in cases {
        body["model"] = "scripted".into();
        let answer = send(server.address, post(path, &body)).await;
        let status = answer.status;
        let text = answer.text().await.unwrap();
        assert!(status.is_client_error(), "{path}: {status} {text}");
        assert!(text.contains("EMAIL_ADDRESS"), "{path}: {text}");
        assert!(!text.contains("alice"), "{path}: {text}");
        assert!(server.script.none_waits(), "{path}: the model was asked");
    }
}
