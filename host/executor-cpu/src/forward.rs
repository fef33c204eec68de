//! One pass of some tokens through the model.
//!
//! [`Forward::run`] takes segments (consecutive positions of one sequence each), at most
//! [`Forward::capacity`] tokens in all, writes their keys and values, and leaves their hidden states
//! after the last layer it has; [`Forward::logits`] turns chosen ones into logits. It trusts what it is given: rows were
//! validated by [`crate::executor`].
//!
//! All buffers are made once. Each operation is at most one fork-join, and small ones run on the
//! calling thread.

mod attend;
mod moe;

use crate::kernels::attention::MAX_QUERIES;
use crate::kernels::elementwise::NormTask;
use crate::kernels::{FloatType, Kernels};
use crate::kv::{LayerPages, Pages};
use crate::linear::{Compute, Target};
use crate::memory::{Buffer, Shared};
use crate::pool::share;
use crate::simd::LANES;
use crate::weights::{Attention, FeedForward, Layer, Mlp, Model, Norm, mlps};
use attend::{Mix, Prepare};
use moe::Routing;

/// Positions of logits computed at once; bounds the logits buffer.
pub(crate) const HEAD_ROWS: usize = 16;

/// Multiply-adds below which an operation runs on the calling thread.
const PARALLEL_WORK: usize = 64 * 1024;

/// Consecutive positions of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// First position.
    pub(crate) start: usize,
    /// Index of its first token in the chunk.
    pub(crate) first: usize,
    /// How many tokens.
    pub(crate) count: usize,
    /// Where its block table starts in the chunk's tables.
    pub(crate) table: usize,
}

/// What passes through the model together.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) tokens: Vec<u32>,
    pub(crate) segments: Vec<Segment>,
    /// Block tables of all segments, one after the other.
    pub(crate) tables: Vec<u32>,
}

impl Chunk {
    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
        self.segments.clear();
        self.tables.clear();
    }
}

/// Buffers of the forward pass and the threads that fill them.
pub(crate) struct Forward {
    compute: Compute,
    capacity: usize,
    /// The residual stream.
    x: Vec<f32>,
    /// A norm's output.
    normed: Vec<f32>,
    /// Queries, keys and values of a token side by side.
    qkv: Vec<f32>,
    /// Attention's output before `o_proj`.
    mixed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// Cosines then sines of each token's position.
    rotations: Vec<f32>,
    logits: Vec<f32>,
    routing: Routing,
    /// Per thread: attention scores, packed queries.
    scores: Vec<Buffer<f32>>,
    packed: Vec<Vec<f32>>,
}

impl Forward {
    /// Buffers for chunks of up to `capacity` tokens and sequences of up to `max_positions`.
    pub(crate) fn new(
        model: &Model,
        pool: crate::pool::Pool,
        kernels: Kernels,
        capacity: usize,
        max_positions: usize,
    ) -> std::io::Result<Self> {
        let layers = &model.weights.layers;
        let widest = |f: &dyn Fn(&Layer) -> usize| layers.iter().map(f).max().unwrap_or(0);
        let qkv = widest(&|l| qkv_width(&l.attention));
        let mixed = widest(&|l| l.attention.o.k);
        let mlp = widest(&|l| mlps(&l.mlp).iter().map(|m| m.gate.n).max().unwrap_or(0));
        let head_dim = widest(&|l| l.attention.head_dim);
        let range = max_positions.next_multiple_of(LANES) + LANES;
        let threads = pool.threads();
        Ok(Self {
            compute: Compute::new(
                pool,
                kernels,
                capacity.max(HEAD_ROWS) * model.widest_input(),
            ),
            capacity,
            x: vec![0.0; capacity * model.hidden],
            normed: vec![0.0; capacity.max(HEAD_ROWS) * model.hidden],
            qkv: vec![0.0; capacity * qkv],
            mixed: vec![0.0; capacity * mixed],
            gate: vec![0.0; capacity * mlp],
            up: vec![0.0; capacity * mlp],
            rotations: vec![0.0; capacity * model.rope.dim],
            logits: match model.weights.end {
                Some(_) => vec![0.0; HEAD_ROWS * model.vocab],
                None => Vec::new(),
            },
            routing: Routing::new(model, capacity),
            scores: (0..threads)
                .map(|_| Buffer::zeroed(MAX_QUERIES * range))
                .collect::<std::io::Result<_>>()?,
            packed: (0..threads)
                .map(|_| vec![0.0; MAX_QUERIES * head_dim])
                .collect(),
        })
    }

    /// Most tokens of one chunk.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn threads(&self) -> usize {
        self.compute.pool.threads()
    }

    pub(crate) fn kernel_name(&self) -> &'static str {
        self.compute.kernels.name
    }

    /// Runs all layers over `chunk`. A model without an embedding takes the tokens' hidden states
    /// from `input`.
    pub(crate) fn run(&mut self, model: &Model, pages: &mut Pages, chunk: &Chunk, input: &[f32]) {
        let (rows, hidden) = (chunk.tokens.len(), model.hidden);
        assert!(rows <= self.capacity, "chunk larger than the buffers");
        if rows == 0 {
            return;
        }
        match &model.weights.embedding {
            Some(embedding) => {
                for (token, x) in chunk.tokens.iter().zip(self.x.chunks_exact_mut(hidden)) {
                    embedding.row(*token as usize, x);
                }
            }
            None => self.x[..rows * hidden].copy_from_slice(&input[..rows * hidden]),
        }
        self.rotate(model, chunk);
        let float = pages.float;
        for (layer, pages) in model.weights.layers.iter().zip(&mut pages.layers) {
            self.normalise(&layer.input_norm, rows);
            self.attend(model, &layer.attention, pages, float, chunk);
            self.normalise(&layer.post_attention_norm, rows);
            match &layer.mlp {
                FeedForward::Dense(mlp) => self.mlp(mlp, rows, hidden),
                FeedForward::Moe(moe) => self.experts(moe, rows, hidden),
            }
        }
    }

    /// `x += down(silu(gate(normed)) * up(normed))`.
    fn mlp(&mut self, mlp: &Mlp, rows: usize, hidden: usize) {
        let wide = mlp.gate.n;
        let gate = target(&mlp.gate, Shared::new(&mut self.gate), wide);
        let up = target(&mlp.up, Shared::new(&mut self.up), wide);
        self.compute.gated(&self.normed, rows, gate, up);
        let x = Target {
            accumulate: true,
            ..target(&mlp.down, Shared::new(&mut self.x), hidden)
        };
        self.compute.project(&self.gate, rows, &[x]);
    }

    /// The hidden states of the first `rows` tokens of the last chunk.
    pub(crate) fn hidden(&self, model: &Model, rows: usize) -> &[f32] {
        self.x.get(..rows * model.hidden).unwrap_or(&[])
    }

    /// The hidden state of token `index` of the last chunk after the last norm; nothing where the model
    /// has no end.
    pub(crate) fn normed(&mut self, model: &Model, index: usize) -> &[f32] {
        let hidden = model.hidden;
        let Some((norm, _)) = model.weights.head() else {
            return &[];
        };
        let x = &self.x[index * hidden..(index + 1) * hidden];
        let out = &mut self.normed[..hidden];
        norm_vector(&self.compute.kernels, norm, x, out);
        out
    }

    /// Computes the logits of the hidden states at `indices` (at most [`HEAD_ROWS`]) of the last
    /// chunk, then calls `draw(i, logits)` for each, on several threads if there are several. Draws
    /// nothing where the model has no head.
    pub(crate) fn logits(
        &mut self,
        model: &Model,
        indices: &[usize],
        draw: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let (hidden, vocab) = (model.hidden, model.vocab);
        let rows = indices.len();
        assert!(rows <= HEAD_ROWS, "more logits than the buffer holds");
        let Some((norm, head)) = model.weights.head().filter(|_| rows > 0) else {
            return;
        };
        let kernels = &self.compute.kernels;
        for (index, out) in indices.iter().zip(self.normed.chunks_exact_mut(hidden)) {
            let x = &self.x[index * hidden..(index + 1) * hidden];
            norm_vector(kernels, norm, x, out);
        }
        let head = target(head, Shared::new(&mut self.logits), vocab);
        self.compute.project(&self.normed, rows, &[head]);
        let logits = Shared::new(&mut self.logits);
        let part = |rows: std::ops::Range<usize>| {
            for row in rows {
                // SAFETY: threads have disjoint rows.
                draw(row, unsafe { logits.slice(row * vocab..(row + 1) * vocab) });
            }
        };
        if rows == 1 {
            part(0..1);
        } else {
            let threads = self.compute.pool.threads();
            self.compute
                .pool
                .run(&|thread| part(share(rows, threads, thread)));
        }
    }

    /// Cosine and sine of every position in the chunk.
    fn rotate(&mut self, model: &Model, chunk: &Chunk) {
        let rope = &model.rope;
        if rope.dim == 0 {
            return;
        }
        let positions = chunk
            .segments
            .iter()
            .flat_map(|segment| segment.start..segment.start + segment.count);
        for (position, out) in positions.zip(self.rotations.chunks_exact_mut(rope.dim)) {
            let (cosines, sines) = out.split_at_mut(rope.dim / 2);
            for ((frequency, cosine), sine) in
                rope.inverse_frequencies.iter().zip(cosines).zip(sines)
            {
                let angle = position as f32 * frequency;
                *cosine = angle.cos() * rope.attention_factor;
                *sine = angle.sin() * rope.attention_factor;
            }
        }
    }

    /// `normed = norm(x)`.
    fn normalise(&mut self, norm: &Norm, rows: usize) {
        let hidden = norm.weight.len();
        let (x, kernels) = (&self.x, &self.compute.kernels);
        let normed = Shared::new(&mut self.normed);
        let threads = self.compute.pool.threads();
        let part = |rows: std::ops::Range<usize>| {
            for row in rows {
                let columns = row * hidden..(row + 1) * hidden;
                // SAFETY: threads have disjoint rows.
                let out = unsafe { normed.slice(columns.clone()) };
                norm_vector(kernels, norm, &x[columns], out);
            }
        };
        if rows * hidden < PARALLEL_WORK {
            part(0..rows);
        } else {
            self.compute
                .pool
                .run(&|thread| part(share(rows, threads, thread)));
        }
    }

    /// `x += o_proj(attention(normed))`.
    fn attend(
        &mut self,
        model: &Model,
        attention: &Attention,
        pages: &mut LayerPages,
        float: FloatType,
        chunk: &Chunk,
    ) {
        let rows = chunk.tokens.len();
        let stride = qkv_width(attention);
        let qkv = Shared::new(&mut self.qkv);
        let keys_at = attention.q.n;
        let part = |linear, column| Target {
            column,
            ..target(linear, qkv, stride)
        };
        let targets = [
            part(&attention.q, 0),
            part(&attention.k, keys_at),
            part(&attention.v, keys_at + attention.k.n),
        ];
        self.compute.project(&self.normed, rows, &targets);

        let threads = self.compute.pool.threads();
        let kernels = &self.compute.kernels;
        {
            let block_size = pages.shape.block_size;
            let prepare = Prepare {
                kernels,
                attention,
                rope_dim: model.rope.dim,
                rotations: &self.rotations,
                qkv: Shared::new(&mut self.qkv),
                pages: pages.writer(float),
                block_size,
                chunk,
            };
            if rows * stride < PARALLEL_WORK / 4 {
                prepare.tokens(0..rows);
            } else {
                self.compute
                    .pool
                    .run(&|thread| prepare.tokens(share(rows, threads, thread)));
            }
        }

        let mix = Mix {
            kernels,
            attention,
            float,
            pages,
            qkv: &self.qkv,
            mixed: Shared::new(&mut self.mixed),
            chunk,
        };
        let scores = Shared::new(&mut self.scores);
        let packed = Shared::new(&mut self.packed);
        let share_of = |thread: usize, threads: usize| {
            // SAFETY: each thread has its own scratch.
            let (scores, packed) = unsafe {
                (
                    scores.slice(thread..thread + 1),
                    packed.slice(thread..thread + 1),
                )
            };
            if let (Some(scores), Some(packed)) = (scores.first_mut(), packed.first_mut()) {
                mix.items(thread, threads, scores.as_mut_slice(), packed);
            }
        };
        if mix.work() < PARALLEL_WORK {
            share_of(0, 1);
        } else {
            self.compute.pool.run(&|thread| share_of(thread, threads));
        }

        let x = Target {
            accumulate: true,
            ..target(&attention.o, Shared::new(&mut self.x), model.hidden)
        };
        self.compute.project(&self.mixed, rows, &[x]);
    }
}

fn target<'a>(
    linear: &'a crate::linear::Linear,
    out: Shared<'a, f32>,
    stride: usize,
) -> Target<'a> {
    Target {
        linear,
        out,
        column: 0,
        stride,
        accumulate: false,
    }
}

fn qkv_width(attention: &Attention) -> usize {
    attention.q.n + attention.k.n + attention.v.n
}

fn norm_vector(kernels: &Kernels, norm: &Norm, x: &[f32], out: &mut [f32]) {
    assert!(
        x.len() == norm.weight.len() && out.len() == x.len(),
        "a norm"
    );
    let task = NormTask {
        x: x.as_ptr(),
        weight: norm.weight.as_ptr(),
        out: out.as_mut_ptr(),
        size: x.len(),
        epsilon: norm.epsilon,
    };
    // SAFETY: all three have `size` elements.
    unsafe { (kernels.rms_norm)(&task) };
}
