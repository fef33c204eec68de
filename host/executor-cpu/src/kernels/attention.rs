//! Grouped-query attention of a few queries over the pages of one key/value head.
//!
//! # Page layout
//!
//! Per layer and block: `keys[kv_head][head_dim][block_size]` (transposed, so that a vector holds
//! one element of 16 positions and scores need no sum over lanes) and
//! `values[kv_head][block_size][value_stride]`, `value_stride` being `head_dim` rounded up to 16.
//! `block_size` is a multiple of 16, so a vector of positions never crosses a block.
//!
//! # Order
//!
//! A query's scores are chains over `head_dim`; its maximum has no order; the sum of its weights
//! runs over lanes `position % 16` and then the lane tree; each output element is a chain over
//! positions. Positions outside a query's range have weight exactly 0. Nothing depends on which
//! queries share the tile or where a chunk began.

use crate::simd::{Element, LANES, Simd};

/// Most queries of one task.
pub(crate) const MAX_QUERIES: usize = 8;

/// One query: a head of a token.
#[derive(Clone, Copy)]
pub(crate) struct Query {
    /// `head_dim` elements, already rotated and scaled.
    pub(crate) q: *const f32,
    /// `head_dim` elements to write.
    pub(crate) out: *mut f32,
    /// Attends to positions `begin..end`; not empty.
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

/// Queries of one sequence that share a key/value head.
pub(crate) struct AttentionTask {
    pub(crate) queries: [Query; MAX_QUERIES],
    /// How many of `queries` are used.
    pub(crate) count: usize,
    pub(crate) head_dim: usize,
    pub(crate) value_stride: usize,
    pub(crate) block_size: usize,
    /// Page number of each block of the sequence; valid up to the last query's end.
    pub(crate) table: *const u32,
    /// This layer's keys and values, advanced to the head; pages are `*_page` elements apart.
    pub(crate) keys: *const u8,
    pub(crate) values: *const u8,
    pub(crate) key_page: usize,
    pub(crate) value_page: usize,
    /// Room for `count` times the range of positions, rounded out to multiples of 16.
    pub(crate) scores: *mut f32,
    /// Room for `MAX_QUERIES * head_dim` elements.
    pub(crate) packed: *mut f32,
}

/// The kernel in tiles of up to `Q` queries.
///
/// # Safety
/// The task's pointers are valid as described; every position of every query's range has been
/// written to its page.
#[inline(always)]
pub(crate) unsafe fn attention<S: Simd, E: Element, const Q: usize>(task: &AttentionTask) {
    let mut first = 0;
    // SAFETY: tiles cover exactly `count` queries.
    unsafe {
        while first + Q <= task.count {
            tile::<S, E, Q>(task, first);
            first += Q;
        }
        while first < task.count {
            match task.count - first {
                4.. => {
                    tile::<S, E, 4>(task, first);
                    first += 4;
                }
                2..=3 => {
                    tile::<S, E, 2>(task, first);
                    first += 2;
                }
                _ => {
                    tile::<S, E, 1>(task, first);
                    first += 1;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, E: Element, const M: usize>(task: &AttentionTask, first: usize) {
    let queries = &task.queries[first..first + M];
    let begin = queries.iter().map(|q| q.begin).min().unwrap_or(0);
    let end = queries.iter().map(|q| q.end).max().unwrap_or(0);
    let base = begin / LANES * LANES;
    let length = (end - base).next_multiple_of(LANES);
    let head_dim = task.head_dim;
    // SAFETY: pages hold `block_size` positions, tables reach `end`, scores and packed are large
    // enough by the task's contract.
    unsafe {
        for (m, query) in queries.iter().enumerate() {
            for d in 0..head_dim {
                *task.packed.add(d * M + m) = *query.q.add(d);
            }
        }

        // Few queries would wait for one chain's latency: several vectors of positions at once.
        let mut offset = 0;
        if M <= 2 {
            while offset + 4 * LANES <= length {
                score::<S, E, M, 4>(task, base, length, offset);
                offset += 4 * LANES;
            }
        }
        while offset < length {
            score::<S, E, M, 1>(task, base, length, offset);
            offset += LANES;
        }

        // Softmax; the normaliser is applied at the end.
        let mut inverse = [0.0_f32; M];
        for (m, query) in queries.iter().enumerate() {
            let scores = task.scores.add(m * length);
            for i in (0..query.begin - base).chain(query.end - base..length) {
                *scores.add(i) = f32::NEG_INFINITY;
            }
            let mut largest = S::splat(f32::NEG_INFINITY);
            for i in (0..length).step_by(LANES) {
                largest = S::max(largest, S::load(scores.add(i)));
            }
            let largest = S::splat(S::reduce_max(largest));
            let mut sum = S::splat(0.0);
            for i in (0..length).step_by(LANES) {
                let weight = S::exp(S::sub(S::load(scores.add(i)), largest));
                sum = S::add(sum, weight);
                S::store(scores.add(i), weight);
            }
            inverse[m] = 1.0 / S::reduce_add(sum);
        }

        // Weighted values, a few vectors of the head at a time.
        let mut d = 0;
        if S::MANY_REGISTERS && M <= 4 {
            while d + 4 * LANES <= task.value_stride {
                weigh::<S, E, M, 4>(task, queries, begin..end, base, length, d, &inverse);
                d += 4 * LANES;
            }
        }
        while d + 2 * LANES <= task.value_stride {
            weigh::<S, E, M, 2>(task, queries, begin..end, base, length, d, &inverse);
            d += 2 * LANES;
        }
        if d < task.value_stride {
            weigh::<S, E, M, 1>(task, queries, begin..end, base, length, d, &inverse);
        }
    }
}

/// Scores of all packed queries with `W` vectors of positions from `base + offset`.
#[inline(always)]
unsafe fn score<S: Simd, E: Element, const M: usize, const W: usize>(
    task: &AttentionTask,
    base: usize,
    length: usize,
    offset: usize,
) {
    // SAFETY: see `tile`; `offset + 16 * W <= length`.
    unsafe {
        let mut keys = [std::ptr::null::<E>(); W];
        for (w, keys) in keys.iter_mut().enumerate() {
            let position = base + offset + w * LANES;
            let page = *task.table.add(position / task.block_size) as usize;
            let page = task.keys.cast::<E>().add(page * task.key_page);
            *keys = page.add(position % task.block_size);
        }
        let mut acc = [[S::splat(0.0); W]; M];
        for d in 0..task.head_dim {
            let mut key = [S::splat(0.0); W];
            for (key, keys) in key.iter_mut().zip(keys) {
                *key = E::load::<S>(keys.add(d * task.block_size));
            }
            for (m, acc) in acc.iter_mut().enumerate() {
                let q = S::splat(*task.packed.add(d * M + m));
                for (acc, key) in acc.iter_mut().zip(key) {
                    *acc = S::fma(q, key, *acc);
                }
            }
        }
        for (m, acc) in acc.iter().enumerate() {
            for (w, acc) in acc.iter().enumerate() {
                S::store(task.scores.add(m * length + offset + w * LANES), *acc);
            }
        }
    }
}

/// Elements `d..d + 16 * V` of every query's output.
#[inline(always)]
unsafe fn weigh<S: Simd, E: Element, const M: usize, const V: usize>(
    task: &AttentionTask,
    queries: &[Query],
    positions: std::ops::Range<usize>,
    base: usize,
    length: usize,
    d: usize,
    inverse: &[f32; M],
) {
    // SAFETY: see `tile`; out has head_dim elements and the last vector is cut to it.
    unsafe {
        let mut acc = [[S::splat(0.0); V]; M];
        let mut position = positions.start;
        while position < positions.end {
            let page = *task.table.add(position / task.block_size) as usize;
            let slot = position % task.block_size;
            let run = (task.block_size - slot).min(positions.end - position);
            let values = task.values.cast::<E>().add(page * task.value_page);
            let mut values = values.add(slot * task.value_stride + d);
            for i in position - base..position - base + run {
                let mut value = [S::splat(0.0); V];
                for (v, value) in value.iter_mut().enumerate() {
                    *value = E::load::<S>(values.add(v * LANES));
                }
                for (m, acc) in acc.iter_mut().enumerate() {
                    let weight = S::splat(*task.scores.add(m * length + i));
                    for (acc, value) in acc.iter_mut().zip(value) {
                        *acc = S::fma(weight, value, *acc);
                    }
                }
                values = values.add(task.value_stride);
            }
            position += run;
        }
        for ((acc, query), inverse) in acc.iter().zip(queries).zip(inverse) {
            for (v, acc) in acc.iter().enumerate() {
                let start = d + v * LANES;
                let mut lanes = [0.0_f32; LANES];
                S::store(lanes.as_mut_ptr(), S::mul(*acc, S::splat(*inverse)));
                let count = task.head_dim.saturating_sub(start).min(LANES);
                std::ptr::copy_nonoverlapping(lanes.as_ptr(), query.out.add(start), count);
            }
        }
    }
}
