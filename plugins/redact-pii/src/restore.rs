//! Restoring: tokens in the answer become values again, while the answer streams.
//!
//! Invariants, tested for every split of every fixture:
//! - The pieces of a lane, restored and joined, equal the whole restored at once.
//! - Held back is only text that may still become an issued token: natural text passes at once.
//! - Restored text is never looked at again, so a value that contains a token stays as it is.
//! - What is held when a lane ends was a fragment of a token: it goes out as it is and is counted.
//!
//! A token is recognised exactly, except for letter case and for Markdown's `\_`. In lower case it must
//! begin a word, or every text that ends in `p` would wait.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::pseudonym::Vault;

/// How a value is written into its surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Escape {
    /// As it is.
    Plain,
    /// As the inside of a JSON string.
    Json,
}

/// The tokens that may be restored, by their lower-case form.
#[derive(Debug, Default)]
pub struct Restorer {
    tokens: BTreeMap<String, String>,
    longest: usize,
}

/// What one lane holds back.
#[derive(Debug, Default)]
pub struct Lane {
    held: String,
    /// The last byte before `held`.
    last: u8,
    /// Fragments of tokens that a lane's end left over.
    pub truncated: u32,
    /// Tokens restored.
    pub restored: u32,
}

/// The result of matching at one position.
enum Match<'a> {
    /// Nothing can begin here.
    No,
    /// The text ends inside a possible token.
    Partial,
    /// A token of this many bytes.
    Token(usize, &'a str),
}

impl Restorer {
    /// Restores what `vault` allows to be restored.
    #[must_use]
    pub fn new(vault: &Vault) -> Self {
        let tokens: BTreeMap<_, _> = vault
            .entries()
            .iter()
            .filter(|e| e.restorable)
            .map(|e| (e.token.to_ascii_lowercase(), e.original.clone()))
            .collect();
        let longest = tokens.keys().map(String::len).max().unwrap_or(0);
        Restorer { tokens, longest }
    }

    /// Nothing to restore.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The most bytes a lane can hold: a token with every underscore escaped, less one.
    #[must_use]
    pub fn longest_held(&self) -> usize {
        self.longest * 2
    }

    /// Restores a whole text.
    #[must_use]
    pub fn whole(&self, text: &str, escape: Escape) -> String {
        let mut lane = Lane::default();
        let mut out = self.push(&mut lane, text, escape);
        out.push_str(&lane.flush());
        out
    }

    /// Takes one piece of a lane; returns what can go on.
    #[must_use]
    pub fn push(&self, lane: &mut Lane, piece: &str, escape: Escape) -> String {
        let joined: Cow<'_, str> = if lane.held.is_empty() {
            Cow::Borrowed(piece)
        } else {
            let mut held = std::mem::take(&mut lane.held);
            held.push_str(piece);
            Cow::Owned(held)
        };
        let text = joined.as_ref();
        let bytes = text.as_bytes();
        let mut out = String::with_capacity(text.len());
        let (mut from, mut at) = (0, 0);
        while let Some(i) = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|b| matches!(b, b'P' | b'p')))
        {
            let start = at + i;
            let before = start.checked_sub(1).map_or(lane.last, |j| bytes[j]);
            if bytes[start] == b'p' && before.is_ascii_alphanumeric() {
                at = start + 1;
                continue;
            }
            match self.matches(&bytes[start..]) {
                Match::No => at = start + 1,
                Match::Partial => {
                    out.push_str(&text[from..start]);
                    lane.last = before;
                    lane.held = text[start..].to_owned();
                    return out;
                }
                Match::Token(len, value) => {
                    out.push_str(&text[from..start]);
                    match escape {
                        Escape::Plain => out.push_str(value),
                        Escape::Json => push_json(&mut out, value),
                    }
                    lane.restored = lane.restored.saturating_add(1);
                    from = start + len;
                    at = from;
                }
            }
        }
        out.push_str(&text[from..]);
        lane.last = bytes.last().copied().unwrap_or(lane.last);
        out
    }

    /// Compares `text` with the tokens: reads over escapes, folds case.
    fn matches(&self, text: &[u8]) -> Match<'_> {
        let mut seen = String::with_capacity(self.longest);
        let mut i = 0;
        loop {
            // Everything issued that begins with what was read so far.
            let Some((token, value)) = self
                .tokens
                .range::<str, _>((Bound::Included(seen.as_str()), Bound::Unbounded))
                .next()
            else {
                return Match::No;
            };
            if !token.starts_with(seen.as_str()) {
                return Match::No;
            }
            // No token is a prefix of another: each ends in the same tag, and tags stand nowhere else.
            if token.len() == seen.len() {
                return Match::Token(i, value);
            }
            match text.get(i) {
                None => return Match::Partial,
                Some(b'\\') => match text.get(i + 1) {
                    None if seen.len() >= 3 => return Match::Partial,
                    Some(b'_') => {
                        seen.push('_');
                        i += 2;
                    }
                    _ => return Match::No,
                },
                Some(&b) if b.is_ascii_alphanumeric() || b == b'_' => {
                    seen.push(char::from(b.to_ascii_lowercase()));
                    i += 1;
                }
                Some(_) => return Match::No,
            }
        }
    }
}

impl Lane {
    /// What is still held when the lane ends: a fragment, without any value in it.
    #[must_use]
    pub fn flush(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        if let Some(&b) = rest.as_bytes().last() {
            self.last = b;
        }
        // A lone `P` was no token begun.
        if rest.len() > 4 {
            self.truncated = self.truncated.saturating_add(1);
        }
        rest
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// Appends `value` as the inside of a JSON string.
pub fn push_json(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let hex = |n: u32| char::from_digit(n & 15, 16).unwrap_or('0');
                out.push_str("\\u00");
                out.push(hex(c as u32 >> 4));
                out.push(hex(c as u32));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn restorer() -> Restorer {
        let mut v = Vault::new("k7qd".into());
        v.token("EMAIL", "1".into(), "alice@example.com", true);
        for i in 2..=11 {
            v.token(
                "EMAIL",
                i.to_string(),
                &format!("user{i}@example.com"),
                true,
            );
        }
        // A value that is itself shaped like a token must not be restored again.
        v.token("CUSTOM", "1".into(), "PII_EMAIL_1_k7qd", true);
        v.token("SECRET", "1".into(), "hunter2", false);
        v.token("ID", "1".into(), "quote\" back\\ line\n\u{1}é", true);
        Restorer::new(&v)
    }

    const FIXTURES: &[&str] = &[
        "PII_EMAIL_1_k7qd",
        "Write to PII_EMAIL_1_k7qd, PII_EMAIL_11_k7qd and PII_EMAIL_2_k7qd.",
        "PPII_EMAIL_1_k7qdPII_EMAIL_1_k7qd",
        "وPII_EMAIL_1_k7qd، pii_email_1_k7qd PII\\_EMAIL\\_1\\_k7qd **Pii_Email_3_K7QD**",
        "PII_EMAIL_9_zzzz PII_EMAIL_99_k7qd PII_ PII P help up PI",
        "PII_CUSTOM_1_k7qd PII_SECRET_1_k7qd",
        "PII_EMAIL_1_k7q",
        "PII_EMAIL\\",
        "{\"to\":\"PII_EMAIL_1_k7qd\\nPII_ID_1_k7qd\"}",
        "PII_PII_EMAIL_1_k7qd_PII_EMAIL_1_k7qdx",
        "xpii_email_1_k7qd 😀PII_EMAIL_1_k7qd😀",
    ];

    fn streamed(r: &Restorer, pieces: &[&str], escape: Escape) -> String {
        let mut lane = Lane::default();
        let mut out = String::new();
        for p in pieces {
            out += &r.push(&mut lane, p, escape);
            assert!(lane.held() <= r.longest_held());
        }
        out + &lane.flush()
    }

    #[test]
    fn restores_exactly() {
        let r = restorer();
        let whole = |t| r.whole(t, Escape::Plain);
        assert_eq!(
            whole(FIXTURES[1]),
            "Write to alice@example.com, user11@example.com and user2@example.com."
        );
        assert_eq!(whole(FIXTURES[2]), "Palice@example.comalice@example.com");
        assert_eq!(
            whole(FIXTURES[3]),
            "وalice@example.com، alice@example.com alice@example.com **user3@example.com**"
        );
        assert_eq!(whole(FIXTURES[4]), FIXTURES[4]);
        assert_eq!(whole(FIXTURES[5]), "PII_EMAIL_1_k7qd PII_SECRET_1_k7qd");
        assert_eq!(whole(FIXTURES[6]), FIXTURES[6]);
        assert_eq!(whole("xpii_email_1_k7qd"), "xpii_email_1_k7qd");
    }

    #[test]
    fn json_stays_json() {
        let r = restorer();
        let out = r.whole(FIXTURES[8], Escape::Json);
        let v: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(v["to"], "alice@example.com\nquote\" back\\ line\n\u{1}é");
    }

    #[test]
    fn natural_text_is_not_held() {
        let r = restorer();
        let mut lane = Lane::default();
        for text in ["help", " stop", "APP", "cup", "P.", "epic PIN "] {
            let _ = r.push(&mut lane, text, Escape::Plain);
            let held = lane.held();
            assert!(
                held == 0 || (text == "APP" && held == 1),
                "{text} holds {held}"
            );
            let _ = lane.flush();
        }
    }

    #[test]
    fn every_two_and_three_split() {
        let r = restorer();
        for escape in [Escape::Plain, Escape::Json] {
            for text in FIXTURES {
                let whole = r.whole(text, escape);
                let cuts: Vec<usize> = (0..=text.len())
                    .filter(|&i| text.is_char_boundary(i))
                    .collect();
                for &i in &cuts {
                    assert_eq!(
                        streamed(&r, &[&text[..i], &text[i..]], escape),
                        whole,
                        "{text} at {i}"
                    );
                    for &j in cuts.iter().filter(|&&j| j >= i) {
                        assert_eq!(
                            streamed(&r, &[&text[..i], &text[i..j], &text[j..]], escape),
                            whole,
                            "{text} at {i}, {j}"
                        );
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn random_many_splits(picks in proptest::collection::vec((0usize..11, 1usize..9), 1..12)) {
            let r = restorer();
            let text: String = picks.iter().map(|&(f, _)| FIXTURES[f]).collect();
            let chars: Vec<char> = text.chars().collect();
            let mut pieces: Vec<String> = Vec::new();
            let (mut i, mut k) = (0, 0);
            while i < chars.len() {
                let n = picks[k % picks.len()].1;
                pieces.push(chars[i..(i + n).min(chars.len())].iter().collect());
                i += n;
                k += 1;
            }
            let refs: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(streamed(&r, &refs, Escape::Plain), r.whole(&text, Escape::Plain));
        }
    }
}
