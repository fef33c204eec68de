//! Picking the few best of many: partial selection over a vocabulary without sorting it.

use crate::executor::TokenId;

/// A token with its score (a logit or a weight).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub token: TokenId,
    pub score: f32,
}

/// Best first; equal scores go to the lower id. Scores are never NaN here.
pub(super) fn best_first(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.token.cmp(&b.token))
}

/// Scores looked at together: a test of all of them compiles to vector code, a test of each does not.
const BLOCK: usize = 64;

/// The largest score, if every score is finite or -inf and one is finite.
pub(super) fn largest(scores: &[f32]) -> Option<f32> {
    const LANES: usize = 16;
    let (chunks, rest) = scores.as_chunks::<LANES>();
    let mut best = [f32::NEG_INFINITY; LANES];
    let mut usable = [true; LANES];
    let mut look = |lane: usize, score: f32| {
        if let (Some(best), Some(usable)) = (best.get_mut(lane), usable.get_mut(lane)) {
            *best = if score > *best { score } else { *best };
            // False for NaN too.
            *usable &= score < f32::INFINITY;
        }
    };
    for chunk in chunks {
        for (lane, &score) in chunk.iter().enumerate() {
            look(lane, score);
        }
    }
    for (lane, &score) in rest.iter().enumerate() {
        look(lane, score);
    }
    let best = best.into_iter().fold(f32::NEG_INFINITY, f32::max);
    (best > f32::NEG_INFINITY && usable.iter().all(|&usable| usable)).then_some(best)
}

/// The index and value of the largest score; ties go to the lowest index. `None` if all are -inf.
/// No score is NaN or +inf.
pub(super) fn argmax(scores: &[f32]) -> Option<(usize, f32)> {
    let best = largest(scores)?;
    for (number, block) in scores.chunks(BLOCK).enumerate() {
        if block
            .iter()
            .fold(false, |hit, &score| hit | (score == best))
        {
            let index = block.iter().position(|&score| score == best)?;
            return Some((number * BLOCK + index, best));
        }
    }
    None
}

/// The `count` largest scores above -inf, best first.
///
/// Linear in `scores`: survivors go to a buffer of `2 * count` that is cut back to the best `count`
/// whenever it fills, which raises the bar for what comes later.
pub(super) fn top(scores: &[f32], count: usize) -> Vec<Candidate> {
    let count = count.min(scores.len());
    if count == 0 {
        return Vec::new();
    }
    let mut buffer: Vec<Candidate> = Vec::with_capacity(count * 2);
    let mut bar = f32::NEG_INFINITY;
    for (number, block) in scores.chunks(BLOCK).enumerate() {
        // An equal score later in the vocabulary loses the tie, so strictly above is enough.
        if !block.iter().fold(false, |hit, &score| hit | (score > bar)) {
            continue;
        }
        for (index, &score) in block.iter().enumerate() {
            if score > bar {
                buffer.push(Candidate {
                    token: (number * BLOCK + index) as TokenId,
                    score,
                });
                if buffer.len() == count * 2 {
                    buffer.select_nth_unstable_by(count - 1, best_first);
                    buffer.truncate(count);
                    bar = buffer.last().map_or(bar, |worst| worst.score);
                }
            }
        }
    }
    buffer.sort_unstable_by(best_first);
    buffer.truncate(count);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn top_equals_the_head_of_a_full_sort(
            scores in prop::collection::vec(prop_oneof![(-4_i8..4).prop_map(f32::from), Just(f32::NEG_INFINITY)], 0..300),
            count in 0_usize..40,
        ) {
            let mut all: Vec<Candidate> = scores
                .iter()
                .enumerate()
                .filter(|(_, score)| score.is_finite())
                .map(|(index, &score)| Candidate { token: index as TokenId, score })
                .collect();
            all.sort_by(best_first);
            all.truncate(count);
            prop_assert_eq!(top(&scores, count), all.clone());
            if count > 0 {
                prop_assert_eq!(
                    argmax(&scores).map(|(index, _)| index as TokenId),
                    all.first().map(|best| best.token)
                );
            }
        }
    }
}
