//! Downloads against a server that behaves, and misbehaves, like a hub. Never the internet.

mod hostile;
mod local;
mod pulls;
mod refusals;
mod server;
