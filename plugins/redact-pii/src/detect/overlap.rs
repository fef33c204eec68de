//! Which of overlapping candidates stands.
//!
//! Validated before scored, longer before shorter, higher before lower, earlier before later; a winner
//! is never shrunk, and takes in what an overlapping loser of the same label would have covered.

use super::{Candidate, Kind, Rules};

fn label(kind: Kind, rules: &Rules) -> &str {
    match kind {
        Kind::Builtin(e) => e.label(),
        Kind::Custom(i) => rules.label(i),
    }
}

/// Non-overlapping candidates in order of position. `O(n log n)`, and next to nothing where no candidate
/// overlaps another: only those that do are compared.
#[must_use]
pub fn resolve(mut all: Vec<Candidate>, rules: &Rules) -> Vec<Candidate> {
    all.sort_by_key(|c| c.start);
    let mut kept = Vec::with_capacity(all.len());
    let mut rest = all.as_slice();
    while let Some(first) = rest.first() {
        // Candidates that overlap, one with the next.
        let (mut n, mut end) = (1, first.end);
        while let Some(c) = rest.get(n).filter(|c| c.start < end) {
            end = end.max(c.end);
            n += 1;
        }
        let (cluster, others) = rest.split_at(n);
        match cluster {
            [one] => kept.push(*one),
            _ => kept.extend(choose(cluster.to_vec(), rules)),
        }
        rest = others;
    }
    kept
}

/// [`resolve`] by comparing every candidate with those already kept, the best first.
fn choose(mut all: Vec<Candidate>, rules: &Rules) -> impl Iterator<Item = Candidate> {
    all.sort_by_key(|c| {
        let firm = c.checked && c.score >= 60 || c.score >= 90;
        (
            !firm,
            std::cmp::Reverse((c.end - c.start, c.score, c.checked)),
            c.start,
            kind_order(c.kind),
        )
    });
    let mut kept: std::collections::BTreeMap<usize, Candidate> = std::collections::BTreeMap::new();
    for c in all {
        let before = kept.range(..c.end).next_back().map(|(_, w)| *w);
        match before {
            Some(w) if w.end > c.start => {
                // Widen the winner over a loser of its own label, as long as nobody else stands there.
                let same = label(w.kind, rules) == label(c.kind, rules);
                let free = kept
                    .range(..w.start)
                    .next_back()
                    .is_none_or(|(_, p)| p.end <= c.start)
                    && kept.range(c.start..c.end).count() <= usize::from(w.start >= c.start);
                if same && free && (c.start < w.start || c.end > w.end) {
                    kept.remove(&w.start);
                    let wide = Candidate {
                        start: w.start.min(c.start),
                        end: w.end.max(c.end),
                        ..w
                    };
                    kept.insert(wide.start, wide);
                }
            }
            _ => {
                kept.insert(c.start, c);
            }
        }
    }
    kept.into_values()
}

fn kind_order(kind: Kind) -> u16 {
    match kind {
        Kind::Builtin(e) => e as u16,
        Kind::Custom(i) => 256 + i,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Entity;
    use proptest::prelude::*;

    fn c(start: usize, end: usize, e: Entity, score: u8, checked: bool) -> Candidate {
        Candidate {
            start,
            end,
            kind: Kind::Builtin(e),
            score,
            checked,
        }
    }

    #[test]
    fn validated_beats_longer_and_contained_goes() {
        let rules = Rules::default();
        let got = resolve(
            vec![
                c(0, 20, Entity::BankAccount, 60, false),
                c(2, 18, Entity::CreditCard, 95, true),
            ],
            &rules,
        );
        assert_eq!(got, vec![c(2, 18, Entity::CreditCard, 95, true)]);
        let got = resolve(
            vec![
                c(0, 20, Entity::Email, 95, true),
                c(2, 10, Entity::Phone, 95, true),
            ],
            &rules,
        );
        assert_eq!(got, vec![c(0, 20, Entity::Email, 95, true)]);
    }

    #[test]
    fn same_label_overlap_is_united() {
        let got = resolve(
            vec![
                c(0, 10, Entity::Phone, 90, true),
                c(5, 14, Entity::Phone, 60, false),
            ],
            &Rules::default(),
        );
        assert_eq!(got, vec![c(0, 14, Entity::Phone, 90, true)]);
    }

    proptest! {
        #[test]
        fn comparing_clusters_is_comparing_all(raw in proptest::collection::vec((0usize..90, 1usize..20, 0usize..6, 50u8..100, any::<bool>()), 0..24)) {
            let all: Vec<_> = raw.iter().map(|&(a, n, e, s, k)| c(a, a + n, Entity::ALL[e], s, k)).collect();
            let rules = Rules::default();
            let whole: Vec<_> = choose(all.clone(), &rules).collect();
            prop_assert_eq!(resolve(all, &rules), whole);
        }

        #[test]
        fn winners_never_overlap(raw in proptest::collection::vec((0usize..60, 1usize..20, 0usize..6, 50u8..100, any::<bool>()), 0..24)) {
            let all: Vec<_> = raw.iter().map(|&(a, n, e, s, k)| c(a, a + n, Entity::ALL[e], s, k)).collect();
            let kept = resolve(all.clone(), &Rules::default());
            prop_assert!(kept.windows(2).all(|w| w[0].end <= w[1].start));
            // Whatever lost, lost to something that stands on its ground.
            for x in all {
                prop_assert!(kept.iter().any(|w| w.start < x.end && x.start < w.end));
            }
        }
    }
}
