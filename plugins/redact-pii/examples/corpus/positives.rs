//! Synthetic values of each entity, with check digits computed here.

use super::Rng;

/// What may be done to a value's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Nothing: letters and digits matter as they are.
    Exact,
    /// Digits of other scripts, invisible characters, typographic spaces and dashes.
    Loose,
}

/// One entity and its labels in three languages.
#[derive(Debug)]
pub struct Case {
    /// The name that the detector reports.
    pub entity: &'static str,
    /// Makes one value in one of its usual groupings.
    pub make: fn(&mut Rng) -> String,
    /// English labels.
    pub en: &'static [&'static str],
    /// French labels.
    pub fr: &'static [&'static str],
    /// Arabic labels.
    pub ar: &'static [&'static str],
    /// Whether a value without any label must be found.
    pub bare: bool,
    /// Disguises.
    pub style: Style,
}

/// The Luhn digit for a body.
pub fn luhn_digit(body: &str) -> char {
    let sum: u32 = body
        .chars()
        .rev()
        .enumerate()
        .map(|(i, c)| {
            let d = c.to_digit(10).unwrap_or(0);
            if i % 2 == 0 {
                let x = d * 2;
                x / 10 + x % 10
            } else {
                d
            }
        })
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
}

fn luhn(body: String) -> String {
    let d = luhn_digit(&body);
    format!("{body}{d}")
}

/// IBAN check digits by long division over the written-out number.
pub fn iban_check(country: &str, bban: &str) -> u64 {
    let written: String = format!("{bban}{country}00")
        .chars()
        .map(|c| c.to_digit(36).unwrap_or(0).to_string())
        .collect();
    let r = written
        .bytes()
        .fold(0u64, |r, b| (r * 10 + u64::from(b - b'0')) % 97);
    98 - r
}

fn iban(country: &str, bban: String) -> String {
    format!("{country}{:02}{bban}", iban_check(country, &bban))
}

fn wsum(d: &str, w: &[u32]) -> u32 {
    d.bytes().zip(w).map(|(b, w)| u32::from(b - b'0') * w).sum()
}

/// Splits into groups.
fn grouped(v: &str, sizes: &[usize], sep: &str) -> String {
    let chars: Vec<char> = v.chars().collect();
    let mut out = String::new();
    let mut i = 0;
    for (k, &n) in sizes.iter().enumerate() {
        if k > 0 {
            out.push_str(sep);
        }
        out.extend(&chars[i..(i + n).min(chars.len())]);
        i += n;
    }
    out.extend(chars.get(i..).unwrap_or_default());
    out
}

fn fours(r: &mut Rng, v: &str, sep: &str) -> String {
    let _ = r;
    v.as_bytes()
        .chunks(4)
        .map(|c| String::from_utf8_lossy(c).into_owned())
        .collect::<Vec<_>>()
        .join(sep)
}

fn yymmdd(r: &mut Rng) -> String {
    format!(
        "{:02}{:02}{:02}",
        r.range(40, 99),
        r.range(1, 12),
        r.range(1, 28)
    )
}

fn until<T>(r: &mut Rng, mut f: impl FnMut(&mut Rng) -> Option<T>) -> T {
    loop {
        if let Some(x) = f(r) {
            return x;
        }
    }
}

fn card(r: &mut Rng) -> String {
    let (prefix, n) = match r.below(11) {
        0 => (format!("4{}", r.digits(5)), 16),
        1 => (format!("5{}{}", r.range(1, 5), r.digits(4)), 16),
        2 => (format!("{}{}", r.range(2221, 2720), r.digits(2)), 16),
        3 => (format!("3{}{}", r.pick(&["4", "7"]), r.digits(4)), 15),
        4 => (format!("6011{}", r.digits(2)), 16),
        5 => (format!("35{}", r.range(2800, 8999)), 16),
        6 => (format!("36{}", r.digits(4)), 14),
        7 => (format!("62{}", r.digits(4)), 16),
        8 => (format!("4{}", r.digits(5)), 19),
        9 => (format!("2202{}", r.digits(2)), 16),
        _ => (format!("4{}", r.digits(5)), 13),
    };
    let v = luhn(format!("{prefix}{}", r.digits(n - 7)));
    let sep = *r.pick(&[" ", "-", ".", "  ", " - "]);
    match (r.below(3), n) {
        (0, _) | (_, 13) => v,
        (_, 16) => grouped(&v, &[4, 4, 4, 4], sep),
        (_, 15) => grouped(&v, &[4, 6, 5], sep),
        (_, 14) => grouped(&v, &[4, 6, 4], sep),
        _ => grouped(&v, &[4, 4, 4, 4, 3], sep),
    }
}

fn any_iban(r: &mut Rng) -> String {
    let v = match r.below(12) {
        0 => {
            let b = format!("{:02}{}", r.range(1, 28), r.digits(16));
            let n = b
                .bytes()
                .chain(*b"00")
                .fold(0u64, |m, x| (m * 10 + u64::from(x - b'0')) % 97);
            iban("TN", format!("{b}{:02}", 97 - n))
        }
        1 => {
            let b = r.digits(20);
            iban("SA", b)
        }
        2 => {
            let b = r.digits(19);
            iban("AE", b)
        }
        3 => {
            let b = r.digits(25);
            iban("EG", b)
        }
        4 => {
            let b = format!(
                "{}{}{}",
                r.digits(10),
                r.chars("0123456789ABC", 11),
                r.digits(2)
            );
            iban("FR", b)
        }
        5 => {
            let b = format!(
                "{}{}",
                r.chars("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 4),
                r.digits(14)
            );
            iban("GB", b)
        }
        6 => {
            let b = r.digits(18);
            iban("DE", b)
        }
        7 => {
            let b = format!(
                "{}{}",
                r.chars("ABCDEFGH", 4),
                r.chars("0123456789ABCDEF", 21)
            );
            iban("QA", b)
        }
        8 => {
            let b = format!("{}{}", r.chars("ABCDEFGH", 4), r.digits(22));
            iban("JO", b)
        }
        9 => {
            let b = r.digits(24);
            iban("MA", b)
        }
        10 => {
            let b = r.digits(12);
            iban("BE", b)
        }
        _ => {
            let b = format!("{}{}", r.chars("ABCDEFGH", 4), r.digits(10));
            iban("NL", b)
        }
    };
    match r.below(5) {
        0 => v.to_lowercase(),
        1 | 2 => fours(r, &v, " "),
        3 => fours(r, &v, "-"),
        _ => v,
    }
}

fn email(r: &mut Rng) -> String {
    let names = [
        "alice",
        "b.martin",
        "karim.benali",
        "o'neil",
        "jean-luc",
        "x_y",
        "sales+eu",
        "a1",
        "noura.alharbi",
        "j.m.w",
    ];
    let hosts = [
        "example.com",
        "mail.example.co.uk",
        "example.tn",
        "exemple.fr",
        "sub.domain.example.org",
        "xn--bcher-kva.example",
        "bücher.example",
        "example.museum",
        "my-company.io",
    ];
    let v = format!(
        "{}{}@{}",
        r.pick(&names),
        if r.one_in(2) {
            r.digits(2)
        } else {
            String::new()
        },
        r.pick(&hosts)
    );
    match r.below(8) {
        0 => v.to_uppercase().replace('Ü', "ü"),
        1 => "محمد.علي@مثال.تونس".to_owned(),
        _ => v,
    }
}

fn phone(r: &mut Rng) -> String {
    let d = |r: &mut Rng, n: usize| r.digits(n);
    match r.below(16) {
        0 => format!(
            "+216 {}{} {} {}",
            r.pick(&["2", "4", "5", "9"]),
            d(r, 1),
            d(r, 3),
            d(r, 3)
        ),
        1 => format!("+966 5{} {} {}", d(r, 1), d(r, 3), d(r, 4)),
        2 => format!(
            "+9715{}{}",
            r.pick(&["0", "2", "4", "5", "6", "8"]),
            d(r, 7)
        ),
        3 => format!(
            "+20 1{} {} {}",
            r.pick(&["0", "1", "2", "5"]),
            d(r, 4),
            d(r, 4)
        ),
        4 => format!("+212-6{}-{}", d(r, 2), d(r, 6)),
        5 => format!("+33 6 {} {} {} {}", d(r, 2), d(r, 2), d(r, 2), d(r, 2)),
        6 => format!("+44 7{} {}", d(r, 3), d(r, 6)),
        7 => format!(
            "+1 ({}{}) {}{}-{}",
            r.range(2, 8),
            r.range(20, 99),
            r.range(2, 9),
            r.range(20, 99),
            d(r, 4)
        ),
        8 => format!(
            "({}{}) {}{}-{}",
            r.range(2, 8),
            r.range(20, 89),
            r.range(2, 9),
            r.range(20, 99),
            d(r, 4)
        ),
        9 => format!(
            "{}{}-{}{}-{}",
            r.range(2, 8),
            r.range(20, 89),
            r.range(2, 9),
            r.range(20, 99),
            d(r, 4)
        ),
        10 => format!("06 {} {} {} {}", d(r, 2), d(r, 2), d(r, 2), d(r, 2)),
        11 => format!("05{}", d(r, 8)),
        12 => format!(
            "00213 {}{} {} {} {}",
            r.pick(&["5", "6", "7"]),
            d(r, 2),
            d(r, 2),
            d(r, 2),
            d(r, 2)
        ),
        13 => format!("+49 30 {}{}", r.range(1, 9), d(r, 6)),
        14 => format!("01{}{}", r.pick(&["0", "1", "2", "5"]), d(r, 8)),
        _ => format!("+974 {}{} {}", r.range(3, 7), d(r, 3), d(r, 4)),
    }
}

fn ip(r: &mut Rng) -> String {
    match r.below(4) {
        0 => format!(
            "2001:db8:{:x}:{:x}::{:x}",
            r.range(1, 65535),
            r.range(1, 65535),
            r.range(1, 65535)
        ),
        1 => (0..8)
            .map(|_| format!("{:04x}", r.range(0x2000, 0xfffe)))
            .collect::<Vec<_>>()
            .join(":"),
        _ => format!(
            "{}.{}.{}.{}",
            r.range(31, 223),
            r.range(0, 255),
            r.range(0, 255),
            r.range(1, 254)
        ),
    }
}

fn ssn(r: &mut Rng) -> String {
    let area = until(r, |r| {
        let a = r.range(1, 899);
        (a != 666 && a != 78 && a != 219).then_some(a)
    });
    let (g, s) = (r.range(1, 99), r.range(1, 9999));
    match r.below(4) {
        0 => format!("{area:03}{g:02}{s:04}"),
        1 => format!("{area:03} {g:02} {s:04}"),
        _ => format!("{area:03}-{g:02}-{s:04}"),
    }
}

fn nir(r: &mut Rng) -> String {
    let corsica = r.one_in(8);
    let dep = if corsica {
        r.pick(&["2A", "2B"]).to_string()
    } else {
        format!("{:02}", r.range(1, 95))
    };
    let b = format!(
        "{}{:02}{:02}{dep}{:03}{:03}",
        r.range(1, 2),
        r.range(30, 99),
        r.range(1, 12),
        r.range(1, 990),
        r.range(1, 999)
    );
    let n: u64 = b
        .replace("2A", "19")
        .replace("2B", "18")
        .parse()
        .unwrap_or(0);
    let v = format!("{b}{:02}", 97 - n % 97);
    if r.one_in(2) {
        v
    } else {
        grouped(&v, &[1, 2, 2, 2, 3, 3, 2], " ")
    }
}

fn fiscal_code(r: &mut Rng) -> String {
    let odd = |c: char| -> u32 {
        let t = [
            1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25,
            24, 23,
        ];
        t[c.to_digit(10).unwrap_or_else(|| c as u32 - 'A' as u32) as usize]
    };
    let v = format!(
        "{}{:02}{}{:02}{}{:03}",
        r.chars("BCDFGLMNPRSTV", 6),
        r.range(30, 99),
        r.chars("ABCDEHLMPRST", 1),
        r.range(1, 28),
        r.chars("ABCDEFGHIL", 1),
        r.range(1, 999)
    );
    let sum: u32 = v
        .chars()
        .enumerate()
        .map(|(i, c)| {
            if i % 2 == 0 {
                odd(c)
            } else {
                c.to_digit(10).unwrap_or_else(|| c as u32 - 'A' as u32)
            }
        })
        .sum();
    format!("{v}{}", char::from(b'A' + (sum % 26) as u8))
}

fn weighted_id(r: &mut Rng, n: usize, make: impl Fn(&str) -> Option<u32>) -> String {
    until(r, |r| {
        let b = format!("{}{}", r.range(1, 9), r.digits(n - 1));
        make(&b).filter(|&c| c < 10).map(|c| format!("{b}{c}"))
    })
}

fn kuwait(r: &mut Rng) -> String {
    until(r, |r| {
        let b = format!("2{}{}", yymmdd(r), r.digits(4));
        let c = 11 - wsum(&b, &[2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
        (c < 10).then(|| format!("{b}{c}"))
    })
}

fn matricule(r: &mut Rng) -> String {
    let d = r.digits(7);
    let key = b"ABCDEFGHJKLMNPQRSTVWXYZ"[(wsum(&d, &[7, 6, 5, 4, 3, 2, 1]) % 23) as usize] as char;
    let (v, c, sep) = (
        *r.pick(&["A", "P", "B", "N"]),
        *r.pick(&["M", "P", "C", "N"]),
        *r.pick(&["/", "/", " ", "", "-"]),
    );
    format!(
        "{d}{}{key}{sep}{v}{sep}{c}{sep}000",
        if sep == "/" { *r.pick(&["", "/"]) } else { "" }
    )
}

fn rib(r: &mut Rng) -> String {
    let b = format!(
        "{}{}",
        r.pick(&["01", "03", "04", "07", "08", "10", "12", "14", "20", "25"]),
        r.digits(16)
    );
    let n = b
        .bytes()
        .chain(*b"00")
        .fold(0u64, |m, x| (m * 10 + u64::from(x - b'0')) % 97);
    let v = format!("{b}{:02}", 97 - n);
    if r.one_in(2) {
        v
    } else {
        grouped(&v, &[2, 3, 13, 2], " ")
    }
}

fn dob(r: &mut Rng) -> String {
    let (y, m, d) = (r.range(1940, 2010), r.range(1, 12), r.range(1, 28));
    let en = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let fr = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    let ar = [
        "يناير",
        "فبراير",
        "مارس",
        "أبريل",
        "مايو",
        "يونيو",
        "يوليو",
        "أغسطس",
        "سبتمبر",
        "أكتوبر",
        "نوفمبر",
        "ديسمبر",
    ];
    let i = m as usize - 1;
    match r.below(7) {
        0 => format!("{y}-{m:02}-{d:02}"),
        1 => format!("{d:02}/{m:02}/{y}"),
        2 => format!("{d}.{m}.{y}"),
        3 => format!("{} {d}, {y}", en[i]),
        4 => format!("{d} {} {y}", fr[i]),
        5 => format!("{d} {} {y}", ar[i]),
        _ => format!("{m}/{d}/{y}"),
    }
}

fn verhoeff(r: &mut Rng, body: String) -> String {
    // Permutation-group arithmetic on the dihedral group written out: flip and rotate.
    let mul = |a: u32, b: u32| -> u32 {
        match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => 5 + (a + b - 5) % 5,
            (false, true) => 5 + (a - 5 + 5 - b) % 5,
            (false, false) => (a - 5 + 5 - (b - 5)) % 5,
        }
    };
    let p = |mut x: u32, n: usize| {
        let t = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
        for _ in 0..n % 8 {
            x = t[x as usize];
        }
        x
    };
    let _ = r;
    for c in 0..10u32 {
        let v = format!("{body}{c}");
        let s = v
            .chars()
            .rev()
            .enumerate()
            .fold(0, |s, (i, ch)| mul(s, p(ch.to_digit(10).unwrap_or(0), i)));
        if s == 0 {
            return v;
        }
    }
    body
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const fn case(
    entity: &'static str,
    make: fn(&mut Rng) -> String,
    en: &'static [&'static str],
    fr: &'static [&'static str],
    ar: &'static [&'static str],
    bare: bool,
    style: Style,
) -> Case {
    Case {
        entity,
        make,
        en,
        fr,
        ar,
        bare,
        style,
    }
}

use Style::{Exact, Loose};

/// Every entity that the corpus measures.
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
            let v = if v.starts_with("ZZ") {
                v.replacen("ZZ", "AA", 1)
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
        "URL_CREDENTIALS",
        |r| r.chars(ALNUM, 14),
        &[],
        &[],
        &[],
        false,
        Exact,
    ),
    case(
        "AWS_ACCESS_KEY",
        |r| {
            format!(
                "{}{}",
                r.pick(&["AKIA", "ASIA"]),
                r.chars("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
            )
        },
        &["access key"],
        &["clé d'accès"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "GITHUB_TOKEN",
        |r| {
            format!(
                "{}{}",
                r.pick(&["ghp_", "gho_", "ghs_"]),
                r.chars(ALNUM, 36)
            )
        },
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "GITLAB_TOKEN",
        |r| format!("glpat-{}", r.chars(ALNUM, 20)),
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "SLACK_TOKEN",
        |r| {
            format!(
                "xoxb-{}-{}-{}",
                r.digits(12),
                r.digits(12),
                r.chars(ALNUM, 24)
            )
        },
        &["bot token"],
        &["jeton Slack"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "STRIPE_KEY",
        |r| {
            format!(
                "{}{}",
                r.pick(&["sk_live_", "sk_test_", "rk_live_"]),
                r.chars(ALNUM, 24)
            )
        },
        &["Stripe key"],
        &["clé Stripe"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "OPENAI_API_KEY",
        |r| {
            format!(
                "sk-proj-{}T3BlbkFJ{}",
                r.chars(ALNUM, 20),
                r.chars(ALNUM, 20)
            )
        },
        &["key"],
        &["clé"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "ANTHROPIC_API_KEY",
        |r| format!("sk-ant-api03-{}AA", r.chars(ALNUM, 93)),
        &["key"],
        &["clé"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "GOOGLE_API_KEY",
        |r| format!("AIza{}", r.chars(ALNUM, 35)),
        &["key"],
        &["clé"],
        &["مفتاح"],
        true,
        Exact,
    ),
    case(
        "HUGGINGFACE_TOKEN",
        |r| format!("hf_{}", r.chars(ALNUM, 34)),
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "JWT",
        |r| {
            format!(
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI{}.{}",
                r.chars(ALNUM, 12),
                r.chars(ALNUM, 43)
            )
        },
        &["token"],
        &["jeton"],
        &["الرمز"],
        true,
        Exact,
    ),
    case(
        "GENERIC_SECRET",
        |r| {
            format!(
                "{}{}{}",
                r.chars("ABCDEFGHJKLMNPQRSTUVWXYZ", 2),
                r.chars("abcdefghijkmnpqrstuvwxyz0123456789!#%", 9),
                r.digits(2)
            )
        },
        &[],
        &[],
        &[],
        false,
        Exact,
    ),
];

impl Rng {
    /// Like `pick`, for a list of strings that outlives the call.
    fn clone_pick<'a>(&mut self, all: &'a [&'static str]) -> &'a &'static str {
        self.pick(all)
    }
}
