//! WebSockets: opened, talked over, refused, given up.

use std::time::Duration;

use atoll_engine::engine::{EngineError, GenerationEvent};
use atoll_gateway::GatewayOptions;
use atoll_gateway::keys::KeyLimits;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::{PATIENCE, get, request, send};
use crate::engine::{MODEL, Play};
use crate::keys::{limited, named, ring};
use crate::server::{Setup, TestServer, start, start_with};

const PATH: &str = "/v1/responses";

/// The client's end.
struct Client(WebSocketStream<TcpStream>);

async fn open_with(
    server: &TestServer,
    headers: &[(&'static str, &str)],
) -> Result<Client, tungstenite::Error> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut request = format!("ws://localhost{PATH}")
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let opened = timeout(PATIENCE, client_async(request, stream))
        .await
        .unwrap();
    opened.map(|(socket, _)| Client(socket))
}

async fn open(server: &TestServer) -> Client {
    open_with(server, &[]).await.unwrap()
}

/// What a refused opening was answered with.
async fn refusal(server: &TestServer, headers: &[(&'static str, &str)]) -> (u16, Value) {
    let Err(tungstenite::Error::Http(response)) = open_with(server, headers).await else {
        panic!("the socket was opened")
    };
    let body = response.body().as_deref().unwrap_or_default();
    let body = serde_json::from_slice(body).unwrap_or_default();
    (response.status().as_u16(), body)
}

impl Client {
    async fn say(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.unwrap();
    }

    async fn create(&mut self, body: Value) {
        let mut body = body;
        body["type"] = json!("response.create");
        body["model"] = json!(MODEL);
        self.say(body.to_string()).await;
    }

    /// The next message, pings left out.
    async fn hear(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.unwrap() {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return other,
            }
        }
    }

    async fn event(&mut self) -> Value {
        match self.hear().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Events up to one of this type.
    async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = vec![self.event().await];
        while events.last().unwrap()["type"] != kind {
            events.push(self.event().await);
        }
        events
    }

    /// The code with which the server closes.
    async fn closed(&mut self) -> CloseCode {
        loop {
            match self.hear().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code,
                Some(Ok(Message::Text(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Asks, lets the model say `said`, and gives the response and the prompt.
async fn ask(
    server: &mut TestServer,
    client: &mut Client,
    body: Value,
    said: &str,
) -> (Value, String) {
    client.create(body).await;
    let play = server.script.next().await;
    play.answer(said);
    let prompt = prompt(&play);
    let events = client.until("response.completed").await;
    (events.last().unwrap()["response"].clone(), prompt)
}

fn prompt(play: &Play) -> String {
    let bytes = play.request.prompt.tokens().iter();
    String::from_utf8(bytes.map(|&token| u8::try_from(token).unwrap()).collect()).unwrap()
}

#[tokio::test]
async fn each_message_is_answered_with_its_events() {
    let mut server = start().await;
    let mut client = open(&server).await;
    for said in ["Hello", "again"] {
        client.create(json!({ "input": "x" })).await;
        let play = server.script.next().await;
        play.start().say(0, said);
        let seen = client.until("response.output_text.delta").await;
        let numbers: Vec<_> = seen
            .iter()
            .map(|event| event["sequence_number"].clone())
            .collect();
        let expected: Vec<Value> = (0..seen.len()).map(|number| json!(number)).collect();
        assert_eq!(numbers, expected, "each answer counts from nought");
        assert_eq!(seen[0]["type"], "response.created");
        play.finish(0).done(1);
        let rest = client.until("response.completed").await;
        let text = &rest.last().unwrap()["response"]["output"][0]["content"][0]["text"];
        assert_eq!(text, said);
    }
}

#[tokio::test]
async fn messages_that_come_early_wait_for_their_turn() {
    let mut server = start().await;
    let mut client = open(&server).await;
    client.create(json!({ "input": "first" })).await;
    client.create(json!({ "input": "second" })).await;
    let first = server.script.next().await;
    first.start().say(0, "one");
    client.until("response.output_text.delta").await;
    assert!(server.script.none_waits(), "one after the other");
    first.finish(0).done(1);
    client.until("response.completed").await;
    let second = server.script.next().await;
    assert!(prompt(&second).contains("second"));
    second.answer("two");
    client.until("response.completed").await;
}

/// What a socket said is continued there without being stored, and forgotten with the socket.
#[tokio::test]
async fn a_conversation_lives_as_long_as_its_socket() {
    let mut server = start().await;
    let mut client = open(&server).await;
    let unstored = json!({ "input": "one", "store": false });
    let (first, _) = ask(&mut server, &mut client, unstored, "two").await;
    let next = json!({ "input": "three", "store": false, "previous_response_id": first["id"] });
    let (second, prompt) = ask(&mut server, &mut client, next, "four").await;
    assert_eq!(
        prompt,
        "<\"user\">\"one\"<\"assistant\">\"two\"<\"user\">\"three\""
    );
    // What is stored from now on continues what is not; here that is known.
    let next = json!({ "input": "five", "previous_response_id": second["id"] });
    let (third, _) = ask(&mut server, &mut client, next, "six").await;
    let next = json!({ "input": "seven", "previous_response_id": third["id"] });
    let (_, prompt) = ask(&mut server, &mut client, next, "eight").await;
    assert!(
        prompt.starts_with("<\"user\">\"one\"") && prompt.contains("\"six\""),
        "{prompt}"
    );

    let path = format!("{PATH}/{}", first["id"].as_str().unwrap());
    assert_eq!(send(server.address, get(&path)).await.status, 404);
    let mut other = open(&server).await;
    for id in [&first["id"], &third["id"]] {
        other
            .create(json!({ "input": "x", "previous_response_id": id }))
            .await;
        let error = other.event().await;
        assert_eq!(
            (&error["type"], &error["status"]),
            (&json!("error"), &json!(400))
        );
        assert_eq!(
            error["error"]["code"], "previous_response_not_found",
            "{error}"
        );
    }
    assert!(server.script.none_waits());
}

#[tokio::test]
async fn a_turn_that_failed_makes_the_socket_forget_what_it_continued() {
    let mut server = start().await;
    let mut client = open(&server).await;
    let (first, _) = ask(
        &mut server,
        &mut client,
        json!({ "input": "one", "store": false }),
        "two",
    )
    .await;
    let id = &first["id"];
    let result = json!([{ "type": "function_call_output", "call_id": "nobody's", "output": "x" }]);
    client
        .create(json!({ "input": result, "store": false, "previous_response_id": id }))
        .await;
    let error = client.event().await;
    assert_eq!(
        (&error["type"], &error["error"]["param"]),
        (&json!("error"), &json!("input"))
    );
    client
        .create(json!({ "input": "x", "store": false, "previous_response_id": id }))
        .await;
    assert_eq!(
        client.event().await["error"]["code"],
        "previous_response_not_found"
    );
    // What is stored is not forgotten.
    let (stored, _) = ask(&mut server, &mut client, json!({ "input": "one" }), "two").await;
    let id = &stored["id"];
    client
        .create(json!({ "input": "x", "previous_response_id": id, "temperature": 9 }))
        .await;
    assert_eq!(client.event().await["error"]["param"], "temperature");
    let next = json!({ "input": "three", "previous_response_id": id });
    ask(&mut server, &mut client, next, "four").await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_socket_goes_on() {
    let mut server = start().await;
    let mut client = open(&server).await;
    for (message, param) in [
        ("{", Value::Null),
        ("[]", Value::Null),
        ("", Value::Null),
        ("{\"type\": \"session.update\"}", json!("type")),
        (
            "{\"type\": \"response.create\", \"model\": \"m\", \"input\": 1}",
            json!("input"),
        ),
    ] {
        client.say(message).await;
        let error = client.event().await;
        assert_eq!(
            (&error["type"], &error["status"]),
            (&json!("error"), &json!(400)),
            "{error}"
        );
        assert_eq!(error["error"]["param"], param, "{message}");
    }
    ask(&mut server, &mut client, json!({ "input": "x" }), "y").await;
}

#[tokio::test]
async fn an_answer_ends_with_its_socket() {
    let mut server = start().await;
    for politely in [true, false] {
        let mut client = open(&server).await;
        client.create(json!({ "input": "x" })).await;
        let play = server.script.next().await;
        play.start().say(0, "half");
        client.until("response.output_text.delta").await;
        if politely {
            client.0.close(None).await.unwrap();
        }
        drop(client);
        play.cancelled().await;
    }
    // Also while nothing has been said yet.
    let mut client = open(&server).await;
    client.create(json!({ "input": "x" })).await;
    let play = server.script.next().await;
    drop(client);
    play.cancelled().await;
}

#[tokio::test]
async fn a_failure_in_the_middle_is_the_last_event() {
    let mut server = start().await;
    let mut client = open(&server).await;
    client.create(json!({ "input": "x" })).await;
    let play = server.script.next().await;
    play.start().say(0, "half");
    play.send(GenerationEvent::Failed(EngineError::ShuttingDown));
    let events = client.until("response.failed").await;
    assert_eq!(
        events.last().unwrap()["response"]["error"]["code"],
        "server_is_overloaded"
    );
    ask(&mut server, &mut client, json!({ "input": "x" }), "y").await;
}

#[tokio::test]
async fn keys_are_checked_for_the_socket_and_for_each_message() {
    let limits = KeyLimits {
        requests_per_minute: Some(2),
        ..KeyLimits::default()
    };
    let (keys, secrets) = ring(vec![limited(limits), named("other")]);
    let mut server = start_with(Setup {
        change: Some(|options: &mut GatewayOptions| options.access.require_key = true),
        keys,
        ..Setup::default()
    })
    .await;
    for headers in [&[][..], &[("authorization", "Bearer wrong")]] {
        let (status, body) = refusal(&server, headers).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("invalid_api_key"))
        );
    }
    let key = format!("Bearer {}", secrets[0]);
    let with_key = [("authorization", key.as_str())];
    let mut client = open_with(&server, &with_key).await.unwrap();
    // Opening counts for nothing; two messages use the minute up.
    let (first, _) = ask(&mut server, &mut client, json!({ "input": "x" }), "y").await;
    ask(&mut server, &mut client, json!({ "input": "x" }), "y").await;
    client.create(json!({ "input": "x" })).await;
    let error = client.event().await;
    assert_eq!(
        (&error["type"], &error["status"]),
        (&json!("error"), &json!(429))
    );
    assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    let (status, body) = refusal(&server, &with_key).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (429, &json!("rate_limit_exceeded"))
    );
    // One key's answers are not another's.
    let key = format!("Bearer {}", secrets[1]);
    let mut other = open_with(&server, &[("authorization", &key)])
        .await
        .unwrap();
    other
        .create(json!({ "input": "x", "previous_response_id": first["id"] }))
        .await;
    assert_eq!(
        other.event().await["error"]["code"],
        "previous_response_not_found"
    );
}

#[tokio::test]
async fn a_key_with_one_request_at_once_may_ask_again_at_once() {
    let limits = KeyLimits {
        concurrent: Some(1),
        ..KeyLimits::default()
    };
    let (keys, secrets) = ring(vec![limited(limits)]);
    let mut server = start_with(Setup {
        keys,
        ..Setup::default()
    })
    .await;
    let key = format!("Bearer {}", secrets[0]);
    let mut client = open_with(&server, &[("authorization", &key)])
        .await
        .unwrap();
    for _ in 0..8 {
        ask(&mut server, &mut client, json!({ "input": "x" }), "y").await;
    }
}

#[tokio::test]
async fn pages_of_other_sites_open_no_socket() {
    let server = start().await;
    for (headers, status) in [
        (&[("origin", "https://evil.example")][..], 403),
        (&[("host", "evil.example")], 403),
        (&[("sec-websocket-version", "8")], 426),
        (&[("upgrade", "h2c")], 426),
    ] {
        assert_eq!(refusal(&server, headers).await.0, status, "{headers:?}");
    }
    let origin = [("origin", "http://localhost"), ("host", "localhost")];
    open_with(&server, &origin).await.unwrap();
    // Without its header the path has other methods.
    let answer = send(server.address, get(PATH)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "POST")
    );
    // The header alone opens nothing.
    let headers = [("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let answer = send(server.address, request("GET", PATH, &headers, vec![])).await;
    assert_eq!(answer.status, 426);
}

fn small(options: &mut GatewayOptions) {
    options.limits.max_body_bytes = 2000;
}

#[tokio::test]
async fn what_is_too_large_or_no_text_is_refused_and_the_socket_closed() {
    let mut server = start_with(Setup {
        change: Some(small),
        ..Setup::default()
    })
    .await;
    let large = "x".repeat(3000);
    for (message, status, code) in [
        (Message::from(large), 413, CloseCode::Size),
        (
            Message::Binary(Bytes::from_static(b"{}")),
            400,
            CloseCode::Unsupported,
        ),
    ] {
        let mut client = open(&server).await;
        ask(&mut server, &mut client, json!({ "input": "x" }), "y").await;
        client.say(message).await;
        let error = client.event().await;
        assert_eq!(
            (&error["type"], &error["status"]),
            (&json!("error"), &json!(status))
        );
        assert_eq!(client.closed().await, code);
    }
    let mut client = open(&server).await;
    let broken = tungstenite::protocol::frame::Frame::message(
        Bytes::from_static(b"\xff"),
        tungstenite::protocol::frame::coding::OpCode::Data(
            tungstenite::protocol::frame::coding::Data::Text,
        ),
        true,
    );
    client.say(Message::Frame(broken)).await;
    assert_eq!(client.event().await["status"], 400);
    assert_eq!(client.closed().await, CloseCode::Invalid);
}

#[tokio::test]
async fn who_is_silent_is_asked_and_given_up() {
    let change =
        |options: &mut GatewayOptions| options.limits.socket_ping = Duration::from_millis(20);
    let mut server = start_with(Setup {
        change: Some(change),
        ..Setup::default()
    })
    .await;
    let mut client = open(&server).await;
    client.create(json!({ "input": "x" })).await;
    let play = server.script.next().await;
    // Whoever reads answers pings by doing so.
    match timeout(PATIENCE, client.0.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
    {
        Message::Ping(_) => {}
        other => panic!("{other:?}"),
    }
    // From here on nobody reads.
    play.cancelled().await;
}

#[tokio::test]
async fn an_idle_socket_is_closed() {
    let change =
        |options: &mut GatewayOptions| options.limits.socket_idle = Duration::from_millis(20);
    let server = start_with(Setup {
        change: Some(change),
        ..Setup::default()
    })
    .await;
    let mut client = open(&server).await;
    assert_eq!(client.closed().await, CloseCode::Away);
}

#[tokio::test]
async fn a_drain_closes_idle_sockets_and_finishes_answers() {
    let mut server = start().await;
    let (mut idle, mut busy) = (open(&server).await, open(&server).await);
    busy.create(json!({ "input": "x" })).await;
    let play = server.script.next().await;
    play.start().say(0, "half");
    busy.until("response.output_text.delta").await;
    server.shutdown.drain.cancel();
    assert_eq!(idle.closed().await, CloseCode::Away);
    play.say(0, " done").finish(0).done(2);
    let events = busy.until("response.completed").await;
    let text = &events.last().unwrap()["response"]["output"][0]["content"][0]["text"];
    assert_eq!(text, "half done");
    assert_eq!(busy.closed().await, CloseCode::Away);
    assert!(server.stopped().await, "everything finished by itself");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_sockets_that_do_not_answer() {
    let mut server = start().await;
    let mut client = open(&server).await;
    client.create(json!({ "input": "x" })).await;
    let play = server.script.next().await;
    play.start().say(0, "half");
    server.shutdown.drain.cancel();
    server.shutdown.now.cancel();
    play.cancelled().await;
    let events = client.until("response.failed").await;
    assert_eq!(
        events.last().unwrap()["response"]["error"]["code"],
        "server_is_overloaded"
    );
    assert!(!server.stopped().await);
}

#[tokio::test]
async fn sockets_are_counted() {
    let mut server = start().await;
    let mut client = open(&server).await;
    ask(&mut server, &mut client, json!({ "input": "x" }), "y").await;
    let metrics = send(server.address, get("/metrics"))
        .await
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("atoll_sockets 1"), "{metrics}");
    let opened = "operation=\"open_socket\",status=\"101\",outcome=\"finished\"";
    assert!(metrics.contains(opened), "{metrics}");
    assert!(
        metrics.contains("operation=\"chat\",status=\"200\",outcome=\"finished\""),
        "{metrics}"
    );
}
