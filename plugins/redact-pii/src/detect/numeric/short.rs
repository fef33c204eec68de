//! Identifiers of seven to ten digits: weak checks at best, so most need words near them.

use super::super::checks::{self, luhn, number, val, weighted};
use super::super::context::*;
use super::super::entity::Entity;
use super::super::group::Stretch;
use super::super::scan::Scanner;

impl Scanner<'_> {
    pub(super) fn seven(&mut self, st: &Stretch<'_>) {
        if st.solid() {
            let words = self.both(st, OM) | self.civil(st);
            self.weigh(st.span, Entity::OmCivilNo, 15, false, words, 0);
        }
    }

    pub(super) fn eight(&mut self, st: &Stretch<'_>) {
        if !(st.solid()
            || st.shape(&[2, 3, 3])
            || st.shape(&[4, 4])
            || st.shape(&[2, 2, 2, 2])
            || st.shape(&[2, 6])
            || st.even())
        {
            return;
        }
        if st.d[0] <= b'1' {
            let c = self.context(st.span.0, st.span.1);
            // `carte d'identité nationale` of no other country: its card has eight digits nowhere else.
            // The words may follow: `09439000 is my national ID card`.
            let words = c.closest();
            let card = words & COUNTRIES == 0 && words & CARD != 0 && words & ID != 0;
            let named = if card { NATIONAL } else { self.both(st, TN) };
            self.weigh(st.span, Entity::TnCin, 15, false, CIN | named, 0);
        }
        let words = self.both(st, OM) | self.civil(st);
        self.weigh(st.span, Entity::OmCivilNo, 15, false, words, 0);
    }

    pub(super) fn nine(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        let solid = st.solid();
        let threes = st.shape(&[3, 3, 3]);
        let area = number(&d[..3]);
        let group = number(&d[3..5]);
        let serial = number(&d[5..]);
        let known_bad = matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999));
        if area != 0 && area != 666 && area < 900 && group != 0 && serial != 0 && !known_bad {
            let base = if st.shape(&[3, 2, 4]) && matches!(st.sep, b'-' | b' ' | b'.') {
                if st.sep == b'-' { 80 } else { 60 }
            } else if solid || st.even() && st.lens[0] < 5 {
                15
            } else {
                0
            };
            // `numéro de sécurité sociale américain`: a French one is longer.
            let words = SSN | self.both_with(st, US, NIR);
            self.weigh(st.span, Entity::UsSsn, base, false, words, 0);
        }
        if area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99) {
            let base = if st.shape(&[3, 2, 4]) { 70 } else { 15 };
            self.weigh(st.span, Entity::UsItin, base, false, ITIN | SSN, TAX);
        }
        if !(solid || threes || st.even() || st.runs <= 4) {
            return;
        }
        if luhn(d) && !matches!(d[0], b'0' | b'8') {
            let c = self.context(st.span.0, st.span.1);
            let all = c.near | c.far;
            let tax = all & TAX != 0 && all & (SIN | CA) == 0;
            let base = if threes && st.sep == b'-' && !tax {
                60
            } else {
                25
            };
            self.weigh(st.span, Entity::CaSin, base, true, SIN, CA);
        }
        if (luhn(d) || &d[..9] == b"356000000") && (solid || threes) {
            self.weigh(
                st.span,
                Entity::FrSiren,
                25,
                true,
                SIREN,
                COMPANY & self.both_with(st, FR, COMPANY),
            );
        }
        if luhn(d) {
            self.weigh(st.span, Entity::IlTeudatZehut, 25, true, IL, 0);
        }
        if solid {
            // Six digits, their check digit, and two for the doctor's field.
            let sum = weighted(d, &[4, 9, 4, 9, 4, 9]);
            if (10 - sum % 10) % 10 == val(d[6]) {
                self.weigh(st.span, Entity::DeLanr, 25, true, LANR, 0);
            }
            self.weigh(st.span, Entity::DeBsnr, 15, false, BSNR, 0);
        }
        if solid
            && matches!(number(&d[..2]), 0..=12 | 21..=32 | 61..=72 | 80)
            && weighted(d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        {
            self.weigh(st.span, Entity::AbaRouting, 25, true, ABA | ROUTING, 0);
        }
        if weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2, 10]).is_multiple_of(11) {
            self.weigh(st.span, Entity::NlBsn, 25, true, BSN | NL, 0);
        }
        if matches!(d[0], b'1' | b'2' | b'3' | b'5' | b'6' | b'7' | b'8' | b'9') {
            let c = 11 - weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            if val(d[8]) == if c >= 10 { 0 } else { c } {
                self.weigh(st.span, Entity::PtNif, 25, true, NIF | PT, 0);
            }
        }
        let acn = (10 - weighted(d, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10;
        if acn == val(d[8]) && (solid || threes) {
            self.weigh(
                st.span,
                Entity::AuAcn,
                25,
                true,
                ACN | self.both_with(st, AU, COMPANY),
                0,
            );
        }
        if weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) {
            self.weigh(
                st.span,
                Entity::AuTfn,
                25,
                true,
                TFN | self.both_with(st, FILE, TAX),
                self.both_with(st, AU, TAX),
            );
        }
        if threes || solid {
            // `رقم التسجيل الضريبي` of no other country: nine digits are Egypt's, the Gulf has fifteen.
            let c = self.context(st.span.0, st.span.1);
            // `tax number 515-803-681` likewise: in these groups only Egypt writes one.
            let written = threes && st.sep == b'-';
            let own = match c.near & COUNTRIES & !EG {
                0 if written => ARTAX | TAX,
                0 => ARTAX,
                _ => 0,
            };
            self.weigh(
                st.span,
                Entity::EgTax,
                15,
                false,
                own | self.both_with(st, EG, TAX),
                0,
            );
            self.weigh(
                st.span,
                Entity::PhTin,
                15,
                false,
                self.both_with(st, PH, TAX),
                0,
            );
        }
        if solid {
            if (1..=12).contains(&number(&d[2..4])) {
                self.weigh(
                    st.span,
                    Entity::BhCpr,
                    15,
                    false,
                    CPR & self.bahraini(st) | self.both(st, BH),
                    0,
                );
            }
            let words = self.both(st, OM) | self.civil(st);
            self.weigh(st.span, Entity::OmCivilNo, 15, false, words, 0);
        }
    }

    /// Words for a civil number of no country: Kuwait's has twelve digits, so one of seven to nine is Omani.
    fn civil(&self, st: &Stretch<'_>) -> Bits {
        let c = self.context(st.span.0, st.span.1);
        let words = c.closest();
        let named = words & CIVIL != 0 && words & (NUMBER | KSAID) != 0;
        if named && words & (COUNTRIES & !OM | IQAMA) == 0 {
            CIVIL
        } else {
            0
        }
    }

    pub(super) fn ten(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        let solid = st.solid();
        let nhs = 11 - weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        if nhs != 10 && val(d[9]) == nhs % 11 {
            let base = if st.shape(&[3, 3, 4]) && st.sep != b'.' {
                55
            } else {
                25
            };
            self.weigh(st.span, Entity::UkNhs, base, true, NHS, 0);
        }
        if matches!(d[0], b'1' | b'2') && (solid || st.even() || st.runs <= 4) {
            let saudi = IQAMA | self.both(st, SA | KSAID) | (self.saudi_civil(st));
            if luhn(d) {
                // The words may follow: `2008912525 is my national ID`.
                let c = self.context(st.span.0, st.span.1);
                let told = c.near == 0
                    && c.far & NATIONAL != 0
                    && c.far & ID != 0
                    && c.far & COUNTRIES & !SA == 0;
                let saudi = if told { saudi | NATIONAL } else { saudi };
                self.weigh(st.span, Entity::SaNationalId, 25, true, saudi, NATIONAL);
            } else {
                // The check digit is not published officially: strong words alone can carry it.
                self.weigh(
                    st.span,
                    Entity::SaNationalId,
                    8,
                    false,
                    saudi & (IQAMA | SA),
                    0,
                );
            }
        }
        if solid {
            // The first digit is the region's, or 7 for the unified number.
            if matches!(d[0], b'1'..=b'5' | b'7') {
                self.weigh(st.span, Entity::SaCr, 15, false, CR, 0);
            }
            if matches!(d[0], b'1' | b'2') && {
                let mut full = *b"80840..........";
                full[5..15].copy_from_slice(d);
                luhn(&full)
            } {
                self.weigh(st.span, Entity::UsNpi, 25, true, NPI, 0);
            }
            // `الرقم الوطني` of no other country; others have other lengths.
            let c = self.context(st.span.0, st.span.1);
            let words = c.closest();
            let named = if words & (COUNTRIES | KSAID) & !JO != 0 {
                0
            } else if words & NUMBER != 0 && words & PHONE == 0 && matches!(d[0], b'2' | b'9') {
                // `national number`.
                WATANI | NATIONAL
            } else {
                WATANI
            };
            self.weigh(
                st.span,
                Entity::JoNationalNo,
                15,
                false,
                named | self.both(st, JO),
                0,
            );
        }
        let sv = luhn(d);
        if sv && (solid || st.shape(&[6, 4])) {
            let (yy, mm, mut dd) = (number(&d[..2]), number(&d[2..4]), number(&d[4..6]));
            dd -= if dd > 60 { 60 } else { 0 };
            let real = checks::date(1900 + yy, mm, dd) || checks::date(2000 + yy, mm, dd);
            let hyphen = st.shape(&[6, 4]) && matches!(st.sep, b'-');
            if real {
                self.weigh(
                    st.span,
                    Entity::SePersonnummer,
                    if hyphen { 80 } else { 30 },
                    true,
                    PERSONNR | SE,
                    0,
                );
            } else if mm >= 20 {
                self.weigh(
                    st.span,
                    Entity::SeOrgnr,
                    if hyphen { 55 } else { 25 },
                    true,
                    COMPANY & self.context(st.span.0, st.span.1).closest()
                        | SE
                        | self.both_with(st, NUMBER, ORG),
                    0,
                );
            }
        }
        let brn = weighted(d, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + val(d[8]) * 5 / 10;
        if (10 - brn % 10) % 10 == val(d[9]) && (solid || st.shape(&[3, 2, 5])) {
            self.weigh(
                st.span,
                Entity::KrBrn,
                if st.shape(&[3, 2, 5]) && st.sep == b'-' {
                    70
                } else {
                    25
                },
                true,
                BRN | KR,
                0,
            );
        }
        if matches!(d[0], b'2'..=b'6') && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == val(d[8]) {
            let base = if st.shape(&[4, 5, 1]) { 75 } else { 25 };
            self.weigh(
                st.span,
                Entity::AuMedicare,
                base,
                true,
                MEDICARE | AU,
                HEALTH,
            );
        }
    }
}
