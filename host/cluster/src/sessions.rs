//! [`Sessions`]: one node asks another, and reads the answer as it comes.
//!
//! Every node listens in two places, one for questions to it and one for answers to its own, so a
//! session costs no declaration in the network. An answer is paced by its reader: the answering side
//! sends at most [`WINDOW`] parts ahead, so neither queue grows with a slow client. It says at least
//! every [`BEAT`] that it lives; a reader that hears nothing for longer than the node's patience gives
//! up, which is how a frozen machine is noticed before the network notices. A reader that goes away
//! cancels.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::ClusterError;
use crate::identity::NodeId;
use crate::wire;
use crate::wire::session::{Down, DownBody, Up, UpBody};

/// Parts that may be under way to a reader that has not taken them.
const WINDOW: u32 = 64;

/// How often an answering node says that it lives while it has nothing else to say.
const BEAT: Duration = Duration::from_millis(200);

/// Most sessions that a node answers at once; more are refused.
const MAX_ANSWERING: usize = 1024;

/// Answers what other nodes ask. Called on the node's runtime.
pub trait Service: Send + Sync + 'static {
    /// The parts of the answer. Dropping the stream cancels the work. `request` is another node's
    /// words.
    fn answer(&self, request: Vec<u8>) -> BoxStream<'static, Vec<u8>>;
}

/// How frames leave: to a node, upward (questions) or downward (answers).
pub(crate) trait Post: Send + Sync + 'static {
    /// Sends a frame. May wait for the transport, so not on a transport's thread.
    fn up(
        &self,
        to: NodeId,
        frame: Vec<u8>,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;
    /// As [`up`](Self::up).
    fn down(
        &self,
        to: NodeId,
        frame: Vec<u8>,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;
}

/// A session that this node asked for.
struct Asking {
    node: NodeId,
    parts: mpsc::Sender<DownBody>,
}

/// A session that this node answers.
struct Answering {
    from: NodeId,
    credit: Arc<Semaphore>,
    cancel: CancellationToken,
}

/// See the [module documentation](self).
pub(crate) struct Sessions<P> {
    me: NodeId,
    post: P,
    asking: Mutex<HashMap<u128, Asking>>,
    answering: Mutex<HashMap<u128, Answering>>,
    /// Single frames on their way.
    saying: TaskTracker,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P: Post> Sessions<P> {
    pub fn new(me: NodeId, post: P) -> Arc<Self> {
        Arc::new(Self {
            me,
            post,
            asking: Mutex::default(),
            answering: Mutex::default(),
            saying: TaskTracker::new(),
        })
    }

    /// Asks `node`. The answer ends with an error if the node is silent for longer than `patience`.
    pub async fn ask(
        self: &Arc<Self>,
        node: NodeId,
        request: Vec<u8>,
        patience: Duration,
    ) -> Result<Answer<P>, ClusterError> {
        let session = uuid::Uuid::new_v4().as_u128();
        // The window, and the beats and the end that do not count.
        let (sender, parts) = mpsc::channel(2 * WINDOW as usize);
        let asking = Asking {
            node,
            parts: sender,
        };
        lock(&self.asking).insert(session, asking);
        let answer = Answer {
            sessions: Arc::clone(self),
            session,
            node,
            parts,
            heard: Instant::now(),
            patience,
            clock: tokio::time::interval(patience / 8),
            taken: 0,
            over: false,
        };
        let from = self.me;
        let body = UpBody::Open { from, request };
        let frame = wire::encode(&Up { session, body })?;
        self.post.up(node, frame).await?;
        Ok(answer)
    }

    /// A frame for a session that this node asked for. Never waits.
    pub fn told(&self, frame: &[u8]) {
        let Down { session, body } = match wire::decode(frame) {
            Ok(down) => down,
            Err(error) => return tracing::debug!(%error, "an answer that is none"),
        };
        let mut asking = lock(&self.asking);
        let Some(asked) = asking.get(&session) else {
            return;
        };
        let beat = body == DownBody::Beat;
        if asked.parts.try_send(body).is_err() && !beat {
            tracing::warn!(node = ?asked.node, "an answer came faster than it may");
            asking.remove(&session);
        }
    }

    /// A frame for a session that this node answers, or begins to. Never waits.
    pub fn asked(
        self: &Arc<Self>,
        frame: &[u8],
        service: Option<&Arc<dyn Service>>,
        spawn: impl FnOnce(futures::future::BoxFuture<'static, ()>),
    ) {
        let Up { session, body } = match wire::decode(frame) {
            Ok(up) => up,
            Err(error) => return tracing::debug!(%error, "a question that is none"),
        };
        match body {
            UpBody::Open { from, request } => {
                let Some(begun) = self.begin(session, from) else {
                    return;
                };
                let sessions = Arc::clone(self);
                match service {
                    Some(service) => {
                        let answer = service.answer(request);
                        spawn(Box::pin(async move {
                            sessions.serve(session, from, begun, answer).await
                        }));
                    }
                    None => spawn(Box::pin(async move {
                        let reason = "this node answers nothing".to_owned();
                        sessions
                            .tell(from, session, DownBody::Refused { reason })
                            .await;
                        lock(&sessions.answering).remove(&session);
                    })),
                }
            }
            UpBody::Credit(more) => {
                if let Some(answering) = lock(&self.answering).get(&session) {
                    let room = WINDOW as usize;
                    let more = (more as usize)
                        .min(room.saturating_sub(answering.credit.available_permits()));
                    answering.credit.add_permits(more);
                }
            }
            UpBody::Cancel => {
                if let Some(answering) = lock(&self.answering).remove(&session) {
                    answering.cancel.cancel();
                }
            }
        }
    }

    /// A node is lost: its answers do not come, and nobody reads those to it.
    pub fn lost(&self, node: NodeId) {
        lock(&self.asking).retain(|_, asking| asking.node != node);
        lock(&self.answering).retain(|_, answering| {
            if answering.from == node {
                answering.cancel.cancel();
            }
            answering.from != node
        });
    }

    /// Sessions that this node answers.
    pub fn answering(&self) -> usize {
        lock(&self.answering).len()
    }

    fn begin(&self, session: u128, from: NodeId) -> Option<(Arc<Semaphore>, CancellationToken)> {
        let mut answering = lock(&self.answering);
        if answering.len() >= MAX_ANSWERING || answering.contains_key(&session) {
            tracing::warn!(?from, "a session is refused");
            return None;
        }
        let credit = Arc::new(Semaphore::new(WINDOW as usize));
        let cancel = CancellationToken::new();
        answering.insert(
            session,
            Answering {
                from,
                credit: Arc::clone(&credit),
                cancel: cancel.clone(),
            },
        );
        Some((credit, cancel))
    }

    async fn serve(
        self: Arc<Self>,
        session: u128,
        to: NodeId,
        (credit, cancel): (Arc<Semaphore>, CancellationToken),
        mut answer: BoxStream<'static, Vec<u8>>,
    ) {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut waiting: Option<Vec<u8>> = None;
        loop {
            let body = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                permit = credit.acquire(), if waiting.is_some() => {
                    match (permit, waiting.take()) {
                        (Ok(permit), Some(part)) => {
                            permit.forget();
                            DownBody::Part(part)
                        }
                        _ => break,
                    }
                }
                part = answer.next(), if waiting.is_none() => match part {
                    Some(part) => {
                        waiting = Some(part);
                        continue;
                    }
                    None => DownBody::End,
                },
                _ = beats.tick() => DownBody::Beat,
            };
            let end = body == DownBody::End;
            if !self.tell(to, session, body).await || end {
                break;
            }
        }
        lock(&self.answering).remove(&session);
    }

    async fn tell(&self, to: NodeId, session: u128, body: DownBody) -> bool {
        let frame = match wire::encode(&Down { session, body }) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, "an answer has no bytes");
                return false;
            }
        };
        let sent = self.post.down(to, frame).await;
        if let Err(error) = &sent {
            tracing::debug!(%error, "an answer has no reader");
        }
        sent.is_ok()
    }

    /// Tells the answering side something, from wherever the reader is.
    fn say(self: &Arc<Self>, node: NodeId, session: u128, body: UpBody) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let sessions = Arc::clone(self);
        let say = async move {
            let sent = match wire::encode(&Up { session, body }) {
                Ok(frame) => sessions.post.up(node, frame).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "the answering node does not hear");
            }
        };
        self.saying.spawn_on(say, &runtime);
    }
}

/// An answer as it comes; ends after an error. Dropping it cancels the work.
pub(crate) struct Answer<P: Post> {
    sessions: Arc<Sessions<P>>,
    session: u128,
    node: NodeId,
    parts: mpsc::Receiver<DownBody>,
    heard: Instant,
    patience: Duration,
    clock: Interval,
    /// Parts taken since credit was last given.
    taken: u32,
    over: bool,
}

impl<P: Post> Stream for Answer<P> {
    type Item = Result<Vec<u8>, ClusterError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            match this.parts.poll_recv(cx) {
                Poll::Ready(Some(body)) => {
                    this.heard = Instant::now();
                    match body {
                        DownBody::Beat => {}
                        DownBody::Part(part) => {
                            this.taken += 1;
                            if this.taken >= WINDOW / 2 {
                                let credit = UpBody::Credit(std::mem::take(&mut this.taken));
                                this.sessions.say(this.node, this.session, credit);
                            }
                            return Poll::Ready(Some(Ok(part)));
                        }
                        DownBody::End => {
                            this.over = true;
                            return Poll::Ready(None);
                        }
                        DownBody::Refused { reason } => {
                            this.over = true;
                            let to = format!("node {:?}", this.node);
                            let error = ClusterError::Unreachable { to, reason };
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
                Poll::Ready(None) => {
                    this.over = true;
                    let error = ClusterError::Lost { node: this.node };
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending => {
                    if this.clock.poll_tick(cx).is_pending() {
                        return Poll::Pending;
                    }
                    if this.heard.elapsed() > this.patience {
                        this.over = true;
                        let error = ClusterError::Unreachable {
                            to: format!("node {:?}", this.node),
                            reason: format!("it has been silent for {:?}", this.heard.elapsed()),
                        };
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }
}

impl<P: Post> Drop for Answer<P> {
    fn drop(&mut self) {
        lock(&self.sessions.asking).remove(&self.session);
        if !self.over {
            self.sessions.say(self.node, self.session, UpBody::Cancel);
        }
    }
}

#[cfg(test)]
mod tests;
