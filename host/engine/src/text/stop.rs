//! [`StopMatcher`]: stop strings over streamed text.
//!
//! The output is the text before the first stop string, however the text is cut into pieces. The
//! first is the one that is complete first; if several end at once, the longest. Text is released
//! as soon as it cannot be the beginning of a stop string, and never before, so a partial match
//! never leaks.
//!
//! One Knuth-Morris-Pratt automaton per stop string: linear in the text, and what must be held back
//! is simply the longest of their current matches.

use super::TextError;

/// Most stop strings; public APIs allow 4 to 16.
pub const MAX_STOPS: usize = 64;
/// Longest stop string in bytes: it is the most text ever held back.
pub const MAX_STOP_BYTES: usize = 4096;

/// Finds stop strings in a stream of text. One per answer.
#[derive(Debug, Clone)]
pub struct StopMatcher {
    patterns: Vec<Pattern>,
    held: String,
    matched: Option<usize>,
}

/// What a piece of text led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopOutput {
    /// Text that is certainly before any stop string.
    pub text: String,
    /// The stop string that was found (its index), if it was. Nothing follows it.
    pub matched: Option<usize>,
}

#[derive(Debug, Clone)]
struct Pattern {
    bytes: Vec<u8>,
    /// `fallback[i]`: length of the longest proper border of the first `i + 1` bytes.
    fallback: Vec<usize>,
    /// How many bytes of the pattern the text ends with.
    state: usize,
}

impl StopMatcher {
    /// A matcher for these strings; with none it passes everything on.
    ///
    /// # Errors
    /// [`TextError::Stop`] if one is empty or too long, or there are too many.
    pub fn new<S: AsRef<str>>(stops: &[S]) -> Result<Self, TextError> {
        if stops.len() > MAX_STOPS {
            return Err(TextError::Stop(format!(
                "{} strings, more than {MAX_STOPS}",
                stops.len()
            )));
        }
        let patterns = stops
            .iter()
            .map(|stop| Pattern::new(stop.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            patterns,
            held: String::new(),
            matched: None,
        })
    }

    /// Adds text. After a match nothing more comes out.
    pub fn push(&mut self, text: &str) -> StopOutput {
        if self.matched.is_some() {
            return StopOutput {
                text: String::new(),
                matched: self.matched,
            };
        }
        let before = self.held.len();
        for (index, byte) in text.bytes().enumerate() {
            let complete = self.step(byte);
            if let Some(found) = complete {
                let end = before + index + 1;
                let start = end
                    - self
                        .patterns
                        .get(found)
                        .map_or(0, |pattern| pattern.bytes.len());
                self.held.push_str(text);
                self.held.truncate(start);
                self.matched = Some(found);
                return StopOutput {
                    text: std::mem::take(&mut self.held),
                    matched: self.matched,
                };
            }
        }
        self.held.push_str(text);
        let keep = self
            .patterns
            .iter()
            .map(|pattern| pattern.state)
            .max()
            .unwrap_or(0);
        // A match begins at a character's first byte, so this is between characters.
        let rest = self.held.split_off(self.held.len() - keep);
        StopOutput {
            text: std::mem::replace(&mut self.held, rest),
            matched: None,
        }
    }

    /// Ends the stream: what was held back is text after all.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes held back for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Moves every automaton by one byte; the longest pattern that is now complete.
    fn step(&mut self, byte: u8) -> Option<usize> {
        let mut found: Option<(usize, usize)> = None;
        for (index, pattern) in self.patterns.iter_mut().enumerate() {
            if pattern.step(byte) && found.is_none_or(|(_, len)| pattern.bytes.len() > len) {
                found = Some((index, pattern.bytes.len()));
            }
        }
        found.map(|(index, _)| index)
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, TextError> {
        let bytes = text.as_bytes().to_vec();
        if bytes.is_empty() || bytes.len() > MAX_STOP_BYTES {
            let reason = format!(
                "a string of {} bytes (1 to {MAX_STOP_BYTES} are allowed)",
                bytes.len()
            );
            return Err(TextError::Stop(reason));
        }
        let mut pattern = Self {
            fallback: vec![0],
            bytes,
            state: 0,
        };
        for index in 1..pattern.bytes.len() {
            let byte = pattern.bytes.get(index).copied().unwrap_or(0);
            // The fallback of a prefix is where the automaton stands after reading it from its
            // second byte on; it only looks at fallbacks already known.
            pattern.step(byte);
            pattern.fallback.push(pattern.state);
        }
        pattern.state = 0;
        Ok(pattern)
    }

    /// Reads one byte; whether the whole pattern has now been read.
    fn step(&mut self, byte: u8) -> bool {
        if self.state == self.bytes.len() {
            self.state = self.fall_back();
        }
        while self.state > 0 && self.bytes.get(self.state) != Some(&byte) {
            self.state = self.fall_back();
        }
        if self.bytes.get(self.state) == Some(&byte) {
            self.state += 1;
        }
        self.state == self.bytes.len()
    }

    fn fall_back(&self) -> usize {
        self.state
            .checked_sub(1)
            .and_then(|last| self.fallback.get(last))
            .copied()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text before the stop string that ends first (the longest of those), and its index.
    fn naive(text: &str, stops: &[String]) -> (String, Option<usize>) {
        for end in 0..=text.len() {
            let ending = |stop: &&String| text.as_bytes()[..end].ends_with(stop.as_bytes());
            if let Some(longest) = stops.iter().filter(ending).map(String::len).max() {
                let index = stops
                    .iter()
                    .position(|stop| stop.len() == longest && ending(&stop));
                return (text[..end - longest].to_owned(), index);
            }
        }
        (text.to_owned(), None)
    }

    fn run(pieces: &[&str], stops: &[&str]) -> (Vec<String>, Option<usize>) {
        let mut matcher = StopMatcher::new(stops).unwrap();
        let outputs: Vec<StopOutput> = pieces.iter().map(|piece| matcher.push(piece)).collect();
        (
            outputs.iter().map(|output| output.text.clone()).collect(),
            outputs.last().and_then(|last| last.matched),
        )
    }

    #[test]
    fn partial_matches_wait_and_false_alarms_are_released() {
        assert_eq!(
            run(&["a", "\n", "b"], &["\n\n"]),
            (vec!["a".into(), "".into(), "\nb".into()], None)
        );
        assert_eq!(
            run(&["a\n", "\nb"], &["\n\n"]),
            (vec!["a".into(), "".into()], Some(0))
        );
        assert_eq!(run(&["x", "y"], &[]), (vec!["x".into(), "y".into()], None));
    }

    #[test]
    fn the_rest_comes_at_the_end() {
        let mut matcher = StopMatcher::new(&["END"]).unwrap();
        assert_eq!(matcher.push("the EN").text, "the ");
        assert_eq!(matcher.held_bytes(), 2);
        assert_eq!(matcher.finish(), "EN");
    }

    #[test]
    fn limits() {
        assert!(StopMatcher::new(&[""]).is_err());
        assert!(StopMatcher::new(&["x".repeat(MAX_STOP_BYTES + 1)]).is_err());
        assert!(StopMatcher::new(&vec!["x"; MAX_STOPS + 1]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn every_chunking_gives_the_text_before_the_first_stop(
            pieces in prop::collection::vec("[ab😀é]{0,4}", 0..12),
            stops in prop::collection::vec("[ab😀é]{1,4}", 0..4),
        ) {
            let text = pieces.concat();
            let (expected, index) = naive(&text, &stops);
            let mut matcher = StopMatcher::new(&stops).unwrap();
            let mut output = String::new();
            let mut consumed = String::new();
            let mut matched = None;
            for piece in &pieces {
                let step = matcher.push(piece);
                consumed.push_str(piece);
                output.push_str(&step.text);
                matched = step.matched;
                // Nothing of the stop string leaked, and nothing is held that could be released.
                prop_assert!(expected.starts_with(&output));
                if matched.is_none() {
                    let longest = (0..=consumed.len())
                        .filter(|&n| stops.iter().any(|stop| stop.len() > n && stop.as_bytes()[..n] == consumed.as_bytes()[consumed.len() - n..]))
                        .max()
                        .unwrap_or(0);
                    prop_assert_eq!(output.len() + longest, consumed.len());
                }
            }
            if matched.is_none() {
                output.push_str(&matcher.finish());
            }
            prop_assert_eq!(matched.map(|m| stops[m].clone()), index.map(|i| stops[i].clone()));
            prop_assert_eq!(output, expected);
        }
    }
}
