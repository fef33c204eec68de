//! The token history of one open sequence, which penalties look at.

use std::sync::Arc;

use super::{RowError, SampleRequest, SampledToken, SequenceSpec, TokenId};
use crate::sampling::{Adjustments, History, SamplingParams, sample};

/// An open sequence.
///
/// The history starts as the whole prompt, because rows may skip a cached prefix of it. Rows
/// overwrite what they feed: feeding positions again after a preemption is as good as feeding them
/// for the first time.
#[derive(Debug)]
pub struct SequenceState {
    sampling: Arc<SamplingParams>,
    prompt_len: usize,
    history: History,
    /// Tokens set aside while a draw looks at a shorter history.
    tail: Vec<TokenId>,
}

impl SequenceState {
    /// A sequence that has just been opened.
    #[must_use]
    pub fn new(spec: &SequenceSpec) -> Self {
        Self {
            sampling: Arc::clone(&spec.sampling),
            prompt_len: spec.prompt.len(),
            history: History {
                prompt_len: spec.prompt.len(),
                tokens: spec.prompt.to_vec(),
            },
            tail: Vec::new(),
        }
    }

    /// The same history under another sampling.
    #[must_use]
    pub fn fork(&self, sampling: Arc<SamplingParams>) -> Self {
        Self {
            sampling,
            prompt_len: self.prompt_len,
            history: self.history.clone(),
            tail: Vec::new(),
        }
    }

    /// How its tokens are drawn.
    #[must_use]
    pub fn sampling(&self) -> &Arc<SamplingParams> {
        &self.sampling
    }

    /// Positions whose token is known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.history.tokens.len()
    }

    /// Whether no token is known yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.history.tokens.is_empty()
    }

    /// Forgets the tokens at positions `len..`.
    pub fn truncate(&mut self, len: usize) {
        self.history.tokens.truncate(len);
    }

    /// Notes that `tokens` are at `start..`, where `start <= self.len()`. What was known after them
    /// stays known.
    pub fn feed(&mut self, start: usize, tokens: &[TokenId]) {
        let known = self.history.tokens.len().saturating_sub(start);
        let (old, new) = tokens.split_at(known.min(tokens.len()));
        if let Some(slots) = self.history.tokens.get_mut(start..start + old.len()) {
            slots.copy_from_slice(old);
        }
        self.history.tokens.extend_from_slice(new);
    }

    /// Draws the token that follows position `position` from its `logits`, which are overwritten.
    ///
    /// # Errors
    /// As [`sample`].
    pub fn draw(
        &mut self,
        logits: &mut [f32],
        position: usize,
        request: Option<&SampleRequest>,
    ) -> Result<SampledToken, RowError> {
        let sampling = Arc::clone(&self.sampling);
        let mask = request.and_then(|request| request.mask.as_deref());
        let next = position + 1;
        self.with_prefix(next, |history| {
            sample(logits, &sampling, history, next, mask)
        })
    }

    /// What penalties and bias change before the draw of the token that follows the first `len`
    /// positions and, with `unknown`, one more ([`SamplingParams::adjustments`]).
    pub fn adjustments(&mut self, len: usize, unknown: bool) -> Adjustments {
        let sampling = Arc::clone(&self.sampling);
        self.with_prefix(len, |history| sampling.adjustments(history, unknown))
    }

    /// Calls `draw` with the history of the first `len` positions.
    fn with_prefix<T>(&mut self, len: usize, draw: impl FnOnce(&History) -> T) -> T {
        let len = len.min(self.history.tokens.len());
        self.tail.extend(self.history.tokens.drain(len..));
        self.history.prompt_len = self.prompt_len.min(len);
        let result = draw(&self.history);
        self.history.tokens.append(&mut self.tail);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(sequence: &mut SequenceState, len: usize) -> (usize, Vec<TokenId>) {
        sequence.with_prefix(len, |h| (h.prompt_len, h.tokens.clone()))
    }

    fn opened(prompt: &[TokenId]) -> SequenceState {
        SequenceState::new(&SequenceSpec {
            sampling: Arc::default(),
            prompt: prompt.into(),
        })
    }

    #[test]
    fn the_prompt_is_known_before_it_is_fed() {
        let mut sequence = opened(&[1, 2, 3, 4]);
        sequence.feed(3, &[4]);
        assert_eq!(tokens(&mut sequence, 4), (4, vec![1, 2, 3, 4]));
        sequence.feed(4, &[9, 8]);
        assert_eq!(tokens(&mut sequence, 5), (4, vec![1, 2, 3, 4, 9]));
        assert_eq!(tokens(&mut sequence, 6), (4, vec![1, 2, 3, 4, 9, 8]));
    }

    #[test]
    fn feeding_again_overwrites_and_keeps_the_rest() {
        let mut sequence = opened(&[1, 2]);
        sequence.feed(0, &[1, 2, 3, 4]);
        sequence.feed(1, &[7, 8]);
        assert_eq!(tokens(&mut sequence, 9), (2, vec![1, 7, 8, 4]));
        sequence.truncate(2);
        sequence.feed(2, &[5]);
        assert_eq!(tokens(&mut sequence, 3), (2, vec![1, 7, 5]));
        assert_eq!(tokens(&mut sequence, 1), (1, vec![1]));
    }
}
