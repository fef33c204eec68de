//! What a plan costs: decode, prefill, memory, and what holds it back.

use atoll_sdk::placement::Plan;

use crate::problem::{Placed, Problem};
use crate::unit::{Unit, engine};

/// Prompt tokens that a stage takes at once.
pub const PREFILL_CHUNK: u64 = 256;

/// What to expect of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Seconds per decoded token of one sequence, the way of the token back to the first stage included.
    pub latency: f64,
    /// Tokens per second with all stages busy.
    pub throughput: f64,
    /// Stages in order.
    pub stages: Vec<StagePrediction>,
    /// Seconds from each stage to the next.
    pub hops: Vec<f64>,
    /// Seconds of the token back from the last stage to the first.
    pub back: f64,
    /// What takes longest.
    pub bottleneck: Bottleneck,
}

/// What to expect of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePrediction {
    /// Seconds per decoded token, [`Self::overhead`] and [`Self::exchange`] included.
    pub seconds: f64,
    /// Of those, measured overhead of its layers.
    pub overhead: f64,
    /// Of those, all-reduces of a tensor-parallel group.
    pub exchange: f64,
    /// Bytes that each of its nodes needs: weights, KV memory, hidden states.
    pub bytes: u64,
    /// Of those, KV memory.
    pub kv_bytes: u64,
    /// Bytes that each of its nodes may use; the least of them.
    pub available: u64,
}

/// What takes the most of a token's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bottleneck {
    /// Reading and arithmetic of this stage.
    Stage(usize),
    /// Overheads of all layers together.
    Overhead,
    /// All-reduces inside tensor-parallel groups.
    Exchange,
    /// The links between the stages.
    Links,
}

impl Problem {
    /// What to expect of these stages; `None` for a plan that uses what is not there, or whose stages
    /// do not fit.
    #[must_use]
    pub fn predict(&self, stages: &[Placed]) -> Option<Prediction> {
        let bytes = self.shape.hidden_bytes;
        let hops: Vec<f64> = stages
            .windows(2)
            .map(|pair| match pair {
                [from, to] => self.cluster.crossing(&from.machines, &to.machines, bytes),
                _ => None,
            })
            .collect::<Option<_>>()?;
        // An id or two: bytes that no bandwidth notices.
        let back = match stages {
            [first, .., last] => {
                let cluster = &self.cluster;
                cluster.crossing(&last.machines, first.machines.get(..1)?, 8.0)?
            }
            _ => 0.0,
        };
        let parts: Vec<StagePrediction> = stages
            .iter()
            .map(|stage| self.predict_stage(stage))
            .collect::<Option<_>>()?;
        let longest = parts
            .iter()
            .map(|part| part.seconds)
            .chain(hops.iter().copied())
            .fold(0.0, f64::max);
        let sum: f64 = parts.iter().map(|part| part.seconds).sum();
        let latency = sum + hops.iter().sum::<f64>() + back;
        Some(Prediction {
            latency,
            throughput: 1.0 / longest,
            bottleneck: bottleneck(&parts, hops.iter().sum::<f64>() + back),
            stages: parts,
            hops,
            back,
        })
    }

    fn predict_stage(&self, stage: &Placed) -> Option<StagePrediction> {
        let shape = &self.shape;
        let unit = Unit::of(&self.cluster, shape, &stage.machines, &stage.kind)?;
        if !unit.holds(shape, stage.layers.clone()) {
            return None;
        }
        let overheads = stage.machines.iter().map(|&machine| {
            engine(&self.cluster, machine, &stage.kind).map_or(0.0, |engine| engine.overhead)
        });
        let layers = stage.layers.len() as f64;
        let exchange = match stage.machines.len() {
            0 | 1 => 0.0,
            _ => {
                2.0 * self
                    .cluster
                    .all_reduce(&stage.machines, shape.hidden_bytes)?
            }
        };
        let parts = stage.machines.len() as u64;
        Some(StagePrediction {
            seconds: unit.seconds(stage.layers.clone()),
            overhead: layers * overheads.fold(0.0, f64::max),
            exchange: layers * exchange,
            bytes: shape.memory(stage.layers.clone(), parts),
            kv_bytes: shape.kv(stage.layers.clone()).div_ceil(parts.max(1)),
            available: unit.memory,
        })
    }

    /// Tokens per second that a prompt of `tokens` is taken in with: chunks follow each other through
    /// the stages. `None` where a matrix rate or the size of a weight is not known.
    #[must_use]
    pub fn prefill(&self, stages: &[Placed], tokens: u64) -> Option<f64> {
        let rows = PREFILL_CHUNK.min(tokens).max(1);
        let chunks = tokens.div_ceil(rows) as f64;
        let bytes = self.shape.hidden_bytes * rows as f64;
        let mut parts = Vec::new();
        for (at, stage) in stages.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| stages.get(before));
            if let Some(before) = before {
                let cluster = &self.cluster;
                parts.push(cluster.crossing(&before.machines, &stage.machines, bytes)?);
            }
            parts.push(self.prefill_stage(stage, rows as f64, bytes)?);
        }
        let longest = parts.iter().copied().fold(0.0, f64::max);
        let seconds = parts.iter().sum::<f64>() + (chunks - 1.0) * longest;
        Some(tokens as f64 / seconds)
    }

    /// Seconds of one chunk: every weight is read once, whatever the experts, and all rows computed.
    fn prefill_stage(&self, stage: &Placed, rows: f64, bytes: f64) -> Option<f64> {
        let engines: Vec<_> = stage
            .machines
            .iter()
            .map(|&machine| engine(&self.cluster, machine, &stage.kind))
            .collect::<Option<_>>()?;
        let parts = engines.len() as f64;
        let bandwidth = engines.iter().map(|engine| engine.bandwidth);
        let bandwidth = parts * bandwidth.fold(f64::INFINITY, f64::min);
        let rates: Vec<f64> = engines
            .iter()
            .map(|engine| engine.rate)
            .collect::<Option<_>>()?;
        let rate = parts * rates.into_iter().fold(f64::INFINITY, f64::min);
        let overhead = engines.iter().map(|engine| engine.overhead);
        let mut each = overhead.fold(0.0, f64::max);
        if engines.len() > 1 {
            each += 2.0 * self.cluster.all_reduce(&stage.machines, bytes)?;
        }
        let layers = stage.layers.clone().map(|layer| {
            let work = *self.shape.multiply_adds.get(layer)?;
            let weights = self.shape.weights(layer..layer + 1) as f64;
            (work > 0.0).then(|| (weights / bandwidth).max(rows * work / rate) + each)
        });
        layers.sum()
    }

    /// These stages as a plan of the contract. `None` as for [`Self::predict`].
    #[must_use]
    pub fn plan(&self, stages: &[Placed], explanation: String) -> Option<Plan> {
        let prediction = self.predict(stages)?;
        let stage = |stage: &Placed| {
            Some(atoll_sdk::placement::Stage {
                first: u32::try_from(stage.layers.start).ok()?,
                end: u32::try_from(stage.layers.end).ok()?,
                nodes: stage
                    .machines
                    .iter()
                    .map(|&machine| self.cluster.machines[machine].id.clone())
                    .collect(),
                executor: stage.kind.clone(),
            })
        };
        Some(Plan {
            stages: stages.iter().map(stage).collect::<Option<_>>()?,
            predicted_latency: prediction.latency,
            predicted_throughput: prediction.throughput,
            explanation,
        })
    }

    /// The stages of a plan of the contract; `None` if it names nodes that cannot be used, or ranges
    /// that are not the layers in order.
    #[must_use]
    pub fn placed(&self, plan: &Plan) -> Option<Vec<Placed>> {
        let mut expected = 0;
        let mut stages = Vec::new();
        for stage in &plan.stages {
            let layers = stage.first as usize..stage.end as usize;
            if layers.start != expected || layers.is_empty() || stage.nodes.is_empty() {
                return None;
            }
            expected = layers.end;
            let machines = stage.nodes.iter().map(|node| self.cluster.find(node));
            stages.push(Placed {
                layers,
                machines: machines.collect::<Option<_>>()?,
                kind: stage.executor.clone(),
            });
        }
        (expected == self.shape.layers()).then_some(stages)
    }
}

fn bottleneck(stages: &[StagePrediction], links: f64) -> Bottleneck {
    let overhead: f64 = stages.iter().map(|stage| stage.overhead).sum();
    let exchange: f64 = stages.iter().map(|stage| stage.exchange).sum();
    let own = stages.iter().enumerate().map(|(at, stage)| {
        let own = stage.seconds - stage.overhead - stage.exchange;
        (own, Bottleneck::Stage(at))
    });
    let all = own.chain([
        (overhead, Bottleneck::Overhead),
        (exchange, Bottleneck::Exchange),
        (links, Bottleneck::Links),
    ]);
    all.max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(Bottleneck::Overhead, |(_, what)| what)
}
