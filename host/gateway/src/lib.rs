//! HTTP in front of the engine.
//!
//! This crate knows HTTP, plugins and the engine's public face; it knows no wire API (a dialect
//! plugin does) and no model (the engine does). One file per stage of a request's way:
//!
//! | file | stage |
//! |---|---|
//! | `server` | listeners, connections, shutdown |
//! | `socket` | WebSockets: each message a request of its own |
//! | `guard` | request id, host name, origin, drain |
//! | `auth`, `keys` | who asks, whether he may, and how much is left |
//! | `gateway` | route, dialect, from arrival to answer |
//! | `refusal` | what has no route, in the words of the nearest dialect |
//! | `body` | the request's body, decoded, within limits |
//! | `exchange` | HTTP request to a dialect's exchange; credentials stay behind |
//! | `plugins` | the plugins in force, swapped whole |
//! | `filters`, `audit` | the filter chain around one request, and the record of what it did |
//! | `seen` | what the model is about to see, for whoever sets up filters |
//! | `operation` | doing what the dialect asks for |
//! | `embed` | texts to vectors |
//! | `generate`, `prompt`, `rules`, `inline_system`, `fit` | canonical request to the engine's request |
//! | `remarks` | what a client should know beside its answer |
//! | `responses` | answers that are kept |
//! | `source` | loading, tokenizing, queueing; the engine's events as they come |
//! | `forward`, `cluster` | what another host of the pool answers |
//! | `feed`, `anywhere`, `loss` | answers wherever the model runs, begun again when a machine is lost before the first word |
//! | `pull` | a download's progress, streamed |
//! | `events`, `items` | engine events to canonical events |
//! | `ranking` | the best of several candidates |
//! | `stream` | events to filters to dialect to client, with back-pressure |
//! | `response` | heads, bodies, the host's own errors |
//!
//! Of axum's many ways this crate uses three: a router for the host's own paths, its fallback for
//! everything else, one middleware.

mod admin;
mod anywhere;
mod auth;
mod body;
mod embed;
mod error;
mod events;
mod exchange;
mod failure;
mod feed;
mod filters;
mod fit;
mod gateway;
mod generate;
mod guard;
mod inline_system;
mod items;
mod loss;
mod metrics;
mod operation;
mod plugin_metrics;
mod plugins;
mod prompt;
mod pull;
mod ranking;
mod refusal;
mod remarks;
mod replay;
mod response;
pub mod responses;
mod rules;
mod seen;
mod socket;
mod source;
mod stream;

pub mod audit;
pub mod cluster;
pub mod forward;
pub mod keys;
pub mod library;
pub mod models;
pub mod options;
pub mod pool;
pub mod server;
mod strategies;
pub mod tokenizer;

pub use error::GatewayError;
pub use filters::{FilterEntry, OnFault};
pub use gateway::{Gateway, GatewayParts};
pub use options::{Access, GatewayOptions, Limits};
pub use plugins::{Installed, PluginSet, RefusedPlugin};
pub use server::{Server, Shutdown};
pub use strategies::Strategies;
