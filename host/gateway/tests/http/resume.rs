//! Streams of stored answers: taken up in their middle, followed while they run, named item by item.

use atoll_gateway::FilterEntry;
use atoll_plugin_runtime::LoadedPlugin;
use serde_json::{Value, json};

use crate::client::{Answer, chunks, get, post, send};
use crate::engine::{MODEL, Play};
use crate::server::{Setup, TestServer, load, start, start_with};

const PATH: &str = "/v1/responses";

async fn begin(server: &mut TestServer) -> (Answer, Play) {
    let body = json!({ "model": MODEL, "input": "x", "background": true, "stream": true });
    let sent = send(server.address, post(PATH, &body));
    let (answer, play) = tokio::join!(sent, server.script.next());
    assert_eq!(answer.status, 200);
    (answer, play)
}

async fn take_up(server: &TestServer, id: &str, after: u64) -> Answer {
    let path = format!("{PATH}/{id}?stream=true&starting_after={after}");
    send(server.address, get(&path)).await
}

fn response_id(events: &[Value]) -> String {
    events[0]["response"]["id"].as_str().unwrap().to_owned()
}

/// The stream's text up to and with the event of that number.
fn text(events: &[Value]) -> String {
    let deltas = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta");
    deltas
        .map(|event| event["delta"].as_str().unwrap())
        .collect()
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event["sequence_number"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_lost_client_finds_the_stream_where_it_was() {
    let mut server = start().await;
    let (mut first, play) = begin(&mut server).await;
    play.start().say(0, "one ").say(0, "two ");
    let seen = chunks(&first.until("two ").await);
    let kinds: Vec<&Value> = seen[..3].iter().map(|event| &event["type"]).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.queued",
            "response.in_progress"
        ]
    );
    let id = response_id(&seen);
    // It is found at once, whether or not anybody has noticed that its client is gone.
    drop(first);
    let last = *numbers(&seen).last().unwrap();
    let mut second = take_up(&server, &id, last).await;
    assert_eq!(
        second.header("content-type"),
        "text/event-stream; charset=utf-8"
    );
    play.say(0, "three ");
    let mut rest = second.until("three ").await;
    play.say(0, "four").finish(0).done(4);
    while let Some(piece) = second.piece().await {
        rest.push_str(&piece);
    }
    let rest = chunks(&rest);
    let expected: Vec<u64> = (last + 1..).take(rest.len()).collect();
    assert_eq!(numbers(&rest), expected);
    assert_eq!(text(&seen) + &text(&rest), "one two three four");
    let end = rest.last().unwrap();
    assert_eq!(end["type"], "response.completed");

    // Afterwards the same numbers still mean the same events.
    for after in [0, 4, last, last + 1] {
        let again = take_up(&server, &id, after).await.text().await.unwrap();
        let again = chunks(&again);
        let whole: Vec<&Value> = seen.iter().chain(&rest).collect();
        let from = usize::try_from(after).unwrap() + 1;
        assert_eq!(again.iter().collect::<Vec<_>>(), whole[from..]);
    }
}

#[tokio::test]
async fn an_answer_is_followed_from_its_beginning_by_many() {
    let mut server = start().await;
    let (mut first, play) = begin(&mut server).await;
    play.start().say(0, "one ");
    let seen = first.until("one ").await;
    let id = response_id(&chunks(&seen));
    let follow = format!("{PATH}/{id}?stream=true");
    let second = send(server.address, get(&follow)).await;
    play.say(0, "two").finish(0).done(2);
    let (mut first, second) = (first, second.text().await.unwrap());
    let mut seen = seen;
    while let Some(piece) = first.piece().await {
        seen.push_str(&piece);
    }
    assert_eq!(chunks(&second), chunks(&seen));
}

#[tokio::test]
async fn a_followed_answer_is_cancelled_for_all() {
    let mut server = start().await;
    let (mut first, play) = begin(&mut server).await;
    play.start().say(0, "half");
    let id = response_id(&chunks(&first.until("half").await));
    let cancel = post(&format!("{PATH}/{id}/cancel"), &json!({}));
    assert_eq!(
        send(server.address, cancel).await.json().await["status"],
        "cancelled"
    );
    play.cancelled().await;
    let rest = first.until("response.failed").await;
    assert_eq!(
        chunks(&rest).last().unwrap()["response"]["status"],
        "cancelled"
    );
}

/// What a filter changed was not kept as it was sent, so nobody can say what the client has had.
#[tokio::test]
async fn what_a_filter_changed_is_not_taken_up() {
    let LoadedPlugin::Filter(filter) = load("redact-pii", json!({})).await else {
        panic!("redact-pii is a filter")
    };
    let mut server = start_with(Setup {
        filters: vec![FilterEntry::new(filter)],
        ..Setup::default()
    })
    .await;
    let body =
        json!({ "model": MODEL, "input": "alice@example.com", "background": true, "stream": true });
    let sent = send(server.address, post(PATH, &body));
    let (mut answer, play) = tokio::join!(sent, server.script.next());
    let bytes = play.request.prompt.tokens().iter();
    let prompt: Vec<u8> = bytes.map(|&token| u8::try_from(token).unwrap()).collect();
    let prompt = String::from_utf8(prompt).unwrap();
    let placeholder = &prompt[prompt.find("PII_").unwrap()..prompt.len() - 1];
    play.start().say(0, &format!("I know [{placeholder}]. "));
    let mut seen = answer.until("output_item.added").await;
    let id = response_id(&chunks(&seen));
    // While it runs everybody reads what the filter lets through.
    let second = take_up(&server, &id, 0).await;
    assert_eq!(second.status, 200);
    play.finish(0).done(2);
    while let Some(piece) = answer.piece().await {
        seen.push_str(&piece);
    }
    let (seen, second) = (chunks(&seen), chunks(&second.text().await.unwrap()));
    assert_eq!(second, seen[1..]);
    let refused = take_up(&server, &id, 3).await;
    assert_eq!(refused.status, 400);
    let error = refused.json().await["error"].clone();
    assert_eq!(error["code"], "unsupported_value", "{error}");
    // From its beginning it is told as it is kept.
    let whole = send(server.address, get(&format!("{PATH}/{id}?stream=true"))).await;
    let whole = chunks(&whole.text().await.unwrap());
    assert_eq!(whole.last().unwrap()["type"], "response.completed");
    assert!(!text(&whole).contains("alice"), "{whole:?}");
}

#[tokio::test]
async fn items_of_stored_answers_are_named_instead_of_sent() {
    let mut server = start().await;
    let ask = json!({ "model": MODEL, "input": "one" });
    let sent = send(server.address, post(PATH, &ask));
    let play = async { server.script.next().await.answer("two") };
    let (answer, ()) = tokio::join!(sent, play);
    let item = answer.json().await["output"][0]["id"].clone();
    let input = json!([
        { "role": "user", "content": "one" },
        { "type": "item_reference", "id": item },
        { "role": "user", "content": "three" },
    ]);
    let sent = send(
        server.address,
        post(PATH, &json!({ "model": MODEL, "input": input })),
    );
    let play = async {
        let play = server.script.next().await;
        play.answer("four");
        let bytes = play.request.prompt.tokens().iter();
        let bytes = bytes.map(|&token| u8::try_from(token).unwrap());
        String::from_utf8(bytes.collect()).unwrap()
    };
    let (answer, prompt) = tokio::join!(sent, play);
    assert_eq!(answer.status, 200);
    assert_eq!(
        prompt,
        "<\"user\">\"one\"<\"assistant\">\"two\"<\"user\">\"three\""
    );
    for id in [
        "msg_nobody_0",
        item.as_str().unwrap().replace("_0", "_7").as_str(),
    ] {
        let input =
            json!([{ "type": "item_reference", "id": id }, { "role": "user", "content": "x" }]);
        let answer = send(
            server.address,
            post(PATH, &json!({ "model": MODEL, "input": input })),
        )
        .await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.json().await["error"]["param"], "input[0].id");
    }
}
