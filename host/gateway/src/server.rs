//! Listeners and connections, and how they end.
//!
//! # Shutdown
//!
//! 1. [`Shutdown::drain`] is cancelled: `/readyz` turns 503 and new requests are refused with
//!    `Retry-After`; listeners stay open, so that whoever asks hears that instead of silence.
//! 2. Requests under way finish, at most `drain_grace` long ([`Shutdown::now`] cuts that short); then
//!    they end with an error.
//! 3. Listeners close, idle connections are closed, models are freed.
//!
//! Every connection is a task of one set that this module owns; none outlives [`Server::serve`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::guard::Peer;
use crate::options::Limits;
use crate::socket::Handover;
use crate::stream::NOTICE;

/// How long connections may take to close once nothing is under way.
const CLOSE: Duration = Duration::from_secs(2);

/// Streams one HTTP/2 connection may have open; more wait.
const HTTP2_STREAMS: u32 = 128;

/// Tells a server to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Finish what is under way and stop.
    pub drain: CancellationToken,
    /// Stop waiting for it.
    pub now: CancellationToken,
}

/// Bound listeners that nobody answers yet.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<(TcpListener, SocketAddr)>,
}

impl Server {
    /// Binds every address. Port 0 lets the system choose.
    ///
    /// # Errors
    /// The first address that cannot be bound, with advice.
    pub async fn bind(addresses: &[SocketAddr]) -> Result<Self, GatewayError> {
        if addresses.is_empty() {
            return Err(GatewayError::NoAddress);
        }
        let mut listeners = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let bound = TcpListener::bind(address).await;
            let listener = bound.map_err(|error| GatewayError::bind(address, error))?;
            let local = listener
                .local_addr()
                .map_err(|error| GatewayError::bind(address, error))?;
            listeners.push((listener, local));
        }
        Ok(Self { listeners })
    }

    /// The addresses that were bound, with the ports the system chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|&(_, address)| address).collect()
    }

    /// Answers until told to stop. Returns whether everything under way finished by itself.
    pub async fn serve(self, gateway: Gateway, shutdown: Shutdown) -> bool {
        let limits = gateway.inner.options.limits.clone();
        let connections = TaskTracker::new();
        let closing = CancellationToken::new();
        let aborted = CancellationToken::new();
        let room = Arc::new(Semaphore::new(
            limits.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        let mut acceptors = JoinSet::new();
        for (listener, local) in self.listeners {
            let acceptor = Acceptor {
                gateway: gateway.clone(),
                builder: builder(&limits),
                limits: limits.clone(),
                loopback: local.ip().is_loopback(),
                connections: connections.clone(),
                closing: closing.clone(),
                aborted: aborted.clone(),
                room: Arc::clone(&room),
            };
            acceptors.spawn(acceptor.run(listener));
        }

        shutdown.drain.cancelled().await;
        gateway.begin_drain();
        tracing::info!(grace = ?limits.drain_grace, "draining: finishing what is under way");
        let clean = gateway
            .drained(limits.drain_grace, &shutdown.now, NOTICE)
            .await;

        closing.cancel();
        while acceptors.join_next().await.is_some() {}
        connections.close();
        if tokio::time::timeout(CLOSE, connections.wait())
            .await
            .is_err()
        {
            aborted.cancel();
            connections.wait().await;
        }
        gateway.inner.models.shutdown().await;
        clean
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read_timeout)
        .max_headers(limits.max_headers)
        // hyper insists on 8 KiB at least.
        .max_buf_size(limits.max_head_bytes.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

/// Everything one listener's loop needs.
struct Acceptor {
    gateway: Gateway,
    builder: auto::Builder<TokioExecutor>,
    limits: Limits,
    loopback: bool,
    connections: TaskTracker,
    closing: CancellationToken,
    aborted: CancellationToken,
    room: Arc<Semaphore>,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let closing = self.closing.clone();
        tokio::select! {
            () = closing.cancelled() => {}
            () = self.accept(listener) => {}
        }
    }

    async fn accept(&self, listener: TcpListener) {
        loop {
            // Never closed, so this waits for room and cannot fail.
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else {
                return;
            };
            let (stream, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, usually; a pause lets some come back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let connection = self.connection(stream, remote);
            let aborted = self.aborted.clone();
            self.connections.spawn(async move {
                let _permit = permit;
                tokio::select! {
                    () = aborted.cancelled() => {}
                    () = connection => {}
                }
            });
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> impl Future<Output = ()> + Send + 'static {
        let peer = Peer {
            loopback: self.loopback,
            remote,
        };
        let handover = Handover::default();
        let offered = handover.clone();
        let service = self.gateway.router().map_request(
            move |mut request: http::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(peer);
                request.extensions_mut().insert(offered.clone());
                request.map(axum::body::Body::new)
            },
        );
        let builder = self.builder.clone();
        let closing = self.closing.clone();
        let read_timeout = self.limits.read_timeout;
        async move {
            // Tokens are small and should not wait for company.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was refused");
            }
            // Who connects and says nothing does not keep its place.
            if tokio::time::timeout(read_timeout, stream.readable())
                .await
                .is_err()
            {
                return;
            }
            let service = TowerToHyperService::new(service);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = closing.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%remote, %error, "a connection ended early");
            }
            // An opened socket lives on in the place of the connection.
            if let Some(socket) = handover.take() {
                socket.await;
            }
        }
    }
}
