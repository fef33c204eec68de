//! A small HTTP client: one connection per request, and streams that can be dropped half-way.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Long enough for a busy machine, short enough that a hang is a failure and not a wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An answer whose body may still be coming. Dropping it closes the connection.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    _connection: JoinSet<()>,
}

pub async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        // A server that breaks off on purpose is an error here; the body says so too.
        let _ = connection.await;
    });
    let response = tokio::time::timeout(PATIENCE, sender.send_request(request))
        .await
        .unwrap();
    let (parts, body) = response.unwrap().into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
        _connection: task,
    }
}

pub fn get(path: &str) -> Request<Full<Bytes>> {
    request("GET", path, &[], Vec::new())
}

pub fn post(path: &str, body: &Value) -> Request<Full<Bytes>> {
    request(
        "POST",
        path,
        &[("content-type", "application/json")],
        body.to_string().into_bytes(),
    )
}

pub fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Request<Full<Bytes>> {
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost");
    for (name, value) in headers {
        if *name == "host" {
            builder.headers_mut().unwrap().remove("host");
        }
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(Bytes::from(body))).unwrap()
}

impl Answer {
    /// The whole body as text; `None` if the server broke off.
    pub async fn text(self) -> Option<String> {
        let collected = tokio::time::timeout(PATIENCE, self.body.collect())
            .await
            .unwrap();
        collected
            .ok()
            .map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap())
    }

    pub async fn json(self) -> Value {
        let text = self.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next piece of the body as it arrives; `None` at its end.
    pub async fn piece(&mut self) -> Option<String> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame())
                .await
                .unwrap()?;
            if let Ok(data) = frame.unwrap().into_data() {
                return Some(String::from_utf8(data.to_vec()).unwrap());
            }
        }
    }

    /// Reads until a piece contains `wanted`; gives everything read.
    pub async fn until(&mut self, wanted: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(wanted) {
            let piece = self.piece().await;
            seen.push_str(&piece.unwrap_or_else(|| panic!("no {wanted:?} in {seen:?}")));
        }
        seen
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("{:?}", self.headers))
            .to_str()
            .unwrap()
    }
}

/// The JSON of every `data:` line but `[DONE]`.
pub fn chunks(stream: &str) -> Vec<Value> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// The text of a streamed chat answer's first choice.
pub fn streamed_text(stream: &str) -> String {
    let deltas = chunks(stream);
    let text = |chunk: &Value| {
        chunk["choices"][0]["delta"]["content"]
            .as_str()
            .map(str::to_owned)
    };
    deltas.iter().filter_map(text).collect()
}
