//! Plugins that ask for the host's models to be changed, with and without the grant for it.

use std::sync::Arc;

use atoll_plugin_runtime::{
    Dialect, FaultKind, Filter, Grant, LoadPolicy, LoadedPlugin, PluginRuntime, types,
};
use types::{KeepAlive, Operation};

use crate::support::{bytes, fault, request, runtime};

/// Under another name than it gives itself, which is what its file is called.
async fn load(runtime: &PluginRuntime, wasm: &[u8], managing: bool) -> LoadedPlugin {
    let mut grants = Grant::all_local();
    grants.retain(|grant| managing || *grant != Grant::ManageModels);
    let policy = LoadPolicy {
        grants,
        ..LoadPolicy::default()
    };
    runtime.load(bytes("hostile", wasm), policy).await.unwrap()
}

async fn dialect(managing: bool) -> Arc<Dialect> {
    match load(&runtime(), atoll_test_plugins::DIALECT, managing).await {
        LoadedPlugin::Dialect(dialect) => dialect,
        other => panic!("not a dialect: {other:?}"),
    }
}

async fn decode(dialect: &Dialect, what: &str) -> Result<Operation, types::Error> {
    let request = request(&format!("decode:{what}"));
    let mut exchange = dialect.open(request).await.unwrap();
    let decoded = exchange.decode().await.unwrap();
    if let Err(refusal) = &decoded {
        // The exchange is alive, and says it in its API's own words.
        let said = exchange.fail(refusal).await.unwrap();
        assert_eq!(said.body, refusal.message.as_bytes());
    }
    decoded
}

#[tokio::test]
async fn without_the_grant_no_model_is_changed() {
    let dialect = dialect(false).await;
    for what in ["pull", "copy", "delete", "load", "unload"] {
        let refusal = decode(&dialect, what).await.unwrap_err();
        assert_eq!(refusal.kind, types::ErrorKind::Forbidden, "{what}");
        let command = "atoll plugin grant hostile manage-models";
        assert!(refusal.message.ends_with(command), "{}", refusal.message);
    }
    let lacking: Vec<_> = dialect.info().lacking(&dialect.info().grants).collect();
    assert_eq!(lacking.len(), 1);
    assert_eq!(lacking[0].reason, "To take what is not its own.");
}

#[tokio::test]
async fn without_the_grant_no_model_is_kept_or_dropped_by_the_way() {
    let dialect = dialect(false).await;
    let Operation::Generate(generate) = decode(&dialect, "keep").await.unwrap() else {
        panic!("a generation")
    };
    assert_eq!(generate.keep_alive, None);
    let Operation::Embed(embed) = decode(&dialect, "keep-embedding").await.unwrap() else {
        panic!("an embedding")
    };
    assert_eq!(embed.keep_alive, None);
    for left_out in [generate.unconsumed, embed.ext] {
        assert!(left_out.unwrap().contains("keep_alive"), "never silently");
    }
}

#[tokio::test]
async fn with_the_grant_it_is_asked_for() {
    let dialect = dialect(true).await;
    let decoded = async |what| decode(&dialect, what).await.unwrap();
    assert_eq!(decoded("pull").await, Operation::PullModel("test".into()));
    assert_eq!(
        decoded("delete").await,
        Operation::DeleteModel("test".into())
    );
    let pair = ("test".into(), "mine".into());
    assert_eq!(decoded("copy").await, Operation::CopyModel(pair));
    for what in ["load", "unload"] {
        assert!(matches!(decoded(what).await, Operation::LoadModel(_)));
    }
    let Operation::Generate(generate) = decoded("keep").await else {
        panic!("a generation")
    };
    assert_eq!(generate.keep_alive, Some(KeepAlive::Forever));
    let info = dialect.info();
    assert_eq!(info.lacking(&info.grants).count(), 0);
}

/// A filter sees what a client sent; how long the model stays is not its to say.
#[tokio::test]
async fn a_filter_cannot_change_how_long_a_model_stays() {
    let dialect = dialect(true).await;
    let asked = decode(&dialect, "text").await.unwrap();
    let kept = |filter: LoadedPlugin| {
        let LoadedPlugin::Filter(filter) = filter else {
            panic!("a filter")
        };
        let asked = asked.clone();
        async move { on_request(&filter, &asked).await }
    };
    let runtime = runtime();
    let wasm = atoll_test_plugins::FILTER;
    let refused = kept(load(&runtime, wasm, false).await).await;
    assert!(matches!(fault(refused), FaultKind::Contract(_)));
    kept(load(&runtime, wasm, true).await).await.unwrap();
}

async fn on_request(
    filter: &Filter,
    asked: &Operation,
) -> Result<types::Verdict, atoll_plugin_runtime::PluginError> {
    let context = types::FilterContext {
        request_id: "req-1".into(),
        dialect: "test".into(),
        model: "keep".into(),
        key_name: None,
        conversation: None,
        ext: None,
    };
    let mut session = filter.open(context).await.unwrap().unwrap();
    Ok(session.on_request(asked).await?.unwrap())
}
