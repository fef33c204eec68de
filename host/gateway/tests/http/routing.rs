//! Everything before a dialect, and the host's own paths.

use serde_json::json;

use crate::client::{get, post, request, send};
use crate::server::{Setup, chat, start, start_with};

#[tokio::test]
async fn an_unknown_path_is_told_which_paths_there_are() {
    let server = start().await;
    // No dialect has a path that begins so.
    let answer = send(
        server.address,
        post("/proxy/v1/chat/completions", &chat(false)),
    )
    .await;
    assert_eq!(answer.status, 404);
    let body = answer.json().await;
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("/v1/chat/completions?"), "{message}");
    let routes = body["routes"]["openai"].as_array().unwrap();
    assert!(
        routes.contains(&json!("POST /v1/chat/completions")),
        "{body}"
    );
    let answer = send(server.address, get("/atoll/v9/nothing")).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn an_unknown_path_of_a_dialect_is_refused_in_its_words() {
    let server = start().await;
    let answer = send(server.address, get("/v1/chat/nonsense")).await;
    assert_eq!(answer.status, 404);
    let body = answer.json().await;
    assert_eq!(body["error"]["type"], "invalid_request_error", "{body}");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("GET /v1/chat/nonsense"), "{message}");
    assert!(body["routes"].is_null(), "{body}");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let server = start().await;
    let answer = send(server.address, get("/v1/chat/completions")).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), "POST");
    assert!(
        answer.json().await["error"]["message"]
            .as_str()
            .unwrap()
            .contains("POST")
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_in_the_dialects_own_shape() {
    let change = |options: &mut atoll_gateway::GatewayOptions| {
        options.limits.max_body_bytes = 1000;
    };
    let server = start_with(Setup {
        change: Some(change),
        ..Setup::default()
    })
    .await;
    let mut large = chat(false);
    large["messages"][0]["content"] = json!("x".repeat(1500));
    let answer = send(server.address, post("/v1/chat/completions", &large)).await;
    assert_eq!(answer.status, 413);
    let body = answer.json().await;
    // Four keys, as official clients expect them.
    let error = body["error"].as_object().unwrap();
    for key in ["message", "type", "param", "code"] {
        assert!(error.contains_key(key), "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_the_clients_error() {
    let server = start().await;
    let garbage = request("POST", "/v1/chat/completions", &[], b"{".to_vec());
    let answer = send(server.address, garbage).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json().await["error"]["type"],
        "invalid_request_error"
    );
}

#[tokio::test]
async fn names_and_origins_that_are_not_ours_are_refused() {
    let change = |options: &mut atoll_gateway::GatewayOptions| {
        options.access.allowed_origins = vec!["https://chat.example.com".to_owned()];
    };
    let server = start_with(Setup {
        change: Some(change),
        ..Setup::default()
    })
    .await;
    let ask = |headers: &'static [(&'static str, &'static str)]| {
        send(
            server.address,
            request("GET", "/v1/models", headers, vec![]),
        )
    };
    assert_eq!(ask(&[("host", "evil.example")]).await.status, 403);
    assert_eq!(ask(&[("origin", "https://evil.example")]).await.status, 403);
    let answer = ask(&[("origin", "https://chat.example.com")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://chat.example.com"
    );
    let headers = [
        ("origin", "https://chat.example.com"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type,authorization",
        ),
    ];
    let preflight = request("OPTIONS", "/v1/chat/completions", &headers, vec![]);
    let answer = send(server.address, preflight).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-methods"), "POST");
}

#[tokio::test]
async fn a_request_id_is_kept() {
    let server = start().await;
    let answer = send(
        server.address,
        request("GET", "/healthz", &[("x-request-id", "abc-1")], vec![]),
    )
    .await;
    assert_eq!(answer.header("x-request-id"), "abc-1");
}

#[tokio::test]
async fn the_hosts_own_paths_tell_facts() {
    let mut server = start().await;
    let get = |path: &'static str| send(server.address, get(path));
    assert_eq!(get("/healthz").await.text().await.unwrap(), "ok\n");
    assert_eq!(get("/readyz").await.status, 200);
    assert_eq!(
        get("/atoll/v1/version").await.json().await["version"],
        "0.0.0-test"
    );
    let plugins = get("/atoll/v1/plugins").await.json().await;
    assert_eq!(plugins["dialects"][0]["name"], "openai");
    assert_eq!(
        get("/atoll/v1/models").await.json().await["models"][0]["id"],
        "scripted"
    );
    assert!(
        get("/")
            .await
            .text()
            .await
            .unwrap()
            .contains("POST /v1/chat/completions")
    );
    let request = send(server.address, post("/v1/chat/completions", &chat(false)));
    let play = async { server.script.next().await.answer("Hi") };
    let (answer, ()) = tokio::join!(request, play);
    answer.json().await;
    let metrics = send(server.address, crate::client::get("/metrics"))
        .await
        .text()
        .await
        .unwrap();
    for line in [
        "atoll_requests_total{dialect=\"openai\",operation=\"chat\",status=\"200\",outcome=\"finished\"} 1",
        "atoll_tokens_total{model=\"scripted\",kind=\"output\"} 2",
        "atoll_engine_sequences{model=\"scripted\",state=\"running\"} 3",
        "atoll_time_to_first_token_seconds_count{model=\"scripted\"} 1",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
}
