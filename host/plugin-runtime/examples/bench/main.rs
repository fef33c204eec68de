//! What a plugin costs: compiling, loading from the cache, instantiating, each call, each event.
//!
//! ```text
//! cargo run -p atoll-plugin-runtime --example bench
//! ```
//!
//! Measures the shipped OpenAI dialect step by step, then every shipped dialect beside the same code called
//! directly. Medians and 99th percentiles over many rounds, on one thread; run it on an idle machine.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]

#[path = "../common/mod.rs"]
mod common;
mod dialects;
mod series;

use std::sync::Arc;
use std::time::Instant;

use atoll_plugin_runtime::{
    Dialect, Grant, LoadPolicy, LoadedPlugin, PluginRuntime, PluginSource, RuntimeOptions, types,
};
use common::{BenchError, item_started, resident, started, text};
use series::Series;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BenchError> {
    println!("{:<44} {:>13} {:>13}", "", "median", "p99");
    let folder = tempfile::tempdir()?;
    let plugin = atoll_bundled_plugins::find("openai")
        .ok_or_else(|| BenchError::Answer("no openai plugin is bundled".to_owned()))?;
    let source = || PluginSource::Bytes {
        name: "openai".into(),
        wasm: Arc::from(plugin.wasm),
    };
    let policy = || LoadPolicy {
        grants: Grant::all_local(),
        ..LoadPolicy::default()
    };
    let options = || RuntimeOptions {
        cache_dir: Some(folder.path().into()),
        ..RuntimeOptions::default()
    };

    let mut start = Series::new("runtime start, cache folder present");
    let mut cached = Series::new("load from the cache, describe, check");
    for round in 0..20 {
        let began = Instant::now();
        let runtime = PluginRuntime::new(options())?;
        start.lap(began);
        let began = Instant::now();
        let loaded = runtime.load(source(), policy()).await?;
        if round == 0 {
            let info = loaded.info();
            println!(
                "component {} bytes; compile and load {:.1} ms; describe {:.2} ms; pooled: {}",
                info.size_bytes,
                info.compile_time.as_secs_f64() * 1e3,
                info.describe_time.as_secs_f64() * 1e3,
                runtime.pooled()
            );
        } else {
            cached.lap(began);
        }
    }
    start.print();
    cached.print();

    let runtime = PluginRuntime::new(options())?;
    let LoadedPlugin::Dialect(dialect) = runtime.load(source(), policy()).await? else {
        return Err(BenchError::Answer("openai is not a dialect".to_owned()));
    };
    calls(&dialect).await?;
    events(&dialect).await?;
    memory(&dialect).await?;
    dialects::compare(&runtime).await
}

/// The calls of one request, each on its own and all together.
async fn calls(dialect: &Dialect) -> Result<(), BenchError> {
    let mut open = Series::new("open: instantiate and construct");
    let mut decode = Series::new("decode: one short message");
    let mut head = Series::new("head");
    let mut encode = Series::new("encode: the first batch");
    let mut drop_ = Series::new("drop");
    let mut whole = Series::new("a whole request with 5 events");
    for _ in 0..5000 {
        let began = Instant::now();
        let mut exchange = dialect.open(request()).await?;
        let now = open.lap(began);
        exchange.decode().await??;
        let now = decode.lap(now);
        exchange.head().await?;
        let now = head.lap(now);
        exchange
            .encode(&[started(), item_started(), text("Hi")])
            .await??;
        let now = encode.lap(now);
        exchange.encode(&[text(" there")]).await??;
        exchange.encode(&[text("!")]).await??;
        let before = Instant::now();
        drop(exchange);
        drop_.lap(before);
        whole.lap(began);
        let _ = now;
    }
    for series in [open, decode, head, encode, drop_, whole] {
        series.print();
    }
    Ok(())
}

/// One token a call, and many tokens a call.
async fn events(dialect: &Dialect) -> Result<(), BenchError> {
    let mut exchange = dialect.open(request()).await?;
    exchange.decode().await??;
    exchange.head().await?;
    exchange.encode(&[started(), item_started()]).await??;
    let mut single = Series::new("encode: one token");
    for _ in 0..20_000 {
        let event = [text(" word")];
        let began = Instant::now();
        exchange.encode(&event).await??;
        single.lap(began);
    }
    single.print();
    let mut batch = Series::new("encode: 32 tokens in one batch");
    let events: Vec<_> = (0..32).map(|_| text(" word")).collect();
    for _ in 0..2000 {
        let began = Instant::now();
        exchange.encode(&events).await??;
        batch.lap(began);
    }
    batch.print();
    Ok(())
}

/// Resident memory per open exchange, where the system says (Linux).
async fn memory(dialect: &Dialect) -> Result<(), BenchError> {
    let before = resident();
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut exchange = dialect.open(request()).await?;
        exchange.decode().await??;
        open.push(exchange);
    }
    println!(
        "memory per open exchange: {} KiB (100 open)",
        resident().saturating_sub(before) / 100
    );
    Ok(())
}

fn request() -> types::HttpRequest {
    let body = r#"{"model":"atoll-demo","stream":true,"messages":[{"role":"user","content":"Hello, how are you today?"}]}"#;
    common::request("POST", "/v1/chat/completions", body)
}
