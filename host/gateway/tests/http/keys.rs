//! Keys: who gets in, for what, how much, and what the answers say about it.

use std::sync::Arc;

use atoll_gateway::keys::{KeyFile, KeyLimits, KeyRing, NewKey};
use atoll_gateway::{FilterEntry, GatewayOptions};
use atoll_plugin_runtime::LoadedPlugin;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::client::{Answer, get, post, send};
use crate::engine::MODEL;
use crate::server::{Setup, TestServer, chat, load, start_with};

/// A ring with these keys, and the keys in the same order.
pub fn ring(new: Vec<NewKey>) -> (Arc<KeyRing>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let file = KeyFile::at(&path);
    let keys = new.into_iter().map(|new| file.create(new, 1).unwrap());
    let keys = keys.collect();
    (Arc::new(KeyRing::open(path).unwrap()), keys)
}

pub fn named(name: &str) -> NewKey {
    NewKey {
        name: name.to_owned(),
        ..NewKey::default()
    }
}

pub fn limited(limits: KeyLimits) -> NewKey {
    NewKey {
        limits,
        ..named("ci")
    }
}

fn demanding(options: &mut GatewayOptions) {
    options.access.require_key = true;
}

async fn server(keys: Arc<KeyRing>) -> TestServer {
    start_with(Setup {
        change: Some(demanding),
        keys,
        ..Setup::default()
    })
    .await
}

fn with(
    mut request: Request<Full<bytes::Bytes>>,
    header: &'static str,
    value: &str,
) -> Request<Full<bytes::Bytes>> {
    request.headers_mut().insert(header, value.parse().unwrap());
    request
}

fn bearer(request: Request<Full<bytes::Bytes>>, key: &str) -> Request<Full<bytes::Bytes>> {
    with(request, "authorization", &format!("Bearer {key}"))
}

/// A chat that is answered, on this key.
async fn answered(server: &mut TestServer, key: &str) -> Answer {
    let request = bearer(post("/v1/chat/completions", &chat(false)), key);
    let play = async { server.script.next().await.answer("Hi") };
    let (answer, ()) = tokio::join!(send(server.address, request), play);
    answer
}

#[tokio::test]
async fn only_working_keys_get_in_and_the_api_says_so_in_its_own_words() {
    let expired = NewKey {
        expires: Some(2),
        ..named("old")
    };
    let (ring, keys) = ring(vec![named("ci"), expired]);
    let mut server = server(ring).await;
    let ask = || post("/v1/chat/completions", &chat(false));
    for request in [
        ask(),
        bearer(ask(), "sk-atoll-wrong"),
        bearer(ask(), &keys[1]),
        with(ask(), "x-api-key", "wrong"),
        with(ask(), "authorization", &keys[0]),
    ] {
        let answer = send(server.address, request).await;
        assert_eq!(answer.status, 401);
        let body = answer.json().await;
        assert_eq!(body["error"]["code"], "invalid_api_key", "{body}");
    }
    let request = with(ask(), "x-api-key", &keys[0]);
    let play = async { server.script.next().await.answer("Hi") };
    let (answer, ()) = tokio::join!(send(server.address, request), play);
    assert_eq!(answer.status, 200);
    assert_eq!(answered(&mut server, &keys[0]).await.status, 200);
    // Whoever watches the host from outside needs none.
    assert_eq!(send(server.address, get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn on_loopback_a_key_nobody_knows_is_a_placeholder() {
    let mut server = start_with(Setup::default()).await;
    assert_eq!(answered(&mut server, "unused").await.status, 200);
}

#[tokio::test]
async fn a_key_reaches_its_models_only() {
    let other = NewKey {
        models: vec!["other*".to_owned()],
        ..named("other")
    };
    let mine = NewKey {
        models: vec!["script*".to_owned()],
        ..named("mine")
    };
    let (ring, keys) = ring(vec![other, mine]);
    let mut server = server(ring).await;
    let request = bearer(post("/v1/chat/completions", &chat(false)), &keys[0]);
    let answer = send(server.address, request).await;
    assert_eq!(answer.status, 403);
    let message = answer.json().await["error"]["message"].to_string();
    assert!(
        message.contains("other") && message.contains(MODEL),
        "{message}"
    );
    assert_eq!(answered(&mut server, &keys[1]).await.status, 200);
    for (key, count) in [(&keys[0], 0), (&keys[1], 1)] {
        let list = send(server.address, bearer(get("/v1/models"), key)).await;
        assert_eq!(list.json().await["data"].as_array().unwrap().len(), count);
    }
}

#[tokio::test]
async fn a_used_up_quota_is_told_with_the_apis_headers() {
    let (ring, keys) = ring(vec![limited(KeyLimits {
        requests_per_minute: Some(1),
        tokens_per_minute: Some(100_000),
        ..KeyLimits::default()
    })]);
    let mut server = server(ring).await;
    let answer = answered(&mut server, &keys[0]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "1");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "0");
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), "100000");

    let request = bearer(post("/v1/chat/completions", &chat(true)), &keys[0]);
    let answer = send(server.address, request).await;
    assert_eq!(answer.status, 429);
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // What the prompt and the answer took is gone as well.
    let left: u64 = answer
        .header("x-ratelimit-remaining-tokens")
        .parse()
        .unwrap();
    assert!(left < 100_000, "{left}");
    assert_eq!(answer.json().await["error"]["code"], "rate_limit_exceeded");
}

#[tokio::test]
async fn a_request_under_way_keeps_its_place_until_it_ends() {
    let (ring, keys) = ring(vec![limited(KeyLimits {
        concurrent: Some(1),
        ..KeyLimits::default()
    })]);
    let mut server = server(ring).await;
    let request = || bearer(post("/v1/chat/completions", &chat(true)), &keys[0]);
    let (mut first, play) = tokio::join!(send(server.address, request()), server.script.next());
    play.start().say(0, "Hi");
    first.until("Hi").await;
    assert_eq!(send(server.address, request()).await.status, 429);
    // Leaving early gives the place back as well.
    drop(first);
    play.cancelled().await;
    let mut patience = 200;
    let second = loop {
        let answer = send(server.address, request()).await;
        if answer.status != 429 {
            break answer;
        }
        patience -= 1;
        assert!(patience > 0, "the place was not given back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(second.status, 200);
}

#[tokio::test]
async fn a_filter_may_be_for_some_keys() {
    let annotate = match load("annotate", json!({ "tag": "[tag]" })).await {
        LoadedPlugin::Filter(filter) => FilterEntry {
            keys: vec!["team-*".to_owned()],
            ..FilterEntry::new(filter)
        },
        _ => panic!("annotate is a filter"),
    };
    let (ring, keys) = ring(vec![named("team-a"), named("ci")]);
    let mut server = start_with(Setup {
        filters: vec![annotate],
        keys: ring,
        ..Setup::default()
    })
    .await;
    let text = |body: Value| body["choices"][0]["message"]["content"].to_string();
    for (key, tagged) in [
        (keys[0].as_str(), true),
        (&keys[1], false),
        ("unused", false),
    ] {
        let body = answered(&mut server, key).await.json().await;
        assert_eq!(text(body).contains("[tag]"), tagged, "{key}");
    }
}

#[tokio::test]
async fn what_belongs_to_the_host_needs_an_administrator_where_others_can_reach_it() {
    let admin = NewKey {
        admin: true,
        ..named("ops")
    };
    let (ring, keys) = ring(vec![named("ci"), admin]);
    for insecure in [false, true] {
        let open: fn(&mut GatewayOptions) = |options| options.access.insecure = true;
        let mut server = start_with(Setup {
            change: insecure.then_some(open),
            keys: Arc::clone(&ring),
            wide: true,
            ..Setup::default()
        })
        .await;
        for path in [
            "/metrics",
            "/atoll/v1/models",
            "/atoll/v1/plugins",
            "/atoll/none",
        ] {
            assert_eq!(send(server.address, get(path)).await.status, 401, "{path}");
            let known = send(server.address, bearer(get(path), &keys[0])).await;
            assert_eq!(known.status, 403, "{path}");
            let admin = send(server.address, bearer(get(path), &keys[1])).await;
            let expected = if path == "/atoll/none" { 404 } else { 200 };
            assert_eq!(admin.status, expected, "{path}");
        }
        if insecure {
            assert_eq!(answered(&mut server, "unused").await.status, 200);
        } else {
            let request = bearer(post("/v1/chat/completions", &chat(false)), "unused");
            assert_eq!(send(server.address, request).await.status, 401);
        }
        assert_eq!(answered(&mut server, &keys[0]).await.status, 200);
        let metrics = send(server.address, bearer(get("/metrics"), &keys[1])).await;
        let metrics = metrics.text().await.unwrap();
        let line = "atoll_key_requests_total{key=\"ci\",outcome=\"finished\"} 1";
        assert!(metrics.contains(line), "{metrics}");
        assert!(!metrics.contains(&keys[0]));
    }
}
