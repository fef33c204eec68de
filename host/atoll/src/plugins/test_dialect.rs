//! `atoll plugin test` for a dialect: a recorded HTTP request through it, with a canned answer of the model.
//!
//! The file is the request as it stands on the wire:
//!
//! ```text
//! POST /my-api/atoll-demo HTTP/1.1
//! content-type: text/plain
//!
//! Hello
//! ```
//!
//! What comes out: the route that took it, the canonical operation it became, and the answer in the API's own
//! shape, had the model said "Hello there." Nothing is loaded, generated or sent.

use std::path::Path;

use atoll_plugin_runtime::types::{
    self, Event, Finished, Header, HttpRequest, HttpResponse, ItemKind, Operation, OperationResult,
    ResponseHead,
};
use atoll_plugin_runtime::{LoadedPlugin, Registry};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::CliError;
use crate::output;

/// The model's words, one event each.
const WORDS: [&str; 2] = ["Hello", " there."];

/// Runs the request in `file` through the plugin and prints what became of it.
pub async fn run(plugin: LoadedPlugin, file: &Path) -> Result<(), CliError> {
    let bytes = std::fs::read(file).map_err(|error| CliError::ConfigRead {
        path: file.to_owned(),
        reason: error.to_string(),
    })?;
    let mut request =
        parse(&bytes).map_err(|reason| fail(format!("{}: {reason}", file.display())))?;
    let registry = Registry::new([plugin])?;
    let headers = header_map(&request.headers);
    let found = registry
        .route(&request.method, &request.path, &headers)
        .map_err(|_| {
            fail(format!(
                "no route of the plugin takes {} {}; `atoll plugin inspect` shows its routes",
                request.method, request.path
            ))
        })?;
    request.path_params = found.params;
    let mut exchange = found.dialect.open(request).await?;
    let (operation, answer) = match exchange.decode().await? {
        Err(error) => (None, exchange.fail(&error).await?),
        Ok(operation) => {
            let answer = match canned(&operation) {
                Canned::Events(events) => {
                    let head = exchange.head().await?;
                    let mut body = Vec::new();
                    let mut failed = None;
                    for event in events {
                        match exchange.encode(&[event]).await? {
                            Ok(bytes) => body.extend_from_slice(&bytes),
                            Err(error) => {
                                failed = Some(error);
                                break;
                            }
                        }
                    }
                    match failed {
                        None => HttpResponse { head, body },
                        Some(error) => exchange.fail(&error).await?,
                    }
                }
                Canned::Result(outcome) => match exchange.reply(&outcome).await? {
                    Ok(answer) => answer,
                    Err(error) => exchange.fail(&error).await?,
                },
            };
            (Some(operation), answer)
        }
    };
    show(operation.as_ref(), &answer)
}

/// What the host has to say to an operation.
enum Canned {
    Events(Vec<Event>),
    Result(Box<OperationResult>),
}

fn canned(operation: &Operation) -> Canned {
    match operation {
        Operation::Generate(request) => Canned::Events(events(&request.model)),
        Operation::CountTokens(_) => Canned::Result(Box::new(OperationResult::TokenCount(3))),
        Operation::ListModels | Operation::ListRunning => {
            Canned::Result(Box::new(OperationResult::Models(Vec::new())))
        }
        _ => Canned::Result(Box::new(OperationResult::None)),
    }
}

/// A short answer, from its start to its end.
fn events(model: &str) -> Vec<Event> {
    let started = Event::Started(types::Started {
        response_id: "test".to_owned(),
        created_at: 0,
        model: model.to_owned(),
        prompt_tokens: 3,
        cached_tokens: 0,
        fingerprint: None,
    });
    let item = Event::ItemStarted(types::Item {
        choice: 0,
        index: 0,
        kind: ItemKind::Message,
    });
    let words = WORDS.map(|text| {
        Event::TextDelta(types::Delta {
            choice: 0,
            item: 0,
            text: text.to_owned(),
            tokens: Vec::new(),
        })
    });
    let item_end = Event::ItemFinished(types::ItemEnd {
        choice: 0,
        item: 0,
        complete: true,
        signature: None,
    });
    let choice_end = Event::ChoiceFinished(types::ChoiceEnd {
        choice: 0,
        reason: types::FinishReason::Stop,
    });
    let finished = Event::Finished(Finished {
        usage: types::Usage {
            prompt_tokens: 3,
            cached_tokens: 0,
            cache_written_tokens: 0,
            output_tokens: 2,
            reasoning_tokens: 0,
        },
        timings: types::Timings {
            queued: 0,
            load: 0,
            prefill: 0,
            decode: 0,
            total: 0,
        },
    });
    let ends = [item_end, choice_end, finished];
    [started, item]
        .into_iter()
        .chain(words)
        .chain(ends)
        .collect()
}

fn show(operation: Option<&Operation>, answer: &HttpResponse) -> Result<(), CliError> {
    match operation {
        Some(operation) => {
            let text = serde_json::to_string_pretty(operation)
                .map_err(|error| CliError::Output(error.to_string()))?;
            output::line(format_args!("operation  {text}"))?;
        }
        None => output::line("operation  refused")?,
    }
    let ResponseHead { status, headers } = &answer.head;
    output::line(format_args!("answer     {status}"))?;
    for header in headers {
        output::line(format_args!("           {}: {}", header.name, header.value))?;
    }
    output::line("")?;
    output::line(String::from_utf8_lossy(&answer.body))
}

/// A request line, headers, an empty line, and the body: as on the wire, with either kind of line end.
fn parse(bytes: &[u8]) -> Result<HttpRequest, String> {
    let (head, body) = split(bytes);
    let head = std::str::from_utf8(head).map_err(|_| "its head is not text".to_owned())?;
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err("its first line is not such as: POST /path HTTP/1.1".to_owned());
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("{line:?} is no header"))?;
        headers.push(Header {
            name: name.trim().to_ascii_lowercase(),
            value: value.trim().to_owned(),
        });
    }
    Ok(HttpRequest {
        id: "test".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        path_params: Vec::new(),
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers,
        body: body.to_vec(),
        received_at: 0,
        ext: None,
    })
}

/// Before and after the first empty line.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        if line.trim_ascii().is_empty() {
            return (&bytes[..start], &bytes[end..]);
        }
        start = end;
    }
    (bytes, &[])
}

fn header_map(headers: &[Header]) -> HeaderMap {
    headers
        .iter()
        .filter_map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(&header.value).ok()?))
        })
        .collect()
}

fn fail(message: String) -> CliError {
    CliError::Plugins(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_stands_on_the_wire() {
        for text in [
            "POST /v1/x?a=b%20c HTTP/1.1\r\nX-One: 1\r\nhost: h\r\n\r\nbody\n\nmore",
            "POST /v1/x?a=b%20c\nX-One: 1\nhost: h\n\nbody\n\nmore",
        ] {
            let request = parse(text.as_bytes()).unwrap();
            assert_eq!(
                (request.method.as_str(), request.path.as_str()),
                ("POST", "/v1/x")
            );
            assert_eq!(request.query, [("a".to_owned(), "b c".to_owned())]);
            assert_eq!(request.headers[0].name, "x-one");
            assert_eq!(request.body, b"body\n\nmore");
        }
        assert_eq!(parse(b"GET /").unwrap().body, b"");
        for bad in ["", "\n\nbody", "POST", "POST / HTTP/1.1\nno header"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(parse(b"GET /\xff\n\n").is_err());
    }
}
