//! [`Plan`]: which node runs which layers, and the one check every plan must pass.
//!
//! Whoever makes a plan, a strategy, a plugin or a person, [`validate`] decides whether it is
//! carried out. [`proportional`] is the simplest maker: layers by memory.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use atoll_engine::model::ModelSpec;
use serde::Serialize;

use crate::identity::NodeId;

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStage {
    /// Where.
    pub node: NodeId,
    /// What.
    pub layers: Range<usize>,
}

/// Stages in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// From first layer to last.
    pub stages: Vec<PlannedStage>,
}

/// What a model needs, by range of layers.
#[derive(Debug, Clone)]
pub struct Needs {
    /// The model.
    pub spec: ModelSpec,
    /// KV memory in positions, summed over all sequences.
    pub kv_positions: u64,
    /// Bytes of one number in the cache.
    pub kv_value_bytes: usize,
}

impl Needs {
    /// Layers of the model.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.spec.layers.len()
    }

    /// Bytes that a stage with these layers holds: weights, with what belongs to the model's ends,
    /// and KV memory.
    #[must_use]
    pub fn bytes(&self, layers: Range<usize>) -> u64 {
        let kv = self
            .spec
            .kv_bytes_per_position(layers.clone(), self.kv_value_bytes)
            .saturating_mul(self.kv_positions);
        self.spec.weight_bytes(layers).saturating_add(kv)
    }
}

/// What a node has for stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Which.
    pub node: NodeId,
    /// Bytes it can still hold.
    pub bytes: u64,
}

/// Why a plan cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The ranges are not the layers, each once and in order.
    #[error("stage {stage} has layers {}..{}, but should begin at {expected} and end by {layers}", range.start, range.end)]
    Layers {
        /// Which, counted from 0.
        stage: usize,
        /// Its range.
        range: Range<usize>,
        /// Where the one before ended.
        expected: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// The last layers are in no stage.
    #[error("layers {covered}..{layers} are in no stage")]
    Incomplete {
        /// Layers that are in one.
        covered: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// A node that is not there.
    #[error("node {0:?} is not in the cluster, or cannot run stages")]
    Node(NodeId),
    /// A node that is in two places of one pipeline.
    #[error("node {0:?} has two stages")]
    Twice(NodeId),
    /// A stage that does not fit.
    #[error("stage {stage} needs {needed} bytes, but node {node:?} has {available}")]
    Memory {
        /// Which, counted from 0.
        stage: usize,
        /// Its node.
        node: NodeId,
        /// What it needs.
        needed: u64,
        /// What there is.
        available: u64,
    },
    /// A name that is no node's.
    #[error("there is no node {0:?}")]
    Unknown(String),
    /// A node that must not be used.
    #[error("node {0} is excluded")]
    Excluded(String),
    /// More stages than are allowed.
    #[error("{stages} stages are more than are allowed")]
    Stages {
        /// How many.
        stages: usize,
    },
    /// Not as many stages as were asked for.
    #[error("it has {stages} stages, and exactly {wanted} were asked for")]
    Wanted {
        /// How many it has.
        stages: usize,
        /// How many were asked for.
        wanted: usize,
    },
    /// A stage that is not on exactly one node.
    #[error(
        "stage {stage} is on {nodes} nodes; this version runs each stage on one (no tensor parallelism yet)"
    )]
    Group {
        /// Which, counted from 0.
        stage: usize,
        /// How many nodes it names.
        nodes: usize,
    },
    /// An executor that the node does not have.
    #[error("stage {stage} wants executor {executor:?}, which node {node} does not have")]
    Executor {
        /// Which, counted from 0.
        stage: usize,
        /// Its node.
        node: String,
        /// What it wants.
        executor: String,
    },
    /// The nodes together are too small, or too few.
    #[error(
        "the model needs {needed} bytes and the cluster has {available} on {nodes} nodes; add a node, or free memory"
    )]
    NoRoom {
        /// What it needs at least.
        needed: u64,
        /// What there is.
        available: u64,
        /// On how many nodes.
        nodes: usize,
    },
}

/// Whether `plan` can be carried out: its ranges are the model's layers, each once and in order;
/// every stage is on a node of its own that exists and holds it, KV memory included.
///
/// # Errors
/// The first rule that it breaks.
pub fn validate(plan: &Plan, nodes: &[Budget], needs: &Needs) -> Result<(), PlanError> {
    let layers = needs.layers();
    let budgets: HashMap<NodeId, u64> = nodes.iter().map(|node| (node.node, node.bytes)).collect();
    let mut used = HashSet::new();
    let mut expected = 0;
    for (
        stage,
        PlannedStage {
            node,
            layers: range,
        },
    ) in plan.stages.iter().enumerate()
    {
        if range.start != expected || range.end <= range.start || range.end > layers {
            return Err(PlanError::Layers {
                stage,
                range: range.clone(),
                expected,
                layers,
            });
        }
        expected = range.end;
        let available = *budgets.get(node).ok_or(PlanError::Node(*node))?;
        if !used.insert(*node) {
            return Err(PlanError::Twice(*node));
        }
        let needed = needs.bytes(range.clone());
        if needed > available {
            return Err(PlanError::Memory {
                stage,
                node: *node,
                needed,
                available,
            });
        }
    }
    if expected != layers || layers == 0 {
        return Err(PlanError::Incomplete {
            covered: expected,
            layers,
        });
    }
    Ok(())
}

/// A plan of `stages` stages, or of as few as hold the model: the nodes with most memory, layers in
/// proportion to it. Ties go to the lower id, so that every node makes the same plan.
///
/// # Errors
/// [`PlanError::NoRoom`] if no number of nodes holds it that way.
pub fn proportional(
    needs: &Needs,
    nodes: &[Budget],
    stages: Option<usize>,
) -> Result<Plan, PlanError> {
    let mut nodes = nodes.to_vec();
    nodes.sort_by_key(|node| (std::cmp::Reverse(node.bytes), node.node));
    let layers = needs.layers();
    let most = nodes.len().min(layers);
    let counts = match stages {
        Some(count) => count..=count.min(most),
        None => 1..=most,
    };
    for count in counts {
        let chosen = nodes.get(..count).unwrap_or(&[]);
        let weights: Vec<u64> = chosen.iter().map(|node| node.bytes).collect();
        let mut start = 0;
        let divided = divide(layers, &weights).into_iter().zip(chosen);
        let plan = Plan {
            stages: divided
                .map(|(count, node)| {
                    let layers = start..start + count;
                    start = layers.end;
                    let node = node.node;
                    PlannedStage { node, layers }
                })
                .collect(),
        };
        if validate(&plan, &nodes, needs).is_ok() {
            return Ok(plan);
        }
    }
    Err(PlanError::NoRoom {
        needed: needs.bytes(0..layers),
        available: nodes
            .iter()
            .fold(0, |sum, node| sum.saturating_add(node.bytes)),
        nodes: nodes.len(),
    })
}

/// `total` in parts of at least 1 in proportion to `weights`, of which there are at most `total`: the
/// largest remainders get what rounding leaves.
fn divide(total: usize, weights: &[u64]) -> Vec<usize> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    let spare = total.saturating_sub(weights.len()) as u128;
    let share = |weight: u64| match sum {
        0 => (0, 0),
        sum => {
            let product = spare * u128::from(weight);
            ((product / sum) as usize, product % sum)
        }
    };
    let mut parts: Vec<usize> = weights.iter().map(|&weight| 1 + share(weight).0).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let remainder = |&index: &usize| weights.get(index).map(|&weight| share(weight).1);
    order.sort_by_key(|index| std::cmp::Reverse(remainder(index)));
    let left = total.saturating_sub(parts.iter().sum());
    for index in order.into_iter().cycle().take(left) {
        if let Some(part) = parts.get_mut(index) {
            *part += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needs(layers: usize, kv_positions: u64) -> Needs {
        let config = format!(
            r#"{{"model_type": "llama", "hidden_size": 16, "intermediate_size": 32,
            "num_hidden_layers": {layers}, "num_attention_heads": 2, "num_key_value_heads": 1,
            "vocab_size": 64, "max_position_embeddings": 128, "rms_norm_eps": 1e-5}}"#
        );
        Needs {
            spec: ModelSpec::from_config(config.as_bytes()).unwrap(),
            kv_positions,
            kv_value_bytes: 4,
        }
    }

    fn nodes(bytes: &[u64]) -> Vec<Budget> {
        let node = |(index, &bytes): (usize, &u64)| Budget {
            node: format!("{index:032x}").parse().unwrap(),
            bytes,
        };
        bytes.iter().enumerate().map(node).collect()
    }

    fn plan(nodes: &[Budget], ranges: &[Range<usize>]) -> Plan {
        let stage = |(node, layers): (&Budget, &Range<usize>)| PlannedStage {
            node: node.node,
            layers: layers.clone(),
        };
        Plan {
            stages: nodes.iter().zip(ranges).map(stage).collect(),
        }
    }

    #[test]
    fn only_the_layers_in_order_on_nodes_that_hold_them_pass() {
        let needs = needs(4, 100);
        let all = nodes(&[u64::MAX, u64::MAX, 10]);
        let check = |ranges: &[Range<usize>]| validate(&plan(&all, ranges), &all, &needs);
        assert_eq!(check(&[0..2, 2..4]), Ok(()));
        assert!(matches!(
            check(std::slice::from_ref(&(0..2))),
            Err(PlanError::Incomplete { covered: 2, .. })
        ));
        assert!(matches!(check(&[]), Err(PlanError::Incomplete { .. })));
        for bad in [[0..2, 1..4], [0..2, 3..4], [0..2, 2..5], [1..2, 2..4]] {
            assert!(
                matches!(check(&bad), Err(PlanError::Layers { .. })),
                "{bad:?}"
            );
        }
        assert!(matches!(
            check(&[0..2, 2..2, 2..4]),
            Err(PlanError::Layers { .. })
        ));
        assert!(matches!(
            check(&[0..1, 1..2, 2..4]),
            Err(PlanError::Memory { stage: 2, .. })
        ));
        let mut twice = plan(&all, &[0..2, 2..4]);
        twice.stages[1].node = twice.stages[0].node;
        assert!(matches!(
            validate(&twice, &all, &needs),
            Err(PlanError::Twice(_))
        ));
        let stranger = validate(&plan(&all, &[0..2, 2..4]), &all[..1], &needs);
        assert!(matches!(stranger, Err(PlanError::Node(_))));
    }

    #[test]
    fn the_kv_memory_counts() {
        let (small, large) = (needs(4, 0), needs(4, 1_000_000));
        let exactly = nodes(&[small.bytes(0..4)]);
        let whole = plan(&exactly, std::slice::from_ref(&(0..4)));
        assert_eq!(validate(&whole, &exactly, &small), Ok(()));
        assert!(matches!(
            validate(&whole, &exactly, &large),
            Err(PlanError::Memory { .. })
        ));
    }

    proptest! {
        #[test]
        fn parts_sum_up_and_are_never_empty(
            total in 1usize..200,
            weights in prop::collection::vec(any::<u64>(), 1..20),
        ) {
            prop_assume!(weights.len() <= total);
            let parts = divide(total, &weights);
            prop_assert_eq!(parts.iter().sum::<usize>(), total);
            prop_assert!(parts.iter().all(|&part| part > 0));
        }

        #[test]
        fn a_proportional_plan_is_valid_or_refused(
            layers in 1usize..24,
            bytes in prop::collection::vec(0u64..200_000, 0..6),
            stages in prop::option::of(0usize..7),
        ) {
            let needs = needs(layers, 64);
            let nodes = nodes(&bytes);
            match proportional(&needs, &nodes, stages) {
                Ok(plan) => {
                    prop_assert_eq!(validate(&plan, &nodes, &needs), Ok(()));
                    prop_assert!(stages.is_none_or(|stages| stages == plan.stages.len()));
                }
                Err(error) => prop_assert!(matches!(error, PlanError::NoRoom { .. }), "{}", error),
            }
        }
    }
}
