//! National entities of the United States and Canada.

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
];
