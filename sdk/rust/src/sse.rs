//! Server-sent events, as clients of streaming APIs read them.
//!
//! Every function appends to a buffer, so that a batch of events becomes one write. A `data` line
//! never holds a line break: JSON escapes them, and [`text`] splits at them.

use serde::Serialize;

use crate::types::Error;

/// The content type of an event stream.
pub const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";

/// Appends an event of one JSON value.
///
/// # Errors
/// The value does not serialize (a map whose keys are not strings).
pub fn data<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    out.extend_from_slice(b"data: ");
    crate::json::write(out, value)?;
    out.extend_from_slice(b"\n\n");
    Ok(())
}

/// Appends a named event of one JSON value. `name` must be a plain word.
///
/// # Errors
/// The value does not serialize.
pub fn event<T: Serialize + ?Sized>(out: &mut Vec<u8>, name: &str, value: &T) -> Result<(), Error> {
    out.extend_from_slice(b"event: ");
    out.extend(name.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    out.push(b'\n');
    data(out, value)
}

/// Appends an event of plain text, one `data` line per line of it.
pub fn text(out: &mut Vec<u8>, text: &str) {
    for line in text.split('\n') {
        out.extend_from_slice(b"data: ");
        out.extend(line.bytes().filter(|byte| *byte != b'\r'));
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// Appends a comment, which clients skip: the way to keep a quiet connection alive.
pub fn comment(out: &mut Vec<u8>, comment: &str) {
    out.extend_from_slice(b": ");
    out.extend(
        comment
            .bytes()
            .filter(|byte| !matches!(byte, b'\r' | b'\n')),
    );
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_never_breaks_a_data_line() {
        let mut out = Vec::new();
        data(&mut out, "two\nlines\r\n").unwrap();
        assert_eq!(out, b"data: \"two\\nlines\\r\\n\"\n\n");
    }

    #[test]
    fn named_events_carry_their_name_first() {
        let mut out = Vec::new();
        event(&mut out, "ping", &serde_json::json!({"type": "ping"})).unwrap();
        assert_eq!(out, b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
    }

    #[test]
    fn plain_text_is_split_at_line_breaks() {
        let mut out = Vec::new();
        text(&mut out, "a\r\nb");
        text(&mut out, "[DONE]");
        assert_eq!(out, b"data: a\ndata: b\n\ndata: [DONE]\n\n");
    }

    #[test]
    fn a_comment_cannot_smuggle_an_event() {
        let mut out = Vec::new();
        comment(&mut out, "x\n\ndata: evil");
        assert_eq!(out, b": xdata: evil\n\n");
    }
}
