//! National entities of Asia, Africa and Oceania beyond the Arab world.

use super::Style::{Exact, Loose};
use super::values::*;
use super::{Case, case};

/// Entities, labels and values.
pub const CASES: &[Case] = &[
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
