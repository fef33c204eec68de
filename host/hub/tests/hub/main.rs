//! Downloads against a server that behaves, and misbehaves, like a hub. Never the internet.

#![expect(clippy::unwrap_used, reason = "tests")]

mod hostile;
mod local;
mod pulls;
mod refusals;
mod server;
