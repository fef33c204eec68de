//! Strategies that are right, wrong and hostile.

use atoll_engine::model::ModelSpec;
use proptest::prelude::*;

use super::*;

fn needs(layers: usize, tied: bool) -> Needs {
    let config = format!(
        r#"{{"model_type": "llama", "hidden_size": 16, "intermediate_size": 32,
        "num_hidden_layers": {layers}, "num_attention_heads": 2, "num_key_value_heads": 1,
        "vocab_size": 64, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": {tied}}}"#
    );
    Needs {
        spec: ModelSpec::from_config(config.as_bytes()).unwrap(),
        kv_positions: 64,
        kv_value_bytes: 2,
    }
}

fn id(index: usize) -> String {
    format!("{index:032x}")
}

fn request(needs: &Needs, bytes: &[u64]) -> PlacementRequest {
    let node = |(index, &bytes): (usize, &u64)| Node {
        id: id(index),
        memory_free: bytes,
        executors: vec![Executor {
            kind: "cpu".to_owned(),
            ..Executor::default()
        }],
        ..Node::default()
    };
    PlacementRequest {
        topology: Topology {
            nodes: bytes.iter().enumerate().map(node).collect(),
            links: Vec::new(),
        },
        model: model_facts("m", needs, 4),
        ..PlacementRequest::default()
    }
}

/// Says what it was made with.
struct Scripted(Result<Vec<ProposedPlan>, StrategyError>);

impl PlacementStrategy for Scripted {
    fn name(&self) -> String {
        "scripted".to_owned()
    }

    fn propose<'a>(
        &'a self,
        _: &'a PlacementRequest,
    ) -> BoxFuture<'a, Result<Vec<ProposedPlan>, StrategyError>> {
        futures::future::ready(self.0.clone()).boxed()
    }
}

fn stage(first: u32, end: u32, nodes: &[usize], executor: &str) -> ProposedStage {
    ProposedStage {
        first,
        end,
        nodes: nodes.iter().map(|&node| id(node)).collect(),
        executor: executor.to_owned(),
    }
}

fn plan(stages: Vec<ProposedStage>) -> ProposedPlan {
    ProposedPlan {
        stages,
        ..ProposedPlan::default()
    }
}

fn decide(
    strategy: Result<Vec<ProposedPlan>, StrategyError>,
    request: &PlacementRequest,
    needs: &Needs,
) -> Result<Placement, PlanError> {
    futures::executor::block_on(place(&[&Scripted(strategy)], request, needs))
}

#[test]
fn the_first_plan_that_can_be_carried_out_wins() {
    let needs = needs(4, true);
    let request = request(&needs, &[1 << 30, 1 << 30]);
    let proposals = vec![
        plan(vec![stage(0, 3, &[0], "cpu"), stage(2, 4, &[1], "cpu")]),
        plan(vec![stage(0, 1, &[1], "cpu"), stage(1, 4, &[0], "cpu")]),
        plan(vec![stage(0, 4, &[0], "cpu")]),
    ];
    let placement = decide(Ok(proposals.clone()), &request, &needs).unwrap();
    assert_eq!(placement.proposal, proposals[1]);
    assert_eq!(placement.strategy, "scripted");
    assert_eq!(placement.fallback, None);
    let refused: Vec<bool> = placement
        .candidates
        .iter()
        .map(|c| c.refused.is_some())
        .collect();
    assert_eq!(refused, [true, false, false]);
}

#[test]
fn a_strategy_without_an_answer_costs_nobody_a_model_that_fits() {
    let needs = needs(4, true);
    let request = request(&needs, &[1 << 30]);
    let broken = StrategyError {
        strategy: "scripted".to_owned(),
        reason: "it trapped".to_owned(),
    };
    let group = plan(vec![stage(0, 4, &[0, 1], "cpu")]);
    for (answer, said) in [
        (Err(broken), "it trapped"),
        (Ok(vec![]), "proposes nothing"),
        (Ok(vec![group]), "on 2 nodes"),
        (Ok(vec![plan(vec![stage(0, 4, &[0], "gpu")])]), "\"gpu\""),
        (Ok(vec![plan(vec![stage(0, 4, &[9], "cpu")])]), "no node"),
    ] {
        let placement = decide(answer, &request, &needs).unwrap();
        assert_eq!(placement.strategy, "proportional");
        let reason = placement.fallback.unwrap();
        assert!(reason.contains(said), "{reason}");
    }
    let own = futures::executor::block_on(place(&[], &request, &needs)).unwrap();
    assert_eq!(own.fallback, None);
}

#[test]
fn strategies_are_asked_in_order_and_each_reason_is_told() {
    let needs = needs(4, true);
    let request = request(&needs, &[1 << 30]);
    let with = |nodes: &[usize]| Scripted(Ok(vec![plan(vec![stage(0, 4, nodes, "cpu")])]));
    let (gone, here) = (with(&[7]), with(&[0]));
    let nothing = Scripted(Ok(Vec::new()));
    let asked: [&dyn PlacementStrategy; 3] = [&gone, &nothing, &here];
    let placement = futures::executor::block_on(place(&asked, &request, &needs)).unwrap();
    assert_eq!(placement.strategy, "scripted");
    assert_eq!(placement.candidates.len(), 2);
    let reasons = placement.fallback.unwrap();
    let reasons: Vec<&str> = reasons.split("; ").collect();
    assert!(reasons[0].contains("no node") && reasons[1].contains("proposes nothing"));
}

#[test]
fn excluded_nodes_and_another_number_of_stages_are_refused() {
    let needs = needs(4, true);
    let mut request = request(&needs, &[1 << 30, 1 << 30]);
    request.options.excluded = vec![id(1)];
    let both = plan(vec![stage(0, 2, &[0], "cpu"), stage(2, 4, &[1], "cpu")]);
    let refused = check(&both, &request, &needs);
    assert_eq!(refused, Err(PlanError::Excluded(id(1))));
    request.options.excluded.clear();
    request.options.max_stages = Some(1);
    let refused = check(&both, &request, &needs);
    assert_eq!(refused, Err(PlanError::Stages { stages: 2 }));
    request.options.max_stages = None;
    request.options.ext = Some("{\"stages\": 3}".to_owned());
    let refused = check(&both, &request, &needs);
    let (stages, wanted) = (2, 3);
    assert_eq!(refused, Err(PlanError::Wanted { stages, wanted }));
}

#[test]
fn facts_add_up_to_what_a_stage_holds() {
    for (layers, tied) in [(1, true), (3, false), (5, true)] {
        let needs = needs(layers, tied);
        let facts = model_facts("m", &needs, 4);
        let sum: u64 = facts.layers.iter().map(|layer| layer.weight_bytes).sum();
        let once = if tied { facts.embedding_bytes } else { 0 };
        let whole = facts.embedding_bytes + sum + facts.head_bytes - once;
        assert_eq!(whole, needs.spec.weight_bytes(0..layers));
        let per_position: u64 = facts.layers.iter().map(|l| l.kv_bytes_per_position).sum();
        let whole = whole + per_position * needs.kv_positions;
        assert_eq!(whole, needs.bytes(0..layers));
    }
}

#[test]
fn a_token_reads_the_experts_it_goes_through_and_no_others() {
    let spec = ModelSpec::from_config(
        br#"{"model_type": "qwen3_moe", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 64,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "num_experts": 8, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16, "norm_topk_prob": true, "torch_dtype": "bfloat16"}"#,
    )
    .unwrap();
    let needs = Needs {
        spec,
        ..needs(2, true)
    };
    let facts = model_facts("m", &needs, 4);
    // Six of eight experts of three matrices of 16 x 32 numbers of two bytes.
    for layer in &facts.layers {
        assert_eq!(layer.weight_bytes - layer.active_bytes, 6 * 3 * 16 * 32 * 2);
    }
}

fn any_stage() -> impl Strategy<Value = ProposedStage> {
    let edge = || prop_oneof![0u32..8, any::<u32>()];
    let nodes = prop::collection::vec(0usize..5, 0..3);
    (edge(), edge(), nodes, any::<bool>()).prop_map(|(first, end, nodes, cpu)| {
        stage(first, end, &nodes, if cpu { "cpu" } else { "abacus" })
    })
}

proptest! {
    /// Whatever a plugin says, what comes out holds the model: every layer once and in order, on
    /// nodes that are there and have the room.
    #[test]
    fn no_plan_that_does_not_fit_is_ever_accepted(
        bytes in prop::collection::vec(0u64..60_000, 1..4),
        proposals in prop::collection::vec(prop::collection::vec(any_stage(), 0..4), 0..6),
    ) {
        let needs = needs(6, true);
        let request = request(&needs, &bytes);
        let proposals = proposals.into_iter().map(plan).collect();
        if let Ok(placement) = decide(Ok(proposals), &request, &needs) {
            let mut next = 0;
            let mut used = Vec::new();
            for stage in &placement.plan.stages {
                prop_assert_eq!(stage.layers.start, next);
                prop_assert!(stage.layers.end > next);
                next = stage.layers.end;
                let index = (0..bytes.len()).find(|&index| id(index) == stage.node.to_string());
                let index = index.unwrap();
                prop_assert!(!used.contains(&index));
                used.push(index);
                prop_assert!(needs.bytes(stage.layers.clone()) <= bytes[index]);
            }
            prop_assert_eq!(next, 6);
        }
    }
}
