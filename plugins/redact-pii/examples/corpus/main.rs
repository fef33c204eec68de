//! Measures detection on a generated corpus with ground truth.
//!
//! `cargo run -p atoll-plugin-redact-pii --example corpus -- --seed 1 --per-entity 200`
//!
//! Every identifier is synthetic: check digits are computed here, apart from the detector's own code.
//! Each value is written in one of its usual groupings, perhaps with digits of another script, invisible
//! characters, typographic spaces or a letter glued on, inside a sentence of one of three languages.
//! Negatives are lines in which nothing may be found: order numbers, dates, versions, hashes, and
//! identifiers whose check fails. `--show` prints what went wrong,
//! `--markdown` the table of `docs/redaction.md`.
#![expect(clippy::print_stdout, reason = "this program's output is its result")]

mod negatives;
mod positives;
mod text;

use std::collections::BTreeMap;

use atoll_plugin_redact_pii::detect::Detector;

/// A small deterministic generator (splitmix64): the corpus must not change with a library.
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.draw() % n.max(1) as u64) as usize
    }

    /// Between `a` and `b`, both included.
    pub fn range(&mut self, a: u64, b: u64) -> u64 {
        a + self.draw() % (b - a + 1)
    }

    /// One of some things.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// `n` random digits.
    pub fn digits(&mut self, n: usize) -> String {
        (0..n)
            .map(|_| char::from(b'0' + self.below(10) as u8))
            .collect()
    }

    /// `n` characters out of a set.
    pub fn chars(&mut self, set: &str, n: usize) -> String {
        let set: Vec<char> = set.chars().collect();
        (0..n).map(|_| *self.pick(&set)).collect()
    }
}

#[derive(Debug, Default)]
struct Score {
    truth: u32,
    found: u32,
    exact: u32,
    otherwise: u32,
    false_positives: u32,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut seed, mut per_entity, mut show, mut markdown) = (1u64, 200usize, false, false);
    while let Some(a) = args.next() {
        match a.as_str() {
            "--seed" => seed = args.next().and_then(|v| v.parse().ok()).unwrap_or(seed),
            "--per-entity" => {
                per_entity = args
                    .next()
                    .and_then(|v| v.parse().ok())
                    .unwrap_or(per_entity)
            }
            "--show" => show = true,
            "--markdown" => markdown = true,
            other => {
                println!("unknown argument {other}; use --seed N --per-entity N --show --markdown");
                return;
            }
        }
    }
    let mut rng = Rng(seed);
    let detector = Detector::default();
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut lines = 0u32;

    for case in positives::cases() {
        for _ in 0..per_entity {
            let value = (case.make)(&mut rng);
            let (line, truth) = text::sentence(&mut rng, case, &value);
            lines += 1;
            let found = detector.find(&line);
            let score = scores.entry(case.entity.to_owned()).or_default();
            score.truth += 1;
            let over =
                |f: &&atoll_plugin_redact_pii::detect::Found| f.start < truth.1 && truth.0 < f.end;
            let same = found.iter().find(|f| {
                over(f)
                    && detector.name(f.kind) == case.entity
                    && f.start <= truth.0
                    && f.end >= truth.1
            });
            match same {
                Some(f) => {
                    score.found += 1;
                    score.exact += u32::from((f.start, f.end) == truth);
                }
                None => {
                    let other = found.iter().find(over);
                    score.otherwise +=
                        u32::from(other.is_some_and(|f| f.start <= truth.0 && f.end >= truth.1));
                    if show {
                        println!(
                            "MISS {:<24} {line:?} -> {}",
                            case.entity,
                            other.map_or("nothing", |f| detector.name(f.kind))
                        );
                    }
                }
            }
            for f in &found {
                // A finding of another kind on the truth is the miss counted above and a false positive there.
                if !over(&f) || detector.name(f.kind) != case.entity {
                    scores
                        .entry(detector.name(f.kind).to_owned())
                        .or_default()
                        .false_positives += 1;
                    if show && !over(&f) {
                        println!(
                            "EXTRA {:<23} {:?} in {line:?}",
                            detector.name(f.kind),
                            &line[f.start..f.end]
                        );
                    }
                }
            }
        }
    }
    let mut negative_lines = 0u32;
    let mut negative_hits = 0u32;
    for make in negatives::ALL {
        for _ in 0..per_entity {
            let line = make(&mut rng);
            negative_lines += 1;
            for f in detector.find(&line) {
                negative_hits += 1;
                scores
                    .entry(detector.name(f.kind).to_owned())
                    .or_default()
                    .false_positives += 1;
                if show {
                    println!(
                        "FALSE {:<23} {:?} in {line:?}",
                        detector.name(f.kind),
                        &line[f.start..f.end]
                    );
                }
            }
        }
    }

    print_table(&scores, markdown);
    println!(
        "\n{lines} positive lines, {negative_lines} negative lines with {negative_hits} findings"
    );
}

/// Recall: found as this entity. Masked: found as any. Exact: from the first to the last byte.
fn print_table(scores: &BTreeMap<String, Score>, markdown: bool) {
    let row = |cells: [String; 7]| {
        let [name, rest @ ..] = cells;
        if markdown {
            println!("| {name} | {} |", rest.join(" | "));
        } else {
            let rest: String = rest.iter().map(|cell| format!(" {cell:>9}")).collect();
            println!("{name:<28}{rest}");
        }
    };
    row([
        "entity",
        "cases",
        "recall",
        "masked",
        "exact",
        "false",
        "precision",
    ]
    .map(str::to_owned));
    if markdown {
        println!("|---|--:|--:|--:|--:|--:|--:|");
    }
    let show = |name: &str, s: &Score| {
        let share = |n: u32| match s.truth {
            0 => "-".to_owned(),
            truth => format!("{:.4}", f64::from(n) / f64::from(truth)),
        };
        let precision = f64::from(s.found) / f64::from((s.found + s.false_positives).max(1));
        row([
            name.to_owned(),
            s.truth.to_string(),
            share(s.found),
            share(s.found + s.otherwise),
            share(s.exact),
            s.false_positives.to_string(),
            format!("{precision:.4}"),
        ]);
    };
    let mut total = Score::default();
    for (name, s) in scores {
        show(name, s);
        total.truth += s.truth;
        total.found += s.found;
        total.exact += s.exact;
        total.otherwise += s.otherwise;
        total.false_positives += s.false_positives;
    }
    show("all", &total);
}
