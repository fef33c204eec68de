//! The pass takes shortcuts past what no rule could nominate. Here each text is read with and without
//! them, and the findings must be the same.

use super::*;
use proptest::prelude::*;

/// What is found where in `text`, with shortcuts or without.
fn found(text: &str, quick: bool) -> Vec<(usize, usize, Kind)> {
    let view = View::new(text);
    let mut candidates = Vec::new();
    let mut scanner = scan::Scanner::new(&view, u128::MAX, &mut candidates);
    scanner.quick = quick;
    scanner.run();
    candidates.retain(|c| c.score >= THRESHOLD);
    let kept = overlap::resolve(candidates, &Rules::default());
    kept.iter().map(|c| (c.start, c.end, c.kind)).collect()
}

/// Pieces that begin, end, join or resemble what rules look for.
const PIECES: &[&str] = &[
    "Hello",
    "Mon",
    "Winter",
    "A",
    "Tn",
    "SG",
    "AKIA",
    "AIza",
    "N",
    "a",
    "password",
    "Password",
    "mot de passe",
    "secret",
    "token",
    "clé",
    "كلمة السر",
    "key",
    "db_pw",
    "api",
    "is",
    "est",
    "card",
    "carte",
    "CIN",
    "IBAN",
    "AWS",
    "رقم",
    "هوية",
    "4111",
    "1111",
    "5555 5555 5555 4444",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "09876543",
    "12/27",
    "TN59",
    "1000 6035 1835 9847 8831",
    "54362315K",
    "AB123456",
    "aa-bb-cc-dd-ee-ff",
    "ca83.b1db.4730",
    "xK9mPq2vLw8Rt5",
    "Correct-Horse",
    "M",
    " ",
    " ",
    " ",
    " ",
    ".",
    ". ",
    "-",
    "- ",
    ", ",
    "!",
    "? ",
    ":",
    ": ",
    "=",
    " = ",
    "\n",
    "\t",
    "\"",
    "/",
    "+",
    "_",
    "@",
    "\u{200b}",
    "\u{661}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn shortcuts_change_no_finding(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)) {
        let text = pieces.concat();
        prop_assert_eq!(found(&text, true), found(&text, false), "{:?}", text);
    }

    #[test]
    fn shortcuts_change_no_finding_in_any_text(text in "[A-Za-z0-9 .:=\"+/_\n-]{0,60}") {
        prop_assert_eq!(found(&text, true), found(&text, false), "{:?}", text);
    }
}
