//! Weight matrices as the kernels want them, and the products that share one fork-join.
//!
//! Dense weights stay where they are, usually in the file map. Affine ones are repacked at load
//! into panels of 16 rows ([`crate::kernels::affine`]). Work is divided in units of 16 outputs, so
//! a unit is a panel.

use crate::kernels::affine::{AffineTask, QuantizeTask};
use crate::kernels::dense::DenseTask;
use crate::kernels::elementwise::SiluTask;
use crate::kernels::{FloatType, Kernels};
use crate::memory::{Buffer, Bytes, Shared};
use crate::pool::{Pool, share};
use crate::simd::LANES;
use bytemuck::{Pod, pod_read_unaligned};
use half::{bf16, f16};
use std::ops::Range;

/// Elements below which preparing an input is not worth a fork.
const PARALLEL_ELEMENTS: usize = 32 * 1024;

/// How a matrix wants its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `f32` as it is.
    Dense,
    /// Quantised, see [`crate::kernels::affine`].
    Affine { bits: u32, group: usize },
}

/// The numbers of a matrix.
pub(crate) enum Weights {
    Dense {
        /// `[n, k]`, row-major, not necessarily aligned.
        bytes: Bytes,
        float: FloatType,
    },
    Affine {
        /// Panels of words.
        words: Buffer<u32>,
        /// Panels of scales and biases.
        meta: Buffer<u8>,
        float: FloatType,
        bits: u32,
        group: usize,
    },
}

/// `y = W x + b`.
pub(crate) struct Linear {
    /// Outputs.
    pub(crate) n: usize,
    /// Inputs.
    pub(crate) k: usize,
    /// `n` values.
    pub(crate) bias: Option<Vec<f32>>,
    pub(crate) weights: Weights,
}

/// Units of 16 outputs in `n`.
pub(crate) fn units(n: usize) -> usize {
    n.div_ceil(LANES)
}

fn element<T: Pod>(bytes: &[u8], index: usize) -> T {
    let size = size_of::<T>();
    pod_read_unaligned(&bytes[index * size..(index + 1) * size])
}

/// Element `index` of an array of `float`s.
pub(crate) fn read_float(bytes: &[u8], float: FloatType, index: usize) -> f32 {
    match float {
        FloatType::F32 => element::<f32>(bytes, index),
        FloatType::F16 => element::<f16>(bytes, index).to_f32(),
        FloatType::Bf16 => element::<bf16>(bytes, index).to_f32(),
    }
}

impl Linear {
    pub(crate) fn format(&self) -> Format {
        match self.weights {
            Weights::Dense { .. } => Format::Dense,
            Weights::Affine { bits, group, .. } => Format::Affine { bits, group },
        }
    }

    /// Bytes held (or mapped).
    pub(crate) fn bytes(&self) -> u64 {
        let bias = self.bias.as_ref().map_or(0, |bias| bias.len() * 4);
        let weights = match &self.weights {
            Weights::Dense { bytes, .. } => bytes.as_slice().len(),
            Weights::Affine { words, meta, .. } => words.len() * 4 + meta.len(),
        };
        (bias + weights) as u64
    }

    /// Row `index` as `f32`: an embedding. `index < n`, `out` has `k` elements.
    pub(crate) fn row(&self, index: usize, out: &mut [f32]) {
        match &self.weights {
            Weights::Dense { bytes, float } => {
                let bytes = bytes.as_slice();
                for (i, out) in out.iter_mut().enumerate() {
                    *out = read_float(bytes, *float, index * self.k + i);
                }
            }
            Weights::Affine {
                words,
                meta,
                float,
                bits,
                group,
            } => {
                let per_word = 32 / *bits as usize;
                let mask = (1_u32 << bits) - 1;
                let (panel, lane) = (index / LANES, index % LANES);
                let (words, meta) = (words.as_slice(), meta.as_slice());
                let (row_words, groups) = (self.k / per_word, self.k / group);
                for (i, out) in out.iter_mut().enumerate() {
                    let word = words[(panel * row_words + i / per_word) * LANES + lane];
                    let q = (word >> (*bits as usize * (i % per_word))) & mask;
                    let at = (panel * groups + i / group) * 2 * LANES + lane;
                    let scale = read_float(meta, *float, at);
                    let bias = read_float(meta, *float, at + LANES);
                    *out = scale * q as f32 + bias;
                }
            }
        }
    }

    /// Computes the outputs of `units` for all rows of `input`.
    ///
    /// # Safety
    /// `out` has room for column `n - 1` of the last row at `out_stride`, and this call alone
    /// touches the columns of `units` meanwhile.
    unsafe fn apply(
        &self,
        kernels: &Kernels,
        input: &Input<'_>,
        units: Range<usize>,
        target: &Target<'_>,
    ) {
        let bias = self.bias.as_ref().map_or(std::ptr::null(), |b| b.as_ptr());
        match &self.weights {
            Weights::Dense { bytes, float } => {
                let task = DenseTask {
                    x: input.x.as_ptr(),
                    x_stride: self.k,
                    rows: input.rows,
                    w: bytes.as_slice().as_ptr(),
                    k: self.k,
                    begin: units.start * LANES,
                    end: (units.end * LANES).min(self.n),
                    out: target.out.at(target.column),
                    out_stride: target.stride,
                    bias,
                    accumulate: target.accumulate,
                };
                // SAFETY: `bytes` holds n * k elements since load, `input` holds rows * k.
                unsafe { kernels.dense.get(*float)(&task) }
            }
            Weights::Affine {
                words,
                meta,
                float,
                bits,
                group,
            } => {
                let task = AffineTask {
                    pairs: input.pairs.as_ptr(),
                    x_meta: input.meta.as_ptr(),
                    rows: input.rows,
                    k: self.k,
                    group: *group,
                    words: words.as_slice().as_ptr(),
                    meta: meta.as_slice().as_ptr(),
                    begin: units.start,
                    end: units.end,
                    n: self.n,
                    out: target.out.at(target.column),
                    out_stride: target.stride,
                    bias,
                    accumulate: target.accumulate,
                };
                let kernel = match bits {
                    4 => kernels.affine4,
                    _ => kernels.affine8,
                };
                // SAFETY: panels cover n rows since load, and `input` was quantised for this
                // format and this k.
                unsafe { kernel.get(*float)(&task) }
            }
        }
    }
}

/// An input that is ready for one [`Format`].
struct Input<'a> {
    x: &'a [f32],
    pairs: &'a [i32],
    meta: &'a [f32],
    rows: usize,
}

/// Where one product goes: row `m` starts at `m * stride + column`.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) linear: &'a Linear,
    pub(crate) out: Shared<'a, f32>,
    pub(crate) column: usize,
    pub(crate) stride: usize,
    /// Add to what is there.
    pub(crate) accumulate: bool,
}

/// Threads, kernels, and room for quantised inputs.
pub(crate) struct Compute {
    pub(crate) pool: Pool,
    pub(crate) kernels: Kernels,
    pairs: Vec<i32>,
    meta: Vec<f32>,
}

impl Compute {
    /// Room for inputs of up to `elements` (rows times width).
    pub(crate) fn new(pool: Pool, kernels: Kernels, elements: usize) -> Self {
        Self {
            pool,
            kernels,
            pairs: vec![0; elements / 2],
            // Two numbers for each group of at least 32.
            meta: vec![0.0; elements / 16],
        }
    }

    /// Every target's product with `x` (`rows` vectors): one fork-join for targets of the same
    /// format, plus one to quantise a large input.
    pub(crate) fn project(&mut self, x: &[f32], rows: usize, targets: &[Target<'_>]) {
        for targets in targets.chunk_by(|a, b| a.linear.format() == b.linear.format()) {
            let Some(first) = targets.first() else {
                continue;
            };
            self.check(x, rows, targets);
            self.quantize(x, rows, first.linear.k, first.linear.format());
            let (kernels, input) = (&self.kernels, input(x, &self.pairs, &self.meta, rows));
            let total = targets.iter().map(|t| units(t.linear.n)).sum();
            let threads = self.pool.threads();
            self.pool.run(&|thread| {
                let mine = share(total, threads, thread);
                let mut offset = 0;
                for target in targets {
                    let count = units(target.linear.n);
                    let begin = mine.start.clamp(offset, offset + count) - offset;
                    let end = mine.end.clamp(offset, offset + count) - offset;
                    if begin < end {
                        // SAFETY: `check` saw the sizes; threads have disjoint units.
                        unsafe { target.linear.apply(kernels, &input, begin..end, target) };
                    }
                    offset += count;
                }
            });
        }
    }

    /// `gate = silu(W_gate x) * (W_up x)`; `up` is overwritten. Both targets start at column 0 and
    /// have the same width and stride. One fork-join if their formats agree.
    pub(crate) fn gated(&mut self, x: &[f32], rows: usize, gate: Target<'_>, up: Target<'_>) {
        let n = gate.linear.n;
        assert!(up.linear.n == n && gate.stride == up.stride, "a gated pair");
        let fused = gate.linear.format() == up.linear.format();
        if fused {
            self.check(x, rows, &[gate, up]);
            self.quantize(x, rows, gate.linear.k, gate.linear.format());
        } else {
            self.project(x, rows, &[gate, up]);
        }
        let (kernels, input) = (&self.kernels, input(x, &self.pairs, &self.meta, rows));
        let threads = self.pool.threads();
        self.pool.run(&|thread| {
            let mine = share(units(n), threads, thread);
            let columns = mine.start * LANES..(mine.end * LANES).min(n);
            if columns.is_empty() {
                return;
            }
            if fused {
                // SAFETY: `check` saw the sizes; threads have disjoint units.
                unsafe {
                    gate.linear.apply(kernels, &input, mine.clone(), &gate);
                    up.linear.apply(kernels, &input, mine, &up);
                }
            }
            for row in 0..rows {
                let at = row * gate.stride + columns.start;
                let task = SiluTask {
                    gate: gate.out.at(at),
                    up: up.out.at(at),
                    size: columns.len(),
                };
                // SAFETY: these columns are this thread's, and were written above or before.
                unsafe { (kernels.silu_mul)(&task) };
            }
        });
    }

    /// Panics (a bug of this crate) where a kernel would leave its buffers.
    fn check(&self, x: &[f32], rows: usize, targets: &[Target<'_>]) {
        for target in targets {
            let linear = target.linear;
            assert!(rows > 0 && x.len() >= rows * linear.k, "input too short");
            assert!(
                target.column + linear.n <= target.stride,
                "columns too wide"
            );
            // Panics if the last row ends outside.
            target
                .out
                .at((rows - 1) * target.stride + target.column + linear.n);
        }
    }

    fn quantize(&mut self, x: &[f32], rows: usize, k: usize, format: Format) {
        let Format::Affine { bits, group } = format else {
            return;
        };
        assert!(
            rows * k / 2 <= self.pairs.len() && rows * k / group * 2 <= self.meta.len(),
            "no room for a quantised input"
        );
        let height = self.kernels.affine_rows;
        let kernel = self.kernels.quantize;
        let (pairs, meta) = (Shared::new(&mut self.pairs), Shared::new(&mut self.meta));
        let tile = |tile: usize| {
            let row = tile * height;
            let task = QuantizeTask {
                x: x[row * k..].as_ptr(),
                x_stride: k,
                count: height.min(rows - row),
                k,
                group,
                pairs_per_word: 16 / bits as usize,
                pairs: pairs.at(row * k / 2),
                meta: meta.at(row * (k / group) * 2),
            };
            // SAFETY: sizes were checked above, and tiles write disjoint parts.
            unsafe { kernel(&task) };
        };
        let tiles = rows.div_ceil(height);
        if tiles > 1 && rows * k >= PARALLEL_ELEMENTS {
            let threads = self.pool.threads();
            self.pool
                .run(&|thread| share(tiles, threads, thread).for_each(&tile));
        } else {
            (0..tiles).for_each(tile);
        }
    }
}

fn input<'a>(x: &'a [f32], pairs: &'a [i32], meta: &'a [f32], rows: usize) -> Input<'a> {
    Input {
        x,
        pairs,
        meta,
        rows,
    }
}

#[cfg(test)]
mod tests;
