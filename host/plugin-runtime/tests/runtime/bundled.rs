//! The plugins that ship with the host load like any other, together, with local grants only.

use atoll_plugin_runtime::{LoadedPlugin, Registry, types};

use crate::support::{bytes, finished, granted, request, runtime, text};

#[tokio::test]
async fn shipped_plugins_load_and_do_not_contradict_each_other() {
    let runtime = runtime();
    let mut registry = Registry::default();
    for plugin in atoll_bundled_plugins::PLUGINS {
        let loaded = runtime
            .load(bytes(plugin.name, plugin.wasm), granted())
            .await
            .unwrap();
        assert_eq!(loaded.info().name, plugin.name);
        registry = registry.with(loaded).unwrap();
    }
    let found = registry
        .route("POST", "/v1/chat/completions", &http::HeaderMap::new())
        .unwrap();
    assert_eq!(found.dialect.info().name, "openai");
}

#[tokio::test]
async fn a_chat_completion_goes_through_the_sandbox() {
    let runtime = runtime();
    let plugin = atoll_bundled_plugins::find("openai").unwrap();
    let LoadedPlugin::Dialect(dialect) = runtime
        .load(bytes("openai", plugin.wasm), granted())
        .await
        .unwrap()
    else {
        panic!("openai is a dialect");
    };
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    let mut request = request(body);
    request.path = "/v1/chat/completions".into();
    request.headers = vec![types::Header {
        name: "content-type".into(),
        value: "application/json".into(),
    }];
    let mut exchange = dialect.open(request).await.unwrap();
    let operation = exchange.decode().await.unwrap().unwrap();
    let types::Operation::Generate(generate) = operation else {
        panic!("a generate request")
    };
    assert_eq!(generate.model, "m");
    let head = exchange.head().await.unwrap();
    assert_eq!(head.status, 200);
    let started = types::Event::Started(types::Started {
        response_id: "r1".into(),
        created_at: 1,
        model: "m".into(),
        prompt_tokens: 1,
        cached_tokens: 0,
        fingerprint: None,
    });
    let item = types::Event::ItemStarted(types::Item {
        choice: 0,
        index: 0,
        kind: types::ItemKind::Message,
    });
    let item_end = types::Event::ItemFinished(types::ItemEnd {
        choice: 0,
        item: 0,
        complete: true,
        signature: None,
    });
    let choice_end = types::Event::ChoiceFinished(types::ChoiceEnd {
        choice: 0,
        reason: types::FinishReason::Stop,
    });
    let bytes = exchange
        .encode(&[
            started,
            item,
            text("Hi there"),
            item_end,
            choice_end,
            finished(),
        ])
        .await
        .unwrap()
        .unwrap();
    let stream = String::from_utf8(bytes).unwrap();
    assert!(
        stream.contains("Hi there") && stream.ends_with("data: [DONE]\n\n"),
        "{stream}"
    );
}
