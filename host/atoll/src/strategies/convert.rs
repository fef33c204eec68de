//! The contract's placement types in their three forms: the cluster's records, the SDK's, which the cost
//! model computes with, and the plugin runtime's, to ask a plugin.

use atoll_cluster::placement::{ProposedPlan, ProposedStage};
use atoll_plugin_runtime::types::placement::{Plan, Stage};

macro_rules! forms {
    ($(#[$doc:meta])* $name:ident: $($from:ident)::+ => $($to:ident)::+) => {
        $(#[$doc])*
        pub mod $name {
            use $($from)::+ as from;
            use $($to)::+ as to;

            /// Machines and links.
            pub fn topology(value: &from::Topology) -> to::Topology {
                to::Topology {
                    nodes: value.nodes.iter().map(node).collect(),
                    links: value.links.iter().map(link).collect(),
                }
            }

            fn node(value: &from::Node) -> to::Node {
                let executor = |value: &from::Executor| to::Executor {
                    kind: value.kind.clone(),
                    memory_bandwidth: value.memory_bandwidth,
                    matrix_rate: value.matrix_rate,
                    layer_overhead: value.layer_overhead,
                };
                to::Node {
                    id: value.id.clone(),
                    name: value.name.clone(),
                    memory_total: value.memory_total,
                    memory_free: value.memory_free,
                    executors: value.executors.iter().map(executor).collect(),
                    weights_present: value.weights_present,
                    ext: value.ext.clone(),
                }
            }

            fn link(value: &from::Link) -> to::Link {
                to::Link {
                    source: value.source.clone(),
                    target: value.target.clone(),
                    latency: value.latency,
                    bandwidth: value.bandwidth,
                    kind: value.kind.clone(),
                }
            }

            /// The model.
            pub fn model(value: &from::ModelFacts) -> to::ModelFacts {
                let layer = |value: &from::LayerFacts| to::LayerFacts {
                    weight_bytes: value.weight_bytes,
                    active_bytes: value.active_bytes,
                    kv_bytes_per_position: value.kv_bytes_per_position,
                };
                to::ModelFacts {
                    name: value.name.clone(),
                    layers: value.layers.iter().map(layer).collect(),
                    embedding_bytes: value.embedding_bytes,
                    head_bytes: value.head_bytes,
                    hidden_size: value.hidden_size,
                    kv_heads: value.kv_heads,
                    tensor_parallel_sizes: value.tensor_parallel_sizes.clone(),
                    activation_bytes: value.activation_bytes,
                    ext: value.ext.clone(),
                }
            }

            /// What is to be best.
            pub fn objective(value: from::Objective) -> to::Objective {
                match value {
                    from::Objective::Latency => to::Objective::Latency,
                    from::Objective::Throughput => to::Objective::Throughput,
                }
            }

            /// The wishes.
            pub fn options(value: &from::Options) -> to::Options {
                to::Options {
                    objective: objective(value.objective),
                    kv_positions: value.kv_positions,
                    max_stages: value.max_stages,
                    excluded: value.excluded.clone(),
                    ext: value.ext.clone(),
                }
            }
        }
    };
}

forms!(
    /// From the SDK's to what a plugin is asked.
    asked: atoll_sdk::placement => atoll_plugin_runtime::types::placement
);

forms!(
    /// From the cluster's records to what the cost model computes with.
    live: atoll_cluster::placement => atoll_sdk::placement
);

forms!(
    /// From the cluster's records to what a plugin is asked.
    recorded: atoll_cluster::placement => atoll_plugin_runtime::types::placement
);

/// What a plugin proposed, in the SDK's form. Nothing in it has been checked.
pub fn described(plan: &Plan) -> atoll_sdk::placement::Plan {
    let stages = plan.stages.iter();
    atoll_sdk::placement::Plan {
        stages: stages
            .map(|stage| atoll_sdk::placement::Stage {
                first: stage.first,
                end: stage.end,
                nodes: stage.nodes.clone(),
                executor: stage.executor.clone(),
            })
            .collect(),
        predicted_latency: plan.predicted_latency,
        predicted_throughput: plan.predicted_throughput,
        explanation: plan.explanation.clone(),
    }
}

/// What a plugin proposed, as a record. Nothing in it has been checked.
pub fn proposed(plan: Plan) -> ProposedPlan {
    let stages = plan.stages.into_iter();
    ProposedPlan {
        stages: stages
            .map(|stage| ProposedStage {
                first: stage.first,
                end: stage.end,
                nodes: stage.nodes,
                executor: stage.executor,
            })
            .collect(),
        predicted_latency: plan.predicted_latency,
        predicted_throughput: plan.predicted_throughput,
        explanation: plan.explanation,
    }
}

/// What runs now, for a plugin.
pub fn previous(plan: &ProposedPlan) -> Plan {
    let stages = plan.stages.iter();
    Plan {
        stages: stages
            .map(|stage| Stage {
                first: stage.first,
                end: stage.end,
                nodes: stage.nodes.clone(),
                executor: stage.executor.clone(),
            })
            .collect(),
        predicted_latency: plan.predicted_latency,
        predicted_throughput: plan.predicted_throughput,
        explanation: plan.explanation.clone(),
    }
}
