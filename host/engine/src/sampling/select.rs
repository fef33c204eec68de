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

/// The index and value of the largest score; ties go to the lowest index. `None` if all are -inf.
pub(super) fn argmax(scores: &[f32]) -> Option<(usize, f32)> {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (index, score);
        }
    }
    (best.1 > f32::NEG_INFINITY).then_some(best)
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
    for (index, &score) in scores.iter().enumerate() {
        // An equal score later in the vocabulary loses the tie, so strictly above is enough.
        if score > bar {
            buffer.push(Candidate {
                token: index as TokenId,
                score,
            });
            if buffer.len() == count * 2 {
                buffer.select_nth_unstable_by(count - 1, best_first);
                buffer.truncate(count);
                bar = buffer.last().map_or(bar, |worst| worst.score);
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
