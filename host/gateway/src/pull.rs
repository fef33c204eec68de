//! A download's progress, streamed.
//!
//! Like an answer of a model, on a task that the gateway's tracker owns, with a short queue before the
//! connection; unlike one, it has no filters (there is no text in it) and no first token to wait for. It ends
//! with the download, with the client, or with the gateway.

use std::io;

use atoll_plugin_runtime::types::{Event, Finished, Timings, Usage};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::exchange::Conversation;
use crate::failure::Failure;
use crate::gateway::{Gateway, fail};
use crate::library::{self, PullStream};
use crate::metrics::{Outcome, Watch};
use crate::response;

/// Fetches a model and answers with how far it is.
pub(crate) async fn answer(
    gateway: Gateway,
    mut conversation: Conversation,
    name: String,
    mut watch: Watch,
) -> Response {
    watch.streamed(true);
    let begun = async {
        let mut pull = library::of(&gateway)?.pull(&name)?;
        let first = next(&gateway, &mut pull).await;
        if let Event::Failed(error) = first {
            return Err(Failure::Typed(error));
        }
        Ok((pull, first, conversation.head().await?))
    };
    let (pull, first, head) = match begun.await {
        Ok(begun) => begun,
        Err(failure) => return fail(conversation, failure, watch).await,
    };
    let capacity = gateway.inner.options.limits.stream_buffer.max(1);
    let (sender, receiver) = mpsc::channel(capacity);
    let body = stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let head = watch.peek_response(response::streaming(head, Body::from_stream(body)));
    let requests = gateway.inner.requests.clone();
    let pump = pump(gateway, conversation, pull, first, watch, sender);
    requests.spawn(Box::pin(pump).in_current_span());
    head
}

async fn pump(
    gateway: Gateway,
    mut conversation: Conversation,
    mut pull: PullStream,
    first: Event,
    mut watch: Watch,
    sender: mpsc::Sender<Result<Bytes, io::Error>>,
) {
    let silence = gateway.inner.options.limits.keep_alive;
    let mut event = first;
    loop {
        let encoded = conversation.encode(std::slice::from_ref(&event)).await;
        let ended = matches!(event, Event::Finished(_) | Event::Failed(_));
        let sent = match encoded {
            Ok(bytes) if bytes.is_empty() => Ok(()),
            Ok(bytes) => sender.send(Ok(Bytes::from(bytes))).await,
            Err(failure) => {
                watch.failed(&failure);
                // Nobody takes half a stream for a whole one: the connection breaks.
                let broken = io::Error::other("the answer broke off");
                let _ = sender.send(Err(broken)).await;
                return;
            }
        };
        if sent.is_err() {
            return watch.outcome(Outcome::Disconnected);
        }
        if ended {
            watch.events(std::slice::from_ref(&event));
            return watch.finished();
        }
        let next = timeout(silence, next(&gateway, &mut pull));
        tokio::select! {
            () = sender.closed() => return watch.outcome(Outcome::Disconnected),
            // After a while without news the last is said again, which keeps the connection open.
            next = next => if let Ok(next) = next {
                event = next;
            },
        }
    }
}

/// The next event; may be dropped at its await without losing one.
async fn next(gateway: &Gateway, pull: &mut PullStream) -> Event {
    let item = tokio::select! {
        biased;
        () = gateway.inner.kill.cancelled() => Some(Err(response::draining())),
        item = pull.next() => item,
    };
    match item {
        Some(Ok(progress)) => Event::Progress(progress),
        Some(Err(error)) => Event::Failed(error),
        None => Event::Finished(Finished {
            usage: Usage {
                prompt_tokens: 0,
                cached_tokens: 0,
                cache_written_tokens: 0,
                output_tokens: 0,
                reasoning_tokens: 0,
            },
            timings: Timings {
                queued: 0,
                load: 0,
                prefill: 0,
                decode: 0,
                total: 0,
            },
        }),
    }
}
