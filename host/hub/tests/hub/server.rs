//! A hub of the test's own: what it has, what it does wrong, and what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use atoll_hub::{Hub, HubError, HubOptions, Pulled, RepoId, Token};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The model every test pulls.
pub const REPO: &str = "reef/tiny";
pub const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// One thing to do wrong with the next request for a file.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Send so many bytes, then break the connection.
    Drop(usize),
    /// Send so many bytes, then nothing more.
    Stall(usize),
    /// Answer with this status.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// Send other bytes of the same length.
    Corrupt,
    /// Send everything although a range was asked for.
    WholeFile,
    /// Send another range than was asked for.
    WrongRange,
    /// Send more than the listing says.
    TooMuch,
    /// Point somewhere else; `{path}` is the path asked for.
    Redirect(String),
}

/// A request for a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

impl Asked {
    /// The first byte asked for.
    pub fn starts_at(&self) -> u64 {
        let range = self.range.as_deref().unwrap_or("bytes=0-");
        let digits = range.strip_prefix("bytes=").unwrap();
        digits.strip_suffix('-').unwrap().parse().unwrap()
    }
}

/// Header lines of an answer.
pub type Headers = Vec<(&'static str, &'static str)>;

#[derive(Default)]
pub struct Script {
    pub revision: String,
    pub files: BTreeMap<String, Vec<u8>>,
    pub faults: BTreeMap<String, VecDeque<Fault>>,
    pub asked: Vec<Asked>,
    pub listings: usize,
    /// What every request must bring.
    pub token: Option<String>,
    /// Replaces the listing.
    pub listing: Option<(u16, Headers, Value)>,
}

pub struct Server {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _task: JoinSet<()>,
}

impl Server {
    /// A hub with one small model: weights of three megabytes, so that they take several blocks.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let weights: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        let files = BTreeMap::from([
            (
                "config.json".to_owned(),
                b"{\"model_type\": \"llama\"}".to_vec(),
            ),
            ("tokenizer.json".to_owned(), b"{}".to_vec()),
            ("README.md".to_owned(), b"{}".to_vec()),
            ("model.safetensors".to_owned(), weights),
            ("onnx/model.onnx".to_owned(), vec![1; 10]),
        ]);
        let script = Arc::new(Mutex::new(Script {
            revision: REVISION.to_owned(),
            files,
            ..Script::default()
        }));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            script,
            _task: task,
        }
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub fn fault(&self, file: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut script = self.script();
        script
            .faults
            .entry(file.to_owned())
            .or_default()
            .extend(faults);
    }

    /// Requests for one file.
    pub fn asked(&self, file: &str) -> Vec<Asked> {
        let script = self.script();
        let of = |asked: &&Asked| asked.path.ends_with(&format!("/{file}"));
        script.asked.iter().filter(of).cloned().collect()
    }

    pub fn options(&self, folder: &Path) -> HubOptions {
        let mut options = HubOptions::new(folder);
        options.endpoint = format!("http://{}", self.address);
        options.first_pause = Duration::from_millis(1);
        options.attempts = 3;
        options.keep_free = 0;
        options
    }

    pub fn hub(&self, folder: &Path) -> Hub {
        Hub::new(self.options(folder)).unwrap()
    }

    pub async fn pull(&self, folder: &Path) -> Result<Pulled, HubError> {
        pull(&self.hub(folder)).await
    }
}

pub fn token(text: &str) -> Option<Token> {
    Token::new(text)
}

pub async fn pull(hub: &Hub) -> Result<Pulled, HubError> {
    let pull = hub.pull(&RepoId::parse(REPO).unwrap())?;
    // A hang is a failure, not a wait.
    tokio::time::timeout(Duration::from_secs(60), pull.finished())
        .await
        .unwrap()
}

/// The names in a folder, hidden ones included, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let mut script = script.lock().unwrap();
    let path = request.uri().path().to_owned();
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let authorization = header("authorization");
    if let Some(token) = &script.token
        && authorization.as_deref() != Some(&format!("Bearer {token}"))
    {
        return status(401, &[]);
    }
    if path == format!("/api/models/{REPO}/revision/main") {
        script.listings += 1;
        if let Some((code, headers, body)) = &script.listing {
            let mut response = status(*code, headers);
            *response.body_mut() = Body::from(body.to_string());
            return response;
        }
        return listing(&script);
    }
    let Some(file) = path.strip_prefix(&format!("/{REPO}/resolve/{}/", script.revision)) else {
        return status(404, &[("x-error-code", "EntryNotFound")]);
    };
    let range = header("range");
    script.asked.push(Asked {
        path: path.clone(),
        range: range.clone(),
        authorization,
    });
    let fault = script.faults.get_mut(file).and_then(VecDeque::pop_front);
    let Some(content) = script.files.get(file) else {
        return status(404, &[("x-error-code", "EntryNotFound")]);
    };
    let from: usize = range
        .as_deref()
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    give(content, from, fault, &path)
}

fn give(content: &[u8], mut from: usize, fault: Option<Fault>, path: &str) -> Response {
    let mut content = content.to_vec();
    let mut claimed = from;
    match &fault {
        Some(Fault::Status(code, headers)) => return status(*code, headers),
        Some(Fault::Redirect(target)) => {
            let mut response = status(302, &[]);
            let target = target.replace("{path}", path);
            response
                .headers_mut()
                .insert("location", target.parse().unwrap());
            return response;
        }
        Some(Fault::Corrupt) => content.iter_mut().for_each(|byte| *byte ^= 1),
        Some(Fault::TooMuch) => content.extend([0; 100]),
        Some(Fault::WholeFile) => from = 0,
        Some(Fault::WrongRange) => claimed += 1,
        _ => {}
    }
    if from > content.len() || (from == content.len() && from > 0) {
        return status(416, &[]);
    }
    let rest = Bytes::from(content.split_off(from));
    let mut response = if from > 0 {
        let mut response = status(206, &[]);
        let total = from + rest.len();
        let value = format!("bytes {claimed}-{}/{total}", total - 1);
        response
            .headers_mut()
            .insert("content-range", value.parse().unwrap());
        response
    } else {
        status(200, &[])
    };
    response
        .headers_mut()
        .insert("content-length", rest.len().into());
    *response.body_mut() = match fault {
        Some(Fault::Drop(count)) => {
            let first = stream::iter([Ok(rest.slice(..count.min(rest.len())))]);
            // The server would throw away what it has not sent when the error comes at once.
            let then = stream::once(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("dropped"))
            });
            Body::from_stream(futures::StreamExt::chain(first, then))
        }
        Some(Fault::Stall(count)) => {
            let first =
                stream::iter([Ok::<_, std::io::Error>(rest.slice(..count.min(rest.len())))]);
            Body::from_stream(futures::StreamExt::chain(first, stream::pending()))
        }
        _ => Body::from(rest),
    };
    response
}

fn listing(script: &Script) -> Response {
    let siblings: Vec<Value> = script
        .files
        .iter()
        .map(|(name, content)| {
            let size = content.len();
            let mut blob = Sha1::new();
            blob.update(format!("blob {size}\0"));
            blob.update(content);
            let mut file =
                json!({ "rfilename": name, "size": size, "blobId": hex(&blob.finalize()) });
            if name.ends_with(".safetensors") {
                let sha256 = hex(&Sha256::digest(content));
                file["lfs"] = json!({ "sha256": sha256, "size": size, "pointerSize": 134 });
            }
            file
        })
        .collect();
    let body = json!({ "id": REPO, "sha": script.revision, "siblings": siblings });
    Response::new(Body::from(body.to_string()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn status(code: u16, headers: &[(&'static str, &'static str)]) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}
