//! Blocks for rows: growth, copy-on-write, preemption, and giving everything back.

use super::plan::Plan;
use super::sequence::State;
use super::{Scheduler, SequenceOp};
use crate::executor::{BlockCopy, BlockId, SequenceId};
use crate::kv::blocks_for;

impl Scheduler {
    /// Lends blocks to work that is no request of this scheduler, with a number for its sequence. `None`
    /// while there are not enough that nobody uses. They come back with
    /// [`take_back`](Self::take_back), soon: running sequences may have to wait for them.
    pub fn lend(&mut self, blocks: usize) -> Option<(SequenceId, Vec<BlockId>)> {
        if blocks > self.pool.available() {
            return None;
        }
        let table: Option<Vec<BlockId>> = (0..blocks).map(|_| self.pool.allocate()).collect();
        Some((self.fresh_sequence_id(), table?))
    }

    /// Takes lent blocks back.
    pub fn take_back(&mut self, mut table: Vec<BlockId>) {
        self.pool.release_all(&mut table);
    }

    /// Makes sure that `id` can write positions up to `end`: enough blocks, and the one it writes
    /// into its own. Preempts younger sequences if it must. False leaves the sequence as it was.
    pub(super) fn reserve(&mut self, id: SequenceId, end: usize, plan: &mut Plan) -> bool {
        let block_size = self.config.block_size;
        loop {
            let Some(sequence) = self.sequences.get_mut(&id) else {
                return false;
            };
            let first = sequence.submitted / block_size;
            let shared = sequence
                .table
                .get(first)
                .copied()
                .filter(|&block| self.pool.references(block) > 1);
            let grow = blocks_for(end, block_size).saturating_sub(sequence.table.len());
            if grow + usize::from(shared.is_some()) > self.pool.available() {
                if self.preempt_younger_than(id, plan) {
                    continue;
                }
                return false;
            }
            if let Some(from) = shared {
                let (Some(to), Some(entry)) = (self.pool.allocate(), sequence.table.get_mut(first))
                else {
                    return false;
                };
                *entry = to;
                self.pool.release(from);
                plan.copies.push(BlockCopy { from, to });
            } else if let Some(&block) = sequence.table.get(first) {
                // Never a full block today; after a rejected speculation it may be.
                self.pool.unpublish(block);
            }
            for _ in 0..grow {
                let Some(block) = self.pool.allocate() else {
                    return false;
                };
                sequence.table.push(block);
            }
            return true;
        }
    }

    /// Takes the blocks of the youngest running sequence that is younger than `id`, has no row in
    /// flight and none in the plan. False if there is none.
    ///
    /// A user of a block that this plan copies from is spared: were it the last, the block could
    /// become another copy's target in the same step, and copies would depend on their order.
    fn preempt_younger_than(&mut self, id: SequenceId, plan: &Plan) -> bool {
        let Some(age) = self.sequences.get(&id).map(|sequence| sequence.age) else {
            return false;
        };
        let victim = self
            .running
            .iter()
            .rev()
            .take_while(|&(&other, _)| other > age)
            .map(|(_, &other)| other)
            .find(|other| {
                !plan.contains(*other)
                    && self.sequences.get(other).is_some_and(|sequence| {
                        sequence.rows_in_flight == 0
                            && !plan.copies.iter().any(|c| sequence.table.contains(&c.from))
                    })
            });
        let Some(victim) = victim else {
            return false;
        };
        self.preempt(victim);
        true
    }

    fn preempt(&mut self, id: SequenceId) {
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return;
        };
        self.pool.release_all(&mut sequence.table);
        sequence.state = State::Waiting;
        sequence.computed = 0;
        sequence.submitted = 0;
        sequence.published = 0;
        self.running.remove(&sequence.age);
        self.waiting.push_front(id);
        self.admissible += 1;
        self.queue_changed = true;
        self.counters.preemptions += 1;
    }

    /// Ends a sequence; what it holds comes back now, or when its last row in flight completes.
    pub(super) fn end_sequence(&mut self, id: SequenceId) {
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return;
        };
        if let Some(group) = self.groups.get_mut(&sequence.request)
            && let Some(choice) = group.choices.get_mut(sequence.choice as usize)
        {
            choice.ended = true;
        }
        match sequence.state {
            State::Waiting => {
                if let Some(at) = self.waiting.iter().position(|&other| other == id) {
                    self.waiting.remove(at);
                    self.admissible -= usize::from(at < self.admissible);
                }
                self.queue_changed = true;
            }
            State::Running => {
                self.running.remove(&sequence.age);
                // There is room now, which may be what a policy made others wait for.
                self.queue_changed = true;
            }
            State::Ended => {}
        }
        sequence.state = State::Ended;
        if sequence.rows_in_flight == 0 {
            self.remove_sequence(id);
        }
    }

    /// Forgets an ended sequence without rows in flight.
    pub(super) fn remove_sequence(&mut self, id: SequenceId) {
        let Some(mut sequence) = self.sequences.remove(&id) else {
            return;
        };
        self.pool.release_all(&mut sequence.table);
        if sequence.opened {
            self.ops.push(SequenceOp::Close { sequence: id });
        }
        if let Some(group) = self.groups.get_mut(&sequence.request) {
            group.sequences = group.sequences.saturating_sub(1);
            if group.sequences == 0 {
                self.groups.remove(&sequence.request);
            }
        }
    }
}
