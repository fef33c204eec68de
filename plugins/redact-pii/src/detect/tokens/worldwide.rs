//! Identifiers that mean the same everywhere: accounts, banks, legal entities, vehicles, wallets, travel
//! documents.

use super::super::checks::{self, val};
use super::super::context::*;
use super::super::entity::Entity;
use super::super::regions;
use super::super::scan::Scanner;
use super::Compact;

impl Scanner<'_> {
    pub(super) fn vin_lei(&mut self, a: usize, b: usize, c: &Compact) {
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

    pub(super) fn bic(&mut self, a: usize, b: usize) -> Option<usize> {
        let w = &self.s[a..b];
        let shape = matches!(w.len(), 8 | 11)
            && w[..6].iter().all(u8::is_ascii_uppercase)
            && !w.iter().any(u8::is_ascii_lowercase);
        if !shape || !regions::iso_alpha2(&w[4..6]) {
            return None;
        }
        let c = self.context(a, b);
        if (c.near | c.far) & SWIFT != 0 {
            self.put(a, b, Entity::Bic, 70, true);
            return Some(b);
        }
        None
    }

    /// An IBAN that begins at `a`, in any grouping, either case.
    pub(super) fn iban(&mut self, a: usize) -> Option<usize> {
        let s = self.s;
        let country = match s[a..] {
            [x, b' ', y, ..] | [x, y, ..] => [x.to_ascii_uppercase(), y.to_ascii_uppercase()],
            _ => return None,
        };
        let length = regions::iban_length(country)?;
        let c = self.compact(a, length);
        let x = c.get(length)?;
        let end = c.end[length - 1];
        if !x[2..4].iter().all(u8::is_ascii_digit)
            || !checks::iban_mod97(x)
            || !regions::iban_bban(country, &x[4..])
            || !self.closes(end)
            || !self.opens(a)
        {
            return None;
        }
        self.put(a, end, Entity::Iban, 97, true);
        Some(end)
    }

    /// A Bitcoin, Ethereum, TRON or Solana address that is this word.
    pub(super) fn wallet(&mut self, a: usize, b: usize) -> Option<usize> {
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

    /// Where the one or two further lines of `n` characters end that follow a zone's line.
    fn more_lines(&self, mut end: usize, n: usize, part: impl Fn(u8) -> bool) -> usize {
        for _ in 1..3 {
            let rest = &self.s[end..];
            let gap = [&b"\r\n"[..], b"\n", b"\\n", b" "]
                .iter()
                .find(|gap| rest.starts_with(gap))
                .map_or(0, |gap| gap.len());
            let line = rest.get(gap..gap + n).unwrap_or_default();
            let whole = line.contains(&b'<')
                && line.iter().all(|&b| part(b))
                // What follows may be a tag's `<` here too.
                && (!rest.get(gap + n).is_some_and(|&b| part(b)) || machine_readable(line));
            if gap == 0 || !whole {
                break;
            }
            end += gap + n;
        }
        end
    }

    /// A machine-readable zone, found from its first `<`.
    pub(in super::super) fn mrz(&mut self, at: usize) -> usize {
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
        // What follows may be a tag's `<`.
        for n in [44, 36, 30] {
            if b - a >= n && machine_readable(&s[a..a + n]) {
                let end = self.more_lines(a + n, n, part);
                self.put(a, end, Entity::Mrz, 92, true);
                return end;
            }
        }
        at + 1
    }
}

/// Whether a line is of a travel document: names, or numbers and dates with their check digits.
fn machine_readable(line: &[u8]) -> bool {
    let names = matches!(line[0], b'P' | b'I' | b'A' | b'C' | b'V')
        && line[2..5]
            .iter()
            .all(|&c| c.is_ascii_uppercase() || c == b'<')
        && line.windows(2).any(|w| w == b"<<");
    let check = |from: usize, to: usize| {
        line.get(from..to).and_then(checks::icao) == line.get(to).map(|&c| val(c))
    };
    // Second lines of TD3 and TD2: number, birth, expiry, each with its check digit.
    let data = line.len() >= 36 && check(0, 9) && check(13, 19) && check(21, 27);
    let card = line.len() == 30 && (check(0, 6) && check(8, 14) || check(5, 14));
    // A line of `<` alone passes every check.
    let digits = line.iter().filter(|c| c.is_ascii_digit()).count();
    names || digits > 3 && (data || card)
}
