//! What each dialect adds to a request and to an event: as a plugin, and the same code called directly.
//!
//! The same request goes through both: opened, decoded, its head asked for, and answered with 34 events one by one.
//! The difference between the columns is the sandbox: making an instance, crossing the boundary, copying.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_plugin_runtime::{Dialect, Grant, LoadPolicy, LoadedPlugin, PluginRuntime, PluginSource};
use atoll_sdk::dialect::{self, Exchange as _};
use atoll_sdk::types as guest;

use crate::BenchError;
use crate::series::Series;

/// Requests of each dialect in each column.
const ROUNDS: usize = 2000;
/// Text events of one answer.
const WORDS: usize = 32;

/// A dialect, and the request that is asked of it.
struct Case {
    plugin: &'static str,
    path: &'static str,
    body: &'static str,
    direct: fn(guest::HttpRequest) -> Result<Times, guest::Error>,
}

/// What one answer took.
struct Times {
    /// Everything but its words.
    request: Duration,
    /// One word, on average.
    event: Duration,
}

const CASES: [Case; 4] = [
    Case {
        plugin: "openai",
        path: "/v1/chat/completions",
        body: r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello, how are you today?"}]}"#,
        direct: direct::<atoll_plugin_openai::OpenAi>,
    },
    Case {
        plugin: "openai-responses",
        path: "/v1/responses",
        body: r#"{"model":"m","stream":true,"store":false,"input":"Hello, how are you today?"}"#,
        direct: direct::<atoll_plugin_openai_responses::Responses>,
    },
    Case {
        plugin: "claude",
        path: "/v1/messages",
        body: r#"{"model":"m","stream":true,"max_tokens":64,"messages":[{"role":"user","content":"Hello, how are you today?"}]}"#,
        direct: direct::<atoll_plugin_claude::Claude>,
    },
    Case {
        plugin: "ollama",
        path: "/api/chat",
        body: r#"{"model":"m","messages":[{"role":"user","content":"Hello, how are you today?"}]}"#,
        direct: direct::<atoll_plugin_ollama::Ollama>,
    },
];

/// Events in the words of one of the two sets of generated types, which differ in name only.
macro_rules! events {
    ($name:ident, $from:ident) => {
        pub mod $name {
            use $from::types;

            pub fn request(path: &str, body: &str) -> types::HttpRequest {
                types::HttpRequest {
                    id: "bench".into(),
                    method: "POST".into(),
                    path: path.into(),
                    path_params: vec![],
                    query: vec![],
                    headers: vec![types::Header {
                        name: "content-type".into(),
                        value: "application/json".into(),
                    }],
                    body: body.as_bytes().to_vec(),
                    received_at: 0,
                    ext: None,
                }
            }

            pub fn begin() -> Vec<types::Event> {
                let started = types::Started {
                    response_id: "bench".into(),
                    created_at: 0,
                    model: "m".into(),
                    prompt_tokens: 8,
                    cached_tokens: 0,
                    fingerprint: None,
                };
                let item = types::Item {
                    choice: 0,
                    index: 0,
                    kind: types::ItemKind::Message,
                };
                vec![
                    types::Event::Started(started),
                    types::Event::ItemStarted(item),
                ]
            }

            pub fn word() -> types::Event {
                types::Event::TextDelta(types::Delta {
                    choice: 0,
                    item: 0,
                    text: " word".into(),
                    tokens: vec![],
                })
            }

            pub fn end() -> Vec<types::Event> {
                let usage = types::Usage {
                    prompt_tokens: 8,
                    cached_tokens: 0,
                    cache_written_tokens: 0,
                    output_tokens: 32,
                    reasoning_tokens: 0,
                };
                let timings = types::Timings {
                    queued: 0,
                    load: 0,
                    prefill: 0,
                    decode: 0,
                    total: 0,
                };
                vec![
                    types::Event::ItemFinished(types::ItemEnd {
                        choice: 0,
                        item: 0,
                        complete: true,
                        signature: None,
                    }),
                    types::Event::ChoiceFinished(types::ChoiceEnd {
                        choice: 0,
                        reason: types::FinishReason::Stop,
                    }),
                    types::Event::Finished(types::Finished { usage, timings }),
                ]
            }
        }
    };
}

mod fixtures {
    events!(host, atoll_plugin_runtime);
    events!(guest, atoll_sdk);
}

/// Every dialect, both ways.
#[expect(clippy::print_stdout, reason = "printing is its purpose")]
pub async fn compare(runtime: &PluginRuntime) -> Result<(), BenchError> {
    println!(
        "\n{:<18} {:<12} {:>20} {:>20}",
        "median (p99), us", "", "a request", "an event"
    );
    for case in CASES {
        let dialect = load(runtime, case.plugin).await?;
        let mut plugin = (Series::new("request"), Series::new("event"));
        let mut direct = (Series::new("request"), Series::new("event"));
        // By turns, so that what else the machine does falls on both.
        for _ in 0..ROUNDS {
            let times = sandboxed(&dialect, &case).await?;
            plugin.0.add(times.request);
            plugin.1.add(times.event);
            let request = fixtures::guest::request(case.path, case.body);
            let times =
                (case.direct)(request).map_err(|error| BenchError::Answer(error.message))?;
            direct.0.add(times.request);
            direct.1.add(times.event);
        }
        for (how, (mut request, mut event)) in [("plugin", plugin), ("in process", direct)] {
            let show = |series: &mut Series| {
                format!(
                    "{:.2} ({:.2})",
                    series.percentile(50),
                    series.percentile(99)
                )
            };
            let (request, event) = (show(&mut request), show(&mut event));
            println!("{:<18} {how:<12} {request:>20} {event:>20}", case.plugin);
        }
    }
    Ok(())
}

async fn load(runtime: &PluginRuntime, name: &str) -> Result<Arc<Dialect>, BenchError> {
    let missing = || BenchError::Answer(format!("no {name} dialect is bundled"));
    let plugin = atoll_bundled_plugins::find(name).ok_or_else(missing)?;
    let source = PluginSource::Bytes {
        name: name.into(),
        wasm: Arc::from(plugin.wasm),
    };
    let policy = LoadPolicy {
        grants: Grant::all_local(),
        ..LoadPolicy::default()
    };
    match runtime.load(source, policy).await? {
        LoadedPlugin::Dialect(dialect) => Ok(dialect),
        _ => Err(missing()),
    }
}

/// One answer by the plugin.
async fn sandboxed(dialect: &Dialect, case: &Case) -> Result<Times, BenchError> {
    use fixtures::host::{begin, end, request, word};
    let asked = request(case.path, case.body);
    let (begins, ends) = (begin(), end());
    let began = Instant::now();
    let mut exchange = dialect.open(asked).await?;
    exchange.decode().await??;
    exchange.head().await?;
    exchange.encode(&begins).await??;
    let opened = Instant::now();
    for _ in 0..WORDS {
        exchange.encode(&[word()]).await??;
    }
    let said = Instant::now();
    exchange.encode(&ends).await??;
    drop(exchange);
    Ok(Times::of(began, opened, said))
}

/// The same answer by the same code, without a sandbox around it.
fn direct<D: dialect::Dialect>(request: guest::HttpRequest) -> Result<Times, guest::Error> {
    use fixtures::guest::{begin, end, word};
    let (begins, ends) = (begin(), end());
    let began = Instant::now();
    let mut exchange = D::Exchange::new(request);
    exchange.decode()?;
    exchange.head();
    exchange.encode(begins)?;
    let opened = Instant::now();
    for _ in 0..WORDS {
        exchange.encode(vec![word()])?;
    }
    let said = Instant::now();
    exchange.encode(ends)?;
    drop(exchange);
    Ok(Times::of(began, opened, said))
}

impl Times {
    fn of(began: Instant, opened: Instant, said: Instant) -> Self {
        let words = u32::try_from(WORDS).unwrap_or(u32::MAX);
        Self {
            request: (opened - began) + said.elapsed(),
            event: (said - opened) / words,
        }
    }
}
