//! What changes logits before a draw: penalties, bias and the grammar's mask.

use super::{History, SamplingParams};
use crate::executor::{TokenId, TokenMask};

/// What penalties and bias do to the logit of one token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adjustment {
    /// Which.
    pub token: TokenId,
    /// Whether the repetition penalty sees it.
    pub repeated: bool,
    /// How often presence and frequency penalties see it.
    pub count: u32,
    /// What is added.
    pub bias: f32,
}

/// Everything that penalties and bias change before one draw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adjustments {
    /// Each token once, in rising order. It may be outside the vocabulary.
    pub tokens: Vec<Adjustment>,
    /// What the penalties see of the token between the history and the draw, where that is not known yet;
    /// its `token` and `bias` mean nothing. If `tokens` has that token too, this comes on top.
    pub unknown: Option<Adjustment>,
}

impl SamplingParams {
    /// Which logits change before a draw, and how: repetition, presence and frequency penalties over
    /// `history`, and the bias. With `unknown` one more token is between the history and the draw.
    ///
    /// Sorting costs O(n log n) of the history, but no table of the vocabulary's size.
    #[must_use]
    pub fn adjustments(&self, history: &History, unknown: bool) -> Adjustments {
        let window = match self.repetition_penalty {
            1.0 => 0,
            _ => self.repeat_last_n.unwrap_or(usize::MAX),
        };
        let counted = self.presence_penalty != 0.0 || self.frequency_penalty != 0.0;
        let known = history.tokens.len();
        let seen = |position: usize| Adjustment {
            token: history.tokens.get(position).copied().unwrap_or_default(),
            repeated: known + usize::from(unknown) - position <= window,
            count: u32::from(counted && position >= history.prompt_len),
            bias: 0.0,
        };
        let first = match counted {
            true => known.min(history.prompt_len),
            false => known,
        };
        let first = first.min((known + usize::from(unknown)).saturating_sub(window));
        let mut tokens: Vec<Adjustment> = (first..known).map(seen).collect();
        tokens.extend(self.logit_bias.iter().map(|&(token, bias)| Adjustment {
            token,
            repeated: false,
            count: 0,
            bias,
        }));
        tokens.sort_unstable_by_key(|adjustment| adjustment.token);
        tokens.dedup_by(|next, all| {
            let same = next.token == all.token;
            if same {
                all.repeated |= next.repeated;
                all.count += next.count;
                all.bias += next.bias;
            }
            same
        });
        Adjustments {
            tokens,
            unknown: unknown.then(|| seen(known)),
        }
    }
}

/// Applies repetition, presence and frequency penalties, then the bias. Tokens that are outside the
/// vocabulary are ignored.
pub(super) fn penalise(logits: &mut [f32], params: &SamplingParams, history: &History) {
    if !params.adjusts() {
        return;
    }
    for adjustment in params.adjustments(history, false).tokens {
        if let Some(logit) = logits.get_mut(adjustment.token as usize) {
            *logit = adjust(*logit, params, &adjustment);
        }
    }
}

/// Forbids what `mask` does not allow.
pub(super) fn apply_mask(logits: &mut [f32], mask: &TokenMask) {
    for (chunk, word) in logits
        .chunks_mut(32)
        .zip(mask.words().iter().copied().chain(std::iter::repeat(0)))
    {
        if word == u32::MAX {
            continue;
        }
        for (bit, logit) in chunk.iter_mut().enumerate() {
            if word >> bit & 1 == 0 {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

/// A logit after its adjustment. An overflow stays at the largest finite value: a tiny penalty must not
/// turn into infinities that break the softmax.
fn adjust(logit: f32, params: &SamplingParams, adjustment: &Adjustment) -> f32 {
    let mut value = logit;
    if adjustment.repeated {
        value = if value > 0.0 {
            value / params.repetition_penalty
        } else {
            value * params.repetition_penalty
        };
        value = value.min(f32::MAX);
    }
    if adjustment.count > 0 {
        value -= params.presence_penalty + params.frequency_penalty * adjustment.count as f32;
    }
    (value + adjustment.bias).min(f32::MAX)
}
