//! National identifiers of letters and digits that begin with a letter.

use super::super::checks::{self, number, val};
use super::super::context::*;
use super::super::entity::Entity;
use super::super::scan::Scanner;
use super::Compact;
use super::digits_first::italian_vat;

impl Scanner<'_> {
    pub(super) fn letter_first(&mut self, a: usize, b: usize, c: &Compact) -> usize {
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
        if tight == 10
            && let Some(sp) = self.shaped(a, c, b"A99AA9999A")
            && other_uen(&c.c[..10])
        {
            self.weigh(sp, Entity::SgUen, 60, true, UEN | SG, COMPANY);
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
                let upper = !s[a..end].iter().any(u8::is_ascii_lowercase);
                let score = super::super::scan::score(
                    ctx,
                    base,
                    if german_words { ID | PASSPORT } else { 0 },
                    if checked && upper {
                        PASSPORT | ID
                    } else {
                        PASSPORT
                    },
                );
                self.put(a, end, Entity::DeIdCard, score, checked);
            }
        }
        if tight == 12
            && let Some(sp) = self.shaped(a, c, b"OM9999999999")
        {
            self.weigh(sp, Entity::OmVatin, 60, true, VAT | OM | TAX, 0);
        }
        if tight == 13
            && let Some(sp) = self.shaped(a, c, b"IT99999999999")
            && italian_vat(&c.c[2..13])
        {
            self.weigh(sp, Entity::ItVat, 60, true, VAT | IT, TAX);
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
                // The words may follow: `is BK129250 my Moroccan ID card?`
                let all = ctx.closest();
                // `البطاقة الوطنية` and `carte nationale` of no other country.
                let moroccan = match all & COUNTRIES {
                    0 => NATIONAL,
                    MA => ID | NATIONAL,
                    _ => 0,
                };
                if all & COUNTRIES & !MA == 0 || (all | ctx.far) & MA != 0 {
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

    pub(super) fn nino(&mut self, a: usize, c: &Compact) {
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

    pub(super) fn italian(&mut self, a: usize, c: &Compact) {
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

    pub(super) fn driving_licence(&mut self, a: usize, c: &Compact) {
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
}

/// The check character of a Singapore entity that is no company: `T08LL1234X`, of which the letters in the middle
/// say what it is.
fn other_uen(c: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWX0123456789";
    let value = |b: u8| ALPHABET.iter().position(|&x| x == b);
    let mut sum = 0;
    for (&b, weight) in c[..9].iter().zip([4, 3, 5, 3, 10, 2, 2, 5, 7]) {
        let Some(v) = value(b) else { return false };
        sum += v * weight;
    }
    matches!(c[0], b'R' | b'S' | b'T') && ALPHABET[(sum + 6) % 11] == c[9]
}
