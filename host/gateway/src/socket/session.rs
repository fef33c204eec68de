//! An open socket: each message of the client an exchange, each line of the exchange a message to it.
//!
//! Messages are answered one after the other; what comes meanwhile waits, and when too much waits the socket
//! is not read until there is room. An answer ends with its socket: when the client closes it, or is not heard
//! any more, the answer's future is dropped, which cancels everything behind it.
//!
//! Every message passes the gateway on its own, with the opening request's headers: a key that was revoked or
//! has used up its quota is refused at the next message, and a plugin that was replaced is not asked again.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use atoll_plugin_runtime::types::{Error, ErrorKind};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{SinkExt as _, StreamExt as _, stream};
use http::{HeaderMap, Method, Uri};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, Message as Frame, Role, WebSocketConfig,
};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

use super::Message;
use super::lines::Lines;
use crate::failure;
use crate::gateway::{Gateway, message};
use crate::guard::{Peer, RequestId};
use crate::options::Limits;
use crate::refusal;
use crate::responses::local::LocalAnswers;

/// What a socket may read ahead; eagerly allocated, so small: most messages are a few KiB.
const READ_BUFFER: usize = 8 << 10;

/// Messages that may wait for their turn.
const MAX_PENDING: usize = 8;

/// A client that takes nothing for so long is gone.
const SEND_PATIENCE: Duration = Duration::from_secs(60);

/// How long the other side may take to say goodbye.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Pings without an answer after which the client is gone.
const MAX_UNANSWERED: u32 = 2;

/// What all messages of a socket have in common: its opening request.
pub(super) struct Opening {
    uri: Uri,
    headers: HeaderMap,
    peer: Option<Peer>,
    id: String,
}

impl Opening {
    pub(super) fn of(request: &Request<()>, id: &str) -> Self {
        Self {
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            peer: request.extensions().get::<Peer>().copied(),
            id: id.to_owned(),
        }
    }

    /// The request that a message stands for.
    fn request(&self, number: u64, message: Bytes, answers: &Arc<LocalAnswers>) -> Request {
        let mut request = Request::new(Body::from(message));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let extensions = request.extensions_mut();
        if let Some(peer) = self.peer {
            extensions.insert(peer);
        }
        extensions.insert(RequestId(format!("{}.{number}", self.id)));
        let answers = Arc::clone(answers);
        extensions.insert(Message { answers });
        request
    }
}

/// A socket that is about to be opened.
pub(super) struct Session {
    gateway: Gateway,
    opening: Opening,
}

impl Session {
    pub(super) fn new(gateway: Gateway, opening: Opening) -> Self {
        Self { gateway, opening }
    }

    /// The socket's whole life.
    pub(super) async fn run(self, upgrade: OnUpgrade) {
        let upgraded = match upgrade.await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => {
                tracing::debug!(%error, "a socket was given up while it opened");
                return;
            }
        };
        let limits = self.gateway.inner.options.limits.clone();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Every message is sent at once.
            .write_buffer_size(0)
            .max_message_size(Some(limits.max_body_bytes))
            .max_frame_size(Some(limits.max_body_bytes));
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
        let _open = self.gateway.inner.metrics.socket_opened();
        let talk = Talk {
            gateway: self.gateway,
            opening: self.opening,
            socket,
            answers: Arc::default(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            count: 0,
            unanswered: 0,
            next_ping: Instant::now() + limits.socket_ping,
            limits,
        };
        talk.run().await;
    }
}

/// Why a socket ends.
enum End {
    /// The client is not there any more.
    Gone,
    /// The client said goodbye.
    Closed,
    /// We do.
    Close(CloseCode, &'static str),
    /// The client broke a rule of ours, and is told so in its API's words first.
    Refuse(Box<Error>, CloseCode),
}

struct Talk {
    gateway: Gateway,
    opening: Opening,
    socket: WebSocketStream<TokioIo<Upgraded>>,
    answers: Arc<LocalAnswers>,
    /// Messages that were read before their turn.
    pending: VecDeque<Bytes>,
    pending_bytes: usize,
    /// Messages so far.
    count: u64,
    /// Pings sent since the client was heard last.
    unanswered: u32,
    next_ping: Instant,
    limits: Limits,
}

impl Talk {
    async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        match end {
            End::Gone => {}
            End::Closed => self.say_goodbye(None).await,
            End::Close(code, reason) => self.say_goodbye(Some((code, reason))).await,
            End::Refuse(error, code) => self.refuse(*error, code).await,
        }
    }

    /// One message and its answer.
    async fn turn(&mut self) -> Result<(), End> {
        let text = self.message().await?;
        self.count += 1;
        let request = self.opening.request(self.count, text, &self.answers);
        self.answer(message(&self.gateway, request)).await
    }

    /// Sends an answer as it comes, and listens meanwhile.
    async fn answer(&mut self, answer: BoxFuture<'static, Response>) -> Result<(), End> {
        let chunks = stream::once(answer).flat_map(|response| {
            if let Some(ignored) = response.headers().get("x-atoll-ignored") {
                tracing::info!(?ignored, "fields of a socket's message have no effect");
            }
            response.into_body().into_data_stream()
        });
        let chunks = pin!(chunks);
        let mut lines = Lines::new(chunks);
        loop {
            let room =
                self.pending.len() < MAX_PENDING && self.pending_bytes < self.limits.max_body_bytes;
            tokio::select! {
                line = lines.next() => match line {
                    Some(Ok(line)) => self.say(line).await?,
                    Some(Err(_)) => {
                        return Err(End::Close(CloseCode::Error, "the answer broke off"));
                    }
                    None => return Ok(()),
                },
                heard = self.hear(), if room => heard?,
            }
        }
    }

    /// The next message of the client.
    async fn message(&mut self) -> Result<Bytes, End> {
        let idle_until = Instant::now() + self.limits.socket_idle;
        let draining = self.gateway.inner.draining.clone();
        loop {
            if let Some(message) = self.pending.pop_front() {
                self.pending_bytes = self.pending_bytes.saturating_sub(message.len());
                return Ok(message);
            }
            tokio::select! {
                () = draining.cancelled() => {
                    return Err(End::Close(CloseCode::Away, "this host is shutting down"));
                }
                () = sleep_until(idle_until) => {
                    return Err(End::Close(CloseCode::Away, "nothing was asked for too long"));
                }
                heard = self.hear() => heard?,
            }
        }
    }

    /// Takes in what the client sends next; asks whether it is there when it sends nothing. May be dropped at
    /// any await.
    async fn hear(&mut self) -> Result<(), End> {
        tokio::select! {
            frame = self.socket.next() => {
                self.unanswered = 0;
                self.next_ping = Instant::now() + self.limits.socket_ping;
                self.take(frame)
            }
            () = sleep_until(self.next_ping) => {
                if self.unanswered >= MAX_UNANSWERED {
                    return Err(End::Gone);
                }
                self.unanswered += 1;
                self.next_ping = Instant::now() + self.limits.socket_ping;
                self.send(Frame::Ping(Bytes::new())).await
            }
        }
    }

    fn take(&mut self, frame: Option<Result<Frame, tungstenite::Error>>) -> Result<(), End> {
        use tungstenite::Error as Failed;
        match frame {
            Some(Ok(Frame::Text(text))) => {
                let message = Bytes::from(text);
                self.pending_bytes = self.pending_bytes.saturating_add(message.len());
                self.pending.push_back(message);
                Ok(())
            }
            // The library answers pings.
            Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => Ok(()),
            Some(Ok(Frame::Close(_))) => Err(End::Closed),
            Some(Ok(Frame::Binary(_))) => {
                let message = "messages of this socket are text";
                let error = failure::error(ErrorKind::InvalidArgument, message);
                Err(End::Refuse(Box::new(error), CloseCode::Unsupported))
            }
            Some(Err(Failed::Capacity(_))) => {
                let most = self.limits.max_body_bytes;
                let message = format!("the message is larger than {most} bytes");
                let error = failure::error(ErrorKind::TooLarge, message);
                Err(End::Refuse(Box::new(error), CloseCode::Size))
            }
            Some(Err(Failed::Utf8(_))) => {
                let error = failure::error(ErrorKind::InvalidArgument, "the message is not UTF-8");
                Err(End::Refuse(Box::new(error), CloseCode::Invalid))
            }
            Some(Err(error @ Failed::Protocol(_))) => {
                tracing::debug!(%error, "a socket broke off");
                Err(End::Close(CloseCode::Protocol, "not as RFC 6455 says"))
            }
            Some(Err(_)) | None => Err(End::Gone),
        }
    }

    async fn say(&mut self, line: Bytes) -> Result<(), End> {
        match Utf8Bytes::try_from(line) {
            Ok(text) => self.send(Frame::Text(text)).await,
            Err(error) => {
                tracing::warn!(%error, "a dialect wrote a message that is not text");
                Err(End::Close(CloseCode::Error, "the answer is not text"))
            }
        }
    }

    async fn send(&mut self, frame: Frame) -> Result<(), End> {
        match timeout(SEND_PATIENCE, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Says in the API's words what is wrong, and closes. What the client is still sending is read and thrown
    /// away for a while: closing on it would reset the connection, and the client would never see why.
    async fn refuse(mut self, error: Error, code: CloseCode) {
        let nothing = self
            .opening
            .request(self.count + 1, Bytes::new(), &self.answers);
        let gateway = self.gateway.clone();
        let words = refusal::message(&gateway, nothing, error);
        let chunks = stream::once(words).flat_map(|words| words.into_body().into_data_stream());
        let chunks = pin!(chunks);
        let mut lines = Lines::new(chunks);
        while let Some(Ok(line)) = lines.next().await {
            if self.say(line).await.is_err() {
                return;
            }
        }
        let frame = close_frame(code, "refused");
        let closed = timeout(CLOSE_PATIENCE, self.socket.close(Some(frame))).await;
        if !matches!(closed, Ok(Ok(()))) {
            return;
        }
        let most = self.limits.max_body_bytes.saturating_mul(2);
        let stream = self.socket.get_mut();
        let linger = async {
            let (mut seen, mut buffer) = (0usize, vec![0; READ_BUFFER]);
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                seen = seen.saturating_add(count);
                if seen > most {
                    break;
                }
            }
        };
        // Either way the connection ends now.
        timeout(self.limits.read_timeout, linger).await.ok();
    }

    /// Closes as the protocol wants it, and waits a little for the other side's part.
    async fn say_goodbye(mut self, ours: Option<(CloseCode, &'static str)>) {
        let goodbye = async {
            if let Some((code, reason)) = ours {
                self.socket.close(Some(close_frame(code, reason))).await?;
            }
            while let Some(frame) = self.socket.next().await {
                frame?;
            }
            Ok::<_, tungstenite::Error>(())
        };
        // Whoever does not answer is left without one.
        timeout(CLOSE_PATIENCE, goodbye).await.ok();
    }
}

fn close_frame(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    }
}
