//! A filter that uses what it was granted, and tries for more: the context's model says what.
//!
//! What came of it is the message with which it blocks the request.
//!
//! | model | what it does |
//! |---|---|
//! | `get URL` | asks for it, and says the status and the body, or the kind of the error |
//! | `get N URL` | asks N times, and says what came of the last |
//! | `follow URL` | asks for it, then for where the answer points |
//! | `post BYTES URL` | sends so many bytes |
//! | `headers NAME URL` | asks with a header of that name |
//! | `read PATH` | reads a file |
//! | `read N PATH` | reads it N times |
//! | `list PATH` | lists a folder |
//! | `write PATH` | tries to change the file system there in every way the library knows |
//! | `count KEY` | adds one to a number in `kv`, and says it |
//! | `keep KEY BYTES` | stores so many bytes |

use std::fs;

use atoll_sdk::filter::{
    Filter, FilterContext, FilterDescriptor, Finding, Interests, Session, Verdict,
};
use atoll_sdk::host::http_out::{Request, send};
use atoll_sdk::host::kv;
use atoll_sdk::types::{Descriptor, Error, Event, Header, Operation};

struct Outward;

struct Errand(String);

impl Filter for Outward {
    type Session = Errand;

    fn describe() -> FilterDescriptor {
        // Nothing is granted to a plugin that describes itself.
        let early = get("http://127.0.0.1:9/", 1, &[]);
        let summary = match early.starts_with("Forbidden") && fs::read_dir("/lexicon").is_err() {
            true => "Reaches out on request.",
            false => "Reached out while it described itself.",
        };
        FilterDescriptor {
            plugin: Descriptor::new("outward", env!("CARGO_PKG_VERSION"), summary),
            sees: Interests::REQUESTS,
            max_held_bytes: 0,
        }
    }

    fn open(context: FilterContext) -> Result<Errand, Error> {
        Ok(Errand(context.model))
    }
}

impl Session for Errand {
    fn on_request(&mut self, _: Operation) -> Result<Verdict, Error> {
        let words: Vec<&str> = self.0.split(' ').collect();
        let said = match words.as_slice() {
            ["get", url] => get(url, 1, &[]),
            ["get", times, url] => get(url, times.parse().unwrap_or(1), &[]),
            ["follow", url] => follow(url),
            ["post", bytes, url] => get(url, 1, &vec![b'x'; bytes.parse().unwrap_or(0)]),
            ["headers", name, url] => {
                let mut request = request(url);
                request.headers.push(Header::new(*name, "x"));
                answer(&request)
            }
            ["read", path] => outcome(fs::read_to_string(path)),
            ["read", times, path] => {
                let times: u32 = times.parse().unwrap_or(1);
                (0..times).fold(String::new(), |_, _| outcome(fs::read_to_string(path)))
            }
            ["list", path] => outcome(list(path)),
            ["write", path] => write(path),
            ["count", key] => stored(count(key)),
            ["keep", key, bytes] => {
                let value = vec![7; bytes.parse().unwrap_or(0)];
                stored(kv::set(key, &value).map(|()| "kept".to_owned()))
            }
            _ => "nothing to do".to_owned(),
        };
        Err(Error::blocked(said))
    }

    fn on_events(&mut self, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        Ok(events)
    }

    fn findings(&mut self) -> Vec<Finding> {
        Vec::new()
    }
}

fn request(url: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: 2_000,
    }
}

fn get(url: &str, times: u32, body: &[u8]) -> String {
    let mut request = request(url);
    request.body = body.to_vec();
    let mut last = String::new();
    let mut asked = 0;
    while asked < times {
        last = answer(&request);
        asked += 1;
    }
    last
}

fn answer(request: &Request) -> String {
    match send(request) {
        Ok(response) => format!(
            "{} {}",
            response.status,
            String::from_utf8_lossy(&response.body)
        ),
        Err(error) => format!("{} {}", kind(&error), error.message),
    }
}

/// The case's name only.
fn kind(error: &Error) -> String {
    format!("{:?}", error.kind).replace("ErrorKind::", "")
}

fn follow(url: &str) -> String {
    let response = match send(&request(url)) {
        Ok(response) => response,
        Err(error) => return format!("first: {}", kind(&error)),
    };
    let location = response.headers.iter().find(|h| h.name == "location");
    match location {
        Some(location) => format!("{} then {}", response.status, get(&location.value, 1, &[])),
        None => format!("{} and no location", response.status),
    }
}

fn outcome(read: std::io::Result<String>) -> String {
    match read {
        Ok(text) => format!("read {text}"),
        Err(error) => format!("refused {}", error.kind()),
    }
}

fn list(path: &str) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(","))
}

/// Names what worked.
fn write(path: &str) -> String {
    let mut worked = Vec::new();
    let mut note = |what: &'static str, outcome: std::io::Result<()>| {
        if outcome.is_ok() {
            worked.push(what);
        }
    };
    let inside = |name: &str| format!("{path}/{name}");
    note("create", fs::write(inside("new"), "x"));
    note("truncate", fs::write(inside("a.txt"), ""));
    let appending = fs::OpenOptions::new().append(true).open(inside("a.txt"));
    note("append", appending.map(|_| ()));
    note("folder", fs::create_dir(inside("folder")));
    note("remove", fs::remove_file(inside("a.txt")));
    note("rename", fs::rename(inside("a.txt"), inside("b.txt")));
    note("link", fs::hard_link(inside("a.txt"), inside("c.txt")));
    format!("wrote {}", worked.join(","))
}

fn count(key: &str) -> Result<String, Error> {
    loop {
        let before = kv::get(key)?;
        let number = before
            .as_deref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok())
            .unwrap_or(0);
        let next = (number + 1).to_string();
        if kv::compare_and_set(key, before.as_deref(), next.as_bytes())? {
            return Ok(next);
        }
    }
}

fn stored(outcome: Result<String, Error>) -> String {
    outcome.unwrap_or_else(|error| kind(&error))
}

atoll_sdk::export_filter!(Outward);
