//! What the dialects of OpenAI's APIs share. Not a plugin: a library of theirs.

pub mod failure;
pub mod limits;
pub mod media;
