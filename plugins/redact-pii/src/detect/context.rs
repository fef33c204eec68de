//! Context: which words stand near a candidate, in English, French and Arabic.
//!
//! [Words](words) become bits of a [`Bits`] mask; nothing is read until a candidate asks.

mod runs;
mod words;

pub use super::lexicon::*;
use runs::{DIGIT, acronym, is_word, run_back, run_on, suggests};
pub use words::word;

/// The context of one candidate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// Words right before (five), or the nearest line label.
    pub near: Bits,
    /// Words further before (ten), and right after (four).
    pub far: Bits,
    /// Those of `far` that stand on the same line and in the same sentence.
    pub same: Bits,
    /// The nearest of the words right before that names one kind of number, if there is one.
    pub first: Bits,
}

/// What many words say, and of many numbers.
const COMMON: Bits = NUMBER | MINE | ID | NATIONAL | COUNTRIES | ORG | FILE | VERSION | CALL | NEG;

impl Context {
    /// What names the number: the words right before it, or where there are none those further away, as in
    /// `09439000 is my national ID card`.
    #[inline]
    pub fn closest(self) -> Bits {
        if self.near == 0 { self.far } else { self.near }
    }
}

const NEAR_WORDS: usize = 6;
const FAR_WORDS: usize = 12;
const WINDOW: usize = 120;

/// Reads the words before `start`. Another long number, or two line breaks, end the look back: what
/// stands before them belongs to something else.
#[must_use]
pub fn before(s: &[u8], start: usize) -> Context {
    before_since(s, start, 0)
}

/// The same, but nothing before `first`.
#[must_use]
pub fn before_since(s: &[u8], start: usize, first: usize) -> Context {
    let mut ctx = Context::default();
    let floor = start.saturating_sub(WINDOW).max(first);
    let (mut i, mut words, mut breaks, mut crossed) = (start, 0, 0, false);
    let (mut grouped, mut closed) = (0, 0u32);
    // Of the line that is read: whether it has a number, and whether it has words.
    let (mut number, mut worded) = (false, false);
    while i > floor && words < FAR_WORDS {
        let b = s[i - 1];
        if !is_word(s, i - 1) {
            // `le dossier (compte bancaire 41872192)`: what stands in the brackets names the number.
            match b {
                b')' => closed += 1,
                b'(' if closed > 0 => closed -= 1,
                b'(' => crossed |= words > 0,
                _ => {}
            }
            let mut title = false;
            if b == b'\n' {
                // A short line right above the number's own is its label.
                title = words == 0 && !number && short(s, i - 1);
                // A line of a list, `- 062422590`, is no distance.
                breaks += usize::from(worded || !number);
                (number, worded) = (false, false);
            }
            crossed |= matches!(b, b';' | b'\n' | b'!' | b'?') && !title
                || (b == b'.' && s.get(i) == Some(&b' ') && sentence_ends(s, i - 1));
            if breaks > 2 {
                break;
            }
            i -= 1;
            continue;
        }
        let stop = i;
        let (from, of) = run_back(s, stop, floor);
        i = from;
        if i == floor && floor > first {
            break;
        }
        let w = &s[i..stop];
        let digits = if of & DIGIT == 0 {
            0
        } else {
            w.iter().filter(|b| b.is_ascii_digit()).count()
        };
        if digits >= 6 {
            crossed = true;
            words += 2;
            number = true;
            continue;
        }
        if digits > 0 && digits == w.len() {
            // `563 878 704`: a number in groups is another number too.
            grouped += digits;
            crossed |= grouped >= 8;
            number |= grouped >= 6;
            continue;
        }
        grouped = 0;
        words += 1;
        worded = true;
        let mut bits = suggests(w, of);
        // `@yahoo.co.uk` is nobody's country.
        if w.len() == 2 && i > floor && s[i - 1] == b'.' {
            bits &= !COUNTRIES;
        }
        if w.len() <= 2
            && let Some((together, from)) = acronym(s, i, stop, floor)
        {
            bits |= together;
            i = from;
        }
        if bits & CALL != 0 && prose(s, i, stop) {
            bits |= PHONE;
        }
        if words <= NEAR_WORDS && !crossed {
            ctx.near |= bits;
            if ctx.first == 0 {
                ctx.first = bits & !COMMON;
            }
        } else {
            ctx.far |= bits;
            if !crossed {
                ctx.same |= bits;
            }
        }
    }
    ctx
}

/// Whether the line that ends at `end` is no longer than a label.
fn short(s: &[u8], end: usize) -> bool {
    let floor = end.saturating_sub(40);
    floor == 0 || s[floor..end].contains(&b'\n')
}

/// What all the words of a short text suggest.
#[must_use]
pub fn words(s: &[u8]) -> Bits {
    let mut all = 0;
    each_word(s, |bits, _| all |= bits);
    all
}

/// Where the words end that suggest one of these: the first of them, and the last.
#[must_use]
pub fn ends_of_words(s: &[u8], of: Bits) -> Option<(usize, usize)> {
    let mut found: Option<(usize, usize)> = None;
    each_word(s, |bits, end| {
        if bits & of != 0 {
            found = Some((found.map_or(end, |f| f.0), end));
        }
    });
    found
}

/// Tells what each word suggests and where it ends.
fn each_word(s: &[u8], mut tell: impl FnMut(Bits, usize)) {
    let mut i = 0;
    while i < s.len() {
        let from = i;
        let of;
        (i, of) = run_on(s, from, s.len());
        if i == from {
            i += 1;
            continue;
        }
        let mut bits = suggests(&s[from..i], of);
        if i - from <= 2
            && let Some((together, _)) = acronym(s, from, i, 0)
        {
            bits |= together;
        }
        tell(bits, i);
    }
}

/// What stands behind the last full stop that ends a sentence.
#[must_use]
pub fn last_sentence(s: &[u8]) -> &[u8] {
    let ends = |&i: &usize| {
        s[i] == b'.' && s.get(i + 1).is_some_and(u8::is_ascii_whitespace) && sentence_ends(s, i)
    };
    let from = (0..s.len()).rev().find(ends).map_or(0, |i| i + 1);
    &s[from..]
}

/// Whether words say something other than that a number is nobody's.
#[must_use]
pub fn speaks(ctx: Context) -> bool {
    (ctx.near | ctx.far) & !NEG != 0
}

/// Reads a few words after `end`, on the same line and in the same sentence; `told` if words before
/// [speak](speaks).
#[must_use]
pub fn after(s: &[u8], end: usize, told: bool) -> Bits {
    let mut far = 0;
    let ceiling = (end + 72).min(s.len());
    let (mut i, mut words) = (end, 0);
    while i < ceiling && words < 8 {
        if !is_word(s, i) {
            // What follows a comma belongs here only if nothing stood before.
            if matches!(s[i], b'\n' | b';')
                || told
                    && matches!(s[i], b'/' | b'|' | b'-')
                    && s[i - 1] == b' '
                    && s.get(i + 1) == Some(&b' ')
                || ((s[i] == b',' || s[i..].starts_with("،".as_bytes())) && (told || far != 0))
                || (s[i] == b'.' && s.get(i + 1).is_none_or(|b| *b == b' ' || *b == b'\n'))
            {
                break;
            }
            i += 1;
            continue;
        }
        let from = i;
        let of;
        (i, of) = run_on(s, from, ceiling);
        if of & DIGIT != 0 && s[from..i].iter().filter(|b| b.is_ascii_digit()).count() >= 5 {
            break;
        }
        // `NHS number 616 569 7305 Phone: ...`: the next label.
        if told && s.get(i) == Some(&b':') {
            break;
        }
        words += 1;
        // What follows is weaker evidence, and never evidence against.
        let bits = suggests(&s[from..i], of);
        if bits & CALL != 0 && prose(s, from, i) {
            far |= PHONE;
        }
        far |= bits & !(NEG | VERSION);
    }
    far
}

/// Whether the word `a..b` is written as prose, not as a part of a name in source text: `FILL_RING`,
/// `text(`, `Call::Start`, `type="text"`.
fn prose(s: &[u8], a: usize, b: usize) -> bool {
    let before = a.checked_sub(1).and_then(|i| s.get(i));
    !matches!(before, Some(b'_' | b'"'))
        && !matches!(s.get(b), Some(b'_' | b'('))
        && s.get(b..b + 2).is_none_or(|c| c != b"::")
}

/// Whether the full stop at `at` ends a sentence rather than an abbreviation (`no.`, `tél.`).
fn sentence_ends(s: &[u8], at: usize) -> bool {
    let mut a = at;
    while a > 0 && at - a < 24 && is_word(s, a - 1) {
        a -= 1;
    }
    at - a > 3 && word(&s[a..at]) == 0
}

/// Length of ` الأول`, ` الثاني` or the like at the start of `s`, else 0: the second word of a Levantine or Hijri month.
#[must_use]
pub fn folded_prefix(s: &[u8]) -> usize {
    if !s.starts_with(" ال".as_bytes()) {
        return 0;
    }
    [
        " الأولى",
        " الاولى",
        " الأول",
        " الاول",
        " الثانية",
        " الثاني",
        " الآخرة",
        " الاخرة",
        " الآخر",
        " الاخر",
        " القعدة",
        " القعده",
        " الحجة",
        " الحجه",
    ]
    .iter()
    .find(|w| s.starts_with(w.as_bytes()))
    .map_or(0, |w| w.len())
}

#[cfg(test)]
mod tests {
    use super::runs::token;
    use super::*;

    #[test]
    fn accents_case_and_compounds() {
        assert_ne!(word("NÉE".as_bytes()) & BIRTH, 0);
        assert_ne!(token(b"userPhone") & PHONE, 0);
        assert_ne!(token("رقمphone".as_bytes()) & PHONE, 0);
        assert_eq!(token("vérifier".as_bytes()), 0, "an accent parts no word");
    }

    #[test]
    fn a_number_before_ends_the_near_context() {
        let s = b"CIN 09876543, tel 20123456";
        let c = before(s, 18);
        assert_ne!(c.near & PHONE, 0);
        assert_eq!(c.near & CIN, 0);
        assert_ne!(c.far & CIN, 0);
    }
}
