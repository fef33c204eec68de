//! Measures detection natively: MB of text a second on one core.
//!
//! `cargo run --release -p atoll-plugin-redact-pii --example throughput`
//!
//! Chat-like text with an identifier about every 220 bytes, in English, in Arabic, as JSON logs, and as
//! digits throughout (the worst case). Each figure is the best of several runs, in bytes of text.
#![expect(clippy::print_stdout, reason = "this program's output is its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use atoll_plugin_redact_pii::detect::Detector;

const ENGLISH: &[&str] = &[
    "Hello team, I wanted to follow up on the invoice we discussed last week, because the customer asked again this morning. ",
    "Could you please check whether alice.martin@example.com has received the contract and let me know before Friday? ",
    "The meeting is at 10:30 in the large room; bring the slides about the new release and the test results. ",
    "My card 4111 1111 1111 1111 was charged twice, so please refund one of the payments as soon as you can. ",
    "We looked at the logs and found nothing unusual, apart from a few slow requests in the afternoon of the same day. ",
    "You can reach me at +216 20 123 456 or at the office, and the IBAN is TN59 1000 6035 1835 9847 8831 as before. ",
    "In general the model works well, although the answers are sometimes longer than they would need to be for us. ",
    "The server at 203.0.113.7 answered slowly and my SSN 536-90-4399 was on the form that they sent by mistake. ",
];
const ARABIC: &[&str] = &[
    "مرحبا، أريد أن أسأل عن حالة الطلب الذي قدمته الأسبوع الماضي لأنني لم أتلق أي رد حتى الآن من فريق الدعم. ",
    "رقم الهوية ١٠٥٨٥٢٩٩٤٠ ورقم الجوال ٠٥٠١٢٣٤٥٦٧ ويمكنكم التواصل معي في أي وقت مناسب خلال أيام العمل. ",
    "نحن نعمل على تحسين الخدمة باستمرار ونرحب بكل الملاحظات والاقتراحات التي تساعدنا على ذلك في المستقبل. ",
    "أرجو تحويل المبلغ إلى الحساب TN59 1000 6035 1835 9847 8831 وإرسال الإيصال إلى alice@example.com وشكرا لكم. ",
];
const LOGS: &[&str] = &[
    "{\"ts\":\"2024-01-15T10:30:00.123Z\",\"level\":\"info\",\"id\":\"550e8400-e29b-41d4-a716-446655440000\",\"ms\":123.45,\"bytes\":1048576}\n",
    "{\"ts\":\"2024-01-15T10:30:01.456Z\",\"level\":\"warn\",\"user\":\"bob@example.com\",\"ip\":\"203.0.113.9\",\"status\":429,\"n\":17}\n",
];
const DIGITS: &[&str] =
    &["1234 5678 9012 3456 7890 12 345 6789 0123 45678 90 1 23456789 0123456789 "];

fn text(parts: &[&str], size: usize) -> String {
    let mut out = String::new();
    let mut i = 0;
    while out.len() < size {
        out.push_str(parts[i % parts.len()]);
        i += 1;
    }
    let size = (0..=size)
        .rev()
        .find(|&i| out.is_char_boundary(i))
        .unwrap_or(0);
    out.truncate(size);
    out
}

fn main() {
    let detector = Detector::default();
    println!(
        "{:<10} {:>8} {:>10} {:>10} {:>9}",
        "text", "bytes", "MB/s", "us/text", "findings"
    );
    for (name, parts) in [
        ("english", ENGLISH),
        ("arabic", ARABIC),
        ("logs", LOGS),
        ("digits", DIGITS),
    ] {
        for size in [1024, 2048, 65_536] {
            let sample = text(parts, size);
            let found = detector.find(&sample).len();
            let rounds = (4_000_000 / sample.len()).max(1);
            let mut best = Duration::MAX;
            for _ in 0..7 {
                let begun = Instant::now();
                for _ in 0..rounds {
                    black_box(detector.find(black_box(&sample)));
                }
                best = best.min(begun.elapsed());
            }
            let each = best.as_secs_f64() / rounds as f64;
            println!(
                "{name:<10} {:>8} {:>10.1} {:>10.2} {found:>9}",
                sample.len(),
                sample.len() as f64 / each / 1e6,
                each * 1e6
            );
        }
    }
}
