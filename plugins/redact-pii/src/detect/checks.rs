//! Check digits: pure functions that say whether a compact identifier is arithmetically valid.
//!
//! Digits come as ASCII bytes without separators. Every function answers `false` for input of the
//! wrong length or alphabet instead of panicking, so that callers need no guard of their own.

use sha2::{Digest, Sha256};

/// Value of an ASCII digit; anything else counts as 0 (callers pass digits only).
#[inline]
#[must_use]
pub fn val(b: u8) -> u32 {
    if b.is_ascii_digit() {
        u32::from(b - b'0')
    } else {
        0
    }
}

/// The decimal number that a few digits spell.
#[must_use]
pub fn number(d: &[u8]) -> u64 {
    d.iter()
        .take(19)
        .fold(0, |n, &b| n * 10 + u64::from(val(b)))
}

/// Sum of digit times weight, as far as the shorter of the two goes.
#[must_use]
pub fn weighted(d: &[u8], weights: &[u32]) -> u32 {
    d.iter().zip(weights).map(|(&b, &w)| val(b) * w).sum()
}

/// Luhn (ISO/IEC 7812-1), the check digit last.
#[must_use]
pub fn luhn(d: &[u8]) -> bool {
    if d.is_empty() {
        return false;
    }
    let mut sum = 0;
    for (i, &b) in d.iter().rev().enumerate() {
        let v = val(b);
        sum += if i % 2 == 1 {
            if v > 4 { v * 2 - 9 } else { v * 2 }
        } else {
            v
        };
    }
    sum % 10 == 0
}

/// Remainder modulo 97 of the number in which letters count as two digits, A = 10 (ISO 7064, ISO 13616).
#[must_use]
pub fn mod97(bytes: impl Iterator<Item = u8>) -> Option<u32> {
    let mut r: u32 = 0;
    for b in bytes {
        r = match b {
            b'0'..=b'9' => (r * 10 + u32::from(b - b'0')) % 97,
            b'A'..=b'Z' => (r * 100 + u32::from(b - b'A') + 10) % 97,
            _ => return None,
        };
    }
    Some(r)
}

/// IBAN arithmetic: the first four characters moved to the end give 1 modulo 97.
#[must_use]
pub fn iban_mod97(compact: &[u8]) -> bool {
    let Some((head, tail)) = compact.split_at_checked(4) else {
        return false;
    };
    mod97(tail.iter().chain(head).copied()) == Some(1)
}

/// Verhoeff's dihedral check, the check digit last.
#[must_use]
pub fn verhoeff(d: &[u8]) -> bool {
    const D: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const P: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let mut c = 0u8;
    for (i, &b) in d.iter().rev().enumerate() {
        let p = P[i % 8][val(b) as usize];
        c = D[usize::from(c)][usize::from(p)];
    }
    !d.is_empty() && c == 0
}

/// ISO 7064 mod 11,10 (German tax id), the check digit last.
#[must_use]
pub fn mod11_10(d: &[u8]) -> bool {
    let Some((&check, body)) = d.split_last() else {
        return false;
    };
    let mut p = 10;
    for &b in body {
        let mut s = (val(b) + p) % 10;
        if s == 0 {
            s = 10;
        }
        p = (s * 2) % 11;
    }
    (11 - p) % 10 == val(check)
}

/// The ICAO 9303 check digit of a machine-readable field: weights 7, 3, 1; A = 10, `<` = 0.
#[must_use]
pub fn icao(field: &[u8]) -> Option<u32> {
    let mut sum = 0;
    for (i, &b) in field.iter().enumerate() {
        let v = match b {
            b'0'..=b'9' => u32::from(b - b'0'),
            b'A'..=b'Z' => u32::from(b - b'A') + 10,
            b'<' => 0,
            _ => return None,
        };
        sum += v * [7, 3, 1][i % 3];
    }
    Some(sum % 10)
}

/// Whether `year-month-day` exists in the Gregorian calendar.
#[must_use]
pub fn date(year: u64, month: u64, day: u64) -> bool {
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=last).contains(&day)
}

/// `YYMMDD` in either century.
#[must_use]
pub fn yymmdd(d: &[u8]) -> bool {
    let (Some(y), Some(m), Some(day)) = (d.get(..2), d.get(2..4), d.get(4..6)) else {
        return false;
    };
    let (y, m, day) = (number(y), number(m), number(day));
    date(1900 + y, m, day) || date(2000 + y, m, day)
}

/// The value of a letter or digit where A = 10 (mod-36 schemes).
#[must_use]
pub fn base36(b: u8) -> Option<u32> {
    char::from(b).to_digit(36)
}

/// The Italian fiscal code's check letter over 15 upper-case characters.
#[must_use]
pub fn codice_fiscale(c: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    if c.len() != 16 {
        return false;
    }
    let mut sum = 0;
    for (i, &b) in c.iter().take(15).enumerate() {
        let idx = match b {
            b'0'..=b'9' => b - b'0',
            b'A'..=b'Z' => b - b'A',
            _ => return false,
        };
        sum += if i % 2 == 0 {
            ODD[usize::from(idx)]
        } else {
            u32::from(idx)
        };
    }
    c.last()
        .is_some_and(|&l| u32::from(l) == u32::from(b'A') + sum % 26)
}

/// The vehicle identification number's ninth character (ISO 3779 as North America applies it).
#[must_use]
pub fn vin(c: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    if c.len() != 17 {
        return false;
    }
    let mut sum = 0;
    for (&b, w) in c.iter().zip(WEIGHTS) {
        let v = match b {
            b'0'..=b'9' => u32::from(b - b'0'),
            b'A'..=b'H' => u32::from(b - b'A') + 1,
            b'J'..=b'N' => u32::from(b - b'J') + 1,
            b'P' => 7,
            b'R' => 9,
            b'S'..=b'Z' => u32::from(b - b'S') + 2,
            _ => return false,
        };
        sum += v * w;
    }
    let want = match sum % 11 {
        10 => b'X',
        n => b'0' + u8::try_from(n).unwrap_or(0),
    };
    c.get(8) == Some(&want)
}

/// Base58Check (Bitcoin, TRON): decodes to 21 bytes of version and hash and 4 of double SHA-256.
#[must_use]
pub fn base58check(c: &[u8], versions: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut out = [0u8; 25];
    for &b in c {
        let Some(mut carry) = ALPHABET.iter().position(|&a| a == b) else {
            return false;
        };
        for byte in out.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let (body, check) = out.split_at(21);
    versions.contains(&out[0]) && Sha256::digest(Sha256::digest(body)).starts_with(check)
}

/// A segwit address (BIP-173, BIP-350): lower-case `bc1...` with its bech32 or bech32m checksum.
#[must_use]
pub fn bech32(c: &[u8]) -> bool {
    const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let Some(separator) = c.iter().rposition(|&b| b == b'1') else {
        return false;
    };
    let (hrp, data) = (&c[..separator], &c[separator + 1..]);
    if hrp.is_empty() || data.len() < 8 {
        return false;
    }
    let mut chk: u32 = 1;
    let mut step = |v: u32| {
        let top = chk >> 25;
        chk = ((chk & 0x01ff_ffff) << 5) ^ v;
        for (i, g) in GENERATOR.iter().enumerate() {
            if (top >> i) & 1 == 1 {
                chk ^= g;
            }
        }
    };
    hrp.iter().for_each(|&b| step(u32::from(b) >> 5));
    step(0);
    hrp.iter().for_each(|&b| step(u32::from(b) & 31));
    for &b in data {
        let Some(v) = CHARSET.iter().position(|&x| x == b.to_ascii_lowercase()) else {
            return false;
        };
        step(u32::try_from(v).unwrap_or(0));
    }
    chk == 1 || chk == 0x2bc8_30a3
}

/// Bits of Shannon entropy per byte.
#[must_use]
pub fn entropy(bytes: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|&b| counts[usize::from(b)] += 1);
    let n = bytes.len() as f32;
    counts
        .iter()
        .filter(|&&c| c > 0)
        .map(|&c| {
            let p = c as f32 / n;
            -p * p.log2()
        })
        .sum()
}

/// The CRC-32 (IEEE) of some bytes.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| {
            if c & 1 == 1 {
                (c >> 1) ^ 0xedb8_8320
            } else {
                c >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_hold() {
        assert!(luhn(b"4111111111111111") && !luhn(b"4111111111111112"));
        assert!(iban_mod97(b"GB82WEST12345698765432") && !iban_mod97(b"GB83WEST12345698765432"));
        assert!(iban_mod97(b"TN5910006035183598478831"));
        assert!(verhoeff(b"2363") && !verhoeff(b"2364"));
        assert!(mod11_10(b"86095742719") && !mod11_10(b"86095742718"));
        assert!(codice_fiscale(b"RSSMRA85T10A562S") && !codice_fiscale(b"RSSMRA85T10A562T"));
        assert!(vin(b"1M8GDM9AXKP042788") && !vin(b"1M8GDM9A1KP042788"));
        assert!(base58check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", &[0, 5]));
        assert!(!base58check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", &[0, 5]));
        assert!(bech32(b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
        assert!(bech32(
            b"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
        ));
        assert!(!bech32(b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"));
        assert_eq!(icao(b"L898902C3"), Some(6));
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn calendar() {
        assert!(
            date(2000, 2, 29) && !date(1900, 2, 29) && !date(2023, 4, 31) && !date(2023, 13, 1)
        );
        assert!(yymmdd(b"000229") && !yymmdd(b"990230") && !yymmdd(b"99"));
    }
}
