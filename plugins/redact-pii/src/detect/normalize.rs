//! The view of a text that detection reads: digits of other scripts folded to ASCII, invisible
//! characters gone, typographic spaces and dashes plain, with a map back to the original bytes.
//!
//! Invariants: the view is valid UTF-8; a text that needs no change is borrowed, not copied; mapping a
//! view range back never cuts a code point and never includes an invisible character at either end.

use std::borrow::Cow;

/// Bytes that may begin something to fold. `D8`/`D9` begin most of Arabic, so the second byte decides.
const LEAD: [bool; 256] = {
    let mut t = [false; 256];
    let leads = [
        0xC2u8, 0xCD, 0xD8, 0xD9, 0xDB, 0xE0, 0xE1, 0xE2, 0xE3, 0xEF, 0xF0,
    ];
    let mut i = 0;
    while i < leads.len() {
        t[leads[i] as usize] = true;
        i += 1;
    }
    t
};

/// A normalised text and the way back.
#[derive(Debug)]
pub struct View<'a> {
    original: &'a [u8],
    bytes: Cow<'a, [u8]>,
    /// `(view offset, original offset)` where a run with one constant distance begins.
    runs: Vec<(u32, u32)>,
    /// View offsets at which something invisible was removed.
    gaps: Vec<u32>,
}

enum Fold {
    Keep,
    Drop(usize),
    To(usize, u8),
}

/// What becomes of the character at `i`, whose first byte is in [`LEAD`].
#[inline]
fn fold(s: &[u8], i: usize) -> Fold {
    let at = |k: usize| s.get(i + k).copied().unwrap_or(0);
    match s[i] {
        0xC2 => match at(1) {
            0xA0 => Fold::To(2, b' '),
            0xAD => Fold::Drop(2),
            _ => Fold::Keep,
        },
        0xCD if at(1) == 0x8F => Fold::Drop(2),
        0xD8 if at(1) == 0x9C => Fold::Drop(2),
        0xD9 => match at(1) {
            d @ 0xA0..=0xA9 => Fold::To(2, b'0' + (d - 0xA0)),
            // Tatweel, and the short vowels that a lexicon does not carry.
            0x80 | 0x8B..=0x92 => Fold::Drop(2),
            0xAB => Fold::To(2, b'.'),
            0xAC => Fold::To(2, b','),
            0xAA => Fold::To(2, b'%'),
            _ => Fold::Keep,
        },
        0xDB => match at(1) {
            d @ 0xB0..=0xB9 => Fold::To(2, b'0' + (d - 0xB0)),
            _ => Fold::Keep,
        },
        0xE0 => match (at(1), at(2)) {
            // Devanagari and Bengali digits.
            (0xA5, d @ 0xA6..=0xAF) => Fold::To(3, b'0' + (d - 0xA6)),
            (0xA7, d @ 0xA6..=0xAF) => Fold::To(3, b'0' + (d - 0xA6)),
            _ => Fold::Keep,
        },
        0xE1 if (at(1), at(2)) == (0xA0, 0x8E) => Fold::Drop(3),
        0xE2 => match (at(1), at(2)) {
            (0x80, 0x80..=0x8A | 0xAF) | (0x81, 0x9F) => Fold::To(3, b' '),
            (0x80, 0x8B..=0x8F | 0xAA..=0xAE) | (0x81, 0xA0..=0xAF) => Fold::Drop(3),
            (0x80, 0x90..=0x95) | (0x81, 0x83) | (0x88, 0x92) => Fold::To(3, b'-'),
            (0x80, 0xA4) => Fold::To(3, b'.'),
            _ => Fold::Keep,
        },
        0xE3 if (at(1), at(2)) == (0x80, 0x80) => Fold::To(3, b' '),
        0xEF => match (at(1), at(2)) {
            // Full-width forms of ASCII.
            (0xBC, x @ 0x81..=0xBF) => Fold::To(3, 0x21 + (x - 0x81)),
            (0xBD, x @ 0x80..=0x9E) => Fold::To(3, 0x60 + (x - 0x80)),
            (0xBB, 0xBF) | (0xB8, 0x80..=0x8F) => Fold::Drop(3),
            (0xB9, 0x98 | 0xA3) => Fold::To(3, b'-'),
            (0xB9, 0xAB) => Fold::To(3, b'@'),
            (0xB9, 0x92) => Fold::To(3, b'.'),
            _ => Fold::Keep,
        },
        // Mathematical digits, five alphabets of ten.
        0xF0 if (at(1), at(2)) == (0x9D, 0x9F) && (0x8E..=0xBF).contains(&at(3)) => {
            Fold::To(4, b'0' + (at(3) - 0x8E) % 10)
        }
        _ => Fold::Keep,
    }
}

/// The next offset at or after `i` whose byte is in [`LEAD`]; 8 bytes at a time over plain text.
#[inline]
fn next_lead(s: &[u8], mut i: usize) -> usize {
    while let Some(chunk) = s.get(i..i + 32) {
        if !chunk.is_ascii() {
            break;
        }
        i += 32;
    }
    while let Some(chunk) = s.get(i..i + 8) {
        if chunk.iter().all(|&b| b < 0x80) || !chunk.iter().any(|&b| LEAD[usize::from(b)]) {
            i += 8;
        } else {
            break;
        }
    }
    while let Some(&b) = s.get(i) {
        // Arabic letters, most of an Arabic text, share their first byte with digits and vowels.
        let letter = match b {
            0xD8 => s.get(i + 1).is_some_and(|n| (0xA0..=0xBF).contains(n)),
            0xD9 => s.get(i + 1).is_some_and(|n| (0x81..=0x8A).contains(n)),
            _ => false,
        };
        if letter {
            i += 2;
        } else if LEAD[usize::from(b)] {
            break;
        } else {
            i += 1;
        }
    }
    i
}

impl<'a> View<'a> {
    /// Normalises `text`; borrows it when nothing needs folding.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let s = text.as_bytes();
        let mut view = View {
            original: s,
            bytes: Cow::Borrowed(s),
            runs: Vec::new(),
            gaps: Vec::new(),
        };
        let mut out: Vec<u8> = Vec::new();
        // Start of the stretch not yet copied to `out`.
        let mut pending = 0;
        let mut i = next_lead(s, 0);
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        while i < s.len() {
            let (len, to) = match fold(s, i) {
                Fold::Keep => {
                    i = next_lead(s, i + 1);
                    continue;
                }
                Fold::Drop(n) => (n, None),
                Fold::To(n, b) => (n, Some(b)),
            };
            if out.capacity() == 0 {
                out.reserve(s.len());
            }
            if i > pending {
                view.runs.push((small(out.len()), small(pending)));
                out.extend_from_slice(&s[pending..i]);
            }
            match to {
                Some(b) => {
                    view.runs.push((small(out.len()), small(i)));
                    out.push(b);
                }
                None => view.gaps.push(small(out.len())),
            }
            pending = i + len;
            i = next_lead(s, pending);
        }
        if out.capacity() > 0 {
            if s.len() > pending {
                view.runs.push((small(out.len()), small(pending)));
                out.extend_from_slice(&s[pending..]);
            }
            view.bytes = Cow::Owned(out);
        }
        view
    }

    /// The normalised bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The view's text in a range; `None` if that is not whole characters of it.
    #[must_use]
    pub fn text(&self, start: usize, end: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(start..end)?).ok()
    }

    /// The original byte range of the non-empty view range `start..end`.
    #[must_use]
    pub fn original(&self, start: usize, end: usize) -> (usize, usize) {
        if self.runs.is_empty() {
            return (start, end);
        }
        (self.locate(start).0, self.locate(end.saturating_sub(1)).1)
    }

    /// Original offsets of the start and of the end of what the view byte at `at` came from.
    fn locate(&self, at: usize) -> (usize, usize) {
        let at32 = u32::try_from(at).unwrap_or(u32::MAX);
        let i = self.runs.partition_point(|r| r.0 <= at32).saturating_sub(1);
        let Some(&(view, orig)) = self.runs.get(i) else {
            return (at, at + 1);
        };
        let start = orig as usize + (at - view as usize);
        // An ASCII byte of the view that is not ASCII in the original was folded: it stands for the
        // whole character there.
        let folded = self.bytes.get(at).is_some_and(u8::is_ascii);
        let width = match self.original.get(start).copied().unwrap_or(0) {
            0xC0..=0xDF if folded => 2,
            0xE0..=0xEF if folded => 3,
            0xF0..=0xFF if folded => 4,
            _ => 1,
        };
        (start, start + width)
    }

    /// Whether the view's byte at `at` is the character that stands in the original, not one folded to it.
    #[must_use]
    pub fn literal(&self, at: usize) -> bool {
        if self.runs.is_empty() {
            return true;
        }
        let (start, end) = self.locate(at);
        end - start == 1
    }

    /// Whether something invisible stood right before view offset `at`.
    #[must_use]
    pub fn gap_at(&self, at: usize) -> bool {
        !self.gaps.is_empty()
            && u32::try_from(at).is_ok_and(|at| self.gaps.binary_search(&at).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, view: &str) {
        assert_eq!(std::str::from_utf8(View::new(text).bytes()).unwrap(), view);
    }

    #[test]
    fn folds_what_hides_digits() {
        check("\u{661}\u{662}\u{6f3}\u{ff14}\u{1d7d3}", "12345");
        check("41\u{200b}11\u{202e}\u{feff}\u{ad}2", "41112");
        check("a\u{a0}b\u{2011}c\u{202f}d\u{2212}e", "a b-c d-e");
        check("\u{ff41}\u{ff20}\u{ff42}", "a@b");
        check(
            "\u{645}\u{631}\u{640}\u{62d}\u{628}\u{627}",
            "\u{645}\u{631}\u{62d}\u{628}\u{627}",
        );
    }

    #[test]
    fn plain_text_is_borrowed() {
        for text in [
            "",
            "plain",
            "caf\u{e9} \u{645}\u{631}\u{62d}\u{628}\u{627}, emoji \u{1f600}",
        ] {
            let view = View::new(text);
            assert!(matches!(view.bytes, Cow::Borrowed(_)));
            assert_eq!(view.original(0, 3), (0, 3));
        }
    }

    #[test]
    fn ranges_map_back() {
        let text = "id\u{200f} \u{661}\u{200b}\u{662}\u{200f}.";
        let view = View::new(text);
        assert_eq!(view.bytes(), b"id 12.");
        let (a, b) = view.original(3, 5);
        assert_eq!(&text[a..b], "\u{661}\u{200b}\u{662}");
        assert!(view.gap_at(2) && view.gap_at(4) && !view.gap_at(3));
    }

    proptest! {
        #[test]
        fn every_char_maps_to_itself(text in "[a1 \u{661}\u{6f9}\u{200b}\u{a0}\u{ff11}\u{645}\u{640}\u{e9}\u{1f600}]{0,24}") {
            let view = View::new(&text);
            let shown = std::str::from_utf8(view.bytes()).unwrap().to_owned();
            for (at, c) in shown.char_indices() {
                let (a, b) = view.original(at, at + c.len_utf8());
                let source = &text[a..b];
                prop_assert_eq!(source.chars().count(), 1);
                let again = View::new(source);
                prop_assert_eq!(std::str::from_utf8(again.bytes()).unwrap(), c.to_string());
            }
        }
    }
}
