//! Pooled hidden states against what can be computed without pooling: the head's logits, which are
//! themselves compared with another implementation, and the last state of every prefix.

use atoll_engine::executor::{Executor, Pooling, SequenceId};

use crate::Rig;
use crate::support::{bits, folder, open, opened, relative_error, row};

/// Without a pattern.
pub const PROMPT: [u32; 23] = [
    5, 9, 1, 44, 60, 2, 7, 7, 31, 12, 3, 50, 8, 21, 33, 4, 10, 11, 19, 40, 6, 14, 2,
];

/// Pools a prompt fed in rows of these lengths.
pub fn pooled(
    executor: &mut impl Executor,
    id: u64,
    prompt: &[u32],
    cuts: &[usize],
    how: Pooling,
) -> Vec<f32> {
    open(executor, id, prompt);
    let mut sums = vec![Vec::new()];
    let mut done = 0;
    for &cut in cuts {
        let row = row(id, done, &prompt[done..done + cut], &[3, 9], 0);
        let results = executor.pool(&[row], how, &mut sums).unwrap();
        assert_eq!(results, [Ok(())]);
        done += cut;
    }
    assert_eq!(done, prompt.len());
    executor.close(SequenceId(id)).unwrap();
    sums.remove(0)
}

fn same(rig: &impl Rig, model: &str, a: &[f32], b: &[f32]) {
    if rig.exact() {
        assert_eq!(bits(a), bits(b), "{model}");
    } else {
        let error = relative_error(a, b);
        assert!(error <= rig.tolerance(model), "{model}: {error}");
    }
}

/// The last state times the head is the logits.
pub fn the_last_state_times_the_head_is_the_logits(rig: &impl Rig) {
    let (spec, checkpoint) = opened("llama-f32-tied");
    let bytes = std::fs::read(folder("llama-f32-tied").join("model.safetensors")).unwrap();
    let head = checkpoint.get("model.embed_tokens.weight").unwrap();
    let (vocab, hidden) = (spec.vocab_size, spec.hidden_size);
    let head: Vec<f32> = bytes[head.offset as usize..][..head.len as usize]
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let mut executor = rig.load("llama-f32-tied");
    let state = pooled(&mut executor, 1, &PROMPT, &[PROMPT.len()], Pooling::Last);
    assert_eq!(state.len(), hidden);
    let product: Vec<f32> = (0..vocab)
        .map(|token| {
            let weights = &head[token * hidden..(token + 1) * hidden];
            weights.iter().zip(&state).map(|(w, x)| w * x).sum()
        })
        .collect();
    open(&mut executor, 2, &PROMPT);
    let logits = rig
        .logits(&mut executor, &row(2, 0, &PROMPT, &[3, 9], 1))
        .unwrap();
    let error = relative_error(&product, &logits);
    assert!(error < 1e-5, "{error}");
}

/// The sum is that of every prefixs last state however it is cut.
pub fn the_sum_is_that_of_every_prefixs_last_state_however_it_is_cut(rig: &impl Rig) {
    for model in ["llama-f32-tied", "qwen3-q4-g32"] {
        let mut executor = rig.load(model);
        let mut expected: Vec<f32> = Vec::new();
        for len in 1..=PROMPT.len() {
            let prefix = &PROMPT[..len];
            let last = pooled(&mut executor, len as u64, prefix, &[len], Pooling::Last);
            if expected.is_empty() {
                expected = last;
            } else {
                expected
                    .iter_mut()
                    .zip(&last)
                    .for_each(|(sum, h)| *sum += h);
            }
        }
        for (id, cuts) in [(100, &[23][..]), (101, &[1, 16, 6]), (102, &[7, 7, 9])] {
            let sum = pooled(&mut executor, id, &PROMPT, cuts, Pooling::Mean);
            same(rig, model, &sum, &expected);
        }
        let whole = pooled(&mut executor, 200, &PROMPT, &[23], Pooling::Last);
        let cut = pooled(&mut executor, 201, &PROMPT, &[5, 17, 1], Pooling::Last);
        same(rig, model, &whole, &cut);
    }
}
