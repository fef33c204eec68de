//! National entities of Europe.

use super::Style::{Exact, Loose};
use super::values::*;
use super::{Case, case};

/// Entities, labels and values.
pub const CASES: &[Case] = &[
    case(
        "UK_NHS",
        |r| {
            until(r, |r| {
                let b = format!("{}{}", r.range(1, 9), r.digits(8));
                let c = 11 - wsum(&b, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
                (c != 10).then(|| {
                    let v = format!("{b}{}", c % 11);
                    if r.one_in(3) {
                        v
                    } else {
                        grouped(&v, &[3, 3, 4], r.clone_pick(&[" ", "-"]))
                    }
                })
            })
        },
        &["NHS number", "NHS no"],
        &["numéro NHS"],
        &["رقم NHS"],
        false,
        Loose,
    ),
    case(
        "UK_NINO",
        |r| {
            let v = format!(
                "{}{}{}{}",
                r.chars("ABCEGHJKLMNPRSTWXYZ", 1),
                r.chars("ABCEHJLMPRSWXYZ", 1),
                r.digits(6),
                r.chars("ABCD", 1)
            );
            let v = if v.starts_with("ZZ") || v.starts_with("GB") {
                format!("AA{}", &v[2..])
            } else {
                v
            };
            if r.one_in(2) {
                v
            } else {
                grouped(&v, &[2, 2, 2, 2, 1], " ")
            }
        },
        &["NINO", "National Insurance number"],
        &["NINO"],
        &["رقم NINO"],
        true,
        Loose,
    ),
    case(
        "UK_DRIVING_LICENCE",
        |r| {
            format!(
                "{}{}{:02}{:02}{}{}{}{}",
                r.chars("ABCDEFGHJKLMNPRSTW", 5),
                r.digits(1),
                r.range(1, 12) + if r.one_in(2) { 50 } else { 0 },
                r.range(1, 28),
                r.digits(1),
                r.chars("ABCDEFGHJ", 2),
                r.pick(&["9", "8"]),
                r.chars("ABCDEFGHJ", 2)
            )
        },
        &["driving licence", "DVLA licence"],
        &["permis britannique"],
        &["رخصة القيادة"],
        true,
        Exact,
    ),
    case(
        "DE_TAX_ID",
        |r| {
            until(r, |r| {
                let b = format!("{}{}", r.range(1, 9), r.digits(9));
                let mut seen = [0; 10];
                b.chars()
                    .filter_map(|c| c.to_digit(10))
                    .for_each(|d| seen[d as usize] += 1);
                if seen.iter().filter(|&&c| c > 1).count() != 1 || seen.iter().any(|&c| c > 3) {
                    return None;
                }
                let mut p = 10;
                for d in b.chars().filter_map(|c| c.to_digit(10)) {
                    let mut s = (d + p) % 10;
                    if s == 0 {
                        s = 10;
                    }
                    p = s * 2 % 11;
                }
                let v = format!("{b}{}", (11 - p) % 10);
                Some(if r.one_in(2) {
                    v
                } else {
                    grouped(&v, &[2, 3, 3, 3], " ")
                })
            })
        },
        &["Steuer-ID", "German tax ID"],
        &["Steuer-ID"],
        &["رقم Steuer-ID"],
        false,
        Loose,
    ),
    case(
        "FR_NIR",
        nir,
        &["French social security number", "NIR"],
        &["numéro de sécurité sociale", "NIR", "n° de sécu"],
        &["رقم NIR"],
        true,
        Loose,
    ),
    case(
        "FR_SIREN",
        |r| {
            let v = luhn(format!("{}{}", r.range(3, 8), r.digits(7)));
            if r.one_in(2) {
                v
            } else {
                grouped(&v, &[3, 3, 3], " ")
            }
        },
        &["SIREN"],
        &["SIREN", "numéro SIREN"],
        &["رقم SIREN"],
        false,
        Loose,
    ),
    case(
        "FR_SIRET",
        |r| {
            let s = luhn(format!("{}{}", r.range(3, 8), r.digits(7)));
            let v = luhn(format!("{s}000{}", r.digits(1)));
            if r.one_in(2) {
                v
            } else {
                grouped(&v, &[3, 3, 3, 5], " ")
            }
        },
        &["SIRET"],
        &["SIRET", "numéro SIRET"],
        &["رقم SIRET"],
        false,
        Loose,
    ),
    case(
        "ES_NIF",
        |r| {
            let n = r.range(10_000_000, 99_999_999);
            let l = b"TRWAGMYFPDXBNJZSQVHLCKE"[(n % 23) as usize] as char;
            match r.below(3) {
                0 => format!("{n}-{l}"),
                1 => format!("{}-{l}", grouped(&n.to_string(), &[2, 3, 3], ".")),
                _ => format!("{n}{l}"),
            }
        },
        &["DNI", "Spanish NIF"],
        &["DNI"],
        &["رقم DNI"],
        true,
        Loose,
    ),
    case(
        "ES_NIE",
        |r| {
            let (i, n) = (r.below(3), r.range(0, 9_999_999));
            let l = b"TRWAGMYFPDXBNJZSQVHLCKE"[((i as u64 * 10_000_000 + n) % 23) as usize] as char;
            format!("{}{n:07}{l}", ["X", "Y", "Z"][i])
        },
        &["NIE"],
        &["NIE"],
        &["رقم NIE"],
        true,
        Loose,
    ),
    case(
        "IT_FISCAL_CODE",
        fiscal_code,
        &["codice fiscale"],
        &["code fiscal italien"],
        &["الرمز الضريبي"],
        true,
        Exact,
    ),
    case(
        "PL_PESEL",
        |r| {
            let b = format!("{}{}", yymmdd(r), r.digits(4));
            format!(
                "{b}{}",
                (10 - wsum(&b, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10
            )
        },
        &["PESEL"],
        &["PESEL"],
        &["رقم PESEL"],
        false,
        Loose,
    ),
    case(
        "NL_BSN",
        |r| {
            weighted_id(r, 8, |b| {
                let c = wsum(b, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
                Some(c)
            })
        },
        &["BSN", "burgerservicenummer"],
        &["BSN"],
        &["رقم BSN"],
        false,
        Loose,
    ),
    case(
        "BE_NRN",
        |r| {
            let b = format!("{}{:03}", yymmdd(r), r.range(1, 997));
            let v = format!("{b}{:02}", 97 - b.parse::<u64>().unwrap_or(0) % 97);
            if r.one_in(3) {
                v
            } else {
                format!(
                    "{}.{}.{}-{}.{}",
                    &v[..2],
                    &v[2..4],
                    &v[4..6],
                    &v[6..9],
                    &v[9..]
                )
            }
        },
        &["Belgian national register number"],
        &["numéro de registre national"],
        &["رقم NRN"],
        true,
        Loose,
    ),
    case(
        "PT_NIF",
        |r| {
            let b = format!("{}{}", r.pick(&["1", "2", "3", "5", "6", "9"]), r.digits(7));
            let c = 11 - wsum(&b, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            format!("{b}{}", if c > 9 { 0 } else { c })
        },
        &["NIF", "Portuguese NIF"],
        &["NIF"],
        &["رقم NIF"],
        false,
        Loose,
    ),
    case(
        "SE_PERSONNUMMER",
        |r| {
            let d = yymmdd(r);
            let v = luhn(format!("{d}{}", r.digits(3)));
            format!("{}-{}", &v[..6], &v[6..])
        },
        &["personnummer"],
        &["personnummer"],
        &["رقم personnummer"],
        true,
        Loose,
    ),
    case(
        "FI_PERSONAL_IDENTITY_CODE",
        |r| {
            let (d, n) = (
                format!(
                    "{:02}{:02}{:02}",
                    r.range(1, 28),
                    r.range(1, 12),
                    r.range(30, 99)
                ),
                r.range(2, 899),
            );
            let c = b"0123456789ABCDEFHJKLMNPRSTUVWXY"
                [(format!("{d}{n:03}").parse::<u64>().unwrap_or(0) % 31) as usize]
                as char;
            format!("{d}-{n:03}{c}")
        },
        &["henkilötunnus", "HETU"],
        &["HETU"],
        &["رقم HETU"],
        true,
        Loose,
    ),
    case(
        "DE_SOCIAL_SECURITY",
        |r| {
            let letter = r.below(26) as u32 + 1;
            let b = format!(
                "{:02}{:02}{:02}{:02}",
                r.range(10, 79),
                r.range(1, 28),
                r.range(1, 12),
                r.range(40, 99)
            );
            let serial = format!("{:02}", r.below(100));
            let digits = format!("{b}{letter:02}{serial}");
            let sum: u32 = digits
                .bytes()
                .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
                .map(|(d, w)| u32::from(d - b'0') * w)
                .map(|p| p / 10 + p % 10)
                .sum();
            format!(
                "{b}{}{serial}{}",
                char::from(b'A' + letter as u8 - 1),
                sum % 10
            )
        },
        &["Rentenversicherungsnummer", "German social security number"],
        &["Rentenversicherungsnummer"],
        &["Rentenversicherungsnummer"],
        true,
        Loose,
    ),
    case(
        "DE_HEALTH_INSURANCE",
        |r| {
            let letter = r.below(26) as u32 + 1;
            let digits = r.digits(8);
            let sum: u32 = format!("{letter:02}{digits}")
                .bytes()
                .enumerate()
                .map(|(i, d)| u32::from(d - b'0') * (1 + i as u32 % 2))
                .map(|p| p / 10 + p % 10)
                .sum();
            format!(
                "{}{digits}{}",
                char::from(b'A' + letter as u8 - 1),
                sum % 10
            )
        },
        &["Krankenversichertennummer", "KVNR"],
        &["KVNR"],
        &["KVNR"],
        false,
        Loose,
    ),
    case(
        "DE_ID_CARD",
        |r| {
            let b = format!(
                "{}{}",
                r.chars("CFGHJKLMNPRTVWXYZ", 1),
                r.chars("CFGHJKLMNPRTVWXYZ0123456789", 8)
            );
            let sum: u32 = b
                .chars()
                .zip([7, 3, 1].into_iter().cycle())
                .map(|(c, w)| c.to_digit(36).unwrap_or(0) * w)
                .sum();
            format!("{b}{}", sum % 10)
        },
        &["Personalausweis"],
        &["Personalausweis"],
        &["Personalausweis"],
        false,
        Exact,
    ),
    case(
        "DE_LANR",
        |r| {
            let b = r.digits(6);
            let sum = wsum(&b, &[4, 9, 4, 9, 4, 9]);
            format!("{b}{}{:02}", (10 - sum % 10) % 10, r.range(1, 99))
        },
        &["LANR", "Arztnummer"],
        &["LANR"],
        &["LANR"],
        false,
        Loose,
    ),
    case(
        "DE_BSNR",
        |r| r.digits(9),
        &["BSNR", "Betriebsstättennummer"],
        &["BSNR"],
        &["BSNR"],
        false,
        Loose,
    ),
    case(
        "IT_VAT_CODE",
        |r| luhn(format!("{}{:03}", r.digits(7), r.range(1, 100))),
        &["partita IVA", "Italian VAT number"],
        &["partita IVA"],
        &["partita IVA"],
        false,
        Loose,
    ),
    case(
        "SE_ORGANISATIONSNUMMER",
        |r| {
            grouped(
                &luhn(format!("55{}{}", r.range(20, 99), r.digits(5))),
                &[6, 4],
                "-",
            )
        },
        &["organisationsnummer"],
        &["organisationsnummer"],
        &["organisationsnummer"],
        false,
        Loose,
    ),
    case(
        "CH_AHV",
        |r| {
            let b = format!("756{}", r.digits(9));
            let sum = wsum(&b, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
            grouped(&format!("{b}{}", (10 - sum % 10) % 10), &[3, 4, 4, 2], ".")
        },
        &["AHV number", "Swiss AHV"],
        &["numéro AVS"],
        &["AHV"],
        true,
        Loose,
    ),
];
