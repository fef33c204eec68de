//! Runs of letters and digits: where words begin and end in a text of any script, what they are made of, and what
//! they suggest.

use super::super::lexicon::Bits;
use super::words::{WORD, exact, word};

/// Whether the byte at `i` belongs to a letter or digit: general, Latin and Arabic punctuation does not.
#[inline]
pub(super) fn is_word(s: &[u8], i: usize) -> bool {
    in_word(s, i, BYTES[usize::from(s[i])])
}

/// The same of a byte whose entry in [`BYTES`] is at hand.
#[inline]
fn in_word(s: &[u8], i: usize, entry: Letters) -> bool {
    entry & WORDS != 0 || entry & OTHER != 0 && is_word_beyond_ascii(s, i)
}

fn is_word_beyond_ascii(s: &[u8], i: usize) -> bool {
    let mut lead = i;
    while lead > 0 && s[lead] & 0xC0 == 0x80 {
        lead -= 1;
    }
    let second = s.get(lead + 1).copied().unwrap_or(0);
    // Signs that say `telephone` are words.
    if s[lead] == 0xE2
        && matches!(
            s.get(lead..lead + 3),
            Some([_, 0x98, 0x8E] | [_, 0x9C, 0x86])
        )
    {
        return true;
    }
    !matches!(
        (s[lead], second),
        (0xE2, _) | (0xC2, _) | (0xD8, 0x8C | 0x9B | 0x9F) | (0xD9, 0xAA..=0xAD) | (0xE3, 0x80)
    )
}

/// What is in a run of letters and digits besides small ASCII letters: [`DIGIT`], [`CAPITAL`], [`OTHER`].
pub(super) type Letters = u8;
pub(super) const DIGIT: Letters = 1;
const CAPITAL: Letters = 2;
const OTHER: Letters = 4;
/// Every ASCII letter and digit has this too.
const WORDS: Letters = 8;

/// What each byte adds to a run; [`OTHER`] is any beyond ASCII.
static BYTES: [Letters; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match b as u8 {
            b'a'..=b'z' => WORDS,
            b'0'..=b'9' => WORDS | DIGIT,
            b'A'..=b'Z' => WORDS | CAPITAL,
            0x80.. => OTHER,
            _ => 0,
        };
        b += 1;
    }
    table
};

/// The word that begins at `from`: where it ends, at `ceiling` at the latest, and what is in it.
#[inline]
pub(super) fn run_on(s: &[u8], from: usize, ceiling: usize) -> (usize, Letters) {
    let (mut i, mut of) = (from, 0);
    while i < ceiling {
        let entry = BYTES[usize::from(s[i])];
        if !in_word(s, i, entry) {
            break;
        }
        of |= entry;
        i += 1;
    }
    (i, of & !WORDS)
}

/// The word that ends before `stop`: where it begins, at `floor` at the earliest, and what is in it.
#[inline]
pub(super) fn run_back(s: &[u8], stop: usize, floor: usize) -> (usize, Letters) {
    let (mut i, mut of) = (stop, 0);
    while i > floor {
        let entry = BYTES[usize::from(s[i - 1])];
        if !in_word(s, i - 1, entry) {
            break;
        }
        of |= entry;
        i -= 1;
    }
    (i, of & !WORDS)
}

/// What a word of these letters suggests: most words are plain and need one look.
#[inline]
pub(super) fn suggests(w: &[u8], of: Letters) -> Bits {
    if of == 0 {
        if w.len() < WORD { exact(w) } else { 0 }
    } else {
        token(w)
    }
}

/// Where the run of letters and digits that ends before `stop` begins.
fn run_start(s: &[u8], stop: usize, floor: usize) -> usize {
    run_back(s, stop, floor).0
}

/// `C.I.N` or `ب.ت.و`, whose last letter is `i..stop`, as one word: its bits and where it begins.
pub(super) fn acronym(
    s: &[u8],
    mut i: usize,
    mut stop: usize,
    floor: usize,
) -> Option<(Bits, usize)> {
    let mut word_of = [0u8; 16];
    let (mut at, mut letters) = (word_of.len(), 0);
    loop {
        let letter = &s[i..stop];
        let single = letter.len() == 1 || (letter.len() == 2 && letter[0] >= 0x80);
        if !single || at < letter.len() {
            break;
        }
        at -= letter.len();
        word_of[at..at + letter.len()].copy_from_slice(letter);
        letters += 1;
        // `ת"ז` in Hebrew.
        let dot = i > 0 && (s[i - 1] == b'.' || s[i - 1] == b'"' && s[i] == 0xD7);
        let dotted = i >= floor + 2 && dot && is_word(s, i - 2);
        if !dotted {
            break;
        }
        stop = i - 1;
        let before = run_start(s, stop, floor);
        let width = stop - before;
        // `وب.ت.و`: the first letter may have a proclitic.
        let proclitic = width == 4
            && matches!(
                &s[before..before + 2],
                [0xD9, 0x88 | 0x81 | 0x84 | 0x83] | [0xD8, 0xA8]
            );
        if width != 1 && !(width == 2 && s[before] >= 0x80) && !proclitic {
            break;
        }
        i = if proclitic { before + 2 } else { before };
    }
    (letters >= 2).then(|| (word(&word_of[at..]), i))
}

/// Whether the byte at `i` belongs to a Latin character, with or without an accent.
fn latin(w: &[u8], i: usize) -> bool {
    let mut lead = i;
    while lead > 0 && w[lead] & 0xC0 == 0x80 {
        lead -= 1;
    }
    w[lead] < 0x80 || matches!(w[lead], 0xC3..=0xC9)
}

/// Whether a stretch has no place to cut: a plain Latin word, or letters of one other script.
fn single(w: &[u8]) -> bool {
    let Some((first, rest)) = w.split_first() else {
        return true;
    };
    first.is_ascii_alphabetic() && rest.iter().all(u8::is_ascii_lowercase)
        || w.iter().all(|b| *b >= 0x80 && !matches!(b, 0xC3..=0xC9))
}

/// One stretch of letters and digits: Latin glued to Arabic counts as two words, `userPhone` as its
/// parts, `phone2` without its digits.
pub(super) fn token(w: &[u8]) -> Bits {
    let whole = word(w);
    if whole != 0 || single(w) {
        return whole;
    }
    let mut bits = 0;
    let mut from = 0;
    for i in 1..=w.len() {
        let cut = i == w.len() || {
            let (a, b) = (w[i - 1], w[i]);
            latin(w, i - 1) != latin(w, i)
                || (a.is_ascii_lowercase() && b.is_ascii_uppercase())
                || (a.is_ascii_digit() != b.is_ascii_digit())
        };
        if cut {
            if from > 0 || i < w.len() {
                bits |= word(&w[from..i]);
            }
            from = i;
        }
    }
    bits
}
