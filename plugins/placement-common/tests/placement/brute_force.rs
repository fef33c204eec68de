//! The searches against exhaustive enumeration, which shares no code with them, and against numbers of
//! an independent implementation.

use crate::support::{full_mesh, layer, link, model, node, options};
use atoll_plugin_placement_common::{Problem, exact, ordered, strategy};
use atoll_sdk::placement::{Link, ModelFacts, Objective, Options, Plan, Topology};
use proptest::prelude::*;

/// Tries everything, straight from the contract's types.
struct Brute<'a> {
    topology: &'a Topology,
    model: &'a ModelFacts,
    options: &'a Options,
    /// Least cost for each number of stages.
    best: Vec<f64>,
}

impl Brute<'_> {
    fn run(mut self) -> Vec<f64> {
        self.place(0, &mut Vec::new(), &[], 0, 0.0);
        self.best
    }

    fn link(&self, from: usize, to: usize) -> Option<&Link> {
        let (from, to) = (&self.topology.nodes[from].id, &self.topology.nodes[to].id);
        let mut links = self.topology.links.iter();
        links.find(|link| &link.source == from && &link.target == to)
    }

    fn hidden(&self) -> f64 {
        f64::from(self.model.hidden_size) * f64::from(self.model.activation_bytes)
    }

    fn place(
        &mut self,
        first: usize,
        used: &mut Vec<usize>,
        last: &[usize],
        stages: usize,
        cost: f64,
    ) {
        let count = self.topology.nodes.len();
        if first == self.model.layers.len() {
            self.best[stages] = self.best[stages].min(cost);
            return;
        }
        for set in 1_u32..1 << count {
            let group: Vec<usize> = (0..count).filter(|&at| set >> at & 1 == 1).collect();
            let size = group.len() as u32;
            let allowed = size == 1 || self.model.tensor_parallel_sizes.contains(&size);
            if !allowed || group.iter().any(|at| used.contains(at)) {
                continue;
            }
            let Some(hop) = self.hop(last, &group) else {
                continue;
            };
            used.extend(&group);
            for end in first + 1..=self.model.layers.len() {
                for kind in ["a", "b"] {
                    if let Some(seconds) = self.stage(&group, kind, first, end) {
                        let cost = match self.options.objective {
                            Objective::Latency => cost + hop + seconds,
                            Objective::Throughput => cost.max(hop).max(seconds),
                        };
                        self.place(end, used, &group, stages + 1, cost);
                    }
                }
            }
            used.truncate(used.len() - group.len());
        }
    }

    fn hop(&self, from: &[usize], to: &[usize]) -> Option<f64> {
        if from.is_empty() {
            return Some(0.0);
        }
        let mut worst = 0.0_f64;
        for &receiver in to {
            let ways = from
                .iter()
                .filter_map(|&sender| self.link(sender, receiver));
            let seconds = ways.map(|link| link.latency + self.hidden() / link.bandwidth);
            worst = worst.max(seconds.reduce(f64::min)?);
        }
        Some(worst)
    }

    fn stage(&self, group: &[usize], kind: &str, first: usize, end: usize) -> Option<f64> {
        let parts = group.len() as f64;
        let layers = &self.model.layers[first..end];
        let mut held: u64 = layers
            .iter()
            .map(|layer| {
                layer.weight_bytes + layer.kv_bytes_per_position * self.options.kv_positions
            })
            .sum();
        if first == 0 {
            held += self.model.embedding_bytes;
        }
        let last = end == self.model.layers.len();
        if last {
            held += self.model.head_bytes;
        }
        let hidden = self.hidden() as u64 * 2 * 512;
        let mut bandwidth = f64::INFINITY;
        let mut overhead = 0.0_f64;
        for &at in group {
            let node = &self.topology.nodes[at];
            if held.div_ceil(group.len() as u64) + hidden > node.memory_free {
                return None;
            }
            let executor = node
                .executors
                .iter()
                .find(|executor| executor.kind == kind)?;
            bandwidth = bandwidth.min(executor.memory_bandwidth);
            overhead = overhead.max(executor.layer_overhead);
        }
        if group.len() > 1 {
            let (mut latency, mut slowest) = (0.0_f64, f64::INFINITY);
            for &from in group {
                for &to in group.iter().filter(|&&to| to != from) {
                    let link = self.link(from, to)?;
                    latency = latency.max(link.latency);
                    slowest = slowest.min(link.bandwidth);
                }
            }
            let ring = 2.0 * (parts - 1.0) * latency
                + 2.0 * (parts - 1.0) / parts * self.hidden() / slowest;
            let mesh = latency + (parts - 1.0) * self.hidden() / slowest;
            overhead += 2.0 * ring.min(mesh);
        }
        let mut seconds = 0.0;
        for layer in layers {
            let kv = layer.kv_bytes_per_position * self.options.kv_positions;
            seconds += (layer.active_bytes + kv) as f64 / (parts * bandwidth) + overhead;
        }
        if last {
            seconds += self.model.head_bytes as f64 / (parts * bandwidth);
        }
        Some(seconds)
    }
}

fn brute(topology: &Topology, model: &ModelFacts, options: &Options) -> Vec<f64> {
    let best = vec![f64::INFINITY; topology.nodes.len() + 1];
    Brute {
        topology,
        model,
        options,
        best,
    }
    .run()
}

fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Up to four nodes, some of them equal, with one or two executors each, some links missing.
fn clusters() -> impl Strategy<Value = Topology> {
    let kind = (
        1_000_u64..9_000,
        50.0..800.0_f64,
        0.0..0.01_f64,
        any::<bool>(),
        50.0..800.0_f64,
    );
    let links = prop::collection::vec(
        (prop::bool::weighted(0.9), 1e-5..5e-3_f64, 1e2..5e3_f64),
        16,
    );
    (
        prop::collection::vec(kind, 1..4),
        prop::collection::vec(0_usize..3, 1..=4),
        links,
        any::<bool>(),
    )
        .prop_map(|(kinds, chosen, links, uniform)| {
            let nodes: Vec<_> = chosen
                .iter()
                .enumerate()
                .map(|(at, &kind)| {
                    let (memory, bandwidth, overhead, second, other) = kinds[kind % kinds.len()];
                    let mut executors = vec![("a", bandwidth, 0.0, overhead)];
                    if second {
                        executors.push(("b", other, 0.0, 0.001));
                    }
                    node(at, memory, &executors)
                })
                .collect();
            if uniform {
                return full_mesh(nodes, links[0].1, links[0].2);
            }
            let count = nodes.len();
            let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
            let links = pairs
                .filter(|(from, to)| from != to)
                .zip(links.into_iter().cycle())
                .filter(|(_, (there, _, _))| *there)
                .map(|((from, to), (_, latency, bandwidth))| link(from, to, latency, bandwidth))
                .collect();
            Topology { nodes, links }
        })
}

fn models() -> impl Strategy<Value = ModelFacts> {
    let layers = prop::collection::vec((200_u64..1_500, 1_u64..200, 0_u64..3), 1..=5);
    let sizes = prop::sample::select(vec![vec![], vec![2], vec![2, 3], vec![1, 4]]);
    (layers, sizes, 0_u64..400, 0_u64..400).prop_map(|(layers, sizes, embedding, head)| {
        let layers = layers
            .into_iter()
            .map(|(weights, inactive, kv)| layer(weights, weights - inactive.min(weights - 1), kv));
        ModelFacts {
            embedding_bytes: embedding,
            head_bytes: head,
            ..model(layers.collect(), 1, &sizes)
        }
    })
}

fn wishes() -> impl Strategy<Value = Options> {
    let objective = prop::sample::select(vec![Objective::Latency, Objective::Throughput]);
    (objective, 0_u64..200).prop_map(|(objective, positions)| options(objective, positions))
}

/// A plan is whole, in order, on nodes of its own, and fits; what it promises is what its cost says.
fn check(plan: &Plan, topology: &Topology, model: &ModelFacts, options: &Options) {
    let mut first = 0;
    let mut used = Vec::new();
    for stage in &plan.stages {
        assert_eq!(stage.first, first);
        assert!(stage.end > stage.first);
        first = stage.end;
        for id in &stage.nodes {
            assert!(!used.contains(id) && !options.excluded.contains(id));
            assert!(topology.nodes.iter().any(|node| &node.id == id));
            used.push(id.clone());
        }
    }
    assert_eq!(first as usize, model.layers.len());
    let problem = Problem::new(topology, model, options).unwrap();
    let stages = problem.placed(plan).expect("known nodes");
    assert!(problem.cost(&stages).is_some(), "it fits");
    assert!(plan.predicted_latency.is_finite() && plan.predicted_latency > 0.0);
    assert!(plan.predicted_throughput.is_finite() && plan.predicted_throughput > 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_exact_search_finds_what_trying_everything_finds(
        topology in clusters(), model in models(), options in wishes(),
    ) {
        let expected = brute(&topology, &model, &options);
        let problem = Problem::new(&topology, &model, &options).unwrap();
        let found = exact::plans(&problem, exact::MAX_WORK).expect("small");
        for (count, &cost) in expected.iter().enumerate().filter(|(_, cost)| cost.is_finite()) {
            let of_count = found.iter().find(|(_, stages)| stages.len() == count);
            let (found, _) = of_count.unwrap_or_else(|| panic!("no plan of {count} stages"));
            prop_assert!(close(*found, cost), "{count} stages: {found}, not {cost}");
        }
        for (cost, stages) in &found {
            prop_assert!(expected[stages.len()].is_finite(), "{stages:?} should not fit");
            prop_assert!(close(problem.cost(stages).unwrap(), *cost));
        }
        // The heuristic never claims more than there is.
        for (cost, stages) in ordered::plans(&problem) {
            prop_assert!(close(problem.cost(&stages).unwrap(), cost));
            let least = expected.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert!(cost >= least * (1.0 - 1e-9));
        }
    }

    #[test]
    fn every_strategy_proposes_only_plans_that_hold(
        topology in clusters(), model in models(), options in wishes(), limit in prop::option::of(1_u32..4),
    ) {
        let options = Options { max_stages: limit, ..options };
        for strategy in [strategy::auto, strategy::spread, strategy::pack, strategy::single] {
            let Ok(plans) = strategy(&topology, &model, &options, None) else { continue };
            prop_assert!(!plans.is_empty());
            for plan in &plans {
                check(plan, &topology, &model, &options);
                prop_assert!(limit.is_none_or(|limit| plan.stages.len() <= limit as usize));
            }
        }
    }

    #[test]
    fn a_limit_on_stages_is_kept_by_the_heuristic_too(
        topology in clusters(), model in models(), options in wishes(), limit in 1_u32..4,
    ) {
        let options = Options { max_stages: Some(limit), ..options };
        let problem = Problem::new(&topology, &model, &options).unwrap();
        for (cost, stages) in ordered::plans(&problem) {
            prop_assert!(stages.len() <= limit as usize);
            prop_assert!(close(problem.cost(&stages).unwrap(), cost));
        }
    }
}

#[derive(serde::Deserialize)]
struct Case {
    weights: Vec<u64>,
    kv: Vec<u64>,
    memory: Vec<u64>,
    bandwidth: Vec<f64>,
    latency: Vec<Vec<f64>>,
    link_bandwidth: Vec<Vec<f64>>,
    hidden_bytes: u32,
    least_sum: Option<f64>,
    least_max: Option<f64>,
}

/// 60 random clusters whose best costs another program computed, in another language.
#[test]
fn an_independent_implementation_gives_the_same_costs() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("fixtures/dynamic_programme.json")).unwrap();
    let mut feasible = 0;
    for case in &cases {
        // That program has no hidden states to hold: give each node room for them.
        let hidden = u64::from(case.hidden_bytes) * 2 * 512;
        let nodes = case.memory.iter().zip(&case.bandwidth).enumerate();
        let nodes: Vec<_> = nodes
            .map(|(at, (&memory, &bandwidth))| {
                node(at, memory + hidden, &[("a", bandwidth, 0.0, 0.0)])
            })
            .collect();
        let count = nodes.len();
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        let links = pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| {
                link(
                    from,
                    to,
                    case.latency[from][to],
                    case.link_bandwidth[from][to],
                )
            })
            .collect();
        let topology = Topology { nodes, links };
        let layers = case.weights.iter().zip(&case.kv);
        let layers = layers
            .map(|(&weights, &kv)| layer(weights, weights, kv))
            .collect();
        let model = model(layers, case.hidden_bytes, &[]);
        for (objective, expected) in [
            (Objective::Latency, case.least_sum),
            (Objective::Throughput, case.least_max),
        ] {
            let problem = Problem::new(&topology, &model, &options(objective, 1)).unwrap();
            let found = exact::plans(&problem, exact::MAX_WORK).expect("small");
            let least = found.iter().map(|(cost, _)| *cost).reduce(f64::min);
            match (least, expected) {
                (None, None) => {}
                (Some(least), Some(expected)) => {
                    feasible += 1;
                    assert!(
                        (least - expected).abs() < 1e-9 * expected,
                        "{least}, not {expected}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(feasible > 60, "{feasible} cases say something");
}
