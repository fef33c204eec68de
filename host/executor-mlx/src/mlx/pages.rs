//! The pages: keys and values of every block in every layer, under the scheduler's block ids.
//!
//! A layer's keys are one array `[blocks * block_size, kv_heads, head_dim]`, position after position;
//! values likewise. Arrays of MLX do not change: an update is a new array that takes over the buffer of
//! the old one if nobody else holds it. Everything here that updates therefore gives its own handle away
//! first, and waits until no work in flight holds the buffer ([`ffi::synchronize`]); otherwise MLX would
//! copy all pages.

use atoll_engine::executor::BlockCopy;
use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::scatter_single;
use mlx_rs::ops::zeros_dtype;
use mlx_rs::transforms::{async_eval, eval};
use mlx_rs::{Array, Dtype};

use super::ffi;

/// Sizes of one layer's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageShape {
    pub(super) kv_heads: i32,
    pub(super) head_dim: i32,
}

/// One layer's pages.
struct LayerPages {
    shape: PageShape,
    keys: Array,
    values: Array,
}

/// Keys and values of a chunk's tokens in one layer, each `[tokens, kv_heads, head_dim]`.
pub(super) struct Fresh {
    pub(super) keys: Array,
    pub(super) values: Array,
}

impl Fresh {
    pub(super) fn arrays(&self) -> [&Array; 2] {
        [&self.keys, &self.values]
    }

    /// Both, changed alike.
    pub(super) fn map(
        &self,
        change: impl Fn(&Array) -> Result<Array, Exception>,
    ) -> Result<Self, Exception> {
        Ok(Self {
            keys: change(&self.keys)?,
            values: change(&self.values)?,
        })
    }
}

/// All layers' pages.
pub(super) struct Pages {
    layers: Vec<LayerPages>,
    blocks: i32,
    block_size: i32,
}

impl Pages {
    /// Zeroed pages; `blocks * block_size` fits an `i32`.
    pub(super) fn new(
        shapes: &[PageShape],
        blocks: i32,
        block_size: i32,
        dtype: Dtype,
    ) -> Result<Self, Exception> {
        let zeroed = |shape: &PageShape| {
            let size = [blocks * block_size, shape.kv_heads, shape.head_dim];
            let array = zeros_dtype(&size, dtype)?;
            array.eval()?;
            Ok::<_, Exception>(array)
        };
        let layers = shapes.iter().map(|shape| {
            Ok(LayerPages {
                shape: *shape,
                keys: zeroed(shape)?,
                values: zeroed(shape)?,
            })
        });
        Ok(Self {
            layers: layers.collect::<Result<_, Exception>>()?,
            blocks,
            block_size,
        })
    }

    pub(super) fn block_size(&self) -> i32 {
        self.block_size
    }

    /// How many layers there are.
    pub(super) fn layers(&self) -> usize {
        self.layers.len()
    }

    /// A layer's keys and values, position after position.
    pub(super) fn layer(&self, layer: usize) -> Result<(&Array, &Array), Exception> {
        let layer = self.layers.get(layer);
        let layer = layer.ok_or_else(|| Exception::custom("no such layer"))?;
        Ok((&layer.keys, &layer.values))
    }

    /// Positions of all blocks.
    pub(super) fn positions(&self) -> usize {
        // `new` was promised that the product fits.
        usize::try_from(self.blocks * self.block_size).unwrap_or(0)
    }

    /// Bytes of one position in all layers.
    pub(super) fn position_bytes(&self) -> usize {
        let bytes: usize = self.arrays().map(Array::nbytes).sum();
        bytes / self.positions().max(1)
    }

    /// The keys and values of the blocks at `table` (any shape of indices) in `layer`: its shape, then
    /// `[block_size, kv_heads, head_dim]`.
    pub(super) fn gather(&self, layer: usize, table: &Array) -> Result<(Array, Array), Exception> {
        let layer = self
            .layers
            .get(layer)
            .ok_or_else(|| Exception::custom("no such layer"))?;
        let take = |pages: &Array| {
            let by_block = pages.reshape(&[
                self.blocks,
                self.block_size,
                layer.shape.kv_heads,
                layer.shape.head_dim,
            ])?;
            by_block.take_axis(table, 0)
        };
        Ok((take(&layer.keys)?, take(&layer.values)?))
    }

    /// Copies block after block in every layer; all ids exist.
    pub(super) fn copy(&mut self, copies: &[BlockCopy]) -> Result<(), Exception> {
        for copy in copies {
            let (from, to) = (
                Array::from_slice(&[copy.from.0], &[1]),
                Array::from_slice(&[copy.to.0], &[1]),
            );
            let (blocks, block_size) = (self.blocks, self.block_size);
            self.update(|pages, shape, _| {
                let page = [block_size, shape.kv_heads, shape.head_dim];
                let by_block = pages.reshape(&[blocks, page[0], page[1], page[2]])?;
                let source = by_block
                    .take_axis(&from, 0)?
                    .reshape(&[1, 1, page[0], page[1], page[2]])?;
                scatter_single(by_block, &to, source, 0)?.reshape(&[
                    blocks * page[0],
                    page[1],
                    page[2],
                ])
            })?;
            eval(self.arrays())?;
        }
        Ok(())
    }

    /// Writes the tokens of a chunk at `slots`, one for each; `fresh` has one entry per layer, all of
    /// them evaluated. Returns while the device still works.
    pub(super) fn write(&mut self, slots: &Array, fresh: Vec<Fresh>) -> Result<(), Exception> {
        let tokens = slots.dim(0);
        let mut fresh: Vec<[Array; 2]> = fresh.into_iter().map(|f| [f.keys, f.values]).collect();
        let mut layer = 0;
        self.update(|pages, shape, part| {
            let entry = fresh.get_mut(layer).and_then(|parts| parts.get_mut(part));
            let entry = entry.ok_or_else(|| Exception::custom("no new keys for a layer"))?;
            layer += part;
            let updates = entry.reshape(&[tokens, 1, shape.kv_heads, shape.head_dim])?;
            scatter_single(pages, slots, updates, 0)
        })?;
        async_eval(self.arrays())
    }

    /// Replaces every layer's keys (part 0) and values (part 1), in this order, lazily.
    fn update(
        &mut self,
        mut change: impl FnMut(Array, PageShape, usize) -> Result<Array, Exception>,
    ) -> Result<(), Exception> {
        ffi::synchronize()?;
        for layer in &mut self.layers {
            for (part, pages) in [&mut layer.keys, &mut layer.values].into_iter().enumerate() {
                let old = std::mem::replace(pages, Array::from_f32(0.0));
                *pages = change(old, layer.shape, part)?;
            }
        }
        Ok(())
    }

    fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.layers
            .iter()
            .flat_map(|layer| [&layer.keys, &layer.values])
    }
}
