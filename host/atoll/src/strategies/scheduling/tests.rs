use atoll_engine::scheduler::RequestId;
use atoll_plugin_runtime::{CallLimits, LoadPolicy, PluginRuntime, PluginSource, RuntimeOptions};
use tokio::runtime::Runtime;

use super::*;

/// A registry of the shipped scheduling strategies, under these limits.
fn registry(runtime: &Runtime, scheduling: CallLimits) -> Registry {
    let options = RuntimeOptions {
        max_instances: 4,
        scheduling,
        ..RuntimeOptions::default()
    };
    let load = async {
        let plugins = PluginRuntime::new(options).unwrap();
        let mut loaded = Vec::new();
        for name in ["fcfs", "fair", "priority", "shortest-first"] {
            let bundled = atoll_bundled_plugins::find(name).unwrap();
            let source = PluginSource::Bytes {
                name: name.to_owned(),
                wasm: Arc::from(bundled.wasm),
            };
            let policy = LoadPolicy {
                grants: atoll_plugin_runtime::Grant::all_local(),
                ..LoadPolicy::default()
            };
            loaded.push(plugins.load(source, policy).await.unwrap());
        }
        Registry::new(loaded).unwrap()
    };
    runtime.block_on(load)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn wanted(strategy: &str) -> SchedulingConfig {
    SchedulingConfig {
        strategy: Some(strategy.to_owned()),
        priorities: BTreeMap::from([("ops".to_owned(), 9)]),
    }
}

fn entry(id: u64, owner: &str, tokens: usize) -> WaitingFacts {
    WaitingFacts {
        request: RequestId(id),
        sequence: SequenceId(id),
        arrival: id,
        owner: owner.into(),
        priority: 0,
        tokens,
        cached_tokens: 0,
        max_new_tokens: 10,
        choices: 1,
        preempted: false,
    }
}

fn ask(policy: &mut dyn QueuePolicy) -> Vec<usize> {
    let waiting = [
        entry(1, "batch", 500),
        entry(2, "batch", 100),
        entry(3, "ops", 200),
        entry(4, "laptop", 10),
    ];
    let load = QueueLoad {
        running: 1,
        max_running: 8,
        free_blocks: 10,
        total_blocks: 20,
        recent: &[("laptop".into(), 9000)],
    };
    let admitted = |decision: &Decision| match decision {
        Decision::Admit(at) => *at,
        Decision::Reject(at) => panic!("{at} was refused"),
    };
    policy.order(&waiting, &load).iter().map(admitted).collect()
}

#[test]
fn each_strategy_decides_and_is_swapped_under_a_running_policy() {
    let runtime = runtime();
    let registry = registry(&runtime, RuntimeOptions::default().scheduling);
    let slot = SchedulingSlot::new(runtime.handle().clone());
    let mut policy = slot.policy();
    assert_eq!(ask(policy.as_mut()), [0, 1, 2, 3], "the host's own");
    assert!(!policy.wants_cache_hits());
    for (strategy, order) in [
        // By key: those who were given nothing, in turn, then who was given much.
        ("fair", [0, 2, 1, 3]),
        ("priority", [2, 0, 1, 3]),
        ("shortest-first", [3, 1, 2, 0]),
        ("fcfs", [0, 1, 2, 3]),
    ] {
        slot.apply(&wanted(strategy), &registry);
        assert_eq!(ask(policy.as_mut()), order, "{strategy}");
        let standing = slot.standing();
        assert!(standing.in_force.starts_with(strategy), "{standing:?}");
        assert_eq!((standing.problem, standing.faults), (None, 0));
    }
    assert!(policy.wants_cache_hits());
}

#[test]
fn a_strategy_that_breaks_a_limit_costs_nobody_a_turn() {
    let runtime = runtime();
    let usual = RuntimeOptions::default().scheduling;
    let nothing = CallLimits {
        output_bytes: 0,
        output_per_input: 0,
        ..usual
    };
    let registry = registry(&runtime, nothing);
    let slot = SchedulingSlot::new(runtime.handle().clone());
    slot.apply(&wanted("shortest-first"), &registry);
    let mut policy = slot.policy();
    for faults in 1..=2 {
        assert_eq!(
            ask(policy.as_mut()),
            [0, 1, 2, 3],
            "first come, first served"
        );
        let standing = slot.standing();
        assert_eq!(standing.faults, faults);
        let problem = standing.problem.unwrap();
        assert!(problem.contains("shortest-first"), "{problem}");
    }
}

#[test]
fn a_strategy_that_is_not_there_is_named() {
    let runtime = runtime();
    let registry = registry(&runtime, RuntimeOptions::default().scheduling);
    let slot = SchedulingSlot::new(runtime.handle().clone());
    slot.apply(&wanted("fare"), &registry);
    let problem = slot.standing().problem.unwrap();
    assert!(
        problem.contains("`fare`") && problem.contains("fair"),
        "{problem}"
    );
    assert_eq!(ask(slot.policy().as_mut()), [0, 1, 2, 3]);
    slot.apply(&wanted("fair"), &registry);
    assert_eq!(slot.standing().problem, None);
}
