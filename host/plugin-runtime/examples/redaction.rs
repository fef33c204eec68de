//! What redaction costs inside the sandbox, component boundary included.
//!
//! ```text
//! cargo run -p atoll-plugin-runtime --example redaction
//! ```
//!
//! One fresh session a request, as the gateway does it. Medians on one thread; run it on an idle machine.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_plugin_runtime::{
    Grant, LoadPolicy, LoadedPlugin, PluginError, PluginRuntime, PluginSource, RuntimeOptions,
    types,
};

#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("the plugin answered: {0}")]
    Answer(String),
}

impl From<types::Error> for BenchError {
    fn from(error: types::Error) -> Self {
        Self::Answer(error.message)
    }
}

const TEXT: &str = "Hello team, I wanted to follow up on the invoice that we discussed last week, because \
the customer asked again this morning. Could you please check whether alice.martin@example.com has received \
the contract? My card 4111 1111 1111 1111 was charged twice, so please refund one of the payments. ";

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times
        .get(times.len() / 2)
        .map_or(0.0, |t| t.as_secs_f64() * 1e6)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BenchError> {
    let plugin = atoll_bundled_plugins::find("redact-pii")
        .ok_or_else(|| BenchError::Answer("redact-pii is not bundled".to_owned()))?;
    let source = PluginSource::Bytes {
        name: "redact-pii".into(),
        wasm: Arc::from(plugin.wasm),
    };
    let policy = LoadPolicy {
        grants: Grant::all_local(),
        ..LoadPolicy::default()
    };
    let runtime = PluginRuntime::new(RuntimeOptions::default())?;
    let LoadedPlugin::Filter(filter) = runtime.load(source, policy).await? else {
        return Err(BenchError::Answer("redact-pii is not a filter".to_owned()));
    };
    println!(
        "{:>8} {:>12} {:>12} {:>10}",
        "bytes", "open us", "request us", "MB/s"
    );
    for size in [1024, 2048, 65_536] {
        let text: String = TEXT.chars().cycle().take(size).collect();
        let (mut opens, mut requests) = (Vec::new(), Vec::new());
        for round in 0..300 {
            let operation = types::Operation::Embed(types::EmbedRequest {
                model: "m".into(),
                inputs: vec![types::CompletionInput::Text(text.clone())],
                dimensions: None,
                truncate: false,
                normalize: true,
                keep_alive: None,
                ext: None,
            });
            let context = types::FilterContext {
                request_id: format!("bench-{round}"),
                dialect: "bench".into(),
                model: "m".into(),
                key_name: None,
                conversation: None,
                ext: None,
            };
            let began = Instant::now();
            let mut session = filter.open(context).await??;
            let opened = Instant::now();
            session.on_request(&operation).await??;
            requests.push(opened.elapsed());
            opens.push(opened - began);
        }
        let request = median(requests);
        println!(
            "{size:>8} {:>12.1} {request:>12.1} {:>10.1}",
            median(opens),
            size as f64 / request
        );
    }
    Ok(())
}
