//! The orders of the scheduling strategies that ship, as pure functions of the contract's types.
//!
//! Each names every waiting request once, as one to admit: the host lets them in from the front while
//! there is room, and asks again when something changes.
//!
//! | | goes first | can it starve? |
//! |---|---|---|
//! | [`fcfs`] | who came first | no |
//! | [`fair`] | whose key was given least lately | no |
//! | [`priority`] | who has the larger priority | low priorities, while high ones keep coming |
//! | [`shortest_first`] | who asks least | no: waiting counts |

use std::cmp::Reverse;
use std::collections::BTreeMap;

use atoll_sdk::scheduling::{Decision, Load, WaitingRequest};

/// Tokens by which a request counts as shorter for each second it has waited, in [`shortest_first`]:
/// one that asks for 3,000 tokens more than others overtakes newcomers after a minute.
pub const PATIENCE: i64 = 50;

/// Who came first.
fn arrival(request: &WaitingRequest) -> (Reverse<u64>, u64) {
    (Reverse(request.waited_ms), request.id)
}

/// Tokens that must be computed and drawn for a request.
fn work(request: &WaitingRequest) -> u64 {
    let computed = request.prompt_tokens.saturating_sub(request.cached_tokens);
    u64::from(computed) + u64::from(request.max_output_tokens)
}

fn admitted(order: Vec<WaitingRequest>) -> Vec<Decision> {
    let ids = order.into_iter().map(|request| request.id);
    ids.map(Decision::Admit).collect()
}

/// In order of arrival.
#[must_use]
pub fn fcfs(mut waiting: Vec<WaitingRequest>, _load: &Load) -> Vec<Decision> {
    waiting.sort_by_key(arrival);
    admitted(waiting)
}

/// Larger priorities first, in order of arrival where they are equal.
#[must_use]
pub fn priority(mut waiting: Vec<WaitingRequest>, _load: &Load) -> Vec<Decision> {
    waiting.sort_by_key(|request| (Reverse(request.priority), arrival(request)));
    admitted(waiting)
}

/// The least work first, less what waiting has earned ([`PATIENCE`]).
#[must_use]
pub fn shortest_first(mut waiting: Vec<WaitingRequest>, _load: &Load) -> Vec<Decision> {
    let length = |request: &WaitingRequest| {
        let work = i64::try_from(work(request)).unwrap_or(i64::MAX);
        let waited = i64::try_from(request.waited_ms).unwrap_or(i64::MAX);
        work.saturating_sub(waited.saturating_mul(PATIENCE) / 1000)
    };
    waiting.sort_by_key(|request| (length(request), arrival(request)));
    admitted(waiting)
}

/// Turns between keys: the oldest request of the key that was given least lately, where what is
/// admitted here counts as given. A key with many requests waits for itself, not others for it.
///
/// Nobody starves: a key that waits is given nothing, while the count of every key that is served
/// grows, and what was given long ago fades.
#[must_use]
pub fn fair(mut waiting: Vec<WaitingRequest>, load: &Load) -> Vec<Decision> {
    waiting.sort_by_key(|request| Reverse(arrival(request)));
    // By key, the oldest last, so that it can be popped.
    let mut queues: BTreeMap<String, Vec<WaitingRequest>> = BTreeMap::new();
    for request in waiting {
        let queue = queues.entry(request.key_name.clone()).or_default();
        queue.push(request);
    }
    let mut given: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, tokens) in &load.recent {
        let sum = given.entry(key).or_default();
        *sum = sum.saturating_add(*tokens);
    }
    let mut turns: Vec<(u64, Vec<WaitingRequest>)> = queues
        .into_iter()
        .map(|(key, queue)| (given.get(key.as_str()).copied().unwrap_or(0), queue))
        .collect();
    let mut decisions = Vec::new();
    loop {
        let next = turns
            .iter_mut()
            .filter_map(|turn| {
                let oldest = arrival(turn.1.last()?);
                Some(((turn.0, oldest), turn))
            })
            .min_by_key(|(standing, _)| *standing);
        let Some((_, turn)) = next else {
            return decisions;
        };
        if let Some(request) = turn.1.pop() {
            turn.0 = turn.0.saturating_add(work(&request).max(1));
            decisions.push(Decision::Admit(request.id));
        }
    }
}
