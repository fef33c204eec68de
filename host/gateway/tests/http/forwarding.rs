//! A model that runs on another host: every dialect answers as if it were here, filters run here and
//! once, and a host that is lost ends the answer with an error in the client's own shape.

use std::sync::Arc;

use atoll_engine::engine::GenerationEvent;
use atoll_engine::executor::ExecutorError;
use atoll_gateway::Limits;
use atoll_gateway::forward::{self};
use atoll_gateway::models::Models;
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::client::{get, post, send};
use crate::engine::{MISSING, MODEL, Play};
use crate::redaction::redact;
use crate::server::{Setup, chat, start, start_with};

fn elsewhere() -> Setup {
    Setup {
        every_dialect: true,
        elsewhere: Some(0),
        ..Setup::default()
    }
}

/// The other host is lost after so many parts of each of the first answers.
fn lost(parts: usize, losses: usize) -> Setup {
    Setup {
        elsewhere: Some(parts),
        losses,
        ..elsewhere()
    }
}

/// The other host says so often that yet another has the model.
fn moved(moves: usize) -> Setup {
    Setup {
        moves,
        ..elsewhere()
    }
}

/// How a pipeline ends whose machine is lost.
fn lost_machine() -> GenerationEvent {
    let lost = ExecutorError::Lost("a machine that ran this model is lost".to_owned());
    GenerationEvent::Failed(lost.into())
}

/// Route, request, and where the text of the answer is.
fn every_dialect() -> Vec<(&'static str, Value, &'static str)> {
    let messages = json!([{ "role": "user", "content": "Hello" }]);
    vec![
        (
            "/v1/chat/completions",
            chat(false),
            "/choices/0/message/content",
        ),
        (
            "/v1/responses",
            json!({ "model": MODEL, "input": "Hello" }),
            "/output/0/content/0/text",
        ),
        (
            "/v1/messages",
            json!({ "model": MODEL, "max_tokens": 9, "messages": messages }),
            "/content/0/text",
        ),
        (
            "/api/chat",
            json!({ "model": MODEL, "stream": false, "messages": messages }),
            "/message/content",
        ),
    ]
}

#[tokio::test]
async fn every_dialect_answers_as_if_the_model_were_here() {
    let mut server = start_with(elsewhere()).await;
    for (route, body, text) in every_dialect() {
        let answer = send(server.address, post(route, &body));
        let (answer, ()) = tokio::join!(answer, async {
            server.script.next().await.answer("Hi!");
        });
        assert_eq!(answer.status, 200, "{route}");
        let answer = answer.json().await;
        assert_eq!(
            answer.pointer(text),
            Some(&json!("Hi!")),
            "{route}: {answer}"
        );
    }
}

#[tokio::test]
async fn what_the_other_host_refuses_is_refused_here() {
    let server = start_with(elsewhere()).await;
    let body = json!({ "model": MISSING, "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = send(server.address, post("/v1/chat/completions", &body)).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json().await["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn a_host_that_is_lost_before_it_answers_is_an_honest_503() {
    let server = start_with(lost(0, usize::MAX)).await;
    for (route, body, _) in every_dialect() {
        let answer = send(server.address, post(route, &body)).await;
        // Claude's API has a status of its own for it.
        assert!(
            [503, 529].contains(&answer.status.as_u16()),
            "{route}: {}",
            answer.status
        );
        assert_eq!(answer.headers["retry-after"], "3", "{route}");
    }
}

#[tokio::test]
async fn a_host_that_is_lost_before_the_first_word_costs_nothing() {
    // Not admitted; admitted; and announced, which the client must not hear twice.
    for parts in 0..3 {
        for (route, body, text) in every_dialect() {
            let mut server = start_with(lost(parts, 1)).await;
            let answer = send(server.address, post(route, &body));
            let (answer, ()) = tokio::join!(answer, async {
                if parts > 0 {
                    let first = server.script.next().await;
                    first.start();
                    first.cancelled().await;
                }
                server.script.next().await.answer("Hi!");
            });
            assert_eq!(answer.status, 200, "{route} after {parts} parts");
            let answer = answer.json().await;
            assert_eq!(
                answer.pointer(text),
                Some(&json!("Hi!")),
                "{route}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_was_announced_and_lost_is_announced_once() {
    let mut server = start_with(lost(2, 1)).await;
    let messages = json!([{ "role": "user", "content": "Hello" }]);
    let body = json!({ "model": MODEL, "max_tokens": 9, "stream": true, "messages": messages });
    let answer = send(server.address, post("/v1/messages", &body));
    let (answer, ()) = tokio::join!(answer, async {
        let first = server.script.next().await;
        first.start();
        first.cancelled().await;
        server.script.next().await.answer("Hi!");
    });
    let text = answer.text().await.unwrap();
    assert_eq!(text.matches("event: message_start").count(), 1, "{text}");
    assert_eq!(text.matches("event: message_stop").count(), 1, "{text}");
    assert!(text.contains("Hi!") && !text.contains("error"), "{text}");
}

#[tokio::test]
async fn a_machine_that_the_other_host_loses_is_repaired_from_here() {
    let mut server = start_with(elsewhere()).await;
    for (route, body, text) in every_dialect() {
        let answer = send(server.address, post(route, &body));
        let (answer, ()) = tokio::join!(answer, async {
            server.script.next().await.send(lost_machine());
            server.script.next().await.start().send(lost_machine());
            server.script.next().await.answer("Hi!");
        });
        let answer = answer.json().await;
        assert_eq!(
            answer.pointer(text),
            Some(&json!("Hi!")),
            "{route}: {answer}"
        );
    }
    // Not after the first word that a client has read.
    let answer = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (answer, ()) = tokio::join!(answer, async {
        let play = server.script.next().await;
        play.start().say(0, "Hi").send(lost_machine());
    });
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("Hi") && text.contains("is lost") && !text.contains("[DONE]"),
        "{text}"
    );
    assert!(server.script.none_waits());
}

/// More words than the gateway takes at once, so that it has used some when the next thing happens.
const WORDS: u32 = 70;

fn say_words(play: &Play) {
    play.start();
    for word in 0..WORDS {
        play.say(0, &format!("{word} "));
    }
}

/// What a loss looks like to the models that play the first attempt.
type Breaks = fn(&Play);

/// A machine of the other host, the other host itself, and a machine of this host is lost in the middle of an
/// answer.
fn losses_in_the_middle() -> [(Setup, Breaks); 3] {
    let breaks: Breaks = |play| {
        play.send(lost_machine());
    };
    let here = Setup {
        every_dialect: true,
        ..Setup::default()
    };
    [(elsewhere(), breaks), (lost(2, 1), |_| {}), (here, breaks)]
}

#[tokio::test]
async fn a_whole_answer_that_is_lost_in_the_middle_goes_on_where_it_was() {
    for (route, body, text) in every_dialect() {
        for (setup, breaks) in losses_in_the_middle() {
            let mut server = start_with(setup).await;
            let answer = send(server.address, post(route, &body));
            let (answer, seeds) = tokio::join!(answer, async {
                let first = server.script.next().await;
                say_words(&first);
                breaks(&first);
                first.cancelled().await;
                let second = server.script.next().await;
                say_words(&second);
                second.say(0, "!").finish(0).done(WORDS + 1);
                [first, second].map(|play| play.request.sampling.seed)
            });
            assert_eq!(answer.status, 200, "{route}");
            let answer = answer.json().await;
            let words: String = (0..WORDS).map(|word| format!("{word} ")).collect();
            assert_eq!(answer.pointer(text), Some(&json!(words + "!")), "{route}");
            // The client chose none: what was drawn for the first attempt is the second's, too.
            assert_eq!(seeds[0], seeds[1]);
        }
    }
}

#[tokio::test]
async fn a_second_attempt_that_says_something_else_is_no_rest_of_the_first() {
    for (setup, breaks) in losses_in_the_middle() {
        let mut server = start_with(setup).await;
        let answer = send(server.address, post("/v1/chat/completions", &chat(false)));
        let (answer, ()) = tokio::join!(answer, async {
            let first = server.script.next().await;
            say_words(&first);
            breaks(&first);
            first.cancelled().await;
            let second = server.script.next().await;
            second.start().say(0, "Well");
            second.cancelled().await;
        });
        assert_eq!(answer.status, 503);
        let error = answer.json().await;
        assert!(error.to_string().contains("is lost"), "{error}");
    }
}

#[tokio::test]
async fn a_machine_of_this_hosts_model_that_is_lost_before_the_first_word_costs_nothing() {
    let lost = lost_machine;
    let mut server = start().await;
    let answer = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (answer, ()) = tokio::join!(answer, async {
        server.script.next().await.start().send(lost());
        server.script.next().await.answer("Hi!");
    });
    let text = answer.text().await.unwrap();
    assert!(text.contains("Hi!") && text.contains("[DONE]"), "{text}");

    // What is lost again and again is refused, and says when to try again.
    let answer = send(server.address, post("/v1/chat/completions", &chat(false)));
    let (answer, ()) = tokio::join!(answer, async {
        server.script.next().await.send(lost());
        server.script.next().await.start().send(lost());
        server.script.next().await.send(lost());
    });
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(server.script.none_waits());

    // What was said cannot be taken back.
    let answer = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (answer, ()) = tokio::join!(answer, async {
        server.script.next().await.start().say(0, "Hi").send(lost());
    });
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("is lost") && !text.contains("[DONE]"),
        "{text}"
    );
    assert!(server.script.none_waits());
}

#[tokio::test]
async fn a_request_follows_its_model_from_host_to_host() {
    for (route, body, text) in every_dialect() {
        // More often than a request is begun again after a loss.
        let setup = moved(4);
        let said = Arc::clone(&setup.moved);
        let mut server = start_with(setup).await;
        let answer = send(server.address, post(route, &body));
        let (answer, ()) = tokio::join!(answer, async {
            server.script.next().await.answer("Hi!");
        });
        let answer = answer.json().await;
        assert_eq!(
            answer.pointer(text),
            Some(&json!("Hi!")),
            "{route}: {answer}"
        );
        let said = said.lock().unwrap();
        assert_eq!(*said, vec![(MODEL.to_owned(), "reef".to_owned()); 4]);
    }
    // What has one answer follows, too.
    let server = start_with(moved(3)).await;
    let body = json!({ "model": MODEL, "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = send(server.address, post("/v1/messages/count_tokens", &body)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_model_of_this_host_that_another_turns_out_to_have_is_asked_for_there() {
    // Here the rule names this host itself at first: only its engine knows of the other.
    let mut server = start_with(Setup {
        moves: 1,
        ..Setup::default()
    })
    .await;
    let answer = send(server.address, post("/v1/chat/completions", &chat(false)));
    let (answer, ()) = tokio::join!(answer, async {
        server.script.next().await.answer("Hi!");
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_host_that_is_lost_in_the_middle_ends_the_stream_with_an_error() {
    // Admitted, then the first batch of events.
    let mut server = start_with(lost(2, 1)).await;
    let answer = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (answer, play) = tokio::join!(answer, async {
        let play = server.script.next().await;
        play.start().say(0, "Hi");
        play
    });
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("the machine is lost") && !text.contains("[DONE]"),
        "{text}"
    );
    play.cancelled().await;
}

#[tokio::test]
async fn a_client_that_goes_cancels_on_the_other_host() {
    let mut server = start_with(elsewhere()).await;
    let answer = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (answer, play) = tokio::join!(answer, async {
        let play = server.script.next().await;
        play.start().say(0, "Hi");
        play
    });
    drop(answer);
    play.cancelled().await;
}

#[tokio::test]
async fn filters_run_here_and_the_other_host_never_sees_what_they_took() {
    let mut setup = redact(json!({})).await;
    setup.elsewhere = Some(0);
    let mut server = start_with(setup).await;
    let mut body = chat(false);
    body["messages"][0]["content"] = json!("Write to ana@example.org");
    let answer = send(server.address, post("/v1/chat/completions", &body));
    let (answer, ()) = tokio::join!(answer, async {
        let play = server.script.next().await;
        let prompt = play
            .request
            .prompt
            .tokens()
            .iter()
            .map(|&token| token as u8);
        let prompt = String::from_utf8(prompt.collect()).unwrap();
        assert!(!prompt.contains("ana@example.org"), "{prompt}");
        let token = prompt.split("Write to ").nth(1).unwrap();
        let token = token.trim_end_matches(['"', ']', '}']);
        play.answer(token);
    });
    let answer = answer.json().await;
    assert_eq!(
        answer["choices"][0]["message"]["content"], "ana@example.org",
        "{answer}"
    );
}

#[tokio::test]
async fn tokens_are_counted_there() {
    // Counting is begun again, too.
    let server = start_with(lost(0, 1)).await;
    let body = json!({ "model": MODEL, "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = send(server.address, post("/v1/messages/count_tokens", &body)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json().await["input_tokens"].as_u64().unwrap() > 5);
}

#[tokio::test]
async fn what_is_unreadable_is_answered_with_an_error() {
    let (models, _script) = crate::engine::scripted(None);
    for garbage in [&b""[..], b"\xff\xff\xff\xff\xff", &[0; 64]] {
        let models = Arc::clone(&models) as Arc<dyn Models>;
        let told = forward::answer(models, &Limits::default(), garbage);
        assert_eq!(told.collect::<Vec<_>>().await.len(), 1);
    }
}

#[tokio::test]
async fn a_host_on_its_own_says_that_it_is_in_no_cluster() {
    let server = start_with(Setup::default()).await;
    let answer = send(server.address, get("/atoll/v1/cluster")).await;
    assert_eq!(answer.json().await, json!({ "cluster": null }));
}
