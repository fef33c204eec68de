//! Dates: a real calendar date is personal only beside words about birth; any other date keeps its
//! digits from being read as something else.

use super::checks;
use super::context;
use super::group::Group;
use super::scan::Scanner;

/// Month names in English, French, German, Spanish, Italian, Portuguese and Arabic (of the East, the Maghreb and the
/// Hijra), folded.
const MONTHS: &[(&str, u8)] = &[
    ("jan", 1),
    ("january", 1),
    ("janvier", 1),
    ("janv", 1),
    ("januar", 1),
    ("enero", 1),
    ("gennaio", 1),
    ("يناير", 1),
    ("جانفي", 1),
    ("كانون", 1),
    ("feb", 2),
    ("february", 2),
    ("février", 2),
    ("févr", 2),
    ("februar", 2),
    ("febrero", 2),
    ("febbraio", 2),
    ("فبراير", 2),
    ("فيفري", 2),
    ("شباط", 2),
    ("mar", 3),
    ("march", 3),
    ("mars", 3),
    ("märz", 3),
    ("marzo", 3),
    ("مارس", 3),
    ("اذار", 3),
    ("آذار", 3),
    ("apr", 4),
    ("april", 4),
    ("avril", 4),
    ("avr", 4),
    ("abril", 4),
    ("aprile", 4),
    ("ابريل", 4),
    ("أبريل", 4),
    ("افريل", 4),
    ("أفريل", 4),
    ("نيسان", 4),
    ("may", 5),
    ("mai", 5),
    ("mayo", 5),
    ("maggio", 5),
    ("مايو", 5),
    ("ماي", 5),
    ("ايار", 5),
    ("أيار", 5),
    ("jun", 6),
    ("june", 6),
    ("juin", 6),
    ("juni", 6),
    ("junio", 6),
    ("giugno", 6),
    ("يونيو", 6),
    ("جوان", 6),
    ("حزيران", 6),
    ("يونيه", 6),
    ("jul", 7),
    ("july", 7),
    ("juillet", 7),
    ("juil", 7),
    ("juli", 7),
    ("julio", 7),
    ("luglio", 7),
    ("يوليو", 7),
    ("جويلية", 7),
    ("تموز", 7),
    ("يوليه", 7),
    ("aug", 8),
    ("august", 8),
    ("août", 8),
    ("agosto", 8),
    ("اغسطس", 8),
    ("أغسطس", 8),
    ("اوت", 8),
    ("أوت", 8),
    ("آب", 8),
    ("اب", 8),
    ("sep", 9),
    ("sept", 9),
    ("september", 9),
    ("septembre", 9),
    ("septiembre", 9),
    ("settembre", 9),
    ("سبتمبر", 9),
    ("ايلول", 9),
    ("أيلول", 9),
    ("oct", 10),
    ("october", 10),
    ("octobre", 10),
    ("oktober", 10),
    ("octubre", 10),
    ("ottobre", 10),
    ("اكتوبر", 10),
    ("أكتوبر", 10),
    ("تشرين", 10),
    ("nov", 11),
    ("november", 11),
    ("novembre", 11),
    ("noviembre", 11),
    ("نوفمبر", 11),
    ("dec", 12),
    ("december", 12),
    ("décembre", 12),
    ("déc", 12),
    ("dezember", 12),
    ("diciembre", 12),
    ("dicembre", 12),
    ("ديسمبر", 12),
    ("janeiro", 1),
    ("fevereiro", 2),
    ("março", 3),
    ("maio", 5),
    ("junho", 6),
    ("julho", 7),
    ("setembro", 9),
    ("outubro", 10),
    ("novembro", 11),
    ("dezembro", 12),
    ("محرم", 1),
    ("صفر", 2),
    ("ربيع", 3),
    ("جمادى", 5),
    ("جمادي", 5),
    ("رجب", 7),
    ("شعبان", 8),
    ("رمضان", 9),
    ("شوال", 10),
    ("ذو", 11),
    ("ذي", 11),
];

fn month(word: &[u8]) -> Option<u64> {
    let mut buf = [0u8; 24];
    let w = buf.get_mut(..word.len())?;
    w.copy_from_slice(word);
    w.make_ascii_lowercase();
    if w.len() < 3 {
        return None;
    }
    MONTHS
        .iter()
        .find(|(m, _)| m.as_bytes() == &*w)
        .map(|&(_, n)| u64::from(n))
}

const fn wordish(b: u8) -> bool {
    b.is_ascii_alphabetic() || b >= 0x80
}

fn year(n: u64, len: usize) -> bool {
    match len {
        4 => (1880..=2035).contains(&n) || (1290..=1460).contains(&n),
        2 => true,
        _ => false,
    }
}

/// Whether there is such a day. Hijri months have at most 30 days; any calendar's day check is close enough there.
fn real(y: u64, m: u64, d: u64) -> bool {
    if (1290..=1460).contains(&y) {
        (1..=12).contains(&m) && (1..=30).contains(&d)
    } else {
        checks::date(y, m, d)
    }
}

/// Where the `de` of `3 de mayo de 1975` ends, if it stands at `i`.
fn of(s: &[u8], i: usize) -> usize {
    [&b"de "[..], b"del "]
        .iter()
        .find(|of| s[i..].starts_with(of))
        .map_or(i, |of| i + of.len())
}

impl Scanner<'_> {
    /// A date that begins with run `i`; how many runs it takes. Nominates a date of birth.
    pub(super) fn date_at(&mut self, g: &Group, i: usize) -> Option<usize> {
        if g.len(i) > 4 {
            return None;
        }
        if i + 3 <= g.n
            && let Some(n) = self.numeric_date(g, i)
        {
            return Some(n);
        }
        self.textual_date(g, i)
    }

    fn numeric_date(&mut self, g: &Group, i: usize) -> Option<usize> {
        let (a, b, c) = (g.number(i), g.number(i + 1), g.number(i + 2));
        let (la, lb, lc) = (g.len(i), g.len(i + 1), g.len(i + 2));
        if g.seps[i] != g.seps[i + 1]
            || !matches!(g.seps[i], b'/' | b'-' | b'.' | b' ' | b'*')
            || lb > 2
        {
            return None;
        }
        // Longer dotted or dashed lists, such as `06.12.34.56.78`, are no dates.
        let tight = g.seps[i] != b' ';
        if tight
            && (i > 0 && g.seps[i - 1] == g.seps[i] || i + 3 < g.n && g.seps[i + 2] == g.seps[i])
        {
            return None;
        }
        let full = |y: u64, l: usize| if l == 2 { 2000 - 4 + y % 4 + 4 } else { y };
        let ok = if la == 4 && lc <= 2 {
            year(a, 4) && (real(a, b, c) || real(a, c, b))
        } else if la <= 2 && (lc == 4 || (lc == 2 && g.seps[i] != b' ')) {
            let y = full(c, lc);
            year(c, lc) && (real(y, b, a) || real(y, a, b))
        } else {
            false
        };
        if !ok {
            return None;
        }
        let span = (g.chunks[i].0, g.chunks[i + 2].1);
        self.birth(span);
        Some(3)
    }

    /// `12 March 1985`, `March 12, 1985`, `12 مارس 1985`: found from the number on either side.
    fn textual_date(&mut self, g: &Group, i: usize) -> Option<usize> {
        let (start, end) = g.chunks[i];
        let n = g.number(i);
        let s = self.s;
        // A month behind the day.
        if g.len(i) <= 2 && (1..=31).contains(&n) {
            let mut j = end;
            // `1er`, `12th` arrive as mixed words and are handled there; here only spaces, dots, dashes.
            while j - end < 4 && matches!(self.at(j), b' ' | b'-' | b'.' | b'/') {
                j += 1;
            }
            if let Some((m, after)) = month_at(s, of(s, j)) {
                let mut k = after;
                while k - after < 4 && matches!(self.at(k), b' ' | b'-' | b'.' | b',' | b'/') {
                    k += 1;
                }
                k = of(s, k);
                let y_end = self.word_end(k);
                if matches!(y_end - k, 2 | 4) && s[k..y_end].iter().all(u8::is_ascii_digit) {
                    let y = checks::number(&s[k..y_end]);
                    if year(y, y_end - k) && real(if y < 100 { 2000 } else { y }, m, n) {
                        self.birth((start, y_end));
                        return Some(1);
                    }
                }
            }
        }
        // A month before the day, the year behind it: `March 12, 1985`.
        if g.len(i) <= 2 && (1..=31).contains(&n) && self.before(start) == b' ' {
            let mut a = start - 1;
            while a > 0 && matches!(self.s[a - 1], b'.' | b' ') && start - a < 3 {
                a -= 1;
            }
            let stop = a;
            while a > 0 && stop - a < 12 && self.s[a - 1].is_ascii_alphabetic() {
                a -= 1;
            }
            if let Some(m) = month(&s[a..stop])
                && s[a].is_ascii_uppercase()
            {
                let mut k = end;
                for suffix in [&b"st"[..], b"nd", b"rd", b"th"] {
                    if s[k..].starts_with(suffix) {
                        k += 2;
                        break;
                    }
                }
                while k - end < 5 && matches!(self.at(k), b' ' | b',' | b'.') {
                    k += 1;
                }
                let y_end = self.word_end(k);
                if y_end - k == 4 && s[k..y_end].iter().all(u8::is_ascii_digit) {
                    let y = checks::number(&s[k..y_end]);
                    if year(y, 4) && checks::date(y, m, n) {
                        self.birth((a, y_end));
                        return Some(1);
                    }
                }
            }
        }
        None
    }

    /// `12th March 1985`, `1er mars 1985`: a day with its ending.
    pub(super) fn ordinal_date(&mut self, a: usize, b: usize) {
        let w = &self.s[a..b];
        let digits = w.iter().take_while(|c| c.is_ascii_digit()).count();
        let ending = w[digits..].to_ascii_lowercase();
        if !(1..=2).contains(&digits)
            || !matches!(
                ending.as_slice(),
                b"st" | b"nd" | b"rd" | b"th" | b"er" | b"e"
            )
        {
            return;
        }
        let s = self.s;
        let mut j = b;
        while j - b < 4 && self.at(j) == b' ' || s.get(j..j + 3) == Some(b"of ") {
            j += if self.at(j) == b' ' { 1 } else { 3 };
        }
        let day = checks::number(&w[..digits]);
        let (start, m, after) = match month_at(s, j) {
            Some((m, after)) => (a, m, after),
            // `March 12th, 1985`.
            None => {
                let mut from = a.saturating_sub(1);
                let stop = from;
                while from > 0 && stop - from < 12 && self.s[from - 1].is_ascii_alphabetic() {
                    from -= 1;
                }
                let Some(m) = month(&s[from..stop]) else {
                    return;
                };
                (from, m, b)
            }
        };
        let mut k = after;
        while k - after < 4 && matches!(self.at(k), b' ' | b',') {
            k += 1;
        }
        let end = self.word_end(k);
        if end - k == 4 && s[k..end].iter().all(u8::is_ascii_digit) {
            let y = checks::number(&s[k..end]);
            if year(y, 4) && checks::date(y, m, day) {
                self.birth((start, end));
            }
        }
    }
}

/// The month name at `j` and where it ends.
fn month_at(s: &[u8], j: usize) -> Option<(u64, usize)> {
    let mut e = j;
    while e < s.len() && e - j < 24 && wordish(s[e]) {
        e += 1;
    }
    let m = month(s.get(j..e)?)?;
    // كانون الثاني, تشرين الأول: the second word tells two months apart; either is a real month.
    let second = context::folded_prefix(&s[e..]);
    Some((m, e + second))
}
