//! Bodies to canonical requests.
//!
//! Every field a client may send is either taken out of the body and mapped, or refused with an error
//! that names it, or left in and reported as unconsumed; fields nobody knows are tolerated, because
//! clients and agents add their own.

pub(crate) mod chat;
pub(crate) mod completion;
pub(crate) mod content;
pub(crate) mod fields;
pub(crate) mod format;
pub(crate) mod input;
pub(crate) mod keep_alive;
pub(crate) mod messages;
#[cfg(test)]
mod tests;
pub(crate) mod tools;
