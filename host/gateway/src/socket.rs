//! WebSockets: how one is opened, and whose task it lives on.
//!
//! A route says that it is a socket (`wit/dialect.wit`); which API speaks over it is the dialect's business.
//! The opening request passes everything that a request passes: host name, origin, drain, key. Then the host
//! does the handshake, and [`Session`] makes each message an exchange of the kind that HTTP requests are.
//!
//! | file | what |
//! |---|---|
//! | `session` | the open socket: messages, events, pings, the ways it ends |
//! | `lines` | a dialect's bytes into messages |
//!
//! The socket does not get a task of its own. It is left in the connection's [`Handover`], and the connection
//! goes on with it once the handshake is out: so it counts as a connection, and ends when those end.

mod lines;
mod session;

use std::sync::{Arc, Mutex, PoisonError};

use atoll_plugin_runtime::Dialect;
use atoll_plugin_runtime::types::{ErrorKind, HttpRequest};
use axum::extract::Request;
use axum::response::Response;
use futures::future::BoxFuture;
use http::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::auth;
use crate::exchange;
use crate::failure;
use crate::gateway::{Gateway, no_body, rendered_or_host};
use crate::metrics::{Outcome, Watch};
use crate::response;
use crate::responses::local::LocalAnswers;
use session::{Opening, Session};

/// Where a connection finds what it is to go on with after its last HTTP answer.
#[derive(Clone, Default)]
pub(crate) struct Handover(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Handover {
    fn give(&self, socket: BoxFuture<'static, ()>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    /// What was left, if anything.
    pub(crate) fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Marks a request as a message of a socket, in its extensions.
#[derive(Clone)]
pub(crate) struct Message {
    /// What the socket remembers.
    pub answers: Arc<LocalAnswers>,
}

/// Answers the opening request: `101`, or why not.
pub(crate) async fn open(
    gateway: Gateway,
    mut parts: Parts,
    dialect: Arc<Dialect>,
    mut head: HttpRequest,
    mut watch: Watch,
) -> Response {
    watch.opens_socket();
    match auth::may_begin(&gateway, &parts.headers, &parts.extensions) {
        Ok(key) => {
            tracing::Span::current().record("atoll.key", key);
        }
        Err(refused) => {
            head.ext = refused.ext();
            watch.outcome(Outcome::Failed(refused.error.kind.clone()));
            let rendered = exchange::fail_afresh(dialect, head, refused.error).await;
            return watch.finish_response(rendered_or_host(rendered));
        }
    };
    let handover = parts.extensions.remove::<Handover>();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let request = Request::from_parts(parts, ());
    let handshake = create_response_with_body(&request, no_body);
    let (Some(handover), Some(upgrade), Ok(response)) = (handover, upgrade, handshake) else {
        watch.outcome(Outcome::Failed(ErrorKind::InvalidArgument));
        return watch.finish_response(upgrade_required());
    };
    let session = Session::new(gateway, Opening::of(&request, &head.id));
    handover.give(Box::pin(session.run(upgrade)));
    watch.finished();
    watch.finish_response(response)
}

/// The path speaks WebSocket, version 13 of it, over HTTP/1.1, and this request asked for something else.
fn upgrade_required() -> Response {
    let message = "this path is a WebSocket: open it with HTTP/1.1, `Connection: Upgrade`, `Upgrade: websocket`, a \
                   `Sec-WebSocket-Key` of 16 bytes and `Sec-WebSocket-Version: 13`";
    let mut response = response::host_error(&failure::error(ErrorKind::InvalidArgument, message));
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}
