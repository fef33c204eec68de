//! What each strategy is for.

use crate::support::{full_mesh, layer, model, node, options};
use atoll_plugin_placement_common::{Problem, strategy};
use atoll_sdk::placement::{Objective, Options, Plan, Topology};

const GB: u64 = 1_000_000_000;

/// Two fast machines, a slow one with much memory, a small one.
fn machines() -> Topology {
    let nodes = vec![
        node(0, 40 * GB, &[("mlx-metal", 500e9, 0.0, 0.0)]),
        node(1, 40 * GB, &[("mlx-metal", 500e9, 0.0, 0.0)]),
        node(2, 100 * GB, &[("cpu", 50e9, 0.0, 0.0)]),
        node(3, 8 * GB, &[("cpu", 100e9, 0.0, 0.0)]),
    ];
    full_mesh(nodes, 100e-6, 1e9)
}

/// A model of this many layers of 1 GB.
fn gigabytes(layers: usize) -> atoll_sdk::placement::ModelFacts {
    model(vec![layer(GB, GB, 0); layers], 4096, &[])
}

fn nodes(plan: &Plan) -> Vec<(&str, u32)> {
    let stages = plan.stages.iter();
    stages
        .map(|stage| (stage.nodes[0].as_str(), stage.end - stage.first))
        .collect()
}

#[test]
fn each_strategy_does_what_it_is_for() {
    let (machines, wish) = (machines(), options(Objective::Latency, 0));
    let small = gigabytes(6);
    // One node is as fast as two for one sequence, and two give twice as many tokens.
    let auto = strategy::auto(&machines, &small, &wish, None).unwrap();
    assert_eq!(nodes(&auto[0]), [("n0", 6)]);
    let all = strategy::auto(&machines, &small, &options(Objective::Throughput, 0), None).unwrap();
    assert_eq!(nodes(&all[0]), [("n0", 3), ("n1", 3)]);
    assert!(all[0].predicted_throughput > 1.9 * auto[0].predicted_throughput);
    // The smallest that holds it, and everybody.
    let packed = strategy::pack(&machines, &small, &wish, None).unwrap();
    assert_eq!(nodes(&packed[0]), [("n3", 6)]);
    let spread = strategy::spread(&machines, &gigabytes(40), &wish, None).unwrap();
    assert_eq!(spread[0].stages.len(), 4);
    // Too large for the fast ones together: `auto` gives the slow one only what must be.
    let large = gigabytes(100);
    let auto = strategy::auto(&machines, &large, &wish, None).unwrap();
    let slow = nodes(&auto[0])
        .iter()
        .find(|(node, _)| *node == "n2")
        .unwrap()
        .1;
    assert!(slow < 20, "{:?}", nodes(&auto[0]));
    let packed = strategy::pack(&machines, &large, &wish, None).unwrap();
    assert!(packed[0].predicted_latency > auto[0].predicted_latency);
    assert_eq!(packed[0].stages.len(), 2);
    // 100 GB and room for hidden states: one byte too much for a node of 100 GB.
    assert!(strategy::single(&machines, &large, &wish, None).is_err());
    assert_eq!(
        nodes(&strategy::single(&machines, &gigabytes(50), &wish, None).unwrap()[0]),
        [("n2", 50)]
    );
}

#[test]
fn what_does_not_fit_is_said_in_numbers() {
    let error = strategy::auto(
        &machines(),
        &gigabytes(300),
        &options(Objective::Latency, 0),
        None,
    )
    .unwrap_err();
    assert!(
        error.message.contains("279 GiB") && error.message.contains("175 GiB"),
        "{}",
        error.message
    );
}

#[test]
fn what_runs_stays_until_something_is_clearly_better() {
    let mut machines = machines();
    let model = gigabytes(6);
    let wish = options(Objective::Latency, 0);
    let now = strategy::auto(&machines, &model, &wish, None)
        .unwrap()
        .remove(0);
    assert_eq!(nodes(&now), [("n0", 6)]);
    machines.nodes[1].executors[0].memory_bandwidth = 550e9;
    let same = strategy::auto(&machines, &model, &wish, Some(&now)).unwrap();
    assert_eq!(nodes(&same[0]), [("n0", 6)], "{}", same[0].explanation);
    machines.nodes[1].executors[0].memory_bandwidth = 600e9;
    let moved = strategy::auto(&machines, &model, &wish, Some(&now)).unwrap();
    assert_eq!(nodes(&moved[0]), [("n1", 6)], "{}", moved[0].explanation);
    // What runs on a node that is gone does not stay.
    machines.nodes.remove(0);
    let moved = strategy::auto(&machines, &model, &wish, Some(&now)).unwrap();
    assert_eq!(nodes(&moved[0]), [("n1", 6)]);
}

#[test]
fn a_tensor_parallel_group_is_used_where_links_are_fast_enough() {
    let nodes = vec![node(0, 90 * GB, &[("mlx-metal", 400e9, 0.0, 0.0)]); 1];
    let mut second = nodes[0].clone();
    second.id = "n1".to_owned();
    let pair: Vec<_> = nodes.into_iter().chain([second]).collect();
    let mut dense = gigabytes(80);
    dense.tensor_parallel_sizes = vec![2];
    // 80 GB at 400 GB/s are 0.2 s; two machines save half of it, less 160 all-reduces.
    for (latency, grouped) in [(30e-6, true), (3e-3, false)] {
        let topology = full_mesh(pair.clone(), latency, 5e9);
        let plans =
            strategy::auto(&topology, &dense, &options(Objective::Latency, 0), None).unwrap();
        assert_eq!(
            plans[0].stages[0].nodes.len() == 2,
            grouped,
            "{}",
            plans[0].explanation
        );
    }
}

#[test]
fn sixty_four_different_nodes_are_planned_well() {
    let mut nodes = Vec::new();
    for at in 0..64 {
        let speed = 100e9 + 10e9 * ((at * 37) % 64) as f64;
        nodes.push(node(
            at,
            (20 + (at as u64 * 11) % 64) * GB,
            &[("cpu", speed, 0.0, 1e-5)],
        ));
    }
    let topology = full_mesh(nodes, 100e-6, 1e9);
    let model = model(vec![layer(5 * GB, 5 * GB, 0); 80], 8192, &[]);
    for objective in [Objective::Latency, Objective::Throughput] {
        let wish = options(objective, 0);
        let auto = strategy::auto(&topology, &model, &wish, None).unwrap();
        let problem = Problem::new(&topology, &model, &wish).unwrap();
        assert!(
            problem
                .predict(&problem.placed(&auto[0]).unwrap())
                .is_some()
        );
        for other in [strategy::spread, strategy::pack] {
            let other = other(&topology, &model, &wish, None).unwrap().remove(0);
            let (ours, theirs) = match objective {
                Objective::Latency => (other.predicted_latency, auto[0].predicted_latency),
                Objective::Throughput => (auto[0].predicted_throughput, other.predicted_throughput),
            };
            assert!(ours >= theirs * 0.999_999, "{objective:?}: {ours} {theirs}");
        }
    }
}

#[test]
fn so_many_stages_as_were_asked_for_or_a_reason() {
    let (machines, small) = (machines(), gigabytes(6));
    let exactly = |stages: u32| Options {
        ext: Some(format!("{{\"stages\": {stages}}}")),
        ..options(Objective::Latency, 0)
    };
    for stages in 1..=4 {
        let plans = strategy::auto(&machines, &small, &exactly(stages), None).unwrap();
        let count = plans.iter().map(|plan| plan.stages.len());
        assert!(count.eq([stages as usize]), "{stages}");
        let spread = strategy::spread(&machines, &small, &exactly(stages), None).unwrap();
        assert_eq!(spread[0].stages.len(), stages as usize);
    }
    // What runs is no reason to have fewer.
    let now = strategy::auto(&machines, &small, &exactly(1), None)
        .unwrap()
        .remove(0);
    let moved = strategy::auto(&machines, &small, &exactly(2), Some(&now)).unwrap();
    assert!(moved.iter().all(|plan| plan.stages.len() == 2));
    // Those that are for another number say so.
    for strategy in [strategy::single, strategy::pack] {
        let error = strategy(&machines, &small, &exactly(2), None).unwrap_err();
        assert!(
            error.message.contains("in exactly 2 stages"),
            "{}",
            error.message
        );
    }
    for stages in [0, 5] {
        let error = strategy::auto(&machines, &small, &exactly(stages), None).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("options.ext.stages"));
    }
    // Many different nodes, for which orders are tried.
    let nodes = (0..40).map(|at| {
        let speed = 1e9 * (100 + (at * 37) % 64) as f64;
        node(at, (2 + at as u64) * GB, &[("cpu", speed, 0.0, 1e-5)])
    });
    let many = full_mesh(nodes.collect(), 100e-6, 1e9);
    let plans = strategy::auto(&many, &gigabytes(80), &exactly(7), None).unwrap();
    assert!(plans.iter().all(|plan| plan.stages.len() == 7));
    let nothing = Options {
        ext: Some("{\"stages\": \"many\"}".to_owned()),
        ..options(Objective::Latency, 0)
    };
    assert!(strategy::spread(&machines, &small, &nothing, None).is_err());
}

#[test]
fn nonsense_is_left_out_or_refused() {
    let mut machines = machines();
    machines.nodes[0].executors[0].memory_bandwidth = f64::NAN;
    machines
        .links
        .push(crate::support::link(9, 1, -1.0, f64::INFINITY));
    let wish = options(Objective::Latency, 0);
    let plans = strategy::auto(&machines, &gigabytes(6), &wish, None).unwrap();
    assert_eq!(nodes(&plans[0]), [("n1", 6)]);
    assert!(strategy::auto(&machines, &gigabytes(0), &wish, None).is_err());
    let nobody = Topology {
        nodes: Vec::new(),
        links: Vec::new(),
    };
    assert!(strategy::auto(&nobody, &gigabytes(6), &wish, None).is_err());
    let excluded = Options {
        excluded: vec!["n1".to_owned()],
        ..wish
    };
    let plans = strategy::auto(&machines, &gigabytes(6), &excluded, None).unwrap();
    assert_eq!(nodes(&plans[0]), [("n3", 6)]);
}
