//! How values are made, with check digits computed here.

use crate::Rng;

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

pub(super) fn luhn(body: String) -> String {
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

pub(super) fn iban(country: &str, bban: String) -> String {
    format!("{country}{:02}{bban}", iban_check(country, &bban))
}

pub(super) fn wsum(d: &str, w: &[u32]) -> u32 {
    d.bytes().zip(w).map(|(b, w)| u32::from(b - b'0') * w).sum()
}

/// Splits into groups.
pub(super) fn grouped(v: &str, sizes: &[usize], sep: &str) -> String {
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

pub(super) fn fours(r: &mut Rng, v: &str, sep: &str) -> String {
    let _ = r;
    v.as_bytes()
        .chunks(4)
        .map(|c| String::from_utf8_lossy(c).into_owned())
        .collect::<Vec<_>>()
        .join(sep)
}

pub(super) fn yymmdd(r: &mut Rng) -> String {
    format!(
        "{:02}{:02}{:02}",
        r.range(40, 99),
        r.range(1, 12),
        r.range(1, 28)
    )
}

pub(super) fn until<T>(r: &mut Rng, mut f: impl FnMut(&mut Rng) -> Option<T>) -> T {
    loop {
        if let Some(x) = f(r) {
            return x;
        }
    }
}

pub(super) fn card(r: &mut Rng) -> String {
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

pub(super) fn any_iban(r: &mut Rng) -> String {
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

pub(super) fn email(r: &mut Rng) -> String {
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

pub(super) fn phone(r: &mut Rng) -> String {
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

pub(super) fn ip(r: &mut Rng) -> String {
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

pub(super) fn ssn(r: &mut Rng) -> String {
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

pub(super) fn nir(r: &mut Rng) -> String {
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

pub(super) fn fiscal_code(r: &mut Rng) -> String {
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

pub(super) fn weighted_id(r: &mut Rng, n: usize, make: impl Fn(&str) -> Option<u32>) -> String {
    until(r, |r| {
        let b = format!("{}{}", r.range(1, 9), r.digits(n - 1));
        make(&b).filter(|&c| c < 10).map(|c| format!("{b}{c}"))
    })
}

pub(super) fn kuwait(r: &mut Rng) -> String {
    until(r, |r| {
        let b = format!("2{}{}", yymmdd(r), r.digits(4));
        let c = 11 - wsum(&b, &[2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
        (c < 10).then(|| format!("{b}{c}"))
    })
}

pub(super) fn matricule(r: &mut Rng) -> String {
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

pub(super) fn rib(r: &mut Rng) -> String {
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

pub(super) fn dob(r: &mut Rng) -> String {
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

pub(super) fn verhoeff(r: &mut Rng, body: String) -> String {
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

pub(super) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Rng {
    /// Like `pick`, for a list of strings that outlives the call.
    pub(super) fn clone_pick<'a>(&mut self, all: &'a [&'static str]) -> &'a &'static str {
        self.pick(all)
    }
}
