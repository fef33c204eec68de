//! How much device memory may be in use.

use mlx_rs::error::Exception;
use mlx_rs::memory::active_memory;

use super::attention::Segment;
use super::ffi;
use super::weights::{Layer, Model, width};

/// A bound on the memory that this process's arrays take. MLX's own limit only makes it give back what
/// it caches; where a system runs out of memory the process is lost (a CPU's allocator then returns
/// nothing, which MLX does not look at), so work is refused before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Bytes, if a bound is known.
    pub(super) bytes: Option<u64>,
}

impl Budget {
    /// Whether so many bytes more may be taken now.
    ///
    /// # Errors
    /// They may not; the words are those of an allocation that failed.
    pub(super) fn check(&self, more: usize) -> Result<(), Exception> {
        let Some(limit) = self.bytes else {
            return Ok(());
        };
        let fits = |used: u64| used.saturating_add(more as u64) <= limit;
        if fits(active_memory()? as u64) {
            return Ok(());
        }
        // MLX gives an operation's arrays back a little after its results can be read: what is over may
        // still be counted, and a row must not fail for it.
        ffi::synchronize()?;
        let used = active_memory()? as u64;
        if fits(used) {
            return Ok(());
        }
        Err(Exception::custom(format!(
            "out of memory: {more} bytes are needed, {used} of {limit} are in use"
        )))
    }
}

/// What a chunk takes besides the pages, roughly and rather too much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    /// Bytes of activations and of new keys and values, for each token.
    token: usize,
    /// Bytes that are gathered, for each position that a row sees.
    position: usize,
    /// Bytes of a product of a query and a key, over all heads.
    score: usize,
    /// Bytes of one position's logits.
    logits: usize,
}

impl Costs {
    /// Of a model, of which a position takes `kv_bytes` in all layers.
    pub(super) fn new(model: &Model, kv_bytes: u64, vocab_size: usize) -> Self {
        let number = model.compute.bytes();
        let size = |size: i32| usize::try_from(size).unwrap_or(0);
        let widest =
            |of: &dyn Fn(&Layer) -> usize| model.weights.layers.iter().map(of).max().unwrap_or(0);
        let heads = widest(&|layer| size(layer.attention.heads));
        let queries = widest(&|layer| size(layer.attention.heads * layer.attention.head_dim));
        let wide = widest(&|layer| width(&layer.mlp));
        let kv_bytes = usize::try_from(kv_bytes).unwrap_or(usize::MAX);
        Self {
            // A few arrays of each kind are alive at a time, and the keys and values of all layers.
            token: (4 * size(model.hidden) + 3 * queries + 3 * wide) * number + kv_bytes,
            // A layer's keys and values are gathered and completed, of two layers at a time at most.
            position: 4 * kv_bytes / model.weights.layers.len().max(1),
            // GPUs have a kernel that keeps none of them, for two-byte numbers.
            score: if number == 4 { 2 * heads * number } else { 0 },
            // In the compute type and as floats, with penalties; a draw's weights, sums and order.
            logits: vocab_size * (number + 28),
        }
    }

    /// Bytes of a chunk that looks at so many positions.
    pub(super) fn chunk(&self, segments: &[Segment], wanted: usize) -> usize {
        let rows = segments.iter().map(|segment| {
            let seen = segment.start.saturating_add(segment.count);
            let scores = seen
                .saturating_mul(segment.count)
                .saturating_mul(self.score);
            let gathered = seen.saturating_mul(self.position);
            let tokens = segment.count.saturating_mul(self.token);
            tokens.saturating_add(gathered).saturating_add(scores)
        });
        rows.fold(wanted.saturating_mul(self.logits), usize::saturating_add)
    }
}
