//! Pooled hidden states against what can be computed without pooling: the head's logits, which are
//! themselves compared with another implementation, and the last state of every prefix.

use atoll_engine::executor::{Executor, Pooling, Row, RowError, SequenceId};
use atoll_executor_cpu::CpuExecutor;
use safetensors::SafeTensors;

use crate::support::{bits, folder, load, open, options, relative_error, row};

const PROMPT: [u32; 23] = [
    5, 9, 1, 44, 60, 2, 7, 7, 31, 12, 3, 50, 8, 21, 33, 4, 10, 11, 19, 40, 6, 14, 2,
];

/// Pools a prompt fed in rows of these lengths.
fn pooled(
    executor: &mut CpuExecutor,
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

#[test]
fn the_last_state_times_the_head_is_the_logits() {
    let bytes = std::fs::read(folder("llama-f32-tied").join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let head = tensors.tensor("model.embed_tokens.weight").unwrap();
    let [vocab, hidden] = *head.shape() else {
        panic!("{:?}", head.shape())
    };
    let head: Vec<f32> = head
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let mut executor = load("llama-f32-tied", &options());
    let state = pooled(&mut executor, 1, &PROMPT, &[PROMPT.len()], Pooling::Last);
    assert_eq!(state.len(), hidden);
    let product: Vec<f32> = (0..vocab)
        .map(|token| {
            let weights = &head[token * hidden..(token + 1) * hidden];
            weights.iter().zip(&state).map(|(w, x)| w * x).sum()
        })
        .collect();
    open(&mut executor, 2, &PROMPT);
    let logits = executor.logits(&row(2, 0, &PROMPT, &[3, 9], 1)).unwrap();
    let error = relative_error(&product, &logits);
    assert!(error < 1e-5, "{error}");
}

#[test]
fn the_sum_is_that_of_every_prefixs_last_state_however_it_is_cut() {
    for model in ["llama-f32-tied", "qwen3-q4-g32"] {
        let mut executor = load(model, &options());
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
            assert_eq!(bits(&sum), bits(&expected), "{model} {cuts:?}");
        }
        let whole = pooled(&mut executor, 200, &PROMPT, &[23], Pooling::Last);
        let cut = pooled(&mut executor, 201, &PROMPT, &[5, 17, 1], Pooling::Last);
        assert_eq!(bits(&whole), bits(&cut), "{model}");
    }
}

#[test]
fn rows_beside_each_other_change_nothing_and_a_bad_one_fails_alone() {
    let mut executor = load("qwen2-bf16", &options());
    let (a, b) = (&PROMPT[..9], &PROMPT[9..]);
    let alone = [
        pooled(&mut executor, 1, a, &[a.len()], Pooling::Mean),
        pooled(&mut executor, 2, b, &[b.len()], Pooling::Mean),
    ];
    open(&mut executor, 3, a);
    open(&mut executor, 4, b);
    let bad = Row {
        tokens: vec![u32::MAX],
        ..row(4, 0, b, &[7], 0)
    };
    let rows = [row(3, 0, a, &[1], 0), bad];
    let mut sums = vec![Vec::new(); 2];
    let results = executor.pool(&rows, Pooling::Mean, &mut sums).unwrap();
    assert!(
        matches!(results[..], [Ok(()), Err(RowError::Invalid(_))]),
        "{results:?}"
    );
    assert_eq!(bits(&sums[0]), bits(&alone[0]));

    open(&mut executor, 5, a);
    let rows = [row(5, 0, a, &[1], 0), row(4, 0, b, &[7], 0)];
    let mut sums = vec![Vec::new(); 2];
    let results = executor.pool(&rows, Pooling::Mean, &mut sums).unwrap();
    assert_eq!(results, [Ok(()), Ok(())]);
    for (sum, alone) in sums.iter().zip(&alone) {
        assert_eq!(bits(sum), bits(alone));
    }
}
