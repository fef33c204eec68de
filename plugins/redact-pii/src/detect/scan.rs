//! The single pass: skip plain bytes, stop at a trigger, give the word there to its rules.
//!
//! Invariant: the position never goes back, and each rule reads a bounded window, so the pass is linear
//! in the text whatever the text is.

use std::cell::Cell;

use super::context::{self, Bits, Context};
use super::entity::Entity;
use super::table::Tables;
use super::{Candidate, Kind, View};

const DIGIT: u8 = 1;
const UPPER: u8 = 2;
const MARK: u8 = 4;

/// Bytes at which something may begin.
static CLASS: [u8; 256] = {
    let mut t = [0u8; 256];
    let mut b = 0;
    while b < 256 {
        t[b] = match b as u8 {
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' => UPPER,
            b'@' | b':' | b'=' | b'_' | b'-' | b'<' | b'%' | b'.' => MARK,
            _ => 0,
        };
        b += 1;
    }
    t
};

/// A byte in each of eight.
const fn each(b: u8) -> u64 {
    u64::from_le_bytes([b; 8])
}

/// For each of eight bytes its top bit, if a [`CLASS`] may be there: `%`, or from `-` to `_`, which has
/// every trigger and few others. Arithmetic on seven bits a byte, so nothing is carried from one to the
/// next (Anderson, "Bit Twiddling Hacks": a byte between two values).
const fn marks(x: u64) -> u64 {
    let low = x & each(0x7F);
    let between = (each(0x7F + 0x60) - low) & !x & (low + each(0x7F - 0x2C));
    let percent = x ^ each(b'%');
    let other = ((percent & each(0x7F)) + each(0x7F)) | percent;
    (between | !other) & each(0x80)
}

/// The next trigger at or after `i`.
#[inline]
fn next_trigger(s: &[u8], mut i: usize) -> Option<usize> {
    while let Some(chunk) = s.get(i..).and_then(<[u8]>::first_chunk::<8>) {
        let mut found = marks(u64::from_le_bytes(*chunk));
        while found != 0 {
            let at = i + found.trailing_zeros() as usize / 8;
            if CLASS[usize::from(s[at])] != 0 {
                return Some(at);
            }
            found &= found - 1;
        }
        i += 8;
    }
    while let Some(&b) = s.get(i) {
        if CLASS[usize::from(b)] != 0 {
            return Some(i);
        }
        i += 1;
    }
    None
}

/// Where the ordinary prose at the trigger `at` ends, if it is that: a word such as `Hello` with space
/// around it, or a full stop or dash before a space. No rule nominates anything there (checked
/// against the rules by a property test), and most triggers of a text are such.
#[inline]
fn plain(s: &[u8], at: usize) -> Option<usize> {
    let space = |b: u8| matches!(b, b' ' | b'\n' | b'\t');
    match s[at] {
        b'A'..=b'Z' => {
            let opens = at == 0 || space(s[at - 1]);
            let rest = &s[at + 1..];
            let n = rest
                .iter()
                .take(25)
                .take_while(|b| b.is_ascii_lowercase())
                .count();
            let closes = match rest.get(n) {
                None => true,
                Some(b'.' | b',' | b'?' | b'!') => rest.get(n + 1).is_none_or(|&b| space(b)),
                Some(&b) => space(b),
            };
            // Two letters may begin an account number, one letter many things.
            (opens && closes && (2..24).contains(&n)).then_some(at + 1 + n)
        }
        b'.' | b'-' if s.get(at + 1).is_none_or(|&b| space(b)) => Some(at + 1),
        _ => None,
    }
}

/// How many ends are remembered.
const AFTER: usize = 8;

/// The state of one pass over one view.
pub struct Scanner<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) s: &'a [u8],
    /// A bit for each entity that is looked for, in two words: a shift of 128 bits is a call in WebAssembly.
    enabled: [u64; 2],
    /// Whether shortcuts are taken; off only where a test compares.
    pub(super) quick: bool,
    out: &'a mut Vec<Candidate>,
    /// Nothing before this offset is looked at again as a word.
    pub(super) floor: usize,
    /// The words read last before a start, and after an end: rules ask about many spans of one group.
    before: Cell<(usize, Context)>,
    after: [Cell<(usize, bool, Bits)>; AFTER],
    pub(super) tables: Tables,
    /// The end of the date read last, and whether it was somebody's birth.
    pub(super) dated: (usize, bool),
}

impl<'a> Scanner<'a> {
    pub(super) fn new(view: &'a View<'a>, enabled: u128, out: &'a mut Vec<Candidate>) -> Self {
        Scanner {
            view,
            s: view.bytes(),
            enabled: [enabled as u64, (enabled >> 64) as u64],
            quick: true,
            out,
            floor: 0,
            before: Cell::new((usize::MAX, Context::default())),
            after: [const { Cell::new((usize::MAX, false, 0)) }; AFTER],
            tables: Tables::default(),
            dated: (0, false),
        }
    }

    /// Runs the pass.
    pub fn run(mut self) {
        let mut i = 0;
        while let Some(at) = next_trigger(self.s, i) {
            if let Some(end) = plain(self.s, at).filter(|_| self.quick) {
                i = end;
                self.floor = i;
                continue;
            }
            let end = match self.s[at] {
                b'0'..=b'9' | b'A'..=b'Z' => self.word(at),
                b'@' => self.email(at),
                b':' => self.colon(at),
                b'=' => self.assignment(at),
                b'%' => self.encoded_at(at),
                b'<' => self.mrz(at),
                b'-' => self.dash(at),
                _ => self.punctuated_secret(at),
            };
            i = end.max(at + 1);
            self.floor = i;
        }
    }

    /// The byte at `i`, or 0 past the end.
    #[inline]
    pub(super) fn at(&self, i: usize) -> u8 {
        self.s.get(i).copied().unwrap_or(0)
    }

    /// The byte before `i`, or 0 at the start.
    #[inline]
    pub(super) fn before(&self, i: usize) -> u8 {
        i.checked_sub(1).map_or(0, |j| self.at(j))
    }

    /// Whether a word can begin at `i`: no ASCII letter or digit stands right before, or something
    /// invisible stood between.
    pub(super) fn opens(&self, i: usize) -> bool {
        !self.before(i).is_ascii_alphanumeric() || self.view.gap_at(i)
    }

    /// Whether a word can end before `i`.
    pub(super) fn closes(&self, i: usize) -> bool {
        !self.at(i).is_ascii_alphanumeric() || self.view.gap_at(i)
    }

    /// Start of the run of ASCII letters and digits that `at` is in.
    fn word_start(&self, at: usize) -> usize {
        let mut a = at;
        while a > self.floor && self.s[a - 1].is_ascii_alphanumeric() {
            if self.view.gap_at(a) && self.joins_prose(a) {
                break;
            }
            // The `n` of an escaped line break in source text is no letter of the word behind it.
            if a >= 2 && self.s[a - 2] == b'\\' && matches!(self.s[a - 1], b'n' | b'r' | b't') {
                break;
            }
            a -= 1;
        }
        a
    }

    /// Whether the invisible character that stood at `i` parts a number from a word of prose, rather
    /// than the characters of one code.
    fn joins_prose(&self, i: usize) -> bool {
        let s = self.s;
        if s[i - 1].is_ascii_digit() == s[i].is_ascii_digit() || self.alternates(i) {
            return false;
        }
        let prose = |c: &&u8| c.is_ascii_alphabetic();
        let word: usize = if s[i].is_ascii_digit() {
            s[..i].iter().rev().take(7).take_while(prose).count()
        } else {
            s[i..].iter().take(7).take_while(prose).count()
        };
        let lower = if s[i].is_ascii_digit() {
            s[i - 1]
        } else {
            s[i]
        }
        .is_ascii_lowercase();
        // Six capitals may be a bank's or a person's code; no longer run of capitals begins one.
        word > 6 || (word > 2 && lower)
    }

    /// Whether the run of letters and digits around `i` changes between the two so often that it is a
    /// code, such as a wallet's address, and no word beside a number.
    fn alternates(&self, i: usize) -> bool {
        let run = |b: &&u8| b.is_ascii_alphanumeric();
        let back = self.s[..i].iter().rev().take(32).take_while(run).count();
        let on = self.s[i..].iter().take(32).take_while(run).count();
        let changes = self.s[i - back..i + on]
            .windows(2)
            .filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit())
            .count();
        changes > 3
    }

    /// End of the run of ASCII letters and digits from `at`.
    pub(super) fn word_end(&self, at: usize) -> usize {
        let mut b = at;
        while b < self.s.len() && self.s[b].is_ascii_alphanumeric() {
            if b > at && self.view.gap_at(b) && self.joins_prose(b) {
                break;
            }
            b += 1;
        }
        b
    }

    /// A run of letters and digits that has a digit or a capital at `at`.
    fn word(&mut self, at: usize) -> usize {
        let a = self.word_start(at);
        let b = self.word_end(at);
        let w = &self.s[a..b];
        let first = w[0];
        let known = self
            .secret(a)
            .or_else(|| self.mac_dashed(a, b))
            .or_else(|| self.aws_secret(a))
            .or_else(|| self.option(a))
            .or_else(|| self.told(a))
            .or_else(|| self.cell(a));
        if let Some(end) = known {
            return end;
        }
        if first.is_ascii_digit() && w.iter().all(u8::is_ascii_digit) {
            return self.uuid(a, b).unwrap_or_else(|| self.digits(a));
        }
        if !w.iter().any(u8::is_ascii_digit) {
            return self.letters(a, b);
        }
        // A lexicon word glued to its number: `CIN09876543`.
        if !first.is_ascii_digit()
            && let Some(cut) = w.iter().position(u8::is_ascii_digit)
            && cut >= 2
            && w.len() - cut >= 6
            && w[cut..].iter().all(u8::is_ascii_digit)
            && context::word(&w[..cut]) & !context::NEG != 0
        {
            self.mixed(a, b);
            return self.digits(a + cut).max(b);
        }
        self.uuid(a, b).unwrap_or_else(|| self.mixed(a, b))
    }

    /// The words around a span; remembered, since several rules ask about one span.
    pub(super) fn context(&self, start: usize, end: usize) -> Context {
        if let Some(column) = self.column_context(start, end) {
            return column;
        }
        let (at, mut words) = self.before.get();
        if at != start {
            words = context::before(self.s, start);
            self.before.set((start, words));
        }
        let told = context::speaks(words);
        let slot = &self.after[end % AFTER];
        let (at, before_told, mut more) = slot.get();
        if (at, before_told) != (end, told) {
            // `req=9f1c2d3e passport=...`: what follows a value is the next one's name.
            more = if self.before(start) == b'=' {
                0
            } else {
                context::after(self.s, end, told)
            };
            slot.set((end, told, more));
        }
        words.far |= more;
        words.same |= more;
        words
    }

    pub(super) fn wants(&self, e: Entity) -> bool {
        self.enabled[usize::from(e as u8 >> 6)] >> (e as u8 & 63) & 1 == 1
    }

    /// Nominates a span as it is.
    pub(super) fn put(&mut self, start: usize, end: usize, e: Entity, score: u8, checked: bool) {
        if self.wants(e) && start < end {
            self.out.push(Candidate {
                start,
                end,
                kind: Kind::Builtin(e),
                score: score.min(100),
                checked,
            });
        }
    }

    /// Nominates a span whose score depends on context: `specific` words name this very entity,
    /// `general` ones an identifier of its sort. Words that name something harmless count against.
    pub(super) fn weigh(
        &mut self,
        span: (usize, usize),
        e: Entity,
        base: u8,
        checked: bool,
        specific: Bits,
        general: Bits,
    ) {
        if !self.wants(e) {
            return;
        }
        let c = self.context(span.0, span.1);
        let score = score(c, base, specific, general);
        self.put(span.0, span.1, e, score, checked);
    }
}

/// How context moves a score. Words of another country than the entity's (all of which are among its
/// specific words) make a general word mean that country's scheme.
pub(super) fn score(c: Context, base: u8, specific: Bits, general: Bits) -> u8 {
    let neg = c.near & context::NEG != 0;
    let foreign = c.near & context::COUNTRIES & !specific != 0;
    let gain = if c.near & specific != 0 {
        // `As we said on the phone, NHS no. ...`: another word is nearer.
        if c.first != 0 && c.first & specific == 0 && base >= 15 {
            return base.saturating_add(37).min(97);
        }
        45
    } else if c.far & specific != 0 && !neg {
        // Where the nearest word names another kind, those of another line named something else.
        if c.first != 0 && c.same & specific == 0 {
            15
        } else {
            // Never as much as a word right before says of another kind.
            return base.saturating_add(35).min(96);
        }
    } else if neg && base < 80 {
        return base.saturating_sub(30);
    } else if foreign && base < 85 {
        return base.saturating_sub(15);
    } else if c.near & general != 0 {
        30
    } else if c.far & general != 0 {
        15
    } else {
        0
    };
    base.saturating_add(gain).min(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_trigger_is_marked() {
        for b in 0..=255u8 {
            let seen = marks(u64::from_le_bytes([b'a', b, b' ', 0, 0xFF, b, 0x80, b])) & each(0x80);
            if CLASS[usize::from(b)] != 0 {
                assert_eq!(
                    seen,
                    u64::from_le_bytes([0, 0x80, 0, 0, 0, 0x80, 0, 0x80]),
                    "{b:x}"
                );
            } else if !(0x2D..0x60).contains(&b) {
                assert_eq!(seen, 0, "{b:x}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_next_trigger_is_the_first(text in prop::collection::vec(any::<u8>(), 0..40), from in 0usize..42) {
            let naive = (from..text.len()).find(|&i| CLASS[usize::from(text[i])] != 0);
            prop_assert_eq!(next_trigger(&text, from), naive);
        }
    }
}
