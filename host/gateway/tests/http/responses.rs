//! Stored answers: continued, shown, deleted, cancelled; what of them is written down.

use atoll_engine::engine::FinishReason;
use atoll_gateway::FilterEntry;
use atoll_plugin_runtime::LoadedPlugin;
use http::StatusCode;
use serde_json::{Value, json};

use crate::client::{PATIENCE, get, post, request, send};
use crate::engine::{MODEL, Play};
use crate::server::{Setup, TestServer, load, start, start_with};

const PATH: &str = "/v1/responses";

/// What the model was asked, as text.
fn prompt(play: &Play) -> String {
    let bytes = play.request.prompt.tokens().iter();
    String::from_utf8(bytes.map(|&token| u8::try_from(token).unwrap()).collect()).unwrap()
}

/// Asks, lets the model say `said`, and gives the answer and the prompt.
async fn ask(server: &mut TestServer, body: Value, said: &str) -> (Value, String) {
    let mut body = body;
    body["model"] = json!(MODEL);
    let request = post(PATH, &body);
    let sent = send(server.address, request);
    let play = async {
        let play = server.script.next().await;
        play.answer(said);
        prompt(&play)
    };
    let (answer, prompt) = tokio::join!(sent, play);
    assert_eq!(answer.status, 200);
    (answer.json().await, prompt)
}

async fn show(server: &TestServer, id: &str) -> (StatusCode, Value) {
    let answer = send(server.address, get(&format!("{PATH}/{id}"))).await;
    (answer.status, answer.json().await)
}

#[tokio::test]
async fn a_conversation_goes_on_from_a_stored_answer() {
    let mut server = start().await;
    let first = json!({ "input": "one", "instructions": "RULES" });
    let (first, _) = ask(&mut server, first, "two").await;
    let second =
        json!({ "input": "three", "previous_response_id": first["id"], "instructions": "NEW" });
    let (second, prompt) = ask(&mut server, second, "four").await;
    assert_eq!(
        prompt,
        "<\"system\">\"NEW\"<\"user\">\"one\"<\"assistant\">\"two\"<\"user\">\"three\""
    );
    let third = json!({ "input": "five", "previous_response_id": second["id"] });
    let (_, prompt) = ask(&mut server, third, "six").await;
    assert_eq!(
        prompt,
        "<\"user\">\"one\"<\"assistant\">\"two\"<\"user\">\"three\"<\"assistant\">\"four\"<\"user\">\"five\""
    );
}

/// The scripted model has room for 4,096 tokens, one a byte.
#[tokio::test]
async fn a_conversation_that_is_too_long_loses_its_oldest_turns_and_says_so() {
    let mut server = start().await;
    let turn = |role: &str, letter: &str| json!({ "role": role, "content": letter.repeat(900) });
    let mut input = vec![json!({ "role": "system", "content": "RULES" })];
    for letter in ["a", "c", "e"] {
        input.push(turn("user", letter));
        input.push(turn("assistant", &letter.to_uppercase()));
    }
    input.push(json!({ "role": "user", "content": "now" }));
    let body = json!({ "model": MODEL, "input": input, "truncation": "auto" });
    let sent = send(server.address, post(PATH, &body));
    let play = async {
        let play = server.script.next().await;
        play.answer("yes");
        prompt(&play)
    };
    let (answer, prompt) = tokio::join!(sent, play);
    assert_eq!(answer.header("x-atoll-truncated"), "messages=2, tokens=0");
    let expected = format!(
        "<\"system\">\"RULES\"<\"user\">\"{}\"<\"assistant\">",
        "c".repeat(900)
    );
    assert!(prompt.starts_with(&expected) && prompt.ends_with("<\"user\">\"now\""));

    let refused = json!({ "model": MODEL, "input": input });
    let answer = send(server.address, post(PATH, &refused)).await;
    assert_eq!(answer.status, 400);
    let body = answer.json().await;
    assert_eq!(body["error"]["code"], "context_length_exceeded");

    // Even the last turn alone is too long: its end stays.
    let long = format!("{}END", "x".repeat(9000));
    let body = json!({ "model": MODEL, "input": long, "truncation": "auto" });
    let sent = send(server.address, post(PATH, &body));
    let play = async {
        let play = server.script.next().await;
        play.answer("yes");
        (
            play.request.prompt.token_count(),
            play.request.prompt.cut_tokens(),
        )
    };
    let (answer, (left, cut)) = tokio::join!(sent, play);
    assert_eq!((left, left as usize + cut), (2048, 9003 + 10));
    assert_eq!(
        answer.header("x-atoll-truncated"),
        format!("messages=0, tokens={cut}")
    );
}

#[tokio::test]
async fn a_deleted_answer_is_gone_from_every_conversation() {
    let mut server = start().await;
    let (first, _) = ask(&mut server, json!({ "input": "one" }), "two").await;
    let id = first["id"].as_str().unwrap();
    let next = json!({ "input": "three", "previous_response_id": id });
    let (second, _) = ask(&mut server, next, "four").await;
    assert_eq!(show(&server, id).await.1["output"], first["output"]);
    let deleted = send(
        server.address,
        request("DELETE", &format!("{PATH}/{id}"), &[], vec![]),
    )
    .await;
    assert_eq!(deleted.json().await["deleted"], true);
    assert_eq!(show(&server, id).await.0, 404);
    for previous in [id, second["id"].as_str().unwrap()] {
        let body = json!({ "model": MODEL, "input": "x", "previous_response_id": previous });
        let answer = send(server.address, post(PATH, &body)).await;
        assert_eq!(answer.status, 400);
        let error = answer.json().await["error"].clone();
        assert_eq!(error["code"], "previous_response_not_found");
        assert_eq!(error["param"], "previous_response_id");
    }
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_not() {
    let mut server = start().await;
    let (answer, _) = ask(
        &mut server,
        json!({ "input": "one", "store": false }),
        "two",
    )
    .await;
    assert_eq!(show(&server, answer["id"].as_str().unwrap()).await.0, 404);
}

/// The client's own request id must not become an answer's, or one could take another's place.
#[tokio::test]
async fn the_client_does_not_choose_the_answers_id() {
    let mut server = start().await;
    let body = json!({ "model": MODEL, "input": "x" }).to_string();
    let headers = [
        ("x-request-id", "chosen"),
        ("content-type", "application/json"),
    ];
    let sent = send(
        server.address,
        request("POST", PATH, &headers, body.into_bytes()),
    );
    let play = async { server.script.next().await.answer("y") };
    let (answer, ()) = tokio::join!(sent, play);
    let id = answer.json().await["id"].as_str().unwrap().to_owned();
    assert!(!id.contains("chosen"), "{id}");
}

#[tokio::test]
async fn the_store_holds_what_the_model_saw_not_what_the_client_said() {
    let LoadedPlugin::Filter(filter) = load("redact-pii", json!({})).await else {
        panic!("redact-pii is a filter")
    };
    let setup = Setup {
        filters: vec![FilterEntry::new(filter)],
        ..Setup::default()
    };
    let mut server = start_with(setup).await;
    let body = json!({ "model": MODEL, "input": "I am alice@example.com", "instructions": "For bob@example.com." });
    let sent = send(server.address, post(PATH, &body));
    let play = async {
        let play = server.script.next().await;
        let prompt = prompt(&play);
        let from = prompt.find("I am ").unwrap();
        play.answer(prompt[from..].trim_end_matches('"'));
        prompt
    };
    let (answer, prompt) = tokio::join!(sent, play);
    assert!(
        !prompt.contains("alice") && !prompt.contains("bob"),
        "{prompt}"
    );
    let answer = answer.json().await;
    assert_eq!(
        answer["output"][0]["content"][0]["text"],
        "I am alice@example.com"
    );
    let id = answer["id"].as_str().unwrap();
    let items = send(server.address, get(&format!("{PATH}/{id}/input_items"))).await;
    for stored in [show(&server, id).await.1, items.json().await] {
        let stored = stored.to_string();
        assert!(
            !stored.contains("alice") && !stored.contains("bob"),
            "{stored}"
        );
        assert!(stored.contains("PII_"), "{stored}");
    }
    // The conversation goes on with the placeholders.
    let next = json!({ "input": "and carol@example.com", "previous_response_id": id });
    let (_, prompt) = ask(&mut server, next, "ok").await;
    assert!(
        !prompt.contains("alice") && !prompt.contains("carol"),
        "{prompt}"
    );
}

#[tokio::test]
async fn a_background_answer_runs_on_without_its_client() {
    let mut server = start().await;
    let body = json!({ "model": MODEL, "input": "x", "background": true });
    let begun = send(server.address, post(PATH, &body)).await.json().await;
    assert_eq!(begun["status"], "queued");
    let id = begun["id"].as_str().unwrap();
    let play = server.script.next().await;
    play.start().say(0, "half");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while show(&server, id).await.1["status"] != "in_progress" {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    play.say(0, " done").finish(0).done(2);
    while show(&server, id).await.1["status"] != "completed" {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let done = show(&server, id).await.1;
    assert_eq!(done["output"][0]["content"][0]["text"], "half done");
    assert_eq!(done["background"], true);
}

#[tokio::test]
async fn a_background_answer_is_cancelled() {
    let mut server = start().await;
    let body = json!({ "model": MODEL, "input": "x", "background": true });
    let begun = send(server.address, post(PATH, &body)).await.json().await;
    let id = begun["id"].as_str().unwrap();
    let play = server.script.next().await;
    play.start().say(0, "half");
    let cancel = post(&format!("{PATH}/{id}/cancel"), &json!({}));
    let cancelled = send(server.address, cancel).await.json().await;
    assert_eq!(cancelled["status"], "cancelled");
    play.cancelled().await;
    assert_eq!(show(&server, id).await.1["status"], "cancelled");
    // An answer that its client waits for is not cancelled this way.
    let (whole, _) = ask(&mut server, json!({ "input": "y" }), "z").await;
    let id = whole["id"].as_str().unwrap();
    let cancel = post(&format!("{PATH}/{id}/cancel"), &json!({}));
    assert_eq!(send(server.address, cancel).await.status, 400);
}

#[tokio::test]
async fn an_answer_cut_short_is_stored_as_it_is() {
    let mut server = start().await;
    let body = json!({ "model": MODEL, "input": "x" });
    let sent = send(server.address, post(PATH, &body));
    let play = async {
        let play = server.script.next().await;
        play.start().say(0, "hal");
        play.send(atoll_engine::engine::GenerationEvent::Finished {
            choice: 0,
            reason: FinishReason::Length,
            output_tokens: 1,
        });
        play.done(1);
    };
    let (answer, ()) = tokio::join!(sent, play);
    let answer = answer.json().await;
    let stored = show(&server, answer["id"].as_str().unwrap()).await.1;
    assert_eq!(stored, answer, "what is shown later is what was said");
    assert_eq!(stored["status"], "incomplete");
}
