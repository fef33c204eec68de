//! Asking the server that runs on this machine: for commands that show or change what it does.
//!
//! One request over HTTP/1.0, which ends with the connection: no client library is needed for that.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::config::Config;
use crate::error::CliError;

/// Longest wait for the connection and for each part of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer read.
const MAX_ANSWER: u64 = 64 << 20;

/// The JSON that the running server answers `GET path` with.
pub fn get(config: &Config, path: &str) -> Result<Value, CliError> {
    ask(config, "GET", path)
}

/// The path that says where `model` would be placed: for this objective, or the configured one.
pub fn placements(model: &str, objective: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("model", model);
    if let Some(objective) = objective {
        query.append_pair("objective", objective);
    }
    format!("/atoll/v1/placements?{}", query.finish())
}

/// As [`get`], with `POST` and no body.
pub fn post(config: &Config, path: &str) -> Result<Value, CliError> {
    ask(config, "POST", path)
}

/// As [`post`]; nothing when the server says that something is in the way (status 409).
pub fn post_unless_in_use(config: &Config, path: &str) -> Result<Option<Value>, CliError> {
    match answered(config, "POST", path)? {
        (status, _) if status == "409" => Ok(None),
        (status, body) => read(&status, &body).map(Some),
    }
}

fn ask(config: &Config, method: &str, path: &str) -> Result<Value, CliError> {
    let (status, body) = answered(config, method, path)?;
    read(&status, &body)
}

/// The status and the body of the server's answer.
fn answered(config: &Config, method: &str, path: &str) -> Result<(String, String), CliError> {
    let address = config.listen.value.first().copied();
    let address = address.ok_or_else(|| CliError::Other("no address to ask".to_owned()))?;
    let address = reachable(address);
    // With an admin key, where the server asks for one.
    let key = std::env::var("ATOLL_API_KEY").ok();
    let answer = exchange(address, method, path, key.as_deref()).map_err(|error| {
        CliError::Other(format!(
            "no server answers on {address} ({error}); start one with `atoll serve`, or name its address with --listen"
        ))
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    Ok((status.to_owned(), body.to_owned()))
}

/// The JSON of a good answer, or what a person can do about another.
fn read(status: &str, body: &str) -> Result<Value, CliError> {
    match status {
        "200" => serde_json::from_str(body)
            .map_err(|error| CliError::Other(format!("the server's answer is no JSON: {error}"))),
        "401" | "403" => Err(CliError::Other(
            "the server asks for an admin key: put one into ATOLL_API_KEY (`atoll keys create NAME --admin`)"
                .to_owned(),
        )),
        other => Err(CliError::Other(format!("the server answered with status {other}: {body}"))),
    }
}

/// Whether a server answers there and is ready.
pub fn ready(address: SocketAddr) -> bool {
    let answer = exchange(reachable(address), "GET", "/readyz", None);
    answer.is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    key: Option<&str>,
) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let key = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
    let key = key.map(|key| format!("Authorization: Bearer {key}\r\n"));
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{}Content-Length: 0\r\n\r\n",
        key.unwrap_or_default()
    )?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

/// An address somebody on this machine can use: the unspecified one is not.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    use std::net::{Ipv4Addr, Ipv6Addr};
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}
