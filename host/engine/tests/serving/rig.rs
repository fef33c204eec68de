//! A scheduler on the fake executor, driven step by step, with the rules watched.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use atoll_engine::executor::{Capabilities, Executor, RowError, SequenceId, Step, TokenId};
use atoll_engine::sampling::SamplingParams;
use atoll_engine::scheduler::{
    Event, Finish, FirstComeFirstServed, QueuePolicy, Request, RequestId, Scheduler,
    SchedulerConfig, SequenceOp,
};
use atoll_engine::testing::{FakeExecutor, FakeFaults, small_capabilities};

pub const VOCAB: usize = 24;

pub fn sampling(seed: u64) -> Arc<SamplingParams> {
    Arc::new(SamplingParams {
        seed,
        ..SamplingParams::default()
    })
}

pub fn request(id: u64, prompt: &[TokenId], seeds: &[u64], max_tokens: usize) -> Request {
    Request {
        id: RequestId(id),
        prompt: prompt.into(),
        choices: seeds.iter().map(|&seed| sampling(seed)).collect(),
        max_tokens: Some(max_tokens),
        stop_tokens: Arc::new([]),
        cache_salt: None,
        priority: 0,
        owner: "".into(),
    }
}

/// A scheduler and an executor joined as the engine loop joins them, watching the rules.
pub struct Rig {
    pub scheduler: Scheduler,
    pub executor: FakeExecutor,
    pub outputs: BTreeMap<(RequestId, u32), Vec<TokenId>>,
    pub finished: BTreeMap<(RequestId, u32), Option<Finish>>,
    pub failed: BTreeMap<(RequestId, u32), RowError>,
    pub cached: HashMap<RequestId, usize>,
    /// In the order in which they were let in.
    pub started: Vec<RequestId>,
    pub rejected: HashSet<RequestId>,
    /// Cut a choice short after so many tokens, as a stop string would.
    pub cut: HashMap<(RequestId, u32), usize>,
    pub steps: Vec<Step>,
    pub in_flight: VecDeque<Step>,
    pub preempted: usize,
    /// Sequences that know the token to feed next; blocks available when they were left out.
    pub decodable: HashMap<SequenceId, Option<usize>>,
}

impl Rig {
    pub fn new(config: SchedulerConfig, capabilities: Capabilities, faults: FakeFaults) -> Self {
        Self::with_policy(config, capabilities, faults, Box::new(FirstComeFirstServed))
    }

    pub fn with_policy(
        config: SchedulerConfig,
        capabilities: Capabilities,
        faults: FakeFaults,
        policy: Box<dyn QueuePolicy>,
    ) -> Self {
        Self {
            scheduler: Scheduler::new(config, policy),
            executor: FakeExecutor::new(capabilities, faults),
            outputs: BTreeMap::new(),
            finished: BTreeMap::new(),
            failed: BTreeMap::new(),
            cached: HashMap::new(),
            started: Vec::new(),
            rejected: HashSet::new(),
            cut: HashMap::new(),
            steps: Vec::new(),
            in_flight: VecDeque::new(),
            preempted: 0,
            decodable: HashMap::new(),
        }
    }

    pub fn of(capabilities: Capabilities) -> Self {
        let config = SchedulerConfig::new(&capabilities);
        Self::new(config, capabilities, FakeFaults::default())
    }

    /// Schedules once. True if a step was submitted.
    pub fn schedule(&mut self) -> bool {
        let had_room = self.scheduler.has_room_in_flight();
        let schedule = self.scheduler.schedule();
        for op in schedule.ops {
            match op {
                SequenceOp::Open { sequence, spec } => self.executor.open(sequence, spec),
                SequenceOp::Fork {
                    parent,
                    child,
                    sampling,
                } => self.executor.fork(parent, child, sampling),
                SequenceOp::Truncate { sequence, len } => {
                    self.preempted += 1;
                    self.decodable.remove(&sequence);
                    self.executor.truncate(sequence, len)
                }
                SequenceOp::Close { sequence } => {
                    self.decodable.remove(&sequence);
                    self.executor.close(sequence)
                }
            }
            .expect("the executor refused a call");
        }
        for event in schedule.events {
            match event {
                Event::Started {
                    request,
                    cached_tokens,
                } => {
                    assert!(!self.rejected.contains(&request), "refused, then started");
                    assert!(self.cached.insert(request, cached_tokens).is_none());
                    self.started.push(request);
                }
                Event::Rejected { request } => {
                    assert!(!self.cached.contains_key(&request), "refused while it ran");
                    assert!(self.rejected.insert(request));
                }
                _ => {}
            }
        }
        let Some(step) = schedule.step else {
            return false;
        };
        assert!(had_room, "a step beyond the executor's depth");
        let rows: HashMap<SequenceId, usize> = step
            .rows
            .iter()
            .map(|row| (row.sequence, row.tokens.len()))
            .collect();
        let available = self.scheduler.pool().available();
        let mut served = Vec::new();
        for (&sequence, left_out) in &mut self.decodable {
            match (rows.get(&sequence), *left_out) {
                (Some(_), before) => {
                    if self.executor.capabilities().stages > 1 {
                        // A full share leaves rows out; that all have their turn is the oracle's
                        // to see.
                        served.push(sequence);
                        continue;
                    }
                    // Left out earlier and not preempted since: only for want of a block.
                    assert!(matches!(before, None | Some(0)), "{sequence:?} was skipped");
                    served.push(sequence);
                }
                (None, None) => *left_out = Some(available),
                // Once for want of a block is remembered unless it was for something worse.
                (None, Some(before)) => *left_out = Some(before.max(available)),
            }
        }
        for sequence in served {
            self.decodable.remove(&sequence);
        }
        self.executor
            .submit(step.clone())
            .expect("the executor refused a step");
        self.in_flight.push_back(step.clone());
        self.steps.push(step);
        true
    }

    pub fn complete(&mut self) {
        let output = self.executor.complete().expect("the executor failed");
        let step = self.in_flight.pop_front().expect("in flight");
        let drew: Vec<SequenceId> = step
            .rows
            .iter()
            .filter(|row| row.sample.is_some())
            .map(|row| row.sequence)
            .collect();
        let mut ended = HashSet::new();
        for event in self.scheduler.complete(output).expect("protocol") {
            match event {
                Event::Token {
                    request,
                    choice,
                    sampled,
                    finish,
                } => {
                    let key = (request, choice);
                    assert!(!self.finished.contains_key(&key), "a token after the end");
                    let output = self.outputs.entry(key).or_default();
                    output.push(sampled.token);
                    if finish.is_some() {
                        self.finished.insert(key, finish);
                        ended.insert(key);
                    } else if self.cut.get(&key) == Some(&output.len()) {
                        self.finished.insert(key, None);
                        self.scheduler.finish_choice(request, choice);
                    }
                }
                Event::Failed {
                    request,
                    choice,
                    error,
                } => {
                    assert!(self.failed.insert((request, choice), error).is_none());
                }
                Event::Prefilled { .. } | Event::Started { .. } | Event::Rejected { .. } => {}
            }
        }
        for sequence in drew {
            self.decodable.insert(sequence, None);
        }
    }

    pub fn run(&mut self) {
        let mut quiet = 0;
        while !self.scheduler.is_idle() {
            while self.schedule() {}
            if self.scheduler.steps_in_flight() > 0 {
                self.complete();
                quiet = 0;
            } else {
                quiet += 1;
                assert!(quiet < 3, "nothing runs and nothing is done");
            }
        }
        self.settle();
    }

    pub fn settle(&self) {
        assert!(self.scheduler.is_idle());
        assert_eq!(self.scheduler.pool().load().referenced, 0, "a block leaked");
        assert_eq!(self.executor.open_sequences(), 0, "a sequence stayed open");
    }

    pub fn output(&self, request: u64, choice: u32) -> &[TokenId] {
        self.outputs
            .get(&(RequestId(request), choice))
            .map_or(&[], Vec::as_slice)
    }
}

pub fn alone(prompt: &[TokenId], seed: u64, max: usize, stop: &[TokenId]) -> Vec<TokenId> {
    FakeExecutor::oracle(VOCAB, prompt, &sampling(seed), max, stop)
}

pub fn capabilities() -> Capabilities {
    Capabilities {
        vocab_size: VOCAB,
        ..small_capabilities()
    }
}
