//! The response object, and what streams end with.

use atoll_sdk::dialect::Exchange;
use atoll_sdk::types::*;
use serde_json::{Value, json};

use super::streams::follow;
use super::*;

#[test]
fn names_come_back_as_the_client_knows_them() {
    let items = [(3, vec!["x".into()]), (4, vec!["*** Begin\n".into()])];
    let response = follow(&run(true, [events(&items, FinishReason::ToolCalls)]));
    assert_eq!(response["output"][0]["name"], "run");
    assert_eq!(response["output"][0]["namespace"], "shell");
    assert_eq!(response["output"][1]["type"], "custom_tool_call");
    assert_eq!(response["output"][1]["input"], "*** Begin\n");
    assert_eq!(response["status"], "completed");
}

#[test]
fn a_limit_is_incomplete_and_a_failure_fails() {
    let response = follow(&run(
        true,
        [events(&[(0, vec!["a".into()])], FinishReason::Length)],
    ));
    assert_eq!(response["status"], "incomplete");
    assert_eq!(
        response["incomplete_details"]["reason"],
        "max_output_tokens"
    );
    let mut started = events(&[(0, vec!["a".into()])], FinishReason::Stop);
    started.truncate(3);
    started.push(Event::Failed(Error::context_overflow(9, 4)));
    let response = follow(&run(true, [started]));
    assert_eq!(response["status"], "failed");
    assert_eq!(response["error"]["code"], "context_length_exceeded");
}

#[test]
fn the_response_object_has_every_key() {
    let response: Value =
        serde_json::from_slice(&run(false, [events(&[], FinishReason::Stop)])).unwrap();
    for key in [
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
    ] {
        assert!(response.get(key).is_some(), "{key}");
    }
    assert_eq!(response["usage"]["total_tokens"], 27);
}

#[test]
fn the_answer_repeats_its_request() {
    let bytes = run(false, [events(&[], FinishReason::Stop)]);
    let response: Value = serde_json::from_slice(&bytes).unwrap();
    let sent = rich(false);
    for key in [
        "instructions",
        "metadata",
        "temperature",
        "reasoning",
        "text",
        "tool_choice",
    ] {
        assert_eq!(response[key], sent[key], "{key}");
    }
    assert_eq!(response["tools"][0]["type"], "namespace");
    assert_eq!(response["tools"][0]["tools"][0]["name"], "run");
    assert_eq!(response["tools"][1]["type"], "custom");
    assert_eq!(response["tools"][2], sent["tools"][2]);
    assert_eq!(response["service_tier"], "default", "as it was served");
    assert_eq!(
        response["store"], true,
        "as in the original, unless told otherwise"
    );
}

#[test]
fn the_end_user_is_shown_where_it_was_named() {
    for (field, other) in [("user", "safety_identifier"), ("safety_identifier", "user")] {
        let mut exchange = exchange(
            "/v1/responses",
            &json!({"model": "m", "input": "x", field: "u"}),
        );
        exchange.decode().unwrap();
        let bytes = exchange.encode(events(&[], FinishReason::Stop)).unwrap();
        let response: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            (&response[field], &response[other]),
            (&json!("u"), &Value::Null)
        );
    }
}

/// What is left of a key's limits is in the head of every kind of answer.
#[test]
fn limits_are_told() {
    let limits =
        json!({"rate_limits": {"requests": {"limit": 10, "remaining": 9, "reset_ms": 6000}}});
    let limited = |mut exchange: ResponsesExchange| {
        exchange.request.ext = Some(limits.to_string());
        ResponsesExchange::new(exchange.request)
    };
    let told = |head: &ResponseHead| {
        let limit = |header: &&Header| header.name == "x-ratelimit-remaining-requests";
        head.headers
            .iter()
            .find(limit)
            .map(|header| header.value.clone())
    };
    let mut asked = limited(exchange("/v1/responses", &rich(true)));
    asked.decode().unwrap();
    let mut counted = limited(exchange("/v1/responses/input_tokens", &rich(false)));
    counted.decode().unwrap();
    let mut get = limited(about("GET", "/v1/responses/resp_9", &[]));
    get.decode().unwrap();
    for head in [
        asked.head(),
        asked.fail(Error::internal("x")).head,
        counted.reply(OperationResult::TokenCount(1)).unwrap().head,
        get.reply(stored(vec![], StoredStatus::Queued))
            .unwrap()
            .head,
    ] {
        assert_eq!(told(&head).as_deref(), Some("9"), "{head:?}");
    }
}

#[test]
fn what_the_host_refuses_of_a_message_is_a_fault_of_the_input() {
    for (named, told) in [
        ("messages[1].content[0]", "input"),
        ("messages", "input"),
        ("top_p", "top_p"),
    ] {
        let mut exchange = exchange("/v1/responses", &rich(false));
        exchange.decode().unwrap();
        let response = exchange.fail(Error::invalid(named, "Send text."));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["error"]["param"], told);
        assert_eq!(body["error"]["message"], "Send text.");
    }
}
