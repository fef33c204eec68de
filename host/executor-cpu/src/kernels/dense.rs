//! Dense weights, stored row by row as in the checkpoint, times `f32` activations.
//!
//! An output is a dot product over `k` in 16 lanes: lane `i` sums the products at `k % 16 == i` in
//! order, then the lanes are added as a tree. A tile of `M` activations and `N` weight rows only
//! shares loads, so GEMV and GEMM give the same bits.

use crate::simd::{Element, LANES, Simd, load_partial};

/// `out[m][n] (+)= dot(x[m], w[n]) + bias[n]` for all rows `m` and `n` in `begin..end`.
pub(crate) struct DenseTask {
    /// `rows` vectors of `k` elements, `x_stride` apart.
    pub(crate) x: *const f32,
    pub(crate) x_stride: usize,
    pub(crate) rows: usize,
    /// `[end or more, k]` elements of the kernel's type, contiguous, not necessarily aligned.
    pub(crate) w: *const u8,
    pub(crate) k: usize,
    pub(crate) begin: usize,
    pub(crate) end: usize,
    /// Column `n` of row `m` is at `m * out_stride + n`; columns `begin..end` are written.
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    /// `end` values, or null.
    pub(crate) bias: *const f32,
    /// Add to what `out` holds instead of replacing it.
    pub(crate) accumulate: bool,
}

/// Bytes of weights that one tile of activations meets before the next: they stay in the
/// second-level cache while the activations' tile stays in the first.
const BLOCK_BYTES: usize = 128 * 1024;

/// The kernel with tiles of up to `M` by `N`.
///
/// # Safety
/// The task's pointers are valid as described and the output columns are this call's alone.
#[inline(always)]
pub(crate) unsafe fn dense<S: Simd, E: Element, const M: usize, const N: usize>(task: &DenseTask) {
    let block = (BLOCK_BYTES / (task.k * size_of::<E>()))
        .max(1)
        .next_multiple_of(N);
    let mut begin = task.begin;
    while begin < task.end {
        let end = (begin + block).min(task.end);
        let mut m = 0;
        // SAFETY: tiles stay inside rows and begin..end; the rest is the caller's contract.
        unsafe {
            while m + M <= task.rows {
                strip::<S, E, M, N>(task, m, begin, end);
                m += M;
            }
            match task.rows - m {
                0 => {}
                1 => strip::<S, E, 1, N>(task, m, begin, end),
                2 => strip::<S, E, 2, N>(task, m, begin, end),
                3 => strip::<S, E, 3, N>(task, m, begin, end),
                4 => strip::<S, E, 4, N>(task, m, begin, end),
                _ => strip::<S, E, 5, N>(task, m, begin, end),
            }
        }
        begin = end;
    }
}

/// `M` activations against the weight rows `begin..end`.
#[inline(always)]
unsafe fn strip<S: Simd, E: Element, const M: usize, const N: usize>(
    task: &DenseTask,
    m: usize,
    begin: usize,
    end: usize,
) {
    let mut n = begin;
    // SAFETY: n + tile width <= end.
    unsafe {
        while n + N <= end {
            tile::<S, E, M, N>(task, m, n);
            n += N;
        }
        while n < end {
            tile::<S, E, M, 1>(task, m, n);
            n += 1;
        }
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, E: Element, const M: usize, const N: usize>(
    task: &DenseTask,
    m: usize,
    n: usize,
) {
    // SAFETY: x has rows >= m + M vectors of k elements, w has n + N rows of k elements; full
    // blocks of 16 end before k and the tail reads k % 16; out columns n..n + N are ours.
    unsafe {
        let x = task.x.add(m * task.x_stride);
        let w = task.w.cast::<E>().add(n * task.k);
        let mut acc = [[S::splat(0.0); N]; M];
        let whole = task.k / LANES * LANES;
        let mut k = 0;
        while k < whole {
            let mut weights = [S::splat(0.0); N];
            for (j, weight) in weights.iter_mut().enumerate() {
                *weight = E::load::<S>(w.add(j * task.k + k));
            }
            for (i, acc) in acc.iter_mut().enumerate() {
                let x = S::load(x.add(i * task.x_stride + k));
                for (acc, weight) in acc.iter_mut().zip(weights) {
                    *acc = S::fma(x, weight, *acc);
                }
            }
            k += LANES;
        }
        let tail = task.k - whole;
        if tail > 0 {
            for (i, acc) in acc.iter_mut().enumerate() {
                let x = load_partial::<S, f32>(x.add(i * task.x_stride + whole), tail);
                for (j, acc) in acc.iter_mut().enumerate() {
                    let weight = load_partial::<S, E>(w.add(j * task.k + whole), tail);
                    *acc = S::fma(x, weight, *acc);
                }
            }
        }
        for (i, acc) in acc.iter().enumerate() {
            for (j, acc) in acc.iter().enumerate() {
                let mut value = S::reduce_add(*acc);
                if !task.bias.is_null() {
                    value += *task.bias.add(n + j);
                }
                let out = task.out.add((m + i) * task.out_stride + n + j);
                *out = if task.accumulate { *out + value } else { value };
            }
        }
    }
}
