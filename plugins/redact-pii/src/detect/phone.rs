//! Telephone numbers: E.164 against the numbering plan's lengths, national forms by their grouping.
//!
//! The table is a summary of ITU-T E.164 assignments: calling code, shortest and longest national
//! number. For the regions where a first digit says more (North America, the Maghreb, the Gulf, ...)
//! [`plausible`] checks that too.

mod plan;

use super::checks::number;
use super::context::{ACCOUNT, KR, MINE, NATIONAL, NEG, NUMBER, PHONE, TAX};
use super::entity::Entity;
use super::group::{Group, Stretch};
use super::numeric::{clock, extension};
use super::scan::Scanner;
use plan::{calling_code, nanp, plausible};

impl Scanner<'_> {
    /// A number written with `+` or `00`: the longest run of groups that the plan allows. Returns where
    /// to go on when the group was international, valid or not: nothing else is in it then.
    pub(super) fn international(&mut self, g: &Group) -> Option<usize> {
        let a = g.chunks[0].0;
        let mut start = a;
        let mut open = false;
        if self.before(start) == b'(' {
            open = true;
            start -= 1;
        }
        let plus = self.before(start) == b'+' || (open && self.before(a - 1) == b'+');
        if plus {
            start -= 1;
            if !open && self.before(start) == b'(' && self.s[a..g.end()].contains(&b')') {
                start -= 1;
            }
            // `a+123` is a sum.
            if self.before(start).is_ascii_alphanumeric() && !self.opens(start) {
                return None;
            }
        }
        let zeros = !plus && {
            let st = g.stretch(0, g.n.min(8) - 1)?;
            st.d.starts_with(b"00") && st.d.get(2).is_some_and(|&b| b != b'0') && st.d.len() >= 11
        };
        // A chat's address has the number without either.
        let chat = self.before(a) == b'/' && self.s[..a].ends_with(b"wa.me/");
        if !plus && !zeros && !chat {
            return None;
        }
        // A year of more than four digits: `+202024-06-14T17:30`.
        if plus && clock(self.s, g.end()) {
            return Some(g.end());
        }
        let mut best = None;
        for last in 0..g.n {
            let Some(st) = g.stretch(0, last) else { break };
            let mut d = [0u8; 32];
            let mut n = 0;
            for i in 0..=last {
                let c = g.chunks[i];
                // The trunk zero of `+44 (0)20 ...` is not dialled.
                let trunk = i > 0
                    && c.1 - c.0 == 1
                    && self.s[c.0] == b'0'
                    && self.before(c.0) == b'('
                    && self.at(c.1) == b')';
                if !trunk {
                    for &b in &self.s[c.0..c.1] {
                        if n < d.len() {
                            d[n] = b;
                            n += 1;
                        }
                    }
                }
            }
            let d = if zeros { d.get(2..n)? } else { &d[..n] };
            if d.len() > 15 {
                break;
            }
            if let Some((code, min, max, skip)) = calling_code(d) {
                let national = &d[skip..];
                if (usize::from(min)..=usize::from(max)).contains(&national.len())
                    && plausible(code, national)
                {
                    best = Some((last, st.span.1));
                }
            }
        }
        let Some((last, mut end)) = best else {
            // Invalid behind a plus sign: no other kind of number is written so.
            return plus.then(|| g.end());
        };
        // A bracket before the number is of the number only if it closes within.
        if open && !plus && !self.s[a..end].contains(&b')') {
            start = a;
        }
        if plus {
            let closed = self.s[a..end].contains(&b')');
            if self.at(start) == b'(' && self.at(end) == b')' && !closed {
                end += 1;
            }
            end = extension(self.s, end);
            self.put(start, end, Entity::Phone, 92, true);
        } else if chat {
            self.put(start, end, Entity::Phone, 90, true);
        } else {
            let near = self.context(start, end).near;
            let own = if near & NUMBER != 0 && near & MINE != 0 {
                NUMBER
            } else {
                0
            };
            // `TIN 003-522-115-000`, `RRN 001225-3909700`: other numbers begin with zeros too.
            let other = near & PHONE == 0 && near & (TAX | KR | NATIONAL) != 0;
            // A calling code of three digits, and a number as long as there and with a first digit as there.
            let d = &self.s[a + 2..g.chunks[0].1.max(a + 2)];
            let code = calling_code(d).is_some_and(|(code, min, max, _)| {
                min == max && matches!(code, 212 | 216 | 965 | 966 | 968 | 973 | 974)
                    || code == 971 && d.len() == 12
            });
            let base = match g.n {
                1 if code => 52,
                1 => 45,
                _ if other => 52,
                _ => 65,
            };
            self.weigh((start, end), Entity::Phone, base, !other, PHONE, own);
            if g.n == 1 || other {
                return None;
            }
        }
        (last + 1 == g.n || plus).then_some(if last + 1 < g.n {
            g.chunks[last + 1].0
        } else {
            g.end()
        })
    }

    /// National forms: a grouping that a country uses, or a length that a word for telephones confirms.
    pub(super) fn national_phone(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        let zero = d[0] == b'0';
        let paired = st.lens[..st.runs].iter().all(|&l| l == 2);
        let mixed_ok = matches!(st.sep, b' ' | b'-' | b'.' | b'/' | b'*' | 0);
        if !mixed_ok {
            return;
        }
        // `03/927/0080` is a file; only pairs are written so.
        if st.sep == b'/' && st.runs > 2 && !paired {
            return;
        }
        let bracket = self.before(st.span.0) == b'(';
        let sequence = d
            .windows(2)
            .all(|w| w[1] == w[0] + 1 || (w[0] == b'9' && w[1] == b'0'));
        // `04 05 06 07 08` counts, and dials nobody.
        if paired && d.len().is_multiple_of(2) && counts(d) {
            return;
        }
        let base = match d.len() {
            7 if st.shape(&[3, 4]) && (b'2'..=b'9').contains(&d[0]) => 15,
            8 if st.shape(&[2, 2, 2, 2]) && matches!(st.sep, b'-' | b'.') && !zero => 52,
            8 if (st.shape(&[2, 3, 3])
                || st.shape(&[2, 2, 2, 2])
                || st.shape(&[4, 4])
                || st.shape(&[5, 3])
                || st.shape(&[3, 2, 3])
                || st.shape(&[2, 6])
                || st.solid())
                && d[0] != b'1' =>
            {
                20
            }
            // Bahrain's fixed lines begin with 1; elsewhere that is a date or an order.
            8 if d[0] == b'1' && (st.solid() || st.shape(&[4, 4])) => 8,
            8 if st.shape(&[3, 5]) && !zero => 10,
            9 if zero
                && (st.shape(&[2, 3, 4])
                    || st.shape(&[2, 3, 2, 2])
                    || st.shape(&[3, 2, 2, 2])
                    || st.shape(&[2, 7])) =>
            {
                52
            }
            9 if zero && (st.solid() || st.runs <= 3) => 15,
            9 if matches!(d[0], b'5'..=b'9')
                && (st.shape(&[3, 3, 3])
                    || st.shape(&[3, 2, 2, 2])
                    || st.shape(&[2, 3, 4])
                    || st.shape(&[1, 2, 2, 2, 2])) =>
            {
                40
            }
            9 if matches!(d[0], b'1'..=b'9') && (st.solid() || st.even() || st.runs <= 4) => 12,
            10 if zero && d[1] != b'0' => {
                if paired
                    || st.shape(&[4, 2, 2, 2])
                    || st.shape(&[3, 3, 4])
                    || st.shape(&[3, 3, 2, 2])
                    || st.shape(&[4, 3, 3])
                {
                    70
                } else if st.shape(&[3, 7])
                    || st.shape(&[4, 6])
                    || st.shape(&[2, 4, 4])
                    || st.shape(&[2, 8])
                    || st.shape(&[3, 3, 2, 2])
                    || st.shape(&[1, 3, 2, 2, 2])
                {
                    60
                } else if st.solid() {
                    if matches!(d[1], b'5' | b'6' | b'7') {
                        52
                    } else {
                        15
                    }
                } else {
                    20
                }
            }
            10 if nanp(d) && !sequence => {
                if st.shape(&[3, 3, 4]) {
                    if st.sep == b' ' { 62 } else { 75 }
                } else if st.solid() {
                    15
                } else {
                    10
                }
            }
            10 if matches!(d[0], b'6'..=b'9') && (st.solid() || st.shape(&[5, 5])) && !sequence => {
                if st.shape(&[5, 5]) {
                    45
                } else {
                    15
                }
            }
            11 if zero && d[1] != b'0' => {
                if st.shape(&[5, 6])
                    || st.shape(&[3, 4, 4])
                    || st.shape(&[4, 3, 4])
                    || st.shape(&[5, 3, 3])
                    || st.shape(&[4, 7])
                    || st.shape(&[3, 8])
                    || st.shape(&[4, 3, 2, 2])
                {
                    70
                } else if st.solid() {
                    if d[1] == b'7' || (d[1] == b'1' && matches!(d[2], b'0' | b'1' | b'2' | b'5')) {
                        55
                    } else {
                        15
                    }
                } else {
                    20
                }
            }
            11 if d[0] == b'1' && nanp(&d[1..]) => {
                if st.shape(&[1, 3, 3, 4]) {
                    75
                } else {
                    10
                }
            }
            // Brazil's mobiles: `(11) 96123-4514`.
            11 if d[2] == b'9' && st.shape(&[2, 5, 4]) => 45,
            // A German mobile with eight digits behind its network's code.
            12 if st.shape(&[4, 8])
                && d.starts_with(b"01")
                && matches!(d[2], b'5' | b'6' | b'7') =>
            {
                60
            }
            12 if zero && d[1] != b'0' && !st.solid() => 15,
            12 if st.shape(&[2, 3, 3, 4]) => 10,
            _ => return,
        };
        let c = self.context(st.span.0, st.span.1);
        if c.near & (NEG | ACCOUNT) != 0 && c.near & PHONE == 0 && base < 60 && st.solid() {
            return;
        }
        let start = if bracket && self.s[st.span.0..st.span.1].contains(&b')') {
            st.span.0 - 1
        } else {
            st.span.0
        };
        let checked = base >= 60;
        // `Mon numéro est le 55 123 456`: what else has one without a name?
        let own = c.near & NUMBER != 0 && c.near & MINE != 0 && c.near & !(NUMBER | MINE) == 0;
        let score = if own && base >= 20 {
            base + 35
        } else {
            super::scan::score(c, base, PHONE, 0)
        };
        self.put(
            start,
            extension(self.s, st.span.1),
            Entity::Phone,
            score,
            checked,
        );
    }
}

/// Whether pairs of digits go up or down by one step.
fn counts(d: &[u8]) -> bool {
    let pair = |i: usize| number(&d[i..i + 2]).cast_signed();
    let step = pair(2) - pair(0);
    step != 0
        && (2..d.len() - 1)
            .step_by(2)
            .all(|i| pair(i) - pair(i - 2) == step)
}
