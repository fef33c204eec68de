//! Attention's two stages between the projections: [`Prepare`] rotates and stores, [`Mix`] attends.

use super::{Chunk, Segment, qkv_width};
use crate::kernels::attention::{AttentionTask, MAX_QUERIES, Query};
use crate::kernels::elementwise::NormTask;
use crate::kernels::{FloatType, Kernels};
use crate::kv::{LayerPages, PageWriter};
use crate::memory::Shared;
use crate::simd::LANES;
use crate::weights::{Attention, Norm};

/// Head norms, rotation, and storing keys and values.
pub(super) struct Prepare<'a> {
    pub(super) kernels: &'a Kernels,
    pub(super) attention: &'a Attention,
    pub(super) rope_dim: usize,
    pub(super) rotations: &'a [f32],
    pub(super) qkv: Shared<'a, f32>,
    pub(super) pages: PageWriter<'a>,
    pub(super) block_size: usize,
    pub(super) chunk: &'a Chunk,
}

impl Prepare<'_> {
    pub(super) fn tokens(&self, range: std::ops::Range<usize>) {
        for segment in &self.chunk.segments {
            let begin = range.start.max(segment.first);
            let end = range.end.min(segment.first + segment.count);
            for token in begin..end {
                self.token(segment, token);
            }
        }
    }

    fn token(&self, segment: &Segment, token: usize) {
        let attention = self.attention;
        let head_dim = attention.head_dim;
        let stride = qkv_width(attention);
        // SAFETY: threads have disjoint tokens.
        let row = unsafe { self.qkv.slice(token * stride..(token + 1) * stride) };
        let (queries, rest) = row.split_at_mut(attention.q.n);
        let (keys, values) = rest.split_at_mut(attention.k.n);
        let rotation = &self.rotations[token * self.rope_dim..(token + 1) * self.rope_dim];
        for query in queries.chunks_exact_mut(head_dim) {
            self.normalise(attention.q_norm.as_ref(), query);
            rotate_head(rotation, query);
            for x in query {
                *x *= attention.scale;
            }
        }
        let position = segment.start + token - segment.first;
        let block = self.chunk.tables[segment.table + position / self.block_size];
        let slot = position % self.block_size;
        let heads = keys
            .chunks_exact_mut(head_dim)
            .zip(values.chunks_exact(head_dim));
        for (head, (key, value)) in heads.enumerate() {
            self.normalise(attention.k_norm.as_ref(), key);
            rotate_head(rotation, key);
            // SAFETY: rows of a step never share a position's page, checked with the block ids;
            // threads have disjoint tokens.
            unsafe {
                self.pages.write(block as usize, slot, head, key, value);
            }
        }
    }

    fn normalise(&self, norm: Option<&Norm>, head: &mut [f32]) {
        let Some(norm) = norm else { return };
        assert!(norm.weight.len() == head.len(), "a head norm");
        let task = NormTask {
            x: head.as_ptr(),
            weight: norm.weight.as_ptr(),
            out: head.as_mut_ptr(),
            size: head.len(),
            epsilon: norm.epsilon,
        };
        // SAFETY: both have `size` elements; the kernel allows `out` to be `x`.
        unsafe { (self.kernels.rms_norm)(&task) };
    }
}

/// Rotates the first `rotation.len()` elements of a head, half-split.
fn rotate_head(rotation: &[f32], head: &mut [f32]) {
    let (cosines, sines) = rotation.split_at(rotation.len() / 2);
    let (first, rest) = head.split_at_mut(cosines.len());
    for (((a, b), cosine), sine) in first.iter_mut().zip(rest).zip(cosines).zip(sines) {
        (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
    }
}

/// Attention over pages, divided into items: some tokens of a segment times a key/value head.
pub(super) struct Mix<'a> {
    pub(super) kernels: &'a Kernels,
    pub(super) attention: &'a Attention,
    pub(super) float: FloatType,
    pub(super) pages: &'a LayerPages,
    pub(super) qkv: &'a [f32],
    pub(super) mixed: Shared<'a, f32>,
    pub(super) chunk: &'a Chunk,
}

impl Mix<'_> {
    /// Multiply-adds of all items, about.
    pub(super) fn work(&self) -> usize {
        let segments = &self.chunk.segments;
        let pairs: usize = segments.iter().map(|s| s.count * (s.start + s.count)).sum();
        pairs * self.attention.q.n * 2
    }

    /// Every `threads`-th item, beginning with number `thread`: later tokens see more positions,
    /// so neighbours are dealt out like cards.
    pub(super) fn items(
        &self,
        thread: usize,
        threads: usize,
        scores: &mut [f32],
        packed: &mut [f32],
    ) {
        let per_head = self.attention.heads / self.attention.kv_heads;
        let tokens = (MAX_QUERIES / per_head).max(1);
        let mut item = 0;
        for segment in &self.chunk.segments {
            for first in (0..segment.count).step_by(tokens) {
                for kv_head in 0..self.attention.kv_heads {
                    if item % threads == thread {
                        let count = tokens.min(segment.count - first);
                        self.item(segment, first..first + count, kv_head, scores, packed);
                    }
                    item += 1;
                }
            }
        }
    }

    fn item(
        &self,
        segment: &Segment,
        tokens: std::ops::Range<usize>,
        kv_head: usize,
        scores: &mut [f32],
        packed: &mut [f32],
    ) {
        let attention = self.attention;
        let (head_dim, stride, out_stride) =
            (attention.head_dim, qkv_width(attention), attention.o.k);
        let per_head = attention.heads / attention.kv_heads;
        let shape = self.pages.shape;
        let (keys, values) = self.pages.head(kv_head, self.float);
        let unused = Query {
            q: std::ptr::null(),
            out: std::ptr::null_mut(),
            begin: 0,
            end: 0,
        };
        let mut task = AttentionTask {
            queries: [unused; MAX_QUERIES],
            count: 0,
            head_dim,
            value_stride: shape.value_stride(),
            block_size: shape.block_size,
            table: self.chunk.tables[segment.table..].as_ptr(),
            keys,
            values,
            key_page: shape.key_page(),
            value_page: shape.value_page(),
            scores: scores.as_mut_ptr(),
            packed: packed.as_mut_ptr(),
        };
        let all = tokens.flat_map(|token| (0..per_head).map(move |head| (token, head)));
        let mut longest = 0;
        for (token, head) in all {
            let position = segment.start + token;
            let row = segment.first + token;
            let head = kv_head * per_head + head;
            let at = row * out_stride + head * head_dim;
            let query = Query {
                q: self.qkv[row * stride + head * head_dim..][..head_dim].as_ptr(),
                out: self.mixed.at(at),
                begin: attention
                    .window
                    .map_or(0, |window| (position + 1).saturating_sub(window)),
                end: position + 1,
            };
            longest = longest.max(query.end);
            task.queries[task.count] = query;
            task.count += 1;
            if task.count == MAX_QUERIES {
                self.call(&task, longest, scores.len());
                task.count = 0;
            }
        }
        if task.count > 0 {
            self.call(&task, longest, scores.len());
        }
    }

    fn call(&self, task: &AttentionTask, longest: usize, room: usize) {
        assert!(
            (longest.next_multiple_of(LANES)) * MAX_QUERIES <= room,
            "no room for scores"
        );
        // SAFETY: tables reach the last token's position and hold valid ids (validated with the
        // row); positions before it are written; items have disjoint outputs.
        unsafe { (self.kernels.attention.get(self.float))(task) };
    }
}
