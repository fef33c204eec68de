//! Where a model runs: strategies propose, the host decides.
//!
//! A [`PlacementStrategy`] sees a [`PlacementRequest`] and answers with plans, best first. [`place`]
//! takes the first that passes [`check`], whoever made it; if a strategy fails, proposes nothing or
//! nothing that can be carried out, the next one decides, the host's own [`Proportional`] last, and the
//! [`Placement`] says so. A strategy can therefore be wrong, slow or hostile and costs nobody a model that fits.

mod records;

use std::fmt;

use atoll_engine::model::{AttentionSpec, LayerSpec, MlpSpec, ModelSpec, NormSpec, WeightSpec};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;

pub use self::records::{
    Executor, LayerFacts, Link, ModelFacts, Node, Objective, Options, ProposedPlan, ProposedStage,
    Topology,
};
use crate::identity::NodeId;
use crate::plan::{Budget, Needs, Plan, PlanError, PlannedStage, proportional, validate};

/// Most proposals of one strategy that are looked at; the rest is dropped.
const MAX_PROPOSALS: usize = 64;

/// Everything that a strategy is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlacementRequest {
    /// Machines and links.
    pub topology: Topology,
    /// The model.
    pub model: ModelFacts,
    /// What is wanted.
    pub options: Options,
    /// What runs now, if anything.
    pub previous: Option<ProposedPlan>,
}

/// Why a strategy has no answer, in words that name it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("placement strategy {strategy}: {reason}")]
pub struct StrategyError {
    /// Its name.
    pub strategy: String,
    /// What went wrong.
    pub reason: String,
}

/// Decides where a model runs. Asked whenever a model is to be loaded over the cluster, and when
/// somebody wants to see what it would do; never while tokens are made. The same request should give
/// the same answer. It must come to an end: the implementation owns its time limit.
pub trait PlacementStrategy: Send + Sync + 'static {
    /// Its name, for people and logs.
    fn name(&self) -> String;

    /// Plans, best first.
    fn propose<'a>(
        &'a self,
        request: &'a PlacementRequest,
    ) -> BoxFuture<'a, Result<Vec<ProposedPlan>, StrategyError>>;
}

/// What was decided, and how.
#[derive(Debug, Clone, Serialize)]
pub struct Placement {
    /// Where the model goes; checked.
    pub plan: Plan,
    /// The proposal it is.
    pub proposal: ProposedPlan,
    /// Who made it.
    pub strategy: String,
    /// Why the strategy that was asked for did not decide, if so.
    pub fallback: Option<String>,
    /// Everything that was proposed, best first, with what is wrong with each.
    pub candidates: Vec<Candidate>,
}

/// One proposal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Who made it.
    pub strategy: String,
    /// What it is.
    pub plan: ProposedPlan,
    /// Bytes that each stage would hold, as the host counts them.
    pub stage_bytes: Vec<u64>,
    /// Why it cannot be carried out, if so.
    pub refused: Option<String>,
}

/// Asks `strategies` in their order, and the host's own if none of them has an answer that can be
/// carried out.
///
/// # Errors
/// [`PlanError::NoRoom`] if the model does not fit at all.
pub async fn place(
    strategies: &[&dyn PlacementStrategy],
    request: &PlacementRequest,
    needs: &Needs,
) -> Result<Placement, PlanError> {
    let mut candidates = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    let own = Proportional::new(needs.clone());
    let own: &dyn PlacementStrategy = &own;
    for &strategy in strategies.iter().chain([&own]) {
        let name = strategy.name();
        let reason = match strategy.propose(request).await {
            Err(error) => error.to_string(),
            Ok(mut proposals) => {
                proposals.truncate(MAX_PROPOSALS);
                let judged = proposals
                    .into_iter()
                    .map(|plan| judge(&name, plan, request, needs));
                let (all, chosen) = first_valid(judged);
                let refused = all.iter().find_map(|candidate| candidate.refused.clone());
                candidates.extend(all);
                if let Some((plan, proposal)) = chosen {
                    return Ok(Placement {
                        plan,
                        proposal,
                        strategy: name,
                        fallback: (!reasons.is_empty()).then(|| reasons.join("; ")),
                        candidates,
                    });
                }
                match refused {
                    Some(refused) => format!("placement strategy {name}: {refused}"),
                    None => format!("placement strategy {name} proposes nothing"),
                }
            }
        };
        tracing::warn!(
            strategy = name,
            reason,
            "another placement is used, if any fits"
        );
        reasons.push(reason);
    }
    Err(no_room(request, needs))
}

type Judged = (Candidate, Option<Plan>);

fn judge(strategy: &str, plan: ProposedPlan, request: &PlacementRequest, needs: &Needs) -> Judged {
    let checked = check(&plan, request, needs);
    let bytes = |stage: &ProposedStage| needs.bytes(stage.first as usize..stage.end as usize);
    let candidate = Candidate {
        strategy: strategy.to_owned(),
        stage_bytes: plan.stages.iter().map(bytes).collect(),
        refused: checked.as_ref().err().map(ToString::to_string),
        plan,
    };
    (candidate, checked.ok())
}

fn first_valid(
    judged: impl Iterator<Item = Judged>,
) -> (Vec<Candidate>, Option<(Plan, ProposedPlan)>) {
    let mut chosen = None;
    let all = judged.map(|(candidate, plan)| {
        if chosen.is_none() {
            chosen = plan.map(|plan| (plan, candidate.plan.clone()));
        }
        candidate
    });
    (all.collect(), chosen)
}

fn no_room(request: &PlacementRequest, needs: &Needs) -> PlanError {
    let nodes = budgets(request);
    PlanError::NoRoom {
        needed: needs.bytes(0..needs.layers()),
        available: nodes
            .iter()
            .fold(0, |sum: u64, node| sum.saturating_add(node.bytes)),
        nodes: nodes.len(),
    }
}

/// The plan, if it can be carried out: known nodes that are not excluded, one to a stage, not more
/// stages than allowed and as many as were asked for, an executor that the node has, and all that [`validate`] asks.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(
    proposal: &ProposedPlan,
    request: &PlacementRequest,
    needs: &Needs,
) -> Result<Plan, PlanError> {
    let most = request.options.max_stages;
    if most.is_some_and(|most| proposal.stages.len() > most as usize) {
        return Err(PlanError::Stages {
            stages: proposal.stages.len(),
        });
    }
    if let Some(wanted) = wanted_stages(&request.options)
        && wanted != proposal.stages.len()
    {
        return Err(PlanError::Wanted {
            stages: proposal.stages.len(),
            wanted,
        });
    }
    let stage = |(index, stage): (usize, &ProposedStage)| {
        let [node] = stage.nodes.as_slice() else {
            return Err(PlanError::Group {
                stage: index,
                nodes: stage.nodes.len(),
            });
        };
        let unknown = || PlanError::Unknown(node.clone());
        let known = request
            .topology
            .nodes
            .iter()
            .find(|known| &known.id == node);
        let known = known.ok_or_else(unknown)?;
        if request.options.excluded.contains(node) {
            return Err(PlanError::Excluded(node.clone()));
        }
        if !known.executors.iter().any(|e| e.kind == stage.executor) {
            return Err(PlanError::Executor {
                stage: index,
                node: node.clone(),
                executor: stage.executor.clone(),
            });
        }
        Ok(PlannedStage {
            node: node.parse().map_err(|_| unknown())?,
            layers: stage.first as usize..stage.end as usize,
        })
    };
    let stages = proposal.stages.iter().enumerate().map(stage);
    let plan = Plan {
        stages: stages.collect::<Result<_, _>>()?,
    };
    validate(&plan, &budgets(request), needs)?;
    Ok(plan)
}

/// What each node that may be used has.
fn budgets(request: &PlacementRequest) -> Vec<Budget> {
    let usable = request
        .topology
        .nodes
        .iter()
        .filter(|node| !request.options.excluded.contains(&node.id));
    usable
        .filter_map(|node| {
            Some(Budget {
                node: node.id.parse().ok()?,
                bytes: node.memory_free,
            })
        })
        .collect()
}

/// The host's own strategy: as few nodes as hold the model, those with most memory, layers in
/// proportion to it. Predicts nothing.
#[derive(Debug, Clone)]
pub struct Proportional {
    needs: Needs,
}

impl Proportional {
    /// With the model's exact byte counts.
    #[must_use]
    pub fn new(needs: Needs) -> Self {
        Self { needs }
    }
}

/// The exact number of stages that `options.ext` asks for.
#[must_use]
pub fn wanted_stages(options: &Options) -> Option<usize> {
    let ext: serde_json::Value = serde_json::from_str(options.ext.as_deref()?).ok()?;
    usize::try_from(ext.get("stages")?.as_u64()?).ok()
}

impl PlacementStrategy for Proportional {
    fn name(&self) -> String {
        "proportional".to_owned()
    }

    fn propose<'a>(
        &'a self,
        request: &'a PlacementRequest,
    ) -> BoxFuture<'a, Result<Vec<ProposedPlan>, StrategyError>> {
        let failed = |reason: &dyn fmt::Display| StrategyError {
            strategy: self.name(),
            reason: reason.to_string(),
        };
        let proposal = || {
            let stages = wanted_stages(&request.options);
            let plan = proportional(&self.needs, &budgets(request), stages);
            let plan = plan.map_err(|error| failed(&error))?;
            let executor = |node: NodeId| {
                let id = node.to_string();
                let node = request.topology.nodes.iter().find(|node| node.id == id);
                let executor = node.and_then(|node| node.executors.first());
                executor
                    .map(|executor| executor.kind.clone())
                    .unwrap_or_default()
            };
            let narrow = |layer: usize| u32::try_from(layer).unwrap_or(u32::MAX);
            let stages = plan.stages.iter().map(|stage| ProposedStage {
                first: narrow(stage.layers.start),
                end: narrow(stage.layers.end),
                nodes: vec![stage.node.to_string()],
                executor: executor(stage.node),
            });
            Ok(vec![ProposedPlan {
                stages: stages.collect(),
                explanation: "the fewest nodes that hold it, layers in proportion to memory"
                    .to_owned(),
                ..ProposedPlan::default()
            }])
        };
        futures::future::ready(proposal()).boxed()
    }
}

/// A model's facts for strategies. `activation_bytes` is the size of one number between stages.
#[must_use]
pub fn model_facts(name: &str, needs: &Needs, activation_bytes: u32) -> ModelFacts {
    let spec = &needs.spec;
    let layers = needs.layers();
    let layer = |index: usize| {
        let range = index..index + 1;
        let norm = |norm: &&NormSpec| (norm.size * spec.dtype.size()) as u64;
        let layer = spec.layers.get(index);
        let weights = layer.map(LayerSpec::weights).unwrap_or_default();
        let norms = layer.map(LayerSpec::norms).unwrap_or_default();
        let own = bytes_of(spec, weights) + norms.iter().map(norm).sum::<u64>();
        LayerFacts {
            weight_bytes: own,
            active_bytes: own - layer.map_or(0, |layer| idle_bytes(spec, layer)),
            kv_bytes_per_position: spec.kv_bytes_per_position(range, needs.kv_value_bytes),
        }
    };
    let tied = spec.head.is_none();
    let bytes_per_weight = spec.weight_bytes(0..layers) as f64 / spec.parameters().max(1) as f64;
    let narrow = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let kv_heads = |layer: &LayerSpec| match &layer.attention {
        AttentionSpec::Gqa(attention) => attention.num_kv_heads,
        // A kind without heads of its own cannot be divided by them.
        _ => 1,
    };
    ModelFacts {
        name: name.to_owned(),
        layers: (0..layers).map(layer).collect(),
        // A range without layers has what belongs to its end alone.
        embedding_bytes: spec.weight_bytes(0..0),
        head_bytes: spec.weight_bytes(layers..layers),
        hidden_size: narrow(spec.hidden_size),
        kv_heads: narrow(spec.layers.first().map_or(1, kv_heads)),
        // The host carries out no tensor-parallel group yet.
        tensor_parallel_sizes: vec![1],
        activation_bytes,
        ext: Some(format!(
            "{{\"bytes_per_weight\": {bytes_per_weight}, \"tied\": {tied}}}"
        )),
    }
}

fn bytes_of<'a>(spec: &ModelSpec, weights: impl IntoIterator<Item = &'a WeightSpec>) -> u64 {
    let tensors = weights.into_iter().flat_map(WeightSpec::tensors);
    tensors.map(|tensor| tensor.bytes(spec.dtype)).sum()
}

/// Bytes of a layer that one token does not read: the experts that it does not go through.
fn idle_bytes(spec: &ModelSpec, layer: &LayerSpec) -> u64 {
    let MlpSpec::Moe(moe) = &layer.mlp else {
        return 0;
    };
    let idle = moe.experts.iter().skip(moe.experts_per_token);
    let weights = idle.flat_map(|expert| [&expert.gate_proj, &expert.up_proj, &expert.down_proj]);
    bytes_of(spec, weights)
}

#[cfg(test)]
mod tests;
