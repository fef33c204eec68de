//! Not a test but a server for third-party checks that stand on both sides of a gateway: the model's words
//! come from an upstream that the check runs. `tests/third-party/redaction.py` starts it:
//!
//! ```text
//! ATOLL_RELAY_UPSTREAM=127.0.0.1:8765 ATOLL_RELAY_ADDRESS=address.txt ATOLL_RELAY_SETTINGS=settings.json \
//!     cargo test -p atoll-gateway --test http relay::serve -- --ignored
//! ```
//!
//! Everything but the model is the real thing: sockets, dialect, filter in its sandbox, streaming.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{post, send};
use crate::engine::Play;
use crate::redaction::redact;
use crate::server::start_with;

/// Serves until standard input ends.
#[tokio::test]
#[ignore = "a server for third-party checks, not a test"]
async fn serve() {
    let setting = |name: &str| std::env::var(format!("ATOLL_RELAY_{name}")).unwrap();
    let upstream: SocketAddr = setting("UPSTREAM").parse().unwrap();
    let settings = std::fs::read_to_string(setting("SETTINGS")).unwrap();
    let mut server = start_with(redact(serde_json::from_str(&settings).unwrap()).await).await;
    std::fs::write(setting("ADDRESS"), server.address.to_string()).unwrap();
    let mut tasks = JoinSet::new();
    let mut end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    loop {
        tokio::select! {
            _ = &mut end => break,
            play = server.script.next_ever() => {
                tasks.spawn(relay(Arc::new(play), upstream));
            }
            Some(done) = tasks.join_next() => done.unwrap(),
        }
    }
}

/// Sends the last message on and plays the answer as it comes.
async fn relay(play: Arc<Play>, upstream: SocketAddr) {
    let prompt: Vec<u8> = play
        .request
        .prompt
        .tokens()
        .iter()
        .map(|&token| u8::try_from(token).unwrap())
        .collect();
    let prompt = String::from_utf8(prompt).unwrap();
    // Messages are rendered as `<"role">"content"`.
    let (_, last) = prompt.rsplit_once("\">").unwrap();
    let content: String = serde_json::from_str(last).unwrap();
    let body = json!({ "model": "relay", "stream": true, "messages": [{ "role": "user", "content": content }] });
    let mut answer = send(upstream, post("/v1/chat/completions", &body)).await;
    play.start();
    let mut buffer = String::new();
    while let Some(piece) = answer.piece().await {
        buffer.push_str(&piece);
        while let Some((line, rest)) = buffer.split_once('\n') {
            if let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") {
                let event: Value = serde_json::from_str(data).unwrap();
                play.say(0, event["choices"][0]["delta"]["content"].as_str().unwrap());
            }
            buffer = rest.to_owned();
        }
    }
    play.finish(0).done(1);
}
