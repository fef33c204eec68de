//! Forks, truncation, block copies, shared prefixes, histories, speculation.

use crate::Rig;
use crate::precision::decide_all;
use crate::support::{draw, greedy, open, open_with, results, row, run, step};
use atoll_engine::executor::{BlockCopy, BlockId, Executor, ExecutorError, SequenceId, TokenMask};
use atoll_engine::sampling::SamplingParams;
use std::sync::Arc;

const MODEL: &str = "llama-bf16-sharded";

fn prompt(len: usize) -> Vec<u32> {
    (0..len).map(|i| ((i * i * 13 + 5) % 259) as u32).collect()
}

/// The greedy answer of a fresh executor.
fn answer(rig: &impl Rig, prompt: &[u32], len: usize) -> Vec<u32> {
    let mut executor = rig.load(MODEL);
    let blocks: Vec<u32> = (0..16).collect();
    open(&mut executor, 1, prompt);
    let first = draw(&mut executor, row(1, 0, prompt, &blocks, 1));
    extend(&mut executor, 1, prompt.len(), first, &blocks, len)
}

/// Continues greedily from `first` at `position` until there are `len` tokens.
fn extend(
    executor: &mut impl Executor,
    sequence: u64,
    position: usize,
    first: u32,
    blocks: &[u32],
    len: usize,
) -> Vec<u32> {
    let mut tokens = vec![first];
    while tokens.len() < len {
        let at = position + tokens.len() - 1;
        let last = tokens[tokens.len() - 1];
        tokens.push(draw(executor, row(sequence, at, &[last], blocks, 1)));
    }
    tokens
}

/// A fork shares its parents blocks and goes its own way.
pub fn a_fork_shares_its_parents_blocks_and_goes_its_own_way(rig: &impl Rig) {
    let prompt = prompt(40);
    let expected = answer(rig, &prompt, 12);
    let mut executor = rig.load(MODEL);
    open(&mut executor, 1, &prompt);
    // Blocks of 16: two full ones are shared, the third is copied before the child writes to it.
    let parent = [10, 11, 12, 13, 14];
    let child = [10, 11, 20, 21, 22];
    let first = draw(&mut executor, row(1, 0, &prompt, &parent, 1));
    assert_eq!(first, expected[0]);
    executor
        .fork(SequenceId(1), SequenceId(2), greedy())
        .unwrap();
    let mut copying = step(vec![
        row(2, 40, &[7], &child, 1),
        row(1, 40, &[first], &parent, 1),
    ]);
    copying.block_copies = vec![BlockCopy {
        from: BlockId(12),
        to: BlockId(20),
    }];
    executor.submit(copying).unwrap();
    let output = executor.complete().unwrap();
    let tokens: Vec<u32> = output
        .rows
        .iter()
        .map(|row| row.result.as_ref().unwrap()[0].token)
        .collect();
    assert_eq!(tokens[1], expected[1]);
    let rest = extend(&mut executor, 1, 41, tokens[1], &parent, 11);
    assert_eq!(rest, expected[1..]);

    let mut other = prompt.clone();
    other.push(7);
    let rest = extend(&mut executor, 2, 41, tokens[0], &child, 8);
    assert_eq!(rest, answer(rig, &other, 8));
}

/// Truncation forgets a rejected continuation.
pub fn truncation_forgets_a_rejected_continuation(rig: &impl Rig) {
    let prompt = prompt(30);
    let expected = answer(rig, &prompt, 6);
    let mut executor = rig.load(MODEL);
    open(&mut executor, 1, &prompt);
    let blocks = [3, 4, 5, 6];
    draw(&mut executor, row(1, 0, &prompt, &blocks, 1));
    // A wrong guess of four tokens, then back.
    run(&mut executor, vec![row(1, 30, &[1, 2, 3, 4], &blocks, 4)]);
    executor.truncate(SequenceId(1), 30).unwrap();
    let beyond = results(&mut executor, vec![row(1, 31, &[1], &blocks, 1)]);
    assert!(beyond[0].is_err());
    let rest = extend(&mut executor, 1, 30, expected[0], &blocks, 6);
    assert_eq!(rest, expected);
}

/// A row of several positions verifies a speculation.
pub fn a_row_of_several_positions_verifies_a_speculation(rig: &impl Rig) {
    let prompt = prompt(20);
    let expected = answer(rig, &prompt, 5);
    let mut executor = rig.load(MODEL);
    open(&mut executor, 1, &prompt);
    let blocks = [3, 4, 5, 6];
    draw(&mut executor, row(1, 0, &prompt, &blocks, 1));
    let guess = &expected[..4];
    let results = results(&mut executor, vec![row(1, 20, guess, &blocks, 4)]);
    let tokens: Vec<u32> = results[0]
        .as_ref()
        .unwrap()
        .iter()
        .map(|t| t.token)
        .collect();
    assert_eq!(tokens, expected[1..]);
}

/// A cached prefix can be skipped.
pub fn a_cached_prefix_can_be_skipped(rig: &impl Rig) {
    let prompt = prompt(45);
    let expected = answer(rig, &prompt, 4);
    let mut executor = rig.load(MODEL);
    open(&mut executor, 1, &prompt);
    draw(&mut executor, row(1, 0, &prompt, &[1, 2, 3], 1));
    open(&mut executor, 2, &prompt);
    let blocks = [1, 2, 50, 51];
    let first = draw(&mut executor, row(2, 32, &prompt[32..], &blocks, 1));
    assert_eq!(extend(&mut executor, 2, 45, first, &blocks, 4), expected);
}

/// Penalties see the prompt even where rows skipped it.
pub fn penalties_see_the_prompt_even_where_rows_skipped_it(rig: &impl Rig) {
    // Everything but three tokens is forbidden; the prompt has one of them in the skipped part.
    let mut prompt = prompt(40);
    prompt[3] = 100;
    let allowed = [100, 101, 102];
    let forbid = |token: u32| (token, f32::NEG_INFINITY);
    let bias: Vec<(u32, f32)> = (0..259)
        .filter(|t| !allowed.contains(t))
        .map(forbid)
        .collect();
    let plain = SamplingParams {
        temperature: 0.0,
        logit_bias: bias,
        ..SamplingParams::default()
    };
    let mut executor = rig.load(MODEL);
    open_with(&mut executor, 1, &prompt, Arc::new(plain.clone()));
    let full = row(1, 0, &prompt, &[1, 2, 3], 1);
    let logits = rig.logits(&mut executor, &full).unwrap();
    // A penalty that makes token 100 the worst or the best, whatever its logit was.
    let (penalty, best) = if logits[100] > 0.0 {
        (100.0, false)
    } else {
        (0.001, true)
    };
    let penalised = SamplingParams {
        repetition_penalty: penalty,
        ..plain
    };
    let mut with_history = logits.clone();
    with_history[100] = if logits[100] > 0.0 {
        logits[100] / penalty
    } else {
        logits[100] * penalty
    };
    let expected = allowed
        .into_iter()
        .max_by(|&a, &b| with_history[a as usize].total_cmp(&with_history[b as usize]))
        .unwrap();
    open_with(&mut executor, 2, &prompt, Arc::new(penalised));
    let skipping = row(2, 32, &prompt[32..], &[1, 2, 9], 1);
    assert_eq!(
        draw(&mut executor, skipping),
        expected,
        "penalty {penalty}, best {best}"
    );
}

/// Feeding again after a preemption gives the same answer.
pub fn feeding_again_after_a_preemption_gives_the_same_answer(rig: &impl Rig) {
    let prompt = prompt(25);
    let expected = answer(rig, &prompt, 10);
    let mut executor = rig.load(MODEL);
    open(&mut executor, 1, &prompt);
    let blocks = [1, 2, 3];
    let first = draw(&mut executor, row(1, 0, &prompt, &blocks, 1));
    let head = extend(&mut executor, 1, 25, first, &blocks, 5);
    assert_eq!(head, expected[..5]);
    // The blocks are gone; all tokens so far go into others, in two chunks.
    let mut all = prompt.clone();
    all.extend(&head);
    let blocks = [40, 41, 42];
    run(&mut executor, vec![row(1, 0, &all[..17], &blocks, 0)]);
    let next = draw(&mut executor, row(1, 17, &all[17..], &blocks, 1));
    assert_eq!(
        extend(&mut executor, 1, 30, next, &blocks, 5),
        expected[5..]
    );
}

/// A mask decides and an empty one is the rows own error.
pub fn a_mask_decides_and_an_empty_one_is_the_rows_own_error(rig: &impl Rig) {
    let prompt = prompt(10);
    let mut executor = rig.load(MODEL);
    for sequence in [1, 2] {
        open(&mut executor, sequence, &prompt);
    }
    let mut words = vec![0; 9];
    words[200 / 32] = 1 << (200 % 32);
    let mut masked = row(1, 0, &prompt, &[1], 1);
    masked.sample.as_mut().unwrap().mask = Some(Arc::new(TokenMask::from_words(words)));
    let mut empty = row(2, 0, &prompt, &[2], 1);
    empty.sample.as_mut().unwrap().mask = Some(Arc::new(TokenMask::from_words(vec![0; 9])));
    let results = results(&mut executor, vec![masked, empty]);
    assert_eq!(results[0].as_ref().unwrap()[0].token, 200);
    assert_eq!(results[1], Err(atoll_engine::executor::RowError::EmptyMask));
}

/// Calls out of order are refused.
pub fn calls_out_of_order_are_refused(rig: &impl Rig) {
    let mut executor = rig.load(MODEL);
    open(&mut executor, 1, &[1]);
    let one = SequenceId(1);
    let nine = SequenceId(9);
    let refused = Err(ExecutorError::Sequence(nine));
    assert_eq!(executor.fork(nine, SequenceId(2), greedy()), refused);
    assert_eq!(executor.truncate(nine, 0), refused);
    assert_eq!(executor.close(nine), refused);
    assert_eq!(
        executor.fork(one, one, greedy()),
        Err(ExecutorError::Sequence(one))
    );
    assert_eq!(executor.complete(), Err(ExecutorError::Idle));
    let limit = executor.capabilities().max_steps_in_flight;
    for _ in 0..limit {
        executor.submit(step(vec![])).unwrap();
    }
    let again = executor.submit(step(vec![]));
    assert_eq!(again, Err(ExecutorError::TooManySteps { limit }));
    for _ in 0..limit {
        assert!(executor.complete().unwrap().rows.is_empty());
    }
    executor.close(one).unwrap();
    assert_eq!(executor.close(one), Err(ExecutorError::Sequence(one)));
}

/// Neighbours and chunks change no token.
pub fn neighbours_and_chunks_change_no_token<R: Rig>(rig: &R) {
    for model in ["llama-bf16-sharded", "mistral-f16-window", "qwen3-q4-g32"] {
        let prompts: Vec<Vec<u32>> = [50, 3, 33, 1].into_iter().map(prompt).collect();
        let blocks = |sequence: usize| -> Vec<u32> {
            (0..6).map(|block| (sequence * 6 + block) as u32).collect()
        };
        // Each alone, whole, then one by one.
        let alone: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| {
                let mut executor = rig.load(model);
                open(&mut executor, 1, prompt);
                let first = draw(&mut executor, row(1, 0, prompt, &blocks(3), 1));
                extend(&mut executor, 1, prompt.len(), first, &blocks(3), 6)
            })
            .collect();
        // All together, prompts in chunks of seven beside the others' single tokens.
        let mut executor = rig.load(model);
        for (sequence, prompt) in prompts.iter().enumerate() {
            open(&mut executor, sequence as u64, prompt);
        }
        let mut done = vec![0; prompts.len()];
        let mut drawn: Vec<Vec<u32>> = vec![Vec::new(); prompts.len()];
        while drawn.iter().any(|tokens| tokens.len() < 6) {
            let mut rows = Vec::new();
            let mut of = Vec::new();
            for (sequence, prompt) in prompts.iter().enumerate() {
                let (at, tokens) = (done[sequence], &drawn[sequence]);
                if tokens.len() == 6 {
                    continue;
                }
                let end = (at + 7).min(prompt.len());
                let (feed, sample) = match tokens.last() {
                    Some(&last) => (vec![last], 1),
                    None => (prompt[at..end].to_vec(), usize::from(end == prompt.len())),
                };
                done[sequence] += feed.len();
                rows.push(row(sequence as u64, at, &feed, &blocks(sequence), sample));
                of.push(sequence);
            }
            for (sequence, result) in of.into_iter().zip(results(&mut executor, rows)) {
                drawn[sequence].extend(result.unwrap().iter().map(|token| token.token));
            }
        }
        for ((prompt, drawn), alone) in prompts.iter().zip(&drawn).zip(&alone) {
            decide_all(rig, model, prompt, &greedy(), alone, drawn);
        }
    }
}
