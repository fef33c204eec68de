//! The order of the waiting queue: the seam a scheduling plugin fills.

use std::cmp::Reverse;

use super::RequestId;

/// What a policy may know about one waiting entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingFacts {
    /// Which request.
    pub request: RequestId,
    /// Counts up with each request added.
    pub arrival: u64,
    /// As the request said.
    pub priority: i32,
    /// Tokens known so far: the prompt, and after a preemption what was drawn.
    pub tokens: usize,
    /// Most tokens it may still draw, per choice.
    pub max_new_tokens: usize,
    /// Sequences it becomes.
    pub choices: usize,
    /// Whether it ran before and gave its blocks up. Its client has been reading already.
    pub preempted: bool,
}

/// Decides who is admitted next. Called when the waiting queue has changed and room may exist,
/// never per token.
pub trait QueuePolicy: Send {
    /// Indices into `waiting`, first to admit first. Indices out of range or repeated are
    /// ignored; entries not named follow in arrival order, so that a faulty policy can delay a
    /// request but not lose it.
    fn order(&mut self, waiting: &[WaitingFacts]) -> Vec<usize>;
}

/// In order of arrival.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstComeFirstServed;

impl QueuePolicy for FirstComeFirstServed {
    fn order(&mut self, waiting: &[WaitingFacts]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..waiting.len()).collect();
        order.sort_by_key(|&index| waiting.get(index).map(|w| w.arrival));
        order
    }
}

/// Higher priority first, then in order of arrival. Starves low priorities while high ones keep
/// coming, which is what it is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct PriorityOrder;

impl QueuePolicy for PriorityOrder {
    fn order(&mut self, waiting: &[WaitingFacts]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..waiting.len()).collect();
        order.sort_by_key(|&index| waiting.get(index).map(|w| (Reverse(w.priority), w.arrival)));
        order
    }
}

/// Makes a permutation of `0..len` of whatever a policy returned.
pub(super) fn sanitize(order: Vec<usize>, arrivals: &[u64]) -> Vec<usize> {
    let mut seen = vec![false; arrivals.len()];
    let mut result = Vec::with_capacity(arrivals.len());
    for index in order {
        if let Some(seen) = seen.get_mut(index)
            && !std::mem::replace(seen, true)
        {
            result.push(index);
        }
    }
    let mut rest: Vec<(u64, usize)> = arrivals
        .iter()
        .enumerate()
        .filter(|(index, _)| seen.get(*index) == Some(&false))
        .map(|(index, &arrival)| (arrival, index))
        .collect();
    rest.sort_unstable();
    result.extend(rest.into_iter().map(|(_, index)| index));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_policy_loses_nobody() {
        assert_eq!(sanitize(vec![2, 9, 2], &[5, 4, 7]), vec![2, 1, 0]);
        assert_eq!(sanitize(vec![], &[3, 1, 2]), vec![1, 2, 0]);
        assert_eq!(sanitize(vec![1, 0], &[1, 2]), vec![1, 0]);
    }
}
