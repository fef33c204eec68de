//! Who may come in: [`Scheduler::add`], and from the queue into the running set.

use super::policy::{QueueLoad, WaitingFacts, sanitize};
use super::sequence::{Choice, Group, Sequence, State};
use super::{AddError, Event, Finish, Request, Scheduler, SequenceOp};
use crate::executor::{BlockId, SequenceId, SequenceSpec};
use crate::kv::{BlockPool, blocks_for};

impl Scheduler {
    /// Puts a request into the waiting queue.
    ///
    /// # Errors
    /// [`AddError`], each of which leaves the scheduler unchanged.
    pub fn add(&mut self, request: Request) -> Result<(), AddError> {
        let prompt_len = request.prompt.len();
        let choices = request.choices.len();
        if prompt_len == 0 {
            return Err(AddError::EmptyPrompt);
        }
        if choices == 0 || request.max_tokens == Some(0) {
            return Err(AddError::NothingAsked);
        }
        if self.groups.contains_key(&request.id) {
            return Err(AddError::Duplicate(request.id));
        }
        let max_running = self.config.max_running();
        if choices > max_running {
            return Err(AddError::TooManyChoices {
                choices,
                max: max_running,
            });
        }
        let max_prompt = self.config.max_positions.saturating_sub(1);
        if prompt_len > max_prompt {
            return Err(AddError::ContextOverflow {
                tokens: prompt_len,
                max: max_prompt,
            });
        }
        let (max_new, at_max) = self.longest_answer(prompt_len, choices, request.max_tokens)?;
        let queued = self.queued_requests();
        let could_start = max_running.saturating_sub(self.running_width());
        if queued >= self.config.max_waiting.max(1).saturating_add(could_start) {
            return Err(AddError::QueueFull { waiting: queued });
        }

        let arrival = self.next_arrival;
        self.next_arrival += 1;
        let id = self.fresh_sequence_id();
        let root = self.cache_root(request.cache_salt.as_deref());
        self.sequences.insert(
            id,
            Sequence {
                request: request.id,
                choice: 0,
                age: (arrival, 0),
                state: State::Waiting,
                tokens: request.prompt.to_vec(),
                prompt_len,
                computed: 0,
                submitted: 0,
                rows_in_flight: 0,
                awaiting: false,
                table: Vec::new(),
                chain: vec![root],
                published: 0,
                opened: false,
                known_to_executor: prompt_len,
            },
        );
        self.groups.insert(
            request.id,
            Group {
                prompt: request.prompt,
                stop_tokens: request.stop_tokens,
                choices: request
                    .choices
                    .into_iter()
                    .map(|sampling| Choice {
                        sampling,
                        ended: false,
                    })
                    .collect(),
                arrival,
                priority: request.priority,
                owner: request.owner,
                max_new,
                at_max,
                forked: choices == 1,
                started: false,
                sequences: 1,
            },
        );
        self.waiting.push_back(id);
        self.queue_changed = true;
        Ok(())
    }

    /// How many tokens each choice may draw and what reaching that means, or that the wish cannot
    /// be met even by an otherwise empty executor.
    fn longest_answer(
        &self,
        prompt_len: usize,
        choices: usize,
        max_tokens: Option<usize>,
    ) -> Result<(usize, Finish), AddError> {
        let context = self.config.max_positions - prompt_len;
        let total = self.config.num_blocks;
        let block_size = self.config.block_size;
        // All but the last prompt token are computed once; full blocks of them stay shared. The
        // last token drawn is never fed, so it needs no room.
        let shared = (prompt_len - 1) / block_size;
        let needed = |new: usize| {
            let each = blocks_for(prompt_len + new - 1, block_size) - shared;
            shared.saturating_add(choices.saturating_mul(each))
        };
        let (wanted, at_max) = match max_tokens {
            Some(wanted) if wanted <= context => (wanted, Finish::Length),
            Some(_) => (context, Finish::ContextWindow),
            None => {
                let own = total.saturating_sub(shared) / choices;
                let positions = shared.saturating_add(own).saturating_mul(block_size);
                let room = positions.saturating_add(1).saturating_sub(prompt_len);
                (context.min(room).max(1), Finish::ContextWindow)
            }
        };
        if needed(wanted) > total {
            return Err(AddError::NeverFits {
                needed: needed(wanted),
                total,
            });
        }
        Ok((wanted, at_max))
    }

    /// Requests that were never admitted.
    fn queued_requests(&self) -> usize {
        self.groups.values().filter(|group| !group.started).count()
    }

    /// Rows that the running sequences may need at once; one yet to fork counts all its choices.
    pub(super) fn running_width(&self) -> usize {
        self.running
            .values()
            .filter_map(|id| self.sequences.get(id))
            .map(|sequence| self.width(sequence))
            .sum()
    }

    fn width(&self, sequence: &Sequence) -> usize {
        match self.groups.get(&sequence.request) {
            Some(group) if !group.forked => group.width(),
            _ => 1,
        }
    }

    /// Admits from the front of the queue for as long as rows and blocks suffice.
    pub(super) fn admit(&mut self, events: &mut Vec<Event>) {
        if self.waiting.is_empty() {
            return;
        }
        if std::mem::take(&mut self.queue_changed) {
            self.reorder(events);
            self.blocked = None;
        }
        if self.running.is_empty() && self.admissible == 0 {
            self.admissible = self.waiting.len();
        }
        let mut width = self.running_width();
        while let (Some(&id), 1..) = (self.waiting.front(), self.admissible) {
            let attempt = (id, self.pool.returns(), width);
            if self.blocked == Some(attempt) {
                return;
            }
            let wanted = self.sequences.get(&id).map_or(0, |s| self.width(s));
            if width + wanted > self.config.max_running() || !self.admit_one(id, wanted, events) {
                self.blocked = Some(attempt);
                return;
            }
            self.waiting.pop_front();
            self.admissible -= 1;
            width += wanted;
        }
    }

    /// Gives `id` the blocks for all tokens it knows, if they are available beside a reserve for
    /// those that run.
    fn admit_one(&mut self, id: SequenceId, width: usize, events: &mut Vec<Event>) -> bool {
        let block_size = self.config.block_size;
        // One block for each running sequence to grow into and for each choice's own copy of the
        // last prompt block, so that admission does not lead straight to preemption. Bounded, and
        // nothing when nothing runs, so that a request that fits alone always gets in.
        let reserve = match self.running.len() {
            0 => 0,
            running => (running + width - 1).min(self.config.num_blocks / 8),
        };
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return true;
        };
        let total = blocks_for(sequence.tokens.len(), block_size);
        let hits = match self.config.prefix_cache {
            true => cached_blocks(sequence, &self.pool, block_size),
            false => Vec::new(),
        };
        let unused = hits.iter().filter(|&&hit| self.pool.references(hit) == 0);
        let revived = unused.count();
        let fresh = total - hits.len();
        if fresh + reserve > self.pool.available() - revived {
            return false;
        }
        for &block in &hits {
            self.pool.retain(block);
        }
        let cached = hits.len();
        let mut table = hits;
        while table.len() < total {
            let Some(block) = self.pool.allocate() else {
                // Unreachable by the count above; undo rather than run with a short table.
                debug_assert!(false, "the pool had fewer blocks than it said");
                self.pool.release_all(&mut table);
                return false;
            };
            table.push(block);
        }
        sequence.table = table;
        sequence.published = cached;
        sequence.computed = cached * block_size;
        sequence.submitted = sequence.computed;
        sequence.state = State::Running;
        self.running.insert(sequence.age, id);
        let start = sequence.submitted;
        let Some(group) = self.groups.get_mut(&sequence.request) else {
            return true;
        };
        if sequence.opened {
            sequence.known_to_executor = start;
            self.ops.push(SequenceOp::Truncate {
                sequence: id,
                len: start,
            });
        } else if let Some(choice) = group.choices.first() {
            sequence.opened = true;
            self.ops.push(SequenceOp::Open {
                sequence: id,
                spec: SequenceSpec {
                    sampling: choice.sampling.clone(),
                    prompt: group.prompt.clone(),
                },
            });
        }
        if !std::mem::replace(&mut group.started, true) {
            self.counters.prompt_tokens += sequence.prompt_len as u64;
            self.counters.hit_tokens += start as u64;
            events.push(Event::Started {
                request: sequence.request,
                cached_tokens: start,
            });
        }
        true
    }

    /// Asks the policy for the queue's order, and who is to be refused.
    fn reorder(&mut self, events: &mut Vec<Event>) {
        let look_up = self.config.prefix_cache && self.policy.wants_cache_hits();
        let mut facts: Vec<WaitingFacts> = Vec::with_capacity(self.waiting.len());
        for &id in &self.waiting {
            let Some(sequence) = self.sequences.get_mut(&id) else {
                continue;
            };
            let Some(group) = self.groups.get(&sequence.request) else {
                continue;
            };
            let cached = match look_up {
                true => cached_blocks(sequence, &self.pool, self.config.block_size).len(),
                false => 0,
            };
            facts.push(WaitingFacts {
                request: sequence.request,
                sequence: id,
                arrival: group.arrival,
                owner: group.owner.clone(),
                priority: group.priority,
                tokens: sequence.tokens.len(),
                cached_tokens: cached * self.config.block_size,
                max_new_tokens: group.max_new.saturating_sub(sequence.generated()),
                choices: if group.forked { 1 } else { group.width() },
                preempted: group.started,
            });
        }
        debug_assert_eq!(facts.len(), self.waiting.len(), "a waiting id is unknown");
        let recent = self.recent.all();
        let load = QueueLoad {
            running: self.running.len(),
            max_running: self.config.max_running(),
            free_blocks: self.pool.available(),
            total_blocks: self.config.num_blocks,
            recent: &recent,
        };
        let decided = sanitize(&self.policy.order(&facts, &load), &facts);
        self.admissible = decided.admitted.len();
        let order = decided.admitted.iter().chain(&decided.held);
        self.waiting = order
            .filter_map(|&index| facts.get(index).map(|facts| facts.sequence))
            .collect();
        for facts in decided
            .rejected
            .iter()
            .filter_map(|&index| facts.get(index))
        {
            events.push(Event::Rejected {
                request: facts.request,
            });
            self.cancel(facts.request);
        }
        // Ending those that wait is no news: nobody else's turn depends on it.
        self.queue_changed = false;
    }
}

/// Blocks in the prefix cache that hold the beginning of what a sequence knows.
fn cached_blocks(sequence: &mut Sequence, pool: &BlockPool, block_size: usize) -> Vec<BlockId> {
    // The last known token is always computed: somebody must draw from its logits.
    let usable = (sequence.tokens.len() - 1).min(sequence.known_to_executor);
    (0..usable / block_size)
        .map_while(|index| pool.find(&sequence.block_hash(index, block_size)?))
        .collect()
}
