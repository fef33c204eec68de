//! Entities that mean the same everywhere.

use super::Style::{Exact, Loose};
use super::values::*;
use super::{Case, case};

/// Entities, labels and values.
pub const CASES: &[Case] = &[
    case(
        "CREDIT_CARD",
        card,
        &["card number", "credit card", "Visa"],
        &["numéro de carte", "carte bancaire"],
        &["رقم البطاقة", "بطاقة الائتمان"],
        true,
        Loose,
    ),
    case(
        "IBAN_CODE",
        any_iban,
        &["IBAN", "account"],
        &["IBAN", "compte"],
        &["رقم الآيبان", "الحساب"],
        true,
        Loose,
    ),
    case(
        "EMAIL_ADDRESS",
        email,
        &["email", "e-mail address"],
        &["adresse mail", "courriel"],
        &["البريد الإلكتروني", "بريدي"],
        true,
        Exact,
    ),
    case(
        "PHONE_NUMBER",
        phone,
        &["phone", "mobile number", "cell"],
        &["téléphone", "numéro de portable", "tél."],
        &["رقم الجوال", "هاتفي", "رقم الهاتف"],
        true,
        Loose,
    ),
    case(
        "IP_ADDRESS",
        ip,
        &["IP", "source address"],
        &["adresse IP"],
        &["عنوان الشبكة"],
        true,
        Exact,
    ),
    case(
        "MAC_ADDRESS",
        |r| {
            let s = *r.pick(&[":", "-"]);
            (0..6)
                .map(|i| {
                    if i == 0 {
                        format!("{:02X}", r.range(0xa0, 0xaf))
                    } else {
                        format!("{:02X}", r.range(0, 255))
                    }
                })
                .collect::<Vec<_>>()
                .join(s)
        },
        &["MAC", "hardware address"],
        &["adresse MAC"],
        &["عنوان الجهاز"],
        true,
        Exact,
    ),
    case(
        "DATE_OF_BIRTH",
        dob,
        &["date of birth", "DOB", "birthday"],
        &["date de naissance"],
        &["تاريخ الميلاد"],
        false,
        Loose,
    ),
    case(
        "IMEI",
        |r| luhn(format!("35{}", r.digits(12))),
        &["IMEI"],
        &["IMEI", "numéro IMEI"],
        &["رقم IMEI"],
        false,
        Loose,
    ),
    case(
        "CRYPTO",
        |r| format!("0x{}", r.chars("0123456789abcdef", 40)),
        &["wallet", "ETH address"],
        &["portefeuille"],
        &["المحفظة"],
        true,
        Exact,
    ),
    case(
        "IMSI",
        |r| format!("310150{}", r.digits(9)),
        &["IMSI"],
        &["IMSI", "numéro IMSI"],
        &["رقم IMSI"],
        false,
        Loose,
    ),
    case(
        "VIN",
        |r| {
            const SET: &str = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789";
            until(r, |r| {
                let v = format!("{}{}", r.chars(SET, 11), r.digits(6));
                let value = |c: char| match c {
                    '0'..='9' => c as u32 - 48,
                    'A'..='H' => c as u32 - 64,
                    'J'..='R' => c as u32 - 73,
                    _ => c as u32 - 81,
                };
                let weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
                let sum: u32 = v.chars().zip(weights).map(|(c, w)| value(c) * w).sum();
                let check = if sum % 11 == 10 {
                    "X".to_owned()
                } else {
                    (sum % 11).to_string()
                };
                (v[..11].chars().any(|c| c.is_ascii_alphabetic()))
                    .then(|| format!("{}{check}{}", &v[..8], &v[9..]))
                    .filter(|v| {
                        let sum: u32 = v.chars().zip(weights).map(|(c, w)| value(c) * w).sum();
                        let c = v.chars().nth(8);
                        c == Some(if sum % 11 == 10 {
                            'X'
                        } else {
                            char::from(b'0' + (sum % 11) as u8)
                        })
                    })
            })
        },
        &["VIN", "vehicle"],
        &["châssis", "numéro de châssis"],
        &["رقم الهيكل"],
        false,
        Exact,
    ),
    case(
        "MRZ",
        |r| {
            let field = |text: &str| {
                let sum: u32 = text
                    .chars()
                    .zip([7, 3, 1].into_iter().cycle())
                    .map(|(c, w)| c.to_digit(36).unwrap_or(0) * w)
                    .sum();
                format!("{text}{}", sum % 10)
            };
            let number = field(&format!("{}{}", r.chars("ABCDEFGH", 1), r.digits(8)));
            let birth = field(&yymmdd(r));
            let expiry = field(&format!(
                "3{}{:02}{:02}",
                r.below(10),
                r.range(1, 12),
                r.range(1, 28)
            ));
            let optional = field("<<<<<<<<<<<<<<");
            let all = field(&format!("{number}{birth}{expiry}{optional}"));
            let last = all.chars().last().unwrap_or('0');
            format!("{number}TUN{birth}F{expiry}{optional}{last}")
        },
        &["MRZ", "passport line"],
        &["MRZ"],
        &["MRZ"],
        true,
        Exact,
    ),
    case(
        "LEI",
        |r| {
            let b = format!(
                "{}00{}",
                r.digits(4),
                r.chars("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 12)
            );
            let written: String = format!("{b}00")
                .chars()
                .map(|c| c.to_digit(36).unwrap_or(0).to_string())
                .collect();
            let rest = written
                .bytes()
                .fold(0u64, |r, b| (r * 10 + u64::from(b - b'0')) % 97);
            format!("{b}{:02}", 98 - rest)
        },
        &["LEI"],
        &["LEI", "code LEI"],
        &["رمز LEI"],
        false,
        Exact,
    ),
    case(
        "BIC_SWIFT",
        |r| {
            let bank = *r.pick(&["DEUT", "BNPA", "STBK", "RJHI", "NBEG", "BCMA", "QNBA"]);
            let place = *r.pick(&["DEFF", "FRPP", "TNTT", "SARI", "EGCX", "MAMC", "QAQA"]);
            format!("{bank}{place}{}", r.pick(&["", "XXX", "500"]))
        },
        &["SWIFT code", "BIC"],
        &["code BIC", "SWIFT"],
        &["سويفت"],
        false,
        Exact,
    ),
    case(
        "PASSPORT",
        |r| format!("{}{}", r.chars("ABCDEFGHJKLMNPRTXZ", 1), r.digits(7)),
        &["passport number", "passport"],
        &["passeport", "numéro de passeport"],
        &["رقم جواز السفر", "جواز السفر"],
        false,
        Loose,
    ),
    case(
        "BANK_ACCOUNT",
        |r| r.digits(10),
        &["bank account number", "bank account"],
        &["compte bancaire"],
        &["رقم الحساب البنكي"],
        false,
        Loose,
    ),
    case(
        "DRIVER_LICENSE",
        |r| format!("{}{}", r.chars("DFS", 1), r.digits(7)),
        &["driver's license", "driving licence"],
        &["permis de conduire"],
        &["رخصة القيادة"],
        false,
        Loose,
    ),
];
