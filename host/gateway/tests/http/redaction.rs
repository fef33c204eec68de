//! The redaction filter in its sandbox, between a client and a model that repeats what it is told.

use atoll_gateway::FilterEntry;
use atoll_plugin_runtime::LoadedPlugin;
use serde_json::json;

use crate::client::{post, send, streamed_text};
use crate::server::{Setup, chat, load, start_with};

async fn redact(settings: serde_json::Value) -> Setup {
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
