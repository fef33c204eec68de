//! Newline-delimited JSON.

use serde::Serialize;

use crate::types::Error;

/// The content type of newline-delimited JSON.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// Appends one value and a line break.
///
/// # Errors
/// The value does not serialize (a map whose keys are not strings).
pub fn line<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    crate::json::write(out, value)?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_one_line() {
        let mut out = Vec::new();
        line(&mut out, "a\nb").unwrap();
        line(&mut out, &1).unwrap();
        assert_eq!(out, b"\"a\\nb\"\n1\n");
    }
}
