//! An answer in a window of its own on the context: shorter than the model's, sliding at its end, or both.
//!
//! The scheduler knows requests of fixed size only. An answer that outgrows its window therefore becomes a request
//! anew, whose prompt is the window without the older half of what need not stay; the client sees one answer. Keys
//! depend on their positions, so what moved is read again, and only the beginning that stays comes from the prefix
//! cache.

use std::sync::Arc;

use super::request::Window;
use crate::executor::TokenId;
use crate::sampling::{SamplingParams, derive_seed};
use crate::scheduler::{Finish, Request, RequestId};

/// An answer without a limit that slides ends after so many windows: models fall into loops, and nobody may be
/// listening any more.
const MOST_WINDOWS: usize = 10;

/// Where one answer is in its window.
pub(super) struct Sliding {
    window: Window,
    /// The request as it was asked for, its prompt aside.
    asked: Request,
    /// What the model has before it: prompt and answer, as far as they are not forgotten.
    tokens: Vec<TokenId>,
    /// Tokens the answer may still get.
    left: usize,
    /// How often it slid.
    slides: u32,
}

impl Sliding {
    /// The answer's place, and its first request.
    pub fn begin(window: Window, asked: Request) -> (Self, Request) {
        let endless = match window.slides_keeping {
            Some(_) => window.length.saturating_mul(MOST_WINDOWS),
            None => usize::MAX,
        };
        let sliding = Self {
            window,
            tokens: asked.prompt.to_vec(),
            left: asked.max_tokens.unwrap_or(endless),
            slides: 0,
            asked,
        };
        let first = sliding.request(sliding.asked.id, &sliding.asked.choices);
        (sliding, first)
    }

    /// Takes a drawn token; says what its `finish` means for the answer as a whole.
    pub fn push(&mut self, token: TokenId, finish: Option<Finish>) -> Option<Finish> {
        self.tokens.push(token);
        self.left = self.left.saturating_sub(1);
        match finish {
            Some(Finish::Length | Finish::ContextWindow) if self.left == 0 => Some(Finish::Length),
            Some(Finish::Length | Finish::ContextWindow) => Some(Finish::ContextWindow),
            other => other,
        }
    }

    /// The request that goes on where the window ended; `None` if it does not slide.
    pub fn next(&mut self, id: RequestId) -> Option<Request> {
        let keep = self.window.slides_keeping?.min(self.tokens.len());
        let forgotten = (self.tokens.len() - keep).div_ceil(2);
        self.tokens.drain(keep..keep + forgotten);
        self.slides += 1;
        // Random numbers follow from seed and position, and positions come again.
        let choices: Vec<Arc<SamplingParams>> = self
            .asked
            .choices
            .iter()
            .map(|params| {
                Arc::new(SamplingParams {
                    seed: derive_seed(params.seed, self.slides),
                    ..SamplingParams::clone(params)
                })
            })
            .collect();
        Some(self.request(id, &choices))
    }

    fn request(&self, id: RequestId, choices: &[Arc<SamplingParams>]) -> Request {
        // A prompt that was checked against the window leaves room for a token.
        let room = self.window.length.saturating_sub(self.tokens.len()).max(1);
        Request {
            id,
            prompt: self.tokens.as_slice().into(),
            choices: choices.to_vec(),
            max_tokens: Some(self.left.min(room)),
            ..self.asked.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(prompt: &[TokenId], max_tokens: Option<usize>) -> Request {
        Request {
            id: RequestId(1),
            prompt: prompt.into(),
            choices: vec![Arc::new(SamplingParams::default())],
            max_tokens,
            stop_tokens: Arc::new([]),
            cache_salt: None,
            priority: 0,
            owner: "".into(),
        }
    }

    fn window(slides_keeping: Option<usize>) -> Window {
        Window {
            length: 8,
            slides_keeping,
        }
    }

    #[test]
    fn a_window_slides_over_the_older_half_of_what_need_not_stay() {
        let (mut sliding, first) =
            Sliding::begin(window(Some(2)), asked(&[1, 2, 3, 4, 5], Some(9)));
        assert_eq!(
            first.max_tokens,
            Some(3),
            "as many as the window has room for"
        );
        assert_eq!(sliding.push(6, None), None);
        assert_eq!(sliding.push(7, None), None);
        assert_eq!(
            sliding.push(8, Some(Finish::Length)),
            Some(Finish::ContextWindow)
        );
        let next = sliding.next(RequestId(2)).unwrap();
        assert_eq!(*next.prompt, [1, 2, 6, 7, 8]);
        assert_eq!((next.id, next.max_tokens), (RequestId(2), Some(3)));
        assert_ne!(next.choices[0].seed, first.choices[0].seed);
        for token in 9..11 {
            assert_eq!(sliding.push(token, None), None);
        }
        sliding.push(11, Some(Finish::Length));
        let last = sliding.next(RequestId(3)).unwrap();
        assert_eq!(*last.prompt, [1, 2, 9, 10, 11]);
        sliding.push(12, None);
        sliding.push(13, None);
        assert_eq!(
            sliding.push(14, Some(Finish::Length)),
            Some(Finish::Length),
            "nine tokens in all"
        );
    }

    #[test]
    fn a_window_that_does_not_slide_ends_the_answer() {
        let (mut sliding, first) = Sliding::begin(window(None), asked(&[1; 7], None));
        assert_eq!(first.max_tokens, Some(1));
        assert_eq!(
            sliding.push(2, Some(Finish::Length)),
            Some(Finish::ContextWindow)
        );
        assert!(sliding.next(RequestId(2)).is_none());
    }

    #[test]
    fn an_answer_without_a_limit_has_one() {
        let (sliding, _) = Sliding::begin(window(Some(0)), asked(&[1], None));
        assert_eq!(sliding.left, 8 * MOST_WINDOWS);
    }
}
