//! What every test needs: a small runtime, plugins, requests, events.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_plugin_runtime::{
    BreakerOptions, CallLimits, Dialect, Exchange, FaultKind, Filter, Grant, InstanceLimits,
    LoadPolicy, LoadedPlugin, PluginError, PluginRuntime, PluginSource, RuntimeOptions, types,
};

/// Small limits, so that exceeding them is quick. No breaker: most tests want many faults.
pub fn options() -> RuntimeOptions {
    let defaults = RuntimeOptions::default();
    let call = CallLimits {
        cpu: Duration::from_millis(60),
        wall: Duration::from_secs(20),
        host_calls: 1_000,
        output_bytes: 1 << 20,
        ..defaults.call
    };
    RuntimeOptions {
        // Compiled once for all tests.
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins")),
        max_instances: 12,
        max_instances_per_plugin: 12,
        instance: InstanceLimits {
            memory_bytes: 64 << 20,
            total_output_bytes: 3 << 20,
            ..defaults.instance
        },
        call,
        describe: CallLimits {
            cpu: Duration::from_millis(60),
            ..defaults.describe
        },
        breaker: BreakerOptions {
            faults: 0,
            ..BreakerOptions::default()
        },
        ..defaults
    }
}

/// The same with so much processor time that another limit is what ends a guest, however busy the machine is.
pub fn patient() -> RuntimeOptions {
    let options = options();
    RuntimeOptions {
        call: CallLimits {
            cpu: Duration::from_secs(15),
            ..options.call
        },
        ..options
    }
}

pub fn runtime() -> PluginRuntime {
    PluginRuntime::new(options()).unwrap()
}

pub fn bytes(name: &str, wasm: &[u8]) -> PluginSource {
    PluginSource::Bytes {
        name: name.into(),
        wasm: Arc::from(wasm),
    }
}

pub fn granted() -> LoadPolicy {
    LoadPolicy {
        grants: Grant::all_local(),
        ..LoadPolicy::default()
    }
}

pub async fn load_dialect(runtime: &PluginRuntime, wasm: &[u8]) -> Arc<Dialect> {
    match runtime.load(bytes("test", wasm), granted()).await.unwrap() {
        LoadedPlugin::Dialect(dialect) => dialect,
        other => panic!("not a dialect: {other:?}"),
    }
}

/// The misbehaving dialect.
pub async fn dialect(runtime: &PluginRuntime) -> Arc<Dialect> {
    load_dialect(runtime, atoll_test_plugins::DIALECT).await
}

/// The misbehaving filter.
pub async fn filter(runtime: &PluginRuntime) -> Arc<Filter> {
    match runtime
        .load(bytes("test", atoll_test_plugins::FILTER), granted())
        .await
        .unwrap()
    {
        LoadedPlugin::Filter(filter) => filter,
        other => panic!("not a filter: {other:?}"),
    }
}

pub fn request(body: &str) -> types::HttpRequest {
    types::HttpRequest {
        id: "req-1".into(),
        method: "POST".into(),
        path: "/test/echo".into(),
        path_params: vec![],
        query: vec![],
        headers: vec![],
        body: body.as_bytes().to_vec(),
        received_at: 0,
        ext: None,
    }
}

pub fn text(text: &str) -> types::Event {
    types::Event::TextDelta(types::Delta {
        choice: 0,
        item: 0,
        text: text.into(),
        tokens: vec![],
    })
}

pub fn item_started() -> types::Event {
    types::Event::ItemStarted(types::Item {
        choice: 0,
        index: 0,
        kind: types::ItemKind::Message,
    })
}

pub fn finished() -> types::Event {
    types::Event::Finished(types::Finished {
        usage: types::Usage {
            prompt_tokens: 1,
            cached_tokens: 0,
            cache_written_tokens: 0,
            output_tokens: 1,
            reasoning_tokens: 0,
        },
        timings: types::Timings {
            queued: 0,
            load: 0,
            prefill: 0,
            decode: 0,
            total: 0,
        },
    })
}

pub fn error(message: &str) -> types::Error {
    types::Error {
        kind: types::ErrorKind::InvalidArgument,
        message: message.into(),
        param: None,
        retry_after_ms: None,
        ext: None,
    }
}

/// The kind of the fault that must have happened.
pub fn fault<T: std::fmt::Debug>(outcome: Result<T, PluginError>) -> FaultKind {
    match outcome {
        Err(PluginError::Fault(fault)) => fault.kind,
        other => panic!("expected a fault, got {other:?}"),
    }
}

/// The prompt's text of a decoded request.
pub fn prompt(operation: &types::Operation) -> &str {
    if let types::Operation::Generate(request) = operation
        && let types::Prompt::Conversation(messages) = &request.prompt
        && let Some(types::PartContent::Text(text)) = messages
            .first()
            .and_then(|m| m.parts.first())
            .map(|part| &part.content)
    {
        return text;
    }
    panic!("not a prompt: {operation:?}");
}

/// A whole healthy exchange: what a neighbour of a misbehaving request does. Takes its time between
/// calls, so that it overlaps with what goes wrong beside it.
pub async fn healthy(dialect: &Dialect, words: usize) {
    let mut exchange = dialect.open(request("hello there")).await.unwrap();
    let operation = exchange.decode().await.unwrap().unwrap();
    assert_eq!(prompt(&operation), "hello there");
    assert_eq!(exchange.head().await.unwrap().status, 200);
    for i in 0..words {
        let word = format!("word{i} ");
        assert_eq!(
            exchange.encode(&[text(&word)]).await.unwrap().unwrap(),
            word.as_bytes()
        );
        tokio::task::yield_now().await;
    }
}

/// Opens an exchange and calls what `place` names.
pub async fn provoke(
    dialect: &Dialect,
    place: &str,
    what: &str,
) -> (Option<Exchange>, Result<(), PluginError>) {
    let mut exchange = match dialect.open(request(&format!("{place}:{what}"))).await {
        Ok(exchange) => exchange,
        Err(fault) => return (None, Err(fault)),
    };
    let outcome = match place {
        "new" => Ok(()),
        "decode" => exchange.decode().await.map(|_| ()),
        "head" => exchange.head().await.map(|_| ()),
        "encode" => exchange.encode(&[text("x")]).await.map(|_| ()),
        "reply" => exchange
            .reply(&types::OperationResult::None)
            .await
            .map(|_| ()),
        "fail" => exchange.fail(&error("x")).await.map(|_| ()),
        other => panic!("no such place: {other}"),
    };
    (Some(exchange), outcome)
}
