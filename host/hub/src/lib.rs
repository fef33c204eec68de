//! Model folders that come from a hub, and what may be done with them afterwards.
//!
//! A hub is any server with the Hugging Face Hub's two read paths: `/api/models/ORG/NAME` says which
//! files a model has and what their hashes are, `/ORG/NAME/resolve/REVISION/FILE` gives their bytes.
//!
//! Guarantees:
//! - **A half download is never a model.** Files are gathered in a hidden folder beside the models and
//!   moved into place in one step, after every hash was checked.
//! - **Nothing is believed unchecked.** A name from a request or from a hub becomes a path only if it is
//!   a plain name ([`RepoId`], [`manifest`]); sizes are compared with the room on the disk before the first
//!   byte; every file is verified against the sha256 (or the Git hash, for small files) that the hub's
//!   listing gives; the token goes to the endpoint and to nobody it redirects to.
//! - **What was downloaded stays.** A dropped connection, a stopped process or a client that went away
//!   costs nothing but the request: the next pull goes on where the last one ended.
//! - **One model, one download.** Concurrent pulls of a model share it; it ends when the last of them is
//!   dropped.
//!
//! | file | idea |
//! |---|---|
//! | `name` | names that may become paths |
//! | `manifest` | which of a repository's files are needed; pure |
//! | `client` | the two requests, and what a refusal means |
//! | `transfer` | one file: resume, retry, verify |
//! | `pull` | one model: join, stage, publish |
//! | `local` | deleting and copying model folders |
//!
//! Why not the `hf-hub` crate: `docs/decisions/0016-our-own-hub-client.md`.

mod client;
mod error;
mod hash;
pub mod local;
pub mod manifest;
mod name;
mod options;
mod progress;
mod pull;
mod transfer;

pub use error::HubError;
pub use hash::Digest;
pub use name::RepoId;
pub use options::{HubOptions, Token};
pub use progress::{FileProgress, Progress, Stage};
pub use pull::{Hub, Pull, Pulled, Step};
