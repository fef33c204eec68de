//! The OpenAI dialect: Chat Completions, Completions, Embeddings and Models.
//!
//! Pure functions over the canonical conversation: `request` turns a body into an operation,
//! `answer` turns events into chunks or one body, the shared crate turns errors into OpenAI's shape. No
//! host call is made while an answer streams.
//!
//! Invariants, each with a test: a stream accumulated by the official client's rules equals the body
//! that the same events give without streaming; every stream ends in exactly one `[DONE]` or one
//! error; what a client sends is mapped, refused by name, or reported as unconsumed.

mod answer;
mod embeddings;
mod exchange;
mod models;
mod request;

use atoll_sdk::dialect::{Dialect, DialectDescriptor, Route};
use atoll_sdk::types::Descriptor;

/// The dialect, as the host sees it.
pub struct OpenAi;

impl Dialect for OpenAi {
    type Exchange = exchange::OneRequest;

    fn describe() -> DialectDescriptor {
        DialectDescriptor {
            plugin: Descriptor::new(
                "openai",
                env!("CARGO_PKG_VERSION"),
                "OpenAI's API: Chat Completions, Completions, Embeddings and Models.",
            ),
            routes: routes(),
        }
    }
}

/// Every route twice: with `/v1`, and without it for clients whose base URL lacks it.
fn routes() -> Vec<Route> {
    const ROUTES: [(&str, &str); 5] = [
        ("POST", "/chat/completions"),
        ("POST", "/completions"),
        ("POST", "/embeddings"),
        ("GET", "/models"),
        ("GET", "/models/{id...}"),
    ];
    ["/v1", ""]
        .iter()
        .flat_map(|base| {
            ROUTES
                .iter()
                .map(move |(method, path)| Route::new(*method, format!("{base}{path}")))
        })
        .collect()
}

atoll_sdk::export_dialect!(OpenAi);
