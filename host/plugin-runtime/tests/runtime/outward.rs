//! The test filter that reaches out of its sandbox, and how it is asked.

use std::sync::Arc;

use atoll_plugin_runtime::{
    Filter, Grant, LoadPolicy, LoadedPlugin, PluginError, PluginRuntime, types,
};

use crate::support::bytes;

/// Loads it with what every plugin may, its store, and these grants.
pub async fn load(runtime: &PluginRuntime, grants: &[&str]) -> Result<Arc<Filter>, PluginError> {
    let mut all = Grant::all_local();
    all.extend(grants.iter().map(|text| Grant::from((*text).to_owned())));
    let policy = LoadPolicy {
        grants: all,
        ..LoadPolicy::default()
    };
    let wasm = atoll_test_plugins::OUTWARD;
    match runtime.load(bytes("outward", wasm), policy).await? {
        LoadedPlugin::Filter(filter) => Ok(filter),
        other => panic!("not a filter: {other:?}"),
    }
}

/// Sends it on an errand, each in an instance of its own; what came of it.
pub async fn errand(filter: &Filter, what: &str) -> String {
    attempt(filter, what).await.unwrap()
}

/// The same, for an errand that may end in a fault.
pub async fn attempt(filter: &Filter, what: &str) -> Result<String, PluginError> {
    let context = types::FilterContext {
        request_id: "req-1".into(),
        dialect: "test".into(),
        model: what.into(),
        key_name: None,
        conversation: None,
        ext: None,
    };
    let mut session = filter.open(context).await?.unwrap();
    match session.on_request(&types::Operation::ListModels).await? {
        Err(blocked) => Ok(blocked.message),
        Ok(verdict) => panic!("{what}: {verdict:?}"),
    }
}
