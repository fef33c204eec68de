//! What the host did to a request that its client should know: told in headers, because no API has a place for it.
//!
//! `x-atoll-ignored` names fields that were not honoured; `x-atoll-truncated` says how much of a prompt had to be left
//! out. Both are known before the answer begins, unless the model had to be loaded for longer than the answer's head
//! waits; the log has them always.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue};

/// Remarks on one request; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remarks(Arc<Mutex<Found>>);

#[derive(Debug, Clone, Default)]
struct Found {
    ignored: Vec<String>,
    cut: Option<Cut>,
}

/// What was left out of a request's prompts, summed over all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub messages: usize,
    pub tokens: usize,
}

impl Remarks {
    /// A field, by the name the client knows, is not honoured.
    pub(crate) fn ignored(&self, field: &str) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.ignored.push(field.to_owned());
    }

    /// Prompts had to be shortened, if this is not nothing.
    pub(crate) fn cut(&self, cut: Cut) {
        if cut == Cut::default() {
            return;
        }
        let Cut { messages, tokens } = cut;
        tracing::info!(messages, tokens, "prompt shortened to fit");
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.cut = Some(cut);
    }

    /// Adds what was remarked so far.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !found.ignored.is_empty() {
            let before = headers.get("x-atoll-ignored").and_then(|v| v.to_str().ok());
            let all = before
                .into_iter()
                .chain(found.ignored.iter().map(String::as_str));
            let all: Vec<&str> = all.collect();
            if let Ok(value) = HeaderValue::from_str(&all.join(", ")) {
                headers.insert("x-atoll-ignored", value);
            }
        }
        if let Some(Cut { messages, tokens }) = found.cut
            && let Ok(value) =
                HeaderValue::from_str(&format!("messages={messages}, tokens={tokens}"))
        {
            headers.insert("x-atoll-truncated", value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_told_in_headers_beside_what_stands_there() {
        let remarks = Remarks::default();
        let mut headers = HeaderMap::new();
        remarks.cut(Cut::default());
        remarks.write(&mut headers);
        assert!(headers.is_empty());
        headers.insert("x-atoll-ignored", HeaderValue::from_static("verbosity"));
        remarks.ignored("reasoning");
        remarks.clone().cut(Cut {
            messages: 3,
            tokens: 0,
        });
        remarks.write(&mut headers);
        assert_eq!(headers["x-atoll-ignored"], "verbosity, reasoning");
        assert_eq!(headers["x-atoll-truncated"], "messages=3, tokens=0");
    }
}
