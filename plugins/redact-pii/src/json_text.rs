//! JSON as text: finds the strings and numbers in it and replaces parts of them in place, so that key
//! order, spacing and number spelling survive byte for byte.

use std::borrow::Cow;

/// One string or number in a JSON text.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf<'a> {
    /// Byte range of its content in the text (inside the quotes).
    pub start: usize,
    /// End of that range.
    pub end: usize,
    /// The key it stands under: its own, or that of the array it is in.
    pub key: Cow<'a, str>,
    /// The key under which the innermost object or array around it stands; empty for the whole text.
    pub within: Cow<'a, str>,
    /// What it is.
    pub kind: LeafKind,
    /// The decoded content.
    pub value: Cow<'a, str>,
    /// Original offset of each decoded byte, and of the end; `None` when nothing was escaped.
    map: Option<Vec<usize>>,
}

/// Kinds of leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafKind {
    /// An object's key.
    Key,
    /// A string value.
    String,
    /// A number.
    Number,
}

impl Leaf<'_> {
    /// The range in the text of a range of the decoded value.
    #[must_use]
    pub fn range(&self, start: usize, end: usize) -> (usize, usize) {
        match &self.map {
            None => (self.start + start, self.start + end),
            Some(m) => (
                m.get(start).copied().unwrap_or(self.end),
                m.get(end).copied().unwrap_or(self.end),
            ),
        }
    }
}

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 128;

/// Every leaf of a JSON text in order; `None` if it is not JSON or nests too deep.
#[must_use]
pub fn leaves(text: &str) -> Option<Vec<Leaf<'_>>> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let s = text.as_bytes();
    let mut out = Vec::new();
    // The keys that hold the containers we are in; an array passes its own on.
    let mut stack: Vec<(bool, Cow<'_, str>)> = Vec::new();
    let mut key: Cow<'_, str> = Cow::Borrowed("");
    let mut expect_key = false;
    let mut i = 0;
    while let Some(&b) = s.get(i) {
        match b {
            b'{' | b'[' => {
                if stack.len() >= MAX_DEPTH {
                    return None;
                }
                stack.push((b == b'{', key.clone()));
                expect_key = b == b'{';
                i += 1;
            }
            b'}' | b']' => {
                key = stack.pop()?.1;
                expect_key = false;
                i += 1;
            }
            b',' => {
                expect_key = stack.last().is_some_and(|c| c.0);
                if !expect_key && let Some((_, k)) = stack.last() {
                    key = k.clone();
                }
                i += 1;
            }
            b'"' => {
                let start = i + 1;
                let mut end = start;
                let mut escaped = false;
                while s.get(end).is_some_and(|&c| c != b'"') {
                    if s[end] == b'\\' {
                        escaped = true;
                        end += 1;
                    }
                    end += 1;
                }
                let raw = text.get(start..end)?;
                let (value, map) = if escaped {
                    decode(raw, start).map(|(v, m)| (Cow::Owned(v), Some(m)))?
                } else {
                    (Cow::Borrowed(raw), None)
                };
                if expect_key {
                    key = value.clone();
                    out.push(Leaf {
                        start,
                        end,
                        key: Cow::Borrowed(""),
                        within: Cow::Borrowed(""),
                        kind: LeafKind::Key,
                        value,
                        map,
                    });
                    expect_key = false;
                } else {
                    out.push(Leaf {
                        start,
                        end,
                        key: key.clone(),
                        within: within(&stack),
                        kind: LeafKind::String,
                        value,
                        map,
                    });
                }
                i = end + 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = i;
                while s
                    .get(i)
                    .is_some_and(|c| matches!(c, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                {
                    i += 1;
                }
                out.push(Leaf {
                    start,
                    end: i,
                    key: key.clone(),
                    within: within(&stack),
                    kind: LeafKind::Number,
                    value: Cow::Borrowed(text.get(start..i)?),
                    map: None,
                });
            }
            _ => i += 1,
        }
    }
    Some(out)
}

/// Keys that say nothing of their value, and those of the field beside it that does.
const UNNAMED: &[&str] = &["value", "val", "v", "number"];
/// Keys whose values often are sentences with words of their own.
const TEXTS: &[&str] = &["content", "data", "answer", "text"];
const NAMES: &[&str] = &[
    "type",
    "label",
    "name",
    "key",
    "field",
    "kind",
    "title",
    "question",
    "property",
    "attribute",
    "k",
];

/// What names leaf `i`: its key, or for `{"type": "IMEI", "value": "..."}` the field beside it, or for
/// `{"cin": {"value": "..."}}` the key of the object.
#[must_use]
pub fn name_of<'a>(leaves: &'a [Leaf<'_>], i: usize) -> &'a str {
    let Some(leaf) = leaves.get(i) else { return "" };
    let is = |keys: &[&str], key: &str| keys.iter().any(|k| k.eq_ignore_ascii_case(key));
    let unnamed = is(UNNAMED, &leaf.key);
    if !unnamed && !is(TEXTS, &leaf.key) {
        return &leaf.key;
    }
    let beside = [i.checked_sub(2), i.checked_add(2)]
        .into_iter()
        .flatten()
        .find_map(|j| {
            leaves.get(j).filter(|other| {
                other.kind == LeafKind::String
                    && other.within == leaf.within
                    && is(NAMES, &other.key)
            })
        });
    match beside {
        Some(name) => &name.value,
        None if unnamed && !leaf.within.is_empty() => &leaf.within,
        None => &leaf.key,
    }
}

/// The key that the innermost container stands under.
fn within<'a>(stack: &[(bool, Cow<'a, str>)]) -> Cow<'a, str> {
    stack
        .last()
        .map_or(Cow::Borrowed(""), |(_, key)| key.clone())
}

/// Decodes the inside of a JSON string that stands at `base`.
fn decode(raw: &str, base: usize) -> Option<(String, Vec<usize>)> {
    let mut out = String::with_capacity(raw.len());
    let mut map = Vec::with_capacity(raw.len() + 1);
    let s = raw.as_bytes();
    let hex4 = |at: usize| {
        raw.get(at..at + 4)
            .and_then(|h| u32::from_str_radix(h, 16).ok())
    };
    let mut i = 0;
    while i < s.len() {
        let from = i;
        let c = if s[i] == b'\\' {
            i += 2;
            match s.get(from + 1)? {
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'u' => {
                    let mut code = hex4(i)?;
                    i += 4;
                    if (0xD800..0xDC00).contains(&code) && raw.get(i..i + 2) == Some("\\u") {
                        let low = hex4(i + 2)?;
                        if (0xDC00..0xE000).contains(&low) {
                            code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                            i += 6;
                        }
                    }
                    char::from_u32(code).unwrap_or('\u{fffd}')
                }
                &b => char::from(b),
            }
        } else {
            let c = raw.get(i..)?.chars().next()?;
            i += c.len_utf8();
            c
        };
        for k in 0..c.len_utf8() {
            // Unescaped characters map byte by byte, escapes as one.
            map.push(base + if s[from] == b'\\' { from } else { from + k });
        }
        out.push(c);
    }
    map.push(base + s.len());
    Some((out, map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_with_keys_and_ranges() {
        let text = r#"{"a": "x\ny", "n": [1234567, {"b\u0041": "\u00e9z"}], "c": true, "d": "q"}"#;
        let got = leaves(text).unwrap();
        let brief: Vec<_> = got
            .iter()
            .map(|l| (l.kind, l.key.as_ref(), l.value.as_ref()))
            .collect();
        use LeafKind::{Key, Number, String};
        assert_eq!(
            brief,
            [
                (Key, "", "a"),
                (String, "a", "x\ny"),
                (Key, "", "n"),
                (Number, "n", "1234567"),
                (Key, "", "bA"),
                (String, "bA", "éz"),
                (Key, "", "c"),
                (Key, "", "d"),
                (String, "d", "q")
            ]
        );
        let (a, b) = got[1].range(2, 3);
        assert_eq!(&text[a..b], "y");
        let (a, b) = got[5].range(0, 2);
        assert_eq!(&text[a..b], "\\u00e9");
    }

    #[test]
    fn not_json() {
        for text in ["", "{", "{\"a\":}", "plain", "{\"a\":1} x"] {
            assert!(leaves(text).is_none(), "{text}");
        }
        let deep = "[".repeat(5000) + &"]".repeat(5000);
        assert!(leaves(&deep).is_none());
    }

    #[test]
    fn a_field_beside_a_value_or_the_object_around_it_names_it() {
        let named = |text: &str| {
            let leaves = leaves(text).unwrap();
            let value = leaves.iter().position(|leaf| leaf.value == "09876543");
            name_of(&leaves, value.unwrap()).to_owned()
        };
        assert_eq!(named(r#"{"cin": "09876543"}"#), "cin");
        assert_eq!(named(r#"{"type": "CIN", "value": "09876543"}"#), "CIN");
        assert_eq!(named(r#"{"value": "09876543", "label": "CIN"}"#), "CIN");
        assert_eq!(named(r#"{"cin": {"value": "09876543"}}"#), "cin");
        assert_eq!(named(r#"[{"type": "CIN"}, {"value": "09876543"}]"#), "CIN");
        assert_eq!(named(r#"{"ids": [{"value": "09876543"}]}"#), "ids");
        assert_eq!(named(r#"{"value": "09876543"}"#), "value");
        assert_eq!(
            named(r#"{"messages": [{"content": "09876543"}]}"#),
            "content"
        );
    }
}
