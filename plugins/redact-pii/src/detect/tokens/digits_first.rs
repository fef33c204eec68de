//! National identifiers of letters and digits that begin with a digit.

use super::super::checks::{self, number, val};
use super::super::context::*;
use super::super::entity::Entity;
use super::super::scan::Scanner;
use super::Compact;

impl Scanner<'_> {
    pub(super) fn digit_first(&mut self, a: usize, b: usize, c: &Compact) -> usize {
        let tight = c.breaks & 0xff == 0;
        if let Some(sp) = self.shaped(a, c, b"99999999A") {
            const TABLE: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
            let letter = TABLE[(number(&c.c[..8]) % 23) as usize];
            // Spaces inside make it prose (`12345678 a`): then only an upper-case letter counts.
            let real = self.s[sp.1 - 1].is_ascii_uppercase()
                || c.breaks & 0x1ff == 0
                || self.at(sp.1 - 2) == b'-';
            if letter == c.c[8] && real {
                let words = self.context(sp.0, sp.1);
                let words = words.near | words.far;
                // A company number of Singapore that passes.
                let base = if words & UEN != 0 && words & (NIF | DNI | ES) == 0 {
                    25
                } else if c.breaks >> 8 & 1 == 1 && self.at(sp.1 - 2) == b' ' {
                    40
                } else {
                    65
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
    pub(super) fn key_letter(&self, c: &[u8], n: usize) -> bool {
        let weights = &[7u32, 6, 5, 4, 3, 2, 1][7 - n..];
        let sum: u32 = checks::weighted(&c[..n], weights);
        b"ABCDEFGHJKLMNPQRSTVWXYZ"[(sum % 23) as usize] == c[n]
    }

    pub(super) fn matricule(&self, c: &[u8], n: usize) -> bool {
        let (vat, category, establishment) = (c[n + 1], c[n + 2], &c[n + 3..]);
        matches!(vat, b'A' | b'P' | b'B' | b'D' | b'N')
            && matches!(category, b'M' | b'P' | b'C' | b'N' | b'E')
            && (establishment == b"000" || category == b'E')
            && self.key_letter(c, n)
    }
}

/// An Italian VAT number: Luhn, and a province or office before the check digit.
pub(in super::super) fn italian_vat(d: &[u8]) -> bool {
    d.len() == 11
        && checks::luhn(d)
        && d[..7].iter().any(|&b| b != b'0')
        && matches!(number(&d[7..10]), 1..=100 | 120 | 121 | 888 | 999)
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
