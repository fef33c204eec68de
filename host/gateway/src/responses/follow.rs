//! An answer as a stream, while it runs or after.
//!
//! What runs in the background writes what its client is to see into a [`Log`]; whoever asked for it as a stream,
//! and whoever asks again, reads the log from the beginning and goes on with what comes. So a client that lost
//! its connection finds the same events in the same order and can tell where it was. Once the answer is over its
//! record takes the log's place.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atoll_plugin_runtime::types::{
    Error, ErrorKind, Event, HttpResponse, Phase, Progress, StoredResponse, StoredStatus,
};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::Responses;
use super::recorder::{as_sent, is_terminal};
use crate::exchange::Conversation;
use crate::failure;
use crate::gateway::Gateway;
use crate::metrics::{Outcome, Watch};
use crate::response;

/// Most events handed to one encode call.
const MAX_BATCH: usize = 64;

/// Events of an answer that runs, as its client is to see them.
#[derive(Debug)]
pub(super) struct Log {
    events: Mutex<Vec<Event>>,
    length: watch::Sender<usize>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            length: watch::Sender::new(0),
        }
    }
}

impl Log {
    pub(super) fn push(&self, events: &[Event]) {
        let mut all = self.events();
        all.extend_from_slice(events);
        self.length.send_replace(all.len());
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader of a log.
pub(crate) struct Follower {
    log: Arc<Log>,
    length: watch::Receiver<usize>,
    at: usize,
}

impl Follower {
    /// Reads from the beginning.
    pub(super) fn new(log: Arc<Log>) -> Self {
        let length = log.length.subscribe();
        Self { log, length, at: 0 }
    }

    /// Everything there is now.
    fn all(&mut self) -> Vec<Event> {
        let events = self.log.events().get(self.at..).map(<[Event]>::to_vec);
        let events = events.unwrap_or_default();
        self.at += events.len();
        events
    }

    /// The next events, waiting for at least one. May be dropped at its await.
    async fn next(&mut self) -> Vec<Event> {
        let at = self.at;
        // The log lives as long as this reader.
        self.length.wait_for(|&length| length > at).await.ok();
        let events = self.log.events();
        let end = events.len().min(at + MAX_BATCH);
        let batch = events.get(at..end).unwrap_or_default().to_vec();
        drop(events);
        self.at = end;
        batch
    }
}

impl Responses {
    /// An answer with its deltas as they were sent, and whoever brings the rest of it while it runs. Where what
    /// was sent is not known any more, one that is `resumed` is refused and any other told as it is kept.
    pub(crate) async fn follow(
        &self,
        owner: Option<String>,
        id: String,
        resumed: bool,
    ) -> Result<(StoredResponse, Option<Follower>), Error> {
        // First the log, then the record: one that ends in between is in both.
        let follower = self.table().get(&id).map(|running| running.follower());
        let kept = self.kept(owner, id).await?;
        if let Some(mut follower) = follower {
            let events = follower.all();
            let over = events.last().is_some_and(is_terminal);
            let mut response = kept.response;
            if !over {
                response.status = StoredStatus::InProgress;
            }
            response.events = events;
            return Ok((response, (!over).then_some(follower)));
        }
        let sent = as_sent(&kept);
        if resumed && sent.is_none() {
            let message = "this answer's stream cannot be taken up in its middle: what was sent is not what is \
                           kept, because a filter changed it or it had log probabilities; ask for the whole answer";
            return Err(failure::error(ErrorKind::Unsupported, message));
        }
        let mut response = kept.response;
        if let Some(sent) = sent {
            response.events = sent;
        }
        Ok((response, None))
    }
}

/// Streams what has `begun` and then what a follower brings, on a task of the gateway's tracker that ends with
/// the answer or its client. The watch is that of a request of its own: an answer's first client is counted with
/// the answer.
pub(crate) fn stream(
    gateway: &Gateway,
    conversation: Conversation,
    follower: Follower,
    begun: HttpResponse,
    mut watch: Option<Watch>,
) -> Response {
    let limits = &gateway.inner.options.limits;
    let (sender, receiver) = mpsc::channel(limits.stream_buffer.max(1));
    let body = stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let HttpResponse { head, body: first } = begun;
    let mut response = response::streaming(head, Body::from_stream(body));
    if let Some(watch) = &mut watch {
        response = watch.peek_response(response);
    }
    let pump = Pump {
        conversation,
        follower,
        watch,
        silence: limits.keep_alive,
    };
    let pump = pump.run(Bytes::from(first), sender);
    gateway
        .inner
        .requests
        .spawn(Box::pin(pump).in_current_span());
    response
}

struct Pump {
    conversation: Conversation,
    follower: Follower,
    watch: Option<Watch>,
    silence: std::time::Duration,
}

impl Pump {
    async fn run(mut self, first: Bytes, sender: mpsc::Sender<Result<Bytes, io::Error>>) {
        let outcome = tokio::select! {
            () = sender.closed() => Outcome::Disconnected,
            outcome = self.send(first, &sender) => outcome,
        };
        if let Some(watch) = &mut self.watch {
            watch.outcome(outcome);
        }
        // The stream ends after everything behind it did.
        drop(self);
    }

    async fn send(
        &mut self,
        first: Bytes,
        sender: &mpsc::Sender<Result<Bytes, io::Error>>,
    ) -> Outcome {
        let mut bytes = first;
        let mut over = false;
        loop {
            if !bytes.is_empty() && sender.send(Ok(bytes)).await.is_err() {
                return Outcome::Disconnected;
            }
            if over {
                return Outcome::Finished;
            }
            let events = timeout(self.silence, self.follower.next()).await;
            let events = events.unwrap_or_else(|_| vec![silence()]);
            over = events.last().is_some_and(is_terminal);
            bytes = match self.conversation.encode(&events).await {
                Ok(bytes) => Bytes::from(bytes),
                Err(failure) => {
                    let kind = failure.into_error().kind;
                    // Nobody takes half a stream for a whole one: the connection breaks.
                    let broken = io::Error::other("the answer broke off");
                    sender.send(Err(broken)).await.ok();
                    return Outcome::Failed(kind);
                }
            };
        }
    }
}

fn silence() -> Event {
    Event::Progress(Progress {
        phase: Phase::Decode,
        done: 0,
        total: 0,
        detail: None,
    })
}
