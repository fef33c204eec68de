//! The filter chain, with the bundled `annotate` filter at both ends.

use atoll_gateway::FilterEntry;
use atoll_plugin_runtime::LoadedPlugin;
use serde_json::json;

use crate::client::{post, send, streamed_text};
use crate::server::{Setup, chat, load, start_with};

async fn annotate(settings: serde_json::Value) -> FilterEntry {
    match load("annotate", settings).await {
        LoadedPlugin::Filter(filter) => FilterEntry::new(filter),
        _ => panic!("annotate is a filter"),
    }
}

#[tokio::test]
async fn requests_pass_in_order_and_answers_in_reverse() {
    let filters = vec![
        annotate(json!({ "system_note": "first", "tag": "[outer]" })).await,
        annotate(json!({ "system_note": "second", "tag": "[inner]" })).await,
    ];
    for stream in [false, true] {
        let setup = Setup {
            filters: filters.clone(),
            ..Setup::default()
        };
        let mut server = start_with(setup).await;
        let request = send(server.address, post("/v1/chat/completions", &chat(stream)));
        let play = async {
            let play = server.script.next().await;
            play.answer("Hi");
            let bytes = play
                .request
                .prompt
                .tokens()
                .iter()
                .map(|&token| u8::try_from(token).unwrap());
            String::from_utf8(bytes.collect()).unwrap()
        };
        let (answer, prompt) = tokio::join!(request, play);
        let (first, second) = (
            prompt.find("first").unwrap(),
            prompt.find("second").unwrap(),
        );
        assert!(first < second, "{prompt}");
        let text = if stream {
            streamed_text(&answer.text().await.unwrap())
        } else {
            answer.json().await["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        // The filter that touched the request last is the first to touch the answer.
        let (inner, outer) = (text.find("[inner]").unwrap(), text.find("[outer]").unwrap());
        assert!(text.starts_with("Hi") && inner < outer, "{text}");
    }
}

#[tokio::test]
async fn a_filter_for_other_models_stays_out() {
    let mut filter = annotate(json!({ "tag": "[tag]" })).await;
    filter.models = vec!["qwen*".to_owned()];
    let mut server = start_with(Setup {
        filters: vec![filter],
        ..Setup::default()
    })
    .await;
    let request = send(server.address, post("/v1/chat/completions", &chat(false)));
    let play = async { server.script.next().await.answer("Hi") };
    let (answer, ()) = tokio::join!(request, play);
    assert_eq!(
        answer.json().await["choices"][0]["message"]["content"],
        "Hi"
    );
}
