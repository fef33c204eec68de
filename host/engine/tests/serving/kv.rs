//! The block pool against a model that searches where the pool links.

use std::collections::HashMap;

use atoll_engine::executor::{BlockId, TokenId};
use atoll_engine::kv::{BlockHash, BlockPool, PoolLoad};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Allocate,
    Retain(usize),
    Release(usize),
    Publish(usize, TokenId),
    Unpublish(usize),
    Find(TokenId),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Allocate),
        1 => any::<usize>().prop_map(Op::Retain),
        4 => any::<usize>().prop_map(Op::Release),
        3 => (any::<usize>(), 0u32..12).prop_map(|(i, n)| Op::Publish(i, n)),
        1 => any::<usize>().prop_map(Op::Unpublish),
        3 => (0u32..12).prop_map(Op::Find),
    ]
}

/// The pool as one would write it without caring for speed.
#[derive(Default)]
struct Naive {
    references: Vec<u32>,
    hash: Vec<Option<BlockHash>>,
    /// Unreferenced published blocks, least recently used first.
    lru: Vec<usize>,
}

impl Naive {
    fn free(&self) -> Vec<usize> {
        (0..self.references.len())
            .filter(|&b| self.references[b] == 0 && self.hash[b].is_none())
            .collect()
    }

    fn load(&self) -> PoolLoad {
        let referenced = self.references.iter().filter(|&&r| r > 0).count();
        PoolLoad {
            total: self.references.len(),
            free: self.free().len(),
            evictable: self.lru.len(),
            referenced,
            published: self.hash.iter().flatten().count(),
        }
    }

    fn find(&self, hash: &BlockHash) -> Option<usize> {
        self.hash.iter().position(|h| h.as_ref() == Some(hash))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pool_agrees_with_a_naive_one(blocks in 0usize..9, ops in prop::collection::vec(op(), 0..200)) {
        let mut pool = BlockPool::new(blocks);
        let mut naive = Naive {
            references: vec![0; blocks],
            hash: vec![None; blocks],
            lru: Vec::new(),
        };
        // One entry per reference held.
        let mut held: Vec<BlockId> = Vec::new();
        let root = BlockHash::root(&[]);
        for op in ops {
            match op {
                Op::Allocate => {
                    let free = naive.free();
                    match pool.allocate() {
                        Some(block) => {
                            let b = block.0 as usize;
                            prop_assert_eq!(naive.references[b], 0, "handed out while referenced");
                            if free.is_empty() {
                                prop_assert_eq!(naive.lru.remove(0), b, "not the least recently used");
                                naive.hash[b] = None;
                            } else {
                                prop_assert!(free.contains(&b), "evicted although a block was free");
                            }
                            naive.references[b] = 1;
                            held.push(block);
                        }
                        None => prop_assert!(free.is_empty() && naive.lru.is_empty()),
                    }
                }
                Op::Retain(i) if !held.is_empty() => {
                    let block = held[i % held.len()];
                    pool.retain(block);
                    naive.references[block.0 as usize] += 1;
                    held.push(block);
                }
                Op::Release(i) if !held.is_empty() => {
                    let block = held.swap_remove(i % held.len());
                    let b = block.0 as usize;
                    pool.release(block);
                    naive.references[b] -= 1;
                    if naive.references[b] == 0 && naive.hash[b].is_some() {
                        naive.lru.push(b);
                    }
                }
                Op::Publish(i, name) if !held.is_empty() => {
                    let block = held[i % held.len()];
                    let hash = root.child(&[name]);
                    pool.publish(block, hash);
                    let b = block.0 as usize;
                    if naive.hash[b].is_none() && naive.find(&hash).is_none() {
                        naive.hash[b] = Some(hash);
                    }
                }
                Op::Unpublish(i) if !held.is_empty() => {
                    let block = held[i % held.len()];
                    pool.unpublish(block);
                    naive.hash[block.0 as usize] = None;
                }
                Op::Find(name) => {
                    let hash = root.child(&[name]);
                    let found = pool.find(&hash);
                    prop_assert_eq!(found.map(|b| b.0 as usize), naive.find(&hash));
                    if let Some(block) = found {
                        let b = block.0 as usize;
                        pool.retain(block);
                        if naive.references[b] == 0 {
                            naive.lru.retain(|&other| other != b);
                        }
                        naive.references[b] += 1;
                        held.push(block);
                    }
                }
                _ => {}
            }
            prop_assert_eq!(pool.load(), naive.load());
            prop_assert_eq!(pool.available(), naive.free().len() + naive.lru.len());
            for b in 0..blocks {
                prop_assert_eq!(pool.references(BlockId(b as u32)), naive.references[b]);
                prop_assert_eq!(pool.is_published(BlockId(b as u32)), naive.hash[b].is_some());
            }
        }
        for block in held {
            pool.release(block);
        }
        prop_assert_eq!(pool.available(), blocks, "a block leaked");
    }

    #[test]
    fn a_hit_holds_exactly_the_prefix_and_the_salt(
        runs in prop::collection::vec((prop::collection::vec(0u32..2, 0..14), 0u8..2), 1..40),
        blocks in 1usize..12,
    ) {
        const SIZE: usize = 2;
        let mut pool = BlockPool::new(blocks);
        // What each block was last filled with: salt and every token up to its end.
        let mut contents: HashMap<BlockId, (u8, Vec<TokenId>)> = HashMap::new();
        for (tokens, salt) in runs {
            let mut hash = BlockHash::root(&[&[salt]]);
            let mut table = Vec::new();
            let mut hitting = true;
            for end in (SIZE..=tokens.len()).step_by(SIZE) {
                hash = hash.child(&tokens[end - SIZE..end]);
                let found = pool.find(&hash).filter(|_| hitting);
                let block = match found {
                    Some(block) => {
                        prop_assert_eq!(&contents[&block], &(salt, tokens[..end].to_vec()));
                        pool.retain(block);
                        block
                    }
                    None => {
                        hitting = false;
                        let Some(block) = pool.allocate() else { break };
                        contents.insert(block, (salt, tokens[..end].to_vec()));
                        pool.publish(block, hash);
                        block
                    }
                };
                prop_assert!(!table.contains(&block));
                table.push(block);
            }
            pool.release_all(&mut table);
            prop_assert_eq!(pool.available(), blocks);
        }
    }
}

#[test]
fn the_tail_of_a_chain_is_evicted_before_its_head() {
    let mut pool = BlockPool::new(3);
    let mut table = Vec::new();
    let mut hash = BlockHash::root(&[]);
    let mut names = Vec::new();
    for token in 0..3 {
        let block = pool.allocate().unwrap();
        hash = hash.child(&[token]);
        pool.publish(block, hash);
        names.push(hash);
        table.push(block);
    }
    pool.release_all(&mut table);
    pool.allocate().unwrap();
    assert!(pool.find(&names[0]).is_some());
    assert!(pool.find(&names[1]).is_some());
    assert!(pool.find(&names[2]).is_none());
    assert_eq!(pool.evictions(), 1);
}
