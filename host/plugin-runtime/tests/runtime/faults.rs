//! What a plugin can do wrong while it runs costs its own request, and only that.

use atoll_plugin_runtime::{Breach, CallLimits, FaultKind, PluginRuntime, RuntimeOptions, types};

use crate::support::{dialect, fault, healthy, options, patient, provoke, request, runtime, text};

const PLACES: [&str; 6] = ["new", "decode", "head", "encode", "reply", "fail"];

/// Each misdeed in each export, with a neighbour's exchange open all along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_misdeed_ends_its_own_exchange_only() {
    let runtime = runtime();
    let hurried = dialect(&runtime).await;
    let patient = dialect(&PluginRuntime::new(patient()).unwrap()).await;
    let mut neighbour = hurried.open(request("I stay")).await.unwrap();
    for place in PLACES {
        for (what, expected) in [
            ("loop", &[FaultKind::Deadline][..]),
            ("grow", &[FaultKind::Memory]),
            // A Rust guest keeps its stack in its own memory: it leaves that before the native stack ends.
            ("recurse", &[FaultKind::Stack, FaultKind::Trap]),
            ("trap", &[FaultKind::Trap]),
            ("exit", &[FaultKind::Trap]),
            ("panic", &[FaultKind::Trap]),
            ("flood", &[FaultKind::HostCalls]),
        ] {
            let dialect = if what == "loop" { &hurried } else { &patient };
            let (beside, (_, outcome)) =
                tokio::join!(healthy(dialect, 5), provoke(dialect, place, what));
            let () = beside;
            let kind = fault(outcome);
            assert!(expected.contains(&kind), "{place}:{what} gave {kind:?}");
        }
    }
    let word = neighbour
        .encode(&[text("still here")])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(word, b"still here");
    drop(neighbour);
    assert_eq!(
        runtime.free_instances(),
        12,
        "every instance was given back"
    );
}

/// Many guests that never end, more than there are worker threads: the others get their turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spinning_guests_do_not_starve_a_neighbour() {
    let runtime = runtime();
    let dialect = dialect(&runtime).await;
    let spinners = futures::future::join_all((0..8).map(|_| provoke(&dialect, "decode", "loop")));
    let (outcomes, ()) = tokio::join!(spinners, healthy(&dialect, 50));
    for (_, outcome) in outcomes {
        assert_eq!(fault(outcome), FaultKind::Deadline);
    }
}

/// After a fault the instance is gone: wasmtime would refuse to enter it, and so do we, with the reason
/// that it really has.
#[tokio::test]
async fn a_faulted_exchange_repeats_its_fault() {
    let dialect = dialect(&runtime()).await;
    let (exchange, first) = provoke(&dialect, "decode", "panic").await;
    let first = first.unwrap_err().to_string();
    let mut exchange = exchange.unwrap();
    assert_eq!(
        exchange.encode(&[text("x")]).await.unwrap_err().to_string(),
        first
    );
    assert_eq!(exchange.head().await.unwrap_err().to_string(), first);
    assert_eq!(exchange.decode().await.unwrap_err().to_string(), first);
}

/// The message says whose fault it is and, for a panic, why, with nothing in it that could forge a
/// log line.
#[tokio::test]
async fn a_fault_names_the_plugin_and_the_reason() {
    let dialect = dialect(&runtime()).await;
    let (_, outcome) = provoke(&dialect, "head", "panic").await;
    let message = outcome.unwrap_err().to_string();
    assert!(
        message.starts_with("plugin \"misbehaving\" 0.1.0: trapped: in head: "),
        "{message}"
    );
    assert!(
        message.contains("boom: ") && !message.chars().any(char::is_control),
        "{message:?}"
    );
}

/// A client is told which plugin failed, never what it printed.
#[tokio::test]
async fn clients_learn_the_kind_only() {
    let dialect = dialect(&runtime()).await;
    let (_, outcome) = provoke(&dialect, "head", "panic").await;
    let told = outcome.unwrap_err().to_canonical();
    assert_eq!(told.kind, types::ErrorKind::PluginFault);
    assert_eq!(told.message, "plugin \"misbehaving\" 0.1.0: trapped");
}

/// Time spent waiting in a host function is not seen by the epoch; the wall clock sees it.
#[tokio::test]
async fn a_guest_that_sleeps_is_stopped_by_the_wall_clock() {
    let mut options = options();
    options.call.wall = std::time::Duration::from_millis(100);
    let runtime = PluginRuntime::new(options).unwrap();
    let dialect = dialect(&runtime).await;
    let (_, outcome) = provoke(&dialect, "decode", "sleep").await;
    assert_eq!(fault(outcome), FaultKind::Deadline);
    assert_eq!(runtime.free_instances(), 12);
}

/// 32 MiB where one is allowed, as bytes and as text, and a total over many small outputs.
#[tokio::test]
async fn output_is_bounded_per_call_and_in_all() {
    let dialect = dialect(&runtime()).await;
    for place in ["encode", "decode"] {
        let (_, outcome) = provoke(&dialect, place, "huge").await;
        let kind = fault(outcome);
        // 32 MiB twice over may not fit the guest's own memory either.
        assert!(
            matches!(kind, FaultKind::Output | FaultKind::Memory),
            "{place}: {kind:?}"
        );
    }
    let (_, outcome) = provoke(&dialect, "encode", "huge").await;
    assert_eq!(fault(outcome), FaultKind::Output);

    let mut exchange = dialect.open(request("encode:megabyte")).await.unwrap();
    let mut sent = 0;
    let kind = loop {
        match exchange.encode(&[]).await {
            Ok(bytes) => sent += bytes.unwrap().len(),
            Err(error) => break error.fault().unwrap().kind,
        }
    };
    assert_eq!((sent, kind), (3 << 20, FaultKind::Output));
}

/// What a call may return grows with what it was given: a large request decodes.
#[tokio::test]
async fn large_requests_decode() {
    let dialect = dialect(&runtime()).await;
    let body = "y".repeat(4 << 20);
    let mut exchange = dialect.open(request(&body)).await.unwrap();
    let operation = exchange.decode().await.unwrap().unwrap();
    assert_eq!(crate::support::prompt(&operation).len(), 4 << 20);
}

/// Printing is dropped beyond a budget, not punished.
#[tokio::test]
async fn printing_is_capped() {
    let runtime = PluginRuntime::new(RuntimeOptions {
        call: CallLimits {
            cpu: std::time::Duration::from_secs(5),
            ..options().call
        },
        ..options()
    })
    .unwrap();
    let dialect = dialect(&runtime).await;
    let (_, outcome) = provoke(&dialect, "decode", "print").await;
    outcome.unwrap();
}

/// A budget is for one call: the next starts with a full one.
#[tokio::test]
async fn budgets_are_refilled_for_each_call() {
    let dialect = dialect(&runtime()).await;
    let mut exchange = dialect.open(request("decode:facts")).await.unwrap();
    for _ in 0..300 {
        // About ten host calls each, where 1,000 are allowed per call.
        exchange.decode().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn invalid_heads_are_refused() {
    let dialect = dialect(&runtime()).await;
    for (place, what, breach) in [
        ("head", "status", Breach::Status),
        ("head", "split", Breach::Header),
        ("head", "length", Breach::Header),
        ("head", "name", Breach::Header),
        ("fail", "split", Breach::Header),
    ] {
        let (_, outcome) = provoke(&dialect, place, what).await;
        assert_eq!(
            fault(outcome),
            FaultKind::Contract(breach),
            "{place}:{what}"
        );
    }
}

/// A typed answer is not a fault: the exchange goes on to say it in its own words.
#[tokio::test]
async fn a_typed_error_is_an_answer() {
    let dialect = dialect(&runtime()).await;
    let mut exchange = dialect.open(request("decode:refuse")).await.unwrap();
    let refusal = exchange.decode().await.unwrap().unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("body"));
    let response = exchange.fail(&refusal).await.unwrap();
    assert_eq!(
        (response.head.status, response.body.as_slice()),
        (400, &b"refused"[..])
    );
}

/// Files through absolute paths and `..`, writing, sockets, names, the environment: the standard library
/// knows them all, and none leads anywhere.
#[tokio::test]
async fn there_is_nothing_outside_the_sandbox() {
    let mut options = options();
    options.call.cpu = std::time::Duration::from_secs(5);
    let dialect = dialect(&PluginRuntime::new(options).unwrap()).await;
    let mut exchange = dialect.open(request("decode:escapes")).await.unwrap();
    let operation = exchange.decode().await.unwrap().unwrap();
    assert_eq!(crate::support::prompt(&operation), "", "these worked");
}

/// A guest that takes half a second over each event delays its own answer; nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_drip_delays_its_own_answer_only() {
    let dialect = dialect(&runtime()).await;
    let mut slow = dialect.open(request("encode:drip")).await.unwrap();
    let drip = async {
        for _ in 0..120 {
            slow.encode(&[text("x")]).await.unwrap().unwrap();
        }
    };
    tokio::select! {
        () = drip => panic!("a minute passed before the neighbour was served"),
        () = healthy(&dialect, 50) => {}
    }
}
