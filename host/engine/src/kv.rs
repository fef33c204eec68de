//! KV memory as the scheduler sees it: ids of blocks, who uses them, and what they hold.
//!
//! No tensor lives here. An executor keeps the pages; [`BlockPool`] decides which sequence may
//! write which page and which finished pages a later prompt may reuse. Because block ids travel in
//! the step, every stage of a pipeline applies the same decisions to its own layers.
//!
//! Invariants, property-tested against a naive model:
//!
//! - every block is in exactly one place: free, cached (unreferenced but reusable), or referenced;
//! - a referenced block is never handed out, cached or not;
//! - a block found by its [`BlockHash`] holds exactly the tokens hashed, after exactly the prefix
//!   hashed, under the same salt;
//! - only full blocks are published, and only once the step that filled them has completed.

mod hash;
mod pool;

pub use hash::BlockHash;
pub use pool::{BlockPool, PoolLoad};

/// Blocks that hold `positions` positions, the last one perhaps partly.
#[must_use]
pub fn blocks_for(positions: usize, block_size: usize) -> usize {
    positions.div_ceil(block_size.max(1))
}
