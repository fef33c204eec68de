//! When two executors, or two ways through one, may say different tokens: where the difference between them
//! is smaller than what their arithmetic keeps.

use atoll_engine::executor::{Executor, TokenId};
use atoll_engine::sampling::{History, SamplingParams, sample};

use crate::Rig;
use crate::support::{open_with, row};
use std::sync::Arc;

/// Disturbances that are tried.
const TRIES: u64 = 256;

/// Refuses a difference between two tokens drawn after `known`, whose first `prompt` tokens are the prompt,
/// unless logits within the rig's tolerance of each other give the one and the other. `executor` has blocks
/// enough to feed all of it.
pub fn decide<R: Rig>(
    rig: &R,
    model: &str,
    (known, prompt): (&[TokenId], usize),
    sampling: &Arc<SamplingParams>,
    (one, other): (TokenId, TokenId),
) {
    if one == other {
        return;
    }
    let at = known.len();
    assert!(!rig.exact(), "{model} at {at}: {one} and {other}");
    let mut executor = rig.load(model);
    let blocks: Vec<u32> = (0..executor.capabilities().num_blocks as u32).collect();
    open_with(&mut executor, 1, &known[..prompt], Arc::clone(sampling));
    let logits = rig.logits(&mut executor, &row(1, 0, known, &blocks, 1));
    let logits = logits.unwrap();
    let possible = |token| {
        undecided(
            &logits,
            rig.tolerance(model),
            (known, prompt),
            sampling,
            token,
        )
    };
    assert!(
        possible(one) && possible(other),
        "{model} at {at}: {one} and {other} are further apart than its precision"
    );
}

/// [`decide`] for all tokens of two continuations of a prompt, up to the first that differs: what comes
/// after it has another history.
pub fn decide_all<R: Rig>(
    rig: &R,
    model: &str,
    prompt: &[TokenId],
    sampling: &Arc<SamplingParams>,
    one: &[TokenId],
    other: &[TokenId],
) {
    assert_eq!(one.len(), other.len(), "{model}");
    let differs = one.iter().zip(other).position(|(one, other)| one != other);
    if let Some(at) = differs {
        let known = [prompt, &one[..at]].concat();
        let tokens = (one[at], other[at]);
        decide(rig, model, (&known, prompt.len()), sampling, tokens);
    }
}

/// Whether the sampler draws `token` from some logits that are so close to these, relative to the largest.
fn undecided(
    logits: &[f32],
    tolerance: f32,
    (known, prompt_len): (&[TokenId], usize),
    sampling: &SamplingParams,
    token: TokenId,
) -> bool {
    let largest = logits.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let history = History {
        prompt_len,
        tokens: known.to_vec(),
    };
    (0..TRIES).any(|seed| {
        // Random numbers from the sampler's own generator; the first try is undisturbed.
        let noise = SamplingParams {
            seed,
            ..SamplingParams::default()
        };
        let width = if seed == 0 { 0.0 } else { largest * tolerance };
        let uniform = |at: usize| noise.uniform(at) as f32 * 2.0 - 1.0;
        let pivot = (noise.uniform(logits.len()) * logits.len() as f64) as usize;
        let disturbed = logits.iter().enumerate().map(|(at, logit)| match seed % 3 {
            // Each for itself; all before one against all after it; all the further apart.
            0 => logit + uniform(at) * width,
            1 if at < pivot => logit + uniform(0) * width,
            1 => logit - uniform(0) * width,
            _ => logit + logit * uniform(0) * tolerance,
        });
        let mut disturbed: Vec<f32> = disturbed.collect();
        let drawn = sample(&mut disturbed, sampling, &history, known.len(), None);
        drawn.is_ok_and(|drawn| drawn.token == token)
    })
}
