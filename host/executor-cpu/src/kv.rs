//! The pages: keys and values of every block in every layer.
//!
//! Block ids come from the scheduler, which alone owns them; this is memory under those numbers
//! and nothing more. [`crate::kernels::attention`] has the layout. Pages are zero until written and
//! occupy memory from then on.

use crate::kernels::FloatType;
use crate::memory::{Buffer, Shared};
use crate::simd::{Element, LANES};
use half::{bf16, f16};

/// Sizes of one layer's pages, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageShape {
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) block_size: usize,
}

impl PageShape {
    /// `head_dim` rounded up to whole vectors.
    pub(crate) fn value_stride(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }
    /// One head's keys in one block.
    pub(crate) fn key_head(self) -> usize {
        self.head_dim * self.block_size
    }
    /// One head's values in one block.
    pub(crate) fn value_head(self) -> usize {
        self.value_stride() * self.block_size
    }
    /// All heads' keys in one block.
    pub(crate) fn key_page(self) -> usize {
        self.kv_heads * self.key_head()
    }
    /// All heads' values in one block.
    pub(crate) fn value_page(self) -> usize {
        self.kv_heads * self.value_head()
    }
}

/// One layer's pages.
pub(crate) struct LayerPages {
    pub(crate) shape: PageShape,
    keys: Buffer<u8>,
    values: Buffer<u8>,
}

/// All layers' pages.
pub(crate) struct Pages {
    pub(crate) float: FloatType,
    pub(crate) layers: Vec<LayerPages>,
}

impl Pages {
    /// Bytes of one block in all layers.
    pub(crate) fn block_bytes(shapes: &[PageShape], float: FloatType) -> usize {
        shapes
            .iter()
            .map(|shape| (shape.key_page() + shape.value_page()) * float.bytes())
            .sum()
    }

    /// Zeroed pages for `num_blocks` blocks.
    pub(crate) fn new(
        shapes: &[PageShape],
        float: FloatType,
        num_blocks: usize,
    ) -> std::io::Result<Self> {
        let bytes = |page: usize| {
            num_blocks
                .checked_mul(page)
                .and_then(|elements| elements.checked_mul(float.bytes()))
                .ok_or(std::io::Error::from(std::io::ErrorKind::OutOfMemory))
        };
        let layers = shapes
            .iter()
            .map(|&shape| {
                Ok(LayerPages {
                    shape,
                    keys: Buffer::zeroed(bytes(shape.key_page())?)?,
                    values: Buffer::zeroed(bytes(shape.value_page())?)?,
                })
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { float, layers })
    }

    /// Copies block `from` over block `to` in every layer; both are below `num_blocks`.
    pub(crate) fn copy(&mut self, from: usize, to: usize) {
        for layer in &mut self.layers {
            for (buffer, page) in [
                (&mut layer.keys, layer.shape.key_page()),
                (&mut layer.values, layer.shape.value_page()),
            ] {
                let page = page * self.float.bytes();
                let source = from * page..(from + 1) * page;
                buffer.as_mut_slice().copy_within(source, to * page);
            }
        }
    }
}

impl LayerPages {
    /// Pointers to head `head`'s part of block 0: keys and values.
    pub(crate) fn head(&self, head: usize, float: FloatType) -> (*const u8, *const u8) {
        let keys = head * self.shape.key_head() * float.bytes();
        let values = head * self.shape.value_head() * float.bytes();
        (
            self.keys.as_slice()[keys..].as_ptr(),
            self.values.as_slice()[values..].as_ptr(),
        )
    }

    /// A writer that several threads may use for different positions.
    pub(crate) fn writer(&mut self, float: FloatType) -> PageWriter<'_> {
        PageWriter {
            shape: self.shape,
            float,
            keys: Shared::new(self.keys.as_mut_slice()),
            values: Shared::new(self.values.as_mut_slice()),
        }
    }
}

/// Writes keys and values of single positions.
#[derive(Clone, Copy)]
pub(crate) struct PageWriter<'a> {
    shape: PageShape,
    float: FloatType,
    keys: Shared<'a, u8>,
    values: Shared<'a, u8>,
}

impl PageWriter<'_> {
    /// Stores one position of one head.
    ///
    /// # Safety
    /// No other thread touches position `slot` of `block` meanwhile; `block < num_blocks`,
    /// `slot < block_size`, `head < kv_heads`.
    pub(crate) unsafe fn write(
        &self,
        block: usize,
        slot: usize,
        head: usize,
        key: &[f32],
        value: &[f32],
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.float {
                FloatType::F32 => self.write_as::<f32>(block, slot, head, key, value),
                FloatType::F16 => self.write_as::<f16>(block, slot, head, key, value),
                FloatType::Bf16 => self.write_as::<bf16>(block, slot, head, key, value),
            }
        }
    }

    unsafe fn write_as<E: Element>(
        &self,
        block: usize,
        slot: usize,
        head: usize,
        key: &[f32],
        value: &[f32],
    ) {
        let shape = self.shape;
        let first_key = block * shape.key_page() + head * shape.key_head() + slot;
        let first_value =
            block * shape.value_page() + head * shape.value_head() + slot * shape.value_stride();
        assert!(
            key.len() == shape.head_dim && value.len() == shape.head_dim,
            "a head's key and value"
        );
        // SAFETY: inside the page by the caller's promise, which also makes the elements this
        // thread's. Buffers are page-aligned.
        unsafe {
            let mut keys = self.keys.at(0).cast::<E>().add(first_key);
            let mut stored = [E::from_f32(0.0); 64];
            for part in key.chunks(stored.len()) {
                let stored = &mut stored[..part.len()];
                E::convert(part, stored);
                for &x in stored.iter() {
                    *keys = x;
                    keys = keys.wrapping_add(shape.block_size);
                }
            }
            let values = self.values.at(0).cast::<E>().add(first_value);
            E::convert(
                value,
                std::slice::from_raw_parts_mut(values, shape.head_dim),
            );
        }
    }
}
