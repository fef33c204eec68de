//! Streams, followed as strict clients do.

use atoll_sdk::types::*;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Follows a stream by the rules strict clients check, and gives the response of the terminal event.
pub(super) fn follow(bytes: &[u8]) -> Value {
    let mut output: Vec<Value> = vec![];
    let mut open: Option<(String, String)> = None;
    let mut terminal = None;
    let mut number = 0;
    for event in std::str::from_utf8(bytes).unwrap().split_terminator("\n\n") {
        if event.starts_with(':') {
            continue;
        }
        let (name, data) = event.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name);
        assert_eq!(data["sequence_number"], number);
        assert!(terminal.is_none());
        match number {
            0 => assert_eq!(name, "response.created"),
            1 => assert_eq!(name, "response.in_progress"),
            _ => assert!(name != "response.created" && name != "response.in_progress"),
        }
        number += 1;
        if name.contains("output_item") || data.get("item_id").is_some() {
            assert_eq!(data["output_index"], output.len());
        }
        match name {
            "response.output_item.added" => {
                assert!(open.is_none());
                open = Some((
                    data["item"]["id"].as_str().unwrap().to_owned(),
                    String::new(),
                ));
            }
            "response.output_item.done" => {
                let (id, text) = open.take().unwrap();
                let item = &data["item"];
                assert_eq!(item["id"], id);
                let whole = match item["type"].as_str().unwrap() {
                    "message" => item["content"][0]["text"].clone(),
                    "reasoning" => item["summary"]
                        .get(0)
                        .map_or(json!(""), |part| part["text"].clone()),
                    "function_call" => item["arguments"].clone(),
                    _ => item["input"].clone(),
                };
                assert_eq!(whole, text);
                output.push(item.clone());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                assert!(open.is_none());
                assert_eq!(data["response"]["output"], json!(output));
                terminal = Some(data["response"].clone());
            }
            name if name.ends_with(".delta") => {
                let (id, text) = open.as_mut().unwrap();
                assert_eq!(data["item_id"], *id);
                text.push_str(data["delta"].as_str().unwrap());
            }
            _ => {}
        }
    }
    terminal.unwrap()
}

proptest! {
    #[test]
    fn the_stream_ends_with_the_whole_answer(
        items in prop::collection::vec((0u8..5, prop::collection::vec("[a-zé\"\\\\\\n]{0,5}", 0..4)), 0..5),
        cuts in prop::collection::vec(1usize..6, 1..40),
        reason in prop_oneof![Just(FinishReason::Stop), Just(FinishReason::Length), Just(FinishReason::ToolCalls)],
    ) {
        let events = events(&items, reason);
        let whole: Value = serde_json::from_slice(&run(false, [events.clone()])).unwrap();
        let mut batches = Vec::new();
        let mut rest = events;
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() { break }
            let tail = rest.split_off(cut.min(rest.len()));
            batches.push(std::mem::replace(&mut rest, tail));
        }
        prop_assert_eq!(&follow(&run(true, batches)), &whole);
    }

    #[test]
    fn a_stream_that_fails_anywhere_ends_once(
        items in prop::collection::vec((0u8..5, prop::collection::vec("[a-z]{0,5}", 0..4)), 0..5),
        at in any::<prop::sample::Index>(),
    ) {
        let mut events = events(&items, FinishReason::Stop);
        // Something has begun, and the end is not there yet.
        events.truncate(1 + at.index(events.len() - 1));
        events.push(Event::Failed(Error::internal("broken")));
        let response = follow(&run(true, [events]));
        prop_assert_eq!(&response["status"], "failed");
        prop_assert_eq!(&response["error"]["message"], "broken");
    }
}
