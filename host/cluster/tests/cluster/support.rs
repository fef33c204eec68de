//! Pipelines within this process, on the demo model.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_cluster::link::{FrameSender, channel};
use atoll_cluster::pipeline::{Monitor, PipelineExecutor, PipelineOptions, Replies};
use atoll_cluster::stage::{StageLinks, StageOptions, StageWorker};
use atoll_cluster::wire::Precision;
use atoll_engine::executor::{Epoch, StageExecutor};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_executor_cpu::{CpuExecutor, CpuOptions, CpuStage, KvMemory};

pub const EPOCH: Epoch = Epoch(7);

/// Long enough that a busy test machine is never taken for a dead one.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/atoll-demo")
}

pub fn opened() -> (ModelSpec, Checkpoint) {
    let checkpoint = Checkpoint::open(&demo()).unwrap();
    (ModelSpec::read(&demo(), &checkpoint).unwrap(), checkpoint)
}

/// `blocks` blocks of 16 positions, one thread a stage.
pub fn options(blocks: usize) -> CpuOptions {
    CpuOptions {
        threads: Some(1),
        kv: KvMemory::Blocks(blocks),
        block_size: 16,
        ..CpuOptions::default()
    }
}

pub fn single(options: &CpuOptions) -> CpuExecutor {
    let (spec, checkpoint) = opened();
    CpuExecutor::load(&spec, &checkpoint, options).unwrap()
}

/// `layers` in `count` ranges, as even as can be.
pub fn ranges(layers: usize, count: usize) -> Vec<Range<usize>> {
    (0..count)
        .map(|i| i * layers / count..(i + 1) * layers / count)
        .collect()
}

pub fn stages(count: usize, options: &CpuOptions) -> Vec<Box<dyn StageExecutor>> {
    let (spec, checkpoint) = opened();
    let ranges = ranges(spec.layers.len(), count).into_iter();
    let load = |range| CpuStage::load(&spec, range, &checkpoint, options).unwrap();
    ranges.map(|range| Box::new(load(range)) as _).collect()
}

/// A pipeline and its stages' workers, which are to be dropped after it.
pub struct Chain {
    pub executor: PipelineExecutor,
    pub _workers: Vec<StageWorker>,
    pub monitor: Arc<Monitor>,
    /// Ways into the stages, for tests that say something wrong.
    pub commands: Vec<Arc<dyn FrameSender>>,
    pub hidden: Vec<Arc<dyn FrameSender>>,
    pub replies: Arc<dyn FrameSender>,
}

pub fn chain(stages: Vec<Box<dyn StageExecutor>>, precision: Precision) -> Chain {
    chain_with(
        stages,
        precision,
        PipelineOptions {
            epoch: EPOCH,
            silence: PATIENCE,
            step_deadline: PATIENCE,
        },
    )
}

pub fn chain_with(
    stages: Vec<Box<dyn StageExecutor>>,
    precision: Precision,
    options: PipelineOptions,
) -> Chain {
    let count = stages.len();
    let (sink, replies) = Replies::new(options.epoch, count);
    let monitor = replies.monitor();
    let mut parts = Vec::new();
    let mut workers = Vec::new();
    let mut hidden: Vec<Arc<dyn FrameSender>> = Vec::new();
    let mut input = None;
    for (index, executor) in stages.into_iter().enumerate() {
        let (to_stage, commands) = channel(format!("stage {index}"));
        let (to_next, next) = channel(format!("stage {}", index + 1));
        let last = index + 1 == count;
        parts.push((executor.capabilities().clone(), Arc::new(to_stage) as _));
        let output: Arc<dyn FrameSender> = Arc::new(to_next);
        let links = StageLinks {
            commands,
            input: input.replace(next),
            output: (!last).then(|| Arc::clone(&output)),
            replies: Arc::new(sink.clone()),
        };
        if !last {
            hidden.push(output);
        }
        let options = StageOptions {
            epoch: options.epoch,
            index: index as u32,
            precision,
            beat: Duration::from_millis(100),
        };
        workers.push(StageWorker::start(executor, links, options).unwrap());
    }
    let commands = parts.iter().map(|(_, link)| Arc::clone(link)).collect();
    Chain {
        executor: PipelineExecutor::new(parts, replies, options).unwrap(),
        _workers: workers,
        monitor,
        commands,
        hidden,
        replies: Arc::new(sink),
    }
}
