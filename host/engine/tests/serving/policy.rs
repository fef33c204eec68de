//! Queue policies: what one is shown, what its decisions do, and that none can stop the scheduler.

use std::sync::{Arc, Mutex};

use atoll_engine::executor::Capabilities;
use atoll_engine::scheduler::{
    Decision, QueueLoad, QueuePolicy, Request, RequestId, SchedulerConfig, WaitingFacts,
};
use atoll_engine::testing::FakeFaults;
use proptest::prelude::*;

use crate::rig::{Rig, alone, capabilities, request};

/// Decides as a function says.
struct Says<F>(F);

impl<F> QueuePolicy for Says<F>
where
    F: FnMut(&[WaitingFacts], &QueueLoad<'_>) -> Vec<Decision> + Send,
{
    fn order(&mut self, waiting: &[WaitingFacts], load: &QueueLoad<'_>) -> Vec<Decision> {
        (self.0)(waiting, load)
    }

    fn wants_cache_hits(&self) -> bool {
        true
    }
}

fn rig(
    capabilities: Capabilities,
    policy: impl FnMut(&[WaitingFacts], &QueueLoad<'_>) -> Vec<Decision> + Send + 'static,
) -> Rig {
    let config = SchedulerConfig {
        max_waiting: 1000,
        ..SchedulerConfig::new(&capabilities)
    };
    Rig::with_policy(
        config,
        capabilities,
        FakeFaults::default(),
        Box::new(Says(policy)),
    )
}

fn one_at_a_time() -> Capabilities {
    Capabilities {
        max_rows: 1,
        ..capabilities()
    }
}

/// By index: refuse, admit, or say nothing.
fn decisions(waiting: usize, words: &[u8]) -> Vec<Decision> {
    let decision = |(at, word): (usize, &u8)| match word % 4 {
        // Some about entries that do not exist, some about the same entry again.
        0 => Some(Decision::Reject(at % (waiting + 1))),
        1 | 2 => Some(Decision::Admit((at * 7) % (waiting + 2))),
        _ => None,
    };
    words.iter().enumerate().filter_map(decision).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_a_policy_says_everybody_is_served_or_refused_once(
        prompts in prop::collection::vec((1_usize..12, 1_usize..8), 1..16),
        words in prop::collection::vec(any::<u8>(), 1..64),
        rows in 1_usize..5,
        blocks in 8_usize..24,
    ) {
        let capabilities = Capabilities { max_rows: rows, num_blocks: blocks, ..capabilities() };
        let mut call = 0;
        let mut rig = rig(capabilities, move |waiting, _| {
            call += 1;
            let turn: Vec<u8> = words.iter().map(|word| word.wrapping_mul(call)).collect();
            decisions(waiting.len(), &turn)
        });
        let mut taken = Vec::new();
        for (id, &(prompt, max)) in prompts.iter().enumerate() {
            let tokens: Vec<u32> = (0..prompt as u32).map(|token| (token * 5 + id as u32) % 24).collect();
            if rig.scheduler.add(request(id as u64, &tokens, &[id as u64], max)).is_ok() {
                taken.push((id as u64, tokens, max));
            }
        }
        rig.run();
        for (id, tokens, max) in taken {
            if rig.rejected.contains(&RequestId(id)) {
                prop_assert!(rig.output(id, 0).is_empty());
            } else {
                prop_assert_eq!(rig.output(id, 0), alone(&tokens, id, max, &[]));
            }
        }
    }
}

#[test]
fn requests_start_in_the_order_that_the_policy_gives() {
    let mut rig = rig(one_at_a_time(), |waiting, _| {
        let mut order: Vec<usize> = (0..waiting.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(waiting[at].priority));
        order.into_iter().map(Decision::Admit).collect()
    });
    for (id, priority) in [(0, 1), (1, 9), (2, 5)] {
        let request = Request {
            priority,
            ..request(id, &[1, 2], &[id], 3)
        };
        rig.scheduler.add(request).unwrap();
    }
    rig.run();
    assert_eq!(rig.started, [RequestId(1), RequestId(2), RequestId(0)]);
}

#[test]
fn who_is_held_back_waits_for_room_and_is_asked_about_again() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let mut rig = rig(capabilities(), move |waiting, load| {
        seen.lock().unwrap().push((waiting.len(), load.running));
        // One at a time, whatever the executor could take.
        (0..waiting.len())
            .take(1 - load.running.min(1))
            .map(Decision::Admit)
            .collect()
    });
    for id in 0..3 {
        rig.scheduler
            .add(request(id, &[1, 2, 3], &[id], 2))
            .unwrap();
    }
    rig.run();
    assert_eq!(rig.started.len(), 3);
    // When it was asked, who waited and ran: three times with room; never per token.
    let calls = calls.lock().unwrap();
    assert!(
        calls.iter().filter(|call| call.1 == 0).count() == 3,
        "{calls:?}"
    );
    assert!(calls.len() <= 6, "{calls:?}");
}

#[test]
fn a_policy_sees_owners_what_they_were_given_and_what_is_cached() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let mut rig = rig(one_at_a_time(), move |waiting, load| {
        let recent: Vec<(String, u64)> = load
            .recent
            .iter()
            .map(|(owner, tokens)| (owner.to_string(), *tokens))
            .collect();
        let waiting: Vec<_> = waiting
            .iter()
            .map(|entry| (entry.owner.to_string(), entry.cached_tokens))
            .collect();
        seen.lock().unwrap().push((waiting.clone(), recent));
        (0..waiting.len()).map(Decision::Admit).collect()
    });
    let prompt: Vec<u32> = (0..9).collect();
    for (id, owner) in [(0, "ann"), (1, "ben")] {
        let request = Request {
            owner: owner.into(),
            ..request(id, &prompt, &[id], 4)
        };
        rig.scheduler.add(request).unwrap();
    }
    rig.run();
    let shown = shown.lock().unwrap();
    let (waiting, recent) = shown.last().unwrap();
    let block = capabilities().block_size;
    assert_eq!(*waiting, [("ben".to_owned(), 8 / block * block)]);
    assert_eq!(*recent, [("ann".to_owned(), 4)]);
}
