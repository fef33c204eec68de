//! What the value of a credential looks like: made by a machine or chosen as a password, and no word of prose, no
//! placeholder, no name of source text.

use super::super::checks;
use super::super::net::placeholder;

/// Ten characters or more with both cases and a digit or sign: no word of prose.
pub(super) fn machine_made(w: &[u8]) -> bool {
    let sign = |b: &u8| b.is_ascii_digit() || matches!(b, b'!' | b'#' | b'$' | b'^' | b'*' | b'%');
    w.len() >= 10
        && w.iter().any(sign)
        && w.iter().any(u8::is_ascii_lowercase)
        && w.iter().filter(|b| b.is_ascii_uppercase()).count() >= 2
        && !w.contains(&b'/')
        && checks::entropy(w) >= 3.0
}

/// Twenty characters or more, letters and digits in turn: drawn by a machine, but a digest is too.
pub(super) fn drawn(w: &[u8]) -> bool {
    let digits = w.iter().filter(|b| b.is_ascii_digit()).count();
    w.len() >= 20
        && w.iter().all(u8::is_ascii_alphanumeric)
        && digits >= 3
        && w.len() - digits >= 3
        && checks::entropy(w) >= 3.0
}

/// A value of a URL's secret parameter without any digit: both cases, and not a word.
pub(super) fn mixed_letters(v: &[u8]) -> bool {
    v.len() >= 12
        && !placeholder(v)
        && v.iter().filter(|b| b.is_ascii_uppercase()).count() >= 3
        && v.iter().any(u8::is_ascii_lowercase)
        && checks::entropy(v) >= 2.8
}

/// Whether a value looks made by a machine or chosen as a password, rather than written as prose.
pub(super) fn plausible_secret(v: &[u8], keyword: bool, marked: bool) -> bool {
    if !(8..=300).contains(&v.len())
        || placeholder(v)
        || v.windows(2).any(|w| w == b"()" || w == b"](" || w == b"//")
    {
        return false;
    }
    // Names of other variables, and the pseudonyms of an earlier turn.
    if v.windows(4)
        .any(|w| w.eq_ignore_ascii_case(b"env.") || w.eq_ignore_ascii_case(b"env[") || w == b"PII_")
        || v.contains(&b'(') && !marked
    {
        return false;
    }
    let digit = v.iter().any(u8::is_ascii_digit);
    if source(v) {
        return false;
    }
    let lower = v.iter().any(u8::is_ascii_lowercase);
    let upper = v.iter().any(u8::is_ascii_uppercase);
    let symbol = v
        .iter()
        .any(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'.' | b'-' | b'_' | b'/'));
    let kinds = u8::from(digit) + u8::from(lower) + u8::from(upper) + u8::from(symbol);
    let bits = checks::entropy(v);
    // Only digits: a number that happens to be called a key.
    if !lower && !upper && !symbol {
        return false;
    }
    // `M!bNJhrJkbNocqbp`: letters of both cases and a sign that no type's or function's name has.
    let sign = |b: &u8| matches!(b, b'!' | b'#' | b'$' | b'^' | b'*' | b'+');
    let signed = lower && upper && v.iter().skip(1).any(sign);
    let strong = if v.len() < 14 {
        bits >= 2.6 && digit && kinds >= 2
    } else {
        (keyword && digit && kinds >= 2 && bits >= 2.5)
            || bits >= 3.0 && (digit || signed || (kinds >= 2 && bits >= 3.6) || unspeakable(v))
    };
    strong && (keyword || (marked && bits >= 3.5 && v.len() >= 20))
}

/// Whether a value is a name or an expression of source text: `settings.SECRET_KEY`, `crate::Token`,
/// `&[u32`, `PreTrainedTokenizerFast`, `_bindgen_ty_3`.
fn source(v: &[u8]) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let digit = v.iter().any(u8::is_ascii_digit);
    if v.windows(2).any(|w| w == b"::")
        || v.starts_with(b"&")
        || v[0] == b'['
        || v.contains(&b'[') && !digit
    {
        return true;
    }
    if !v.iter().all(|&b| word(b) || b == b'.') {
        return false;
    }
    if digit {
        // A constant, or a name that a tool made.
        return v[0] == b'_' && v.len() < 20
            || v.contains(&b'_') && !v.iter().any(u8::is_ascii_lowercase);
    }
    // Words of letters, with a capital at the beginning of each.
    let upper = v.iter().filter(|b| b.is_ascii_uppercase()).count();
    v.contains(&b'.') || v.contains(&b'_') || upper * 10 < v.len() * 3 && !unspeakable(v)
}

/// Whether letters of both cases follow each other as in no word of any name: five consonants in a row, of which
/// some are small, at least twice or for half of the value.
fn unspeakable(v: &[u8]) -> bool {
    let upper = v.iter().skip(1).filter(|b| b.is_ascii_uppercase()).count();
    if upper < 2 || v.len() < 12 || !v.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let vowel = |b: &u8| {
        matches!(
            b.to_ascii_lowercase(),
            b'a' | b'e' | b'i' | b'o' | b'u' | b'y'
        )
    };
    let hard = v
        .split(vowel)
        .filter(|run| run.len() >= 5 && run.iter().filter(|b| b.is_ascii_lowercase()).count() >= 2);
    let (runs, letters) = hard.fold((0, 0), |(n, sum), run| (n + 1, sum + run.len()));
    runs >= 2 || letters * 2 >= v.len()
}
