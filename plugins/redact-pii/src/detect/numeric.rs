//! Identifiers made of digits only, by length and checksum.
//!
//! Base scores: 92 where chance passes less than once in a thousand numbers or the written shape is the
//! scheme's own, 60 to 75 for a shape with a weak check, 25 for a weak check alone (one in ten), 15 for
//! no check at all. What starts below the threshold needs words near it.

mod card;
mod long;
mod short;

use super::checks::{self, number};
use super::context::*;
use super::entity::Entity;
use super::group::{Group, Stretch};
use super::regions;
use super::scan::Scanner;

/// How a stretch stands among its neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edges {
    /// Attached to a word, an amount or a version on either side: only firm evidence counts.
    pub attached: bool,
    /// The same separator goes on before or after: the stretch may be cut out of something longer.
    pub cut: bool,
}

impl Scanner<'_> {
    /// The group of digits at `a`; returns where to go on.
    pub(super) fn digits(&mut self, a: usize) -> usize {
        let s = self.s;
        let view = self.view;
        let closes = |i: usize| {
            !s.get(i).is_some_and(u8::is_ascii_alphanumeric)
                || view.gap_at(i)
                || extension(s, i) > i
                || clock(s, i)
        };
        let g = Group::parse(s, a, closes);
        let end = g.end();
        if g.n == 1 && !closes(end) {
            // Digits, then letters: `12345678Z`, `5kg`.
            let stop = self.word_end(end).max(end + 1);
            return self.mixed(a, stop).max(stop);
        }
        if let Some(stop) = self.international(&g) {
            return stop;
        }
        // A card alone in its group: no rule for a part of it, or for it with what follows, could win.
        if self.quick && g.n == 4 && g.digits_in(0, 3) == 16 {
            let firm = g
                .stretch(0, g.n - 1)
                .is_some_and(|st| self.sole_card(&st, self.edges(&g, 0, g.n - 1)));
            if firm {
                return end;
            }
        }
        if self.row_of_cards(&g) {
            return end;
        }
        let from_tail = self.tail(&g);
        let mut dates = [false; super::group::MAX_CHUNKS + 1];
        let mut first = 0;
        while first < g.n {
            if let Some(n) = self.date_at(&g, first) {
                dates[first..first + n].fill(true);
                first += n;
            } else {
                first += 1;
            }
        }
        if self.ipv4(&g) {
            return end.max(from_tail);
        }
        for (first, &dated) in dates.iter().enumerate().take(g.n) {
            for last in first..g.n {
                if g.digits_in(first, last) < 7 {
                    continue;
                }
                // `14289859 / 15870833` are two.
                if last > first && g.digits_in(first, last - 1) >= 7 {
                    let gap = g.chunks[last - 1].1..g.chunks[last].0;
                    if &self.s[gap] == b" / " {
                        break;
                    }
                }
                let Some(st) = g.stretch(first, last) else {
                    break;
                };
                // `03.09.16-113.47` begins with a date and is a Belgian's number.
                let belgian = st.shape(&[2, 2, 2, 3, 2]);
                if dated && last - first < 5 && st.d.len() < 12 && !belgian {
                    continue;
                }
                let edges = self.edges(&g, first, last);
                self.numbers(&st, edges);
            }
        }
        end.max(from_tail)
    }

    fn edges(&self, g: &Group, first: usize, last: usize) -> Edges {
        let (start, end) = (g.chunks[first].0, g.chunks[last].1);
        let inner = if last > first { g.seps[first] } else { 0 };
        let mut attached = false;
        let mut cut = false;
        if first > 0 {
            let sep = g.seps[first - 1];
            attached |= matches!(sep, b'-' | b'.' | b'/' | b'_' | b'\\')
                && !(sep == b'/' && g.len(first - 1) >= 7);
            cut |= (sep == inner && sep != b'*')
                || (inner == 0 && g.len(first - 1) < 6 && g.len(first) < 8);
        } else {
            let b = self.before(start);
            let bb = start.checked_sub(2).map_or(0, |i| self.at(i));
            attached |= match b {
                b'-' | b'.' | b'_' | b'/' | b'\\' => {
                    bb.is_ascii_digit()
                        || (bb.is_ascii_alphabetic() && self.word_before(start - 1) & !NEG == 0)
                }
                b'$' => true,
                // `#4471` is an order; `acct #4471` says what it is.
                b'#' => super::context::before(self.s, start).near & !NEG == 0,
                // `1,234.567-89` goes on; a field of a table before `562 044 044` does not.
                b',' => {
                    let whole = self.s[..start - 1].iter().rev().take(4);
                    let digits = whole.take_while(|b| b.is_ascii_digit()).count();
                    (1..4).contains(&digits) && g.len(0) == 3 && !matches!(inner, b' ' | b'-')
                }
                // Seconds with a fraction: `12:30:07.123456`.
                b':' => bb.is_ascii_digit(),
                _ => false,
            };
        }
        if last + 1 < g.n {
            let sep = g.seps[last];
            attached |=
                matches!(sep, b'-' | b'.' | b'_' | b'\\') || (sep == b'/' && g.len(last + 1) < 7);
            cut |= (sep == inner && sep != b'*')
                || (inner == 0 && g.len(last + 1) < 6 && g.len(last) < 8);
        } else {
            let n = self.at(end + 1);
            attached |= match self.at(end) {
                // `467-3395-Fax` names what it is.
                b'-' if n.is_ascii_alphabetic() => {
                    word(&self.s[end + 1..self.word_end(end + 1)]) & PHONE == 0
                }
                b'-' | b'_' | b'/' => n.is_ascii_alphanumeric(),
                b',' => {
                    n.is_ascii_digit()
                        && !self.at(end + 4).is_ascii_digit()
                        && self.at(end + 3).is_ascii_digit()
                        // Unless both are cells.
                        && self.column_head(start, end).is_none()
                }
                b'%' => true,
                _ => false,
            };
        }
        Edges { attached, cut }
    }

    /// What the ASCII word that ends before `end` suggests.
    pub(super) fn word_before(&self, end: usize) -> Bits {
        let mut a = end;
        while a > 0 && end - a < 24 && self.s[a - 1].is_ascii_alphanumeric() {
            a -= 1;
        }
        word(&self.s[a..end])
    }

    /// Every rule for a stretch of this many digits.
    fn numbers(&mut self, st: &Stretch<'_>, e: Edges) {
        self.card(st, e);
        let loose = !e.attached;
        // A stretch cut out of a longer list counts only when it is one run on its own.
        let alone = loose && !e.cut;
        let whole = loose && (st.solid() || !e.cut);
        if st.d.iter().all(|&b| b == st.d[0]) || years(st) {
            return;
        }
        if alone {
            self.national_phone(st);
        }
        match st.d.len() {
            7 if alone => self.seven(st),
            8 if alone => self.eight(st),
            9 if alone => self.nine(st),
            10 if alone => self.ten(st),
            11 if whole => self.eleven(st),
            12 if whole => self.twelve(st),
            13 if whole => self.thirteen(st),
            14 if whole => self.fourteen(st),
            15 => self.fifteen(st, whole),
            18 if whole => self.eighteen(st),
            20 | 24 if st.even() || st.runs <= 5 => self.account(st),
            _ => {}
        }
        if alone {
            self.named_only(st);
        }
    }

    fn account(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        // The rest of an IBAN whose check digits are wrong.
        let a = st.span.0;
        if a >= 5
            && self.before(a) == b' '
            && self.s[a - 3..a - 1].iter().all(u8::is_ascii_digit)
            && self.s[a - 5..a - 3].iter().all(u8::is_ascii_uppercase)
        {
            return;
        }
        if d.len() == 20 {
            if checks::mod97(d.iter().copied()) == Some(0)
                && (regions::tunisian_bank(number(&d[..2]))
                    || self.context(st.span.0, st.span.1).near & RIB != 0)
            {
                self.weigh(st.span, Entity::TnRib, 80, true, RIB, ACCOUNT);
            } else if d.starts_with(b"00799999") {
                self.weigh(st.span, Entity::DzCcp, 70, false, CCP, ACCOUNT);
            }
        } else if checks::mod97(d.iter().copied()) == Some(0) {
            self.weigh(st.span, Entity::MaRib, 80, true, RIB, ACCOUNT);
        }
    }

    /// Numbers without any scheme of their own, that a word right before names.
    fn named_only(&mut self, st: &Stretch<'_>) {
        let n = st.d.len();
        // `10.0.19045.2454` is a version.
        let dotted = st.sep == b'.' && st.lens[..st.runs].contains(&1);
        let grouped = st.even() || st.runs <= 5 && st.sep != b'*' && !dotted;
        if (8..=20).contains(&n) && (st.solid() || grouped) {
            let c = self.context(st.span.0, st.span.1);
            // Before the number, or behind one that nothing stands before.
            let said = |what: Bits| c.near & what != 0 || c.near == 0 && c.far & what != 0;
            let around = c.closest();
            if said(ACCOUNT) && around & (CARD | NEG | ROUTING | SWIFT | RIB | PHONE) == 0 {
                self.put(st.span.0, st.span.1, Entity::BankAccount, 52, false);
            }
            // Lengths that schemes with a check have are theirs to judge.
            let identity =
                c.near & NATIONAL != 0 && c.near & ID != 0 && (c.near | c.far) & COUNTRIES == 0;
            if identity && c.near & (NEG | PHONE) == 0 && matches!(n, 8 | 16 | 17 | 19 | 20) {
                self.put(st.span.0, st.span.1, Entity::NationalId, 51, false);
            }
            if st.solid() && n <= 12 {
                if said(PASSPORT) && c.near & NEG == 0 && (8..=9).contains(&n) {
                    self.put(st.span.0, st.span.1, Entity::Passport, 55, false);
                }
                if driving(&c) && said(LICENSE) && c.near & NEG == 0 {
                    self.put(st.span.0, st.span.1, Entity::DriverLicense, 52, false);
                }
            }
        }
        if n == 7 && st.solid() {
            let c = self.context(st.span.0, st.span.1);
            if driving(&c) && c.near & LICENSE != 0 && c.near & NEG == 0 {
                self.put(st.span.0, st.span.1, Entity::DriverLicense, 51, false);
            }
        }
    }

    /// A country's words anywhere around, and words for an identity document near: the mask of the
    /// latter when both hold.
    pub(super) fn both(&self, st: &Stretch<'_>, country: Bits) -> Bits {
        self.both_with(st, country, ID | NATIONAL | CIVIL)
    }

    pub(super) fn both_with(&self, st: &Stretch<'_>, country: Bits, what: Bits) -> Bits {
        let c = self.context(st.span.0, st.span.1);
        if (c.near | c.far) & country == 0 {
            0
        } else {
            what
        }
    }

    /// A word that is both Saudi and about identity (هوية, سجل مدني).
    fn saudi_civil(&self, st: &Stretch<'_>) -> Bits {
        let c = self.context(st.span.0, st.span.1);
        let all = c.near | c.far;
        if all & (SA | KSAID) != 0
            && all & (ID | CIVIL | IQAMA | NATIONAL) != 0
            && all & COUNTRIES & !SA == 0
        {
            SA
        } else {
            0
        }
    }

    /// `الرقم الشخصي` is Qatari and Bahraini: nine digits with a month are Bahraini enough.
    fn bahraini(&self, st: &Stretch<'_>) -> Bits {
        let c = self.context(st.span.0, st.span.1);
        let all = c.near | c.far;
        if all & (CPR | BH) != 0 { CPR | BH } else { 0 }
    }
}

/// Words for a licence to drive, or for a licence's number: software has licences too.
pub(super) fn driving(c: &Context) -> bool {
    (c.near | c.far) & (DRIVING | NUMBER) != 0
}

/// Whether a stretch lists years: `2020-2021-2022`.
fn years(st: &Stretch<'_>) -> bool {
    st.runs >= 2
        && st.lens[..st.runs].iter().all(|&l| l == 4)
        && st.d.chunks(4).all(|y| (1900..2100).contains(&number(y)))
}

/// Whether the time of ISO 8601 stands at `i`, behind a date: `1985-02-03T00:00:00Z`.
pub(super) fn clock(s: &[u8], i: usize) -> bool {
    matches!(s.get(i..i + 4), Some([b'T', h, m, b':']) if h.is_ascii_digit() && m.is_ascii_digit())
}

/// Where `x123` at `i`, the extension of a telephone number, ends; `i` if there is none.
pub(super) fn extension(s: &[u8], i: usize) -> usize {
    if !matches!(s.get(i), Some(b'x' | b'X')) {
        return i;
    }
    let digits = s[i + 1..]
        .iter()
        .take(6)
        .take_while(|b| b.is_ascii_digit())
        .count();
    let end = i + 1 + digits;
    let closed = !s.get(end).is_some_and(u8::is_ascii_alphanumeric);
    if (2..=5).contains(&digits) && closed {
        end
    } else {
        i
    }
}
