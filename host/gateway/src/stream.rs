//! One answer: events from the engine through the filters and the dialect to the client.
//!
//! A streamed answer runs on a task of its own that the gateway's tracker owns; it ends when the
//! terminal event is out, when the client is gone, or when shutdown cuts it off. Between that task
//! and the connection stands a short queue: when the client reads slowly the task stops pulling
//! events. Whatever ends the task drops the feed, and with it every generation behind it.
//!
//! Exactly one terminal event reaches the dialect. If even that cannot be encoded, the connection is
//! broken off on purpose, so that no client takes half an answer for a whole one.

use std::io;
use std::time::Duration;

use atoll_plugin_runtime::types::{Error, ErrorKind, Event, Phase, Progress, ResponseHead};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::exchange::Conversation;
use crate::failure::{self, Failure};
use crate::feed::Feed;
use crate::filters::Chain;
use crate::gateway::{Gateway, fail};
use crate::metrics::{Outcome, Watch};
use crate::options::Limits;
use crate::response;
use crate::responses::recorder::Recorder;

/// Everything that works on one answer.
pub(crate) struct Answer {
    gateway: Gateway,
    conversation: Conversation,
    chain: Chain,
    feed: Feed,
    watch: Watch,
    /// Keeps what the model says.
    recorder: Option<Recorder>,
    limits: Limits,
    kill: CancellationToken,
    /// Until when the first token must have come; `None` once it has.
    first_token_by: Option<Instant>,
    /// When the connection has been silent for long enough to say something.
    next_keep_alive: Instant,
}

/// What comes out of the pipeline next.
enum Next {
    /// Events for the dialect, filtered.
    Events(Vec<Event>),
    /// Nothing happened for a while.
    Silence,
}

impl Answer {
    pub(crate) fn new(
        gateway: &Gateway,
        conversation: Conversation,
        chain: Chain,
        feed: Feed,
        watch: Watch,
    ) -> Self {
        let limits = gateway.inner.options.limits.clone();
        let now = Instant::now();
        Self {
            conversation,
            chain,
            feed,
            watch,
            recorder: None,
            kill: gateway.inner.kill.clone(),
            gateway: gateway.clone(),
            first_token_by: now.checked_add(limits.first_token_timeout),
            next_keep_alive: now + limits.keep_alive,
            limits,
        }
    }

    /// Keeps the answer.
    pub(crate) fn recording(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// The whole answer at once. Runs in the connection's own task: when the client goes away, this
    /// future is dropped.
    pub(crate) async fn collect(mut self) -> Response {
        match self.gather().await {
            Ok((head, bytes)) => self.watch.finish_response(response::bytes(head, bytes)),
            Err(failure) => {
                self.feed = Feed::ended();
                fail(self.conversation, failure, self.watch).await
            }
        }
    }

    async fn gather(&mut self) -> Result<(ResponseHead, Vec<u8>), Failure> {
        let mut body = Vec::new();
        loop {
            let Next::Events(events) = self.next().await else {
                continue;
            };
            let ended = match events.last() {
                Some(Event::Failed(error)) => return Err(Failure::Typed(error.clone())),
                Some(Event::Finished(_)) => true,
                _ => false,
            };
            body.extend(self.conversation.encode(&events).await?);
            if ended {
                let head = self.conversation.head().await?;
                self.watch.finished();
                return Ok((head, body));
            }
        }
    }

    /// The head as soon as the engine has the request (or keeps us waiting), then bytes as they come.
    pub(crate) async fn stream(mut self) -> Response {
        let refused = match timeout(self.limits.head_after, self.feed.admitted()).await {
            Ok(Err(stopped)) => Some(Failure::Typed(stopped.into_error())),
            Ok(Ok(())) | Err(_) => None,
        };
        let head = match refused {
            Some(failure) => Err(failure),
            None => self.conversation.head().await,
        };
        let head = match head {
            Ok(head) => head,
            Err(failure) => return fail(self.conversation, failure, self.watch).await,
        };
        let (sender, receiver) = mpsc::channel(self.limits.stream_buffer.max(1));
        let body = stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        let head = response::streaming(head, Body::from_stream(body));
        let head = self.watch.peek_response(head);
        let requests = self.gateway.inner.requests.clone();
        requests.spawn(Box::pin(self.pump(sender)).in_current_span());
        head
    }

    async fn pump(mut self, sender: mpsc::Sender<Result<Bytes, io::Error>>) {
        loop {
            // Room first, events second: a slow client stops the pull, not just the push.
            let Ok(permit) = sender.reserve().await else {
                return self.gone();
            };
            let next = tokio::select! {
                biased;
                () = sender.closed() => return self.gone(),
                next = self.next() => next,
            };
            let events = match next {
                Next::Events(events) => events,
                Next::Silence => vec![self.progress()],
            };
            let (bytes, ended) = match self.conversation.encode(&events).await {
                Ok(bytes) => (Some(bytes), terminal(&events)),
                Err(failure) => (self.last_words(failure, terminal(&events)).await, true),
            };
            match bytes {
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => {
                    permit.send(Ok(Bytes::from(bytes)));
                    self.next_keep_alive = Instant::now() + self.limits.keep_alive;
                }
                None => permit.send(Err(io::Error::other("the answer broke off"))),
            }
            if ended {
                self.feed = Feed::ended();
                self.watch.finished();
                // The stream ends after everything behind it did: who sends the next request at once finds
                // the key free again.
                drop(self);
                return;
            }
        }
    }

    /// The dialect could not encode. One that only refused these events can still say how the answer
    /// ends; for one that broke, or was at the end already, there are no words: `None`.
    async fn last_words(&mut self, failure: Failure, at_the_end: bool) -> Option<Vec<u8>> {
        self.feed = Feed::ended();
        self.watch.failed(&failure);
        match failure {
            Failure::Fault(fault) => {
                self.watch.plugin_fault(&fault);
                None
            }
            Failure::Typed(_) if at_the_end => None,
            Failure::Typed(error) => self.conversation.encode(&[Event::Failed(error)]).await.ok(),
        }
    }

    fn gone(mut self) {
        self.watch.outcome(Outcome::Disconnected);
    }

    /// The next events for the dialect, or silence. A failure of any part becomes the terminal event.
    async fn next(&mut self) -> Next {
        loop {
            let deadline = self.first_token_by;
            let events = tokio::select! {
                biased;
                () = self.kill.cancelled() => return self.failed(response::draining()).await,
                events = self.feed.next() => events,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return self.failed(self.too_late()).await;
                }
                () = sleep_until(self.next_keep_alive) => {
                    self.next_keep_alive = Instant::now() + self.limits.keep_alive;
                    return Next::Silence;
                }
            };
            if events.is_empty() {
                let message = "the answer ended without a last event";
                return self
                    .failed(failure::error(ErrorKind::Internal, message))
                    .await;
            }
            if self.watch.events(&events) {
                self.first_token_by = None;
            }
            let given = self.recorder.is_some().then(|| events.clone());
            match self.chain.on_events(events).await {
                Ok(events) => {
                    if let (Some(recorder), Some(given)) = (&mut self.recorder, given) {
                        recorder.events(&given, &events).await;
                    }
                    if !events.is_empty() {
                        return Next::Events(events);
                    }
                }
                Err(failure) => {
                    if let Failure::Fault(fault) = &failure {
                        self.watch.plugin_fault(fault);
                    }
                    return self.failed(failure.into_error()).await;
                }
            }
        }
    }

    /// Ends the answer from here: the generations are cancelled, held-back text is dropped.
    async fn failed(&mut self, error: Error) -> Next {
        self.feed = Feed::ended();
        if let Some(recorder) = &mut self.recorder {
            let last = [Event::Failed(error.clone())];
            recorder.events(&last, &last).await;
        }
        self.watch.outcome(Outcome::Failed(error.kind.clone()));
        Next::Events(vec![Event::Failed(error)])
    }

    fn too_late(&self) -> Error {
        let seconds = self.limits.first_token_timeout.as_secs();
        let message = format!("the model did not begin to answer within {seconds} s");
        failure::error(ErrorKind::Timeout, message)
    }

    /// What keeps a silent connection alive.
    fn progress(&self) -> Event {
        let phase = if self.feed.is_starting() {
            Phase::Loading
        } else if self.first_token_by.is_some() {
            Phase::Prefill
        } else {
            Phase::Decode
        };
        Event::Progress(Progress {
            phase,
            done: 0,
            total: 0,
            detail: None,
        })
    }
}

fn terminal(events: &[Event]) -> bool {
    matches!(events.last(), Some(Event::Finished(_) | Event::Failed(_)))
}

/// How long a request may take to notice that it was cut off.
pub(crate) const NOTICE: Duration = Duration::from_secs(5);
