//! A dialect that misbehaves on request: the body is `{where}:{what}`, such as `decode:loop`.
//!
//! With any other body it is an echo: it asks to generate from the body, and answers with the text of
//! the events, in lower case as it came.

#[path = "../../misdeeds.rs"]
mod misdeeds;

use std::fmt::Write as _;

use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::host;
use atoll_sdk::types::{
    CompletionInput, Descriptor, EmbedRequest, Error, Event, GenerateRequest, Grant, Header,
    HttpRequest, HttpResponse, KeepAlive, LoadRequest, Message, Operation, OperationResult, Prompt,
    ResponseHead, Role,
};

struct Misbehaving;

struct Request {
    body: String,
}

impl Dialect for Misbehaving {
    type Exchange = Request;

    fn describe() -> DialectDescriptor {
        DialectDescriptor {
            plugin: Descriptor::new("misbehaving", "0.1.0", "Goes wrong on request.")
                .wanting(Grant::manage_models(), "To take what is not its own."),
            routes: vec![Route::new("POST", "/test/echo")],
        }
    }
}

impl Request {
    /// Goes wrong if the request says so for this place. Returns what else the place should do.
    fn at(&self, place: &str) -> Option<&str> {
        let what = self.body.strip_prefix(place)?.strip_prefix(':')?;
        misdeeds::commit(what);
        Some(what)
    }
}

impl Exchange for Request {
    fn new(request: HttpRequest) -> Self {
        let request = Self {
            body: String::from_utf8_lossy(&request.body).into_owned(),
        };
        request.at("new");
        request
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        let what = self.at("decode");
        if let Some(operation) = what.and_then(managing) {
            return Ok(operation);
        }
        let text = match what {
            Some("huge") => "x".repeat(32 << 20),
            Some("refuse") => return Err(Error::invalid("body", "refused")),
            Some("tokenize") => loop {
                tokens();
            },
            Some("tokens") => return Ok(Operation::ShowModel(tokens())),
            Some("facts") => facts(),
            Some("escapes") => escapes(),
            _ => self.body.clone(),
        };
        let prompt = Prompt::Conversation(vec![Message::text(Role::User, text)]);
        Ok(Operation::Generate(GenerateRequest::new("test", prompt)))
    }

    fn head(&mut self) -> ResponseHead {
        let header = |name: &str, value: &str| ResponseHead {
            status: 200,
            headers: vec![Header::new(name, value)],
        };
        match self.at("head") {
            Some("status") => ResponseHead {
                status: 99,
                headers: vec![],
            },
            Some("split") => header("x-note", "a\r\nset-cookie: b=c"),
            Some("length") => header("content-length", "3"),
            Some("name") => header("X-Upper", "1"),
            _ => header("content-type", "text/plain"),
        }
    }

    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        if self.at("encode") == Some("huge") {
            return Ok(vec![b'x'; 32 << 20]);
        }
        if self.at("encode") == Some("megabyte") {
            return Ok(vec![b'x'; 1 << 20]);
        }
        let text = events.into_iter().filter_map(|event| match event {
            Event::TextDelta(delta) => Some(delta.text),
            _ => None,
        });
        Ok(text.collect::<String>().into_bytes())
    }

    fn reply(&mut self, _: OperationResult) -> Result<HttpResponse, Error> {
        self.at("reply");
        Ok(HttpResponse::new(200, "text/plain", "replied"))
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        if self.at("fail") == Some("split") {
            return HttpResponse::new(400, "text/plain\r\nx: y", "");
        }
        HttpResponse::new(reason.http_status(), "text/plain", reason.message)
    }
}

/// Operations on the host's models, all of them on the one called `test`.
fn managing(what: &str) -> Option<Operation> {
    let model = || "test".to_owned();
    let load = |keep_alive| {
        let model = model();
        Operation::LoadModel(LoadRequest { model, keep_alive })
    };
    Some(match what {
        "pull" => Operation::PullModel(model()),
        "copy" => Operation::CopyModel((model(), "mine".to_owned())),
        "delete" => Operation::DeleteModel(model()),
        "load" => load(None),
        "unload" => load(Some(KeepAlive::ForMs(0))),
        "keep" => {
            let prompt = Prompt::Conversation(vec![Message::text(Role::User, "keep")]);
            let mut request = GenerateRequest::new("test", prompt);
            request.keep_alive = Some(KeepAlive::Forever);
            Operation::Generate(request)
        }
        "keep-embedding" => Operation::Embed(EmbedRequest {
            model: model(),
            inputs: vec![CompletionInput::Text("keep".to_owned())],
            dimensions: None,
            truncate: true,
            normalize: true,
            keep_alive: Some(KeepAlive::ForMs(0)),
            ext: None,
        }),
        _ => return None,
    })
}

/// What the tokenizer interface answers.
fn tokens() -> String {
    match host::tokenizer::count("test", "some text") {
        Ok(count) => count.to_string(),
        Err(error) => error.message,
    }
}

/// Uses every other host interface once, and says what they gave.
fn facts() -> String {
    let mut bytes = [0u8; 5000];
    let random = host::random::fill(&mut bytes).is_ok() && bytes.iter().any(|b| *b != 0);
    let clock = host::clock::now().as_secs() > 1_600_000_000
        && host::clock::monotonic() <= host::clock::monotonic();
    let before = host::kv::get("k").ok().flatten();
    let set = host::kv::set("k", b"v");
    let mut counts = 0;
    while counts < 3 {
        host::metrics::count("facts", 2);
        counts += 1;
    }
    host::metrics::observe("size", 3.0);
    host::log::info("line one\nline two");
    format!(
        "random={random} clock={clock} before={} set={} settings={}",
        before.is_some(),
        set.is_ok(),
        host::config::settings_json()
    )
}

/// Tries every way out of the sandbox that the standard library knows, and names those that worked.
fn escapes() -> String {
    let mut out = String::new();
    let mut note = |what: &str, worked: bool| {
        if worked {
            // Writing to a string cannot fail.
            let _ = write!(out, "{what} ");
        }
    };
    for path in [
        "/etc/passwd",
        "../../etc/passwd",
        ".",
        "/",
        "plugins.lock",
        "/proc/self/environ",
    ] {
        note(
            path,
            std::fs::read(path).is_ok() || std::fs::read_dir(path).is_ok(),
        );
    }
    note("write", std::fs::write("escaped", b"x").is_ok());
    note("mkdir", std::fs::create_dir("/escaped").is_ok());
    for address in [
        "127.0.0.1:80",
        "169.254.169.254:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
    ] {
        note(address, std::net::TcpStream::connect(address).is_ok());
    }
    note("listen", std::net::TcpListener::bind("127.0.0.1:0").is_ok());
    note("udp", std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
    note(
        "dns",
        std::net::ToSocketAddrs::to_socket_addrs("localhost:80").is_ok(),
    );
    note("environment", std::env::vars().next().is_some());
    note("arguments", std::env::args().count() > 1);
    out
}

atoll_sdk::export_dialect!(Misbehaving);
