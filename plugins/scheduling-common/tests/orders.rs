//! Each order is a permutation, does what it is for, and starves nobody whom it should not.

#![expect(clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use atoll_plugin_scheduling_common::{fair, fcfs, priority, shortest_first};
use atoll_sdk::scheduling::{Decision, Load, WaitingRequest};
use proptest::prelude::*;

fn request(id: u64, key: &str, waited_ms: u64) -> WaitingRequest {
    WaitingRequest {
        id,
        key_name: key.to_owned(),
        priority: 0,
        prompt_tokens: 100,
        cached_tokens: 0,
        max_output_tokens: 100,
        waited_ms,
        ext: None,
    }
}

fn load(recent: &[(&str, u64)]) -> Load {
    Load {
        running: 0,
        max_running: 4,
        free_blocks: 100,
        total_blocks: 100,
        recent: recent
            .iter()
            .map(|&(key, tokens)| (key.to_owned(), tokens))
            .collect(),
    }
}

fn ids(decisions: &[Decision]) -> Vec<u64> {
    let id = |decision: &Decision| match decision {
        Decision::Admit(id) => *id,
        Decision::Reject(id) => panic!("{id} was refused"),
    };
    decisions.iter().map(id).collect()
}

#[test]
fn each_order_does_what_it_is_for() {
    let mut waiting = vec![
        request(1, "a", 30),
        request(2, "a", 20),
        request(3, "b", 10),
    ];
    waiting[1].priority = 5;
    waiting[2].max_output_tokens = 10;
    let nobody = load(&[]);
    assert_eq!(ids(&fcfs(waiting.clone(), &nobody)), [1, 2, 3]);
    assert_eq!(ids(&priority(waiting.clone(), &nobody)), [2, 1, 3]);
    assert_eq!(ids(&shortest_first(waiting.clone(), &nobody)), [3, 1, 2]);
    assert_eq!(ids(&fair(waiting.clone(), &nobody)), [1, 3, 2]);
    // Who was given much waits.
    assert_eq!(ids(&fair(waiting, &load(&[("a", 5000)]))), [3, 1, 2]);
}

#[test]
fn what_is_cached_is_no_work() {
    let mut waiting = vec![request(1, "a", 0), request(2, "a", 0)];
    waiting[1].prompt_tokens = 5000;
    waiting[1].cached_tokens = 4990;
    assert_eq!(ids(&shortest_first(waiting, &load(&[]))), [2, 1]);
}

fn waiting() -> impl Strategy<Value = Vec<WaitingRequest>> {
    let one = (
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        any::<i32>(),
        any::<u64>(),
        "[a-d]{0,1}",
    );
    prop::collection::vec(one, 0..60).prop_map(|all| {
        let all = all.into_iter().enumerate();
        all.map(
            |(id, (prompt, cached, output, priority, waited, key))| WaitingRequest {
                id: id as u64,
                key_name: key,
                priority,
                prompt_tokens: prompt,
                cached_tokens: cached,
                max_output_tokens: output,
                waited_ms: waited,
                ext: None,
            },
        )
        .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_order_names_everybody_once(
        waiting in waiting(), recent in prop::collection::vec(("[a-d]", any::<u64>()), 0..8),
    ) {
        let load = Load { recent, ..load(&[]) };
        let everybody: BTreeSet<u64> = waiting.iter().map(|request| request.id).collect();
        for order in [fcfs, fair, priority, shortest_first] {
            let named = ids(&order(waiting.clone(), &load));
            prop_assert_eq!(named.len(), waiting.len());
            prop_assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), everybody.clone());
        }
    }

    /// One key sends without end. Whoever is served was given no more than anybody who waits, so what
    /// the others want is done after as many tokens as they want themselves.
    #[test]
    fn nobody_starves_under_fair(
        flood in prop::collection::vec((1_u32..400, 1_u32..400), 1..20),
        others in prop::collection::vec((0_usize..60, 0_u8..3, 1_u32..100), 1..12),
    ) {
        let wanted: usize = others.iter().map(|other| other.2 as usize).sum();
        let mut flood = flood.iter().cycle();
        let mut queue: Vec<WaitingRequest> = Vec::new();
        let mut given: BTreeMap<String, u64> = BTreeMap::new();
        let (mut next, mut left) = (0, others.len());
        let mut turn = 0;
        while left > 0 {
            prop_assert!(turn <= 60 + wanted + others.len(), "{left} still wait");
            let mut arrive = |queue: &mut Vec<WaitingRequest>, key: &str, prompt, output| {
                let mut new = request(next, key, 0);
                (new.prompt_tokens, new.max_output_tokens) = (prompt, output);
                queue.push(new);
                next += 1;
            };
            while queue.iter().filter(|request| request.key_name == "flood").count() < 20 {
                let &(prompt, output) = flood.next().unwrap();
                arrive(&mut queue, "flood", prompt, output);
            }
            for &(_, key, output) in others.iter().filter(|other| other.0 == turn) {
                arrive(&mut queue, &format!("other {key}"), 100, output);
            }
            for request in &mut queue {
                request.waited_ms += 10;
            }
            let recent = given.iter().map(|(key, &tokens)| (key.clone(), tokens)).collect();
            let first = ids(&fair(queue.clone(), &Load { recent, ..load(&[]) }))[0];
            let at = queue.iter().position(|request| request.id == first).unwrap();
            let served = queue.remove(at);
            let had = |key: &str| given.get(key).copied().unwrap_or(0);
            for request in &queue {
                prop_assert!(had(&served.key_name) <= had(&request.key_name));
                let same = request.key_name == served.key_name;
                prop_assert!(!same || request.id > served.id, "{} overtook", served.id);
            }
            left -= usize::from(served.key_name != "flood");
            *given.entry(served.key_name).or_default() += u64::from(served.max_output_tokens);
            turn += 1;
        }
    }
}
