//! Writes a value into a line: its grouping, its script, its surroundings.

use super::Rng;
use super::positives::{Case, Style};

/// Sentences around a value `{v}` with the label `{l}`.
const LABELLED: &[&str] = &[
    "{l}: {v}",
    "{l} {v}",
    "{l} = {v}",
    "{l}:{v}",
    "{l} : {v}.",
    "- {l}: {v}\n- status: open",
    "\"{l}\": \"{v}\"",
    "<td>{l}</td><td>{v}</td>",
    "| {l} | {v} |",
];
const ENGLISH: &[&str] = &[
    "My {l} is {v}.",
    "Hello, please update my {l} to {v}, thanks!",
    "Could you check {v} ({l}) for me?",
    "The customer gave us {l} {v} yesterday",
    "{v} is the {l} on file.",
    "{l} (as printed): {v}; anything else?",
    "re: {l}\n{v}\nBest, A.",
];
const FRENCH: &[&str] = &[
    "Bonjour, mon {l} est {v}, merci.",
    "Voici le {l} : {v}",
    "Merci de vérifier {v} ({l}).",
    "Le client a indiqué comme {l} « {v} » hier.",
    "{v}, c'est mon {l}.",
];
const ARABIC: &[&str] = &[
    "{l} هو {v}.",
    "مرحبا، {l}: {v} وشكرا",
    "أرجو تحديث {l} إلى {v}",
    "هذا {l} الخاص بي {v}، شكرا",
    "{v} هو {l}",
];
/// Sentences that need no label, for values that say themselves what they are.
const BARE: &[&str] = &[
    "{v}",
    "({v})",
    "Contact: {v}",
    "{v}, please",
    "voici {v} merci",
    "أرسل {v} الآن",
    "x={v}",
    "[{v}]",
    "see {v}.",
    "«{v}»",
    "a\t{v}\tb",
    "before\n{v}\nafter",
];

const ZERO_WIDTH: &[&str] = &[
    "\u{200b}", "\u{200c}", "\u{200d}", "\u{2060}", "\u{feff}", "\u{ad}", "\u{200e}",
];

/// The line, and where the value stands in it.
pub fn sentence(r: &mut Rng, case: &Case, value: &str) -> (String, (usize, usize)) {
    // Two kinds are secrets by what they are assigned to: their sentences are their own.
    let own: &[&str] = match case.entity {
        "URL_CREDENTIALS" => &[
            "postgres://app:{v}@db.example.com:5432/main",
            "see https://api.example.com/v1?access_token={v}&x=1",
            "redis://:{v}@cache.example.com",
            "amqp://svc:{v}@queue.example.net/q",
            "GET /x?sig={v}",
        ],
        "GENERIC_SECRET" => &[
            "password: {v}",
            "DB_PASSWORD={v}",
            "\"client_secret\": \"{v}\"",
            "mot de passe : {v}",
            "كلمة المرور: {v}",
            "export API_KEY='{v}'",
            "pwd = {v}",
            "Authorization: Bearer {v}",
            "api key: {v}",
        ],
        _ => &[],
    };
    if !own.is_empty() {
        let template = *r.pick(own);
        let at = template.find("{v}").unwrap_or(0);
        return (template.replace("{v}", value), (at, at + value.len()));
    }
    let language = r.below(3);
    let labels = [case.en, case.fr, case.ar][language];
    let bare = case.bare && (labels.is_empty() || r.one_in(3));
    let template = if bare {
        *r.pick(BARE)
    } else if r.one_in(3) {
        *r.pick(LABELLED)
    } else {
        *r.pick([ENGLISH, FRENCH, ARABIC][language])
    };
    let label = if labels.is_empty() {
        "value"
    } else {
        *r.pick(labels)
    };
    let template = template.replace("{l}", label);
    let value = disguise(r, case.style, value);
    let at = template.find("{v}").unwrap_or(0);
    let line = template.replacen("{v}", &value, 1);
    // Sentences before and after, to be found among other things.
    let (before, after) = match r.below(4) {
        0 => ("We met in 2019 at gate 12. ", " Talk soon."),
        1 => ("شكرا على الرد. ", ""),
        2 => ("", " Cordialement, le service client"),
        _ => ("", ""),
    };
    let start = before.len() + at;
    (
        format!("{before}{line}{after}"),
        (start, start + value.len()),
    )
}

fn disguise(r: &mut Rng, style: Style, value: &str) -> String {
    let mut v = value.to_owned();
    if style == Style::Exact {
        return v;
    }
    match r.below(10) {
        0 => v = map_digits(&v, '\u{660}'),
        1 => v = map_digits(&v, '\u{6f0}'),
        2 => v = map_digits(&v, '\u{ff10}'),
        3 => {
            // Something invisible at one or more places inside.
            let z = *r.pick(ZERO_WIDTH);
            let n = v.chars().count();
            let places: Vec<usize> = (0..1 + r.below(4))
                .map(|_| 1 + r.below(n.max(2) - 1))
                .collect();
            v = v
                .chars()
                .enumerate()
                .flat_map(|(i, c)| {
                    places
                        .contains(&i)
                        .then_some(z)
                        .into_iter()
                        .flat_map(str::chars)
                        .chain([c])
                })
                .collect();
        }
        4 => v = v.replace(' ', "\u{a0}"),
        5 => v = v.replace(' ', "\u{202f}").replace('-', "\u{2011}"),
        6 => v = v.replace('-', if r.one_in(2) { "\u{2013}" } else { "\u{2212}" }),
        _ => {}
    }
    v
}

fn map_digits(v: &str, zero: char) -> String {
    v.chars()
        .map(|c| {
            c.to_digit(10)
                .and_then(|d| char::from_u32(zero as u32 + d))
                .unwrap_or(c)
        })
        .collect()
}
