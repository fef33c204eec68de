//! [`CpuExecutor`]: the engine's trait over the forward pass.
//!
//! `submit` stores a step and `complete` computes it on the calling thread and the pool. Every row
//! is validated here, so that kernels may trust ids and positions; a row that breaks a rule fails
//! alone. Steps are cut into chunks of bounded size, in row order, which changes no result.

mod pooling;
mod stage;

pub use stage::CpuStage;

use crate::forward::{Chunk, Forward, HEAD_ROWS, Segment};
use crate::kernels::Kernels;
use crate::kv::{PageShape, Pages};
use crate::load::CheckpointSource;
use crate::pool::{Pool, physical_parallelism};
use crate::synthetic::SyntheticSource;
use crate::weights::Model;
use crate::{CpuOptions, KvMemory, LoadError};
use atoll_engine::executor::{
    Capabilities, Executor, ExecutorError, Pooling, Row, RowError, SampledToken, SequenceId,
    SequenceSpec, SequenceState, Step, StepOutput, rows,
};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::sampling::SamplingParams;
use rows::RowCheck;
use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most tokens that pass through the layers together. Enough that reading the weights is a small
/// part of the work, few enough that activations stay in a core's second-level cache.
const MAX_CHUNK: usize = 128;

/// The open sequences. Each has a lock of its own, because several threads draw tokens at once.
type Sequences = HashMap<SequenceId, Mutex<SequenceState>>;

/// One model on this machine's CPU.
pub struct CpuExecutor {
    model: Model,
    pages: Pages,
    forward: Forward,
    capabilities: Capabilities,
    sequences: Sequences,
    pending: Option<Step>,
    row_check: RowCheck,
    chunk: Chunk,
}

impl CpuExecutor {
    /// Loads the model that `spec` describes from `checkpoint`.
    ///
    /// # Errors
    /// [`LoadError`] names the tensor, option or file at fault.
    pub fn load(
        spec: &ModelSpec,
        checkpoint: &Checkpoint,
        options: &CpuOptions,
    ) -> Result<Self, LoadError> {
        Self::load_range(spec, 0..spec.layers.len(), checkpoint, options)
    }

    fn load_range(
        spec: &ModelSpec,
        layers: Range<usize>,
        checkpoint: &Checkpoint,
        options: &CpuOptions,
    ) -> Result<Self, LoadError> {
        let mut pool = pool(options)?;
        let mut source = CheckpointSource::new(checkpoint, &mut pool);
        let model = Model::build(spec, layers, &mut source)?;
        Self::new(model, pool, options)
    }

    /// A model of `spec`'s shapes with invented weights, the same for the same seed: bf16, or
    /// quantised where the description says so. For benchmarks and tests.
    ///
    /// # Errors
    /// [`LoadError`] as for [`CpuExecutor::load`].
    pub fn synthetic(spec: &ModelSpec, options: &CpuOptions, seed: u64) -> Result<Self, LoadError> {
        Self::synthetic_range(spec, 0..spec.layers.len(), options, seed)
    }

    fn synthetic_range(
        spec: &ModelSpec,
        layers: Range<usize>,
        options: &CpuOptions,
        seed: u64,
    ) -> Result<Self, LoadError> {
        let mut pool = pool(options)?;
        let model = Model::build(spec, layers, &mut SyntheticSource::new(seed, &mut pool))?;
        Self::new(model, pool, options)
    }

    fn new(model: Model, pool: Pool, options: &CpuOptions) -> Result<Self, LoadError> {
        let kernels = Kernels::detect(options.kernels.as_deref()).ok_or(LoadError::Option {
            name: "kernels",
            reason: "this machine has no such kernels".to_owned(),
        })?;
        let shapes: Vec<PageShape> = model
            .weights
            .layers
            .iter()
            .map(|layer| PageShape {
                kv_heads: layer.attention.kv_heads,
                head_dim: layer.attention.head_dim,
                block_size: options.block_size,
            })
            .collect();
        let float = options.kv_type.float();
        let block_bytes = Pages::block_bytes(&shapes, float);
        let num_blocks = match options.kv {
            KvMemory::Blocks(blocks) => blocks,
            // A model without layers has free blocks; as many as ids is not useful.
            KvMemory::Bytes(bytes) => bytes / block_bytes.max(1),
        };
        if num_blocks == 0 || u32::try_from(num_blocks).is_err() {
            return Err(LoadError::Option {
                name: "kv",
                reason: format!("gives {num_blocks} blocks of {block_bytes} bytes"),
            });
        }
        let pages = Pages::new(&shapes, float, num_blocks)?;
        let max_positions = num_blocks
            .saturating_mul(options.block_size)
            .min(model.max_positions);
        let capabilities = Capabilities {
            name: "cpu".to_owned(),
            block_size: options.block_size,
            num_blocks,
            max_steps_in_flight: 1,
            stages: 1,
            max_rows: options.max_rows,
            max_tokens: options.max_tokens,
            max_positions,
            vocab_size: model.vocab,
            batch_invariant: true,
            weight_bytes: model.weight_bytes(),
            kv_bytes: (num_blocks as u64).saturating_mul(block_bytes as u64),
        };
        let chunk = options.max_tokens.min(MAX_CHUNK);
        let forward = Forward::new(&model, pool, kernels, chunk, max_positions)?;
        tracing::info!(
            kernels = forward.kernel_name(),
            threads = forward.threads(),
            weight_bytes = capabilities.weight_bytes,
            num_blocks,
            "model loaded on the CPU"
        );
        Ok(Self {
            model,
            pages,
            forward,
            row_check: RowCheck::new(num_blocks),
            capabilities,
            sequences: HashMap::new(),
            pending: None,
            chunk: Chunk::default(),
        })
    }

    /// The kernels chosen for this machine: `avx512-vnni`, `avx2`, `neon` or `portable`.
    #[must_use]
    pub fn kernel_name(&self) -> &'static str {
        self.forward.kernel_name()
    }

    /// What [`CpuExecutor::kernel_name`] can be on this machine, fastest first.
    #[must_use]
    pub fn kernel_names() -> Vec<&'static str> {
        let sets = Kernels::available();
        sets.into_iter().map(|kernels| kernels.name).collect()
    }

    /// Threads that compute.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.forward.threads()
    }

    /// Runs one row now and returns the raw logits of its last `sample.positions` positions, one
    /// vocabulary after the other, without drawing. For evaluation and tests; keys and values are
    /// written as in a step.
    ///
    /// # Errors
    /// [`RowError::Invalid`] if the row breaks a rule.
    pub fn logits(&mut self, row: &Row) -> Result<Vec<f32>, RowError> {
        let rows = std::slice::from_ref(row);
        let mut verdicts = Vec::new();
        self.check(rows, &mut verdicts);
        verdicts.into_iter().collect::<Result<(), _>>()?;
        let mut all = Vec::new();
        self.pass(
            rows,
            |_| true,
            |_, draw| draw.logits.to_vec(),
            |_, logits| all.extend(logits),
            &mut Boundary::default(),
        );
        Ok(all)
    }

    fn check(&mut self, rows: &[Row], verdicts: &mut Vec<Result<(), RowError>>) {
        let sequences = &self.sequences;
        let known = |sequence| sequences.get(&sequence).map(|s| lock(s).len());
        self.row_check
            .check(rows, &known, &self.capabilities, verdicts);
    }

    /// Feeds the rows that may `run`. Each sampled position's logits go to `draw`, on any thread; what
    /// it returns goes to `deliver` with the row's index, in order. Hidden states come and go by
    /// `boundary` where the model has no beginning or no end.
    fn pass<T: Send>(
        &mut self,
        rows: &[Row],
        run: impl Fn(usize) -> bool,
        draw: impl Fn(&Sequences, Draw<'_>) -> T + Sync,
        mut deliver: impl FnMut(usize, T),
        boundary: &mut Boundary<'_>,
    ) {
        let sampled = |row: &Row| row.sample.as_ref().map_or(0, |sample| sample.positions);
        self.feed(rows, run, sampled, |this, wanted| {
            this.flush(wanted, &draw, &mut deliver, boundary);
        });
    }

    /// Feeds the rows that may `run`, chunk by chunk. `wants` says how many of a row's last positions
    /// are looked at; `flush` runs the chunk collected so far and does so.
    fn feed(
        &mut self,
        rows: &[Row],
        run: impl Fn(usize) -> bool,
        wants: impl Fn(&Row) -> usize,
        mut flush: impl FnMut(&mut Self, &[Wanted]),
    ) {
        let capacity = self.forward.capacity();
        let mut wanted: Vec<Wanted> = Vec::new();
        self.chunk.clear();
        for (index, row) in rows.iter().enumerate() {
            if !run(index) {
                continue;
            }
            if let Some(sequence) = self.sequences.get(&row.sequence) {
                lock(sequence).feed(row.start, &row.tokens);
            }
            let unwanted = row.tokens.len().saturating_sub(wants(row));
            let mut done = 0;
            while done < row.tokens.len() {
                if self.chunk.tokens.len() == capacity {
                    flush(self, &wanted);
                    wanted.clear();
                    self.chunk.clear();
                }
                let first = self.chunk.tokens.len();
                let count = (row.tokens.len() - done).min(capacity - first);
                let part = row.tokens.get(done..done + count).unwrap_or(&[]);
                self.chunk.segments.push(Segment {
                    start: row.start + done,
                    first,
                    count,
                    table: self.chunk.tables.len(),
                });
                self.chunk.tokens.extend_from_slice(part);
                let blocks = row.block_table.iter().map(|block| block.0);
                let used = (row.start + done + count).div_ceil(self.capabilities.block_size);
                self.chunk.tables.extend(blocks.take(used));
                for token in unwanted.max(done)..done + count {
                    wanted.push((first + token - done, index, row.start + token));
                }
                done += count;
            }
        }
        flush(self, &wanted);
        self.chunk.clear();
    }

    /// Runs the chunk collected so far and draws what is wanted of it.
    fn flush<T: Send>(
        &mut self,
        wanted: &[Wanted],
        draw: &(impl Fn(&Sequences, Draw<'_>) -> T + Sync),
        deliver: &mut impl FnMut(usize, T),
        boundary: &mut Boundary<'_>,
    ) {
        let tokens = self.chunk.tokens.len();
        let input = boundary.take(&self.model, tokens);
        self.forward
            .run(&self.model, &mut self.pages, &self.chunk, input);
        if self.model.weights.end.is_none() {
            let hidden = self.forward.hidden(&self.model, tokens);
            boundary.output.extend_from_slice(hidden);
            return;
        }
        let sequences = &self.sequences;
        for wanted in wanted.chunks(HEAD_ROWS) {
            let mut indices = [0; HEAD_ROWS];
            for (index, (token, _, _)) in indices.iter_mut().zip(wanted) {
                *index = *token;
            }
            let drawn: [Mutex<Option<T>>; HEAD_ROWS] = std::array::from_fn(|_| Mutex::new(None));
            let indices = indices.get(..wanted.len()).unwrap_or(&[]);
            self.forward.logits(&self.model, indices, &|i, logits| {
                if let (Some(&(_, row, position)), Some(slot)) = (wanted.get(i), drawn.get(i)) {
                    let draw = draw(
                        sequences,
                        Draw {
                            row,
                            position,
                            logits,
                        },
                    );
                    *lock(slot) = Some(draw);
                }
            });
            for (slot, &(_, row, _)) in drawn.iter().zip(wanted) {
                if let Some(drawn) = lock(slot).take() {
                    deliver(row, drawn);
                }
            }
        }
    }

    fn compute(&mut self, step: &Step) -> Result<StepOutput, ExecutorError> {
        let verdicts = self.begin(step)?;
        let results = self.rows(step, verdicts, &mut Boundary::default());
        Ok(StepOutput::new(step, results))
    }

    /// Copies the step's blocks and says which of its rows may run.
    fn begin(&mut self, step: &Step) -> Result<Vec<Result<(), RowError>>, ExecutorError> {
        if !rows::copies_valid(step, self.capabilities.num_blocks) {
            return Err(ExecutorError::Failed(
                "a block copy names a block that does not exist".to_owned(),
            ));
        }
        for copy in &step.block_copies {
            self.pages.copy(copy.from.0 as usize, copy.to.0 as usize);
        }
        let mut verdicts = Vec::with_capacity(step.rows.len());
        self.check(&step.rows, &mut verdicts);
        Ok(verdicts)
    }

    /// Runs the rows that may, and what they drew.
    fn rows(
        &mut self,
        step: &Step,
        verdicts: Vec<Result<(), RowError>>,
        boundary: &mut Boundary<'_>,
    ) -> Vec<Result<Vec<SampledToken>, RowError>> {
        let allowed: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        let mut results: Vec<Result<Vec<SampledToken>, RowError>> = verdicts
            .into_iter()
            .map(|verdict| verdict.map(|()| Vec::new()))
            .collect();
        self.pass(
            &step.rows,
            |row| allowed.get(row).copied().unwrap_or(false),
            |sequences, draw| match step.rows.get(draw.row) {
                Some(row) => draw_token(sequences, row, draw),
                None => Err(RowError::Invalid("no such row".to_owned())),
            },
            |row, drawn| {
                let Some(result) = results.get_mut(row) else {
                    return;
                };
                match (result.as_mut(), drawn) {
                    (Ok(tokens), Ok(token)) => tokens.push(token),
                    (Ok(_), Err(error)) => *result = Err(error),
                    (Err(_), _) => {}
                }
            },
            boundary,
        );
        results
    }
}

/// Hidden states of a pass at the ends of the layers, in the order of the tokens.
#[derive(Default)]
struct Boundary<'a> {
    /// Of tokens that are still to run.
    input: &'a [f32],
    /// Of tokens that have run.
    output: Vec<f32>,
}

impl<'a> Boundary<'a> {
    /// The next `tokens` tokens' input, if `model` takes any.
    fn take(&mut self, model: &Model, tokens: usize) -> &'a [f32] {
        if model.weights.embedding.is_some() {
            return &[];
        }
        let (now, later) = self.input.split_at(tokens * model.hidden);
        self.input = later;
        now
    }
}

/// A panic would be a bug of this crate; it ends this executor's work, not the process.
fn guarded<T>(work: impl FnOnce() -> Result<T, ExecutorError>) -> Result<T, ExecutorError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        let message = format!("a kernel panicked: {reason}");
        Err(ExecutorError::Failed(message))
    })
}

/// A position to look at: token of the chunk, row, position.
type Wanted = (usize, usize, usize);

/// Logits of one position of one row.
struct Draw<'a> {
    row: usize,
    position: usize,
    logits: &'a mut [f32],
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn draw_token(sequences: &Sequences, row: &Row, draw: Draw<'_>) -> Result<SampledToken, RowError> {
    let mut sequence = sequences
        .get(&row.sequence)
        .map(lock)
        .ok_or_else(|| RowError::Invalid(format!("{:?} is not open", row.sequence)))?;
    sequence.draw(draw.logits, draw.position, row.sample.as_ref())
}

fn pool(options: &CpuOptions) -> Result<Pool, LoadError> {
    options.validate()?;
    let threads = options.threads.unwrap_or_else(physical_parallelism);
    Ok(Pool::new(threads)?)
}

impl Executor for CpuExecutor {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError> {
        if self.sequences.contains_key(&sequence) {
            return Err(ExecutorError::Sequence(sequence));
        }
        let state = SequenceState::new(&spec);
        self.sequences.insert(sequence, Mutex::new(state));
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
            .map(|parent| lock(parent).fork(sampling))
            .ok_or(ExecutorError::Sequence(parent))?;
        self.sequences.insert(child, Mutex::new(state));
        Ok(())
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError> {
        self.sequences
            .get(&sequence)
            .map(|sequence| lock(sequence).truncate(len))
            .ok_or(ExecutorError::Sequence(sequence))
    }

    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError> {
        self.sequences
            .remove(&sequence)
            .map(drop)
            .ok_or(ExecutorError::Sequence(sequence))
    }

    fn submit(&mut self, step: Step) -> Result<(), ExecutorError> {
        if self.pending.is_some() {
            return Err(ExecutorError::TooManySteps { limit: 1 });
        }
        self.pending = Some(step);
        Ok(())
    }

    fn complete(&mut self) -> Result<StepOutput, ExecutorError> {
        let step = self.pending.take().ok_or(ExecutorError::Idle)?;
        guarded(|| self.compute(&step))
    }

    fn pool(
        &mut self,
        rows: &[Row],
        pooling: Pooling,
        sums: &mut [Vec<f32>],
    ) -> Result<Vec<Result<(), RowError>>, ExecutorError> {
        if self.pending.is_some() {
            return Err(ExecutorError::TooManySteps { limit: 0 });
        }
        guarded(|| Ok(self.compute_pool(rows, pooling, sums)))
    }
}
