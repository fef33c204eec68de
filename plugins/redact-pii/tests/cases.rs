//! Detection on cases written by hand, apart from the generated corpus.
//!
//! Each line of `cases/*.txt` is one text. `⟦ENTITY|value⟧` marks what must be found, exactly there and
//! nothing else; a line without marks must give nothing. `\n` is a line break, `{U+200B}` a character by
//! its number (invisible ones, and the first letter of made-up credentials, so that scanners for leaked
//! keys leave this repository alone). Lines that begin with `#` are headings.

#![expect(clippy::unwrap_used, reason = "tests")]

use atoll_plugin_redact_pii::detect::Detector;

/// A text and what is in it: entity, start, end.
type Case = (String, Vec<(String, usize, usize)>);

fn parse(line: &str) -> Case {
    let mut text = String::new();
    let mut marks = Vec::new();
    let mut open: Option<(String, usize)> = None;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix('⟦') {
            let (entity, value) = after.split_once('|').unwrap();
            open = Some((entity.to_owned(), text.len()));
            rest = value;
        } else if let Some(after) = rest.strip_prefix('⟧') {
            let (entity, start) = open.take().unwrap();
            marks.push((entity, start, text.len()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\n") {
            text.push('\n');
            rest = after;
        } else if let Some((number, after)) = rest
            .strip_prefix("{U+")
            .and_then(|code| code.split_once('}'))
        {
            text.push(char::from_u32(u32::from_str_radix(number, 16).unwrap()).unwrap());
            rest = after;
        } else {
            text.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    (text, marks)
}

fn check(file: &str) {
    let path = format!("{}/tests/cases/{file}", env!("CARGO_MANIFEST_DIR"));
    let content = std::fs::read_to_string(path).unwrap();
    let detector = Detector::default();
    let mut wrong = Vec::new();
    let mut all = 0;
    for (number, line) in content.lines().enumerate() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        all += 1;
        let (text, want) = parse(line);
        let got: Vec<_> = detector
            .find(&text)
            .into_iter()
            .map(|f| (detector.name(f.kind).to_owned(), f.start, f.end))
            .collect();
        if got != want {
            let show = |found: &[(String, usize, usize)]| -> Vec<String> {
                let one = |(e, a, b): &(String, usize, usize)| format!("{e}={:?}", &text[*a..*b]);
                found.iter().map(one).collect()
            };
            wrong.push(format!(
                "{file}:{}: {text}\n    want {:?}\n    got  {:?}",
                number + 1,
                show(&want),
                show(&got)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {all} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn global() {
    check("global.txt");
}

#[test]
fn americas_and_uk() {
    check("americas-uk.txt");
}

#[test]
fn europe_and_asia() {
    check("europe-asia.txt");
}

#[test]
fn mena() {
    check("mena.txt");
}

#[test]
fn secrets() {
    check("secrets.txt");
}

#[test]
fn negatives() {
    check("negatives.txt");
}

#[test]
fn phrasing() {
    check("phrasing.txt");
}

#[test]
fn disguises() {
    check("disguises.txt");
}

#[test]
fn numbers_of_nobody() {
    check("numbers-of-nobody.txt");
}

#[test]
fn source_text() {
    check("source-text.txt");
}

#[test]
fn documents() {
    check("documents.txt");
}

#[test]
fn exchanges() {
    check("exchanges.txt");
}
