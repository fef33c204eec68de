//! Invented weights, as benchmarks use them.

use crate::support::options;
use atoll_engine::executor::{Executor, SequenceId, SequenceSpec, StageExecutor};
use atoll_engine::sampling::SamplingParams;
use atoll_executor_cpu::{CpuExecutor, CpuStage};
use atoll_executor_tests::stages::{through, whole};
use atoll_executor_tests::support::{opened, row, step};
use std::sync::Arc;

fn sequence(prompt: &[u32], sampling: &Arc<SamplingParams>) -> SequenceSpec {
    SequenceSpec {
        sampling: Arc::clone(sampling),
        prompt: prompt.into(),
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
    let open = || sequence(&[1, 2, 3], &sampling);
    executor.open(SequenceId(1), open()).unwrap();
    for stage in &mut stages {
        stage.open(SequenceId(1), open()).unwrap();
    }
    let step = step(vec![row(1, 0, &[1, 2, 3], &[0], 1)]);
    assert_eq!(whole(&mut executor, &step), through(&mut stages, &step));
}
