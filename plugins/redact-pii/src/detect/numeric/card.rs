//! Payment cards: twelve to nineteen digits in an issuer's range that pass Luhn (ISO/IEC 7812-1).

use super::super::checks::luhn;
use super::super::context::*;
use super::super::entity::Entity;
use super::super::group::{Group, Stretch};
use super::super::regions;
use super::super::scan::Scanner;
use super::{Edges, years};

impl Scanner<'_> {
    /// Nominates a card of sixteen digits in four groups, which needs no words; whether it did.
    pub(super) fn sole_card(&mut self, st: &Stretch<'_>, e: Edges) -> bool {
        let firm = st.shape(&[4, 4, 4, 4])
            && matches!(st.sep, b' ' | b'-')
            && !e.attached
            && !e.cut
            && regions::card_range(st.d)
            && (!st.d.starts_with(b"35") || regions::jcb(st.d))
            && luhn(st.d)
            && st.d.iter().any(|&b| b != st.d[0])
            && !self.continues_by_four(st);
        if firm {
            self.put(st.span.0, st.span.1, Entity::CreditCard, 92, true);
        }
        firm && self.wants(Entity::CreditCard)
    }

    /// Nominates cards that stand side by side, `4111 1111 1111 1111 5555 5555 5555 4444`: each alone looks cut out
    /// of something longer, together they are nothing else. Whether they did.
    pub(super) fn row_of_cards(&mut self, g: &Group) -> bool {
        if g.n < 8 || !g.n.is_multiple_of(4) || !self.wants(Entity::CreditCard) {
            return false;
        }
        let cards = |first: usize| {
            g.stretch(first, first + 3)
                .filter(|st| st.shape(&[4, 4, 4, 4]))
                .filter(|st| regions::card_range(st.d) && luhn(st.d) && !years(st))
                .map(|st| st.span)
        };
        if !(0..g.n).step_by(4).all(|first| cards(first).is_some()) {
            return false;
        }
        for span in (0..g.n).step_by(4).filter_map(cards) {
            self.put(span.0, span.1, Entity::CreditCard, 92, true);
        }
        true
    }

    /// A payment card: its issuer's range, Luhn, and how its digits are grouped.
    pub(super) fn card(&mut self, st: &Stretch<'_>, e: Edges) {
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
        // Columns of a table and bytes of a dump are no groups of a card; read out in pairs, it is called one.
        let pairs = || {
            let near = self.context(st.span.0, st.span.1).near;
            st.lens[0] == 2 && st.even() && !e.cut && near & CARD != 0
        };
        if !standard && (st.sep == b'*' && !st.even() || st.runs > 6 && st.lens[0] != 1 && !pairs())
        {
            return;
        }
        // A window of single digits.
        if e.cut && st.runs > 6 && st.lens[0] == 1 {
            return;
        }
        // `6011 9140 2060 9059 -120,00`: a card, and what was paid with it.
        let head = d.len() - usize::from(st.lens[st.runs - 1]);
        if st.apart && head >= 13 && regions::card_range(&d[..head]) && luhn(&d[..head]) {
            return;
        }
        let near_four = e.cut && st.runs > 1 && self.continues_by_four(st);
        // Three groups of four: a mistyped card has such too.
        if near_four && d.len() < 13 {
            return;
        }
        let c = self.context(st.span.0, st.span.1);
        let tax = (c.near | c.far) & (VAT | TAX | TRN) != 0 && c.near & CARD == 0;
        let maestro = matches!(d[0], b'5' | b'6') && !d.starts_with(b"62");
        // Lengths and ranges that are rare beside other numbers of their kind: they need a word.
        let unusual = matches!(d.len(), 17 | 18) && maestro
            || d.len() == 15 && (d.starts_with(b"36") || tax && st.solid())
            || d.len() < 16 && matches!(d[0], b'5' | b'6')
            || d.starts_with(b"35") && !regions::jcb(d);
        // `0.5345013509544777`: one in thirty fractions of sixteen digits would pass.
        let fraction = st.solid()
            && self.before(st.span.0) == b'.'
            && self.before(st.span.0 - 1).is_ascii_digit();
        // An Egyptian's number that passes: `carte d'identité` is a card too.
        let egyptian = d.len() == 14 && c.near & (EG | ID | NATIONAL) != 0;
        let base = if egyptian || fraction {
            25
        } else if d.len() < 13 {
            // Twelve digits leave Maestro's wide range: a tenth of such numbers would pass.
            25
        } else if unusual && tax {
            25
        } else if unusual {
            45
        } else if d.len() > 16 && st.solid() {
            // As long as a 64-bit identifier, of which one in ten passes.
            if d[0] == b'4' && d.len() == 19 {
                55
            } else {
                45
            }
        } else if d.len() == 13 {
            60
        } else if d.len() == 14 && st.solid() {
            // A French establishment's number has this length and passes twice.
            if luhn(&d[..9]) { 60 } else { 79 }
        } else if near_four || (e.attached && st.runs > 1) {
            25
        } else if standard {
            92
        } else if st.even() {
            70
        } else {
            40
        };
        let general = if d.len() < 14 { 0 } else { ACCOUNT };
        self.weigh(st.span, Entity::CreditCard, base, true, CARD, general);
    }

    /// Whether a run of exactly four digits goes on right before or after: then this is a window of
    /// something longer, such as a mistyped IBAN.
    pub(super) fn continues_by_four(&self, st: &Stretch<'_>) -> bool {
        let (a, b) = st.span;
        let after = self.at(b + 1).is_ascii_digit() && self.word_end(b + 1) == b + 5;
        let before = a >= 5
            && self.s[a - 5..a - 1].iter().all(u8::is_ascii_digit)
            && !matches!(self.before(a - 5), b'-' | b'/' | b'.');
        after || before
    }
}
