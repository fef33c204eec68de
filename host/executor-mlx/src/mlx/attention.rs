//! Attention over blocks: gather, put the new keys in their places, attend.
//!
//! A [`Plan`] holds what all layers share: positions, slots, tables and masks, made once per chunk. The
//! pages themselves are only read (see the crate's documentation), so a row's new keys and values are
//! written into the gathered copy, in place.
//!
//! Rows of one token that continue a sequence are attended to together, padded to the longest, under a
//! mask; where the device's fast kernel takes no mask (CUDA), each on its own, without padding. Other
//! rows are attended to one by one.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::fast::{ScaledDotProductAttentionMask, rope_dynamic, scaled_dot_product_attention};
use mlx_rs::ops::broadcast_to;
use mlx_rs::ops::indexing::{TryIndexMutOp, TryIndexOp, put_along_axis};

use super::linear::Linear;
use super::pages::{Fresh, Pages};
use super::weights::{Attention, Norm, Rope};

/// Consecutive positions of one sequence in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// First position.
    pub(super) start: usize,
    /// How many tokens.
    pub(super) count: usize,
    /// Blocks of positions `0..start + count`.
    pub(super) blocks: Vec<u32>,
}

impl Segment {
    fn end(&self) -> usize {
        self.start + self.count
    }
}

/// What a chunk's attention needs, the same in every layer.
pub(super) struct Plan {
    /// Of each token: its position.
    positions: Array,
    /// Of each token: its place in the pages.
    pub(super) slots: Array,
    tokens: i32,
    /// One for each attention window of the model.
    views: Vec<(Option<usize>, View)>,
}

/// What rows see under one window.
struct View {
    /// The first tokens of the chunk, attended to together.
    together: Option<Together>,
    /// The other rows, in order.
    alone: Vec<Alone>,
}

/// Rows of one token each.
struct Together {
    rows: i32,
    /// `[rows, blocks]`.
    table: Array,
    /// Where each row's token goes in its gathered positions: `[rows, 1, 1, 1]`.
    places: Array,
    /// Which gathered positions it sees: `[rows, 1, 1, blocks * block_size]`.
    mask: Array,
}

/// One row.
struct Alone {
    /// Its first token in the chunk.
    first: i32,
    count: i32,
    /// Blocks to gather, and where the new tokens go in them; `None` if there is nothing before.
    before: Option<(Array, i32)>,
    /// Which part of the gathered positions it sees.
    seen: std::ops::Range<i32>,
    mask: Mask,
}

enum Mask {
    None,
    Causal,
    Array(Array),
}

impl Plan {
    /// `segments` in the chunk's order; those that [`joins`] come first.
    pub(super) fn new(
        segments: &[Segment],
        windows: &[Option<usize>],
        block_size: usize,
        batched: bool,
    ) -> Result<Self, Exception> {
        let mut positions = Vec::new();
        let mut slots = Vec::new();
        for segment in segments {
            for position in segment.start..segment.end() {
                positions.push(index(position)?);
                slots.push(slot(&segment.blocks, position, block_size)?);
            }
        }
        let tokens = index(positions.len())?;
        let together = if batched {
            segments.iter().take_while(|segment| joins(segment)).count()
        } else {
            0
        };
        // Padding one row is no gain.
        let (together, alone) = segments.split_at(if together > 1 { together } else { 0 });
        let views = windows.iter().map(|&window| {
            let view = View {
                together: Together::new(together, window, block_size)?,
                alone: alone_views(alone, together.len(), window, block_size)?,
            };
            Ok((window, view))
        });
        Ok(Self {
            positions: Array::from_slice(&positions, &[tokens]),
            slots: Array::from_slice(&slots, &[tokens]),
            tokens,
            views: views.collect::<Result<_, Exception>>()?,
        })
    }

    /// Attention's output before `o_proj` for normed hidden states `x`, and the new keys and values.
    pub(super) fn attend(
        &self,
        x: &Array,
        attention: &Attention,
        rope: &Rope,
        pages: &Pages,
        layer: usize,
    ) -> Result<(Array, Fresh), Exception> {
        let shape = |heads| [self.tokens, heads, attention.head_dim];
        let [q, k, v] = project(attention, x, shape)?;
        let (q, k) = (self.rotate(&q, rope)?, self.rotate(&k, rope)?);
        let view = self
            .views
            .iter()
            .find(|(window, _)| *window == attention.window)
            .map(|(_, view)| view)
            .ok_or_else(|| Exception::custom("a window without a view"))?;
        let fresh = Fresh { keys: k, values: v };
        let mut parts = Vec::with_capacity(1 + view.alone.len());
        if let Some(together) = &view.together {
            parts.push(together.attend(&q, &fresh, attention, pages, layer)?);
        }
        for alone in &view.alone {
            parts.push(alone.attend(&q, &fresh, attention, pages, layer)?);
        }
        let mixed = match parts.as_slice() {
            [one] => one.clone(),
            parts => mlx_rs::ops::concatenate(parts, 0)?,
        };
        Ok((mixed, fresh))
    }

    /// `[tokens, heads, head_dim]` with each token at its position.
    fn rotate(&self, x: &Array, rope: &Rope) -> Result<Array, Exception> {
        let (heads, width) = (x.dim(1), x.dim(2));
        let apart = x.reshape(&[self.tokens, heads, 1, width])?;
        rope_dynamic(
            apart,
            rope.dim,
            false,
            None,
            1.0,
            &self.positions,
            &rope.frequencies,
        )?
        .reshape(&[self.tokens, heads, width])
    }
}

/// Whether a row can be attended to together with others: one token after earlier ones.
pub(super) fn joins(segment: &Segment) -> bool {
    segment.count == 1 && segment.start > 0
}

impl Together {
    fn new(
        segments: &[Segment],
        window: Option<usize>,
        block_size: usize,
    ) -> Result<Option<Self>, Exception> {
        let widest = segments
            .iter()
            .map(|segment| segment.end().div_ceil(block_size))
            .max();
        let Some(blocks) = widest else {
            return Ok(None);
        };
        let mut table = Vec::with_capacity(segments.len() * blocks);
        let mut mask = Vec::with_capacity(segments.len() * blocks * block_size);
        let mut places = Vec::with_capacity(segments.len());
        for segment in segments {
            let own = segment.blocks.iter().copied().take(blocks);
            // Block 0 exists; what it holds is masked.
            table.extend(own.chain(std::iter::repeat(0)).take(blocks));
            places.push(index(segment.start)?);
            let first = window.map_or(0, |window| segment.end().saturating_sub(window));
            let seen = first..segment.end();
            mask.extend((0..blocks * block_size).map(|position| seen.contains(&position)));
        }
        let rows = index(segments.len())?;
        let width = index(blocks)?;
        Ok(Some(Self {
            rows,
            table: Array::from_slice(&table, &[rows, width]),
            places: Array::from_slice(&places, &[rows, 1, 1, 1]),
            mask: Array::from_slice(&mask, &[rows, 1, 1, index(blocks * block_size)?]),
        }))
    }

    fn attend(
        &self,
        q: &Array,
        fresh: &Fresh,
        attention: &Attention,
        pages: &Pages,
        layer: usize,
    ) -> Result<Array, Exception> {
        let (kv_heads, width) = (attention.kv_heads, attention.head_dim);
        let positions = self.table.dim(1) * pages.block_size();
        let places = broadcast_to(&self.places, &[self.rows, 1, kv_heads, width])?;
        let complete = |gathered: Array, fresh: &Array| {
            let new = fresh
                .try_index(0..self.rows)?
                .reshape(&[self.rows, 1, kv_heads, width])?;
            let gathered = gathered.reshape(&[self.rows, positions, kv_heads, width])?;
            put_along_axis(gathered, &places, new, 1)?.transpose_axes(&[0, 2, 1, 3])
        };
        let (keys, values) = pages.gather(layer, &self.table)?;
        let q = q
            .try_index(0..self.rows)?
            .reshape(&[self.rows, attention.heads, 1, width])?;
        scaled_dot_product_attention(
            q,
            complete(keys, &fresh.keys)?,
            complete(values, &fresh.values)?,
            attention.scale,
            &self.mask,
            None,
        )?
        .reshape(&[self.rows, attention.heads * width])
    }
}

fn alone_views(
    segments: &[Segment],
    first: usize,
    window: Option<usize>,
    block_size: usize,
) -> Result<Vec<Alone>, Exception> {
    let mut first = first;
    let mut views = Vec::with_capacity(segments.len());
    for segment in segments {
        views.push(Alone::new(segment, first, window, block_size)?);
        first += segment.count;
    }
    Ok(views)
}

impl Alone {
    fn new(
        segment: &Segment,
        first: usize,
        window: Option<usize>,
        block_size: usize,
    ) -> Result<Self, Exception> {
        // The first position that any of its tokens sees, and the first that is gathered.
        let lowest = window.map_or(0, |window| (segment.start + 1).saturating_sub(window));
        let gathered = lowest / block_size * block_size;
        let lowest = lowest.min(segment.start);
        let before = if segment.start == 0 {
            None
        } else {
            let blocks = segment
                .blocks
                .get(gathered / block_size..segment.end().div_ceil(block_size));
            let blocks = blocks.ok_or_else(|| Exception::custom("too few blocks"))?;
            let table = Array::from_slice(blocks, &[index(blocks.len())?]);
            Some((table, index(segment.start - gathered)?))
        };
        // Some token's window begins after the row's lowest position.
        let windowed = window.is_some_and(|window| segment.end() - lowest > window);
        let mask = if windowed {
            let seen = segment.end() - lowest;
            let mut mask = Vec::with_capacity(segment.count * seen);
            for query in segment.start..segment.end() {
                let first = window.map_or(0, |window| (query + 1).saturating_sub(window));
                mask.extend((lowest..segment.end()).map(|key| key >= first && key <= query));
            }
            let shape = [1, 1, index(segment.count)?, index(seen)?];
            Mask::Array(Array::from_slice(&mask, &shape))
        } else if segment.count > 1 {
            Mask::Causal
        } else {
            Mask::None
        };
        Ok(Self {
            first: index(first)?,
            count: index(segment.count)?,
            before,
            seen: index(lowest - gathered)?..index(segment.end() - gathered)?,
            mask,
        })
    }

    fn attend(
        &self,
        q: &Array,
        fresh: &Fresh,
        attention: &Attention,
        pages: &Pages,
        layer: usize,
    ) -> Result<Array, Exception> {
        let (kv_heads, width) = (attention.kv_heads, attention.head_dim);
        let own = self.first..self.first + self.count;
        let new = |fresh: &Array| fresh.try_index(own.clone());
        let in_front = |seen: Array| {
            let len = seen.dim(0);
            seen.reshape(&[1, len, kv_heads, width])?
                .transpose_axes(&[0, 2, 1, 3])
        };
        let (keys, values) = match &self.before {
            None => (in_front(new(&fresh.keys)?)?, in_front(new(&fresh.values)?)?),
            Some((table, place)) => {
                let complete = |gathered: Array, fresh: &Array| {
                    let positions = table.dim(0) * pages.block_size();
                    let mut all = gathered.reshape(&[positions, kv_heads, width])?;
                    all.try_index_mut(*place..*place + self.count, new(fresh)?)?;
                    in_front(all.try_index(self.seen.clone())?)
                };
                let (keys, values) = pages.gather(layer, table)?;
                (
                    complete(keys, &fresh.keys)?,
                    complete(values, &fresh.values)?,
                )
            }
        };
        let q = q
            .try_index(own.clone())?
            .reshape(&[1, self.count, attention.heads, width])?
            .transpose_axes(&[0, 2, 1, 3])?;
        let scale = attention.scale;
        let mixed = match &self.mask {
            Mask::None => scaled_dot_product_attention(q, keys, values, scale, None, None),
            Mask::Causal => scaled_dot_product_attention(
                q,
                keys,
                values,
                scale,
                ScaledDotProductAttentionMask::Causal,
                None,
            ),
            Mask::Array(mask) => scaled_dot_product_attention(q, keys, values, scale, mask, None),
        }?;
        mixed
            .transpose_axes(&[0, 2, 1, 3])?
            .reshape(&[self.count, attention.heads * width])
    }
}

/// Queries, keys and values of normed hidden states, in the shape for so many heads, not rotated yet.
pub(super) fn project<const N: usize>(
    attention: &Attention,
    x: &Array,
    shape: impl Fn(i32) -> [i32; N],
) -> Result<[Array; 3], Exception> {
    let heads = |linear: &Linear, count| linear.apply(x)?.reshape(&shape(count));
    let normed = |values: Array, norm: &Option<Norm>| match norm {
        Some(norm) => norm.apply(&values),
        None => Ok(values),
    };
    Ok([
        normed(heads(&attention.q, attention.heads)?, &attention.q_norm)?,
        normed(heads(&attention.k, attention.kv_heads)?, &attention.k_norm)?,
        heads(&attention.v, attention.kv_heads)?,
    ])
}

/// Where a position is in the pages.
pub(super) fn slot(blocks: &[u32], position: usize, block_size: usize) -> Result<i32, Exception> {
    let block = blocks.get(position / block_size);
    let block = block.ok_or_else(|| Exception::custom("a position without a block"))?;
    index(*block as usize * block_size + position % block_size)
}

/// A number as MLX's indices have it.
pub(super) fn index(value: usize) -> Result<i32, Exception> {
    i32::try_from(value).map_err(|_| Exception::custom(format!("{value} is too large an index")))
}
