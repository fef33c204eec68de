//! [`MlxExecutor`]: the engine's trait, on the caller's side of the thread.
//!
//! Rows are checked and histories kept here; the thread gets only rows that may run. A submitted step
//! runs at once, while the caller goes on.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atoll_engine::executor::rows::{RowCheck, copies_valid};
use atoll_engine::executor::{
    Capabilities, Executor, ExecutorError, KvMemory, Pooling, Row, RowError, SampledToken,
    SequenceId, SequenceSpec, SequenceState, Step, StepOutput,
};
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::model::{AttentionSpec, ModelSpec};
use atoll_engine::sampling::SamplingParams;
use mlx_rs::memory::{clear_cache, set_cache_limit, set_memory_limit, set_wired_limit};
use mlx_rs::transforms::eval;

use super::budget::{Budget, Costs};
use super::linear::ComputeType;
use super::load::{Source, dtype_of};
use super::pages::{PageShape, Pages};
use super::results::{Look, Seen};
use super::weights::Model;
use super::worker::{Shared, Thread, Work, Worker, lock, receive};
use super::{device, ffi};
use crate::{Backend, Device, LoadError, MlxOptions};

/// What a started step becomes: one result per row, and the hidden states that leave.
pub(super) type Started = Result<(Results, Vec<f32>), ExecutorError>;

/// One result per row.
pub(super) type Results = Vec<Result<Vec<SampledToken>, RowError>>;

/// One model on MLX's device.
pub struct MlxExecutor {
    thread: Thread,
    capabilities: Capabilities,
    sequences: HashMap<SequenceId, Shared>,
    check: RowCheck,
    in_flight: VecDeque<(Step, Receiver<Started>)>,
    pub(super) hidden_size: usize,
    /// Whether it has the first layer, and the last.
    pub(super) ends: (bool, bool),
}

impl MlxExecutor {
    /// Loads the model that `spec` describes from `checkpoint`.
    ///
    /// # Errors
    /// [`LoadError`] names the tensor, option or file at fault.
    pub fn load(
        spec: &ModelSpec,
        checkpoint: &Checkpoint,
        options: &MlxOptions,
    ) -> Result<Self, LoadError> {
        Self::load_range(spec, 0..spec.layers.len(), checkpoint, options)
    }

    pub(super) fn load_range(
        spec: &ModelSpec,
        layers: Range<usize>,
        checkpoint: &Checkpoint,
        options: &MlxOptions,
    ) -> Result<Self, LoadError> {
        options.validate()?;
        let ends = (layers.start == 0, layers.end == spec.layers.len());
        let (hidden_size, spec, checkpoint, options) = (
            spec.hidden_size,
            spec.clone(),
            checkpoint.clone(),
            options.clone(),
        );
        let load = move || load(&spec, layers, &checkpoint, &options);
        let (thread, capabilities) = Thread::start(load)?;
        Ok(Self {
            thread,
            check: RowCheck::new(capabilities.num_blocks),
            capabilities,
            sequences: HashMap::new(),
            in_flight: VecDeque::new(),
            hidden_size,
            ends,
        })
    }

    /// Runs one row now and returns the raw logits of its last `sample.positions` positions, one
    /// vocabulary after the other, without drawing. For evaluation and tests; keys and values are
    /// written as in a step.
    ///
    /// # Errors
    /// The row's own error, or the device's as [`ExecutorError`] in words.
    pub fn logits(&mut self, row: &Row) -> Result<Vec<f32>, RowError> {
        let mut verdicts = self.admit(std::slice::from_ref(row));
        verdicts.pop().unwrap_or(Ok(()))?;
        let works = vec![work(row, positions(row), None)];
        let outcome = self.thread.call(move |worker| {
            let mut all = Ok(Vec::new());
            worker.run(
                &[],
                &works,
                &[],
                Look::Logits,
                &mut |_, _, seen| match (&mut all, seen) {
                    (Ok(all), Ok(Seen::Values(values))) => all.extend(values),
                    (_, Err(error)) => all = Err(error),
                    _ => {}
                },
            )?;
            Ok(all)
        });
        outcome.unwrap_or_else(|error| Err(RowError::Invalid(error.to_string())))
    }

    /// How long the last chunk took before MLX was asked to compute: host work that a GPU waits for.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn last_build(&self) -> Result<Duration, ExecutorError> {
        self.thread.call(|worker| Ok(worker.last_build))
    }

    /// How many steps had been begun before they were asked for.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn begun_ahead(&self) -> Result<u64, ExecutorError> {
        self.thread.call(|worker| Ok(worker.begun_ahead))
    }

    /// Which rows may run; notes the tokens of those.
    fn admit(&mut self, rows: &[Row]) -> Vec<Result<(), RowError>> {
        let sequences = &self.sequences;
        let known = |sequence| sequences.get(&sequence).map(|state| lock(state).len());
        let mut verdicts = Vec::with_capacity(rows.len());
        self.check
            .check(rows, &known, &self.capabilities, &mut verdicts);
        for (row, verdict) in rows.iter().zip(&verdicts) {
            if let (Ok(()), Some(state)) = (verdict, self.sequences.get(&row.sequence)) {
                lock(state).feed(row.start, &row.tokens);
            }
        }
        verdicts
    }

    /// Starts the rows of `step` that this executor and `before` let through. What it gives is one
    /// result per row, and the hidden states that leave it.
    pub(super) fn start(
        &mut self,
        step: &Step,
        before: impl FnOnce(&mut Vec<Result<(), RowError>>) -> Result<Vec<f32>, ExecutorError>,
    ) -> Result<Receiver<Started>, ExecutorError> {
        if !copies_valid(step, self.capabilities.num_blocks) {
            return Err(ExecutorError::Failed(
                "a block copy names a block that does not exist".to_owned(),
            ));
        }
        let mut verdicts = self.admit(&step.rows);
        let hidden = before(&mut verdicts)?;
        let mut works = Vec::with_capacity(step.rows.len());
        let mut draws = Vec::with_capacity(step.rows.len());
        for (index, (row, verdict)) in step.rows.iter().zip(&verdicts).enumerate() {
            if let (Ok(()), Some(state)) = (verdict, self.sequences.get(&row.sequence)) {
                let masked = row.sample.as_ref().is_some_and(|s| s.mask.is_some());
                let sampling = Arc::clone(lock(state).sampling());
                let here = !masked && sampling.logprobs.is_none();
                let here = here.then(|| (sampling, Arc::clone(state)));
                works.push(work(row, positions(row), here));
                draws.push((index, Arc::clone(state), row.sample.clone()));
            }
        }
        let copies = step.block_copies.clone();
        Ok(self.thread.send(move |worker| {
            let mut results: Results = verdicts
                .into_iter()
                .map(|v| v.map(|()| Vec::new()))
                .collect();
            let leaving = worker.run(
                &copies,
                &works,
                &hidden,
                Look::Logits,
                &mut |work, position, seen| {
                    let Some((row, state, request)) = draws.get(work) else {
                        return;
                    };
                    let drawn = seen.and_then(|seen| match seen {
                        Seen::Token(token, sum) if sum.is_finite() => Ok(plain(token)),
                        Seen::Token(..) => Err(RowError::NotFinite),
                        Seen::Values(mut logits) => {
                            lock(state).draw(&mut logits, position, request.as_ref())
                        }
                    });
                    if let Some(result) = results.get_mut(*row) {
                        match (result.as_mut(), drawn) {
                            (Ok(tokens), Ok(token)) => tokens.push(token),
                            (Ok(_), Err(error)) => *result = Err(error),
                            (Err(_), _) => {}
                        }
                    }
                },
            )?;
            Ok((results, leaving))
        }))
    }
}

/// Loads on the thread.
fn load(
    spec: &ModelSpec,
    layers: Range<usize>,
    checkpoint: &Checkpoint,
    options: &MlxOptions,
) -> Result<(Worker, Capabilities), LoadError> {
    let device = device()?;
    if device.backend == Backend::Cpu {
        ffi::disable_compile()?;
    }
    let compute = compute_type(spec, checkpoint, device.backend)?;
    let shapes: Vec<PageShape> = spec
        .layer_range(layers.clone())
        .iter()
        .map(|layer| match &layer.attention {
            AttentionSpec::Gqa(gqa) => Ok(PageShape {
                kv_heads: super::load::dim(gqa.num_kv_heads)?,
                head_dim: super::load::dim(gqa.head_dim)?,
            }),
            _ => Err(LoadError::Unsupported("this kind of attention".to_owned())),
        })
        .collect::<Result<_, _>>()?;
    let value_bytes = compute.bytes();
    let block_bytes =
        spec.kv_bytes_per_position(layers.clone(), value_bytes) * options.block_size as u64;
    let num_blocks = match options.kv {
        KvMemory::Blocks(blocks) => blocks,
        KvMemory::Bytes(bytes) => usize::try_from(bytes as u64 / block_bytes.max(1)).unwrap_or(0),
    };
    let slots = num_blocks
        .checked_mul(options.block_size)
        .and_then(|slots| i32::try_from(slots).ok());
    let (true, Some(_)) = (num_blocks > 0, slots) else {
        return Err(LoadError::Option {
            name: "kv",
            reason: format!("gives {num_blocks} blocks of {block_bytes} bytes"),
        });
    };
    let kv_bytes = block_bytes.saturating_mul(num_blocks as u64);
    let needed = spec.weight_bytes(layers.clone()).saturating_add(kv_bytes);
    let budget = limit(&device, options, needed)?;

    let mut source = Source::new(checkpoint, compute, device.backend);
    let model = Model::load(spec, layers, &mut source, compute)?;
    eval(model.arrays())?;
    let weight_bytes = model.arrays().map(|array| array.nbytes() as u64).sum();
    let pages = Pages::new(
        &shapes,
        super::load::dim(num_blocks)?,
        super::load::dim(options.block_size)?,
        compute.0,
    )?;
    // What converting left behind.
    ffi::synchronize()?;
    clear_cache()?;

    let capabilities = Capabilities {
        name: device.backend.executor_name().to_owned(),
        block_size: options.block_size,
        num_blocks,
        // The device is kept busy by the lane, which begins the next step itself; rows in two steps would
        // be in no lane.
        max_steps_in_flight: 1,
        stages: 1,
        max_rows: options.max_rows,
        max_tokens: options.max_tokens,
        max_positions: num_blocks
            .saturating_mul(options.block_size)
            .min(spec.max_positions),
        vocab_size: spec.vocab_size,
        batch_invariant: false,
        weight_bytes,
        kv_bytes,
    };
    tracing::info!(
        backend = capabilities.name,
        device = device.name,
        compute = ?compute.0,
        weight_bytes,
        num_blocks,
        "model loaded by MLX"
    );
    let mut windows: Vec<Option<usize>> = Vec::new();
    for layer in &model.weights.layers {
        if !windows.contains(&layer.attention.window) {
            windows.push(layer.attention.window);
        }
    }
    let costs = Costs::new(
        &model,
        block_bytes / options.block_size.max(1) as u64,
        spec.vocab_size,
    );
    let worker = Worker {
        model,
        pages,
        chunk: options.chunk,
        // CUDA's attention kernels take no mask.
        batched: device.backend != Backend::Cuda,
        windows,
        lane: None,
        budget,
        costs,
        last_build: Duration::ZERO,
        begun_ahead: 0,
        broken: None,
    };
    Ok((worker, capabilities))
}

/// On the CPU everything in f32: MLX accumulates in the type of the activations there, and narrow
/// types are slower. On a GPU the checkpoint's own type: that of its scales, or its embedding.
fn compute_type(
    spec: &ModelSpec,
    checkpoint: &Checkpoint,
    backend: Backend,
) -> Result<ComputeType, LoadError> {
    if backend == Backend::Cpu {
        return Ok(ComputeType(mlx_rs::Dtype::Float32));
    }
    let floats = spec
        .embedding
        .tensors()
        .into_iter()
        .rfind(|tensor| tensor.dtypes == atoll_engine::model::tensors::FLOATS);
    let stored = floats
        .and_then(|tensor| checkpoint.get(&tensor.name))
        .map_or(spec.dtype, |entry| entry.dtype);
    dtype_of(stored)
        .map(ComputeType)
        .ok_or_else(|| LoadError::Unsupported(format!("weights of type {stored}")))
}

/// Refuses what the device cannot hold, and tells MLX what it may use. The limits are the process's:
/// models loaded beside each other set the same.
fn limit(device: &Device, options: &MlxOptions, needed: u64) -> Result<Budget, LoadError> {
    let known = device
        .budget_bytes()
        .into_iter()
        .chain(options.memory)
        .min();
    let bounded = Budget { bytes: known };
    let Some(budget) = known else {
        return Ok(bounded);
    };
    if needed > budget {
        return Err(LoadError::OutOfMemory(format!(
            "weights and conversations take {needed} bytes, and all models may take {budget}; choose less KV memory \
             or a smaller model"
        )));
    }
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    set_memory_limit(size(budget))?;
    // Freed buffers that MLX keeps for the next step; an eighth is far more than a step's activations.
    set_cache_limit(size(budget / 8))?;
    if device.backend == Backend::Metal
        && let Some(working_set) = device.working_set_bytes
    {
        set_wired_limit(size(working_set))?;
    }
    Ok(bounded)
}

fn positions(row: &Row) -> usize {
    row.sample.as_ref().map_or(0, |sample| sample.positions)
}

fn work(row: &Row, wants: usize, draw: Option<(Arc<SamplingParams>, Shared)>) -> Work {
    Work {
        sequence: row.sequence.0,
        start: row.start,
        tokens: row.tokens.clone(),
        blocks: row.block_table.iter().map(|block| block.0).collect(),
        wants,
        draw,
    }
}

fn plain(token: u32) -> SampledToken {
    SampledToken {
        token,
        logprob: None,
        top_logprobs: Vec::new(),
    }
}

impl Executor for MlxExecutor {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError> {
        if self.sequences.contains_key(&sequence) {
            return Err(ExecutorError::Sequence(sequence));
        }
        let state = Arc::new(Mutex::new(SequenceState::new(&spec)));
        self.sequences.insert(sequence, state);
        Ok(())
    }

    fn fork(
        &mut self,
        parent: SequenceId,
        child: SequenceId,
        sampling: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError> {
        if self.sequences.contains_key(&child) {
            return Err(ExecutorError::Sequence(child));
        }
        let state = self
            .sequences
            .get(&parent)
            .map(|state| lock(state).fork(sampling));
        let state = state.ok_or(ExecutorError::Sequence(parent))?;
        self.sequences.insert(child, Arc::new(Mutex::new(state)));
        Ok(())
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError> {
        let state = self.sequences.get(&sequence);
        state
            .map(|state| lock(state).truncate(len))
            .ok_or(ExecutorError::Sequence(sequence))
    }

    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError> {
        let state = self.sequences.remove(&sequence);
        state.map(drop).ok_or(ExecutorError::Sequence(sequence))
    }

    fn submit(&mut self, step: Step) -> Result<(), ExecutorError> {
        let limit = self.capabilities.max_steps_in_flight;
        if self.in_flight.len() >= limit {
            return Err(ExecutorError::TooManySteps { limit });
        }
        let started = self.start(&step, |_| Ok(Vec::new()))?;
        self.in_flight.push_back((step, started));
        Ok(())
    }

    fn complete(&mut self) -> Result<StepOutput, ExecutorError> {
        let (step, started) = self.in_flight.pop_front().ok_or(ExecutorError::Idle)?;
        let (results, _) = receive(&started)?;
        Ok(StepOutput::new(&step, results))
    }

    fn pool(
        &mut self,
        rows: &[Row],
        pooling: Pooling,
        sums: &mut [Vec<f32>],
    ) -> Result<Vec<Result<(), RowError>>, ExecutorError> {
        if !self.in_flight.is_empty() {
            return Err(ExecutorError::TooManySteps { limit: 0 });
        }
        let mut verdicts = self.admit(rows);
        let mut works = Vec::with_capacity(rows.len());
        let mut of_row = Vec::with_capacity(rows.len());
        for (index, (row, verdict)) in rows.iter().zip(&verdicts).enumerate() {
            if verdict.is_ok() {
                let wants = match pooling {
                    Pooling::Last => 1,
                    Pooling::Mean => row.tokens.len(),
                };
                works.push(work(row, wants, None));
                of_row.push(index);
            }
        }
        let seen = self.thread.call(move |worker| {
            let mut all = Vec::new();
            worker.run(&[], &works, &[], Look::Normed, &mut |work, _, seen| {
                all.push((work, seen));
            })?;
            Ok(all)
        })?;
        for (work, seen) in seen {
            let Some(&row) = of_row.get(work) else {
                continue;
            };
            match (seen, sums.get_mut(row), verdicts.get_mut(row)) {
                (Ok(Seen::Values(hidden)), Some(sum), Some(Ok(()))) => {
                    if pooling == Pooling::Last || sum.is_empty() {
                        *sum = hidden;
                    } else {
                        sum.iter_mut().zip(hidden).for_each(|(sum, h)| *sum += h);
                    }
                }
                (Err(error), _, Some(verdict)) => *verdict = Err(error),
                _ => {}
            }
        }
        for (verdict, sum) in verdicts.iter_mut().zip(sums) {
            if verdict.is_ok() && !sum.iter().all(|value| value.is_finite()) {
                *verdict = Err(RowError::NotFinite);
            }
        }
        Ok(verdicts)
    }
}
