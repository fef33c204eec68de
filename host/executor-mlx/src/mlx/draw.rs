//! Draws on the device: the engine's sampler as a graph, so that logits stay where they are.
//!
//! It is the draw of [`atoll_engine::sampling`], step by step: penalties and bias ([`super::adjust`]), weights `exp((logit - largest) / temperature)`,
//! then top-k, top-p and min-p over the tokens in order of weight, where one of them is asked for, then
//! the first token whose running sum passes the uniform number of (seed, position). So a seed gives the
//! token that it gives on every other executor, up to rounding: sums are in f32 here, not f64.
//!
//! Which number chooses a token is known before the token before it is, which is what lets a step begin
//! ahead.

use atoll_engine::sampling::{Adjustments, SamplingParams};
use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::argmax_axis;
use mlx_rs::ops::{arange, argsort_axis, concatenate, select};
use mlx_rs::{Array, Dtype};

use super::attention::index;
use super::ffi;
use super::worker::{Shared, lock};

/// One draw that is made here: without a grammar's mask, and without a report of log probabilities.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick<'a> {
    /// How.
    pub(super) sampling: &'a SamplingParams,
    /// What it looks at.
    pub(super) sequence: &'a Shared,
    /// The position that the drawn token will have.
    pub(super) position: usize,
}

/// Draws that are the same operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The likeliest token.
    Likeliest,
    /// From all tokens, in the order of their numbers.
    Whole,
    /// From the likeliest, in the order of their weights.
    Cut,
}

impl Pick<'_> {
    /// What penalties and bias change in the vocabulary. With `unknown` the sequence does not have the token
    /// before this draw yet.
    pub(super) fn adjustments(&self, vocabulary: i32, unknown: bool) -> Adjustments {
        if !self.sampling.adjusts() {
            return Adjustments::default();
        }
        let known = self.position.saturating_sub(usize::from(unknown));
        let mut adjustments = lock(self.sequence).adjustments(known, unknown);
        let inside = |token: u32| i32::try_from(token).is_ok_and(|token| token < vocabulary);
        adjustments
            .tokens
            .retain(|adjustment| inside(adjustment.token));
        adjustments
    }

    fn kind(&self, vocabulary: i32) -> Kind {
        let sampling = self.sampling;
        if sampling.temperature <= 0.0 {
            Kind::Likeliest
        } else if sampling.top_p < 1.0
            || sampling.min_p > 0.0
            || self.top_k(vocabulary) < vocabulary
        {
            Kind::Cut
        } else {
            Kind::Whole
        }
    }

    /// How many tokens may stay, at least one.
    fn top_k(&self, vocabulary: i32) -> i32 {
        let asked = self
            .sampling
            .top_k
            .map_or(i32::MAX, |count| i32::try_from(count).unwrap_or(i32::MAX));
        asked.clamp(1, vocabulary.max(1))
    }

    /// The uniform number, below 1 in f32 too: a product with a total is then below the total.
    fn uniform(&self) -> f32 {
        let uniform = self.sampling.uniform(self.position) as f32;
        uniform.min(1.0 - f32::EPSILON / 2.0)
    }
}

/// The drawn tokens, `[rows]`, of logits `[rows, vocabulary]`; one pick for each row. A row whose logits
/// are not finite gets some token.
pub(super) fn tokens(logits: &Array, picks: &[Pick<'_>]) -> Result<Array, Exception> {
    let vocabulary = logits.dim(-1);
    let mut sorted: Vec<(Kind, usize, Pick<'_>)> = picks
        .iter()
        .enumerate()
        .map(|(row, pick)| (pick.kind(vocabulary), row, *pick))
        .collect();
    sorted.sort_by_key(|&(kind, ..)| kind);
    let mut parts = Vec::new();
    for alike in sorted.chunk_by(|(a, ..), (b, ..)| a == b) {
        let Some(&(kind, ..)) = alike.first() else {
            continue;
        };
        let picks: Vec<Pick<'_>> = alike.iter().map(|&(.., pick)| pick).collect();
        if alike.len() == sorted.len() {
            return of_kind(kind, logits, &picks);
        }
        let rows = alike.iter().map(|&(_, row, _)| index(row));
        let rows: Vec<i32> = rows.collect::<Result<_, _>>()?;
        let rows = Array::from_slice(&rows, &[index(rows.len())?]);
        parts.push(of_kind(kind, &logits.take_axis(rows, 0)?, &picks)?);
    }
    // Back in the order of the rows.
    let mut places: Vec<(usize, i32)> = Vec::with_capacity(sorted.len());
    for (place, &(_, row, _)) in sorted.iter().enumerate() {
        places.push((row, index(place)?));
    }
    places.sort_unstable();
    let places: Vec<i32> = places.into_iter().map(|(_, place)| place).collect();
    let places = Array::from_slice(&places, &[index(places.len())?]);
    concatenate(&parts, 0)?.take_axis(places, 0)
}

fn of_kind(kind: Kind, logits: &Array, picks: &[Pick<'_>]) -> Result<Array, Exception> {
    match kind {
        Kind::Likeliest => argmax_axis(logits, -1, None),
        Kind::Whole => {
            let weights = weights(&logits.as_dtype(Dtype::Float32)?, picks)?;
            let sums = weights.cumsum(-1, None, None)?;
            let last = sums.dim(-1);
            let total = ffi::part(&sums, 1, last - 1..last)?;
            invert(&weights, &sums, &total, picks, false)
        }
        Kind::Cut => cut(&logits.as_dtype(Dtype::Float32)?, picks),
    }
}

/// A draw from what top-k, top-p and min-p leave. In the order of weight that is always the first few.
fn cut(logits: &Array, picks: &[Pick<'_>]) -> Result<Array, Exception> {
    let vocabulary = logits.dim(-1);
    // Stable: of equal logits the lower token comes first.
    let order = argsort_axis(logits.negative()?, -1)?;
    let weights = weights(logits, picks)?.take_along_axis(&order, -1)?;
    let sums = weights.cumsum(-1, None, None)?;

    let counts: Vec<i32> = picks.iter().map(|pick| pick.top_k(vocabulary)).collect();
    let rows = index(counts.len())?;
    let counts = Array::from_slice(&counts, &[rows, 1]);
    let top_k = arange::<i32, i32>(None, vocabulary, None)?.lt(&counts)?;
    // top-p is a share of what top-k left, and the token that reaches it stays.
    let total = sums.take_along_axis(counts.subtract(Array::from_int(1))?, -1)?;
    let share = |pick: &Pick<'_>| match pick.sampling.top_p {
        share if share < 1.0 => share,
        // More than all of it, whatever rounding does.
        _ => 2.0,
    };
    let goal = total.multiply(column(picks, share)?)?;
    let top_p = sums.subtract(&weights)?.lt(goal)?;
    // The best has weight 1, so `min_p` is the bar itself.
    let min_p = weights.ge(column(picks, |pick| pick.sampling.min_p)?)?;

    let kept = top_k.logical_and(top_p)?.logical_and(min_p)?;
    let nothing = Array::from_f32(0.0);
    let weights = select(&kept, weights, &nothing)?;
    let total = select(&kept, &sums, nothing)?.max_axis(-1, true)?;
    let rank = invert(&weights, &sums, &total, picks, true)?;
    order.take_along_axis(rank, -1)?.reshape(&[-1])
}

/// Weights of a draw: the largest is 1.
fn weights(logits: &Array, picks: &[Pick<'_>]) -> Result<Array, Exception> {
    let below = logits.subtract(logits.max_axis(-1, true)?)?;
    below
        .divide(column(picks, |pick| pick.sampling.temperature)?)?
        .exp()
}

/// Where the running sums first pass the uniform number's share of `total`, on something that has weight.
fn invert(
    weights: &Array,
    sums: &Array,
    total: &Array,
    picks: &[Pick<'_>],
    keep_dims: bool,
) -> Result<Array, Exception> {
    let goal = total.multiply(column(picks, Pick::uniform)?)?;
    let passed = sums
        .gt(goal)?
        .logical_and(weights.gt(Array::from_f32(0.0))?)?;
    // More than any weight. If rounding leaves no such place, the likeliest token is taken.
    let marked = select(passed, Array::from_f32(2.0), weights)?;
    argmax_axis(marked, -1, keep_dims)
}

/// One number for each row, as `[rows, 1]`.
pub(super) fn column<'a>(
    picks: &[Pick<'a>],
    number: impl Fn(&Pick<'a>) -> f32,
) -> Result<Array, Exception> {
    let numbers: Vec<f32> = picks.iter().map(number).collect();
    Ok(Array::from_slice(&numbers, &[index(numbers.len())?, 1]))
}
