//! The token history of one open sequence, which penalties look at.

use atoll_engine::executor::TokenId;
use atoll_engine::sampling::{History, SamplingParams};
use std::sync::Arc;

/// An open sequence.
///
/// The history starts as the whole prompt, because rows may skip a cached prefix of it. Rows
/// overwrite what they feed: feeding positions again after a preemption is as good as feeding them
/// for the first time.
pub(crate) struct Sequence {
    pub(crate) sampling: Arc<SamplingParams>,
    prompt_len: usize,
    history: History,
    /// Tokens set aside while a draw looks at a shorter history.
    tail: Vec<TokenId>,
}

impl Sequence {
    pub(crate) fn new(prompt: &[TokenId], sampling: Arc<SamplingParams>) -> Self {
        Self {
            sampling,
            prompt_len: prompt.len(),
            history: History {
                prompt_len: prompt.len(),
                tokens: prompt.to_vec(),
            },
            tail: Vec::new(),
        }
    }

    pub(crate) fn fork(&self, sampling: Arc<SamplingParams>) -> Self {
        Self {
            sampling,
            prompt_len: self.prompt_len,
            history: self.history.clone(),
            tail: Vec::new(),
        }
    }

    /// Positions whose token is known.
    pub(crate) fn len(&self) -> usize {
        self.history.tokens.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.history.tokens.truncate(len);
    }

    /// Notes that `tokens` are at `start..`, where `start <= self.len()`. What was known after them
    /// stays known.
    pub(crate) fn feed(&mut self, start: usize, tokens: &[TokenId]) {
        let known = self.history.tokens.len().saturating_sub(start);
        let (old, new) = tokens.split_at(known.min(tokens.len()));
        if let Some(slots) = self.history.tokens.get_mut(start..start + old.len()) {
            slots.copy_from_slice(old);
        }
        self.history.tokens.extend_from_slice(new);
    }

    /// Calls `draw` with the history of the first `len` positions.
    pub(crate) fn with_prefix<T>(&mut self, len: usize, draw: impl FnOnce(&History) -> T) -> T {
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

    fn tokens(sequence: &mut Sequence, len: usize) -> (usize, Vec<TokenId>) {
        sequence.with_prefix(len, |h| (h.prompt_len, h.tokens.clone()))
    }

    #[test]
    fn the_prompt_is_known_before_it_is_fed() {
        let mut sequence = Sequence::new(&[1, 2, 3, 4], Arc::default());
        sequence.feed(3, &[4]);
        assert_eq!(tokens(&mut sequence, 4), (4, vec![1, 2, 3, 4]));
        sequence.feed(4, &[9, 8]);
        assert_eq!(tokens(&mut sequence, 5), (4, vec![1, 2, 3, 4, 9]));
        assert_eq!(tokens(&mut sequence, 6), (4, vec![1, 2, 3, 4, 9, 8]));
    }

    #[test]
    fn feeding_again_overwrites_and_keeps_the_rest() {
        let mut sequence = Sequence::new(&[1, 2], Arc::default());
        sequence.feed(0, &[1, 2, 3, 4]);
        sequence.feed(1, &[7, 8]);
        assert_eq!(tokens(&mut sequence, 9), (2, vec![1, 7, 8, 4]));
        sequence.truncate(2);
        sequence.feed(2, &[5]);
        assert_eq!(tokens(&mut sequence, 3), (2, vec![1, 7, 5]));
        assert_eq!(tokens(&mut sequence, 1), (1, vec![1]));
    }
}
