//! Identifiers made of digits only, by length and checksum.
//!
//! Base scores: 92 where chance passes less than once in a thousand numbers or the written shape is the
//! scheme's own, 60 to 75 for a shape with a weak check, 25 for a weak check alone (one in ten), 15 for
//! no check at all. What starts below the threshold needs words near it.

use super::checks::{self, luhn, number, val, weighted};
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
        let closes = |i: usize| !s.get(i).is_some_and(u8::is_ascii_alphanumeric) || view.gap_at(i);
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
                let Some(st) = g.stretch(first, last) else {
                    break;
                };
                if st.d.len() < 7 {
                    continue;
                }
                if dated && last - first < 5 && st.d.len() < 12 {
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
            cut |= sep == inner || (inner == 0 && g.len(first - 1) < 6 && g.len(first) < 8);
        } else {
            let b = self.before(start);
            let bb = start.checked_sub(2).map_or(0, |i| self.at(i));
            attached |= match b {
                b'-' | b'.' | b'_' | b'/' | b'\\' => {
                    bb.is_ascii_digit()
                        || (bb.is_ascii_alphabetic() && self.word_before(start - 1) & !NEG == 0)
                }
                b'#' | b'$' => true,
                b',' => bb.is_ascii_digit() && g.len(0) == 3,
                _ => false,
            };
        }
        if last + 1 < g.n {
            let sep = g.seps[last];
            attached |=
                matches!(sep, b'-' | b'.' | b'_' | b'\\') || (sep == b'/' && g.len(last + 1) < 7);
            cut |= sep == inner || (inner == 0 && g.len(last + 1) < 6 && g.len(last) < 8);
        } else {
            let n = self.at(end + 1);
            attached |= match self.at(end) {
                b'-' | b'_' | b'/' => n.is_ascii_alphanumeric(),
                b',' => {
                    n.is_ascii_digit()
                        && !self.at(end + 4).is_ascii_digit()
                        && self.at(end + 3).is_ascii_digit()
                }
                b'%' => true,
                _ => false,
            };
        }
        Edges { attached, cut }
    }

    /// What the ASCII word that ends before `end` suggests.
    fn word_before(&self, end: usize) -> Bits {
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
        if st.d.iter().all(|&b| b == st.d[0]) {
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
            20 | 24 => self.account(st),
            _ => {}
        }
        if alone {
            self.named_only(st);
        }
    }

    fn card(&mut self, st: &Stretch<'_>, e: Edges) {
        let d = st.d;
        if !(12..=19).contains(&d.len())
            || !regions::card_range(d)
            || !luhn(d)
            || d.iter().all(|&b| b == d[0])
        {
            return;
        }
        let standard = st.solid()
            || match d.len() {
                14 => st.shape(&[4, 6, 4]),
                15 => st.shape(&[4, 6, 5]) || st.shape(&[4, 4, 4, 3]),
                16 => st.shape(&[4, 4, 4, 4]),
                19 => st.shape(&[4, 4, 4, 4, 3]) || st.shape(&[6, 13]),
                _ => st.even() && st.lens[0] >= 4,
            };
        let near_four = e.cut && st.runs > 1 && self.continues_by_four(st);
        let base = if d.len() < 13 {
            // Twelve digits leave Maestro's wide range: a tenth of such numbers would pass.
            25
        } else if d.len() < 16 && matches!(d[0], b'5' | b'6') {
            45
        } else if d.len() == 13 {
            60
        } else if d.len() == 14 && st.solid() {
            85
        } else if near_four || (e.attached && st.runs > 1) {
            25
        } else if standard {
            92
        } else if st.even() {
            70
        } else {
            40
        };
        self.weigh(st.span, Entity::CreditCard, base, true, CARD, ACCOUNT);
    }

    /// Whether a run of exactly four digits goes on right before or after: then this is a window of
    /// something longer, such as a mistyped IBAN.
    fn continues_by_four(&self, st: &Stretch<'_>) -> bool {
        let (a, b) = st.span;
        let after = self.at(b + 1).is_ascii_digit() && self.word_end(b + 1) == b + 5;
        let before = a >= 5
            && self.s[a - 5..a - 1].iter().all(u8::is_ascii_digit)
            && !matches!(self.before(a - 5), b'-' | b'/' | b'.');
        after || before
    }

    fn seven(&mut self, st: &Stretch<'_>) {
        if st.solid() {
            self.weigh(st.span, Entity::OmCivilNo, 15, false, self.both(st, OM), 0);
        }
    }

    fn eight(&mut self, st: &Stretch<'_>) {
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
            let tunisian = self.both(st, TN);
            self.weigh(st.span, Entity::TnCin, 15, false, CIN | tunisian, 0);
        }
        self.weigh(st.span, Entity::OmCivilNo, 15, false, self.both(st, OM), 0);
    }

    fn nine(&mut self, st: &Stretch<'_>) {
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
            } else if solid || st.even() {
                15
            } else {
                0
            };
            self.weigh(st.span, Entity::UsSsn, base, false, SSN, 0);
        }
        if area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99) {
            let base = if st.shape(&[3, 2, 4]) { 70 } else { 15 };
            self.weigh(st.span, Entity::UsItin, base, false, ITIN | SSN, TAX);
        }
        if !(solid || threes || st.even() || st.runs <= 4) {
            return;
        }
        if luhn(d) && !matches!(d[0], b'0' | b'8') {
            let base = if threes && st.sep == b'-' { 60 } else { 25 };
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
                ACN,
                self.both_with(st, AU, COMPANY),
            );
        }
        if weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) {
            self.weigh(
                st.span,
                Entity::AuTfn,
                25,
                true,
                TFN,
                self.both_with(st, AU, TAX),
            );
        }
        if threes || solid {
            self.weigh(
                st.span,
                Entity::EgTax,
                15,
                false,
                self.both_with(st, EG, TAX),
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
                    CPR & self.bahraini(st),
                    0,
                );
            }
            self.weigh(st.span, Entity::OmCivilNo, 15, false, self.both(st, OM), 0);
        }
    }

    fn ten(&mut self, st: &Stretch<'_>) {
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
            let saudi = IQAMA | self.both(st, SA) | (self.saudi_civil(st));
            if luhn(d) {
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
            if d[0] == b'7' || matches!(&d[..2], b"10" | b"20" | b"40") {
                self.weigh(st.span, Entity::SaCr, 15, false, CR, 0);
            }
            if matches!(d[0], b'1' | b'2') && {
                let mut full = *b"80840..........";
                full[5..15].copy_from_slice(d);
                luhn(&full)
            } {
                self.weigh(st.span, Entity::UsNpi, 25, true, NPI, 0);
            }
            self.weigh(
                st.span,
                Entity::JoNationalNo,
                15,
                false,
                self.both(st, JO),
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
                    COMPANY | SE,
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

    fn eleven(&mut self, st: &Stretch<'_>) {
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
        if solid
            && checks::luhn(d)
            && d[..7].iter().any(|&b| b != b'0')
            && matches!(number(&d[7..10]), 1..=100 | 120 | 121 | 888 | 999)
        {
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
                self.weigh(
                    st.span,
                    Entity::BeNrn,
                    if shaped { 92 } else { 55 },
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
            self.weigh(st.span, Entity::NgNin, 25, true, NIN | NG, 0);
        }
        if st.solid() && matches!(d[0], b'2' | b'3') && regions::iso_numeric(number(&d[3..6])) {
            self.weigh(st.span, Entity::QaQid, 40, true, QID | QA, 0);
        }
        if matches!(d[0], b'2'..=b'6')
            && st.shape(&[4, 5, 1, 1])
            && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == val(d[8])
        {
            self.weigh(st.span, Entity::AuMedicare, 75, true, MEDICARE | AU, HEALTH);
        }
    }

    fn twelve(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        if matches!(d[0], b'2'..=b'9')
            && checks::verhoeff(d)
            && d.iter().ne(d.iter().rev())
            && (st.solid() || st.even())
        {
            let base = if st.shape(&[4, 4, 4]) && !self.continues_by_four(st) {
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
            self.weigh(
                st.span,
                Entity::IqNationalCard,
                15,
                false,
                self.both(st, IQ),
                0,
            );
            self.weigh(st.span, Entity::LbId, 15, false, self.both(st, LB), 0);
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

    fn thirteen(&mut self, st: &Stretch<'_>) {
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

    fn fourteen(&mut self, st: &Stretch<'_>) {
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

    fn fifteen(&mut self, st: &Stretch<'_>, loose: bool) {
        let d = st.d;
        let luhn_ok = luhn(d);
        if d.starts_with(b"784") && luhn_ok && (st.solid() || st.runs <= 5 || st.even()) {
            let base = if st.shape(&[3, 4, 7, 1]) { 95 } else { 85 };
            self.weigh(st.span, Entity::AeEmiratesId, base, true, EID | AE, ID);
        }
        if matches!(d[0], b'1' | b'2') && loose && nir_body(d) {
            let n = number(&d[..13]);
            if 97 - n % 97 == number(&d[13..]) {
                self.weigh(st.span, Entity::FrNir, 92, true, NIR, ID);
            }
        }
        if !loose {
            return;
        }
        if (st.solid() || st.shape(&[9, 4, 2]) || st.even())
            && checks::mod97(d.iter().copied()) == Some(0)
        {
            let base = match (d.starts_with(b"00"), &d[9..11] == b"00") {
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
                12,
                false,
                NIF | self.both_with(st, DZ, TAX),
                0,
            );
        }
    }

    fn eighteen(&mut self, st: &Stretch<'_>) {
        if st.solid() || st.even() || st.runs <= 6 {
            self.weigh(
                st.span,
                Entity::DzNin,
                15,
                false,
                NIN | self.both(st, DZ),
                0,
            );
        }
    }

    fn account(&mut self, st: &Stretch<'_>) {
        let d = st.d;
        if d.len() == 20 {
            if checks::mod97(d.iter().copied()) == Some(0)
                && regions::tunisian_bank(number(&d[..2]))
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
        if (8..=20).contains(&n) && (st.solid() || st.even() || st.runs <= 5) {
            let c = self.context(st.span.0, st.span.1);
            if c.near & ACCOUNT != 0 && c.near & (CARD | NEG | ROUTING | SWIFT | RIB | PHONE) == 0 {
                self.put(st.span.0, st.span.1, Entity::BankAccount, 52, false);
            }
            if st.solid() && n <= 12 {
                if c.near & PASSPORT != 0 && c.near & NEG == 0 && (8..=9).contains(&n) {
                    self.put(st.span.0, st.span.1, Entity::Passport, 55, false);
                }
                if c.near & LICENSE != 0 && c.near & NEG == 0 {
                    self.put(st.span.0, st.span.1, Entity::DriverLicense, 52, false);
                }
            }
        }
        if n == 7 && st.solid() {
            let c = self.context(st.span.0, st.span.1);
            if c.near & LICENSE != 0 && c.near & NEG == 0 {
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
        if all & SA != 0
            && all & (ID | CIVIL | IQAMA | NATIONAL) != 0
            && all & (QA | KW | BH | AE | OM | JO | EG) & !SA == 0
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

/// Sex, year, month and department of a French social security number without Corsica.
fn nir_body(d: &[u8]) -> bool {
    matches!(number(&d[3..5]), 1..=12 | 20..=42 | 50..=99) && number(&d[5..7]) >= 1
}
