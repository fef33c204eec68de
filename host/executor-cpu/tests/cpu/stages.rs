//! Ranges of layers in a row compute what the whole model computes, bit for bit.

use crate::support::{MODELS, folder, greedy, load, options, row, step};
use atoll_engine::executor::{
    Activations, BlockCopy, BlockId, Executor, ExecutorError, RowError, SampledToken, SequenceId,
    SequenceSpec, StageExecutor, StageOutput, Step,
};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::sampling::SamplingParams;
use atoll_executor_cpu::{CpuExecutor, CpuStage, LoadError};
use std::ops::Range;
use std::sync::Arc;

type Results = Vec<Result<Vec<SampledToken>, RowError>>;

fn opened(model: &str) -> (ModelSpec, Checkpoint) {
    let folder = folder(model);
    let checkpoint = Checkpoint::open(&folder).unwrap();
    (ModelSpec::read(&folder, &checkpoint).unwrap(), checkpoint)
}

/// One stage for each layer.
fn stages(model: &str) -> Vec<CpuStage> {
    let (spec, checkpoint) = opened(model);
    (0..spec.layers.len())
        .map(|layer| CpuStage::load(&spec, layer..layer + 1, &checkpoint, &options()).unwrap())
        .collect()
}

fn spec(prompt: &[u32], sampling: &Arc<SamplingParams>) -> SequenceSpec {
    SequenceSpec {
        sampling: Arc::clone(sampling),
        prompt: prompt.into(),
    }
}

fn through(stages: &mut [CpuStage], step: &Step) -> Results {
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

fn whole(executor: &mut CpuExecutor, step: &Step) -> Results {
    executor.submit(step.clone()).unwrap();
    let output = executor.complete().unwrap();
    output.rows.into_iter().map(|row| row.result).collect()
}

#[test]
fn stages_in_a_row_draw_the_tokens_of_the_whole_model() {
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
        let mut executor = load(model, &options());
        let mut stages = stages(model);
        for (id, prompt) in [(1, &first), (2, &second)] {
            let id = SequenceId(id);
            executor.open(id, spec(prompt, &sampling)).unwrap();
            for stage in &mut stages {
                stage.open(id, spec(prompt, &sampling)).unwrap();
            }
        }
        for step in &before {
            assert_eq!(whole(&mut executor, step), through(&mut stages, step));
        }
        let (parent, child) = (SequenceId(2), SequenceId(3));
        executor.fork(parent, child, greedy()).unwrap();
        for stage in &mut stages {
            stage.fork(parent, child, greedy()).unwrap();
        }
        let expected = whole(&mut executor, &copying);
        assert!(expected.iter().all(Result::is_ok), "{expected:?}");
        assert_eq!(expected, through(&mut stages, &copying), "{model}");
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

#[test]
fn a_row_that_fails_leaves_its_neighbours_their_own_hidden_states() {
    const MODEL: &str = "qwen3-q4-g32";
    let mut executor = load(MODEL, &options());
    let mut stages = stages(MODEL);
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

#[test]
fn hidden_states_that_do_not_fit_are_refused() {
    // They come from another machine: a wrong count must not reach a kernel.
    let mut stages = stages("llama-f32-tied");
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

#[test]
fn a_stage_reads_only_its_own_tensors() {
    let (spec, checkpoint) = opened("qwen2-bf16");
    let count = spec.layers.len();
    let bytes = |layers: Range<usize>| {
        let stage = CpuStage::load(&spec, layers, &checkpoint, &options()).unwrap();
        stage.capabilities().weight_bytes
    };
    let whole = bytes(0..count);
    let parts: Vec<u64> = (0..count).map(|layer| bytes(layer..layer + 1)).collect();
    assert!(parts.iter().all(|&part| part < whole));
    let tied = if spec.head.is_none() {
        (spec.vocab_size * spec.hidden_size * 2) as u64
    } else {
        0
    };
    assert_eq!(parts.iter().sum::<u64>(), whole + tied);

    for range in [0..count + 1, 1..1, count..count] {
        let refused = CpuStage::load(&spec, range.clone(), &checkpoint, &options());
        assert!(matches!(refused, Err(LoadError::Spec(_))), "{range:?}");
    }
}

#[test]
fn invented_weights_of_a_range_are_those_of_the_whole() {
    let (spec, _) = opened("qwen3-q4-g32");
    let mut executor = CpuExecutor::synthetic(&spec, &options(), 3).unwrap();
    let mut stages: Vec<CpuStage> = (0..spec.layers.len())
        .map(|layer| CpuStage::synthetic(&spec, layer..layer + 1, &options(), 3).unwrap())
        .collect();
    let sampling = Arc::new(SamplingParams {
        logprobs: Some(4),
        ..SamplingParams::default()
    });
    let open = || self::spec(&[1, 2, 3], &sampling);
    executor.open(SequenceId(1), open()).unwrap();
    for stage in &mut stages {
        stage.open(SequenceId(1), open()).unwrap();
    }
    let step = step(vec![row(1, 0, &[1, 2, 3], &[0], 1)]);
    assert_eq!(whole(&mut executor, &step), through(&mut stages, &step));
}
