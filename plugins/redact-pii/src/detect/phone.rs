//! Telephone numbers: E.164 against the numbering plan's lengths, national forms by their grouping.
//!
//! The table is a summary of ITU-T E.164 assignments: calling code, shortest and longest national
//! number. For the regions where a first digit says more (North America, the Maghreb, the Gulf, ...)
//! [`plausible`] checks that too.

use super::checks::number;
use super::context::{NEG, PHONE};
use super::entity::Entity;
use super::group::{Group, Stretch};
use super::scan::Scanner;

/// Calling code, shortest, longest national significant number.
const CODES: &[(u16, u8, u8)] = &[
    (1, 10, 10),
    (7, 10, 10),
    (20, 8, 10),
    (27, 9, 9),
    (30, 10, 10),
    (31, 9, 9),
    (32, 8, 9),
    (33, 9, 9),
    (34, 9, 9),
    (36, 8, 9),
    (39, 6, 11),
    (40, 9, 9),
    (41, 9, 9),
    (43, 7, 13),
    (44, 9, 10),
    (45, 8, 8),
    (46, 7, 10),
    (47, 8, 8),
    (48, 9, 9),
    (49, 7, 12),
    (51, 8, 9),
    (52, 10, 10),
    (53, 8, 8),
    (54, 10, 11),
    (55, 10, 11),
    (56, 9, 9),
    (57, 10, 10),
    (58, 10, 10),
    (60, 8, 10),
    (61, 9, 9),
    (62, 8, 12),
    (63, 8, 10),
    (64, 8, 10),
    (65, 8, 8),
    (66, 8, 9),
    (81, 9, 10),
    (82, 8, 10),
    (84, 9, 10),
    (86, 10, 11),
    (90, 10, 10),
    (91, 10, 10),
    (92, 9, 10),
    (93, 9, 9),
    (94, 9, 9),
    (95, 7, 10),
    (98, 10, 10),
    (211, 9, 9),
    (212, 9, 9),
    (213, 8, 9),
    (216, 8, 8),
    (218, 8, 9),
    (220, 7, 7),
    (221, 9, 9),
    (222, 8, 8),
    (223, 8, 8),
    (224, 8, 9),
    (225, 10, 10),
    (226, 8, 8),
    (227, 8, 8),
    (228, 8, 8),
    (229, 8, 10),
    (230, 7, 8),
    (231, 7, 9),
    (232, 8, 8),
    (233, 9, 9),
    (234, 8, 10),
    (235, 8, 8),
    (236, 8, 8),
    (237, 8, 9),
    (238, 7, 7),
    (239, 7, 7),
    (240, 9, 9),
    (241, 7, 8),
    (242, 9, 9),
    (243, 7, 9),
    (244, 9, 9),
    (245, 7, 9),
    (248, 7, 7),
    (249, 9, 9),
    (250, 8, 9),
    (251, 9, 9),
    (252, 7, 9),
    (253, 8, 8),
    (254, 9, 10),
    (255, 9, 9),
    (256, 9, 9),
    (257, 8, 8),
    (258, 8, 9),
    (260, 9, 9),
    (261, 9, 9),
    (262, 9, 9),
    (263, 8, 9),
    (264, 8, 9),
    (265, 7, 9),
    (266, 8, 8),
    (267, 7, 8),
    (268, 8, 8),
    (269, 7, 7),
    (290, 4, 5),
    (291, 7, 7),
    (297, 7, 7),
    (298, 6, 6),
    (299, 6, 6),
    (350, 8, 8),
    (351, 9, 9),
    (352, 6, 11),
    (353, 7, 10),
    (354, 7, 9),
    (355, 8, 9),
    (356, 8, 8),
    (357, 8, 8),
    (358, 6, 11),
    (359, 7, 9),
    (370, 8, 8),
    (371, 8, 8),
    (372, 7, 8),
    (373, 8, 8),
    (374, 8, 8),
    (375, 9, 10),
    (376, 6, 9),
    (377, 8, 9),
    (378, 6, 10),
    (380, 9, 9),
    (381, 7, 9),
    (382, 8, 9),
    (383, 8, 9),
    (385, 8, 9),
    (386, 8, 8),
    (387, 8, 9),
    (389, 8, 8),
    (420, 9, 9),
    (421, 9, 9),
    (423, 7, 9),
    (501, 7, 7),
    (502, 8, 8),
    (503, 8, 8),
    (504, 8, 8),
    (505, 8, 8),
    (506, 8, 8),
    (507, 7, 8),
    (509, 8, 8),
    (590, 9, 9),
    (591, 8, 8),
    (592, 7, 7),
    (593, 8, 9),
    (594, 9, 9),
    (595, 9, 9),
    (596, 9, 9),
    (597, 6, 7),
    (598, 8, 8),
    (599, 7, 8),
    (670, 7, 8),
    (673, 7, 7),
    (674, 7, 7),
    (675, 7, 8),
    (676, 5, 7),
    (677, 5, 7),
    (678, 5, 7),
    (679, 7, 7),
    (680, 7, 7),
    (682, 5, 5),
    (685, 5, 7),
    (687, 6, 6),
    (689, 8, 8),
    (691, 7, 7),
    (692, 7, 7),
    (850, 8, 10),
    (852, 8, 8),
    (853, 8, 8),
    (855, 8, 9),
    (856, 8, 10),
    (880, 8, 10),
    (886, 8, 9),
    (960, 7, 7),
    (961, 7, 8),
    (962, 8, 9),
    (963, 8, 9),
    (964, 8, 10),
    (965, 8, 8),
    (966, 9, 9),
    (967, 7, 9),
    (968, 8, 8),
    (970, 8, 9),
    (971, 8, 9),
    (972, 8, 9),
    (973, 8, 8),
    (974, 8, 8),
    (975, 7, 8),
    (976, 8, 8),
    (977, 8, 10),
    (992, 9, 9),
    (993, 8, 8),
    (994, 9, 9),
    (995, 9, 9),
    (996, 9, 9),
    (998, 9, 9),
];

/// Splits off the calling code of digits that follow a `+`.
fn calling_code(d: &[u8]) -> Option<(u16, u8, u8, usize)> {
    (1..=3).find_map(|n| {
        let code = u16::try_from(number(d.get(..n)?)).ok()?;
        let i = CODES.binary_search_by_key(&code, |c| c.0).ok()?;
        Some((CODES[i].0, CODES[i].1, CODES[i].2, n))
    })
}

/// Area code and exchange of a North American number.
fn nanp(n: &[u8]) -> bool {
    n.len() == 10
        && (b'2'..=b'9').contains(&n[0])
        && (b'2'..=b'9').contains(&n[3])
        && !(n[1] == b'1' && n[2] == b'1')
        && !(n[4] == b'1' && n[5] == b'1')
}

/// What a first digit or two say about a national number, where a length alone says little.
fn plausible(code: u16, n: &[u8]) -> bool {
    let Some(&first) = n.first() else {
        return false;
    };
    let second = n.get(1).copied().unwrap_or(0);
    match code {
        1 => nanp(n),
        7 => matches!(first, b'3' | b'4' | b'6'..=b'9'),
        20 => match n.len() {
            10 => first == b'1' && matches!(second, b'0' | b'1' | b'2' | b'5'),
            _ => matches!(first, b'2'..=b'9'),
        },
        27 => first != b'0',
        33 => matches!(first, b'1'..=b'9'),
        34 => matches!(first, b'5'..=b'9'),
        44 => matches!(first, b'1' | b'2' | b'3' | b'5' | b'7' | b'8' | b'9'),
        91 => matches!(first, b'1'..=b'9'),
        212 => matches!(first, b'5'..=b'9'),
        213 => {
            if n.len() == 9 {
                matches!(first, b'5'..=b'7' | b'9')
            } else {
                matches!(first, b'1'..=b'4' | b'8' | b'9')
            }
        }
        216 => matches!(first, b'2'..=b'9'),
        966 => matches!(first, b'5' | b'1' | b'8' | b'9'),
        971 => {
            if n.len() == 9 {
                first == b'5' || first == b'8'
            } else {
                matches!(first, b'2'..=b'9')
            }
        }
        962 => {
            if n.len() == 9 {
                first == b'7' || first == b'8' || first == b'9'
            } else {
                matches!(first, b'2'..=b'8')
            }
        }
        965 => matches!(first, b'1'..=b'9'),
        968 => matches!(first, b'2' | b'7' | b'8' | b'9'),
        973 => matches!(first, b'1' | b'3' | b'6' | b'7' | b'8' | b'9'),
        974 => matches!(first, b'2'..=b'8'),
        // Italian numbers keep their leading zero.
        39 | 225 | 241 | 242 => true,
        _ => first != b'0',
    }
}

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
        if !plus && !zeros {
            return None;
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
        if plus {
            if self.before(start) == b'(' && self.at(end) == b')' {
                end += 1;
            }
            self.put(start, end, Entity::Phone, 92, true);
        } else {
            self.weigh(
                (start, end),
                Entity::Phone,
                if g.n == 1 { 45 } else { 65 },
                true,
                PHONE,
                0,
            );
            if g.n == 1 {
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
        let bracket = self.before(st.span.0) == b'(';
        let sequence = d
            .windows(2)
            .all(|w| w[1] == w[0] + 1 || (w[0] == b'9' && w[1] == b'0'));
        let base = match d.len() {
            7 if st.shape(&[3, 4]) && st.sep == b'-' && (b'2'..=b'9').contains(&d[0]) => 15,
            8 if st.shape(&[2, 2, 2, 2]) && matches!(st.sep, b'-' | b'.') && !zero => 52,
            8 if (st.shape(&[2, 3, 3])
                || st.shape(&[2, 2, 2, 2])
                || st.shape(&[4, 4])
                || st.shape(&[5, 3])
                || st.solid())
                && d[0] != b'1' =>
            {
                20
            }
            9 if zero
                && (st.shape(&[2, 3, 4])
                    || st.shape(&[2, 3, 2, 2])
                    || st.shape(&[3, 2, 2, 2])
                    || st.shape(&[2, 7])) =>
            {
                52
            }
            9 if zero && (st.solid() || st.shape(&[3, 3, 3])) => 15,
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
            12 if zero && d[1] != b'0' && !st.solid() => 15,
            _ => return,
        };
        let c = self.context(st.span.0, st.span.1);
        if c.near & NEG != 0 && c.near & PHONE == 0 && base < 60 && st.solid() {
            return;
        }
        let start = if bracket && self.s[st.span.0..st.span.1].contains(&b')') {
            st.span.0 - 1
        } else {
            st.span.0
        };
        let checked = base >= 60;
        let score = super::scan::score(c, base, PHONE, 0);
        self.put(start, st.span.1, Entity::Phone, score, checked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted() {
        assert!(CODES.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(calling_code(b"21620123456"), Some((216, 8, 8, 3)));
        assert_eq!(calling_code(b"999123"), None);
    }
}
