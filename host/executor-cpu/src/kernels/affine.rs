//! MLX affine 4- and 8-bit weights times activations in 16-bit integers.
//!
//! With `w = scale * q + bias` per group and activations `x = d * v`, `v` a signed 16-bit integer,
//!
//! ```text
//! sum(x * w) over a group = (scale * d) * sum(v * q) + bias * (d * sum(v))
//! ```
//!
//! and both sums are exact in 32-bit integers (`128 * 255 * 32767 < 2^31`). `d` is chosen per row
//! and group, so an activation keeps 15 bits of its group's largest: the result is within about
//! 3e-5 of exact arithmetic, well inside the weights' own rounding and inside the tolerance for
//! unquantised models. (llama.cpp and others use 8-bit activations here, which is 200 times
//! coarser; a pair of 16-bit products costs the same as the two passes over 8-bit halves that this
//! accuracy would need, and one fewer accumulator.) Integer sums are exact and the float steps are
//! two per group in group order, so results do not depend on tiling.
//!
//! # Weight layout
//!
//! Rows are interleaved in panels of 16, so that a vector lane is an output and no lane is ever
//! summed with another: `words[panel][word][16 rows]`, where a word is MLX's own u32 of
//! consecutive `k` (eight 4-bit or four 8-bit values), and `meta[panel][group][16 scales, 16
//! biases]`. Masking a word leaves two values in its 16-bit halves: `k` and `k + 4` (4 bits), or
//! `k` and `k + 2` (8 bits); activations are stored in pairs of the same distance. Rows past the
//! end of the matrix are zero.
//!
//! # Activation layout
//!
//! Rows are grouped in tiles of `Kernels::affine_rows` (the last may be shorter):
//! `pairs[word][row][pair]` and `meta[group][row] = (d, d * sum(v))`.

use crate::simd::{Element, LANES, Simd};

/// Largest magnitude of a quantised activation.
const LIMIT: f32 = 32767.0;

/// Magnitudes below this are treated as zero, so that `LIMIT / magnitude` stays finite.
const TINY: f32 = 1e-30;

/// One tile of rows to quantise: `count` vectors of `k` elements.
pub(crate) struct QuantizeTask {
    /// Rows, `x_stride` apart.
    pub(crate) x: *const f32,
    pub(crate) x_stride: usize,
    pub(crate) count: usize,
    pub(crate) k: usize,
    /// Divides `k`; a multiple of 32.
    pub(crate) group: usize,
    /// Pairs per word: 4 for 4-bit weights, 2 for 8-bit ones.
    pub(crate) pairs_per_word: usize,
    /// `count * k / 2` pairs.
    pub(crate) pairs: *mut i32,
    /// `count * k / group` entries of two.
    pub(crate) meta: *mut f32,
}

/// Quantises one tile.
///
/// # Safety
/// The task's pointers are valid as described.
#[inline(always)]
pub(crate) unsafe fn quantize<S: Simd>(task: &QuantizeTask) {
    // SAFETY: groups divide k, group <= 128; writes stay inside the tile's pairs and meta.
    unsafe {
        for row in 0..task.count {
            let x = task.x.add(row * task.x_stride);
            for group in 0..task.k / task.group {
                let x = x.add(group * task.group);
                let mut largest = S::splat(0.0);
                // Zero, or NaN if the group holds a NaN or an infinity.
                let mut poison = S::splat(0.0);
                for k in (0..task.group).step_by(LANES) {
                    let x = S::load(x.add(k));
                    largest = S::max(largest, S::abs(x));
                    poison = S::fma(x, S::splat(0.0), poison);
                }
                let largest = S::reduce_max(largest);
                let poison = S::reduce_add(poison);
                let (inverse, d) = if poison.is_nan() {
                    (0.0, f32::NAN)
                } else if largest < TINY {
                    (0.0, 0.0)
                } else {
                    (LIMIT / largest, largest / LIMIT)
                };
                let mut values = [0_i32; 128];
                let mut sum = S::int_zero();
                if inverse > 0.0 {
                    for k in (0..task.group).step_by(LANES) {
                        let scaled = S::mul(S::load(x.add(k)), S::splat(inverse));
                        let value = S::float_to_int(S::round(scaled));
                        sum = S::int_add(sum, value);
                        S::int_store(values.as_mut_ptr().add(k), value);
                    }
                }
                let mut lanes = [0_i32; LANES];
                S::int_store(lanes.as_mut_ptr(), sum);
                let sum: i32 = lanes.iter().sum();
                let meta = task.meta.add((group * task.count + row) * 2);
                *meta = d;
                *meta.add(1) = d * sum as f32;

                let (first, values) = (group * task.group, &values[..task.group]);
                match task.pairs_per_word {
                    4 => pack::<4>(task, row, first, values),
                    _ => pack::<2>(task, row, first, values),
                }
            }
        }
    }
}

/// Stores the pairs of one group of row `row` that begins at element `first`.
///
/// # Safety
/// As [`quantize`].
#[inline(always)]
unsafe fn pack<const PAIRS: usize>(task: &QuantizeTask, row: usize, first: usize, values: &[i32]) {
    let first = first / (PAIRS * 2);
    for (word, values) in values.chunks_exact(PAIRS * 2).enumerate() {
        let at = ((first + word) * task.count + row) * PAIRS;
        let pairs: [i32; PAIRS] =
            std::array::from_fn(|p| (values[p] & 0xffff) | (values[p + PAIRS] << 16));
        // SAFETY: one of the tile's words.
        unsafe { task.pairs.add(at).cast::<[i32; PAIRS]>().write(pairs) };
    }
}

/// `out[m][n] (+)= dot(x[m], w[n]) + bias[n]` for all rows `m` and all outputs of panels
/// `begin..end`.
pub(crate) struct AffineTask {
    /// Quantised activations of all rows, tile after tile.
    pub(crate) pairs: *const i32,
    pub(crate) x_meta: *const f32,
    pub(crate) rows: usize,
    pub(crate) k: usize,
    pub(crate) group: usize,
    /// See the module documentation.
    pub(crate) words: *const u32,
    /// Scales and biases in the kernel's type.
    pub(crate) meta: *const u8,
    /// Panels of 16 outputs.
    pub(crate) begin: usize,
    pub(crate) end: usize,
    /// Outputs of the whole matrix.
    pub(crate) n: usize,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    /// `n` values, or null.
    pub(crate) bias: *const f32,
    /// Add to what `out` holds instead of replacing it.
    pub(crate) accumulate: bool,
}

/// The kernel for `BITS`-bit weights with `PAIRS` pairs per word, in tiles of up to `ROWS`.
///
/// # Safety
/// The task's pointers are valid as described and the output columns are this call's alone.
#[inline(always)]
pub(crate) unsafe fn affine<
    S: Simd,
    E: Element,
    const BITS: u32,
    const PAIRS: usize,
    const ROWS: usize,
>(
    task: &AffineTask,
) {
    // A pair of panels shares each broadcast of an activation, which is what a full tile waits for.
    let width = if S::MANY_REGISTERS { 2 } else { 1 };
    for first in (task.begin..task.end).step_by(width) {
        let panels = first..(first + width).min(task.end);
        // SAFETY: panels are below ceil(n / 16), and tiles cover exactly the rows quantised.
        unsafe {
            let mut row = 0;
            while row + ROWS <= task.rows {
                if panels.len() == 2 {
                    tile::<S, E, BITS, PAIRS, ROWS, 2>(task, row, first);
                } else {
                    tile::<S, E, BITS, PAIRS, ROWS, 1>(task, row, first);
                }
                row += ROWS;
            }
            for panel in panels {
                match task.rows - row {
                    0 => {}
                    1 => tile::<S, E, BITS, PAIRS, 1, 1>(task, row, panel),
                    2 => tile::<S, E, BITS, PAIRS, 2, 1>(task, row, panel),
                    3 => tile::<S, E, BITS, PAIRS, 3, 1>(task, row, panel),
                    4 => tile::<S, E, BITS, PAIRS, 4, 1>(task, row, panel),
                    5 => tile::<S, E, BITS, PAIRS, 5, 1>(task, row, panel),
                    6 => tile::<S, E, BITS, PAIRS, 6, 1>(task, row, panel),
                    _ => tile::<S, E, BITS, PAIRS, 7, 1>(task, row, panel),
                }
            }
        }
    }
}

/// `M` rows from `row` times `N` panels from `panel`.
#[inline(always)]
unsafe fn tile<
    S: Simd,
    E: Element,
    const BITS: u32,
    const PAIRS: usize,
    const M: usize,
    const N: usize,
>(
    task: &AffineTask,
    row: usize,
    panel: usize,
) {
    let words = task.k / (PAIRS * 2);
    let words_per_group = task.group / (PAIRS * 2);
    let groups = task.k / task.group;
    // One row would wait for one accumulator's latency: give each pair its own. Exact sums may be
    // split freely.
    let split = M * N <= 2;
    // SAFETY: the tile starts after `row` rows of k / 2 pairs; see the layouts above.
    unsafe {
        // While these panels are at work, the next ones come from memory. The addresses past the
        // last panel are never read.
        let (panel_words, panel_meta) = (words * LANES, groups * 2 * LANES);
        let mut w = task.words.add(panel * panel_words);
        let mut meta = task.meta.cast::<E>().add(panel * panel_meta);
        let mut pairs = task.pairs.add(row * task.k / 2);
        let mut x_meta = task.x_meta.add(row * groups * 2);
        let mask = S::int_splat(if BITS == 4 { 0x000f_000f } else { 0x00ff_00ff });
        let mut acc = [[S::splat(0.0); N]; M];
        for _ in 0..groups {
            let mut dots = [[[S::int_zero(); PAIRS]; N]; M];
            for _ in 0..words_per_group {
                let mut word = [S::int_zero(); N];
                for (n, word) in word.iter_mut().enumerate() {
                    let w = w.add(n * panel_words);
                    *word = S::int_load(w);
                    S::prefetch(w.wrapping_add(N * panel_words));
                }
                for p in 0..PAIRS {
                    let mut values = [mask; N];
                    for (values, word) in values.iter_mut().zip(&mut word) {
                        *values = S::int_and(*word, mask);
                        *word = S::int_shr::<BITS>(*word);
                    }
                    for (m, dots) in dots.iter_mut().enumerate() {
                        let x = S::pair(pairs.add(m * PAIRS + p));
                        let slot = if split { p } else { 0 };
                        for (dots, values) in dots.iter_mut().zip(values) {
                            dots[slot] = S::dot_pairs(dots[slot], values, x);
                        }
                    }
                }
                w = w.add(LANES);
                pairs = pairs.add(M * PAIRS);
            }
            let mut scale = [S::splat(0.0); N];
            let mut bias = [S::splat(0.0); N];
            for (n, (scale, bias)) in scale.iter_mut().zip(&mut bias).enumerate() {
                let meta = meta.add(n * panel_meta);
                *scale = E::load::<S>(meta);
                *bias = E::load::<S>(meta.add(LANES));
            }
            meta = meta.add(2 * LANES);
            for (m, (acc, dots)) in acc.iter_mut().zip(&dots).enumerate() {
                let d = S::splat(*x_meta.add(2 * m));
                let sum = S::splat(*x_meta.add(2 * m + 1));
                for (n, (acc, dots)) in acc.iter_mut().zip(dots).enumerate() {
                    let mut dot = dots[0];
                    if split {
                        for extra in &dots[1..] {
                            dot = S::int_add(dot, *extra);
                        }
                    }
                    *acc = S::fma(S::int_to_float(dot), S::mul(scale[n], d), *acc);
                    *acc = S::fma(bias[n], sum, *acc);
                }
            }
            x_meta = x_meta.add(2 * M);
        }
        for (m, acc) in acc.iter().enumerate() {
            for (n, acc) in acc.iter().enumerate() {
                store::<S>(task, row + m, panel + n, *acc);
            }
        }
    }
}

/// Sixteen results of one row.
#[inline(always)]
unsafe fn store<S: Simd>(task: &AffineTask, row: usize, panel: usize, acc: S::F) {
    let first = panel * LANES;
    let count = (task.n - first).min(LANES);
    // SAFETY: columns first..first + count of this row are this call's.
    unsafe {
        let out = task.out.add(row * task.out_stride + first);
        if count == LANES {
            let mut value = acc;
            if !task.bias.is_null() {
                value = S::add(value, S::load(task.bias.add(first)));
            }
            if task.accumulate {
                value = S::add(S::load(out), value);
            }
            S::store(out, value);
        } else {
            let mut lanes = [0.0_f32; LANES];
            S::store(lanes.as_mut_ptr(), acc);
            for (i, mut value) in lanes.into_iter().enumerate().take(count) {
                if !task.bias.is_null() {
                    value += *task.bias.add(first + i);
                }
                let out = out.add(i);
                *out = if task.accumulate { *out + value } else { value };
            }
        }
    }
}
