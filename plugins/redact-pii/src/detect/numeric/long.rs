//! Identifiers of eleven to eighteen digits: many carry a date or a strong check.

use super::super::checks::{self, luhn, number, val, weighted};
use super::super::context::*;
use super::super::entity::Entity;
use super::super::group::Stretch;
use super::super::regions;
use super::super::scan::Scanner;
use super::super::tokens::italian_vat;

impl Scanner<'_> {
    pub(super) fn eleven(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        let solid = st.solid() || (st.even() && st.lens[0] <= 4 && st.sep != b'.');
        let mut seen = [0u8; 10];
        d[..10].iter().for_each(|&b| seen[val(b) as usize] += 1);
        let repeated =
            seen.iter().filter(|&&c| c >= 2).count() == 1 && seen.iter().all(|&c| c <= 3);
        if d[0] != b'0' && repeated && checks::mod11_10(d) {
            let base = if st.shape(&[2, 3, 3, 3]) { 75 } else { 45 };
            self.weigh(st.span, Entity::DeTaxId, base, true, TAX | DE, ID);
        }
        if solid && italian_vat(d) {
            self.weigh(st.span, Entity::ItVat, 25, true, VAT | IT, TAX);
        }
        if solid {
            let (yy, mm, dd) = (number(&d[..2]), number(&d[2..4]), number(&d[4..6]));
            let (m, century) = (
                mm % 20,
                [1900, 2000, 2100, 2200, 1800][(mm / 20).min(4) as usize],
            );
            if mm < 100
                && checks::date(century + yy, m, dd)
                && (10 - weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10 == val(d[10])
            {
                self.weigh(st.span, Entity::PlPesel, 45, true, PESEL | PL, ID);
            }
        }
        if solid || st.shape(&[2, 2, 2, 3, 2]) || st.shape(&[6, 3, 2]) || st.shape(&[6, 5]) {
            let (mm, dd) = (number(&d[2..4]) % 20, number(&d[4..6]));
            let n = number(&d[..9]);
            let key = number(&d[9..]);
            if mm <= 12 && dd <= 31 && (97 - n % 97 == key || 97 - (2_000_000_000 + n) % 97 == key)
            {
                let shaped = st.shape(&[2, 2, 2, 3, 2]);
                // An Egyptian's mobile passes once in a hundred.
                let mobile = d[0] == b'0' && d[1] == b'1';
                self.weigh(
                    st.span,
                    Entity::BeNrn,
                    match (shaped, mobile) {
                        (true, _) => 92,
                        (false, true) => 45,
                        (false, false) => 55,
                    },
                    true,
                    BE,
                    ID,
                );
            }
        }
        if solid && d[0] != b'0' && {
            let odd: u32 = [0, 2, 4, 6, 8].iter().map(|&i| val(d[i])).sum();
            let even: u32 = [1, 3, 5, 7].iter().map(|&i| val(d[i])).sum();
            (odd * 7 + 100 - even) % 10 == val(d[9])
                && d[..10].iter().map(|&b| val(b)).sum::<u32>() % 10 == val(d[10])
        } {
            self.weigh(st.span, Entity::TrTckn, 55, true, TCKN | TR, ID);
        }
        if (st.solid() || st.shape(&[2, 3, 3, 3])) && d[0] != b'0' && {
            let mut sum = (val(d[0]) + 9) * 10;
            sum += weighted(&d[1..], &[1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
            // First digit minus one, weight ten; written with 9 = -1 mod 10 it would overshoot.
            sum -= 100;
            sum.is_multiple_of(89)
        } {
            self.weigh(
                st.span,
                Entity::AuAbn,
                if st.shape(&[2, 3, 3, 3]) { 70 } else { 40 },
                true,
                ABN | AU,
                COMPANY,
            );
        }
        if st.solid() && checks::verhoeff(d) {
            // `national identification number` of no country is what Nigeria calls its own.
            let c = self.context(st.span.0, st.span.1);
            let words = c.closest();
            let own = words & NATIONAL != 0
                && words & ID != 0
                && words & NUMBER != 0
                && words & COUNTRIES == 0;
            let named = if own { NATIONAL } else { 0 };
            self.weigh(st.span, Entity::NgNin, 25, true, NIN | NG | named, NATIONAL);
        }
        if st.solid() && matches!(d[0], b'2' | b'3') && regions::iso_numeric(number(&d[3..6])) {
            self.weigh(st.span, Entity::QaQid, 45, true, QID | QA, 0);
        }
        if matches!(d[0], b'2'..=b'6')
            && st.shape(&[4, 5, 1, 1])
            && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == val(d[8])
        {
            self.weigh(st.span, Entity::AuMedicare, 75, true, MEDICARE | AU, HEALTH);
        }
    }

    pub(super) fn twelve(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        if matches!(d[0], b'2'..=b'9')
            && checks::verhoeff(d)
            && d.iter().ne(d.iter().rev())
            && (st.solid() || st.even())
        {
            // Twelve digits of a Maestro card, where the words say card.
            let card = luhn(d) && regions::card_range(d) && {
                let near = self.context(st.span.0, st.span.1).near;
                near & CARD != 0 && near & (AADHAAR | IN | ID) == 0
            };
            let base = if st.shape(&[4, 4, 4]) && !self.continues_by_four(st) && !card {
                75
            } else {
                25
            };
            self.weigh(st.span, Entity::InAadhaar, base, true, AADHAAR | IN, ID);
        }
        if matches!(d[0], b'1'..=b'3')
            && checks::yymmdd(&d[1..7])
            && (st.solid() || st.even() || st.runs <= 4)
        {
            let check = 11i64 - i64::from(weighted(d, &[2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11);
            if check == i64::from(val(d[11])) {
                self.weigh(st.span, Entity::KwCivilId, 70, true, KW | CIVIL, ID);
            }
        }
        if luhn(&d[2..])
            && (st.solid() || st.shape(&[8, 4]))
            && matches!(&d[..2], b"19" | b"20")
            && checks::yymmdd(&d[2..8])
        {
            self.weigh(
                st.span,
                Entity::SePersonnummer,
                if st.sep == b'-' { 92 } else { 55 },
                true,
                PERSONNR | SE,
                ID,
            );
        }
        if st.solid() || st.even() {
            let named = self.national_card(st);
            // Lebanon pads its register's numbers to twelve digits; `بطاقة الهوية` of no country is either's.
            let padded = named != 0 && d.starts_with(b"000");
            let iraqi = if padded { 0 } else { named };
            let base = if iraqi == 0 { 15 } else { 30 };
            let words = self.both(st, IQ) | iraqi;
            self.weigh(st.span, Entity::IqNationalCard, base, false, words, 0);
            let words = self.both(st, LB) | if padded { named } else { 0 };
            self.weigh(st.span, Entity::LbId, 15, false, words, 0);
            self.weigh(
                st.span,
                Entity::PhTin,
                15,
                false,
                self.both_with(st, PH, TAX),
                0,
            );
        }
    }

    /// `البطاقة الوطنية` or `national card` of no other country: twelve digits are Iraq's.
    fn national_card(&self, st: &Stretch<'_>) -> Bits {
        let words = self.context(st.span.0, st.span.1).closest();
        let card = words & CARD != 0 && words & NATIONAL != 0;
        if card && words & (COUNTRIES | AADHAAR) == 0 {
            NATIONAL
        } else {
            0
        }
    }

    pub(super) fn thirteen(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        let isbn = matches!(&d[..3], b"978" | b"979");
        if luhn(d)
            && checks::yymmdd(d)
            && matches!(d[10], b'0' | b'1' | b'2')
            && (st.solid() || st.shape(&[6, 4, 3]) || st.shape(&[6, 4, 2, 1]) || st.even())
        {
            self.weigh(st.span, Entity::ZaId, 60, true, ZA, ID);
        }
        let th: u32 = d[..12]
            .iter()
            .enumerate()
            .map(|(i, &b)| val(b) * (13 - i as u32))
            .sum();
        if !isbn && matches!(d[0], b'1'..=b'8') && (11 - th % 11) % 10 == val(d[12]) {
            let base = if st.shape(&[1, 4, 5, 2, 1]) { 92 } else { 30 };
            self.weigh(st.span, Entity::ThTnin, base, true, TH, ID);
        }
        if checks::yymmdd(d) && (st.solid() || st.shape(&[6, 7])) {
            let check =
                (11 - weighted(d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10 == val(d[12]);
            let base = match (check, st.shape(&[6, 7]) && st.sep == b'-') {
                (true, true) => 92,
                (true, false) => 40,
                // Numbers given out since October 2020 end at random.
                (false, true) if matches!(d[6], b'3' | b'4' | b'7' | b'8') => 55,
                _ => 0,
            };
            self.weigh(st.span, Entity::KrRrn, base, check, KR, ID);
            let foreign = matches!(d[6], b'5'..=b'8')
                && (13 - weighted(d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10
                    == val(d[12]);
            if foreign {
                let base = if st.shape(&[6, 7]) && st.sep == b'-' {
                    93
                } else {
                    40
                };
                self.weigh(st.span, Entity::KrFrn, base, true, KR, ID);
            }
        }
        if &d[..3] == b"756" && {
            let sum: u32 = d[..12]
                .iter()
                .enumerate()
                .map(|(i, &b)| val(b) * if i % 2 == 0 { 1 } else { 3 })
                .sum();
            (10 - sum % 10) % 10 == val(d[12])
        } {
            self.weigh(
                st.span,
                Entity::ChAhv,
                if st.shape(&[3, 4, 4, 2]) { 92 } else { 60 },
                true,
                AHV | CH,
                0,
            );
        }
    }

    pub(super) fn fourteen(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        if luhn(d) && luhn(&d[..9]) && (st.solid() || st.shape(&[3, 3, 3, 5])) {
            let base = if st.shape(&[3, 3, 3, 5]) { 80 } else { 50 };
            self.weigh(st.span, Entity::FrSiret, base, true, SIRET, SIREN | COMPANY);
        } else if d.starts_with(b"356000000")
            && d.iter().map(|&b| val(b)).sum::<u32>().is_multiple_of(5)
        {
            self.weigh(st.span, Entity::FrSiret, 60, true, SIRET, SIREN | COMPANY);
        }
        let century = match d[0] {
            b'2' => 1900,
            b'3' => 2000,
            _ => return,
        };
        let real = checks::date(
            century + number(&d[1..3]),
            number(&d[3..5]),
            number(&d[5..7]),
        );
        let governorate = matches!(number(&d[7..9]), 1..=4 | 11..=19 | 21..=29 | 31..=35 | 88);
        if real && governorate && (st.solid() || st.even() || st.runs <= 6) {
            // A time stamp such as 20101231235959 has the same structure.
            let stamp = matches!(&d[..2], b"19" | b"20")
                && (1..=12).contains(&number(&d[4..6]))
                && (1..=31).contains(&number(&d[6..8]))
                && number(&d[8..10]) < 24
                && number(&d[10..12]) < 60
                && number(&d[12..]) < 60;
            self.weigh(
                st.span,
                Entity::EgNationalId,
                if stamp { 15 } else { 60 },
                true,
                EG | NATIONAL,
                ID,
            );
        }
    }

    pub(super) fn fifteen(&mut self, st: &Stretch<'_>, loose: bool) {
        let d = st.d;
        let luhn_ok = luhn(d);
        // A window of a mistyped IBAN may pass.
        let even = loose && st.even();
        let written = st.solid() || even || st.lens[0] == 3 && st.runs <= 4;
        if d.starts_with(b"784") && luhn_ok && written {
            let base = if st.shape(&[3, 4, 7, 1]) { 95 } else { 85 };
            self.weigh(st.span, Entity::AeEmiratesId, base, true, EID | AE, ID);
        }
        if matches!(d[0], b'1' | b'2') && loose && nir_body(d) {
            let n = number(&d[..13]);
            if 97 - n % 97 == number(&d[13..]) {
                // Months beyond twelve stand for unknown ones: rare enough to ask for a word.
                let near = self.context(st.span.0, st.span.1).near;
                let other = near & NIR == 0 && near & (TRN | IMSI | IMEI | VAT | TAX) != 0;
                let base = if (1..=12).contains(&number(&d[3..5])) && !other {
                    92
                } else {
                    45
                };
                self.weigh(st.span, Entity::FrNir, base, true, NIR, ID);
            }
        }
        if !loose {
            return;
        }
        if (st.solid() || st.shape(&[9, 4, 2]) || st.even())
            && checks::mod97(d.iter().copied()) == Some(0)
        {
            let near = self.context(st.span.0, st.span.1).near;
            let base = match (d.starts_with(b"00"), &d[9..11] == b"00") {
                _ if near & NIF != 0 && near & (ICE | MA) == 0 => 20,
                (true, true) => 92,
                (true, false) => 70,
                _ => 35,
            };
            self.weigh(st.span, Entity::MaIce, base, true, ICE, MA);
        }
        if luhn_ok && (st.solid() || st.shape(&[2, 6, 6, 1]) || st.shape(&[6, 2, 6, 1])) {
            let base = if st.solid() { 25 } else { 75 };
            self.weigh(st.span, Entity::Imei, base, true, IMEI, PHONE);
        }
        if st.solid() || st.even() {
            self.weigh(st.span, Entity::Imsi, 15, false, IMSI, 0);
            if d[0] == b'3' && d[14] == b'3' {
                self.weigh(st.span, Entity::SaVat, 20, false, VAT | TAX, SA);
            }
            if d.starts_with(b"100") {
                self.weigh(st.span, Entity::AeTrn, 20, false, TRN | TAX | VAT, AE);
            }
            self.weigh(
                st.span,
                Entity::DzNif,
                15,
                false,
                NIF | self.both_with(st, DZ, TAX) | self.algerian_tax(st),
                0,
            );
        }
    }

    /// Words for a tax identification of no country: `الرقم الجبائي` (Tunisia says so too, but its number
    /// has letters), `identification fiscale`.
    fn algerian_tax(&self, st: &Stretch<'_>) -> Bits {
        let c = self.context(st.span.0, st.span.1);
        let near = c.closest();
        let words = near & TAX != 0 && near & (MATRICULE | ID) != 0;
        if words && near & COUNTRIES & !(DZ | TN) == 0 {
            TAX
        } else {
            0
        }
    }

    pub(super) fn eighteen(&mut self, st: &Stretch<'_>) {
        if st.solid() || st.even() || st.runs <= 6 {
            let c = self.context(st.span.0, st.span.1);
            let named = if c.near & COUNTRIES == 0 {
                NATIONAL
            } else {
                self.both(st, DZ)
            };
            self.weigh(st.span, Entity::DzNin, 15, false, NIN | named, 0);
        }
    }
}

/// Sex, year, month and department of a French social security number without Corsica.
fn nir_body(d: &[u8]) -> bool {
    matches!(number(&d[3..5]), 1..=12 | 20..=42 | 50..=99) && number(&d[5..7]) >= 1
}
