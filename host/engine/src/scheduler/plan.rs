//! [`Scheduler::schedule`]: the rows of the next step.

use std::collections::HashSet;

use super::sequence::{InFlightRow, InFlightStep, Sequence, State};
use super::{Schedule, Scheduler, SequenceOp};
use crate::executor::{BlockCopy, Row, SampleRequest, SequenceId, Step, StepId};

/// A step while it is put together.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub rows: Vec<Row>,
    pub copies: Vec<BlockCopy>,
    records: Vec<InFlightRow>,
    members: HashSet<SequenceId>,
    tokens: usize,
    /// A decode row found no block.
    starved: bool,
}

impl Plan {
    pub fn contains(&self, id: SequenceId) -> bool {
        self.members.contains(&id)
    }
}

impl Scheduler {
    /// Decides the next step and records it as in flight: the caller must carry out `ops`, then
    /// submit `step`, and later pass its output to [`complete`](Self::complete). With
    /// `max_steps_in_flight` steps under way it decides nothing, and only hands over `ops`.
    ///
    /// O(running) per call, plus O(blocks of its prompt) for each sequence admitted, plus the
    /// block tables copied into the rows.
    pub fn schedule(&mut self) -> Schedule {
        let mut events = Vec::new();
        let mut plan = Plan::default();
        if self.has_room_in_flight() {
            self.fork_ready();
            self.plan_decodes(&mut plan);
            // Memory is short for those that run already: let nobody in to make it shorter.
            if !plan.starved {
                self.admit(&mut events);
                self.fork_ready();
            }
            self.plan_prefills(&mut plan);
        }
        let step = self.seal(plan);
        Schedule {
            ops: std::mem::take(&mut self.ops),
            step,
            events,
        }
    }

    /// How far a sequence may be fed now: everything it knows, but for a leader with choices yet to
    /// fork, all but the last token.
    fn target(&self, sequence: &Sequence) -> usize {
        let unforked = self
            .groups
            .get(&sequence.request)
            .is_some_and(|group| !group.forked);
        sequence.tokens.len() - usize::from(unforked)
    }

    /// Tokens that could be fed now: 0 while the next one is still being drawn.
    fn ready(&self, sequence: &Sequence) -> usize {
        if sequence.awaiting {
            0
        } else {
            self.target(sequence).saturating_sub(sequence.submitted)
        }
    }

    /// Splits off the choices of every leader that has computed all but its last prompt token.
    fn fork_ready(&mut self) {
        let leaders: Vec<SequenceId> = self
            .running
            .values()
            .copied()
            .filter(|id| {
                self.sequences.get(id).is_some_and(|sequence| {
                    sequence.rows_in_flight == 0
                        && sequence.computed + 1 == sequence.prompt_len
                        && self
                            .groups
                            .get(&sequence.request)
                            .is_some_and(|group| !group.forked)
                })
            })
            .collect();
        for leader in leaders {
            self.fork(leader);
        }
    }

    fn fork(&mut self, leader: SequenceId) {
        let Some(parent) = self.sequences.get(&leader) else {
            return;
        };
        let Some(group) = self.groups.get_mut(&parent.request) else {
            return;
        };
        group.forked = true;
        let mut children = Vec::new();
        for (index, choice) in (0u32..).zip(&group.choices).skip(1) {
            if choice.ended {
                continue;
            }
            let id = SequenceId(self.next_sequence);
            self.next_sequence += 1;
            for &block in &parent.table {
                self.pool.retain(block);
            }
            self.ops.push(SequenceOp::Fork {
                parent: leader,
                child: id,
                sampling: choice.sampling.clone(),
            });
            children.push((
                id,
                Sequence {
                    request: parent.request,
                    choice: index,
                    age: (group.arrival, index),
                    state: State::Running,
                    tokens: parent.tokens.clone(),
                    prompt_len: parent.prompt_len,
                    computed: parent.computed,
                    submitted: parent.submitted,
                    rows_in_flight: 0,
                    awaiting: false,
                    table: parent.table.clone(),
                    chain: parent.chain.clone(),
                    published: parent.published,
                    opened: true,
                    known_to_executor: parent.known_to_executor,
                },
            ));
        }
        group.sequences += children.len();
        for (id, child) in children {
            self.running.insert(child.age, id);
            self.sequences.insert(id, child);
        }
    }

    /// Most decode rows of one step: an equal part of the running sequences for each stage.
    fn share(&self) -> usize {
        self.running.len().div_ceil(self.config.stages)
    }

    /// Most prompts of one step: an equal part, for each stage, of those being computed. Many short ones
    /// in one step would keep one stage busy while the others have nothing.
    fn prompt_share(&self) -> usize {
        let computing = self.running.values().filter(|id| {
            let sequence = self.sequences.get(id);
            sequence.is_some_and(|s| self.target(s).saturating_sub(s.computed) > 1)
        });
        computing.count().div_ceil(self.config.stages).max(1)
    }

    /// One row for each sequence that lacks a single token, oldest first, up to this step's share.
    fn plan_decodes(&mut self, plan: &mut Plan) {
        let decodes: Vec<SequenceId> = self
            .running
            .values()
            .copied()
            .filter(|id| self.sequences.get(id).is_some_and(|s| self.ready(s) == 1))
            .take(self.share())
            .collect();
        for id in decodes {
            if !self.plan_row(id, 1, plan) && self.is_running(id) {
                plan.starved = true;
            }
        }
    }

    /// Fills the token budget with prompts: half of it to the oldest, the rest to whoever needs
    /// least, what is left over to the oldest again.
    fn plan_prefills(&mut self, plan: &mut Plan) {
        let mut budget = self.config.max_tokens.saturating_sub(plan.tokens);
        let streaming = self
            .running
            .values()
            .filter_map(|id| self.sequences.get(id))
            .any(|sequence| sequence.generated() > 0);
        if streaming || self.config.stages > 1 {
            budget = budget.min(self.config.prefill_chunk.max(1));
        }
        let mut rows = self.config.max_rows.saturating_sub(plan.rows.len());
        let prompts = self.prompt_share();
        // Sequences admitted just now may lack a single token too.
        let mut decodes = self.share().saturating_sub(plan.rows.len());
        let waiting: Vec<(SequenceId, usize)> = self
            .running
            .values()
            .filter(|id| !plan.contains(**id))
            .filter_map(|&id| Some((id, self.ready(self.sequences.get(&id)?))))
            .filter(|&(_, ready)| match ready {
                0 => false,
                1 if self.config.stages > 1 => {
                    let room = decodes > 0;
                    decodes = decodes.saturating_sub(1);
                    room
                }
                _ => true,
            })
            .collect();
        if self.config.stages > 1 {
            let single = waiting.iter().filter(|&&(_, ready)| ready == 1).count();
            rows = rows.min(prompts + single);
        }
        for (id, tokens) in share(&waiting, budget, rows) {
            let count = self.aligned(id, tokens);
            // Blocks for known tokens were given at admission; only a copy-on-write can fail here.
            self.plan_row(id, count, plan);
        }
    }

    /// Ends a chunk that does not finish its prompt on a block boundary where it can: whole blocks
    /// can be published, and kernels like even sizes.
    fn aligned(&self, id: SequenceId, count: usize) -> usize {
        let Some(sequence) = self.sequences.get(&id) else {
            return count;
        };
        let end = sequence.submitted + count;
        let boundary = end - end % self.config.block_size;
        if end < self.target(sequence) && boundary > sequence.submitted {
            boundary - sequence.submitted
        } else {
            count
        }
    }

    fn is_running(&self, id: SequenceId) -> bool {
        self.sequences
            .get(&id)
            .is_some_and(|sequence| sequence.state == State::Running)
    }

    /// Adds a row of `count` tokens. False if there is no block for it, or if an earlier row of
    /// this plan preempted the sequence.
    fn plan_row(&mut self, id: SequenceId, count: usize, plan: &mut Plan) -> bool {
        if !self.is_running(id) {
            return false;
        }
        let Some(start) = self.sequences.get(&id).map(|s| s.submitted) else {
            return false;
        };
        let end = start + count;
        if !self.reserve(id, end, plan) {
            return false;
        }
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return false;
        };
        let Some(tokens) = sequence.tokens.get(start..end) else {
            debug_assert!(false, "a row beyond what is known");
            return false;
        };
        let blocks = end.div_ceil(self.config.block_size);
        // A leader with choices to fork never gets this far: its target is one token less.
        let draws = usize::from(end == sequence.tokens.len());
        plan.rows.push(Row {
            sequence: id,
            start,
            tokens: tokens.to_vec(),
            block_table: sequence.table.iter().take(blocks).copied().collect(),
            sample: (draws > 0).then_some(SampleRequest {
                positions: draws,
                mask: None,
            }),
        });
        plan.records.push(InFlightRow {
            sequence: id,
            end,
            draws,
        });
        plan.members.insert(id);
        plan.tokens += count;
        sequence.submitted = end;
        sequence.known_to_executor = sequence.known_to_executor.max(end);
        sequence.rows_in_flight += 1;
        sequence.awaiting = draws > 0;
        true
    }

    /// Turns a plan into a step in flight.
    fn seal(&mut self, plan: Plan) -> Option<Step> {
        if plan.rows.is_empty() {
            debug_assert!(plan.copies.is_empty(), "copies without the row they serve");
            return None;
        }
        let id = StepId(self.next_step);
        self.next_step += 1;
        self.in_flight.push_back(InFlightStep {
            id,
            rows: plan.records,
        });
        Some(Step {
            id,
            epoch: self.config.epoch,
            block_copies: plan.copies,
            rows: plan.rows,
        })
    }
}

/// Divides `budget` tokens over `waiting` (oldest first, each with its need), at most `rows` of
/// them. The oldest always gets something, so every prompt ends.
fn share(waiting: &[(SequenceId, usize)], budget: usize, rows: usize) -> Vec<(SequenceId, usize)> {
    let Some((&(oldest, need), others)) = waiting.split_first() else {
        return Vec::new();
    };
    if budget == 0 || rows == 0 {
        return Vec::new();
    }
    let mut first = need.min(budget.div_ceil(2));
    let mut left = budget - first;
    let mut result = Vec::new();
    let mut shortest: Vec<(usize, SequenceId)> =
        others.iter().map(|&(id, need)| (need, id)).collect();
    // Stable, so that among equals the older goes first.
    shortest.sort_by_key(|&(need, _)| need);
    for (need, id) in shortest.into_iter().take(rows - 1) {
        if left == 0 {
            break;
        }
        let given = need.min(left);
        left -= given;
        result.push((id, given));
    }
    first += left.min(need - first);
    result.insert(0, (oldest, first));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SequenceId = SequenceId(1);
    const B: SequenceId = SequenceId(2);
    const C: SequenceId = SequenceId(3);

    #[test]
    fn a_short_prompt_passes_a_long_one_which_keeps_half() {
        assert_eq!(
            share(&[(A, 1000), (B, 500), (C, 10)], 100, 8),
            vec![(A, 50), (C, 10), (B, 40)]
        );
        assert_eq!(share(&[(A, 1000), (C, 10)], 100, 8), vec![(A, 90), (C, 10)]);
        assert_eq!(share(&[(A, 30), (B, 500)], 100, 8), vec![(A, 30), (B, 70)]);
        assert_eq!(share(&[(A, 30), (B, 500)], 100, 1), vec![(A, 30)]);
        assert_eq!(share(&[(A, 30), (B, 500)], 1, 8), vec![(A, 1)]);
        assert_eq!(share(&[], 10, 8), vec![]);
        assert_eq!(share(&[(A, 3)], 0, 8), vec![]);
    }
}
