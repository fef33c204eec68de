//! Identifiers that mix letters and digits: IBANs, national numbers, wallets, vehicles, travel documents.
//!
//! A [`Compact`] is such an identifier read across its separators; a rule asks for a pattern over its
//! first characters, so `AB 12 34 56 C` and `AB123456C` are one case.

use super::checks::{self, number, val};
use super::context::*;
use super::entity::Entity;
use super::group::Group;
use super::regions;
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
        let letter = if matches!(next, b' ' | b'-' | b'/' | b'+') {
            self.at(end + 1)
        } else {
            next
        };
        if !letter.is_ascii_alphanumeric() && runs < 2 {
            return end;
        }
        if matches!(self.before(a), b'-' | b'/' | b'.')
            && self.before(a.wrapping_sub(1)).is_ascii_alphanumeric()
        {
            return end;
        }
        let c = self.compact(a, 22);
        self.digit_first(a, end, &c)
    }

    fn digit_first(&mut self, a: usize, b: usize, c: &Compact) -> usize {
        let tight = c.breaks & 0xff == 0;
        if let Some(sp) = self.shaped(a, c, b"99999999A") {
            const TABLE: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
            let letter = TABLE[(number(&c.c[..8]) % 23) as usize];
            // Spaces inside make it prose (`12345678 a`): then only an upper-case letter counts.
            let real = self.s[sp.1 - 1].is_ascii_uppercase()
                || c.breaks & 0x1ff == 0
                || self.at(sp.1 - 2) == b'-';
            if letter == c.c[8] && real {
                let base = if c.breaks >> 8 & 1 == 1 && self.at(sp.1 - 2) == b' ' {
                    40
                } else {
                    70
                };
                self.weigh(sp, Entity::EsNif, base, true, NIF | DNI | ES, ID);
            }
        }
        // Finnish code: the century sign is a separator or a letter.
        let f = &self.s[a..(a + 11).min(self.s.len())];
        if f.len() == 11
            && f[..6].iter().all(u8::is_ascii_digit)
            && f[7..10].iter().all(u8::is_ascii_digit)
            && matches!(f[6].to_ascii_uppercase(), b'+' | b'-' | b'A'..=b'F' | b'U'..=b'Y')
            && self.closes(a + 11)
        {
            const TABLE: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
            let n = number(&f[..6]) * 1000 + number(&f[7..10]);
            let (dd, mm, yy) = (number(&f[..2]), number(&f[2..4]), number(&f[4..6]));
            if TABLE[(n % 31) as usize] == f[10].to_ascii_uppercase()
                && (checks::date(1900 + yy, mm, dd) || checks::date(2000 + yy, mm, dd))
            {
                // With a digit at the end it looks like a Swedish number too.
                let base = if f[10].is_ascii_digit() { 62 } else { 90 };
                self.weigh((a, a + 11), Entity::FiHetu, base, true, FI, ID);
            }
        }
        // Swedish number with the sign of people over a hundred.
        if f.len() == 11 && f[6] == b'+' && f[7..].iter().all(u8::is_ascii_digit) {
            let mut d = [0u8; 10];
            d[..6].copy_from_slice(&f[..6]);
            d[6..].copy_from_slice(&f[7..]);
            if d.iter().all(u8::is_ascii_digit) && checks::luhn(&d) && checks::yymmdd(&d) {
                self.weigh(
                    (a, a + 11),
                    Entity::SePersonnummer,
                    80,
                    true,
                    PERSONNR | SE,
                    ID,
                );
            }
        }
        for pattern in [&b"9999999AAA999"[..], b"999999AAA999", b"99999AAA999"] {
            if let Some(sp) = self.shaped(a, c, pattern)
                && self.matricule(&c.c[..pattern.len()], pattern.len() - 6)
            {
                self.put(sp.0, sp.1, Entity::TnMatriculeFiscal, 92, true);
                return sp.1;
            }
        }
        if let Some(sp) = self.shaped(a, c, b"9999999A")
            && self.key_letter(&c.c[..8], 7)
            && !matches!(self.at(sp.1), b'/' | b'-')
        {
            let base = if c.breaks & 0x1ff == 0 || self.at(sp.1 - 2) == b'/' {
                40
            } else {
                20
            };
            self.weigh(
                sp,
                Entity::TnMatriculeFiscal,
                base,
                true,
                MATRICULE | TN,
                TAX,
            );
        }
        if let Some(sp) = self.shaped(a, c, b"99999999A999") {
            let mut n = [0u8; 13];
            n[..8].copy_from_slice(&c.c[..8]);
            let letter = c.c[8] - b'A' + 1;
            n[8] = b'0' + letter / 10;
            n[9] = b'0' + letter % 10;
            n[10..13].copy_from_slice(&c.c[9..12]);
            let sum: u32 = n[..12]
                .iter()
                .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
                .map(|(&d, w)| (val(d) * w) / 10 + (val(d) * w) % 10)
                .sum();
            let (dd, mm, yy) = (number(&c.c[2..4]), number(&c.c[4..6]), number(&c.c[6..8]));
            if sum % 10 == val(n[12]) && (checks::date(1900 + yy, mm, dd % 50) || dd % 50 == 0) {
                self.weigh(sp, Entity::DeRvnr, 90, true, SSN | DE, ID);
                return sp.1;
            }
        }
        // French number of people born in Corsica.
        if let Some(sp) = self
            .shaped(a, c, b"999992A99999999")
            .or_else(|| self.shaped(a, c, b"999992B99999999"))
            && matches!(c.c[0], b'1' | b'2')
        {
            let mut d = [0u8; 15];
            d.copy_from_slice(&c.c[..15]);
            d[5..7].copy_from_slice(if c.c[6] == b'A' { b"19" } else { b"18" });
            if 97 - number(&d[..13]) % 97 == number(&d[13..]) {
                self.put(sp.0, sp.1, Entity::FrNir, 92, true);
                return sp.1;
            }
        }
        if let Some(sp) = self.shaped(a, c, b"99AAAAA9999A***")
            && tight
            && matches!(number(&c.c[..2]), 1..=38 | 97 | 99)
            && c.c[13] == b'Z'
            && gstin(&c.c[..15])
        {
            self.put(sp.0, sp.1, Entity::InGstin, 92, true);
        }
        if let Some(sp) = self.shaped(a, c, b"9*********9") {
            let m = &c.c[..11];
            let alpha = |b: u8| {
                b.is_ascii_uppercase() && !matches!(b, b'S' | b'L' | b'O' | b'I' | b'B' | b'Z')
            };
            let alnum = |b: u8| b.is_ascii_digit() || alpha(b);
            let pattern_ok = m[0] != b'0'
                && alpha(m[1])
                && alnum(m[2])
                && m[3].is_ascii_digit()
                && alpha(m[4])
                && alnum(m[5])
                && m[6].is_ascii_digit()
                && alpha(m[7])
                && alpha(m[8])
                && m[9].is_ascii_digit()
                && m[10].is_ascii_digit();
            let written = c.breaks & 0x7ff == 0 || (c.breaks & 0x7ff == (1 << 4 | 1 << 7));
            let upper = !self.s[sp.0..sp.1].iter().any(u8::is_ascii_lowercase);
            if pattern_ok && written {
                self.weigh(
                    sp,
                    Entity::UsMbi,
                    if upper { 75 } else { 40 },
                    true,
                    MEDICARE,
                    HEALTH,
                );
            }
        }
        if b - a == 9 && tight {
            // French and others' passports: 12AB34567.
            if let Some(sp) = self.shaped(a, c, b"99AA99999") {
                self.weigh(sp, Entity::Passport, 15, false, PASSPORT, 0);
            }
            // Singapore business: eight digits and a letter.
            if let Some(sp) = self.shaped(a, c, b"99999999A")
                && b"XMKECAWLJDB"
                    [(checks::weighted(&c.c, &[10, 4, 9, 3, 8, 2, 7, 1]) % 11) as usize]
                    == c.c[8]
            {
                self.weigh(sp, Entity::SgUen, 25, true, UEN | SG, 0);
            }
        }
        if b - a == 10
            && let Some(sp) = self.shaped(a, c, b"999999999A")
            && matches!(number(&c.c[..4]), 1819..=2035)
            && b"ZKCMDNERGWH"[(checks::weighted(&c.c, &[10, 8, 6, 4, 9, 7, 5, 3, 1]) % 11) as usize]
                == c.c[9]
        {
            self.weigh(sp, Entity::SgUen, 55, true, UEN | SG, 0);
        }
        self.vin_lei(a, b, c);
        self.document(a, b);
        b
    }

    /// The key letter of a Tunisian tax number over `n` digits, padded to seven.
    fn key_letter(&self, c: &[u8], n: usize) -> bool {
        let weights = &[7u32, 6, 5, 4, 3, 2, 1][7 - n..];
        let sum: u32 = checks::weighted(&c[..n], weights);
        b"ABCDEFGHJKLMNPQRSTVWXYZ"[(sum % 23) as usize] == c[n]
    }

    fn matricule(&self, c: &[u8], n: usize) -> bool {
        let (vat, category, establishment) = (c[n + 1], c[n + 2], &c[n + 3..]);
        matches!(vat, b'A' | b'P' | b'B' | b'D' | b'N')
            && matches!(category, b'M' | b'P' | b'C' | b'N' | b'E')
            && (establishment == b"000" || category == b'E')
            && self.key_letter(c, n)
    }

    fn letter_first(&mut self, a: usize, b: usize, c: &Compact) -> usize {
        let s = self.s;
        let tight = b - a;
        if let Some(sp) = self.shaped(a, c, b"A9999999A") {
            if matches!(c.c[0], b'X' | b'Y' | b'Z') {
                let n = u64::from(c.c[0] - b'X') * 10_000_000 + number(&c.c[1..8]);
                if b"TRWAGMYFPDXBNJZSQVHLCKE"[(n % 23) as usize] == c.c[8] {
                    self.weigh(sp, Entity::EsNie, 80, true, NIE | ES, ID);
                }
            }
            if matches!(c.c[0], b'S' | b'T' | b'F' | b'G' | b'M') && c.breaks & 0x1ff == 0 {
                let sum = checks::weighted(&c.c[1..8], &[2, 7, 6, 5, 4, 3, 2]);
                let (offset, table): (u32, &[u8; 11]) = match c.c[0] {
                    b'S' => (0, b"JZIHGFEDCBA"),
                    b'T' => (4, b"JZIHGFEDCBA"),
                    b'F' => (0, b"XWUTRQPNMLK"),
                    b'G' => (4, b"XWUTRQPNMLK"),
                    _ => (3, b"XWUTRQPNJLK"),
                };
                if table[((sum + offset) % 11) as usize] == c.c[8] {
                    self.weigh(sp, Entity::SgNric, 80, true, NRIC | SG, ID);
                }
            }
        }
        self.nino(a, c);
        if tight == 9
            && let Some(sp) = self
                .shaped(a, c, b"AA9999999")
                .or_else(|| self.shaped(a, c, b"A99999999"))
        {
            let d = &c.c[2..9];
            let sum = val(d[0]) + val(d[2]) + val(d[4]) + 2 * (val(d[1]) + val(d[3]) + val(d[5]));
            let letters = matches!(c.c[0], b'A'..=b'H' | b'J'..=b'M' | b'P' | b'R' | b'S' | b'T' | b'U' | b'X');
            if c.c[1].is_ascii_uppercase() && letters && sum % 10 == val(d[6]) {
                self.weigh(sp, Entity::MedicalLicense, 55, true, DEA | LICENSE, HEALTH);
            }
        }
        if tight == 10 {
            if let Some(sp) = self.shaped(a, c, b"AAAAA9999A")
                && matches!(
                    c.c[3],
                    b'A' | b'B'
                        | b'C'
                        | b'F'
                        | b'G'
                        | b'H'
                        | b'J'
                        | b'L'
                        | b'P'
                        | b'T'
                        | b'K'
                        | b'E'
                )
                && !s[a..b].iter().any(u8::is_ascii_lowercase)
            {
                self.weigh(sp, Entity::InPan, 65, true, PAN | IN, TAX);
            }
            if let Some(sp) = self.shaped(a, c, b"A999999999") {
                let letter = c.c[0] - b'A' + 1;
                let mut d = [0u8; 11];
                d[0] = b'0' + letter / 10;
                d[1] = b'0' + letter % 10;
                d[2..].copy_from_slice(&c.c[1..10]);
                let sum: u32 = d[..10]
                    .iter()
                    .enumerate()
                    .map(|(i, &x)| {
                        let p = val(x) * (1 + i as u32 % 2);
                        p / 10 + p % 10
                    })
                    .sum();
                if sum % 10 == val(d[10]) {
                    self.weigh(sp, Entity::DeKvnr, 45, true, HEALTH | DE, ID);
                }
            }
        }
        // German identity card or passport: nine characters of a vowel-free set and a check digit.
        if (tight == 10 || tight == 9) && c.n >= 9 && c.c[0].is_ascii_uppercase() {
            let german = c.c[..9]
                .iter()
                .all(|&x| x.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(&x));
            let checked = tight == 10
                && checks::icao(&c.c[..9]) == Some(val(c.c[9]))
                && c.c[9].is_ascii_digit();
            if german && (checked || tight == 9) && c.breaks & ((1 << tight) - 1) == 0 {
                let end = c.end[tight - 1];
                let base = if checked { 45 } else { 15 };
                let ctx = self.context(a, end);
                let german_words = (ctx.near | ctx.far) & DE != 0;
                let score = super::scan::score(
                    ctx,
                    base,
                    if german_words { ID | PASSPORT } else { 0 },
                    PASSPORT,
                );
                self.put(a, end, Entity::DeIdCard, score, checked);
            }
        }
        if tight == 12
            && let Some(sp) = self.shaped(a, c, b"OM9999999999")
        {
            self.weigh(sp, Entity::OmVatin, 60, true, VAT | OM | TAX, 0);
        }
        self.italian(a, c);
        if tight == 16 {
            self.driving_licence(a, c);
        }
        self.vin_lei(a, b, c);
        // Moroccan card: one or two letters, five to seven digits.
        let letters = c.c[..c.n]
            .iter()
            .take_while(|x| x.is_ascii_uppercase())
            .count();
        let digits = c.c[letters..c.n]
            .iter()
            .take_while(|x| x.is_ascii_digit())
            .count();
        if matches!(letters, 1 | 2) && matches!(digits, 5..=7) && letters + digits <= c.n {
            let end = c.end[letters + digits - 1];
            let inner = c.breaks & ((1 << (letters + digits)) - 1) & !(1 << letters);
            if self.closes(end)
                && inner == 0
                && s[a].is_ascii_uppercase()
                && (c.breaks >> letters & 1 == 0 || letters + digits >= 7)
            {
                let ctx = self.context(a, end);
                let all = ctx.near | ctx.far;
                let moroccan = if all & MA != 0 { ID | NATIONAL } else { 0 };
                let foreign = all & (TN | SA | EG | DZ) != 0 && all & MA == 0;
                if !foreign {
                    self.weigh((a, end), Entity::MaCin, 15, false, CIN | moroccan, 0);
                }
            }
        }
        if tight >= 8
            && let Some(sp) = self.bic(a, b)
        {
            return sp;
        }
        self.document(a, b);
        b
    }

    /// A word that a passport, licence or account label stands right before.
    fn document(&mut self, a: usize, b: usize) {
        let w = &self.s[a..b];
        let digits = w.iter().filter(|c| c.is_ascii_digit()).count();
        if !(6..=13).contains(&w.len())
            || digits < 4
            || w.iter().any(u8::is_ascii_lowercase) && w[0].is_ascii_lowercase()
        {
            return;
        }
        let c = self.context(a, b);
        if c.near & NEG != 0 {
            return;
        }
        if c.near & PASSPORT != 0 && (7..=9).contains(&w.len()) {
            self.put(a, b, Entity::Passport, 60, false);
        } else if c.near & LICENSE != 0 && c.near & DEA == 0 {
            self.put(a, b, Entity::DriverLicense, 52, false);
        }
    }

    fn nino(&mut self, a: usize, c: &Compact) {
        let Some(sp) = self.shaped(a, c, b"AA999999A") else {
            return;
        };
        let prefix = &c.c[..2];
        let bad = c.c[..2]
            .iter()
            .any(|x| matches!(x, b'D' | b'F' | b'I' | b'Q' | b'U' | b'V'))
            || c.c[1] == b'O'
            || matches!(
                prefix,
                b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ"
            );
        if bad || !(b'A'..=b'D').contains(&c.c[8]) {
            return;
        }
        let br = c.breaks & 0x1ff;
        // Together, in pairs, or with the suffix apart.
        let written = br == 0
            || br == (1 << 2 | 1 << 4 | 1 << 6 | 1 << 8)
            || br == (1 << 2 | 1 << 8)
            || br == 1 << 8
            || br == 1 << 2
            || br == (1 << 2 | 1 << 5 | 1 << 8);
        if written {
            let upper = !self.s[sp.0..sp.1].iter().any(u8::is_ascii_lowercase);
            self.weigh(
                sp,
                Entity::UkNino,
                if upper { 80 } else { 40 },
                true,
                NINO | UK | SSN,
                ID,
            );
        }
    }

    fn italian(&mut self, a: usize, c: &Compact) {
        let Some(end) = c.get(16).map(|_| c.end[15]) else {
            return;
        };
        let x = &c.c[..16];
        // Digits may be written as letters when two people would share a code.
        let digitish = |b: u8| b.is_ascii_digit() || matches!(b, b'L'..=b'N' | b'P'..=b'V');
        let letters = [0, 1, 2, 3, 4, 5, 8, 11, 15]
            .iter()
            .all(|&i: &usize| x[i].is_ascii_uppercase());
        let digits = [6, 7, 9, 10, 12, 13, 14]
            .iter()
            .all(|&i: &usize| digitish(x[i]));
        if letters
            && digits
            && matches!(x[8], b'A'..=b'E' | b'H' | b'L' | b'M' | b'P' | b'R'..=b'T')
            && self.closes(end)
            && checks::codice_fiscale(x)
        {
            self.put(a, end, Entity::ItFiscalCode, 92, true);
        }
    }

    fn driving_licence(&mut self, a: usize, c: &Compact) {
        let x = &c.c[..16];
        let surname = x[..5].iter().all(|&b| b.is_ascii_uppercase() || b == b'9')
            && x[0].is_ascii_uppercase();
        let mm = number(&x[6..8]);
        if surname
            && x[5..11].iter().all(u8::is_ascii_digit)
            && matches!(mm, 1..=12 | 51..=62)
            && (1..=31).contains(&number(&x[8..10]))
            && x[11].is_ascii_uppercase()
            && (x[12].is_ascii_uppercase() || x[12] == b'9')
            && x[13].is_ascii_alphanumeric()
            && x[14..16].iter().all(u8::is_ascii_uppercase)
            && c.breaks & 0xffff == 0
        {
            self.put(a, c.end[15], Entity::UkDrivingLicence, 85, true);
        }
    }

    fn vin_lei(&mut self, a: usize, b: usize, c: &Compact) {
        if b - a == 17
            && checks::vin(&c.c[..17])
            && c.c[13..17].iter().all(u8::is_ascii_digit)
            && !self.s[a..b].iter().any(u8::is_ascii_lowercase)
        {
            self.weigh((a, b), Entity::Vin, 75, true, VIN, 0);
        } else if b - a == 17 && c.c[..17].iter().all(|x| !matches!(x, b'I' | b'O' | b'Q')) {
            self.weigh((a, b), Entity::Vin, 10, false, VIN, 0);
        }
        if b - a == 20
            && c.c[18..20].iter().all(u8::is_ascii_digit)
            && !self.s[a..b].iter().any(u8::is_ascii_lowercase)
            && checks::mod97(c.c[..20].iter().copied()) == Some(1)
        {
            self.weigh((a, b), Entity::Lei, 70, true, COMPANY, 0);
        }
    }

    fn bic(&mut self, a: usize, b: usize) -> Option<usize> {
        let w = &self.s[a..b];
        let shape = matches!(w.len(), 8 | 11)
            && w[..6].iter().all(u8::is_ascii_uppercase)
            && !w.iter().any(u8::is_ascii_lowercase);
        if !shape || !regions::iso_alpha2(&w[4..6]) {
            return None;
        }
        let c = self.context(a, b);
        if c.near & SWIFT != 0 {
            self.put(a, b, Entity::Bic, 70, true);
            return Some(b);
        }
        None
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

    /// An IBAN that begins at `a`, in any grouping, either case.
    fn iban(&mut self, a: usize) -> Option<usize> {
        let s = self.s;
        let head = s.get(a..a + 2)?;
        if !head.iter().all(u8::is_ascii_alphabetic) {
            return None;
        }
        let country = [head[0].to_ascii_uppercase(), head[1].to_ascii_uppercase()];
        let length = regions::iban_length(country)?;
        let c = self.compact(a, length);
        let x = c.get(length)?;
        let end = c.end[length - 1];
        if !x[2..4].iter().all(u8::is_ascii_digit)
            || !checks::iban_mod97(x)
            || !self.closes(end)
            || !self.opens(a)
        {
            return None;
        }
        let sure = if regions::iban_bban(country, &x[4..]) {
            97
        } else {
            85
        };
        self.put(a, end, Entity::Iban, sure, true);
        Some(end)
    }

    /// A Bitcoin, Ethereum, TRON or Solana address that is this word.
    fn wallet(&mut self, a: usize, b: usize) -> Option<usize> {
        let w = &self.s[a..b];
        let done = match w {
            [b'0', b'x' | b'X', hex @ ..]
                if hex.len() == 40 && hex.iter().all(u8::is_ascii_hexdigit) =>
            {
                let zero = hex.iter().all(|&c| c == b'0');
                if !zero {
                    self.put(a, b, Entity::Crypto, 85, true);
                }
                true
            }
            [b'1' | b'3', ..]
                if (26..=35).contains(&w.len()) && checks::base58check(w, &[0, 5]) =>
            {
                self.put(a, b, Entity::Crypto, 97, true);
                true
            }
            [b'T', ..] if w.len() == 34 && checks::base58check(w, &[0x41]) => {
                self.put(a, b, Entity::Crypto, 97, true);
                true
            }
            [b'b' | b'B', b'c' | b'C', b'1', ..]
                if (14..=74).contains(&w.len()) && checks::bech32(&w.to_ascii_lowercase()) =>
            {
                self.put(a, b, Entity::Crypto, 97, true);
                true
            }
            _ if (32..=44).contains(&w.len())
                && !w.iter().any(|c| matches!(c, b'0' | b'O' | b'I' | b'l'))
                && w.iter().any(u8::is_ascii_uppercase)
                && w.iter().any(u8::is_ascii_lowercase) =>
            {
                self.weigh((a, b), Entity::Crypto, 10, false, WALLET, 0);
                false
            }
            _ => false,
        };
        done.then_some(b)
    }

    /// A line of a machine-readable zone, found from its first `<`.
    pub(super) fn mrz(&mut self, at: usize) -> usize {
        let s = self.s;
        let part = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'<';
        let mut a = at;
        while a > self.floor.saturating_sub(44) && at - a < 44 && part(s[a - 1]) {
            a -= 1;
        }
        let mut b = at;
        while b < s.len() && b - a < 46 && part(s[b]) {
            b += 1;
        }
        if !matches!(b - a, 30 | 36 | 44) {
            return at + 1;
        }
        let line = &s[a..b];
        let names = matches!(line[0], b'P' | b'I' | b'A' | b'C' | b'V')
            && line[2..5]
                .iter()
                .all(|&c| c.is_ascii_uppercase() || c == b'<')
            && line.windows(2).any(|w| w == b"<<");
        let check = |from: usize, to: usize| {
            line.get(from..to).and_then(checks::icao) == line.get(to).map(|&c| val(c))
        };
        // Second lines of TD3 and TD2: number, birth, expiry, each with its check digit.
        let data = b - a >= 36 && check(0, 9) && check(13, 19) && check(21, 27);
        let data1 = b - a == 30 && check(0, 6) && check(8, 14);
        let number1 = b - a == 30 && check(5, 14);
        if names || data || data1 || number1 {
            self.put(a, b, Entity::Mrz, 92, true);
        }
        b
    }
}

/// The check character of an Indian GSTIN (mod 36 with alternating factors).
fn gstin(c: &[u8]) -> bool {
    let mut sum = 0;
    for (i, &b) in c[..14].iter().enumerate() {
        let Some(v) = checks::base36(b) else {
            return false;
        };
        let p = v * (1 + i as u32 % 2);
        sum += p / 36 + p % 36;
    }
    checks::base36(c[14]) == Some((36 - sum % 36) % 36)
}
