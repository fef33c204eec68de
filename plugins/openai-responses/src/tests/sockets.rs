//! The messages of a WebSocket.

use atoll_sdk::dialect::Exchange;
use atoll_sdk::types::*;
use serde_json::{Value, json};

use super::*;

fn message(body: &Value) -> ResponsesExchange {
    ResponsesExchange::new(HttpRequest {
        method: "GET".into(),
        headers: vec![Header::new("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")],
        path_params: vec![],
        body: body.to_string().into_bytes(),
        ..about("GET", "/v1/responses", &[]).request
    })
}

#[test]
fn a_socket_speaks_in_lines() {
    let mut socket = message(&json!({"type": "response.create", "model": "m", "input": "x"}));
    assert!(
        matches!(socket.decode(), Ok(Operation::Generate(request)) if request.streaming.enabled)
    );
    let bytes = socket
        .encode(events(&[(0, vec!["a\nb".into()])], FinishReason::Stop))
        .unwrap();
    let lines: Vec<Value> = std::str::from_utf8(&bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["type"], "response.created");
    assert_eq!(lines.last().unwrap()["type"], "response.completed");
    let mut wrong = message(&json!({"type": "response.delete"}));
    let error = wrong.decode().unwrap_err();
    let line: Value = serde_json::from_slice(&wrong.fail(error).body).unwrap();
    assert_eq!(
        (line["type"].as_str(), line["status"].as_u64()),
        (Some("error"), Some(400))
    );
}

#[test]
fn warming_up_answers_with_nothing() {
    let mut socket =
        message(&json!({"type": "response.create", "model": "m", "input": "x", "generate": false}));
    assert!(
        matches!(socket.decode(), Ok(Operation::Generate(request)) if request.max_output_tokens == Some(0))
    );
    let bytes = socket
        .encode(events(&[(0, vec![])], FinishReason::Length))
        .unwrap();
    let last: Value =
        serde_json::from_str(std::str::from_utf8(&bytes).unwrap().lines().last().unwrap()).unwrap();
    assert_eq!(
        (last["type"].as_str(), &last["response"]["output"]),
        (Some("response.completed"), &json!([]))
    );
}

#[test]
fn the_cache_is_warmed_over_http_too() {
    let request =
        decode(&json!({"model": "m", "input": "x", "prompt_cache_options": {"prewarm": true}}))
            .unwrap();
    assert_eq!(request.max_output_tokens, Some(0));
}

#[test]
fn every_event_names_its_lane() {
    let create = json!({"type": "response.create", "model": "m", "input": "x", "stream_id": "a"});
    let mut socket = message(&create);
    socket.decode().unwrap();
    let bytes = socket
        .encode(events(&[(0, vec!["x".into()])], FinishReason::Stop))
        .unwrap();
    for line in std::str::from_utf8(&bytes).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["stream_id"], "a");
    }
    let mut wrong = message(&json!({"type": "response.create", "input": "x", "stream_id": "a"}));
    let error = wrong.decode().unwrap_err();
    let line: Value = serde_json::from_slice(&wrong.fail(error).body).unwrap();
    assert_eq!(
        (&line["stream_id"], &line["error"]["param"]),
        (&json!("a"), &json!("model"))
    );
}

#[test]
fn input_that_cannot_steer_is_given_back() {
    let input = json!([{"role": "user", "content": "stop\nthat"}]);
    let mut steer = message(
        &json!({"type": "response.steer", "previous_response_id": "resp_1", "input": input}),
    );
    let error = steer.decode().unwrap_err();
    let failed = steer.fail(error);
    assert!(!failed.body.contains(&b'\n'), "one message");
    let event: Value = serde_json::from_slice(&failed.body).unwrap();
    assert_eq!(event["type"], "response.steer.failed");
    assert_eq!(event["error"]["code"], "steering_not_supported");
    assert_eq!(
        event["steer"],
        json!({"input": input, "previous_response_id": "resp_1"})
    );
}
