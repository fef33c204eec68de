//! What a dialect costs by the language it is written in: compiling, loading, instantiating, each call,
//! each event, memory.
//!
//! ```text
//! examples/build
//! cargo run -p atoll-plugin-runtime --example languages -- FILE.wasm...
//! ```
//!
//! For each file, a dialect that `atoll plugin new` made or one of `examples/`: it is sent a request of its
//! own route. A scheduling strategy is asked about queues of several lengths; each call has an instance of its
//! own, so that is in it. Medians on one thread; run it on an idle machine.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atoll_plugin_runtime::{
    Dialect, Filter, Grant, LoadPolicy, LoadedPlugin, PluginRuntime, PluginSource, RuntimeOptions,
    Scheduling,
    types::{
        self,
        scheduling::{Load, WaitingRequest},
    },
};
use common::{BenchError, context, item_started, resident, started, text};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BenchError> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        return Err(BenchError::Answer("say which .wasm files".to_owned()));
    }
    println!(
        "{:<16} {:>9} {:>9} {:>9} {:>12} {:>12} {:>10} {:>10} {:>10}",
        "",
        "size KiB",
        "compile",
        "cached",
        "instantiate",
        "first call",
        "a call",
        "an event",
        "memory"
    );
    for file in &files {
        one(file).await?;
    }
    Ok(())
}

async fn one(file: &Path) -> Result<(), BenchError> {
    let folder = tempfile::tempdir()?;
    let mut loads = Vec::new();
    let mut loaded = None;
    for _ in 0..4 {
        let runtime = PluginRuntime::new(RuntimeOptions {
            cache_dir: Some(folder.path().into()),
            ..RuntimeOptions::default()
        })?;
        let policy = LoadPolicy {
            grants: Grant::all_local(),
            settings: settings(file),
        };
        let plugin = runtime
            .load(PluginSource::File(file.to_owned()), policy)
            .await?;
        loads.push(plugin.info().compile_time);
        loaded = Some(plugin);
    }
    let Some(plugin) = loaded else {
        return Ok(());
    };
    let info = plugin.info();
    let (name, size) = (info.name.clone(), info.size_bytes >> 10);
    if let LoadedPlugin::Scheduling(strategy) = &plugin {
        return of_scheduling(strategy).await;
    }
    let costs = match &plugin {
        LoadedPlugin::Dialect(dialect) => of_dialect(dialect).await?,
        LoadedPlugin::Filter(filter) => of_filter(filter).await?,
        _ => {
            return Err(BenchError::Answer(format!(
                "{name} is a placement strategy"
            )));
        }
    };
    let compile = loads.first().copied().unwrap_or_default();
    let cached = median(loads.split_off(1));
    println!(
        "{name:<16} {size:>9} {:>7.2} s {:>6.1} ms {:>9.0} us {:>9.0} us {:>7.1} us {:>7.1} us {:>6} KiB",
        compile.as_secs_f64(),
        cached * 1e3,
        costs.instantiate * 1e6,
        costs.first * 1e6,
        costs.call * 1e6,
        costs.event * 1e6,
        costs.memory
    );
    Ok(())
}

/// What the example filter needs to be told.
fn settings(file: &Path) -> serde_json::Value {
    match file.file_stem().is_some_and(|stem| stem == "topic-policy") {
        true => serde_json::json!({ "topics": { "weapons": ["grenade"] } }),
        false => serde_json::Value::Null,
    }
}

/// Seconds, and KiB of an open instance.
struct Costs {
    instantiate: f64,
    first: f64,
    call: f64,
    event: f64,
    memory: u64,
}

/// Rounds that make a new instance, calls into one instance, instances open at once.
const FRESH: usize = 200;
const CALLS: usize = 5000;
const OPEN: usize = 50;

async fn of_dialect(dialect: &Dialect) -> Result<Costs, BenchError> {
    let route = dialect
        .info()
        .routes
        .first()
        .ok_or_else(|| BenchError::Answer("it has no route".to_owned()))?
        .clone();
    let (mut instantiate, mut first) = (Vec::new(), Vec::new());
    for _ in 0..FRESH {
        let began = Instant::now();
        let mut exchange = dialect.open(request(&route.method, &route.path)).await?;
        instantiate.push(began.elapsed());
        let began = Instant::now();
        exchange.decode().await??;
        first.push(began.elapsed());
    }
    let mut exchange = dialect.open(request(&route.method, &route.path)).await?;
    exchange.decode().await??;
    let call = timed(CALLS, async || {
        exchange.head().await?;
        Ok(())
    })
    .await?;
    exchange.encode(&[started(), item_started()]).await??;
    let event = [text(" word")];
    let event = timed(CALLS, async || {
        exchange.encode(&event).await??;
        Ok(())
    })
    .await?;
    let before = resident();
    let mut open = Vec::new();
    for _ in 0..OPEN {
        let mut exchange = dialect.open(request(&route.method, &route.path)).await?;
        exchange.decode().await??;
        open.push(exchange);
    }
    Ok(Costs {
        instantiate: median(instantiate),
        first: median(first),
        call,
        event,
        memory: resident().saturating_sub(before) / OPEN as u64,
    })
}

async fn of_filter(filter: &Filter) -> Result<Costs, BenchError> {
    let operation = types::Operation::ShowModel("atoll-demo".to_owned());
    let (mut instantiate, mut first) = (Vec::new(), Vec::new());
    for _ in 0..FRESH {
        let began = Instant::now();
        let mut session = filter.open(context("bench")).await??;
        instantiate.push(began.elapsed());
        let began = Instant::now();
        session.on_request(&operation).await??;
        first.push(began.elapsed());
    }
    let mut session = filter.open(context("bench")).await??;
    let call = timed(CALLS, async || {
        session.on_request(&operation).await??;
        Ok(())
    })
    .await?;
    session.on_events(vec![started(), item_started()]).await??;
    let event = timed(CALLS, async || {
        session.on_events(vec![text(" word")]).await??;
        Ok(())
    })
    .await?;
    let before = resident();
    let mut open = Vec::new();
    for _ in 0..OPEN {
        let mut session = filter.open(context("bench")).await??;
        session.on_request(&operation).await??;
        open.push(session);
    }
    Ok(Costs {
        instantiate: median(instantiate),
        first: median(first),
        call,
        event,
        memory: resident().saturating_sub(before) / OPEN as u64,
    })
}

/// A call by the number of requests that wait, up to as many as an engine lets wait: instance included, median and slowest.
async fn of_scheduling(strategy: &Scheduling) -> Result<(), BenchError> {
    for waiting in [1_u64, 16, 256] {
        let queue: Vec<WaitingRequest> = (0..waiting)
            .map(|id| WaitingRequest {
                id,
                key_name: format!("key-{}", id % 7),
                priority: 0,
                prompt_tokens: 100,
                cached_tokens: 0,
                max_output_tokens: 100,
                waited_ms: id * 31 % 1000,
                ext: None,
            })
            .collect();
        let load = Load {
            running: 0,
            max_running: 256,
            free_blocks: 1000,
            total_blocks: 1000,
            recent: Vec::new(),
        };
        let mut times = Vec::new();
        for _ in 0..FRESH {
            let began = Instant::now();
            strategy.order(&queue, &load).await??;
            times.push(began.elapsed());
        }
        let slowest = times.iter().max().copied().unwrap_or_default();
        println!(
            "{:<16} {waiting:>5} waiting {:>9.0} us, slowest {:>9.0} us",
            strategy.info().name,
            median(times) * 1e6,
            slowest.as_secs_f64() * 1e6
        );
    }
    Ok(())
}

/// The median of so many rounds, in seconds.
async fn timed(
    rounds: usize,
    mut round: impl AsyncFnMut() -> Result<(), BenchError>,
) -> Result<f64, BenchError> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        round().await?;
        times.push(began.elapsed());
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
}

/// A request of that route which the templates and the examples all understand.
fn request(method: &str, path: &str) -> types::HttpRequest {
    let body = r#"{"model":"atoll-demo","stream":true,"messages":[{"role":"user","content":"Hello, how are you today?"}],"contents":[{"parts":[{"text":"Hello, how are you today?"}]}]}"#;
    let param = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    types::HttpRequest {
        path_params: vec![
            param("model", "atoll-demo"),
            param("target", "atoll-demo:streamGenerateContent"),
        ],
        ..common::request(method, path, body)
    }
}
