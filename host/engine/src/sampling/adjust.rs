//! What changes logits before a draw: penalties, bias and the grammar's mask.

use super::{History, SamplingParams};
use crate::executor::{TokenId, TokenMask};

/// Applies repetition, presence and frequency penalties, then the bias. Tokens of the history that
/// are outside the vocabulary are ignored.
pub(super) fn penalise(logits: &mut [f32], params: &SamplingParams, history: &History) {
    if params.repetition_penalty != 1.0 {
        let window = params.repeat_last_n.unwrap_or(usize::MAX);
        let start = history.tokens.len().saturating_sub(window);
        let penalty = params.repetition_penalty;
        each_distinct(history.tokens.get(start..).unwrap_or(&[]), |token, _| {
            change(logits, token, |logit| {
                if logit > 0.0 {
                    logit / penalty
                } else {
                    logit * penalty
                }
            });
        });
    }
    if params.presence_penalty != 0.0 || params.frequency_penalty != 0.0 {
        let answer = history.tokens.get(history.prompt_len..).unwrap_or(&[]);
        each_distinct(answer, |token, count| {
            let penalty = params.presence_penalty + params.frequency_penalty * count as f32;
            change(logits, token, |logit| logit - penalty);
        });
    }
    for &(token, bias) in &params.logit_bias {
        change(logits, token, |logit| logit + bias);
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

/// Calls `visit` with each distinct token and how often it occurs, in rising order of token.
/// Sorting a copy costs O(n log n) but no table of the vocabulary's size.
fn each_distinct(tokens: &[TokenId], mut visit: impl FnMut(TokenId, usize)) {
    let mut sorted = tokens.to_vec();
    sorted.sort_unstable();
    for run in sorted.chunk_by(|a, b| a == b) {
        if let Some(&token) = run.first() {
            visit(token, run.len());
        }
    }
}

/// Replaces one logit. An overflow stays at the largest finite value: a tiny penalty must not turn
/// into infinities that break the softmax.
fn change(logits: &mut [f32], token: TokenId, new: impl FnOnce(f32) -> f32) {
    if let Some(logit) = logits.get_mut(token as usize)
        && *logit > f32::NEG_INFINITY
    {
        let value = new(*logit);
        *logit = if value == f32::NEG_INFINITY {
            value
        } else {
            value.min(f32::MAX)
        };
    }
}
