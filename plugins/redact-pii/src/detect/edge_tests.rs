//! Where a number begins and ends, which words name it, and secrets in tables: what a second generator of
//! identifiers, written from descriptions of the schemes, showed was missed or wrongly found.

use super::tests::check;

#[test]
fn words_that_name_a_number() {
    check(&[
        (
            "numéro de routage : 018108143",
            &["ABA_ROUTING_NUMBER=018108143"],
        ),
        ("... ID card NCK8321NR7", &["DE_ID_CARD=NCK8321NR7"]),
        (
            "numéro d'identification fiscale 700789498560761",
            &["DZ_NIF=700789498560761"],
        ),
        ("844193444813107 الرقم الجبائي", &["DZ_NIF=844193444813107"]),
        ("tax number 515-803-681", &["EG_TAX_NUMBER=515-803-681"]),
        (
            "national number: 9604699856",
            &["JO_NATIONAL_NUMBER=9604699856"],
        ),
        ("الرقم المدني 65343626", &["OM_CIVIL_NUMBER=65343626"]),
        ("civil number ب425888737ش", &["OM_CIVIL_NUMBER=425888737"]),
        ("civil case 65343626, civil war 18611865", &[]),
        (
            "البطاقة الوطنية: 294437143697",
            &["IQ_NATIONAL_CARD=294437143697"],
        ),
        (
            "الهوية الإسرائيلية 868589748",
            &["IL_TEUDAT_ZEHUT=868589748"],
        ),
        ("09439000 is my national ID card", &["TN_CIN=09439000"]),
        (
            "2008912525 is my national ID",
            &["SA_NATIONAL_ID=2008912525"],
        ),
        ("Is \"BK129250\" my Moroccan ID card?", &["MA_CIN=BK129250"]),
        (
            "Is \"88387661066\" my national identification number?",
            &["NG_NIN=88387661066"],
        ),
        (
            "Le dossier (passeport n° MU3633209) est clos",
            &["PASSPORT=MU3633209"],
        ),
        (
            "Le dossier (numéro de compte 371898451622) est clos",
            &["BANK_ACCOUNT=371898451622"],
        ),
        (
            "compte (professionnel) 371898451622",
            &["BANK_ACCOUNT=371898451622"],
        ),
        ("message id <fc5f892cc6.932371>", &[]),
        (
            "carte thaïlandaise n° 2780615797571",
            &["TH_TNIN=2780615797571"],
        ),
        (
            "numéro de sécurité sociale américain 537642489",
            &["US_SSN=537642489"],
        ),
    ]);
}

#[test]
fn edges_of_numbers() {
    check(&[
        // A field of a table stands right before.
        (
            "id,nhs_number,city\n17,485 619 6723,Tunis\n",
            &["UK_NHS=485 619 6723"],
        ),
        ("population 1,234,567 and 12,345.678-90", &[]),
        // Brackets that are not of the number.
        ("tel (+965 2234 1498)", &["PHONE_NUMBER=+965 2234 1498"]),
        ("tel (0061 2 1234 3661)", &["PHONE_NUMBER=0061 2 1234 3661"]),
        ("tel (+216) 20 123 456", &["PHONE_NUMBER=(+216) 20 123 456"]),
        // Full stops in a tax number, a date at the beginning of a Belgian's.
        (
            "MF 9344318.Y.P.P.000.",
            &["TN_MATRICULE_FISCAL=9344318.Y.P.P.000"],
        ),
        ("NISS 07.05.03-959.35", &["BE_NRN=07.05.03-959.35"]),
        ("log 2006-05-09T21:48:46.558845Z level=info", &[]),
        // What begins with two zeros and is no telephone number.
        ("TIN 003-522-115-000", &["PH_TIN=003-522-115-000"]),
        // Invisible characters between the characters of a code, and beside a word.
        ("محفظة T\u{200d}BXQ\u{61c}8KfaC\u{ad}phyN2", &[]),
        (
            "carte\u{200b}4111111111111111",
            &["CREDIT_CARD=4111111111111111"],
        ),
        (
            "swift B\u{feff}ARCGB\u{2060}2\u{61c}2\u{200e}500",
            &["BIC_SWIFT=B\u{feff}ARCGB\u{2060}2\u{61c}2\u{200e}500"],
        ),
        (
            "0\u{200d}x5290\u{200d}8400098\u{ad}527886\u{200b}E0F7030069857D2\u{61c}E4169EE7",
            &[
                "CRYPTO=0\u{200d}x5290\u{200d}8400098\u{ad}527886\u{200b}E0F7030069857D2\u{61c}E4169EE7",
            ],
        ),
        (
            "<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<",
            &[],
        ),
        // A tag behind a machine-readable zone.
        (
            "<td>P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10</td>",
            &[
                "MRZ=P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
            ],
        ),
    ]);
}

#[test]
fn secrets_in_tables() {
    check(&[
        (
            "id,api_key,city\n17,CFgxhy7XThJ2SSPc,Tunis\n18,q57ujReFBzHGUyriM5jB,Sfax\n",
            &[
                "GENERIC_SECRET=CFgxhy7XThJ2SSPc",
                "GENERIC_SECRET=q57ujReFBzHGUyriM5jB",
            ],
        ),
        (
            "| user | password |\n|---|---|\n| bob | SKA565NusyO3BIAV |",
            &["GENERIC_SECRET=SKA565NusyO3BIAV"],
        ),
        (
            "| access_token | IGMV4S1SasEK5WT82FcOzOssxBuE6gq5 |",
            &["GENERIC_SECRET=IGMV4S1SasEK5WT82FcOzOssxBuE6gq5"],
        ),
        (
            "<tr><td>secret</td> <td>SEBXaMfrEczrorDYBaFlfF1BECKhjuId</td></tr>",
            &["GENERIC_SECRET=SEBXaMfrEczrorDYBaFlfF1BECKhjuId"],
        ),
        // Another column, a list of arguments, types.
        (
            "api_key,build\nnone,CFgxhy7XThJ2SSPc\n f(token,MyClassName2Foo) Vec<Token>CFgxhy7XThJ2SSPc",
            &[],
        ),
    ]);
}
