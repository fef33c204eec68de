//! Who of those that wait goes next: the seam a scheduling strategy fills.

use super::RequestId;
use crate::executor::SequenceId;

/// What a policy may know about one waiting entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingFacts {
    /// Which request.
    pub request: RequestId,
    /// Which of its sequences: several of a request can wait after preemptions.
    pub sequence: SequenceId,
    /// Counts up with each request added.
    pub arrival: u64,
    /// On whose behalf, as the request said; empty for nobody in particular.
    pub owner: std::sync::Arc<str>,
    /// As the request said.
    pub priority: i32,
    /// Tokens known so far: the prompt, and after a preemption what was drawn.
    pub tokens: usize,
    /// Of those, found in the prefix cache now. Only if [`QueuePolicy::wants_cache_hits`].
    pub cached_tokens: usize,
    /// Most tokens it may still draw, per choice.
    pub max_new_tokens: usize,
    /// Sequences it becomes.
    pub choices: usize,
    /// Whether it ran before and gave its blocks up. Its client has been reading already.
    pub preempted: bool,
}

/// What a policy may know about the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueueLoad<'a> {
    /// Sequences running.
    pub running: usize,
    /// Most sequences that run at once.
    pub max_running: usize,
    /// KV blocks that could be handed out now.
    pub free_blocks: usize,
    /// KV blocks there are.
    pub total_blocks: usize,
    /// Tokens drawn lately for each owner, by name: all of them, halved each time that
    /// [`RECENT_TOKENS`] more have been drawn.
    pub recent: &'a [(std::sync::Arc<str>, u64)],
}

/// Tokens after which what an owner was given counts half. The scheduler has no clock: this is its
/// measure of "lately".
pub const RECENT_TOKENS: u64 = 8192;

/// What becomes of an entry, by its index in what the policy was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Starts as soon as there is room, in the order of the decisions.
    Admit(usize),
    /// Is refused. Ignored for one that ran already: its client has been reading.
    Reject(usize),
}

/// Decides who is admitted next. Called on the engine's thread when what waits or what runs has
/// changed and somebody waits, never per token; everybody's next step waits for the answer.
pub trait QueuePolicy: Send {
    /// The first to admit first. Decisions about entries that do not exist, and second ones about the
    /// same, are ignored. Entries without one keep waiting until the next call; while nothing runs they
    /// follow in order of arrival, so that a policy can delay requests but not stop the engine.
    fn order(&mut self, waiting: &[WaitingFacts], load: &QueueLoad<'_>) -> Vec<Decision>;

    /// Whether [`WaitingFacts::cached_tokens`] is to be looked up, which costs a look at each entry's
    /// prompt.
    fn wants_cache_hits(&self) -> bool {
        false
    }
}

/// In order of arrival.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstComeFirstServed;

impl QueuePolicy for FirstComeFirstServed {
    fn order(&mut self, waiting: &[WaitingFacts], _load: &QueueLoad<'_>) -> Vec<Decision> {
        let mut order: Vec<usize> = (0..waiting.len()).collect();
        order.sort_by_key(|&index| waiting.get(index).map(|w| (w.arrival, w.sequence)));
        order.into_iter().map(Decision::Admit).collect()
    }
}

/// Decisions that hold, about each entry exactly once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// To admit, in order.
    pub admitted: Vec<usize>,
    /// To keep waiting, in order of arrival.
    pub held: Vec<usize>,
    /// To refuse.
    pub rejected: Vec<usize>,
}

/// Makes sense of whatever a policy returned.
pub(super) fn sanitize(decisions: &[Decision], waiting: &[WaitingFacts]) -> Decided {
    let mut seen = vec![false; waiting.len()];
    let mut decided = Decided::default();
    for &decision in decisions {
        let (Decision::Admit(index) | Decision::Reject(index)) = decision;
        let (Some(seen), Some(facts)) = (seen.get_mut(index), waiting.get(index)) else {
            continue;
        };
        if *seen || (matches!(decision, Decision::Reject(_)) && facts.preempted) {
            continue;
        }
        *seen = true;
        match decision {
            Decision::Admit(_) => decided.admitted.push(index),
            Decision::Reject(_) => decided.rejected.push(index),
        }
    }
    decided.held = (0..waiting.len())
        .filter(|&index| seen.get(index) == Some(&false))
        .collect();
    decided
        .held
        .sort_by_key(|&index| waiting.get(index).map(|w| (w.arrival, w.sequence)));
    decided
}

/// Tokens drawn for each owner, see [`QueueLoad::recent`]. Owners whose share has shrunk to nothing are
/// forgotten, so there are never more than have drawn lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    owners: std::collections::BTreeMap<std::sync::Arc<str>, u64>,
    drawn: u64,
}

impl Recent {
    /// `owner` was given a token.
    pub fn count(&mut self, owner: &std::sync::Arc<str>) {
        match self.owners.get_mut(owner) {
            Some(tokens) => *tokens += 1,
            None => {
                self.owners.insert(owner.clone(), 1);
            }
        }
        self.drawn += 1;
        if self.drawn >= RECENT_TOKENS {
            self.drawn = 0;
            self.owners.retain(|_, tokens| {
                *tokens /= 2;
                *tokens > 0
            });
        }
    }

    pub fn all(&self) -> Vec<(std::sync::Arc<str>, u64)> {
        let owners = self.owners.iter();
        owners
            .map(|(owner, &tokens)| (owner.clone(), tokens))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Decision::{Admit, Reject};
    use super::*;

    fn waiting(arrivals: &[u64], preempted: bool) -> Vec<WaitingFacts> {
        let facts = |&arrival: &u64| WaitingFacts {
            request: RequestId(arrival),
            sequence: SequenceId(arrival),
            arrival,
            owner: Arc::from(""),
            priority: 0,
            tokens: 1,
            cached_tokens: 0,
            max_new_tokens: 1,
            choices: 1,
            preempted,
        };
        arrivals.iter().map(facts).collect()
    }

    #[test]
    fn a_faulty_policy_loses_nobody() {
        let three = waiting(&[5, 4, 7], false);
        let decided = sanitize(&[Admit(2), Admit(9), Reject(2), Admit(2)], &three);
        assert_eq!(decided.admitted, [2]);
        assert_eq!(decided.held, [1, 0]);
        assert!(decided.rejected.is_empty());
        let decided = sanitize(&[Reject(0), Admit(0), Admit(1)], &three);
        assert_eq!(
            (decided.admitted, decided.held, decided.rejected),
            (vec![1], vec![2], vec![0])
        );
    }

    #[test]
    fn who_has_been_reading_is_not_refused() {
        let decided = sanitize(&[Reject(0)], &waiting(&[1], true));
        assert_eq!((decided.held, decided.rejected), (vec![0], vec![]));
    }

    #[test]
    fn what_an_owner_was_given_fades() {
        let (mut recent, a, b) = (Recent::default(), Arc::from("a"), Arc::from("b"));
        recent.count(&b);
        for _ in 1..RECENT_TOKENS {
            recent.count(&a);
        }
        assert_eq!(recent.all(), [(a, (RECENT_TOKENS - 1) / 2)]);
    }
}
