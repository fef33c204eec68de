//! What the settings add: entities by regular expression, words always found, values never found.
//!
//! Expressions run in linear time whatever the text; their compiled size is bounded. Nothing here costs
//! anything when the settings are silent.

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};

use super::{Candidate, Kind, checks};

/// Most entities of one's own.
pub const MAX_CUSTOM: usize = 64;
/// Most bytes of a compiled expression.
const MAX_COMPILED: usize = 1 << 20;
/// Most entries of an allow or deny list.
pub const MAX_WORDS: usize = 10_000;

/// What is wrong with the settings' own rules.
#[derive(Debug, thiserror::Error)]
pub enum CustomError {
    /// More entries than the limit.
    #[error("{what}: at most {limit} entries")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// An expression that does not compile, or compiles too large.
    #[error("entity \"{name}\": {reason}")]
    Regex {
        /// The entity.
        name: String,
        /// What the compiler said.
        reason: String,
    },
    /// A name or label that a pseudonym could not carry.
    #[error(
        "entity \"{name}\": a name is 1 to 64 of A-Z, 0-9 and _, a label 1 to 12 of A-Z; the name of a built-in entity is taken, and the label SECRET is for secrets"
    )]
    Name {
        /// The entity.
        name: String,
    },
}

/// A checksum that a custom entity may ask for, over its letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// Luhn, check digit last.
    Luhn,
    /// ISO 7064 mod 97-10: the whole gives 1.
    Mod97,
    /// Divisible by 97, as a bank key.
    Mod97Zero,
    /// IBAN order of the same.
    Iban,
    /// Verhoeff.
    Verhoeff,
    /// ISO 7064 mod 11,10.
    Mod1110,
}

/// An entity from the settings.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// `EMPLOYEE_ID`.
    pub name: String,
    /// The regular expression.
    pub pattern: String,
    /// Word for pseudonyms; `CUSTOM` unless given.
    #[serde(default)]
    pub label: Option<String>,
    /// Checksum that a match must satisfy.
    #[serde(default)]
    pub checksum: Option<Checksum>,
    /// Words of which one must stand near, if any are given.
    #[serde(default)]
    pub context: Vec<String>,
    /// Hundredths of certainty.
    #[serde(default = "default_score")]
    pub score: u8,
    /// A credential: never restored, compared exactly.
    #[serde(default)]
    pub secret: bool,
}

const fn default_score() -> u8 {
    85
}

#[derive(Debug)]
struct Compiled {
    custom: Custom,
    regex: Regex,
    context: Option<AhoCorasick>,
}

/// The settings' own rules, compiled.
#[derive(Debug, Default)]
pub struct Rules {
    custom: Vec<Compiled>,
    /// Words always found, with the custom kind they count as.
    deny: Option<(AhoCorasick, u16)>,
    allow: std::collections::BTreeSet<String>,
    deny_name: bool,
}

/// The name of findings that come from the deny list.
pub const DENY_NAME: &str = "DENY_LIST";

fn words(list: &[String]) -> Option<AhoCorasick> {
    let list: Vec<_> = list.iter().filter(|w| !w.trim().is_empty()).collect();
    if list.is_empty() {
        return None;
    }
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(aho_corasick::MatchKind::LeftmostLongest)
        .build(list)
        .ok()
}

impl Rules {
    /// Compiles; an empty call costs nothing.
    ///
    /// # Errors
    /// [`CustomError`] says which entry is wrong.
    pub fn new(
        custom: Vec<Custom>,
        allow: Vec<String>,
        deny: Vec<String>,
    ) -> Result<Self, CustomError> {
        for (what, n, limit) in [
            ("custom", custom.len(), MAX_CUSTOM),
            ("allow", allow.len(), MAX_WORDS),
            ("deny", deny.len(), MAX_WORDS),
        ] {
            if n > limit {
                return Err(CustomError::TooMany { what, limit });
            }
        }
        let mut compiled = Vec::with_capacity(custom.len());
        for c in custom {
            let upper = |s: &str, max: usize, digits: bool| {
                (1..=max).contains(&s.len())
                    && s.bytes().all(|b| {
                        b.is_ascii_uppercase() || (digits && (b.is_ascii_digit() || b == b'_'))
                    })
            };
            if !upper(&c.name, 64, true)
                || super::Entity::by_name(&c.name).is_some()
                || c.label.as_deref().is_some_and(|l| {
                    !upper(l, 12, false) || (l == crate::pseudonym::SECRET && !c.secret)
                })
            {
                return Err(CustomError::Name {
                    name: c.name.chars().take(80).collect(),
                });
            }
            let regex = RegexBuilder::new(&c.pattern)
                .size_limit(MAX_COMPILED)
                .dfa_size_limit(MAX_COMPILED)
                .nest_limit(64)
                .build()
                .map_err(|e| CustomError::Regex {
                    name: c.name.clone(),
                    reason: e.to_string(),
                })?;
            let context = words(&c.context);
            compiled.push(Compiled {
                custom: c,
                regex,
                context,
            });
        }
        let index = u16::try_from(compiled.len()).unwrap_or(u16::MAX);
        let deny = words(&deny).map(|a| (a, index));
        let deny_name = deny.is_some();
        let allow = allow.iter().map(|w| fold(w)).collect();
        Ok(Rules {
            custom: compiled,
            deny,
            allow,
            deny_name,
        })
    }

    /// Adds the matches in a view.
    pub(super) fn nominate(&self, view: &[u8], out: &mut Vec<Candidate>) {
        for (i, c) in self.custom.iter().enumerate() {
            for m in c.regex.find_iter(view) {
                if m.is_empty() || std::str::from_utf8(m.as_bytes()).is_err() {
                    continue;
                }
                let ok = c.custom.checksum.is_none_or(|k| k.holds(m.as_bytes()));
                let near = c.context.as_ref().is_none_or(|ac| {
                    let from = m.start().saturating_sub(100);
                    let to = (m.end() + 50).min(view.len());
                    ac.is_match(&view[from..to])
                });
                if ok && near {
                    out.push(Candidate {
                        start: m.start(),
                        end: m.end(),
                        kind: Kind::Custom(u16::try_from(i).unwrap_or(u16::MAX)),
                        score: c.custom.score.min(100),
                        checked: true,
                    });
                }
            }
        }
        if let Some((ac, index)) = &self.deny {
            for m in ac.find_iter(view) {
                let letter = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
                let before = m.start().checked_sub(1).and_then(|i| view.get(i));
                if letter(before) && letter(view.get(m.start()))
                    || letter(view.get(m.end())) && letter(view.get(m.end() - 1))
                {
                    continue;
                }
                out.push(Candidate {
                    start: m.start(),
                    end: m.end(),
                    kind: Kind::Custom(*index),
                    score: 100,
                    checked: true,
                });
            }
        }
    }

    /// Whether the allow list has this value.
    pub(super) fn allows(&self, value: &str) -> bool {
        !self.allow.is_empty() && self.allow.contains(&fold(value))
    }

    /// The name of custom kind `i`.
    #[must_use]
    pub fn name(&self, i: u16) -> &str {
        self.custom
            .get(usize::from(i))
            .map_or(DENY_NAME, |c| &c.custom.name)
    }

    /// The pseudonym word of custom kind `i`.
    #[must_use]
    pub fn label(&self, i: u16) -> &str {
        self.custom
            .get(usize::from(i))
            .and_then(|c| c.custom.label.as_deref())
            .unwrap_or("CUSTOM")
    }

    /// Whether custom kind `i` is a credential.
    #[must_use]
    pub fn secret(&self, i: u16) -> bool {
        self.custom
            .get(usize::from(i))
            .is_some_and(|c| c.custom.secret)
    }

    /// Every name the settings define here.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.custom
            .iter()
            .map(|c| c.custom.name.as_str())
            .chain(self.deny_name.then_some(DENY_NAME))
    }
}

fn fold(value: &str) -> String {
    value.trim().to_lowercase()
}

impl Checksum {
    fn holds(self, m: &[u8]) -> bool {
        let compact: Vec<u8> = m
            .iter()
            .filter(|b| b.is_ascii_alphanumeric())
            .map(u8::to_ascii_uppercase)
            .collect();
        let digits: Vec<u8> = compact.iter().copied().filter(u8::is_ascii_digit).collect();
        match self {
            Checksum::Luhn => checks::luhn(&digits),
            Checksum::Verhoeff => checks::verhoeff(&digits),
            Checksum::Mod1110 => checks::mod11_10(&digits),
            Checksum::Mod97 => checks::mod97(compact.into_iter()) == Some(1),
            Checksum::Mod97Zero => checks::mod97(compact.into_iter()) == Some(0),
            Checksum::Iban => checks::iban_mod97(&compact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Detector, Entity};

    fn custom(name: &str, pattern: &str) -> Custom {
        Custom {
            name: name.into(),
            pattern: pattern.into(),
            label: None,
            checksum: None,
            context: vec![],
            score: 85,
            secret: false,
        }
    }

    fn find(rules: Rules, text: &str) -> Vec<String> {
        Detector::new([Entity::Email], 50, rules)
            .find(text)
            .into_iter()
            .map(|f| text[f.start..f.end].to_owned())
            .collect()
    }

    #[test]
    fn custom_with_checksum_and_context() {
        let mut c = custom("EMPLOYEE_ID", r"\bE-[0-9]{6}\b");
        c.checksum = Some(Checksum::Luhn);
        c.context = vec!["employee".into()];
        let rules = || Rules::new(vec![c.clone()], vec![], vec![]).unwrap();
        assert_eq!(
            find(rules(), "employee E-123455 and E-123456"),
            ["E-123455"]
        );
        assert!(find(rules(), "part E-123455").is_empty());
    }

    #[test]
    fn deny_and_allow() {
        let rules = Rules::new(
            vec![],
            vec!["Team@Example.com".into()],
            vec!["Project Nightingale".into()],
        )
        .unwrap();
        assert_eq!(
            find(
                rules,
                "project nightingale: team@example.com, a@example.com"
            ),
            ["project nightingale", "a@example.com"]
        );
    }

    #[test]
    fn bad_rules_are_named() {
        for (name, pattern) in [
            ("X", "("),
            ("lower", "a"),
            ("EMAIL_ADDRESS", "a"),
            ("BIG", "(?:[a-z]{500}){500}"),
        ] {
            let error = Rules::new(vec![custom(name, pattern)], vec![], vec![]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
