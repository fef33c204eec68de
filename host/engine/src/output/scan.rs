//! Scanning text that is still growing: partial markers and the end of a JSON value.

/// Length in bytes of the longest suffix of `text` that is a proper prefix of `marker`.
pub(super) fn held_suffix(text: &str, marker: &str) -> usize {
    let longest = text.len().min(marker.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|&len| {
            marker.is_char_boundary(len) && text.as_bytes().ends_with(&marker.as_bytes()[..len])
        })
        .unwrap_or(0)
}

/// Deepest nesting of arguments; deeper ones count as malformed.
const MAX_DEPTH: usize = 128;

/// Finds where one JSON value ends, a character at a time. It checks brackets and strings, not the
/// whole grammar: arguments are passed on as written, and whoever runs the tool parses them.
#[derive(Debug, Default)]
pub(super) struct JsonScanner {
    /// Open brackets; true for an object.
    open: Vec<bool>,
    in_string: bool,
    escaped: bool,
    started: bool,
    scalar: bool,
}

/// What one character did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// The value goes on.
    More,
    /// The value ends with this character.
    EndsHere,
    /// A number or word ended before this character.
    EndedBefore,
    /// Brackets do not match, or nothing like a value is here.
    Invalid,
}

impl JsonScanner {
    /// A scanner that is already inside an object, for what follows its arguments.
    pub(super) fn inside_object() -> Self {
        Self {
            open: vec![true],
            started: true,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, c: char) -> Scan {
        if self.in_string {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => {
                    self.in_string = false;
                    if self.open.is_empty() {
                        return Scan::EndsHere;
                    }
                }
                _ => {}
            }
            return Scan::More;
        }
        match c {
            '"' if !self.scalar => {
                self.started = true;
                self.in_string = true;
                Scan::More
            }
            '{' | '[' if !self.scalar => {
                if self.open.len() >= MAX_DEPTH {
                    return Scan::Invalid;
                }
                self.started = true;
                self.open.push(c == '{');
                Scan::More
            }
            '}' | ']' if self.scalar && self.open.is_empty() => Scan::EndedBefore,
            '}' | ']' => match self.open.pop() {
                Some(object) if object == (c == '}') => {
                    self.scalar = false;
                    if self.open.is_empty() {
                        Scan::EndsHere
                    } else {
                        Scan::More
                    }
                }
                _ => Scan::Invalid,
            },
            ',' | ' ' | '\t' | '\n' | '\r' if self.open.is_empty() => {
                if self.scalar {
                    Scan::EndedBefore
                } else if c == ',' || self.started {
                    Scan::Invalid
                } else {
                    Scan::More
                }
            }
            ',' | ':' | ' ' | '\t' | '\n' | '\r' => {
                self.scalar = false;
                Scan::More
            }
            '-' | '+' | '.' | '0'..='9' | 'a'..='z' | 'A'..='Z' => {
                self.started = true;
                self.scalar = true;
                Scan::More
            }
            _ => Scan::Invalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(text: &str) -> Option<usize> {
        let mut scanner = JsonScanner::default();
        for (at, c) in text.char_indices() {
            match scanner.push(c) {
                Scan::More => {}
                Scan::EndsHere => return Some(at + c.len_utf8()),
                Scan::EndedBefore => return Some(at),
                Scan::Invalid => return None,
            }
        }
        None
    }

    #[test]
    fn values_end_where_they_end() {
        for (text, end) in [
            (r#"{"a": "}\"{"} tail"#, Some(13)),
            ("[1, [2], {\"x\": 3}], ", Some(18)),
            (r#""str" x"#, Some(5)),
            ("12.5e3, 4", Some(6)),
            ("true}", Some(4)),
            ("{\"a\": 1", None),
            ("{]", None),
            ("}", None),
            ("  {} ", Some(4)),
        ] {
            assert_eq!(end_of(text), end, "{text}");
        }
    }

    #[test]
    fn a_partial_marker_is_held() {
        assert_eq!(held_suffix("abc<tool", "<tool_call>"), 5);
        assert_eq!(held_suffix("abc<tool_call>", "<tool_call>"), 0);
        assert_eq!(held_suffix("<<", "<tool_call>"), 1);
        assert_eq!(held_suffix("مرحبا", "<tool_call>"), 0);
    }
}
