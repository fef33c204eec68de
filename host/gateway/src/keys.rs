//! Keys: who may use the gateway, for what, and how much.
//!
//! A key is 256 random bits, shown once when it is made. What is kept is its SHA-256: enough to
//! recognise it, useless to whoever reads the file (a slow password hash would protect no better,
//! because nobody can guess 256 bits). Recognising looks at every key and compares in constant time,
//! so that timing tells nothing about which keys there are.
//!
//! | file | what |
//! |---|---|
//! | `file` | the keys on disk: made, listed, revoked |
//! | `ring` | the keys in memory, followed as the file changes |
//! | `quota` | how much of each is used up: a pure state machine |

mod file;
mod quota;
mod ring;

pub use file::{KeyFile, KeyLimits, KeyRecord, NewKey};
pub(crate) use quota::{RateLimits, Refusal};
pub use ring::KeyRing;
pub(crate) use ring::{Key, Permit};
