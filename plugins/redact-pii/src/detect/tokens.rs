//! Identifiers that mix letters and digits: IBANs, national numbers, wallets, vehicles, travel documents.
//!
//! A [`Compact`] is such an identifier read across its separators; a rule asks for a pattern over its
//! first characters, so `AB 12 34 56 C` and `AB123456C` are one case.

mod digits_first;
mod letters_first;
mod worldwide;

pub(super) use digits_first::italian_vat;

use super::context::*;
use super::entity::Entity;
use super::group::Group;
use super::scan::Scanner;

const MAX: usize = 36;

/// Letters and digits from some offset on, upper-cased, with where each stood.
#[derive(Debug)]
struct Compact {
    c: [u8; MAX],
    /// Offset one past each character.
    end: [usize; MAX],
    n: usize,
    /// Bit `i`: a separator stands before character `i`.
    breaks: u64,
}

impl Compact {
    fn get(&self, n: usize) -> Option<&[u8]> {
        self.c.get(..n).filter(|_| n <= self.n)
    }
}

/// Whether `c` fits `pattern`: `9` digit, `A` letter, `*` either, anything else itself.
fn fits(c: &[u8], pattern: &[u8]) -> bool {
    c.len() == pattern.len()
        && c.iter().zip(pattern).all(|(&b, &p)| match p {
            b'9' => b.is_ascii_digit(),
            b'A' => b.is_ascii_uppercase(),
            b'*' => b.is_ascii_alphanumeric(),
            p => b == p,
        })
}

impl Scanner<'_> {
    /// Reads up to `max` characters from `a`, across single separators (`/` too for tax numbers).
    fn compact(&self, a: usize, max: usize) -> Compact {
        let mut c = Compact {
            c: [0; MAX],
            end: [0; MAX],
            n: 0,
            breaks: 0,
        };
        let mut i = a;
        while c.n < max.min(MAX) {
            let b = self.at(i);
            if b.is_ascii_alphanumeric() {
                c.c[c.n] = b.to_ascii_uppercase();
                c.end[c.n] = i + 1;
                c.n += 1;
                i += 1;
            } else if c.n > 0
                && matches!(b, b' ' | b'-' | b'.' | b'/')
                && self.at(i + 1).is_ascii_alphanumeric()
            {
                c.breaks |= 1 << c.n;
                i += 1;
            } else if c.n > 0
                && matches!(
                    (b, self.at(i + 1)),
                    (b' ', b'-' | b'/' | b' ') | (b'-' | b'/', b' ')
                )
                && self.at(i + 2).is_ascii_alphanumeric()
            {
                c.breaks |= 1 << c.n;
                i += 2;
            } else {
                break;
            }
        }
        c
    }

    /// The span of the first `n` characters if `pattern` fits them and a word can end there.
    fn shaped(&self, a: usize, c: &Compact, pattern: &[u8]) -> Option<(usize, usize)> {
        let n = pattern.len();
        let end = *c.end.get(n.checked_sub(1)?)?;
        (fits(c.get(n)?, pattern) && self.closes(end)).then_some((a, end))
    }

    /// A word of letters and digits; returns where to go on.
    pub(super) fn mixed(&mut self, a: usize, b: usize) -> usize {
        let s = self.s;
        let w = &s[a..b];
        let glued = self.before(a) >= 0x80 || !self.before(a).is_ascii_alphanumeric();
        if !glued || self.before(a) == b'_' && w.len() < 12 {
            return b;
        }
        if let Some(end) = self.wallet(a, b) {
            return end;
        }
        if let Some(end) = self.iban(a) {
            return end;
        }
        if w.len() > 22 {
            return b;
        }
        // A version, a path, or the tail of something longer is not an identifier by itself.
        let attached = matches!(self.before(a), b'-' | b'/' | b'.' | b'_')
            && self.before(a.wrapping_sub(1)).is_ascii_alphanumeric();
        if w[0].is_ascii_digit() {
            self.ordinal_date(a, b);
        }
        if attached {
            return b;
        }
        let c = self.compact(a, 22);
        let mut end = b;
        if w[0].is_ascii_digit() {
            end = end.max(self.digit_first(a, b, &c));
        } else {
            end = end.max(self.letter_first(a, b, &c));
        }
        end
    }

    /// A group of digits with a letter behind it: `12.345.678-Z`, `131052-308T`, `15 070649 C 103`.
    pub(super) fn tail(&mut self, g: &Group) -> usize {
        let mut end = g.end();
        for i in 0..g.n {
            // From the group's start, and from behind a wide gap: `at gate 12. 090294-458E`.
            if i == 0 || g.seps[i - 1] == b'*' || i + 1 == g.n {
                end = end.max(self.tail_from(g.chunks[i].0, g.end(), g.n - i));
            }
        }
        end
    }

    fn tail_from(&mut self, a: usize, end: usize, runs: usize) -> usize {
        let next = self.at(end);
        // `8849625.D.A.C.000`; digits behind a full stop are a fraction.
        let dotted = next == b'.' && self.at(end + 1).is_ascii_alphabetic();
        let letter = if dotted || matches!(next, b' ' | b'-' | b'/' | b'+') {
            self.at(end + 1)
        } else {
            next
        };
        if !letter.is_ascii_alphanumeric() && runs < 2 {
            return end;
        }
        // A word of prose is no part of a number: `4399 was`, `4399 Smith`.
        if next == b' ' && letter.is_ascii_alphabetic() {
            let word = &self.s[end + 1..self.word_end(end + 1)];
            let prose = word.len() > 1 && word.iter().all(u8::is_ascii_lowercase)
                || word.len() > 3 && word.iter().all(u8::is_ascii_alphabetic);
            // Two runs may be a Finn's number whose check character is a digit.
            if prose && runs != 2 {
                return end;
            }
        }
        if matches!(self.before(a), b'-' | b'/' | b'.')
            && self.before(a.wrapping_sub(1)).is_ascii_alphanumeric()
        {
            return end;
        }
        let c = self.compact(a, 22);
        self.digit_first(a, end, &c)
    }

    /// The end of `D448-1209-3182`, one letter and groups of digits, from its first group `a..b`.
    fn hyphenated(&self, a: usize, b: usize) -> usize {
        let mut end = b;
        let [first, digits @ ..] = &self.s[a..b] else {
            return b;
        };
        if !first.is_ascii_uppercase() || !digits.iter().all(u8::is_ascii_digit) {
            return b;
        }
        while self.at(end) == b'-' && self.at(end + 1).is_ascii_digit() {
            let next = self.word_end(end + 1);
            if !self.s[end + 1..next].iter().all(u8::is_ascii_digit) {
                return b;
            }
            end = next;
        }
        end
    }

    /// A word that a passport, licence or account label stands right before.
    fn document(&mut self, a: usize, b: usize) {
        let b = self.hyphenated(a, b);
        let w = &self.s[a..b];
        let digits = w.iter().filter(|c| c.is_ascii_digit()).count();
        // `2026-11`, the beginning of a time stamp.
        let year = matches!(w, [b'1' | b'2', b'0' | b'9', _, _, b'-', ..]);
        if !(6..=18).contains(&w.len())
            || w.len() > 13 && !w.contains(&b'-')
            || digits < 4
            || w.iter().any(|b| matches!(b, b'.' | b'|'))
            // `12/2031` is when it expires.
            || w.contains(&b'/') && !w.iter().any(u8::is_ascii_alphabetic)
            || year
            || w.iter().any(u8::is_ascii_lowercase) && w[0].is_ascii_lowercase()
        {
            return;
        }
        let c = self.context(a, b);
        // `le dossier (passeport n° RL7387190)`: what names it wins.
        if c.near & NEG != 0 && c.near & PASSPORT == 0 {
            return;
        }
        // Before the word, or behind one that nothing stands before.
        let said = |what: Bits| c.near & what != 0 || c.near == 0 && c.far & what != 0;
        if said(PASSPORT) && (7..=9).contains(&w.len()) {
            self.put(a, b, Entity::Passport, 60, false);
        } else if said(LICENSE) && super::numeric::driving(&c) && c.near & DEA == 0 {
            self.put(a, b, Entity::DriverLicense, 52, false);
        } else if c.near & NATIONAL != 0 && c.near & ID != 0 {
            self.put(a, b, Entity::NationalId, 51, false);
        }
    }

    /// A word of letters only with a capital in it.
    pub(super) fn letters(&mut self, a: usize, b: usize) -> usize {
        let s = self.s;
        let n = b - a;
        if matches!(n, 8 | 11)
            && let Some(end) = self.bic(a, b)
        {
            return end;
        }
        // `T N 5 9 1 0 0 0 ...`, spelled out or read by a scanner.
        if n == 1
            && let [_, b' ', country, b' ', digit, ..] = s[a..]
            && country.is_ascii_uppercase()
            && digit.is_ascii_digit()
            && let Some(end) = self.iban(a)
        {
            return end;
        }
        // `AB 12 34 56 C`, `BE 123456`, `TN 59 ...`: two capitals and a number.
        if n <= 2
            && self.at(b).is_ascii_whitespace() | (self.at(b) == b'-')
            && self.at(b + 1).is_ascii_digit()
            && self.opens(a)
        {
            if n == 2
                && let Some(end) = self.iban(a)
            {
                return end;
            }
            let c = self.compact(a, 22);
            if n == 2 {
                self.nino(a, &c);
            }
            if n == 1 {
                return self.letter_first(a, b, &c);
            }
            let digits = c.c[n..c.n]
                .iter()
                .take_while(|x| x.is_ascii_digit())
                .count();
            if (5..=7).contains(&digits)
                && s[a..b].iter().all(u8::is_ascii_uppercase)
                && c.breaks >> (n + 1) & ((1 << (digits - 1)) - 1) == 0
            {
                let end = c.end[n + digits - 1];
                if self.closes(end) {
                    self.weigh((a, end), Entity::MaCin, 12, false, CIN, 0);
                }
            }
        }
        // An Italian code all of whose digits were replaced, or one written in groups.
        if (n == 16 || n == 3 || n == 6)
            && s[a..b].iter().all(u8::is_ascii_uppercase)
            && (n == 16 || self.at(b) == b' ')
        {
            let c = self.compact(a, 16);
            self.italian(a, &c);
        }
        if (25..=62).contains(&n) {
            self.wallet(a, b);
        }
        b
    }
}
