//! Instances come and go with their requests: room, cancellation, the breaker, what outlives a request.

use std::time::Duration;

use atoll_plugin_runtime::{BreakerOptions, FaultKind, PluginRuntime, RuntimeOptions, types};

use crate::handmade::HandMade;
use crate::support::{
    dialect, fault, healthy, load_dialect, options, patient, prompt, provoke, request, runtime,
    text,
};

#[tokio::test]
async fn when_there_is_no_room_it_says_so_at_once() {
    let runtime = runtime();
    let dialect = dialect(&runtime).await;
    let mut open = Vec::new();
    for _ in 0..12 {
        open.push(dialect.open(request("x")).await.unwrap());
    }
    let refused = dialect.open(request("x")).await;
    assert_eq!(
        refused.as_ref().unwrap_err().to_canonical().kind,
        types::ErrorKind::Overloaded
    );
    assert_eq!(fault(refused), FaultKind::Overloaded);
    open.pop();
    healthy(&dialect, 1).await;
}

#[tokio::test]
async fn one_plugin_cannot_take_all_the_room() {
    let runtime = PluginRuntime::new(RuntimeOptions {
        max_instances_per_plugin: 2,
        ..options()
    })
    .unwrap();
    let greedy = dialect(&runtime).await;
    let other = dialect(&runtime).await;
    let _one = greedy.open(request("x")).await.unwrap();
    let _two = greedy.open(request("x")).await.unwrap();
    assert_eq!(
        fault(greedy.open(request("x")).await),
        FaultKind::Overloaded
    );
    healthy(&other, 1).await;
}

/// Memory is shared by all instances of a plugin, and what one plugin may have leaves room for others.
#[tokio::test]
async fn one_plugin_cannot_take_all_the_memory() {
    let mib = 1 << 20;
    let options = RuntimeOptions {
        total_memory_bytes: 48 * mib,
        plugin_memory_bytes: 24 * mib,
        ..patient()
    };
    let runtime = PluginRuntime::new(options).unwrap();
    let greedy = dialect(&runtime).await;
    let (_, outcome) = provoke(&greedy, "decode", "grow").await;
    assert_eq!(fault(outcome), FaultKind::Overloaded);
    // All of it was given back.
    healthy(&greedy, 1).await;
}

/// A client that goes away drops the call's future; the instance must go with it, for wasmtime cannot
/// enter it again.
#[tokio::test]
async fn a_cancelled_call_takes_its_instance_along() {
    let runtime = runtime();
    let dialect = dialect(&runtime).await;
    let mut exchange = dialect.open(request("decode:sleep")).await.unwrap();
    assert_eq!(runtime.free_instances(), 11);
    let cancelled = tokio::time::timeout(Duration::from_millis(20), exchange.decode()).await;
    assert!(cancelled.is_err());
    assert_eq!(runtime.free_instances(), 12);
    assert_eq!(
        fault(exchange.encode(&[text("x")]).await),
        FaultKind::Cancelled
    );
    healthy(&dialect, 1).await;
}

/// Each request has an instance of its own; only `kv` and metrics outlive it.
#[tokio::test]
async fn requests_share_nothing_but_what_is_meant_to_be() {
    let runtime = runtime();
    let dialect = dialect(&runtime).await;
    for (round, before) in [(1, false), (2, true)] {
        let mut exchange = dialect.open(request("decode:facts")).await.unwrap();
        let operation = exchange.decode().await.unwrap().unwrap();
        assert_eq!(
            prompt(&operation),
            format!("random=true clock=true before={before} set=true settings={{}}")
        );
        let metrics = runtime.metrics();
        let own = metrics.iter().find(|m| m.plugin == "misbehaving").unwrap();
        assert_eq!(own.counters["facts"], 6 * round);
        assert_eq!(own.histograms["size"].count, round);
    }
}

#[tokio::test]
async fn without_a_tokenizer_the_answer_is_typed() {
    let dialect = dialect(&runtime()).await;
    let mut exchange = dialect.open(request("decode:tokens")).await.unwrap();
    let operation = exchange.decode().await.unwrap().unwrap();
    assert_eq!(
        operation,
        types::Operation::ShowModel("this host provides no tokenizer to plugins".into())
    );
}

#[tokio::test]
async fn a_tokenizer_from_outside_is_used() {
    struct Words;
    impl atoll_plugin_runtime::TokenizerHost for Words {
        fn count(&self, _: &str, text: &str) -> Result<u32, types::Error> {
            Ok(text.split(' ').count() as u32)
        }
        fn encode(&self, _: &str, _: &str) -> Result<Vec<u32>, types::Error> {
            Ok(vec![])
        }
        fn decode(&self, _: &str, _: &[u32]) -> Result<String, types::Error> {
            Ok(String::new())
        }
    }
    let runtime = PluginRuntime::new(RuntimeOptions {
        tokenizer: Some(std::sync::Arc::new(Words)),
        ..options()
    })
    .unwrap();
    let dialect = dialect(&runtime).await;
    let mut exchange = dialect.open(request("decode:tokens")).await.unwrap();
    assert_eq!(
        exchange.decode().await.unwrap().unwrap(),
        types::Operation::ShowModel("2".into())
    );
}

/// Repeated faults take the plugin out; after the cool-off one good request brings it back.
#[tokio::test]
async fn the_breaker_trips_and_recovers() {
    let breaker = BreakerOptions {
        faults: 3,
        cool_off: Duration::from_millis(100),
        ..BreakerOptions::default()
    };
    let runtime = PluginRuntime::new(RuntimeOptions {
        breaker,
        ..options()
    })
    .unwrap();
    let dialect = dialect(&runtime).await;
    for _ in 0..3 {
        let (exchange, outcome) = provoke(&dialect, "decode", "trap").await;
        assert_eq!(fault(outcome), FaultKind::Trap);
        drop(exchange);
    }
    let refused = dialect.open(request("x")).await.unwrap_err();
    assert!(
        matches!(refused.fault().unwrap().kind, FaultKind::Suspended { .. }),
        "{refused}"
    );
    assert_eq!(refused.to_canonical().kind, types::ErrorKind::Overloaded);
    let mut waited = 0;
    loop {
        match dialect.open(request("x")).await {
            Ok(mut exchange) => {
                exchange.decode().await.unwrap().unwrap();
                break;
            }
            Err(_) if waited < 1000 => {
                waited += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("still out: {error}"),
        }
    }
    assert!(!dialect.suspended());
    healthy(&dialect, 1).await;
}

/// A file that is replaced may call itself something else each time. Each name would be a store, and a series on the
/// metrics page, for good.
#[tokio::test]
async fn names_that_nobody_has_any_more_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime();
    runtime.keep_kv(&folder.path().join("kv.redb")).unwrap();
    let counting = dialect(&runtime).await;
    let mut exchange = counting.open(request("decode:facts")).await.unwrap();
    exchange.decode().await.unwrap().unwrap();
    drop((exchange, counting));
    for turn in 0..5 {
        let wasm = HandMade {
            name: format!("name-{turn}").into_bytes(),
            ..HandMade::default()
        };
        load_dialect(&runtime, &wasm.build()).await;
    }
    let names: Vec<String> = runtime.metrics().into_iter().map(|m| m.plugin).collect();
    // What the first one counted and stored stays; of the others there is the last, which was just loaded.
    assert_eq!(names, ["misbehaving", "name-4"]);
}
