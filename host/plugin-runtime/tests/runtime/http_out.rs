//! The grant `http-out`: what was granted can be reached, and nothing else, however it is asked for.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atoll_plugin_runtime::{
    CallLimits, HttpOutLimits, PluginError, PluginRuntime, Resolver, RuntimeOptions,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::outward::{errand, load};
use crate::support::{options, runtime};

/// A server on this machine: what every test here must not reach unless granted.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server owns the task and ends it when dropped"
    )]
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                seen.fetch_add(1, SeqCst);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let target = head.split(' ').nth(1).unwrap_or_default();
                    let _ = answer(&mut stream, target, &head).await;
                });
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    stream: &mut tokio::net::TcpStream,
    target: &str,
    head: &str,
) -> std::io::Result<()> {
    let whole = |status: &str, extra: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{extra}\r\n{body}"
        )
    };
    let text = match target.split_once('?') {
        Some(("/to", location)) => whole("302 Found", &format!("location: {location}\r\n"), ""),
        Some(_) => whole("404 Not Found", "", ""),
        None => match target {
            "/never" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return Ok(());
            }
            "/claims" => "HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\nx".to_owned(),
            "/endless" => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
                    .await?;
                loop {
                    stream.write_all(&[b'x'; 8192]).await?;
                }
            }
            "/host" => {
                let host = head.lines().find_map(|line| line.strip_prefix("host: "));
                whole("200 OK", "", host.unwrap_or("none"))
            }
            _ => whole("200 OK", "", "hello"),
        },
    };
    stream.write_all(text.as_bytes()).await
}

/// Answers what it is told to, one answer after the other, and counts.
struct Script {
    answers: Mutex<Vec<Vec<&'static str>>>,
    asked: AtomicUsize,
}

impl Script {
    fn of(answers: &[&[&'static str]]) -> Arc<Self> {
        let answers = answers.iter().rev().map(|answer| answer.to_vec()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolver for Script {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, SeqCst);
        let next = self.answers.lock().unwrap().pop().unwrap_or_default();
        let addresses = next.iter().map(|address| address.parse().unwrap());
        let addresses: Vec<IpAddr> = addresses.collect();
        async move { Ok(addresses) }.boxed()
    }
}

fn with(change: impl FnOnce(&mut RuntimeOptions)) -> PluginRuntime {
    let mut options = options();
    change(&mut options);
    PluginRuntime::new(options).unwrap()
}

#[tokio::test]
async fn a_granted_host_answers() {
    let server = Server::start().await;
    let port = server.port();
    let runtime = runtime();
    let grant = format!("http-out:127.0.0.1:{port},models.lan:{port}=127.0.0.1,localhost:{port}");
    let filter = load(&runtime, &[&grant]).await.unwrap();
    assert_eq!(filter.info().summary, "Reaches out on request.");
    for host in [
        "127.0.0.1",
        "models.lan",
        "localhost",
        "MODELS.lan",
        "2130706433",
    ] {
        let said = errand(&filter, &format!("get http://{host}:{port}/hello")).await;
        assert_eq!(said, "200 hello", "{host}");
    }
    let said = errand(&filter, &format!("get http://models.lan:{port}/host")).await;
    assert_eq!(said, format!("200 models.lan:{port}"));
    let said = errand(&filter, &format!("get http://127.0.0.1:{port}/none?x")).await;
    assert_eq!(said, "404 ", "a status is an answer");
    let counted = runtime
        .metrics()
        .into_iter()
        .find(|m| m.plugin == "outward");
    let counted = counted.unwrap().http_out;
    assert_eq!(
        (counted.answered, counted.refused, counted.failed),
        (7, 0, 0)
    );
}

/// Loopback, link-local, private and metadata addresses, in every spelling, and names nobody granted.
#[tokio::test]
async fn a_host_that_was_not_granted_is_not_asked() {
    let server = Server::start().await;
    let port = server.port();
    let runtime = runtime();
    let filter = load(&runtime, &["http-out:api.example.com"]).await.unwrap();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.0.0.1:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://127.0.0.1.nip.io:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/latest/meta-data/".to_owned(),
        "http://metadata.google.internal/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "https://example.com/".to_owned(),
        "https://api.example.com.evil.test/".to_owned(),
        "https://api.example.com:8443/".to_owned(),
        "http://api.example.com/".to_owned(),
        "https://evil.test/?api.example.com".to_owned(),
    ] {
        let said = errand(&filter, &format!("get {url}")).await;
        assert!(said.starts_with("Forbidden"), "{url}: {said}");
    }
    for url in [
        format!("https://api.example.com@127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "unix:/run/docker.sock".to_owned(),
        "//api.example.com/".to_owned(),
        String::new(),
    ] {
        let said = errand(&filter, &format!("get {url}")).await;
        assert!(said.starts_with("InvalidArgument"), "{url}: {said}");
    }
    assert_eq!(server.connections(), 0);
    let counted = runtime
        .metrics()
        .into_iter()
        .find(|m| m.plugin == "outward");
    assert_eq!(counted.unwrap().http_out.refused, 22);
}

/// A granted name that leads into somebody's own network: the name was granted, that network was not.
#[tokio::test]
async fn a_granted_name_cannot_lead_to_a_private_address() {
    let server = Server::start().await;
    let port = server.port();
    for private in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "fd00:ec2::254",
        "10.0.0.1",
        "0.0.0.0",
    ] {
        let script = Script::of(&[&[private]]);
        let runtime = with(|options| options.resolver = Some(script));
        let grant = format!("http-out:api.example.com:{port}");
        let filter = load(&runtime, &[&grant]).await.unwrap();
        let said = errand(&filter, &format!("get http://api.example.com:{port}/")).await;
        assert!(said.starts_with("Forbidden"), "{private}: {said}");
    }
    assert_eq!(server.connections(), 0);
}

/// Rebinding: the name has a public address when it is checked and a private one when it is dialled.
/// There is one look-up for both, and each answer is checked.
#[tokio::test]
async fn a_name_that_changes_its_address_gains_nothing() {
    let server = Server::start().await;
    let port = server.port();
    // Nothing answers at the first: an address of nobody's, over a protocol tests have no route for.
    let script = Script::of(&[
        &["2001:4860:ffff::1"],
        &["127.0.0.1"],
        &["127.0.0.1", "::1"],
    ]);
    let runtime = with(|options| {
        options.resolver = Some(Arc::clone(&script) as Arc<dyn Resolver>);
        options.http_out.timeout = Duration::from_millis(300);
    });
    let grant = format!("http-out:api.example.com:{port}");
    let filter = load(&runtime, &[&grant]).await.unwrap();
    let url = format!("get http://api.example.com:{port}/");
    let first = errand(&filter, &url).await;
    assert!(
        first.starts_with("Other(\"unreachable\")") || first.starts_with("Timeout"),
        "{first}"
    );
    for _ in 0..2 {
        let said = errand(&filter, &url).await;
        assert!(said.starts_with("Forbidden"), "{said}");
    }
    assert_eq!(script.asked.load(SeqCst), 3, "one look-up for each request");
    assert_eq!(server.connections(), 0);
}

/// An answer that points to the metadata service, or anywhere: it is not followed, and asking for where it
/// points is a request like any other.
#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let server = Server::start().await;
    let port = server.port();
    let runtime = runtime();
    let filter = load(&runtime, &[&format!("http-out:127.0.0.1:{port}")])
        .await
        .unwrap();
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://10.0.0.1/",
    ] {
        let said = errand(
            &filter,
            &format!("follow http://127.0.0.1:{port}/to?{target}"),
        )
        .await;
        assert!(said.starts_with("302 then Forbidden"), "{target}: {said}");
    }
    assert_eq!(server.connections(), 3);
    let here = format!("http://127.0.0.1:{port}/hello");
    let said = errand(
        &filter,
        &format!("follow http://127.0.0.1:{port}/to?{here}"),
    )
    .await;
    assert_eq!(said, "302 then 200 hello");
}

#[tokio::test]
async fn requests_are_bounded_in_time_size_and_number() {
    let server = Server::start().await;
    let base = format!("http://127.0.0.1:{}", server.port());
    let runtime = with(|options| {
        options.http_out = HttpOutLimits {
            requests: 3,
            timeout: Duration::from_millis(300),
            request_bytes: 1000,
            response_bytes: 10_000,
            ..options.http_out
        };
    });
    let grant = format!("http-out:127.0.0.1:{}", server.port());
    let filter = load(&runtime, &[&grant]).await.unwrap();
    for (what, expected) in [
        (format!("get {base}/never"), "Timeout"),
        (format!("get {base}/claims"), "TooLarge"),
        (format!("get {base}/endless"), "TooLarge"),
        (format!("post 1000 {base}/hello"), "200"),
        (format!("post 1001 {base}/hello"), "TooLarge"),
        (format!("get 3 {base}/hello"), "200"),
        (format!("get 4 {base}/hello"), "RateLimited"),
    ] {
        let said = errand(&filter, &what).await;
        assert!(said.starts_with(expected), "{what}: {said}");
    }
    let counted = runtime
        .metrics()
        .into_iter()
        .find(|m| m.plugin == "outward");
    assert_eq!(counted.unwrap().http_out.failed, 3);
}

/// A plugin hears of its own late request before the call's time is over, and can answer.
#[tokio::test]
async fn a_late_answer_is_an_answer_and_no_fault() {
    let server = Server::start().await;
    let runtime = with(|options| {
        options.call = CallLimits {
            wall: Duration::from_millis(900),
            ..options.call
        };
    });
    let grant = format!("http-out:127.0.0.1:{}", server.port());
    let filter = load(&runtime, &[&grant]).await.unwrap();
    let said = errand(
        &filter,
        &format!("get http://127.0.0.1:{}/never", server.port()),
    )
    .await;
    assert!(said.starts_with("Timeout"), "{said}");
}

#[tokio::test]
async fn headers_of_the_connection_are_the_hosts() {
    let server = Server::start().await;
    let url = format!("http://127.0.0.1:{}/hello", server.port());
    let runtime = runtime();
    let grant = format!("http-out:127.0.0.1:{}", server.port());
    let filter = load(&runtime, &[&grant]).await.unwrap();
    assert_eq!(
        errand(&filter, &format!("headers x-mine {url}")).await,
        "200 hello"
    );
    for name in [
        "host",
        "Host",
        "content-length",
        "transfer-encoding",
        "connection",
        "a\nb",
    ] {
        let said = errand(&filter, &format!("headers {name} {url}")).await;
        assert!(said.starts_with("InvalidArgument"), "{name}: {said}");
    }
}

#[tokio::test]
async fn without_the_grant_it_does_not_load_and_a_bad_grant_says_why() {
    let runtime = runtime();
    let error = load(&runtime, &[]).await.unwrap_err();
    assert!(
        matches!(&error, PluginError::NotGranted { missing, .. } if missing == &["http-out"]),
        "{error}"
    );
    assert!(error.to_string().contains("http-out:HOST"), "{error}");
    for (grant, expected) in [
        ("http-out", "names no host"),
        ("http-out:https://a.test", "without scheme"),
        ("vault", "no grant called \"vault\""),
    ] {
        let error = load(&runtime, &[grant]).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
