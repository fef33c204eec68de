//! [`BlockPool`]: reference counts, the free list, and the prefix cache with LRU eviction.
//!
//! | operation | cost |
//! |---|---|
//! | [`BlockPool::allocate`] | O(1), evicting the least recently used cached block if none is free |
//! | [`BlockPool::retain`], [`BlockPool::release`] | O(1) |
//! | [`BlockPool::publish`], [`BlockPool::unpublish`], [`BlockPool::find`] | O(1) expected |
//! | [`BlockPool::release_all`] | O(blocks) |
//! | everything that counts | O(1) |
//!
//! Cached blocks that nobody references form a doubly linked list through the slots themselves
//! (index links, [`NIL`] ends it), so moving one in or out costs no search and no allocation.

use std::collections::HashMap;

use super::BlockHash;
use crate::executor::BlockId;

/// No neighbour.
const NIL: u32 = u32::MAX;

/// What the pool knows about one block.
#[derive(Debug, Clone)]
struct Slot {
    /// Users: sequences whose table has it.
    references: u32,
    /// Its name in the cache, when published.
    hash: Option<BlockHash>,
    /// Towards the least recently used end; meaningful only while evictable.
    older: u32,
    /// Towards the most recently used end; meaningful only while evictable.
    newer: u32,
}

/// Counts of blocks by state, for admission and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolLoad {
    /// All blocks.
    pub total: usize,
    /// Holding nothing of value.
    pub free: usize,
    /// Unreferenced, but found by a later prompt with the same prefix until evicted.
    pub evictable: usize,
    /// In some sequence's table.
    pub referenced: usize,
    /// Published: evictable ones, and referenced ones whose contents have a name.
    pub published: usize,
}

/// Owner of all block ids of one executor.
#[derive(Debug)]
pub struct BlockPool {
    slots: Vec<Slot>,
    free: Vec<BlockId>,
    index: HashMap<BlockHash, BlockId>,
    oldest: u32,
    newest: u32,
    evictable: usize,
    evictions: u64,
    returns: u64,
}

impl BlockPool {
    /// A pool of blocks `0..num_blocks`, all free. Low ids are handed out first, so that a lightly
    /// loaded executor touches little memory.
    #[must_use]
    pub fn new(num_blocks: usize) -> Self {
        let count = u32::try_from(num_blocks).unwrap_or(NIL).min(NIL - 1);
        Self {
            slots: (0..count)
                .map(|_| Slot {
                    references: 0,
                    hash: None,
                    older: NIL,
                    newer: NIL,
                })
                .collect(),
            free: (0..count).rev().map(BlockId).collect(),
            index: HashMap::new(),
            oldest: NIL,
            newest: NIL,
            evictable: 0,
            evictions: 0,
            returns: 0,
        }
    }

    /// Blocks that [`allocate`](Self::allocate) could hand out right now.
    #[must_use]
    pub fn available(&self) -> usize {
        self.free.len() + self.evictable
    }

    /// Counts by state.
    #[must_use]
    pub fn load(&self) -> PoolLoad {
        PoolLoad {
            total: self.slots.len(),
            free: self.free.len(),
            evictable: self.evictable,
            referenced: self.slots.len() - self.available(),
            published: self.index.len(),
        }
    }

    /// Cached blocks whose contents were given up for new ones, since the start.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many times a block lost its last reference; unchanged means that nothing became
    /// available since.
    #[must_use]
    pub fn returns(&self) -> u64 {
        self.returns
    }

    /// Users of `block`.
    #[must_use]
    pub fn references(&self, block: BlockId) -> u32 {
        self.slot(block).map_or(0, |slot| slot.references)
    }

    /// Whether `block` is findable by its contents.
    #[must_use]
    pub fn is_published(&self, block: BlockId) -> bool {
        self.slot(block).is_some_and(|slot| slot.hash.is_some())
    }

    /// A block for the caller alone, contents undefined: a free one, else the least recently used
    /// cached one, whose contents are forgotten. `None` when every block is referenced.
    pub fn allocate(&mut self) -> Option<BlockId> {
        let block = match self.free.pop() {
            Some(block) => block,
            None => {
                let block = BlockId(self.oldest);
                self.slot(block)?;
                self.unlink(block);
                self.unpublish(block);
                self.evictions += 1;
                block
            }
        };
        if let Some(slot) = self.slot_mut(block) {
            slot.references = 1;
        }
        Some(block)
    }

    /// One more user of a block that is referenced or cached.
    pub fn retain(&mut self, block: BlockId) {
        let Some(slot) = self.slot_mut(block) else {
            debug_assert!(false, "retain of unknown {block:?}");
            return;
        };
        debug_assert!(
            slot.references > 0 || slot.hash.is_some(),
            "retain of free {block:?}"
        );
        slot.references += 1;
        if slot.references == 1 {
            self.unlink(block);
        }
    }

    /// One user less. The last one leaves a published block in the cache as its most recently used
    /// entry, and any other block free.
    pub fn release(&mut self, block: BlockId) {
        let Some(slot) = self.slot_mut(block) else {
            debug_assert!(false, "release of unknown {block:?}");
            return;
        };
        debug_assert!(slot.references > 0, "release of unreferenced {block:?}");
        if slot.references == 0 {
            return;
        }
        slot.references -= 1;
        if slot.references > 0 {
            return;
        }
        let published = slot.hash.is_some();
        self.returns += 1;
        if published {
            self.link_newest(block);
        } else {
            self.free.push(block);
        }
    }

    /// Releases a table from its end, so that a chain's tail is evicted before what it depends on:
    /// a prefix without its tail is still a hit, a tail without its prefix never is.
    pub fn release_all(&mut self, table: &mut Vec<BlockId>) {
        while let Some(block) = table.pop() {
            self.release(block);
        }
    }

    /// Makes the contents of a full, written, referenced block findable. When another block has
    /// the same contents already, that one stays and this one remains private.
    pub fn publish(&mut self, block: BlockId, hash: BlockHash) {
        let Some(slot) = self.slots.get_mut(block.0 as usize) else {
            debug_assert!(false, "publish of unknown {block:?}");
            return;
        };
        debug_assert!(slot.references > 0, "publish of unreferenced {block:?}");
        if slot.hash.is_some() || self.index.contains_key(&hash) {
            return;
        }
        slot.hash = Some(hash);
        self.index.insert(hash, block);
    }

    /// Takes a block's contents out of the cache, before somebody overwrites them.
    pub fn unpublish(&mut self, block: BlockId) {
        if let Some(hash) = self.slot_mut(block).and_then(|slot| slot.hash.take()) {
            self.index.remove(&hash);
        }
    }

    /// The block that holds the contents named `hash`. Not retained: do so before any other call.
    #[must_use]
    pub fn find(&self, hash: &BlockHash) -> Option<BlockId> {
        self.index.get(hash).copied()
    }

    fn slot(&self, block: BlockId) -> Option<&Slot> {
        self.slots.get(block.0 as usize)
    }

    fn slot_mut(&mut self, block: BlockId) -> Option<&mut Slot> {
        self.slots.get_mut(block.0 as usize)
    }

    /// Appends at the most recently used end.
    fn link_newest(&mut self, block: BlockId) {
        let previous = self.newest;
        if let Some(slot) = self.slot_mut(block) {
            slot.older = previous;
            slot.newer = NIL;
        }
        match self.slot_mut(BlockId(previous)) {
            Some(slot) => slot.newer = block.0,
            None => self.oldest = block.0,
        }
        self.newest = block.0;
        self.evictable += 1;
    }

    /// Removes from the list of evictable blocks.
    fn unlink(&mut self, block: BlockId) {
        let Some(slot) = self.slot_mut(block) else {
            return;
        };
        let (older, newer) = (slot.older, slot.newer);
        (slot.older, slot.newer) = (NIL, NIL);
        match self.slot_mut(BlockId(older)) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slot_mut(BlockId(newer)) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        self.evictable -= 1;
    }
}
