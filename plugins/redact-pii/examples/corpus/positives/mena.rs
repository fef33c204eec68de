//! National entities of the Middle East and North Africa.

use super::Style::{Exact, Loose};
use super::values::*;
use super::{Case, case};

/// Entities, labels and values.
pub const CASES: &[Case] = &[
    case(
        "TN_CIN",
        |r| format!("{}{}", r.below(2), r.digits(7)),
        &["CIN", "Tunisian ID card"],
        &[
            "CIN",
            "carte d'identité nationale tunisienne",
            "numéro de CIN",
        ],
        &[
            "رقم بطاقة التعريف الوطنية",
            "بطاقة التعريف",
            "رقم ب ت و (CIN)",
        ],
        false,
        Loose,
    ),
    case(
        "TN_MATRICULE_FISCAL",
        matricule,
        &["Tunisian tax ID", "MF"],
        &["matricule fiscal", "MF"],
        &["المعرف الجبائي"],
        true,
        Loose,
    ),
    case(
        "TN_RIB",
        rib,
        &["RIB"],
        &["RIB", "relevé d'identité bancaire"],
        &["الحساب البنكي RIB", "رقم الحساب"],
        true,
        Loose,
    ),
    case(
        "SA_NATIONAL_ID",
        |r| luhn(format!("{}{}", r.range(1, 2), r.digits(8))),
        &["Saudi national ID", "iqama number", "Iqama"],
        &["numéro d'iqama", "identité nationale saoudienne"],
        &[
            "رقم الهوية",
            "الهوية الوطنية",
            "رقم الإقامة",
            "السجل المدني",
            "هويتي",
        ],
        false,
        Loose,
    ),
    case(
        "AE_EMIRATES_ID",
        |r| {
            let v = luhn(format!("784{}{}", r.range(1950, 2015), r.digits(7)));
            if r.one_in(3) {
                v
            } else {
                grouped(&v, &[3, 4, 7, 1], r.clone_pick(&["-", " "]))
            }
        },
        &["Emirates ID", "EID"],
        &["carte Emirates ID"],
        &["رقم الهوية الإماراتية"],
        true,
        Loose,
    ),
    case(
        "EG_NATIONAL_ID",
        |r| {
            format!(
                "2{}{}{}",
                yymmdd(r),
                r.pick(&["01", "02", "12", "14", "21", "25", "88"]),
                r.digits(5)
            )
        },
        &["Egyptian national ID", "national ID"],
        &["carte nationale égyptienne"],
        &["الرقم القومي", "رقمي القومي"],
        true,
        Loose,
    ),
    case(
        "MA_CIN",
        |r| {
            format!(
                "{}{}",
                r.pick(&["AB", "BE", "BK", "J", "K", "CD", "EE", "X"]),
                r.digits(6)
            )
        },
        &["Moroccan CIN", "CNIE"],
        &["CNIE", "CIN (Maroc)", "numéro de CIN marocaine"],
        &["رقم بطاقة التعريف الوطنية المغربية", "CNIE"],
        false,
        Loose,
    ),
    case(
        "MA_ICE",
        |r| {
            until(r, |r| {
                let b = format!("00{}0000", r.digits(7));
                let m = b
                    .bytes()
                    .chain(*b"00")
                    .fold(0u64, |m, x| (m * 10 + u64::from(x - b'0')) % 97);
                Some(format!("{b}{:02}", (97 - m) % 97))
            })
        },
        &["ICE"],
        &["ICE", "identifiant commun de l'entreprise (ICE)"],
        &["رقم ICE"],
        true,
        Loose,
    ),
    case(
        "KW_CIVIL_ID",
        kuwait,
        &["Kuwaiti civil ID", "civil ID"],
        &["numéro civil koweïtien"],
        &["الرقم المدني"],
        true,
        Loose,
    ),
    case(
        "QA_QID",
        |r| {
            format!(
                "{}{:02}{}{}",
                r.range(2, 3),
                r.range(0, 99),
                r.pick(&["634", "788", "356", "818", "586"]),
                r.digits(5)
            )
        },
        &["QID", "Qatar ID"],
        &["QID"],
        &["الرقم الشخصي القطري", "رقم QID"],
        false,
        Loose,
    ),
    case(
        "SA_COMMERCIAL_REGISTRATION",
        |r| {
            format!(
                "{}{}",
                r.pick(&["1010", "4030", "2050", "700"]),
                r.digits(7)
            )
            .chars()
            .take(10)
            .collect()
        },
        &["CR number", "commercial registration"],
        &["registre du commerce"],
        &["السجل التجاري"],
        false,
        Loose,
    ),
    case(
        "SA_VAT",
        |r| format!("3{}3", r.digits(13)),
        &["VAT number", "Saudi VAT number"],
        &["TVA"],
        &["الرقم الضريبي"],
        false,
        Loose,
    ),
    case(
        "AE_TRN",
        |r| format!("100{}", r.digits(12)),
        &["TRN", "tax registration number TRN"],
        &["TRN"],
        &["رقم التسجيل الضريبي"],
        false,
        Loose,
    ),
    case(
        "EG_TAX_NUMBER",
        |r| grouped(&r.digits(9), &[3, 3, 3], "-"),
        &["Egyptian tax number"],
        &["numéro fiscal égyptien"],
        &["الرقم الضريبي المصري"],
        false,
        Loose,
    ),
    case(
        "MA_RIB",
        |r| {
            let b = format!("0{}", r.digits(21));
            let n = b
                .bytes()
                .chain(*b"00")
                .fold(0u64, |m, x| (m * 10 + u64::from(x - b'0')) % 97);
            format!("{b}{:02}", 97 - n)
        },
        &["RIB"],
        &["RIB", "RIB marocain"],
        &["رقم الحساب"],
        false,
        Loose,
    ),
    case(
        "DZ_NIN",
        |r| format!("1{}", r.digits(17)),
        &["NIN", "Algerian national identification number"],
        &["NIN", "numéro d'identification national"],
        &["رقم التعريف الوطني"],
        false,
        Loose,
    ),
    case(
        "DZ_NIF",
        |r| format!("00{}", r.digits(13)),
        &["NIF"],
        &["NIF", "NIF algérien"],
        &["NIF"],
        false,
        Loose,
    ),
    case(
        "DZ_CCP",
        |r| format!("00799999{}", r.digits(12)),
        &["CCP", "RIP"],
        &["RIP", "compte CCP"],
        &["الحساب الجاري"],
        false,
        Loose,
    ),
    case(
        "BH_CPR",
        |r| format!("{:02}{:02}{}", r.range(50, 99), r.range(1, 12), r.digits(5)),
        &["CPR", "Bahrain CPR number"],
        &["CPR"],
        &["الرقم الشخصي البحريني", "الرقم السكاني"],
        false,
        Loose,
    ),
    case(
        "JO_NATIONAL_NUMBER",
        |r| format!("9{}{}", r.range(5, 9), r.digits(8)),
        &["Jordanian national number"],
        &["numéro national jordanien"],
        &["الرقم الوطني الأردني"],
        false,
        Loose,
    ),
    case(
        "OM_CIVIL_NUMBER",
        |r| format!("{}{}", r.range(2, 9), r.digits(7)),
        &["Omani civil number", "Oman civil ID"],
        &["carte d'identité omanaise"],
        &["الرقم المدني العماني"],
        false,
        Loose,
    ),
    case(
        "OM_VATIN",
        |r| format!("OM{}", r.digits(10)),
        &["VATIN"],
        &["VATIN"],
        &["الرقم الضريبي"],
        false,
        Exact,
    ),
    case(
        "LB_ID",
        |r| format!("0000{}", r.digits(8)),
        &["Lebanese ID"],
        &["carte d'identité libanaise"],
        &["رقم الهوية اللبنانية"],
        false,
        Loose,
    ),
    case(
        "IQ_NATIONAL_CARD",
        |r| format!("19{}", r.digits(10)),
        &["Iraqi national card"],
        &["carte nationale irakienne"],
        &["البطاقة الوطنية العراقية"],
        false,
        Loose,
    ),
];
