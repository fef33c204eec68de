//! Synthetic values of each entity, by region.

mod americas;
mod asia_africa_oceania;
mod europe;
mod global;
mod mena;
mod secrets;
mod values;

pub use values::{iban_check, luhn_digit};

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

/// Every entity that the corpus measures.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [
        global::CASES,
        americas::CASES,
        europe::CASES,
        asia_africa_oceania::CASES,
        mena::CASES,
        secrets::CASES,
    ]
    .into_iter()
    .flatten()
}
