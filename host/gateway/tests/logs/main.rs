//! What the log holds. Alone in its process: which events a log gets is settled once for all threads, so
//! that tests beside it, which have no log, could keep an event from it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![expect(dead_code, reason = "helpers that only the other tests use")]

#[path = "../http/client.rs"]
mod client;
#[path = "../http/elsewhere.rs"]
mod elsewhere;
#[path = "../http/engine.rs"]
mod engine;
#[path = "../http/server.rs"]
mod server;

use atoll_gateway::FilterEntry;
use atoll_plugin_runtime::LoadedPlugin;
use serde_json::json;

use crate::client::{post, send};
use crate::server::{Setup, chat, load, start_with};

/// Collects what every `tracing` event of this thread says.
#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// At the most talkative level, logs and spans show tokens and never a value.
#[tokio::test]
async fn logs_see_what_the_model_sees() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let mut server = start_with(redact().await).await;
    let mut body = chat(true);
    body["messages"][0]["content"] = "To alice@example.com, CIN 09876543".into();
    let request = send(server.address, post("/v1/chat/completions", &body));
    let play = async { server.script.next().await.answer("Done") };
    let (answer, ()) = tokio::join!(request, play);
    answer.text().await.unwrap();
    drop(guard);
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("PII_EMAIL_1_"),
        "the debug view is missing: {log}"
    );
    // The test's own client and the HTTP library may say what they like: the gateway's words count.
    let ours: Vec<_> = log.lines().filter(|line| line.contains("atoll")).collect();
    for secret in ["alice", "09876543"] {
        let leak = ours.iter().find(|line| line.contains(secret));
        assert!(leak.is_none(), "{leak:?}");
    }
}

async fn redact() -> Setup {
    match load("redact-pii", json!({})).await {
        LoadedPlugin::Filter(filter) => Setup {
            filters: vec![FilterEntry::new(filter)],
            ..Setup::default()
        },
        _ => panic!("redact-pii is a filter"),
    }
}
