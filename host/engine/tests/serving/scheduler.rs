//! The scheduler driven by random request mixes against each sequence run alone.

use std::collections::HashSet;
use std::sync::Arc;

use atoll_engine::executor::{Capabilities, Executor, RowError, SequenceId, TokenId};
use atoll_engine::scheduler::{AddError, Finish, Request, RequestId, SchedulerConfig};
use atoll_engine::testing::FakeFaults;
use proptest::prelude::*;

use crate::rig::{Rig, alone, capabilities, request, sampling};

#[derive(Debug, Clone)]
struct Arrival {
    at: usize,
    /// Which shared beginnings, then own tokens.
    shared: Vec<usize>,
    own: Vec<TokenId>,
    seeds: Vec<u64>,
    max_tokens: Option<usize>,
    stop: bool,
    salt: Option<bool>,
    cancel: Option<usize>,
    cut: Option<(u32, usize)>,
    /// Asks what the request before it asked, so that the two write the same blocks.
    twin: bool,
}

impl Arrival {
    fn prompt(&self) -> Vec<TokenId> {
        let pieces: [&[TokenId]; 3] = [&[1, 2, 3, 4, 5, 6, 7, 8], &[9, 9, 9], &[4, 3, 2, 1]];
        let mut prompt: Vec<TokenId> = self
            .shared
            .iter()
            .flat_map(|&piece| pieces[piece].iter().copied())
            .collect();
        prompt.extend(&self.own);
        prompt
    }
}

fn arrival() -> impl Strategy<Value = Arrival> {
    (
        (
            0usize..40,
            prop::collection::vec(0usize..3, 0..4),
            prop::collection::vec(0u32..3, 0..6),
            prop::collection::vec(0u64..4, 1..4),
        ),
        (
            prop_oneof![8 => (1usize..20).prop_map(Some), 1 => Just(None)],
            any::<bool>(),
            prop::option::weighted(0.3, any::<bool>()),
            prop::option::weighted(0.25, 0usize..60),
            prop::option::weighted(0.2, (0u32..3, 1usize..6)),
            prop::bool::weighted(0.3),
        ),
    )
        .prop_map(
            |((at, shared, own, seeds), (max_tokens, stop, salt, cancel, cut, twin))| Arrival {
                at,
                shared,
                own,
                seeds,
                max_tokens,
                stop,
                salt,
                cancel,
                cut,
                twin,
            },
        )
}

fn machine() -> impl Strategy<Value = (Capabilities, SchedulerConfig)> {
    (
        1usize..6,
        prop_oneof![3usize..12, 8usize..48],
        1usize..5,
        prop_oneof![Just(1), 1usize..5],
        1usize..8,
        1usize..24,
        prop_oneof![4usize..32, 32usize..96],
        1usize..12,
        any::<bool>(),
    )
        .prop_map(
            |(
                block_size,
                num_blocks,
                depth,
                stages,
                rows,
                tokens,
                positions,
                chunk,
                prefix_cache,
            )| {
                let capabilities = Capabilities {
                    block_size,
                    num_blocks,
                    max_steps_in_flight: depth,
                    stages,
                    max_rows: rows,
                    max_tokens: tokens,
                    max_positions: positions,
                    ..capabilities()
                };
                let config = SchedulerConfig {
                    prefill_chunk: chunk,
                    max_waiting: 1000,
                    prefix_cache,
                    ..SchedulerConfig::new(&capabilities)
                };
                (capabilities, config)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_mix_equals_each_alone(
        (capabilities, config) in machine(),
        mut arrivals in prop::collection::vec(arrival(), 1..24),
        greedy in any::<bool>(),
    ) {
        arrivals.sort_by_key(|arrival| arrival.at);
        for index in 1..arrivals.len() {
            if arrivals[index].twin {
                let Arrival { shared, own, seeds, salt, .. } = arrivals[index - 1].clone();
                arrivals[index] = Arrival { shared, own, seeds, salt, ..arrivals[index].clone() };
            }
        }
        let depth = config.max_steps_in_flight;
        let mut rig = Rig::new(config, capabilities, FakeFaults::default());
        let mut taken: Vec<(u64, Arrival)> = Vec::new();
        let mut cancelled: HashSet<u64> = HashSet::new();
        let mut work = 0;
        let mut next = 0;
        let mut unserved = ((0, 0), 0);
        let mut tick = 0;
        while next < arrivals.len() || !rig.scheduler.is_idle() {
            while let Some(arrival) = arrivals.get(next).filter(|a| a.at <= tick) {
                let id = next as u64;
                next += 1;
                let prompt = arrival.prompt();
                let result = rig.scheduler.add(Request {
                    id: RequestId(id),
                    prompt: prompt.clone().into(),
                    choices: arrival.seeds.iter().map(|&s| sampling(s)).collect(),
                    max_tokens: arrival.max_tokens,
                    stop_tokens: if arrival.stop { Arc::new([0]) } else { Arc::new([]) },
                    cache_salt: arrival.salt.map(|salt| format!("tenant {salt}")),
                    priority: 0,
                    owner: "".into(),
                });
                match result {
                    Ok(()) => {
                        if let Some((choice, len)) = arrival.cut {
                            rig.cut.insert((RequestId(id), choice), len);
                        }
                        work += (prompt.len() + 96) * arrival.seeds.len();
                        taken.push((id, arrival.clone()));
                    }
                    Err(AddError::EmptyPrompt) => prop_assert!(prompt.is_empty()),
                    Err(
                        AddError::TooManyChoices { .. }
                        | AddError::ContextOverflow { .. }
                        | AddError::NeverFits { .. },
                    ) => {}
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
            for (id, arrival) in &taken {
                if arrival.cancel.is_some_and(|at| at <= tick) && cancelled.insert(*id) {
                    rig.scheduler.cancel(RequestId(*id));
                }
            }
            if greedy {
                while rig.schedule() {}
            } else {
                rig.schedule();
            }
            if rig.scheduler.steps_in_flight() > 0 && (greedy || tick % 2 == 0 || !rig.scheduler.has_room_in_flight()) {
                rig.complete();
            }
            // The oldest unfinished request is served again and again.
            let oldest = taken.iter().find(|(id, arrival)| {
                !cancelled.contains(id)
                    && (0..arrival.seeds.len() as u32)
                        .any(|choice| !rig.finished.contains_key(&(RequestId(*id), choice)))
            });
            if let Some((id, arrival)) = oldest {
                let drawn: usize = (0..arrival.seeds.len() as u32)
                    .map(|choice| rig.output(*id, choice).len())
                    .sum();
                if unserved.0 == (*id, drawn) {
                    unserved.1 += 1;
                } else {
                    unserved = ((*id, drawn), 0);
                }
                // A token at the latest after the whole prompt, one token a step, twice over,
                // in a pipeline of that depth.
                prop_assert!(unserved.1 <= 4 * (96 + depth) * (depth + 1), "request {id} starves");
            }
            tick += 1;
            prop_assert!(tick < 1000 + 40 * work, "no end in sight");
        }
        while rig.schedule() {}
        rig.settle();

        for (id, arrival) in &taken {
            let prompt = arrival.prompt();
            if let Some(&cached) = rig.cached.get(&RequestId(*id)) {
                prop_assert!(cached < prompt.len());
            }
            for (choice, &seed) in (0u32..).zip(&arrival.seeds) {
                let output = rig.output(*id, choice);
                let stop: &[TokenId] = if arrival.stop { &[0] } else { &[] };
                let expected = alone(&prompt, seed, output.len(), stop);
                prop_assert_eq!(output, &expected, "request {} choice {}", id, choice);
                let finish = rig.finished.get(&(RequestId(*id), choice));
                match finish {
                    None => prop_assert!(cancelled.contains(id), "request {} choice {} never ended", id, choice),
                    Some(None) => prop_assert_eq!(arrival.cut, Some((choice, output.len()))),
                    Some(Some(Finish::Length)) => prop_assert_eq!(Some(output.len()), arrival.max_tokens),
                    Some(Some(Finish::StopToken(token))) => {
                        prop_assert!(arrival.stop);
                        prop_assert_eq!(*token, 0);
                        prop_assert_eq!(output.last(), Some(&0));
                    }
                    Some(Some(Finish::ContextWindow)) => {
                        prop_assert!(arrival.max_tokens.is_none_or(|max| output.len() < max));
                    }
                }
            }
        }
    }
}

#[test]
fn a_prompt_does_not_stall_running_streams() {
    let mut rig = Rig::of(Capabilities {
        max_tokens: 16,
        ..capabilities()
    });
    rig.scheduler.add(request(0, &[1, 2, 3], &[7], 30)).unwrap();
    rig.schedule();
    rig.complete();
    let long: Vec<TokenId> = (0..100).map(|i| i % 20).collect();
    rig.scheduler.add(request(1, &long, &[8], 4)).unwrap();
    rig.run();
    let mixed = rig
        .steps
        .iter()
        .filter(|step| step.rows.len() == 2 && step.rows[0].tokens.len() == 1)
        .filter(|step| step.rows[1].tokens.len() > 1)
        .count();
    assert!(mixed >= 6, "the prompt was not mixed into decode steps");
    // From the first draw on, every step carries the stream's row until it ends.
    assert!(
        rig.steps[1..30]
            .iter()
            .all(|s| s.rows[0].sequence == SequenceId(0))
    );
    assert_eq!(rig.output(0, 0), alone(&[1, 2, 3], 7, 30, &[]));
    assert_eq!(rig.output(1, 0), alone(&long, 8, 4, &[]));
}

#[test]
fn chunks_of_one_prompt_follow_each_other_without_waiting() {
    let mut rig = Rig::of(Capabilities {
        max_tokens: 8,
        max_steps_in_flight: 4,
        ..capabilities()
    });
    let long: Vec<TokenId> = (0..40).map(|i| i % 20).collect();
    rig.scheduler.add(request(0, &long, &[1], 1)).unwrap();
    let mut submitted = 0;
    while rig.schedule() {
        submitted += 1;
    }
    assert_eq!(submitted, 4);
    assert_eq!(rig.steps[3].rows[0].start, 24);
    rig.run();
    assert_eq!(rig.output(0, 0), alone(&long, 1, 1, &[]));
}

#[test]
fn a_pipeline_gets_a_step_for_each_stage() {
    let mut rig = Rig::of(Capabilities {
        max_rows: 16,
        max_steps_in_flight: 4,
        stages: 4,
        ..capabilities()
    });
    let prompts: Vec<Vec<TokenId>> = (0..10).map(|i| vec![i, 2, 3]).collect();
    for (id, prompt) in (0..).zip(&prompts) {
        rig.scheduler.add(request(id, prompt, &[id], 12)).unwrap();
    }
    rig.run();
    for (id, prompt) in (0..).zip(&prompts) {
        assert_eq!(rig.output(id, 0), alone(prompt, id, 12, &[]));
    }
    // Ten sequences over four stages: three rows at most, prompts no more than tokens, and at most the
    // prompts' steps have fewer than the last group's one.
    let all: Vec<usize> = rig.steps.iter().map(|step| step.rows.len()).collect();
    assert!(all.iter().all(|&rows| rows <= 3), "{all:?}");
    let decodes = rig.steps.iter().filter(|s| s.rows[0].tokens.len() == 1);
    let sizes: Vec<usize> = decodes.map(|step| step.rows.len()).collect();
    assert!(sizes.iter().all(|&rows| rows <= 3), "{sizes:?}");
    let rounds = sizes.len().div_ceil(4);
    assert!(
        rounds <= 13,
        "rows wait for steps they are not in: {sizes:?}"
    );
}

#[test]
fn choices_prefill_once_and_copy_the_shared_block() {
    let mut rig = Rig::of(capabilities());
    let prompt = [5, 6, 7, 8, 9, 10];
    rig.scheduler
        .add(request(0, &prompt, &[1, 2, 3], 9))
        .unwrap();
    rig.run();
    for (choice, seed) in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(rig.output(0, choice), alone(&prompt, seed, 9, &[]));
    }
    let prompt_rows: Vec<_> = rig.steps[..2]
        .iter()
        .flat_map(|step| &step.rows)
        .map(|row| (row.start, row.tokens.len()))
        .collect();
    assert_eq!(prompt_rows, [(0, 5), (5, 1), (5, 1), (5, 1)]);
    assert_eq!(rig.steps[1].block_copies.len(), 2);
}

#[test]
fn a_repeated_prompt_is_not_computed_again_and_answers_the_same() {
    let mut rig = Rig::of(capabilities());
    let prompt: Vec<TokenId> = (0..17).collect();
    rig.scheduler.add(request(0, &prompt, &[3], 10)).unwrap();
    rig.run();
    rig.scheduler.add(request(1, &prompt, &[3], 10)).unwrap();
    rig.run();
    assert_eq!(rig.cached[&RequestId(0)], 0);
    assert_eq!(rig.cached[&RequestId(1)], 16);
    assert_eq!(rig.output(0, 0), rig.output(1, 0));
    // The next turn of the conversation finds the generated tokens' blocks too: 17 + 10 tokens,
    // the last of which was never fed.
    let mut turn = prompt.clone();
    turn.extend(rig.output(1, 0).to_vec());
    turn.extend([1, 2, 3]);
    rig.scheduler.add(request(2, &turn, &[3], 2)).unwrap();
    rig.run();
    assert_eq!(rig.cached[&RequestId(2)], 24);
    assert_eq!(rig.output(2, 0), alone(&turn, 3, 2, &[]));
}

#[test]
fn salts_keep_tenants_apart() {
    let mut rig = Rig::of(capabilities());
    let prompt: Vec<TokenId> = (0..17).collect();
    for (id, salt) in [(0, Some("a")), (1, Some("b")), (2, None), (3, Some("a"))] {
        let mut request = request(id, &prompt, &[3], 2);
        request.cache_salt = salt.map(str::to_owned);
        rig.scheduler.add(request).unwrap();
        rig.run();
    }
    let cached: Vec<usize> = (0..4).map(|id| rig.cached[&RequestId(id)]).collect();
    assert_eq!(cached, [0, 0, 0, 16]);
}

#[test]
fn the_youngest_gives_way_and_comes_back_cheaply() {
    let mut rig = Rig::of(Capabilities {
        num_blocks: 10,
        ..capabilities()
    });
    for id in 0..3 {
        let prompt = [id as TokenId; 4];
        rig.scheduler.add(request(id, &prompt, &[id], 24)).unwrap();
    }
    rig.run();
    assert!(rig.preempted > 0);
    assert_eq!(rig.scheduler.load().preemptions, rig.preempted as u64);
    for id in 0..3 {
        assert_eq!(rig.output(id, 0), alone(&[id as TokenId; 4], id, 24, &[]));
    }
    assert!(
        rig.steps.iter().all(|step| {
            step.rows
                .iter()
                .all(|row| row.sequence != SequenceId(0) || row.start == 0 || row.tokens.len() == 1)
        }),
        "the oldest was preempted"
    );
}

#[test]
fn what_can_never_fit_is_refused_at_once() {
    let mut rig = Rig::of(Capabilities {
        num_blocks: 4,
        ..capabilities()
    });
    let prompt: Vec<TokenId> = (0..10).collect();
    let add = |rig: &mut Rig, seeds: &[u64], max: usize| {
        let id = rig.scheduler.load().prompt_tokens + seeds.len() as u64 * 100 + max as u64;
        rig.scheduler.add(request(id, &prompt, seeds, max))
    };
    // 16 positions: 10 of the prompt and 7 tokens, the last of which is not stored.
    assert_eq!(
        add(&mut rig, &[1], 8),
        Err(AddError::NeverFits {
            needed: 5,
            total: 4
        })
    );
    assert_eq!(add(&mut rig, &[1], 7), Ok(()));
    assert_eq!(
        add(&mut rig, &[1, 2], 7),
        Err(AddError::NeverFits {
            needed: 6,
            total: 4
        })
    );
    assert_eq!(add(&mut rig, &[1, 2], 3), Ok(()));
    assert_eq!(add(&mut rig, &[1], 0), Err(AddError::NothingAsked));
    assert_eq!(add(&mut rig, &[], 1), Err(AddError::NothingAsked));
    assert_eq!(
        add(&mut rig, &[0; 9], 1),
        Err(AddError::TooManyChoices { choices: 9, max: 8 })
    );
    let long: Vec<TokenId> = vec![1; 256];
    assert_eq!(
        rig.scheduler.add(request(9999, &long, &[1], 1)),
        Err(AddError::ContextOverflow {
            tokens: 256,
            max: 255
        })
    );
    assert_eq!(
        rig.scheduler.add(request(9998, &[], &[1], 1)),
        Err(AddError::EmptyPrompt)
    );
    rig.run();
}

#[test]
fn the_queue_is_bounded() {
    let capabilities = Capabilities {
        max_rows: 2,
        ..capabilities()
    };
    let config = SchedulerConfig {
        max_waiting: 3,
        ..SchedulerConfig::new(&capabilities)
    };
    let mut rig = Rig::new(config, capabilities, FakeFaults::default());
    let results: Vec<_> = (0..7)
        .map(|id| rig.scheduler.add(request(id, &[1, 2], &[id], 3)))
        .collect();
    assert!(results[..5].iter().all(Result::is_ok));
    assert_eq!(results[5], Err(AddError::QueueFull { waiting: 5 }));
    rig.run();
    assert!(rig.scheduler.add(request(7, &[1, 2], &[7], 3)).is_ok());
    rig.run();
}

#[test]
fn a_failed_row_ends_its_choice_alone() {
    let capabilities = capabilities();
    let config = SchedulerConfig::new(&capabilities);
    let faults = FakeFaults {
        poison: Some(23),
        ..FakeFaults::default()
    };
    let mut rig = Rig::new(config, capabilities, faults);
    rig.scheduler.add(request(0, &[1, 2, 3], &[1], 2)).unwrap();
    rig.scheduler
        .add(request(1, &[1, 23, 3], &[1, 2], 5))
        .unwrap();
    rig.scheduler.add(request(2, &[4, 5, 6], &[2], 2)).unwrap();
    rig.run();
    assert_eq!(rig.failed.len(), 2);
    assert_eq!(rig.failed[&(RequestId(1), 1)], RowError::NotFinite);
    assert_eq!(rig.output(0, 0), alone(&[1, 2, 3], 1, 2, &[]));
    assert_eq!(rig.output(2, 0), alone(&[4, 5, 6], 2, 2, &[]));
}

#[test]
fn an_answer_to_another_step_is_a_protocol_error() {
    let mut rig = Rig::of(capabilities());
    rig.scheduler.add(request(0, &[1, 2, 3], &[1], 2)).unwrap();
    rig.schedule();
    let mut output = rig.executor.complete().unwrap();
    output.rows.clear();
    assert!(rig.scheduler.complete(output.clone()).is_err());
    assert!(rig.scheduler.complete(output).is_err());
}

#[test]
fn a_prompt_preempted_while_its_step_is_planned_gets_no_row() {
    // Both are admitted at once; the first forks, and the fork's copy of the prompt's block can
    // only come from the second, whose prefill was about to be planned. Found by the property test.
    let capabilities = Capabilities {
        block_size: 1,
        num_blocks: 7,
        max_rows: 4,
        max_tokens: 4,
        max_positions: 7,
        ..capabilities()
    };
    let config = SchedulerConfig {
        prefix_cache: false,
        ..SchedulerConfig::new(&capabilities)
    };
    let mut rig = Rig::new(config, capabilities, FakeFaults::default());
    rig.scheduler.add(request(0, &[0], &[0, 1], 3)).unwrap();
    let long = [9, 9, 9, 0, 0, 0];
    rig.scheduler.add(request(1, &long, &[0], 1)).unwrap();
    rig.run();
    assert!(rig.preempted > 0);
    assert_eq!(rig.output(0, 1), alone(&[0], 1, 3, &[]));
    assert_eq!(rig.output(1, 0), alone(&long, 0, 1, &[]));
}
