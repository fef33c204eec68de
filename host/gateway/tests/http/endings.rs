//! Shutdown: what is under way finishes, what is new is refused, what takes too long is cut off.

use std::time::Duration;

use crate::client::{chunks, get, post, send, streamed_text};
use crate::server::{Setup, chat, start, start_with};

#[tokio::test]
async fn a_drain_refuses_new_requests_and_finishes_running_ones() {
    let mut server = start().await;
    let request = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (mut answer, play) = tokio::join!(request, server.script.next());
    play.start().say(0, "Hi");
    let mut seen = answer.until("Hi").await;
    server.shutdown.drain.cancel();
    // The drain begins on the server's own task: ask until it shows.
    let refused = loop {
        let ready = send(server.address, get("/readyz")).await;
        if ready.status == 503 {
            break send(server.address, post("/v1/chat/completions", &chat(false))).await;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("connection"), "close");
    assert_eq!(send(server.address, get("/healthz")).await.status, 200);
    play.say(0, " there").finish(0).done(2);
    while let Some(piece) = answer.piece().await {
        seen.push_str(&piece);
    }
    assert_eq!(streamed_text(&seen), "Hi there");
    assert!(server.stopped().await, "everything finished by itself");
    assert!(
        tokio::net::TcpStream::connect(server.address)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_outlasts_the_grace_ends_with_an_error() {
    let change = |options: &mut atoll_gateway::GatewayOptions| {
        options.limits.drain_grace = Duration::from_millis(20);
    };
    let mut server = start_with(Setup {
        change: Some(change),
        ..Setup::default()
    })
    .await;
    let request = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (answer, play) = tokio::join!(request, server.script.next());
    play.start().say(0, "Hi");
    server.shutdown.drain.cancel();
    let stream = answer.text().await.unwrap();
    assert!(
        chunks(&stream)
            .iter()
            .any(|chunk| !chunk["error"].is_null()),
        "{stream}"
    );
    play.cancelled().await;
    assert!(!server.stopped().await);
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_grace() {
    let mut server = start().await;
    let request = send(server.address, post("/v1/chat/completions", &chat(true)));
    let (answer, play) = tokio::join!(request, server.script.next());
    server.shutdown.drain.cancel();
    server.shutdown.now.cancel();
    play.cancelled().await;
    assert!(answer.text().await.unwrap().contains("error"));
    assert!(!server.stopped().await);
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let mut server = start().await;
    send(server.address, get("/healthz")).await;
    server.shutdown.drain.cancel();
    assert!(server.stopped().await);
}
