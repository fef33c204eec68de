//! What redaction costs inside the sandbox, component boundary included.
//!
//! ```text
//! cargo run -p atoll-plugin-runtime --example redaction
//! ```
//!
//! One fresh session a request, as the gateway does it: `open`, `on-request`, `findings`, then an answer
//! that repeats the masked text in events of four characters, each a call of its own. Medians on one
//! thread; run it on an idle machine.
#![expect(clippy::print_stdout, reason = "printing is its purpose")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_plugin_runtime::{
    Filter, Grant, LoadPolicy, LoadedPlugin, PluginRuntime, PluginSource, RuntimeOptions, types,
};
use common::{BenchError, context, item_started};

/// Chat with an address and a card every 290 bytes.
const CARDS: &str = "Hello team, I wanted to follow up on the invoice that we discussed last week, because \
the customer asked again this morning. Could you please check whether alice.martin@example.com has received \
the contract? My card 4111 1111 1111 1111 was charged twice, so please refund one of the payments. ";

/// Chat with one identifier of six kinds every 150 bytes.
const MIXED: &str = "I wanted to follow up on the invoice we discussed last week, because the customer asked again. \
Could you please check whether alice.martin@example.com has received the contract and let me know before Friday? \
The meeting is at 10:30 in the large room; bring the slides about the new release and the test results. \
My card 4111 1111 1111 1111 was charged twice, so please refund one of the payments as soon as you can. \
We looked at the logs and found nothing unusual, apart from a few slow requests in the afternoon of the same day. \
You can reach me at +216 20 123 456 or at the office, and the IBAN is TN59 1000 6035 1835 9847 8831 as before. \
In general the model works well, although the answers are sometimes longer than they would need to be for us. \
The server at 203.0.113.7 answered slowly and my SSN 536-90-4399 was on the form that they sent by mistake. ";

/// What was measured, over all rounds of one size.
#[derive(Debug, Default)]
struct Times {
    opens: Vec<Duration>,
    requests: Vec<Duration>,
    findings: Vec<Duration>,
    events: Vec<Duration>,
}

/// The quantile of some durations, in microseconds.
fn quantile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort();
    times
        .get(times.len() * percent / 100)
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
        "text     bytes    open us  request us     MB/s  findings us  added us  event us  event p99 us"
    );
    let sizes = [1024, 2048, 65_536];
    let texts = [("cards", CARDS), ("mixed", MIXED)];
    for ((name, text), size) in texts.iter().flat_map(|text| sizes.map(|size| (text, size))) {
        let text: String = text.chars().cycle().take(size).collect();
        let mut times = Times::default();
        for round in 0..300 {
            one(&filter, &text, round, &mut times, false).await?;
        }
        // Apart, because a thousand calls between two requests leave nothing of the first in the caches.
        for round in 0..30 {
            one(&filter, &text, round, &mut times, true).await?;
        }
        let request = quantile(&mut times.requests, 50);
        let (open, findings) = (
            quantile(&mut times.opens, 50),
            quantile(&mut times.findings, 50),
        );
        println!(
            "{name} {size:>8} {open:>10.1} {request:>11.1} {:>8.1} {findings:>12.1} {:>9.1} {:>9.2} {:>13.2}",
            size as f64 / request,
            open + request + findings,
            quantile(&mut times.events, 50),
            quantile(&mut times.events, 99),
        );
    }
    Ok(())
}

/// One request, or one answer after its request.
async fn one(
    filter: &Filter,
    text: &str,
    round: usize,
    times: &mut Times,
    answer: bool,
) -> Result<(), BenchError> {
    let operation = types::Operation::Embed(types::EmbedRequest {
        model: "m".into(),
        inputs: vec![types::CompletionInput::Text(text.to_owned())],
        dimensions: None,
        truncate: false,
        normalize: true,
        keep_alive: None,
        ext: None,
    });
    let began = Instant::now();
    let mut session = filter.open(context(&format!("bench-{round}"))).await??;
    let opened = Instant::now();
    let verdict = session.on_request(&operation).await??;
    let requested = Instant::now();
    session.findings().await?;
    if !answer {
        times.findings.push(requested.elapsed());
        times.requests.push(requested - opened);
        times.opens.push(opened - began);
        return Ok(());
    }
    let types::Verdict::Replace(types::Operation::Embed(masked)) = verdict else {
        return Err(BenchError::Answer("nothing was replaced".to_owned()));
    };
    let Some(types::CompletionInput::Text(masked)) = masked.inputs.first() else {
        return Err(BenchError::Answer("the text is gone".to_owned()));
    };
    session.on_events(vec![item_started()]).await??;
    let pieces: Vec<char> = masked.chars().take(2048).collect();
    for piece in pieces.chunks(4) {
        let delta = common::text(&piece.iter().collect::<String>());
        let began = Instant::now();
        session.on_events(vec![delta]).await??;
        times.events.push(began.elapsed());
    }
    Ok(())
}
