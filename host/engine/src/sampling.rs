//! How a token is drawn from logits.
//!
//! Drawing runs inside the executor's last stage, so that only token ids travel; the arithmetic is
//! here so that every executor without a sampler of its own draws the same token. Random numbers
//! are counter-based: they depend on the request's seed and the position alone, so any machine
//! draws the same one, in any batch, after any recovery.
//!
//! # The order of things
//!
//! 1. Log probabilities are taken from the raw logits: the model's own distribution.
//! 2. Repetition penalty, presence and frequency penalty, logit bias, the grammar's mask.
//! 3. Temperature 0: the largest logit wins, ties to the lowest id.
//! 4. Otherwise temperature, then top-k, then top-p over what top-k left, then min-p, then one
//!    inverse-CDF draw with [Philox](self::derive_seed) at (seed, position).
//!
//! The exponential is our own arithmetic (`exp_nonpositive`) instead of the platform's, because
//! two machines of one cluster may have different C libraries and must still agree on every bit.

mod adjust;
mod params;
mod random;
mod select;
mod weights;

pub use adjust::{Adjustment, Adjustments};
pub use params::{MAX_LOGIT_BIAS, MAX_LOGPROBS, SamplingError, SamplingParams};
pub use random::derive_seed;

use self::select::{Candidate, argmax, largest, top};
use self::weights::{exp_nonpositive, invert, mass};
use crate::executor::{RowError, SampledToken, TokenId, TokenMask};

/// What a sequence consists of so far: the prompt, then the generated tokens that were fed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// How many of `tokens` are the prompt.
    pub prompt_len: usize,
    /// All tokens before the one to be drawn, from position 0.
    pub tokens: Vec<TokenId>,
}

/// Draws the token that comes after `history`.
///
/// `logits` is one position's raw output, one per vocabulary entry; its contents are unspecified
/// afterwards. `position` is the position the drawn token will have, that is, the number of tokens
/// before it; with the seed it determines the random number. `params` has passed
/// [`SamplingParams::validate`] (unvalidated ones give odd draws, never a panic).
///
/// Costs O(vocabulary), never a full sort. A greedy draw without penalties or log probabilities
/// allocates nothing.
///
/// # Errors
/// [`RowError::NotFinite`] if a logit is NaN or +inf, or none is finite; [`RowError::EmptyMask`] if
/// the mask leaves no token.
pub fn sample(
    logits: &mut [f32],
    params: &SamplingParams,
    history: &History,
    position: usize,
    mask: Option<&TokenMask>,
) -> Result<SampledToken, RowError> {
    let raw_max = largest(logits).ok_or(RowError::NotFinite)?;
    let report = params
        .logprobs
        .map(|count| Report::new(logits, raw_max, count as usize));

    adjust::penalise(logits, params, history);
    if let Some(mask) = mask {
        adjust::apply_mask(logits, mask);
    }
    let nothing_left = if mask.is_some() {
        RowError::EmptyMask
    } else {
        RowError::NotFinite
    };
    let (best, max) = argmax(logits).ok_or(nothing_left)?;

    let token = if params.temperature > 0.0 {
        draw(logits, max, params, params.uniform(position)).unwrap_or(best as TokenId)
    } else {
        best as TokenId
    };
    Ok(match report {
        Some(report) => report.finish(token),
        None => SampledToken {
            token,
            logprob: None,
            top_logprobs: Vec::new(),
        },
    })
}

/// Log probabilities under the raw logits, which later steps overwrite.
struct Report {
    raw: Vec<f32>,
    log_normaliser: f64,
    top: Vec<Candidate>,
}

impl Report {
    fn new(logits: &[f32], max: f32, count: usize) -> Self {
        let sum: f64 = logits
            .iter()
            .map(|&logit| f64::from(exp_nonpositive(logit - max)))
            .sum();
        Self {
            raw: logits.to_vec(),
            log_normaliser: f64::from(max) + sum.ln(),
            top: top(logits, count),
        }
    }

    fn logprob(&self, logit: f32) -> f32 {
        (f64::from(logit) - self.log_normaliser) as f32
    }

    fn finish(self, token: TokenId) -> SampledToken {
        SampledToken {
            token,
            logprob: self
                .raw
                .get(token as usize)
                .map(|&logit| self.logprob(logit)),
            top_logprobs: self
                .top
                .iter()
                .map(|best| (best.token, self.logprob(best.score)))
                .collect(),
        }
    }
}

/// Draws from `softmax(logits / temperature)` after truncation. `None` only if rounding left
/// nothing to draw from.
fn draw(logits: &mut [f32], max: f32, params: &SamplingParams, uniform: f64) -> Option<TokenId> {
    let temperature = params.temperature;
    let weight = |logit: f32| exp_nonpositive((logit - max) / temperature);
    let top_k = params.top_k.map_or(usize::MAX, |k| k as usize);

    let (mut candidates, total) = if top_k < logits.len() {
        let mut best = top(logits, top_k);
        for candidate in &mut best {
            candidate.score = weight(candidate.score);
        }
        let total = best.iter().map(|best| f64::from(best.score)).sum();
        (best, total)
    } else {
        for logit in logits.iter_mut() {
            *logit = weight(*logit);
        }
        if params.top_p >= 1.0 && params.min_p <= 0.0 {
            return invert(logits, uniform).map(|index| index as TokenId);
        }
        let total = mass(logits);
        (prefilter(logits, total, params), total)
    };
    truncate_top_p(&mut candidates, params.top_p, total);
    // The best has weight 1, so `min_p` is the bar itself.
    candidates.retain(|candidate| candidate.score >= params.min_p);
    let scores: Vec<f32> = candidates.iter().map(|best| best.score).collect();
    let index = invert(&scores, uniform)?;
    candidates.get(index).map(|candidate| candidate.token)
}

/// The weights that can survive top-p or min-p, best first. A token less likely than
/// `(1 - top_p) / V` is outside the nucleus: all such tokens together have less than `1 - top_p`.
fn prefilter(weights: &[f32], total: f64, params: &SamplingParams) -> Vec<Candidate> {
    let share = f64::from(1.0 - params.top_p) / weights.len() as f64 * total;
    // A little below the bound, so that rounding never cuts what the exact rule keeps. min-p may
    // only cut here when top-p is off, because top-p counts the mass that min-p would drop.
    let bar = if params.top_p < 1.0 {
        (share * 0.999) as f32
    } else {
        params.min_p
    };
    let mut candidates: Vec<Candidate> = weights
        .iter()
        .enumerate()
        .filter(|&(_, &weight)| weight >= bar && weight > 0.0)
        .map(|(index, &score)| Candidate {
            token: index as TokenId,
            score,
        })
        .collect();
    candidates.sort_unstable_by(select::best_first);
    candidates
}

/// Keeps the shortest head of `candidates` (best first) whose mass reaches `top_p` of `total`.
fn truncate_top_p(candidates: &mut Vec<Candidate>, top_p: f32, total: f64) {
    if top_p >= 1.0 {
        return;
    }
    let goal = f64::from(top_p) * total;
    let mut sum = 0.0;
    let enough = candidates.iter().position(|candidate| {
        sum += f64::from(candidate.score);
        sum >= goal
    });
    if let Some(last) = enough {
        candidates.truncate(last + 1);
    }
}

#[cfg(test)]
mod tests;
