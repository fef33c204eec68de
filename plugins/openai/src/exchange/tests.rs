//! Whole exchanges, as the host drives them.

use atoll_sdk::dialect::{Dialect, Exchange};
use atoll_sdk::types::{Error, ErrorKind, Header, HttpRequest, Operation, OperationResult, Part};
use proptest::prelude::*;
use serde_json::Value;

use super::OneRequest;
use crate::OpenAi;

fn request(method: &str, path: &str, body: &str) -> HttpRequest {
    HttpRequest {
        id: "r".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        path_params: Vec::new(),
        query: Vec::new(),
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
        received_at: 0,
        ext: None,
    }
}

fn content_type(headers: &[Header]) -> &str {
    &headers
        .iter()
        .find(|header| header.name == "content-type")
        .unwrap()
        .value
}

#[test]
fn every_declared_route_leads_somewhere() {
    for route in OpenAi::describe().routes {
        let chat =
            r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"prompt":"x","input":"x"}"#;
        let path = route.path.replace("{id...}", "org/name");
        let mut request = request(&route.method, &path, chat);
        if route.path.contains("{id...}") {
            request
                .path_params
                .push(("id".to_owned(), "org/name".to_owned()));
        }
        let operation = OneRequest::new(request).decode().unwrap();
        let fits = match (route.method.as_str(), path.trim_start_matches("/v1")) {
            ("POST", "/embeddings") => matches!(operation, Operation::Embed(_)),
            ("POST", _) => matches!(operation, Operation::Generate(_)),
            (_, "/models") => operation == Operation::ListModels,
            _ => operation == Operation::ShowModel("org/name".to_owned()),
        };
        assert!(fits, "{} {path}: {operation:?}", route.method);
    }
}

#[test]
fn the_head_says_in_which_form_the_answer_comes() {
    let body = |stream: bool| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],"stream":{stream}}}"#
        )
    };
    for (stream, expected) in [
        (true, "text/event-stream; charset=utf-8"),
        (false, "application/json"),
    ] {
        let mut exchange = OneRequest::new(request("POST", "/v1/chat/completions", &body(stream)));
        exchange.decode().unwrap();
        let head = exchange.head();
        assert_eq!((head.status, content_type(&head.headers)), (200, expected));
    }
}

#[test]
fn a_request_that_cannot_be_read_can_still_be_answered() {
    for body in ["", "{", "[]", "{\"model\":\"m\"}", "\u{0}"] {
        let mut exchange = OneRequest::new(request("POST", "/v1/chat/completions", body));
        let reason = exchange.decode().unwrap_err();
        let response = exchange.fail(reason);
        assert_eq!(response.head.status, 400);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
}

#[test]
fn results_that_do_not_belong_are_errors_and_not_answers() {
    let mut exchange = OneRequest::new(request("GET", "/v1/models", ""));
    assert!(exchange.reply(OperationResult::None).is_err());
    exchange.decode().unwrap();
    assert!(exchange.encode(Vec::new()).is_err());
    assert!(exchange.reply(OperationResult::TokenCount(1)).is_err());
    let response = exchange.reply(OperationResult::Models(Vec::new())).unwrap();
    assert_eq!(response.body, br#"{"object":"list","data":[]}"#);
    assert_eq!(exchange.decode().unwrap_err().kind, ErrorKind::Internal);
}

#[test]
fn an_unknown_url_is_not_found() {
    let mut exchange = OneRequest::new(request("POST", "/v1/unknown", "{}"));
    assert_eq!(exchange.decode().unwrap_err().kind, ErrorKind::NotFound);
    let response = exchange.fail(Error::model_not_found("m"));
    assert_eq!(response.head.status, 404);
}

#[test]
fn a_prompt_survives_word_for_word() {
    let text = "tabs\t, quotes \" and \u{1f600}, and a nul \u{0}";
    let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    let path = "/v1/chat/completions";
    let mut exchange = OneRequest::new(request("POST", path, &body.to_string()));
    let Operation::Generate(generate) = exchange.decode().unwrap() else {
        panic!()
    };
    let atoll_sdk::types::Prompt::Conversation(messages) = generate.prompt else {
        panic!()
    };
    assert_eq!(messages[0].parts, [Part::text(text)]);
}

/// Any JSON, shallow enough to read in a failure.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "user",
            "function",
            "custom",
            "text",
            "json_schema",
            "\u{e9}"
        ])
        .prop_map(Value::from),
    ];
    let names = [
        "type",
        "role",
        "content",
        "function",
        "name",
        "url",
        "text",
        "image_url",
        "tools",
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let name = prop::sample::select(names.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_client_sends_is_understood_or_refused_with_a_reason(
        value in json(),
        name in prop::sample::select(vec![
            "model", "messages", "prompt", "input", "stream", "stream_options", "stop", "n", "seed",
            "tools", "tool_choice", "functions", "function_call", "response_format", "logit_bias",
            "reasoning", "metadata", "keep_alive", "modalities", "best_of", "logprobs", "max_tokens",
        ]),
        path in prop::sample::select(vec![
            "/v1/chat/completions", "/v1/completions", "/v1/embeddings",
        ]),
    ) {
        let mut body = serde_json::json!({
            "model": "m", "messages": [{"role": "user", "content": "Hi"}], "prompt": "x", "input": "x",
        });
        body[name] = value;
        let mut exchange = OneRequest::new(request("POST", path, &body.to_string()));
        if let Err(reason) = exchange.decode() {
            prop_assert!(reason.param.is_some(), "{reason:?}");
            let response = exchange.fail(reason);
            prop_assert_eq!(response.head.status, 400);
            prop_assert!(serde_json::from_slice::<Value>(&response.body).is_ok());
        }
    }

    #[test]
    fn bytes_that_are_no_json_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut http = request("POST", "/v1/chat/completions", "");
        http.body = bytes;
        let mut exchange = OneRequest::new(http);
        if let Err(reason) = exchange.decode() {
            prop_assert_eq!(exchange.fail(reason).head.status, 400);
        }
    }
}
