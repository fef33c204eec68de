//! The gateway over real sockets, with the real `openai` component and a scripted engine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod answers;
mod client;
mod elsewhere;
mod endings;
mod engine;
mod filter_faults;
mod filtering;
mod forwarding;
mod keys;
mod manage;
mod redaction;
mod relay;
mod responses;
mod resume;
mod routing;
mod server;
mod socket;
