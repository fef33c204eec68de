//! What a plugin's requests cost while another plugin misbehaves, and a thousand requests at once.
//!
//! ```text
//! cargo run -p atoll-plugin-runtime --example neighbours
//! ```
//!
//! First: requests of the shipped OpenAI dialect, one after the other, alone and beside requests of a
//! hostile plugin that never stop (one at a time, then eight at once; its circuit breaker is off, which
//! is the worst case). Rounds alternate, so that what else the machine does falls on both. Second: requests
//! that all hold two filters and a dialect open until the last of them has begun.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_plugin_runtime::{
    BreakerOptions, Dialect, Filter, Grant, LoadPolicy, LoadedPlugin, PluginRuntime, PluginSource,
    RuntimeOptions, types,
};
use common::{BenchError, context, item_started, request, resident, started, text};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Requests in one round of the neighbour.
const REQUESTS: usize = 300;
/// Rounds of each kind.
const ROUNDS: usize = 5;
/// Events of one answer.
const EVENTS: usize = 20;
/// Requests that are open at once.
const CROWD: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), BenchError> {
    beside_a_hostile_plugin().await?;
    all_at_once().await
}

async fn beside_a_hostile_plugin() -> Result<(), BenchError> {
    let runtime = PluginRuntime::new(RuntimeOptions {
        breaker: BreakerOptions {
            faults: 0,
            ..BreakerOptions::default()
        },
        ..RuntimeOptions::default()
    })?;
    let neighbour = dialect(&runtime, bundled("openai")?).await?;
    let hostile = dialect(&runtime, atoll_test_plugins::DIALECT).await?;
    // The first requests of a process pay for what later ones find.
    requests(&neighbour).await?;
    println!(
        "{:<34} {:>11} {:>11} {:>11}   the neighbour's requests, {EVENTS} events each",
        "beside", "median", "p99", "slowest"
    );
    let mut alone = Vec::new();
    for misdeed in ["loop", "grow", "flood", "panic", "print", "recurse"] {
        for many in [1, 8] {
            let mut beside = Vec::new();
            for _ in 0..ROUNDS {
                alone.extend(requests(&neighbour).await?);
                let mut attack = JoinSet::new();
                for _ in 0..many {
                    attack.spawn(misbehave(Arc::clone(&hostile), misdeed));
                }
                beside.extend(requests(&neighbour).await?);
                attack.shutdown().await;
            }
            print(&format!("{many} x {misdeed}"), beside);
        }
    }
    print("nobody", alone);
    Ok(())
}

/// One hostile request after the other, for as long as it is polled.
async fn misbehave(dialect: Arc<Dialect>, misdeed: &'static str) {
    loop {
        if let Ok(mut exchange) = dialect
            .open(request(
                "POST",
                "/v1/chat/completions",
                &format!("encode:{misdeed}"),
            ))
            .await
        {
            // Its faults are the point.
            let _ = exchange.encode(&[text("x")]).await;
        }
    }
}

/// The times of whole requests.
async fn requests(dialect: &Dialect) -> Result<Vec<Duration>, BenchError> {
    let mut times = Vec::new();
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let mut exchange = dialect
            .open(request("POST", "/v1/chat/completions", CHAT))
            .await?;
        exchange.decode().await??;
        exchange.head().await?;
        exchange.encode(&[started(), item_started()]).await??;
        for _ in 0..EVENTS {
            exchange.encode(&[text(" word")]).await??;
        }
        times.push(began.elapsed());
    }
    Ok(times)
}

async fn all_at_once() -> Result<(), BenchError> {
    // Three instances each, and some room.
    let instances = u32::try_from(CROWD * 3 + 72).unwrap_or(u32::MAX);
    let began = Instant::now();
    let runtime = PluginRuntime::new(RuntimeOptions {
        max_instances: instances,
        max_instances_per_plugin: instances,
        ..RuntimeOptions::default()
    })?;
    println!(
        "\n{CROWD} requests at once through annotate, redact-pii and openai; room for {instances} instances, pooled: {}, made in {:.1} ms",
        runtime.pooled(),
        began.elapsed().as_secs_f64() * 1e3
    );
    let chain = Arc::new([
        filter(&runtime, bundled("annotate")?).await?,
        filter(&runtime, bundled("redact-pii")?).await?,
    ]);
    let dialect = dialect(&runtime, bundled("openai")?).await?;
    through(&chain, &dialect, Arc::new(Barrier::new(1))).await?;
    let before = resident();
    let everybody = Arc::new(Barrier::new(CROWD));
    let began = Instant::now();
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let (chain, dialect) = (Arc::clone(&chain), Arc::clone(&dialect));
        let everybody = Arc::clone(&everybody);
        crowd.spawn(async move { through(&chain, &dialect, everybody).await });
    }
    let (mut begin, mut stream, mut held) = (Vec::new(), Vec::new(), 0);
    while let Some(one) = crowd.join_next().await {
        let times = one??;
        held = held.max(times.resident);
        begin.push(times.begin);
        stream.push(times.stream);
    }
    let whole = began.elapsed();
    println!(
        "{:<34} {:>11} {:>11} {:>11}",
        "", "median", "p99", "slowest"
    );
    print("open, decode, both filters", begin);
    print("the answer, 20 batches", stream);
    println!(
        "all in {:.0} ms, {:.0} requests/s; {} MiB for {} open instances",
        whole.as_secs_f64() * 1e3,
        CROWD as f64 / whole.as_secs_f64(),
        held.saturating_sub(before) >> 10,
        CROWD * 3
    );
    Ok(())
}

struct Times {
    begin: Duration,
    stream: Duration,
    /// KiB of the process while everybody was open.
    resident: u64,
}

/// One request through both filters and the dialect; holds all three open until everybody does.
async fn through(
    chain: &[Arc<Filter>; 2],
    dialect: &Dialect,
    everybody: Arc<Barrier>,
) -> Result<Times, BenchError> {
    let began = Instant::now();
    let mut exchange = dialect
        .open(request("POST", "/v1/chat/completions", CHAT))
        .await?;
    let mut operation = exchange.decode().await??;
    let mut sessions = Vec::new();
    for filter in chain {
        let mut session = filter.open(context("bench")).await??;
        if filter.sees_requests()
            && let types::Verdict::Replace(other) = session.on_request(&operation).await??
        {
            operation = other;
        }
        sessions.push((filter, session));
    }
    exchange.head().await?;
    let begin = began.elapsed();
    everybody.wait().await;
    let resident = resident();
    everybody.wait().await;
    let began = Instant::now();
    for round in 0..EVENTS {
        let mut events = match round {
            0 => vec![started(), item_started()],
            _ => vec![text(" word")],
        };
        for (filter, session) in sessions.iter_mut().rev() {
            if filter.sees_events() {
                events = session.on_events(events).await??;
            }
        }
        exchange.encode(&events).await??;
        // Between two tokens there is time for others.
        tokio::task::yield_now().await;
    }
    Ok(Times {
        begin,
        stream: began.elapsed(),
        resident,
    })
}

fn bundled(name: &str) -> Result<&'static [u8], BenchError> {
    let plugin = atoll_bundled_plugins::find(name);
    plugin
        .map(|plugin| plugin.wasm)
        .ok_or_else(|| BenchError::Answer(format!("{name} is not bundled")))
}

async fn load(runtime: &PluginRuntime, wasm: &[u8]) -> Result<LoadedPlugin, BenchError> {
    let source = PluginSource::Bytes {
        name: "bench".into(),
        wasm: Arc::from(wasm),
    };
    let policy = LoadPolicy {
        grants: Grant::all_local(),
        ..LoadPolicy::default()
    };
    Ok(runtime.load(source, policy).await?)
}

async fn dialect(runtime: &PluginRuntime, wasm: &[u8]) -> Result<Arc<Dialect>, BenchError> {
    match load(runtime, wasm).await? {
        LoadedPlugin::Dialect(dialect) => Ok(dialect),
        _ => Err(BenchError::Answer("it is not a dialect".to_owned())),
    }
}

async fn filter(runtime: &PluginRuntime, wasm: &[u8]) -> Result<Arc<Filter>, BenchError> {
    match load(runtime, wasm).await? {
        LoadedPlugin::Filter(filter) => Ok(filter),
        _ => Err(BenchError::Answer("it is not a filter".to_owned())),
    }
}

fn print(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| {
        let index = (times.len() * part / 1000).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |t| t.as_secs_f64() * 1e3)
    };
    println!(
        "{name:<34} {:>8.2} ms {:>8.2} ms {:>8.2} ms",
        at(500),
        at(990),
        at(1000)
    );
}

const CHAT: &str = r#"{"model":"atoll-demo","stream":true,"messages":[{"role":"user","content":"Hello, my mail is alice.martin@example.com"}]}"#;
