//! Per entity: what must be found, exactly where, and what must not. All identifiers are published
//! examples or generated; none is a person's.

use super::*;
use proptest::prelude::*;

mod secrets;

/// Findings as `NAME=text`.
fn found(text: &str) -> Vec<String> {
    let d = Detector::default();
    d.find(text)
        .iter()
        .map(|f| format!("{}={}", d.name(f.kind), &text[f.start..f.end]))
        .collect()
}

pub(super) fn check(cases: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (text, want) in cases {
        let got = found(text);
        if got != *want {
            wrong.push(format!("{text:?}\n   want {want:?}\n   got  {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cards() {
    check(&[
        (
            "pay with 4111 1111 1111 1111 12/27 cvv 123",
            &["CREDIT_CARD=4111 1111 1111 1111"],
        ),
        ("4111111111111111", &["CREDIT_CARD=4111111111111111"]),
        (
            "MC 2-series 2221-0000-0000-0009.",
            &["CREDIT_CARD=2221-0000-0000-0009"],
        ),
        (
            "amex 3782 822463 10005,",
            &["CREDIT_CARD=3782 822463 10005"],
        ),
        ("بطاقتي4111111111111111و", &["CREDIT_CARD=4111111111111111"]),
        (
            "رقم البطاقة ٤١١١ ١١١١ ١١١١ ١١١١",
            &["CREDIT_CARD=٤١١١ ١١١١ ١١١١ ١١١١"],
        ),
        (
            "card ４１１１１１１１１１１１１１１１",
            &["CREDIT_CARD=４１１１１１１１１１１１１１１１"],
        ),
        (
            "zero 4111\u{200b}1111\u{200b}1111\u{200b}1111 width",
            &["CREDIT_CARD=4111\u{200b}1111\u{200b}1111\u{200b}1111"],
        ),
        (
            "card 4\u{a0}1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            &["CREDIT_CARD=4\u{a0}1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"],
        ),
        ("4111 1111 1111 1112", &[]),
        (
            "4111 1111 1111 1111 5555 5555 5555 4444",
            &[
                "CREDIT_CARD=4111 1111 1111 1111",
                "CREDIT_CARD=5555 5555 5555 4444",
            ],
        ),
        ("4111 1111 1111 1111 5555 5555 5555 4445", &[]),
        ("4111111111111111a", &[]),
        ("order 1234567890123456", &[]),
        ("0.4111111111111111 12.4111111111111111", &[]),
        (
            "card no.4111111111111111",
            &["CREDIT_CARD=4111111111111111"],
        ),
    ]);
}

#[test]
fn accounts() {
    check(&[
        (
            "IBAN TN59 1000 6035 1835 9847 8831 svp",
            &["IBAN_CODE=TN59 1000 6035 1835 9847 8831"],
        ),
        (
            "tn5910006035183598478831",
            &["IBAN_CODE=tn5910006035183598478831"],
        ),
        (
            "الآيبان TN٥٩١٠٠٠٦٠٣٥١٨٣٥٩٨٤٧٨٨٣١.",
            &["IBAN_CODE=TN٥٩١٠٠٠٦٠٣٥١٨٣٥٩٨٤٧٨٨٣١"],
        ),
        (
            "GB82-WEST-1234-5698-7654-32",
            &["IBAN_CODE=GB82-WEST-1234-5698-7654-32"],
        ),
        ("GB83 WEST 1234 5698 7654 32", &[]),
        (
            "EG380019000500000000263180002",
            &["IBAN_CODE=EG380019000500000000263180002"],
        ),
        (
            "Mon RIB est 67 630 0672167670062 58 merci",
            &["TN_RIB=67 630 0672167670062 58"],
        ),
        (
            "RIB 10 006 0351835984788 31",
            &["TN_RIB=10 006 0351835984788 31"],
        ),
        (
            "RIB: 007780000112200000012301",
            &["MA_RIB=007780000112200000012301"],
        ),
        (
            "routing number 021000021",
            &["ABA_ROUTING_NUMBER=021000021"],
        ),
        ("SWIFT code DEUTDEFF500", &["BIC_SWIFT=DEUTDEFF500"]),
        ("THE DOCUMENT FOLLOWING", &[]),
    ]);
}

#[test]
fn network() {
    check(&[
        (
            "mail alice.o'neil+x@mail.example.co.uk.",
            &["EMAIL_ADDRESS=alice.o'neil+x@mail.example.co.uk"],
        ),
        ("'bob@example.com'", &["EMAIL_ADDRESS=bob@example.com"]),
        (
            "بريديalice@example.comو",
            &["EMAIL_ADDRESS=alice@example.com"],
        ),
        ("محمد@مثال.تونس هنا", &["EMAIL_ADDRESS=محمد@مثال.تونس"]),
        (
            "?email=carol%40example.org&x",
            &["EMAIL_ADDRESS=carol%40example.org"],
        ),
        (
            "git@github.com:a/b.git icon@2x.png pkg@1.2.3 @handle a@b",
            &[],
        ),
        (
            "from 203.0.113.7, 2001:db8::8a2e:370:7334 and fe80::1%eth0",
            &[
                "IP_ADDRESS=203.0.113.7",
                "IP_ADDRESS=2001:db8::8a2e:370:7334",
                "IP_ADDRESS=fe80::1%eth0",
            ],
        ),
        ("subnet 198.51.100.0/24", &["IP_ADDRESS=198.51.100.0/24"]),
        (
            "version 1.2.3.4, 1.2.3.4.5, 300.1.1.1, std::vec::Vec, 10:30:45, 127.0.0.1",
            &[],
        ),
        (
            "mac 00:1A:2b:3c:4d:5e or 00-1A-2B-3C-4D-5F",
            &[
                "MAC_ADDRESS=00:1A:2b:3c:4d:5e",
                "MAC_ADDRESS=00-1A-2B-3C-4D-5F",
            ],
        ),
        (
            "postgres://bob:s3cr3t!pw@db.example.com/x",
            &["URL_CREDENTIALS=s3cr3t!pw"],
        ),
        (
            "https://h.example/x?sig=abcDEF123456789&y=1",
            &["URL_CREDENTIALS=abcDEF123456789"],
        ),
        (
            "550e8400-e29b-41d4-a716-446655440000 12345678-1234-1234-1234-123456789012",
            &[],
        ),
    ]);
}

#[test]
fn phones() {
    check(&[
        ("+216 20 123 456", &["PHONE_NUMBER=+216 20 123 456"]),
        (
            "appelez le +33 (0)6 12 34 56 78.",
            &["PHONE_NUMBER=+33 (0)6 12 34 56 78"],
        ),
        ("(212) 555-0187 now", &["PHONE_NUMBER=(212) 555-0187"]),
        ("call 415-555-2671", &["PHONE_NUMBER=415-555-2671"]),
        ("جوالي ٠٥٠١٢٣٤٥٦٧", &["PHONE_NUMBER=٠٥٠١٢٣٤٥٦٧"]),
        ("tél. 06.12.34.56.78", &["PHONE_NUMBER=06.12.34.56.78"]),
        ("tel 20 123 456", &["PHONE_NUMBER=20 123 456"]),
        ("0020 100 123 4567", &["PHONE_NUMBER=0020 100 123 4567"]),
        ("+447700 921 916", &["PHONE_NUMBER=+447700 921 916"]),
        ("+999 123 456 789 and +1 123 456 7890", &[]),
        ("20 123 456 dinars", &[]),
    ]);
}

#[test]
fn north_america_and_uk() {
    check(&[
        ("SSN 536-90-4399", &["US_SSN=536-90-4399"]),
        (
            "my social security number is 536904399",
            &["US_SSN=536904399"],
        ),
        (
            "SSN 666-12-3456, 000-12-3456, 123-00-4567, 078-05-1120",
            &[],
        ),
        ("ITIN 912-70-1234", &["US_ITIN=912-70-1234"]),
        ("SIN 130-692-544", &["CA_SIN=130-692-544"]),
        ("NPI: 1234567893", &["US_NPI=1234567893"]),
        ("MBI 1EG4-TE5-MK73", &["US_MBI=1EG4-TE5-MK73"]),
        ("DEA AB1234563", &["MEDICAL_LICENSE=AB1234563"]),
        ("NHS number 943 476 5919", &["UK_NHS=943 476 5919"]),
        ("NI: AB 12 34 56 C", &["UK_NINO=AB 12 34 56 C"]),
        ("BG123456A QQ123456C", &[]),
        (
            "licence MORGA657054SM9IJ",
            &["UK_DRIVING_LICENCE=MORGA657054SM9IJ"],
        ),
    ]);
}

#[test]
fn europe() {
    check(&[
        ("Steuer-ID 86 095 742 719", &["DE_TAX_ID=86 095 742 719"]),
        (
            "RVNR 15 070649 C 103",
            &["DE_SOCIAL_SECURITY=15 070649 C 103"],
        ),
        (
            "numéro de sécurité sociale 1 85 05 78 006 084 91",
            &["FR_NIR=1 85 05 78 006 084 91"],
        ),
        (
            "NIR 1 85 05 2A 006 084 35",
            &["FR_NIR=1 85 05 2A 006 084 35"],
        ),
        ("NIR 1 85 05 78 006 084 92", &[]),
        (
            "SIREN 732 829 320, SIRET 732 829 320 00074",
            &["FR_SIREN=732 829 320", "FR_SIRET=732 829 320 00074"],
        ),
        (
            "DNI 12345678Z y 12.345.678-Z",
            &["ES_NIF=12345678Z", "ES_NIF=12.345.678-Z"],
        ),
        ("NIE X1234567L", &["ES_NIE=X1234567L"]),
        ("12345678A X1234567A", &[]),
        ("CF RSSMRA85T10A562S", &["IT_FISCAL_CODE=RSSMRA85T10A562S"]),
        ("PESEL 44051401359", &["PL_PESEL=44051401359"]),
        ("BSN 111222333", &["NL_BSN=111222333"]),
        ("NRN 85.07.30-033.28", &["BE_NRN=85.07.30-033.28"]),
        ("personnummer 811218-9876", &["SE_PERSONNUMMER=811218-9876"]),
        (
            "HETU 131052-308T",
            &["FI_PERSONAL_IDENTITY_CODE=131052-308T"],
        ),
        ("AHV 756.9217.0769.85", &["CH_AHV=756.9217.0769.85"]),
        ("TC kimlik 10000000146", &["TR_NATIONAL_ID=10000000146"]),
        ("Aadhaar 2341 2341 2346", &["IN_AADHAAR=2341 2341 2346"]),
        ("PAN ABCPE1234F", &["IN_PAN=ABCPE1234F"]),
        ("NRIC S1234567D", &["SG_NRIC_FIN=S1234567D"]),
        ("ABN 51 824 753 556", &["AU_ABN=51 824 753 556"]),
        (
            "ID 8001015009087 (South African)",
            &["ZA_ID_NUMBER=8001015009087"],
        ),
    ]);
}

#[test]
fn mena() {
    check(&[
        ("رقم بطاقة التعريف الوطنية ٠٩٨٧٦٥٤٣", &["TN_CIN=٠٩٨٧٦٥٤٣"]),
        ("Ma CIN est 09876543.", &["TN_CIN=09876543"]),
        ("CIN09876543", &["TN_CIN=09876543"]),
        ("09876543", &[]),
        (
            "matricule fiscal 1234567R/A/M/000",
            &["TN_MATRICULE_FISCAL=1234567R/A/M/000"],
        ),
        (
            "MF 0012345 N A M 000",
            &["TN_MATRICULE_FISCAL=0012345 N A M 000"],
        ),
        ("matricule fiscal 1234567A/A/M/000", &[]),
        ("رقم الهوية ١٠٥٨٥٢٩٩٤٠", &["SA_NATIONAL_ID=١٠٥٨٥٢٩٩٤٠"]),
        ("iqama 2345678912", &["SA_NATIONAL_ID=2345678912"]),
        ("1058529940", &[]),
        (
            "Emirates ID 784-1987-1234567-1",
            &["AE_EMIRATES_ID=784-1987-1234567-1"],
        ),
        ("784-1987-1234567-2", &[]),
        (
            "الرقم القومي 29001011234567",
            &["EG_NATIONAL_ID=29001011234567"],
        ),
        ("20101231235959 20240115103000", &[]),
        ("CNIE BE123456 (Maroc)", &["MA_CIN=BE123456"]),
        ("part BE123456", &[]),
        ("ICE 001525687000023", &["MA_ICE=001525687000023"]),
        ("QID 28678812345", &["QA_QID=28678812345"]),
        ("الرقم المدني 290010100003", &["KW_CIVIL_ID=290010100003"]),
        ("CPR 880512345", &["BH_CPR=880512345"]),
        (
            "Jordanian national number 9871234567",
            &["JO_NATIONAL_NUMBER=9871234567"],
        ),
    ]);
}

#[test]
fn documents_and_devices() {
    check(&[
        ("born 12/03/1985 in Tunis", &["DATE_OF_BIRTH=12/03/1985"]),
        ("né le 12 mars 1985", &["DATE_OF_BIRTH=12 mars 1985"]),
        (
            "تاريخ الميلاد: ١٢ مارس ١٩٨٥",
            &["DATE_OF_BIRTH=١٢ مارس ١٩٨٥"],
        ),
        ("DOB: March 12, 1985", &["DATE_OF_BIRTH=March 12, 1985"]),
        ("meeting on 12/03/2025; born to run; dob 31/02/1985", &[]),
        ("IMEI 490154203237518", &["IMEI=490154203237518"]),
        ("VIN 1M8GDM9AXKP042788", &["VIN=1M8GDM9AXKP042788"]),
        ("passport no. X1234567", &["PASSPORT=X1234567"]),
        (
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
            &[
                "MRZ=P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
            ],
        ),
        (
            "send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            &["CRYPTO=1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"],
        ),
        (
            "0x52908400098527886E0F7030069857D2E4169EE7",
            &["CRYPTO=0x52908400098527886E0F7030069857D2E4169EE7"],
        ),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", &[]),
        (
            "ISBN 978-0-306-40615-7, v2.10.3, 1700000000, 3.14159265358979",
            &[],
        ),
    ]);
}

#[test]
fn prose_is_left_alone() {
    check(&[
        (
            "In 2024 we sold 1,234,567 units for $12,345,678.90 over 365 days at 99.99%.",
            &[],
        ),
        (
            "Chapter 12, pages 123-456; ratio 16:9; call at 10:30. ISO 9001:2015.",
            &[],
        ),
        (
            "order 4929-1234, invoice 2024-000123456, tracking 1Z999AA10123456784",
            &[],
        ),
        ("", &[]),
        (":x", &[]),
        ("@", &[]),
    ]);
}

proptest! {
    #[test]
    fn never_panics_and_ranges_are_sound(text in "[-a-zA-Z0-9 @:=_.<%/+(),\u{661}\u{662}\u{200b}\u{a0}\u{645}\u{e9}'\"&?\n;|\t]{0,80}") {
        let got = Detector::default().find(&text);
        for f in &got {
            prop_assert!(text.get(f.start..f.end).is_some_and(|s| !s.is_empty()));
        }
        prop_assert!(got.windows(2).all(|w| w[0].end <= w[1].start));
    }

    /// Around a valid card anything but a letter or digit may stand.
    #[test]
    fn a_card_is_found_whatever_surrounds_it(before in "[^0-9a-zA-Z+٠-٩۰-۹０-９]{0,12}", after in "[^0-9a-zA-Z٠-٩۰-۹０-９]{0,12}") {
        prop_assume!(!before.ends_with(char::is_numeric) && !after.starts_with(char::is_numeric));
        let text = format!("{before}5555555555554444{after}");
        let got = found(&text);
        prop_assert!(got.iter().any(|f| f.contains("5555555555554444")), "{:?} {:?}", text, got);
    }
}
