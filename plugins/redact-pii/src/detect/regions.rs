//! Numbering facts: card ranges, IBAN shapes, ISO country codes, Tunisian banks.

use super::checks::number;

/// Whether the first digits and the length belong to a payment network.
#[must_use]
pub fn card_range(d: &[u8]) -> bool {
    let Some(p) = d.get(..6) else { return false };
    let n = number(p);
    let (two, three, four) = (n / 10_000, n / 1000, n / 100);
    match d.len() {
        16 if (51..=55).contains(&two) || (2221..=2720).contains(&four) => true,
        13 | 16 | 18 | 19 if two / 10 == 4 => true,
        15 if two == 34 || two == 37 => true,
        15 if matches!(four, 1800 | 2131) => true,
        14..=19 if two == 36 => true,
        14 | 16..=19 if matches!(three, 300..=305) || matches!(two, 38 | 39) || four == 3095 => {
            true
        }
        16..=19 if matches!(four, 6011) || matches!(three, 644..=649) || two == 65 => true,
        16..=19 if two == 62 || two == 81 => true,
        16..=19 if jcb(d) => true,
        // Beside the assigned range of JCB: needs the word.
        16 if two == 35 => true,
        16..=19 if (2200..=2204).contains(&four) => true,
        16 if matches!(four, 9792) || matches!(two, 60) => true,
        12..=19 => matches!(two, 50 | 56..=69),
        _ => false,
    }
}

/// Whether a number of sixteen digits or more is in the range assigned to JCB.
#[must_use]
pub fn jcb(d: &[u8]) -> bool {
    d.get(..4)
        .is_some_and(|p| (3528..=3589).contains(&number(p)))
}

/// Total lengths of IBANs by country (SWIFT registry, and the unofficial ones of Morocco, Algeria, ...).
const IBAN: &[(&[u8; 2], u8)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AO", 25),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BF", 28),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BJ", 28),
    (b"BR", 29),
    (b"BY", 28),
    (b"CF", 27),
    (b"CG", 27),
    (b"CH", 21),
    (b"CI", 28),
    (b"CM", 27),
    (b"CR", 22),
    (b"CV", 25),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"DZ", 26),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GA", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GQ", 27),
    (b"GR", 27),
    (b"GT", 28),
    (b"GW", 25),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IR", 26),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KM", 27),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MA", 28),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MG", 27),
    (b"MK", 19),
    (b"ML", 28),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"MZ", 25),
    (b"NE", 28),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SN", 28),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TD", 27),
    (b"TG", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// The length of an IBAN of that country.
#[must_use]
pub fn iban_length(country: [u8; 2]) -> Option<usize> {
    IBAN.binary_search_by(|(c, _)| (*c).cmp(&country))
        .ok()
        .map(|i| usize::from(IBAN[i].1))
}

/// How many letters begin the account part; the rest of it is digits unless `None`.
#[must_use]
pub fn iban_bban(country: [u8; 2], bban: &[u8]) -> bool {
    let (letters, digits_from): (usize, Option<usize>) = match &country {
        b"GB" | b"IE" | b"NL" | b"RO" | b"BH" | b"IQ" | b"LV" | b"GI" | b"MU" | b"PK" | b"QA"
        | b"KW" | b"JO" | b"BG" | b"BY" | b"DO" | b"GT" | b"PS" | b"AZ" | b"GE" | b"VG" => {
            match &country {
                b"GB" | b"IE" | b"NL" | b"IQ" => (4, Some(4)),
                b"GE" => (2, Some(2)),
                b"BY" => (0, None),
                b"DO" | b"GT" => (0, None),
                _ => (4, None),
            }
        }
        b"IT" | b"SM" => (1, None),
        b"TN" | b"AE" | b"EG" | b"MA" | b"DZ" | b"DE" | b"BE" | b"ES" | b"AT" | b"PT" | b"DK"
        | b"NO" | b"SE" | b"FI" | b"PL" | b"CZ" | b"SK" | b"HU" | b"IL" | b"LY" | b"MR" | b"DJ"
        | b"SO" | b"SD" | b"SI" | b"HR" | b"RS" | b"EE" | b"LT" | b"IS" => (0, Some(0)),
        _ => (0, None),
    };
    bban.get(..letters)
        .is_some_and(|l| l.iter().all(u8::is_ascii_uppercase))
        && digits_from.is_none_or(|n| {
            bban.get(n..)
                .is_some_and(|r| r.iter().all(u8::is_ascii_digit))
        })
}

/// Tunisian bank codes in use, as the first two digits of a RIB.
#[must_use]
pub fn tunisian_bank(code: u64) -> bool {
    (1..=49).contains(&code) || code == 84
}

/// ISO 3166 numeric codes.
#[must_use]
pub fn iso_numeric(n: u64) -> bool {
    const CODES: &[u16] = &[
        4, 8, 10, 12, 16, 20, 24, 28, 31, 32, 36, 40, 44, 48, 50, 51, 52, 56, 60, 64, 68, 70, 72,
        74, 76, 84, 86, 90, 92, 96, 100, 104, 108, 112, 116, 120, 124, 132, 136, 140, 144, 148,
        152, 156, 158, 162, 166, 170, 174, 175, 178, 180, 184, 188, 191, 192, 196, 203, 204, 208,
        212, 214, 218, 222, 226, 231, 232, 233, 234, 238, 239, 242, 246, 248, 250, 254, 258, 260,
        262, 266, 268, 270, 275, 276, 288, 292, 296, 300, 304, 308, 312, 316, 320, 324, 328, 332,
        334, 336, 340, 344, 348, 352, 356, 360, 364, 368, 372, 376, 380, 384, 388, 392, 398, 400,
        404, 408, 410, 414, 417, 418, 422, 426, 428, 430, 434, 438, 440, 442, 446, 450, 454, 458,
        462, 466, 470, 474, 478, 480, 484, 492, 496, 498, 499, 500, 504, 508, 512, 516, 520, 524,
        528, 531, 533, 534, 535, 540, 548, 554, 558, 562, 566, 570, 574, 578, 580, 581, 583, 584,
        585, 586, 591, 598, 600, 604, 608, 612, 616, 620, 624, 626, 630, 634, 638, 642, 643, 646,
        652, 654, 659, 660, 662, 663, 666, 670, 674, 678, 682, 686, 688, 690, 694, 702, 703, 704,
        705, 706, 710, 716, 724, 728, 729, 732, 740, 744, 748, 752, 756, 760, 762, 764, 768, 772,
        776, 780, 784, 788, 792, 795, 796, 798, 800, 804, 807, 818, 826, 831, 832, 833, 834, 840,
        850, 854, 858, 860, 862, 876, 882, 887, 894,
    ];
    u16::try_from(n).is_ok_and(|n| CODES.binary_search(&n).is_ok())
}

/// ISO 3166 alpha-2 codes of countries whose banks have SWIFT codes.
#[must_use]
pub fn iso_alpha2(c: &[u8]) -> bool {
    const CODES: &[u8] = b"ADAEAFAGAIALAMAOARATAUAWAZBABBBDBEBFBGBHBIBJBMBNBOBRBSBTBWBYBZCACDCFCGCHCICKCLCMCNCOCRCUCVCWCYCZ\
DEDJDKDMDODZECEEEGERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGTGUGWGYHKHNHRHTHUIDIEILIMINIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZ\
LALBLCLILKLRLSLTLULVLYMAMCMDMEMGMHMKMLMMMNMOMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNZOMPAPEPFPGPHPKPLPMPRPSPTPWPYQARERORSRURWSASB\
SCSDSESGSHSISKSLSMSNSOSRSSSTSVSXSYSZTCTDTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUSUYUZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZW";
    c.len() == 2 && CODES.chunks_exact(2).any(|x| x == c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(IBAN.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(iban_length(*b"TN"), Some(24));
        assert!(iso_numeric(788) && !iso_numeric(789));
        assert!(iso_alpha2(b"TN") && !iso_alpha2(b"QQ"));
    }

    #[test]
    fn card_ranges() {
        for good in [
            "4111111111111111",
            "2221000000000009",
            "378282246310005",
            "6759649826438453",
            "4000000000000000006",
            "501800000009",
        ] {
            assert!(card_range(good.as_bytes()), "{good}");
        }
        for bad in ["9111111111111111", "2121000000000009", "1234567890123456"] {
            assert!(!card_range(bad.as_bytes()), "{bad}");
        }
    }
}
