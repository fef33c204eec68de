//! Holding back the end of a text stream until it is clear what it is.
//!
//! A filter that looks for something in streamed text must not pass on the first half of it. It
//! pushes each delta, says how much from the start is decided, and sends that on. [`undecided`]
//! answers the question for literal patterns.

use crate::types::Error;

/// Text that was received and not yet passed on, for one lane of one choice.
#[derive(Clone, Debug, Default)]
pub struct HoldBack {
    held: String,
    limit: usize,
}

impl HoldBack {
    /// Holds at most `limit` bytes: the `max_held_bytes` the filter declared.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            held: String::new(),
            limit,
        }
    }

    /// Appends `text`, asks `decided` how many bytes from the start may go, and returns them.
    /// An answer in the middle of a code point is rounded down, one past the end to the end.
    ///
    /// # Errors
    /// More would be held than the limit; nothing is released, because undecided text must not
    /// get out.
    pub fn push(
        &mut self,
        text: &str,
        decided: impl FnOnce(&str) -> usize,
    ) -> Result<String, Error> {
        self.held.push_str(text);
        let cut = self.held.floor_char_boundary(decided(&self.held));
        if self.held.len() - cut > self.limit {
            return Err(Error::internal(format!(
                "More than {} bytes of text are undecided.",
                self.limit
            )));
        }
        let rest = self.held.split_off(cut);
        Ok(std::mem::replace(&mut self.held, rest))
    }

    /// Everything that is still held: no more text will come.
    #[must_use]
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// What is held now.
    #[must_use]
    pub fn held(&self) -> &str {
        &self.held
    }
}

/// The length in bytes of the longest end of `text` that could still grow into one of `patterns`:
/// the longest suffix that is a beginning, but not the whole, of a pattern.
#[must_use]
pub fn undecided(text: &str, patterns: &[&str]) -> usize {
    let longest = patterns
        .iter()
        .map(|pattern| pattern.len())
        .max()
        .unwrap_or(0);
    let from = text.ceil_char_boundary(text.len().saturating_sub(longest.saturating_sub(1)));
    text.get(from..)
        .unwrap_or_default()
        .char_indices()
        .map(|(at, _)| text.get(from + at..).unwrap_or_default())
        .find(|suffix| {
            patterns
                .iter()
                .any(|pattern| pattern.len() > suffix.len() && pattern.starts_with(suffix))
        })
        .map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(text: &str, patterns: &[&str]) -> usize {
        (0..=text.len())
            .filter(|at| text.is_char_boundary(*at))
            .map(|at| &text[at..])
            .find(|suffix| {
                suffix.is_empty()
                    || patterns
                        .iter()
                        .any(|p| p.len() > suffix.len() && p.starts_with(suffix))
            })
            .map_or(0, str::len)
    }

    proptest! {
        #[test]
        fn undecided_is_the_longest_proper_beginning(
            text in "[ab\u{e9}\u{1f600}]{0,12}",
            patterns in prop::collection::vec("[ab\u{e9}\u{1f600}]{0,5}", 0..4),
        ) {
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            prop_assert_eq!(undecided(&text, &patterns), naive(&text, &patterns));
        }

        #[test]
        fn nothing_is_lost_and_no_pattern_is_cut(
            deltas in prop::collection::vec("[ab\u{e9}]{0,4}", 0..12),
        ) {
            const PATTERN: &str = "ab\u{e9}";
            let whole = deltas.concat();
            let found: Vec<usize> = whole.match_indices(PATTERN).map(|(at, _)| at).collect();
            let mut hold = HoldBack::new(16);
            let mut sent = String::new();
            for delta in &deltas {
                let safe = |held: &str| held.len() - undecided(held, &[PATTERN]);
                sent += &hold.push(delta, safe).unwrap();
                let cut = sent.len();
                prop_assert!(!found.iter().any(|at| *at < cut && cut < at + PATTERN.len()));
            }
            sent += &hold.finish();
            prop_assert_eq!(sent, whole);
        }
    }

    #[test]
    fn a_cut_inside_a_code_point_is_rounded_down() {
        let mut hold = HoldBack::new(8);
        assert_eq!(hold.push("a\u{1f600}", |_| 3).unwrap(), "a");
        assert_eq!(hold.held(), "\u{1f600}");
        assert_eq!(hold.push("b", |_| usize::MAX).unwrap(), "\u{1f600}b");
    }

    #[test]
    fn over_the_limit_nothing_gets_out() {
        let mut hold = HoldBack::new(2);
        assert!(hold.push("abcd", |_| 1).is_err());
    }
}
