//! Filters that break or refuse: the model or the client sees nothing unfiltered, the answer is complete
//! and typed, and the audit says what happened. The misbehaving filter takes its orders from the model's
//! name.

use std::sync::{Arc, Mutex};

use atoll_gateway::FilterEntry;
use atoll_gateway::OnFault;
use atoll_gateway::audit::{Audit, AuditError, AuditRecord, Decision, Phase};
use atoll_plugin_runtime::{Grant, LoadPolicy, LoadedPlugin, PluginSource};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::client::{chunks, post, send, streamed_text};
use crate::server::{Setup, chat, load, runtime, start_with};

/// Text that a broken filter must not let out; the honest one would write it in capitals.
const HELD: &str = "held secret";

#[derive(Default)]
struct Trail {
    records: Mutex<Vec<AuditRecord>>,
    /// Refuses to record, as a full disk would.
    full: bool,
}

impl Audit for Trail {
    fn record(&self, records: Vec<AuditRecord>) -> BoxFuture<'_, Result<(), AuditError>> {
        self.records.lock().unwrap().extend(records);
        let outcome = if self.full {
            Err(AuditError {
                file: "audit.jsonl".to_owned(),
                reason: "no space left on device".to_owned(),
            })
        } else {
            Ok(())
        };
        async move { outcome }.boxed()
    }
}

impl Trail {
    fn decisions(&self) -> Vec<(Phase, Decision, Option<&'static str>)> {
        let records = self.records.lock().unwrap();
        records
            .iter()
            .map(|r| (r.phase, r.outcome, r.fault))
            .collect()
    }
}

async fn misbehaving(on_fault: OnFault) -> FilterEntry {
    let source = PluginSource::Bytes {
        name: "misbehaving".to_owned(),
        wasm: Arc::from(atoll_test_plugins::FILTER),
    };
    let policy = LoadPolicy {
        grants: Grant::all_local(),
        settings: json!({}),
    };
    match runtime().load(source, policy).await.unwrap() {
        LoadedPlugin::Filter(filter) => FilterEntry {
            on_fault,
            ..FilterEntry::new(filter)
        },
        _ => panic!("it is a filter"),
    }
}

async fn annotate(settings: Value) -> FilterEntry {
    match load("annotate", settings).await {
        LoadedPlugin::Filter(filter) => FilterEntry::new(filter),
        _ => panic!("annotate is a filter"),
    }
}

fn ask(what: &str, stream: bool) -> Value {
    let mut body = chat(stream);
    body["model"] = what.into();
    body
}

/// The error of an answer, streamed or not, and everything else that arrived.
fn parted(text: &str, stream: bool) -> (Option<Value>, String) {
    if !stream {
        let body: Value = serde_json::from_str(text).unwrap();
        return (body.get("error").cloned(), String::new());
    }
    let error = chunks(text)
        .iter()
        .find_map(|chunk| chunk.get("error").cloned());
    (error, streamed_text(text))
}

#[tokio::test]
async fn a_filter_that_breaks_on_the_request_keeps_it_from_the_model() {
    for (what, decision, fault) in [
        ("request:panic", Decision::Failed, Some("trap")),
        ("other-operation", Decision::Failed, Some("contract")),
        ("block", Decision::Refused, None),
        ("refuse-open", Decision::Refused, None),
    ] {
        for stream in [false, true] {
            let trail = Arc::new(Trail::default());
            // A second filter behind the broken one must not be reached either.
            let behind = annotate(json!({ "system_note": "note" })).await;
            let mut server = start_with(Setup {
                filters: vec![misbehaving(OnFault::Closed).await, behind],
                audit: Some(Arc::clone(&trail) as _),
                ..Setup::default()
            })
            .await;
            let body = ask(what, stream);
            let answer = send(server.address, post("/v1/chat/completions", &body)).await;
            assert!(!answer.status.is_success(), "{what}");
            let text = answer.text().await.unwrap();
            assert!(parted(&text, false).0.is_some(), "{what}: {text}");
            assert!(server.script.none_waits(), "{what}: the model was asked");
            assert_eq!(trail.decisions(), [(Phase::Request, decision, fault)]);
        }
    }
}

#[tokio::test]
async fn a_filter_that_breaks_on_the_answer_ends_it_with_an_error() {
    for (what, decision) in [
        ("events:panic", Decision::Failed),
        ("swallow-terminal", Decision::Failed),
        ("duplicate-terminal", Decision::Failed),
        ("amplify", Decision::Failed),
        ("events:loop", Decision::Failed),
        ("refuse-answer", Decision::Refused),
    ] {
        for stream in [false, true] {
            let trail = Arc::new(Trail::default());
            let mut server = start_with(Setup {
                filters: vec![misbehaving(OnFault::Closed).await],
                audit: Some(Arc::clone(&trail) as _),
                ..Setup::default()
            })
            .await;
            let body = ask(what, stream);
            let request = send(server.address, post("/v1/chat/completions", &body));
            let play = async {
                let play = server.script.next().await;
                play.start()
                    .say(0, HELD)
                    .say(0, "more than the sixteen bytes");
                play.finish(0).done(2);
            };
            let (answer, ()) = tokio::join!(request, play);
            let text = answer.text().await;
            let text = text.unwrap_or_else(|| panic!("{what}: the answer broke off"));
            let (error, said) = parted(&text, stream);
            assert!(error.is_some(), "{what} {stream}: {text}");
            // These two let the text itself pass and break on the last event.
            if !what.ends_with("-terminal") {
                assert!(
                    !text.contains(HELD) && !said.contains("more than"),
                    "{what}: {text}"
                );
            }
            let last = trail.decisions().last().copied().unwrap();
            assert_eq!((last.0, last.1), (Phase::Answer, decision), "{what}");
        }
    }
}

#[tokio::test]
async fn failing_open_goes_on_without_the_filter_but_not_half_way() {
    for (what, fails) in [
        ("request:panic", false),
        ("events:panic", false),
        ("later:panic", true),
    ] {
        let trail = Arc::new(Trail::default());
        let mut server = start_with(Setup {
            filters: vec![misbehaving(OnFault::Open).await],
            audit: Some(Arc::clone(&trail) as _),
            ..Setup::default()
        })
        .await;
        let body = ask(what, true);
        let request = send(server.address, post("/v1/chat/completions", &body));
        let play = async {
            let play = server.script.next().await;
            play.start().say(0, "one ");
            play
        };
        let (mut answer, play) = tokio::join!(request, play);
        // The first word has been through the filter, or past it, before the others are said.
        let first = answer.until(if fails { "ONE" } else { "one" }).await;
        for word in ["two ", "three ", "four"] {
            play.say(0, word);
        }
        play.finish(0).done(4);
        let text = first + &answer.text().await.unwrap();
        let (error, said) = parted(&text, true);
        if fails {
            // It had written capitals; small letters behind them would be half an answer filtered.
            assert!(error.is_some() && said.starts_with("ONE"), "{text}");
            assert!(!said.contains("four"), "{said}");
        } else {
            assert!(error.is_none(), "{text}");
            assert_eq!(said, "one two three four");
            let bypassed = trail.decisions().iter().any(|d| d.1 == Decision::Bypassed);
            assert!(bypassed, "{:?}", trail.decisions());
        }
    }
}

#[tokio::test]
async fn without_its_audit_record_nothing_goes_on() {
    let trail = Arc::new(Trail {
        full: true,
        ..Trail::default()
    });
    let mut server = start_with(Setup {
        filters: vec![annotate(json!({ "system_note": "note" })).await],
        audit: Some(Arc::clone(&trail) as _),
        ..Setup::default()
    })
    .await;
    let answer = send(server.address, post("/v1/chat/completions", &chat(false))).await;
    assert_eq!(answer.status.as_u16(), 500);
    assert!(server.script.none_waits(), "the model was asked");
}

#[tokio::test]
async fn the_audit_has_every_filter_in_order_and_no_text() {
    let trail = Arc::new(Trail::default());
    let redact = match load("redact-pii", json!({})).await {
        LoadedPlugin::Filter(filter) => FilterEntry::new(filter),
        _ => panic!("redact-pii is a filter"),
    };
    let hash = redact.filter.info().sha256.clone();
    let mut server = start_with(Setup {
        filters: vec![annotate(json!({ "system_note": "note" })).await, redact],
        audit: Some(Arc::clone(&trail) as _),
        ..Setup::default()
    })
    .await;
    let mut body = chat(false);
    body["messages"][0]["content"] = "I am alice@example.com, card 4111 1111 1111 1111".into();
    body["metadata"] = json!({ "alice@example.com": "bob@example.com" });
    let request = send(server.address, post("/v1/chat/completions", &body));
    let play = async { server.script.next().await.answer("Hi") };
    let (answer, ()) = tokio::join!(request, play);
    assert!(answer.status.is_success());
    let id = answer.header("x-request-id").to_owned();
    let records = trail.records.lock().unwrap();
    let text = serde_json::to_string(&*records).unwrap();
    for content in ["alice", "bob@", "4111"] {
        assert!(!text.contains(content), "{text}");
    }
    let plugins: Vec<_> = records.iter().map(|r| r.plugin.as_str()).collect();
    assert_eq!(plugins, ["annotate", "redact-pii"]);
    assert_eq!((&records[1].sha256, &records[1].request), (&hash, &id));
    assert_eq!(
        (records[1].dialect.as_str(), records[1].operation),
        ("openai", "generate")
    );
    let kinds: Vec<_> = records[1]
        .findings
        .iter()
        .map(|f| f.kind.as_str())
        .collect();
    assert!(
        kinds.contains(&"CREDIT_CARD") && kinds.contains(&"EMAIL_ADDRESS"),
        "{kinds:?}"
    );
}
