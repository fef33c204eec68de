//! Detection: where in a text personal data and secrets are.
//!
//! One pass looks for bytes that can begin or mark an identifier (digits, capitals, `@`, `:`, `=`, ...)
//! and hands the word there to the rules for its shape; plain prose is skipped eight bytes at a time.
//! Nothing is built at start-up: every table is static data, because a filter instance lives for one
//! request. Each rule validates in code (checksum, calendar, numbering plan) and nominates a
//! [`Candidate`] with a score; words around it are read only when the score depends on them.
//! [`overlap::resolve`] then keeps at most one finding for each byte.
//!
//! Scores are hundredths: 90 and more is arithmetic certainty, 50 the default threshold, and a weak
//! check (a tenth of random numbers pass) starts below it and needs context.

mod birth;
pub mod checks;
pub mod context;
pub mod custom;
mod date;
mod email;
pub mod entity;
mod group;
mod lexicon;
mod net;
mod normalize;
mod numeric;
pub mod overlap;
mod phone;
mod regions;
mod scan;
mod secret;
mod table;
mod tokens;

pub use custom::{Custom, CustomError, Rules};
pub use entity::{Class, Entity};
pub use normalize::View;

/// What was found: a built-in entity, or one of the settings' own by its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One of ours.
    Builtin(Entity),
    /// `custom[n]` of the settings.
    Custom(u16),
}

/// A possible finding, in view offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
    /// Hundredths of certainty.
    pub score: u8,
    /// A checksum, calendar or numbering plan agreed.
    pub checked: bool,
}

/// A finding in the original text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// First byte in the original text.
    pub start: usize,
    /// One past the last byte in the original text.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
    /// Hundredths of certainty.
    pub score: u8,
    /// The value with digits folded and invisible characters gone, as the rules saw it; `None` where that
    /// is the text as it stands.
    pub folded: Option<String>,
}

/// The score from which a candidate is a finding.
pub const THRESHOLD: u8 = 50;

/// Finds entities in text. Cheap to build: holds switches and the settings' own rules.
#[derive(Debug)]
pub struct Detector {
    enabled: u128,
    threshold: u8,
    rules: Rules,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new(
            Entity::ALL.iter().copied().filter(|e| e.on_by_default()),
            THRESHOLD,
            Rules::default(),
        )
    }
}

impl Detector {
    /// Looks for `entities` and for what `rules` add; reports candidates that score `threshold` or more.
    pub fn new(entities: impl IntoIterator<Item = Entity>, threshold: u8, rules: Rules) -> Self {
        let enabled = entities.into_iter().fold(0, |m, e| m | 1u128 << (e as u8));
        Detector {
            enabled,
            threshold,
            rules,
        }
    }

    /// Every finding in `text`, in order, none overlapping another.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Found> {
        let view = View::new(text);
        let mut candidates = Vec::new();
        scan::Scanner::new(&view, self.enabled, &mut candidates).run();
        self.rules.nominate(view.bytes(), &mut candidates);
        candidates.retain(|c| c.score >= self.threshold);
        if candidates.is_empty() {
            return Vec::new();
        }
        let kept = overlap::resolve(candidates, &self.rules);
        kept.into_iter()
            .filter_map(|c| {
                let (start, end) = view.original(c.start, c.end);
                let folded = view.text(c.start, c.end)?;
                if self.rules.allows(folded) {
                    return None;
                }
                Some(Found {
                    start,
                    end,
                    kind: c.kind,
                    score: c.score,
                    folded: (Some(folded) != text.get(start..end)).then(|| folded.to_owned()),
                })
            })
            .collect()
    }

    /// The settings' own rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The name of a finding's kind, as settings and the audit use it.
    #[must_use]
    pub fn name(&self, kind: Kind) -> &str {
        match kind {
            Kind::Builtin(e) => e.name(),
            Kind::Custom(i) => self.rules.name(i),
        }
    }

    /// The word inside a pseudonym for a finding's kind.
    #[must_use]
    pub fn label(&self, kind: Kind) -> &str {
        match kind {
            Kind::Builtin(e) => e.label(),
            Kind::Custom(i) => self.rules.label(i),
        }
    }
}

#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod shortcut_tests;
#[cfg(test)]
mod tests;
