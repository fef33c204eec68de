//! Lines in which nothing personal and nothing secret stands.

use super::Rng;
use super::positives::{iban_check, luhn_digit};

type Make = fn(&mut Rng) -> String;

/// A digit other than the right one.
fn off(r: &mut Rng, right: char) -> char {
    let d = right.to_digit(10).unwrap_or(0);
    char::from_digit((d + 1 + r.below(8) as u32) % 10, 10).unwrap_or('0')
}

fn bad_luhn(r: &mut Rng, prefix: &str, n: usize) -> String {
    let body = format!("{prefix}{}", r.digits(n - 1 - prefix.len()));
    let right = luhn_digit(&body);
    format!("{body}{}", off(r, right))
}

fn group(text: &str, sizes: &[usize], sep: &str) -> String {
    let mut out = Vec::new();
    let mut from = 0;
    for &n in sizes {
        let to = (from + n).min(text.len());
        out.push(&text[from..to]);
        from = to;
    }
    if from < text.len() {
        out.push(&text[from..]);
    }
    out.join(sep)
}

fn date(r: &mut Rng) -> (u64, u64, u64) {
    (r.range(1990, 2026), r.range(1, 12), r.range(1, 28))
}

/// Every kind of negative line.
pub const ALL: &[Make] = &[
    |r| format!("Order number {} shipped on Monday.", r.digits(10)),
    |r| format!("Votre commande n° {} est prête.", r.digits(8)),
    |r| format!("رقم الطلب {} قيد التجهيز", r.digits(10)),
    |r| format!("Facture FA-2024-{} du client", r.digits(6)),
    |r| {
        format!(
            "Invoice INV{}: total {}.{} EUR",
            r.digits(7),
            r.range(100, 99999),
            r.digits(2)
        )
    },
    |r| format!("Tracking number 1Z999AA1{}", r.digits(10)),
    |r| {
        let (y, m, d) = date(r);
        format!(
            "The meeting is on {y:04}-{m:02}-{d:02} at {:02}:{:02}.",
            r.below(24),
            r.below(60)
        )
    },
    |r| {
        let (y, m, d) = date(r);
        format!("Livraison le {d:02}/{m:02}/{y} avant midi")
    },
    |r| {
        let (y, m, d) = date(r);
        format!("الاجتماع يوم {d}/{m}/{y}")
    },
    |r| {
        let (y, m, d) = date(r);
        format!(
            "log {y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{}Z level=info",
            r.below(24),
            r.below(60),
            r.below(60),
            r.digits(6)
        )
    },
    |r| {
        let (y, m, d) = date(r);
        format!(
            "backup_{y:04}{m:02}{d:02}{:02}{:02}{:02}.tar.gz",
            r.below(24),
            r.below(60),
            r.below(60)
        )
    },
    |r| format!("timestamp: {}", 1_500_000_000 + r.range(0, 300_000_000)),
    |r| {
        format!(
            "\"created\": {}, \"id\": \"chatcmpl-{}\"",
            1_600_000_000_000 + r.range(0, 200_000_000_000),
            r.chars("abcdefghijkmnopqrstuvwxyzABCDEFGH0123456789", 24)
        )
    },
    |r| format!("version {}.{}.{}", r.below(20), r.below(40), r.below(200)),
    |r| {
        format!(
            "firmware v{}.{}.{}.{}",
            r.below(9),
            r.below(20),
            r.below(20),
            r.below(20)
        )
    },
    |r| {
        format!(
            "oid 1.3.6.1.4.1.{}.{}.{}",
            r.below(40000),
            r.below(20),
            r.below(20)
        )
    },
    |r| format!("commit {}", r.chars("0123456789abcdef", 40)),
    |r| {
        format!(
            "md5 {} sha256:{}",
            r.chars("0123456789abcdef", 32),
            r.chars("0123456789abcdef", 64)
        )
    },
    |r| {
        format!(
            "request id {}-{}-4{}-a{}-{}",
            r.chars("0123456789abcdef", 8),
            r.chars("0123456789abcdef", 4),
            r.chars("0123456789abcdef", 3),
            r.chars("0123456789abcdef", 3),
            r.chars("0123456789abcdef", 12)
        )
    },
    |r| {
        let b = format!("978{}", r.digits(9));
        let s: u32 = b
            .bytes()
            .enumerate()
            .map(|(i, c)| u32::from(c - b'0') * if i % 2 == 0 { 1 } else { 3 })
            .sum();
        format!(
            "ISBN {}-{}",
            group(&b, &[3, 1, 4, 4], "-"),
            (10 - s % 10) % 10
        )
    },
    |r| {
        format!(
            "ISBN-10: 0-{}-{}-X, see page {}",
            r.digits(3),
            r.digits(5),
            r.range(10, 900)
        )
    },
    |r| format!("EAN {} in stock", r.digits(13)),
    |r| format!("card {} was declined", bad_luhn(r, "4", 16)),
    |r| {
        let n = bad_luhn(r, "5412", 16);
        format!("numéro de carte {}", group(&n, &[4, 4, 4, 4], " "))
    },
    |r| {
        let n = bad_luhn(r, "37", 15);
        format!("amex {}", group(&n, &[4, 6, 5], " "))
    },
    |r| {
        let b = r.digits(20);
        let k = (iban_check("TN", &b) + 1 + r.range(0, 90)) % 97 + 2;
        let k = if k == iban_check("TN", &b) { k - 1 } else { k };
        format!("IBAN TN{k:02} {}", group(&b, &[4, 4, 4, 4, 4], " "))
    },
    |r| {
        format!(
            "SSN {}-{:02}-{:04}",
            if r.one_in(2) { "666" } else { "000" },
            r.range(1, 99),
            r.range(1, 9999)
        )
    },
    |r| {
        format!(
            "social security {:03}-00-{:04}",
            r.range(1, 665),
            r.range(1, 9999)
        )
    },
    |r| format!("call +999 {} {}", r.digits(4), r.digits(4)),
    |r| {
        format!(
            "phone +1 {}{} {} {}",
            r.below(2),
            r.digits(2),
            r.digits(3),
            r.digits(4)
        )
    },
    |r| {
        format!("Emirates ID 784-{}", {
            let n = bad_luhn(r, "784", 15);
            format!("{}-{}-{}", &n[3..7], &n[7..14], &n[14..])
        })
    },
    |r| {
        format!(
            "الرقم القومي 2{:02}13{:02}0112345",
            r.range(10, 99),
            r.range(1, 28)
        )
    },
    |r| {
        let n = r.range(10_000_000, 99_999_999);
        let l = b"TRWAGMYFPDXBNJZSQVHLCKE"[((n % 23) as usize + 1 + r.below(21)) % 23];
        format!("DNI {n}{}", char::from(l))
    },
    |r| {
        let n = r.digits(7);
        let s: u32 = n
            .bytes()
            .zip([7, 6, 5, 4, 3, 2, 1])
            .map(|(b, w)| u32::from(b - b'0') * w)
            .sum();
        let l = b"ABCDEFGHJKLMNPQRSTVWXYZ"[(s as usize + 1 + r.below(21)) % 23];
        format!("pièce {n}{}/A/M/000", char::from(l))
    },
    |r| {
        format!("numéro de sécurité sociale {}", {
            let b = format!(
                "1{:02}{:02}75{}",
                r.range(40, 99),
                r.range(1, 12),
                r.digits(6)
            );
            let k = 97 - b.parse::<u64>().unwrap_or(0) % 97;
            let k = if k > 50 {
                k - r.range(1, 40)
            } else {
                k + r.range(1, 40)
            };
            format!("{b}{k:02}")
        })
    },
    |r| {
        format!(
            "server {}.{}.{}.{}",
            256 + r.below(700),
            r.below(256),
            r.below(256),
            r.below(256)
        )
    },
    |r| {
        format!(
            "The ratio was 0.{} and pi is 3.14159{}",
            r.digits(12),
            r.digits(10)
        )
    },
    |r| {
        format!(
            "Revenue of ${},{},{} in Q{}",
            r.range(1, 999),
            r.range(100, 999),
            r.range(100, 999),
            r.range(1, 4)
        )
    },
    |r| {
        format!(
            "un budget de {} {} {} euros",
            r.range(1, 99),
            r.range(100, 999),
            r.range(100, 999)
        )
    },
    |r| format!("عدد السكان {} نسمة", r.range(1_000_000, 99_999_999)),
    |r| {
        format!(
            "at {}.{}, -{}.{}",
            r.range(1, 89),
            r.digits(6),
            r.range(1, 179),
            r.digits(6)
        )
    },
    |r| {
        format!(
            "part {}-{}-{} rev {}",
            r.chars("ABCDEFGHJK", 2),
            r.digits(4),
            r.digits(3),
            r.chars("ABCD", 1)
        )
    },
    |r| format!("SKU {}{}", r.chars("ABCDEFGH", 3), r.digits(6)),
    |r| {
        format!(
            "flight {}{} gate {}{}",
            r.pick(&["AF", "TU", "SV", "EK"]),
            r.digits(4),
            r.chars("ABC", 1),
            r.digits(2)
        )
    },
    |r| {
        format!(
            "arXiv:{}.{} and doi 10.{}/{}",
            1000 + r.below(1400),
            r.digits(5),
            r.digits(4),
            r.chars("abcdef0123456789.", 9)
        )
    },
    |r| {
        format!(
            "use npm i left-pad@{}.{}.{} and @types/node",
            r.below(9),
            r.below(20),
            r.below(20)
        )
    },
    |r| {
        format!(
            "import icon@{}x.png from 'a/b'; @app.route('/{}')",
            r.range(2, 3),
            r.digits(3)
        )
    },
    |r| {
        format!(
            "std::vector<int> v{}; a::b::c; 10:{}:{}",
            r.digits(2),
            10 + r.below(49),
            10 + r.below(49)
        )
    },
    |r| format!("git clone git@github.com:org/repo{}.git", r.digits(2)),
    |r| {
        format!(
            "password: {}",
            r.pick(&[
                "required",
                "must have 8 characters",
                "<your password>",
                "********",
                "${DB_PASSWORD}",
                "None",
                "string",
                "see vault"
            ])
        )
    },
    |r| {
        format!(
            "{} = {}",
            r.pick(&["token", "api_key", "secret"]),
            r.pick(&[
                "get_token()",
                "os.environ['TOKEN']",
                "process.env.API_KEY",
                "config.secret",
                "\"{{ secret }}\"",
                "None",
                "self.token"
            ])
        )
    },
    |r| {
        format!(
            "max_tokens={} tokens: {} token_count={}",
            r.below(9000),
            r.below(100_000),
            r.digits(8)
        )
    },
    |r| format!("AKIA{}EXAMPLE sk-learn ghp_xxx", r.chars("ABCDEFGHIJ", 9)),
    |r| {
        format!(
            "color #{} and 0x{}",
            r.chars("0123456789abcdef", 6),
            r.chars("0123456789abcdef", 8)
        )
    },
    |r| {
        format!(
            "chapter {}, pages {}-{}, ISO {}:{}",
            r.below(40),
            r.range(100, 199),
            r.range(200, 299),
            r.range(1000, 9999),
            r.range(1990, 2024)
        )
    },
    |r| {
        format!(
            "x = [{}, {}, {}, {}]",
            r.digits(3),
            r.digits(4),
            r.digits(5),
            r.digits(6)
        )
    },
    |r| {
        format!(
            "{} {} {} {} {}",
            r.digits(2),
            r.digits(3),
            r.digits(2),
            r.digits(4),
            r.digits(1)
        )
    },
    |r| format!("serial {}", r.digits(12)),
    |r| format!("الرقم التسلسلي {} للجهاز", r.digits(11)),
    |r| format!("n° de série {} (garantie {} ans)", r.digits(13), r.below(9)),
    |r| format!("ticket #{} closed, issue {}", r.digits(8), r.digits(5)),
    |r| format!("batch {} lot {}", r.digits(9), r.digits(9)),
    |r| format!("transaction {} approved", r.digits(14)),
    |r| {
        format!(
            "{} bytes in {} ms ({} rows)",
            r.digits(9),
            r.digits(5),
            r.digits(8)
        )
    },
    |r| {
        format!(
            "UPC {} / model {}{}",
            r.digits(12),
            r.chars("XYZ", 2),
            r.digits(5)
        )
    },
    |r| {
        format!(
            "data:image/png;base64,iVBORw0KGgo{}",
            r.chars("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/", 60)
        )
    },
    |r| {
        format!(
            "https://example.com/a/{}?page={}&sort=asc",
            r.digits(8),
            r.below(90)
        )
    },
    |r| format!("12{} x {} = ?", r.digits(5), r.digits(7)),
    |r| {
        format!(
            "THE QUICK BROWN {} OVER {} LAZY DOGS",
            r.digits(3),
            r.digits(2)
        )
    },
];
