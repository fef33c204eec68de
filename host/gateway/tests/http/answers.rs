//! Answers: streamed or not, one or many, slow ones, and the client that does not wait.

use std::time::Duration;

use atoll_engine::engine::{EngineError, GenerationEvent};
use serde_json::json;

use crate::client::{chunks, get, post, request, send, streamed_text};
use crate::engine::{MISSING, MODEL};
use crate::server::{Setup, chat, start, start_with};

#[tokio::test]
async fn a_whole_answer_has_text_usage_and_finish() {
    let mut server = start().await;
    let request = send(server.address, post("/v1/chat/completions", &chat(false)));
    let play = async { server.script.next().await.answer("Hi there") };
    let (answer, ()) = tokio::join!(request, play);
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .starts_with("application/json")
    );
    assert!(answer.header("x-request-id").starts_with("req_"));
    let body = answer.json().await;
    assert_eq!(body["choices"][0]["message"]["content"], "Hi there");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["model"], MODEL);
    let prompt = body["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(prompt > 5, "{body}");
    assert_eq!(body["usage"]["completion_tokens"], 2);
    assert_eq!(body["usage"]["total_tokens"], prompt + 2);
}

#[tokio::test]
async fn a_stream_comes_as_it_is_said() {
    let mut server = start().await;
    let mut request = chat(true);
    request["stream_options"] = json!({ "include_usage": true });
    let request = send(server.address, post("/v1/chat/completions", &request));
    let (mut answer, play) = tokio::join!(request, server.script.next());
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/event-stream")
    );
    // The second word is only said once the first has arrived.
    play.start().say(0, "Hi");
    let mut seen = answer.until("Hi").await;
    play.say(0, " there").finish(0).done(2);
    while let Some(piece) = answer.piece().await {
        seen.push_str(&piece);
    }
    assert_eq!(streamed_text(&seen), "Hi there");
    assert!(seen.trim_end().ends_with("data: [DONE]"), "{seen}");
    let usage: Vec<_> = chunks(&seen)
        .into_iter()
        .filter(|chunk| chunk["usage"].is_object())
        .collect();
    assert_eq!(usage.len(), 1, "{seen}");
    assert_eq!(usage[0]["usage"]["completion_tokens"], 2);
}

#[tokio::test]
async fn the_clients_sampling_reaches_the_engine() {
    let mut server = start().await;
    let mut request = chat(false);
    for (name, value) in [
        ("n", json!(2)),
        ("seed", json!(7)),
        ("temperature", json!(0.5)),
        ("top_p", json!(0.25)),
        ("presence_penalty", json!(0.5)),
        ("frequency_penalty", json!(-0.5)),
        ("logit_bias", json!({ "9": -100, "3": 2 })),
        ("stop", json!(["END", "\n"])),
        ("max_completion_tokens", json!(11)),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(3)),
    ] {
        request[name] = value;
    }
    let request = send(server.address, post("/v1/chat/completions", &request));
    let play = async {
        let play = server.script.next().await;
        play.start()
            .say(1, "b")
            .say(0, "a")
            .finish(0)
            .finish(1)
            .done(4);
        play.request.clone()
    };
    let (answer, asked) = tokio::join!(request, play);
    assert_eq!((asked.choices, asked.max_tokens), (2, Some(11)));
    assert_eq!(asked.stop, ["END", "\n"]);
    let sampling = &asked.sampling;
    assert_eq!(
        (sampling.seed, sampling.temperature, sampling.top_p),
        (7, 0.5, 0.25)
    );
    assert_eq!(
        (sampling.presence_penalty, sampling.frequency_penalty),
        (0.5, -0.5)
    );
    assert_eq!(sampling.logit_bias, [(3, 2.0), (9, -100.0)]);
    assert_eq!(sampling.logprobs, Some(3));
    let body = answer.json().await;
    let choices = body["choices"].as_array().unwrap();
    let text = |index: u64| {
        let choice = choices
            .iter()
            .find(|choice| choice["index"] == index)
            .unwrap();
        choice["message"]["content"].as_str().unwrap().to_owned()
    };
    assert_eq!((text(0).as_str(), text(1).as_str()), ("a", "b"));
    assert_eq!(choices[0]["logprobs"]["content"][0]["logprob"], -0.25);
}

#[tokio::test]
async fn several_prompts_in_one_request_are_told_apart() {
    let mut server = start().await;
    let request = json!({ "model": MODEL, "prompt": ["one", "two"], "echo": true, "seed": 5 });
    let request = send(server.address, post("/v1/completions", &request));
    let play = async {
        let (first, second) = (server.script.next().await, server.script.next().await);
        assert_eq!(
            (first.request.sampling.seed, second.request.sampling.seed),
            (5, 5)
        );
        second.answer(" B");
        first.answer(" A");
    };
    let (answer, ()) = tokio::join!(request, play);
    let body = answer.json().await;
    let mut texts: Vec<_> = body["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| {
            (
                choice["index"].as_u64().unwrap(),
                choice["text"].as_str().unwrap(),
            )
        })
        .collect();
    texts.sort_unstable();
    assert_eq!(texts, [(0, "one A"), (1, "two B")]);
    assert_eq!(body["usage"]["prompt_tokens"], 6);
    assert_eq!(body["usage"]["completion_tokens"], 4);
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_cancels_its_generation() {
    let mut server = start().await;
    let request = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (mut answer, play) = tokio::join!(request, server.script.next());
    play.start().say(0, "Hi");
    answer.until("Hi").await;
    drop(answer);
    play.cancelled().await;
}

#[tokio::test]
async fn a_client_that_leaves_before_a_whole_answer_cancels_its_generation() {
    let mut server = start().await;
    let mut request = Box::pin(send(
        server.address,
        post("/v1/chat/completions", &chat(false)),
    ));
    let play = tokio::select! {
        _ = &mut request => panic!("nothing has been said yet"),
        play = server.script.next() => play,
    };
    play.start().say(0, "Hi");
    drop(request);
    play.cancelled().await;
}

#[tokio::test]
async fn a_silent_prefill_is_kept_alive() {
    let change = |options: &mut atoll_gateway::GatewayOptions| {
        options.limits.keep_alive = Duration::from_millis(20);
    };
    let mut server = start_with(Setup {
        change: Some(change),
        ..Setup::default()
    })
    .await;
    let request = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (mut answer, play) = tokio::join!(request, server.script.next());
    // Nothing has been said, and yet bytes arrive.
    for _ in 0..3 {
        let comment = answer.piece().await.unwrap();
        assert!(comment.starts_with(':'), "{comment:?}");
    }
    play.answer("Hi");
    let rest = answer.text().await.unwrap();
    assert_eq!(streamed_text(&rest), "Hi");
}

#[tokio::test]
async fn a_model_that_loads_slowly_gets_its_head_first() {
    let change = |options: &mut atoll_gateway::GatewayOptions| {
        options.limits.keep_alive = Duration::from_millis(20);
        options.limits.head_after = Duration::from_millis(20);
    };
    let mut server = start_with(Setup {
        change: Some(change),
        ..Setup::default()
    })
    .await;
    server.script.loading(true);
    let mut answer = send(server.address, post("/v1/chat/completions", &chat(true))).await;
    assert_eq!(answer.status, 200);
    assert!(answer.piece().await.unwrap().starts_with(':'));
    server.script.loading(false);
    server.script.next().await.answer("Hi");
    assert_eq!(streamed_text(&answer.text().await.unwrap()), "Hi");
}

#[tokio::test]
async fn a_refusal_before_the_head_is_an_http_error() {
    for (refusal, status, code) in [
        (
            EngineError::ContextOverflow {
                tokens: 9,
                maximum: 5,
            },
            400,
            json!("context_length_exceeded"),
        ),
        (
            EngineError::Overloaded {
                retry_after: Duration::from_secs(3),
            },
            503,
            json!("server_is_overloaded"),
        ),
    ] {
        for stream in [false, true] {
            let setup = Setup {
                refusal: Some(refusal.clone()),
                ..Setup::default()
            };
            let server = start_with(setup).await;
            let answer = send(server.address, post("/v1/chat/completions", &chat(stream))).await;
            assert_eq!(answer.status, status);
            let body = answer.json().await;
            assert_eq!(body["error"]["code"], code, "{body}");
        }
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_stream_is_said_in_the_stream() {
    let mut server = start().await;
    let request = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (answer, play) = tokio::join!(request, server.script.next());
    play.start()
        .say(0, "Hi")
        .send(GenerationEvent::Failed(EngineError::ShuttingDown));
    let stream = answer.text().await.unwrap();
    assert_eq!(streamed_text(&stream), "Hi");
    let errors: Vec<_> = chunks(&stream)
        .into_iter()
        .filter(|chunk| !chunk["error"].is_null())
        .collect();
    assert_eq!(errors.len(), 1, "{stream}");
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_whole_answer_is_an_http_error() {
    let mut server = start().await;
    let request = send(server.address, post("/v1/chat/completions", &chat(false)));
    let play = async {
        let play = server.script.next().await;
        play.start()
            .say(0, "Hi")
            .send(GenerationEvent::Failed(EngineError::Internal("x".into())));
    };
    let (answer, ()) = tokio::join!(request, play);
    assert_eq!(answer.status, 500);
    assert!(answer.json().await["error"]["message"].is_string());
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_given_up() {
    let change = |options: &mut atoll_gateway::GatewayOptions| {
        options.limits.first_token_timeout = Duration::from_millis(50);
    };
    let mut server = start_with(Setup {
        change: Some(change),
        ..Setup::default()
    })
    .await;
    let request = send(server.address, post("/v1/chat/completions", &chat(false)));
    let (answer, play) = tokio::join!(request, server.script.next());
    play.cancelled().await;
    assert_eq!(answer.status, 504);
}

#[tokio::test]
async fn what_is_not_there_yet_is_refused_with_its_name() {
    let server = start().await;
    for (name, value) in [
        ("response_format", json!({ "type": "json_object" })),
        (
            "tools",
            json!([{ "type": "function", "function": { "name": "f", "parameters": {} } }]),
        ),
        ("tool_choice", json!("required")),
    ] {
        let mut request = chat(false);
        request[name] = value;
        let answer = send(server.address, post("/v1/chat/completions", &request)).await;
        assert_eq!(answer.status, 400, "{name}");
        let body = answer.json().await;
        assert_eq!(body["error"]["param"], name, "{body}");
    }
}

#[tokio::test]
async fn a_field_nobody_understands_is_named_in_a_header() {
    let mut server = start().await;
    let mut request = chat(false);
    request["client_metadata"] = json!({ "a": 1 });
    let request = send(server.address, post("/v1/chat/completions", &request));
    let play = async { server.script.next().await.answer("Hi") };
    let (answer, ()) = tokio::join!(request, play);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-atoll-ignored"), "client_metadata");
}

#[tokio::test]
async fn a_tool_that_only_the_original_has_is_named_there_too() {
    let mut server = start().await;
    let mut request = chat(false);
    request["tools"] = json!([{ "type": "web_search" }]);
    let request = send(server.address, post("/v1/chat/completions", &request));
    let play = async { server.script.next().await.answer("Hi") };
    let (answer, ()) = tokio::join!(request, play);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-atoll-ignored"), "tools.web_search");
}

#[tokio::test]
async fn models_are_listed_and_shown() {
    let server = start().await;
    let list = send(server.address, get("/v1/models")).await.json().await;
    assert_eq!(list["data"][0]["id"], MODEL);
    let one = send(server.address, get(&format!("/v1/models/{MODEL}")))
        .await
        .json()
        .await;
    assert_eq!(one["id"], MODEL);
    let head = send(
        server.address,
        request("HEAD", "/v1/models", &[], Vec::new()),
    );
    assert_eq!(head.await.status, 200);
    let none = send(server.address, get("/v1/models/nothing")).await;
    assert_eq!(none.status, 404);
    assert_eq!(none.json().await["error"]["code"], "model_not_found");
    let mut request = chat(true);
    request["model"] = json!(MISSING);
    let none = send(server.address, post("/v1/chat/completions", &request)).await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn embeddings_are_unit_vectors_as_numbers_or_base64() {
    let server = start().await;
    let ask = |fields: serde_json::Value| {
        let mut request = json!({ "model": MODEL, "input": ["one", "two"] });
        for (name, value) in fields.as_object().unwrap() {
            request[name] = value.clone();
        }
        post("/v1/embeddings", &request)
    };
    let answer = send(server.address, ask(json!({ "encoding_format": "float" }))).await;
    assert_eq!(answer.status, 200);
    let body = answer.json().await;
    let data = body["data"].as_array().unwrap();
    assert_eq!(data.len(), 2);
    for vector in data {
        let vector = vector["embedding"].as_array().unwrap();
        let square: f64 = vector.iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
        assert!((square - 1.0).abs() < 1e-6, "{body}");
    }
    assert_ne!(data[0]["embedding"], data[1]["embedding"]);
    assert_eq!(body["usage"]["prompt_tokens"], 6);

    let body = send(
        server.address,
        ask(json!({ "encoding_format": "base64", "dimensions": 1 })),
    );
    let body = body.await.json().await;
    // One number of length one, little-endian.
    assert_eq!(body["data"][0]["embedding"], "AACAPw==");

    for (fields, param) in [
        (json!({ "dimensions": 3 }), "dimensions"),
        (json!({ "input": ["a", ""] }), "input[1]"),
        (json!({ "input": [] }), "input"),
    ] {
        let answer = send(server.address, ask(fields)).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json().await["error"]["param"], param);
    }
    let long = json!({ "input": "x".repeat(5000) });
    let answer = send(server.address, ask(long)).await;
    assert_eq!(
        answer.json().await["error"]["code"],
        "context_length_exceeded"
    );
}
