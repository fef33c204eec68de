//! One question for a placement: the cluster, the model, and what is wished for.

use std::ops::Range;

use atoll_sdk::placement::{ModelFacts, Objective, Options, Topology};
use atoll_sdk::types::Error;

use crate::cluster::Cluster;
use crate::shape::{OptionHints, Shape};
use crate::unit::Unit;

/// A question, in numbers that can be computed with.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Where.
    pub cluster: Cluster,
    /// What.
    pub shape: Shape,
    /// What is best.
    pub objective: Objective,
    /// Most stages; no more than there are layers or machines.
    pub max_stages: usize,
    /// Whether the options set that limit, rather than the sizes of things.
    pub limited: bool,
    /// Exactly so many stages are wished for.
    pub exactly: Option<usize>,
    /// Sizes of tensor-parallel groups, as the model allows.
    pub group_sizes: Vec<u32>,
}

/// A stage on machines, by index into the cluster's.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Its layers.
    pub layers: Range<usize>,
    /// Its machines.
    pub machines: Vec<usize>,
    /// The executor on each.
    pub kind: String,
}

impl Problem {
    /// # Errors
    /// A model without layers, extensions that cannot be read, no node that could be used, or a number of
    /// stages that there cannot be.
    pub fn new(topology: &Topology, model: &ModelFacts, options: &Options) -> Result<Self, Error> {
        let cluster = Cluster::new(topology, &options.excluded);
        if cluster.machines.is_empty() {
            return Err(Error::unsupported(
                "topology.nodes",
                "No node has an executor whose memory bandwidth is known.",
            ));
        }
        let shape = Shape::new(model, options)?;
        let most = cluster.machines.len().min(shape.layers());
        let exactly = OptionHints::of(options)?.stages;
        let exactly = exactly.map(|stages| stages as usize);
        if let Some(stages) = exactly.filter(|stages| !(1..=most).contains(stages)) {
            let message = format!(
                "{stages} stages were asked for, and {} layers on {} usable nodes make 1 to {most}.",
                shape.layers(),
                cluster.machines.len(),
            );
            return Err(Error::invalid("options.ext.stages", message));
        }
        let wished = options.max_stages.map(|stages| stages as usize);
        let wished = wished.into_iter().chain(exactly).min().unwrap_or(most);
        Ok(Self {
            max_stages: wished.min(most),
            limited: wished < most || exactly.is_some(),
            exactly,
            cluster,
            shape,
            objective: options.objective,
            group_sizes: model.tensor_parallel_sizes.clone(),
        })
    }

    /// What the cost of a plan so far becomes by one more part of it, a stage or a link.
    #[must_use]
    pub fn join(&self, so_far: f64, part: f64) -> f64 {
        match self.objective {
            Objective::Latency => so_far + part,
            Objective::Throughput => so_far.max(part),
        }
    }

    /// What the searches minimise: the sum of all stages and links, or the longest. `None` for a plan
    /// that uses what is not there, or whose stages do not fit.
    #[must_use]
    pub fn cost(&self, stages: &[Placed]) -> Option<f64> {
        let mut cost = 0.0;
        let mut before: Option<&Placed> = None;
        for stage in stages {
            let unit = Unit::of(&self.cluster, &self.shape, &stage.machines, &stage.kind)?;
            if !unit.holds(&self.shape, stage.layers.clone()) {
                return None;
            }
            if let Some(before) = before {
                let bytes = self.shape.hidden_bytes;
                let crossing = self
                    .cluster
                    .crossing(&before.machines, &stage.machines, bytes)?;
                cost = self.join(cost, crossing);
            }
            cost = self.join(cost, unit.seconds(stage.layers.clone()));
            before = Some(stage);
        }
        Some(cost)
    }
}
