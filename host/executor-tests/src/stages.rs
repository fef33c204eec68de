//! Ranges of layers in a row compute what the whole model computes: bit for bit where the executor
//! promises that, else the same tokens.

use crate::Rig;
use crate::support::{MODELS, greedy, opened, row, step};
use atoll_engine::executor::{
    Activations, BlockCopy, BlockId, Executor, ExecutorError, RowError, SampledToken, SequenceId,
    SequenceSpec, StageExecutor, StageOutput, Step,
};
use atoll_engine::sampling::SamplingParams;
use std::ops::Range;
use std::sync::Arc;

/// One result per row.
pub type Results = Vec<Result<Vec<SampledToken>, RowError>>;

/// One stage for each layer.
fn stages<R: Rig>(rig: &R, model: &str) -> Vec<R::Stage> {
    let (spec, checkpoint) = opened(model);
    (0..spec.layers.len())
        .map(|layer| rig.try_stage(&spec, layer..layer + 1, &checkpoint).unwrap())
        .collect()
}

fn spec(prompt: &[u32], sampling: &Arc<SamplingParams>) -> SequenceSpec {
    SequenceSpec {
        sampling: Arc::clone(sampling),
        prompt: prompt.into(),
    }
}

/// Runs a step through stages in a row.
pub fn through(stages: &mut [impl StageExecutor], step: &Step) -> Results {
    let mut between: Option<Activations> = None;
    for stage in stages {
        match stage.run(step, between.as_ref()).unwrap() {
            StageOutput::Activations(activations) => between = Some(activations),
            StageOutput::Step(output) => {
                return output.rows.into_iter().map(|row| row.result).collect();
            }
        }
    }
    panic!("the last stage drew nothing");
}

/// Runs a step on a whole model.
pub fn whole(executor: &mut impl Executor, step: &Step) -> Results {
    executor.submit(step.clone()).unwrap();
    let output = executor.complete().unwrap();
    output.rows.into_iter().map(|row| row.result).collect()
}

/// The same results as far as the rig promises it.
fn same(rig: &impl Rig, a: &Results, b: &Results) {
    if rig.exact() {
        assert_eq!(a, b);
        return;
    }
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        let (Ok(a), Ok(b)) = (a, b) else {
            assert_eq!(a, b);
            continue;
        };
        let tokens = |row: &[SampledToken]| row.iter().map(|t| t.token).collect::<Vec<_>>();
        assert_eq!(tokens(a), tokens(b));
        for (a, b) in a.iter().zip(b) {
            let apart = a.logprob.unwrap_or(0.0) - b.logprob.unwrap_or(0.0);
            assert!(apart.abs() < 1e-3, "{a:?} {b:?}");
        }
    }
}

/// Stages in a row draw the tokens of the whole model.
pub fn stages_in_a_row_draw_the_tokens_of_the_whole_model(rig: &impl Rig) {
    // With log probabilities, so that equality is equality of logits. Prompts longer than a chunk of
    // the forward pass, a fork, a copied block, a truncation, penalties that look at the history.
    let sampling = Arc::new(SamplingParams {
        seed: 5,
        repetition_penalty: 1.3,
        logprobs: Some(8),
        ..SamplingParams::default()
    });
    let first: Vec<u32> = (0..150_u32).map(|i| i * i % 251).collect();
    let second: Vec<u32> = (0..40_u32).map(|i| (i * 7 + 3) % 251).collect();
    let mut copying = step(vec![
        row(3, 40, &[9, 8, 7], &[30, 31, 33, 34], 3),
        row(2, 40, &[1], &[30, 31, 32], 1),
    ]);
    copying.block_copies = vec![BlockCopy {
        from: BlockId(32),
        to: BlockId(33),
    }];
    let before = [
        step(vec![
            row(1, 0, &first, &(0..10).collect::<Vec<_>>(), 1),
            row(2, 0, &second, &[30, 31, 32], 2),
        ]),
        step(vec![row(1, 150, &[4, 5], &(0..10).collect::<Vec<_>>(), 2)]),
    ];
    for model in MODELS {
        let mut executor = rig.load(model);
        let mut stages = stages(rig, model);
        for (id, prompt) in [(1, &first), (2, &second)] {
            let id = SequenceId(id);
            executor.open(id, spec(prompt, &sampling)).unwrap();
            for stage in &mut stages {
                stage.open(id, spec(prompt, &sampling)).unwrap();
            }
        }
        for step in &before {
            same(
                rig,
                &whole(&mut executor, step),
                &through(&mut stages, step),
            );
        }
        let (parent, child) = (SequenceId(2), SequenceId(3));
        executor.fork(parent, child, greedy()).unwrap();
        for stage in &mut stages {
            stage.fork(parent, child, greedy()).unwrap();
        }
        let expected = whole(&mut executor, &copying);
        assert!(expected.iter().all(Result::is_ok), "{expected:?}");
        same(rig, &expected, &through(&mut stages, &copying));
        executor.truncate(child, 41).unwrap();
        executor.close(parent).unwrap();
        for stage in &mut stages {
            stage.truncate(child, 41).unwrap();
            stage.close(parent).unwrap();
        }
        let after = step(vec![row(3, 41, &[6], &[30, 31, 33], 1)]);
        let expected = whole(&mut executor, &after);
        assert!(expected[0].is_ok());
        assert_eq!(expected, through(&mut stages, &after), "{model}");
    }
}

/// A row that fails leaves its neighbours their own hidden states.
pub fn a_row_that_fails_leaves_its_neighbours_their_own_hidden_states(rig: &impl Rig) {
    const MODEL: &str = "qwen3-q4-g32";
    let mut executor = rig.load(MODEL);
    let mut stages = stages(rig, MODEL);
    for id in [1, 2, 3] {
        let id = SequenceId(id);
        executor.open(id, spec(&[1, 2, 3], &greedy())).unwrap();
        for (index, stage) in stages.iter_mut().enumerate() {
            // The last stage does not know sequence 2: only it will refuse the row.
            if id != SequenceId(2) || index == 0 {
                stage.open(id, spec(&[1, 2, 3], &greedy())).unwrap();
            }
        }
    }
    let step = step(vec![
        row(9, 0, &[1], &[0], 1),
        row(2, 0, &[4, 5], &[1], 1),
        row(1, 0, &[u32::MAX], &[2], 1),
        row(3, 0, &[1, 2, 3], &[3], 1),
    ]);
    let expected = whole(&mut executor, &step);
    let results = through(&mut stages, &step);
    assert_eq!(results[3], expected[3]);
    assert!(results[3].is_ok());
    assert!(results[..3].iter().all(Result::is_err), "{results:?}");
}

/// Hidden states that do not fit are refused.
pub fn hidden_states_that_do_not_fit_are_refused(rig: &impl Rig) {
    // They come from another machine: a wrong count must not reach a kernel.
    let mut stages = stages(rig, "llama-f32-tied");
    for stage in &mut stages {
        stage.open(SequenceId(1), spec(&[1, 2], &greedy())).unwrap();
    }
    let step = step(vec![row(1, 0, &[1, 2], &[0], 1)]);
    let hidden = stages[0].hidden_size();
    let good = Activations {
        rows: vec![Ok(())],
        hidden: vec![0.5; 2 * hidden],
    };
    let bad = [
        Activations::default(),
        Activations {
            hidden: vec![0.5; 2 * hidden - 1],
            ..good.clone()
        },
        Activations {
            rows: vec![Ok(()); 2],
            ..good.clone()
        },
        Activations {
            rows: vec![Err(RowError::NotFinite)],
            ..good.clone()
        },
    ];
    for input in &bad {
        let result = stages[1].run(&step, Some(input));
        assert!(matches!(result, Err(ExecutorError::Failed(_))), "{input:?}");
    }
    assert!(stages[1].run(&step, None).is_err());
    assert!(stages[0].run(&step, Some(&good)).is_err());
    // Numbers of any kind are only numbers.
    let nan = Activations {
        hidden: vec![f32::NAN; 2 * hidden],
        ..good
    };
    assert!(stages[1].run(&step, Some(&nan)).is_ok());
}

/// A stage reads only its own tensors.
pub fn a_stage_reads_only_its_own_tensors(rig: &impl Rig) {
    let (spec, checkpoint) = opened("qwen2-bf16");
    let count = spec.layers.len();
    let bytes = |layers: Range<usize>| {
        let stage = rig.try_stage(&spec, layers, &checkpoint).unwrap();
        stage.capabilities().weight_bytes
    };
    let whole = bytes(0..count);
    let parts: Vec<u64> = (0..count).map(|layer| bytes(layer..layer + 1)).collect();
    assert!(parts.iter().all(|&part| part < whole));
    let tied = if spec.head.is_none() {
        let numbers = (spec.vocab_size * spec.hidden_size) as u64;
        numbers * rig.bf16_bytes()
    } else {
        0
    };
    assert_eq!(parts.iter().sum::<u64>(), whole + tied);

    for range in [0..count + 1, 1..1, count..count] {
        let refused = rig.try_stage(&spec, range.clone(), &checkpoint).err();
        let reason = refused.unwrap_or_default();
        assert!(reason.contains("are not layers"), "{range:?}: {reason}");
    }
}
