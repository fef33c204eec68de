//! Text that a client keeps for us without showing it: `encrypted_content`.
//!
//! The original encrypts it for its own eyes. Here it is the client's own conversation, which it may read as it
//! may read the rest; the seal is only a wrapping that says what it is, so that foreign ones are recognised.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Reasoning of an earlier turn.
pub const REASONING: &str = "atoll-reasoning-1:";
/// The summary of a conversation.
pub const COMPACTION: &str = "atoll-compaction-1:";

/// Wraps text.
#[must_use]
pub fn seal(kind: &str, text: &str) -> String {
    STANDARD.encode(format!("{kind}{text}"))
}

/// The text in a wrapping of this kind; `None` if it is another's.
#[must_use]
pub fn open(kind: &str, sealed: &str) -> Option<String> {
    let bytes = STANDARD.decode(sealed).ok()?;
    String::from_utf8(bytes)
        .ok()?
        .strip_prefix(kind)
        .map(str::to_owned)
}
