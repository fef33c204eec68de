//! National entities of the Americas, Europe, Asia, Africa and Oceania.

use super::Style::{Exact, Loose};
use super::values::*;
use super::{Case, case};

/// Entities, labels and values.
pub const CASES: &[Case] = &[
    case(
        "US_SSN",
        ssn,
        &["SSN", "social security number"],
        &["SSN", "numéro SSN"],
        &["رقم SSN", "رقم الضمان الاجتماعي SSN"],
        false,
        Loose,
    ),
    case(
        "US_ITIN",
        |r| {
            format!(
                "9{:02}-{:02}-{:04}",
                r.range(0, 99),
                r.range(70, 88),
                r.range(1, 9999)
            )
        },
        &["ITIN", "taxpayer ID"],
        &["ITIN"],
        &["رقم ITIN"],
        false,
        Loose,
    ),
    case(
        "ABA_ROUTING_NUMBER",
        |r| {
            until(r, |r| {
                let b = format!("{:02}{}", r.range(1, 12), r.digits(6));
                let c = (10 - wsum(&b, &[3, 7, 1, 3, 7, 1, 3, 7]) % 10) % 10;
                Some(format!("{b}{c}"))
            })
        },
        &["routing number", "ABA"],
        &["ABA"],
        &["رقم ABA"],
        false,
        Loose,
    ),
    case(
        "US_NPI",
        |r| {
            let b = format!("1{}", r.digits(8));
            let c = luhn_digit(&format!("80840{b}"));
            format!("{b}{c}")
        },
        &["NPI", "provider NPI"],
        &["NPI"],
        &["رقم NPI"],
        false,
        Loose,
    ),
    case(
        "US_MBI",
        |r| {
            let a = "ACDEFGHJKMNPQRTUVWXY";
            let an = "ACDEFGHJKMNPQRTUVWXY0123456789";
            let v = format!(
                "{}{}{}{}{}{}{}{}{}",
                r.range(1, 9),
                r.chars(a, 1),
                r.chars(an, 1),
                r.digits(1),
                r.chars(a, 1),
                r.chars(an, 1),
                r.digits(1),
                r.chars(a, 2),
                r.digits(2)
            );
            if r.one_in(2) {
                v
            } else {
                grouped(&v, &[4, 3, 4], "-")
            }
        },
        &["MBI", "Medicare number"],
        &["MBI"],
        &["رقم MBI"],
        true,
        Exact,
    ),
    case(
        "MEDICAL_LICENSE",
        |r| {
            let d = r.digits(6);
            let n: Vec<u32> = d.chars().filter_map(|c| c.to_digit(10)).collect();
            format!(
                "{}{}{d}{}",
                r.chars("ABFM", 1),
                r.chars("ABCDEFGHIJKLM", 1),
                (n[0] + n[2] + n[4] + 2 * (n[1] + n[3] + n[5])) % 10
            )
        },
        &["DEA number", "DEA"],
        &["numéro DEA"],
        &["رقم DEA"],
        false,
        Exact,
    ),
    case(
        "CA_SIN",
        |r| {
            let v = luhn(format!("{}{}", r.range(1, 7), r.digits(7)));
            if r.one_in(3) {
                v
            } else {
                grouped(&v, &[3, 3, 3], r.clone_pick(&["-", " "]))
            }
        },
        &["SIN", "social insurance number"],
        &["NAS", "numéro d'assurance sociale NAS"],
        &["رقم SIN"],
        false,
        Loose,
    ),
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
        "TR_NATIONAL_ID",
        |r| {
            let b = format!("{}{}", r.range(1, 9), r.digits(8));
            let d: Vec<u32> = b.chars().filter_map(|c| c.to_digit(10)).collect();
            let (o, e) = (d[0] + d[2] + d[4] + d[6] + d[8], d[1] + d[3] + d[5] + d[7]);
            let x = (o * 7 + 1000 - e) % 10;
            format!("{b}{x}{}", (o + e + x) % 10)
        },
        &["TC kimlik no", "Turkish ID"],
        &["TC kimlik"],
        &["رقم TC kimlik"],
        false,
        Loose,
    ),
    case(
        "IN_AADHAAR",
        |r| {
            let b = format!("{}{}", r.range(2, 9), r.digits(10));
            let v = verhoeff(r, b);
            if r.one_in(3) {
                v
            } else {
                grouped(&v, &[4, 4, 4], r.clone_pick(&[" ", "-"]))
            }
        },
        &["Aadhaar", "Aadhaar number"],
        &["Aadhaar"],
        &["رقم Aadhaar"],
        false,
        Loose,
    ),
    case(
        "IN_PAN",
        |r| {
            format!(
                "{}{}{}{}{}",
                r.chars("ABCDEFGHIJ", 3),
                r.pick(&["P", "C", "F"]),
                r.chars("ABCDEFGHIJ", 1),
                r.digits(4),
                r.chars("ABCDEFGHIJ", 1)
            )
        },
        &["PAN", "Indian PAN"],
        &["PAN"],
        &["رقم PAN"],
        true,
        Loose,
    ),
    case(
        "SG_NRIC_FIN",
        |r| {
            let d = r.digits(7);
            let s = wsum(&d, &[2, 7, 6, 5, 4, 3, 2]);
            if r.one_in(2) {
                format!("S{d}{}", b"JZIHGFEDCBA"[(s % 11) as usize] as char)
            } else {
                format!("F{d}{}", b"XWUTRQPNMLK"[(s % 11) as usize] as char)
            }
        },
        &["NRIC", "FIN"],
        &["NRIC"],
        &["رقم NRIC"],
        true,
        Loose,
    ),
    case(
        "ZA_ID_NUMBER",
        |r| {
            let d = yymmdd(r);
            luhn(format!("{d}{}08", r.digits(4)))
        },
        &["South African ID", "ID number"],
        &["identité sud-africaine"],
        &["رقم الهوية جنوب أفريقيا"],
        false,
        Loose,
    ),
    case(
        "AU_ABN",
        |r| {
            until(r, |r| {
                let v = format!("{}{}", r.range(10, 99), r.digits(9));
                let d: Vec<i64> = v
                    .chars()
                    .filter_map(|c| c.to_digit(10))
                    .map(i64::from)
                    .collect();
                let w = [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19];
                let s: i64 = d
                    .iter()
                    .zip(w)
                    .enumerate()
                    .map(|(i, (x, w))| (x - i64::from(i == 0)) * w)
                    .sum();
                (s % 89 == 0).then(|| {
                    if r.one_in(2) {
                        v.clone()
                    } else {
                        grouped(&v, &[2, 3, 3, 3], " ")
                    }
                })
            })
        },
        &["ABN"],
        &["ABN"],
        &["رقم ABN"],
        false,
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
    case(
        "IN_GSTIN",
        |r| {
            let b = format!(
                "{:02}{}{}{}{}1Z",
                r.range(1, 38),
                r.chars("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 3),
                r.chars("PCHF", 1),
                r.chars("ABCDEFGH", 1),
                r.digits(4) + &r.chars("ABCDEFGH", 1)
            );
            let sum: u32 = b
                .chars()
                .enumerate()
                .map(|(i, c)| c.to_digit(36).unwrap_or(0) * (1 + i as u32 % 2))
                .map(|p| p / 36 + p % 36)
                .sum();
            let check = char::from_digit((36 - sum % 36) % 36, 36).unwrap_or('0');
            format!("{b}{}", check.to_ascii_uppercase())
        },
        &["GSTIN"],
        &["GSTIN"],
        &["GSTIN"],
        true,
        Exact,
    ),
    case(
        "SG_UEN",
        |r| {
            let b = r.digits(8);
            let check = b"XMKECAWLJDB"[(wsum(&b, &[10, 4, 9, 3, 8, 2, 7, 1]) % 11) as usize];
            format!("{b}{}", char::from(check))
        },
        &["UEN"],
        &["UEN"],
        &["UEN"],
        false,
        Exact,
    ),
    case(
        "KR_RRN",
        |r| {
            let b = format!("{}{}{}", yymmdd(r), r.range(1, 2), r.digits(5));
            let sum = wsum(&b, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
            grouped(&format!("{b}{}", (11 - sum % 11) % 10), &[6, 7], "-")
        },
        &["Korean RRN", "주민등록번호"],
        &["RRN"],
        &["RRN"],
        true,
        Loose,
    ),
    case(
        "KR_FRN",
        |r| {
            let b = format!("{}{}{}", yymmdd(r), r.range(5, 6), r.digits(5));
            let sum = wsum(&b, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
            grouped(&format!("{b}{}", (13 - sum % 11) % 10), &[6, 7], "-")
        },
        &["Korean FRN", "외국인등록번호"],
        &["FRN"],
        &["FRN"],
        true,
        Loose,
    ),
    case(
        "KR_BRN",
        |r| {
            let b = format!("{}{}", r.range(1, 9), r.digits(8));
            let last = u32::from(b.as_bytes()[8] - b'0') * 5 / 10;
            let sum = wsum(&b, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + last;
            grouped(&format!("{b}{}", (10 - sum % 10) % 10), &[3, 2, 5], "-")
        },
        &["BRN", "사업자등록번호"],
        &["BRN"],
        &["BRN"],
        true,
        Loose,
    ),
    case(
        "TH_TNIN",
        |r| {
            let b = format!("{}{}", r.range(1, 8), r.digits(11));
            let sum = wsum(&b, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
            grouped(
                &format!("{b}{}", (11 - sum % 11) % 10),
                &[1, 4, 5, 2, 1],
                "-",
            )
        },
        &["Thai ID"],
        &["Thai ID"],
        &["Thai ID"],
        true,
        Loose,
    ),
    case(
        "NG_NIN",
        |r| {
            let b = r.digits(10);
            verhoeff(r, b)
        },
        &["NIN", "Nigerian NIN"],
        &["NIN"],
        &["NIN"],
        false,
        Loose,
    ),
    case(
        "PH_TIN",
        |r| grouped(&r.digits(9), &[3, 3, 3], "-"),
        &["Philippine TIN"],
        &["TIN"],
        &["TIN"],
        false,
        Loose,
    ),
    case(
        "AU_ACN",
        |r| {
            let b = r.digits(8);
            let sum = wsum(&b, &[8, 7, 6, 5, 4, 3, 2, 1]);
            grouped(&format!("{b}{}", (10 - sum % 10) % 10), &[3, 3, 3], " ")
        },
        &["ACN"],
        &["ACN"],
        &["ACN"],
        false,
        Loose,
    ),
    case(
        "AU_TFN",
        |r| {
            until(r, |r| {
                let v = format!("{}{}", r.range(1, 8), r.digits(8));
                (wsum(&v, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)).then_some(v)
            })
        },
        &["TFN", "tax file number"],
        &["TFN"],
        &["TFN"],
        false,
        Loose,
    ),
    case(
        "AU_MEDICARE",
        |r| {
            let b = format!("{}{}", r.range(2, 6), r.digits(7));
            let check = wsum(&b, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10;
            grouped(&format!("{b}{check}{}", r.range(1, 9)), &[4, 5, 1], " ")
        },
        &["Medicare card", "Medicare number"],
        &["Medicare"],
        &["Medicare"],
        true,
        Loose,
    ),
    case(
        "IL_TEUDAT_ZEHUT",
        |r| luhn(r.digits(8)),
        &["Teudat Zehut", "Israeli ID"],
        &["Teudat Zehut"],
        &["Teudat Zehut"],
        false,
        Loose,
    ),
];
