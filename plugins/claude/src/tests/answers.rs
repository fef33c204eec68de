//! What the model says, as the messages and streams that clients read.

use proptest::prelude::*;

use super::*;

/// Puts a message together from its stream by the rules of the official client, and checks them.
fn accumulate(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut message = Value::Null;
    let mut open = None;
    let mut partial = String::new();
    let mut stopped = false;
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name);
        assert!(!stopped, "nothing follows message_stop");
        let index = || data["index"].as_u64().unwrap() as usize;
        match name {
            "ping" => {}
            "message_start" => {
                assert!(message.is_null());
                message = data["message"].clone();
            }
            "content_block_start" => {
                assert_eq!(
                    (open, index()),
                    (None, message["content"].as_array().unwrap().len())
                );
                open = Some(index());
                partial.clear();
                message["content"]
                    .as_array_mut()
                    .unwrap()
                    .push(data["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(open, Some(index()));
                let block = &mut message["content"][index()];
                let delta = &data["delta"];
                let add = |block: &mut Value, key: &str| {
                    let more = delta[key].as_str().unwrap();
                    block[key] = json!(format!("{}{more}", block[key].as_str().unwrap()));
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => add(block, "text"),
                    "thinking_delta" => add(block, "thinking"),
                    "signature_delta" => add(block, "signature"),
                    "input_json_delta" => partial.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                assert_eq!(open.take(), Some(index()));
                let block = &mut message["content"][index()];
                if block["type"] == "tool_use" && !partial.is_empty() {
                    block["input"] = serde_json::from_str(&partial).unwrap();
                }
                if block["type"] == "thinking" {
                    assert!(!block["signature"].as_str().unwrap().is_empty());
                }
            }
            "message_delta" => {
                for key in ["stop_reason", "stop_sequence"] {
                    message[key] = data["delta"][key].clone();
                }
                for (key, count) in data["usage"].as_object().unwrap() {
                    message["usage"][key] = count.clone();
                }
            }
            "message_stop" => stopped = true,
            other => panic!("{other}"),
        }
    }
    assert!(stopped && open.is_none());
    message
}

#[test]
fn thinking_then_a_tool_call() {
    let events = answer_events(
        &[(1, vec!["hm".into()]), (2, vec!["x".into()])],
        FinishReason::ToolCalls,
    );
    let body: Value = serde_json::from_slice(&run(false, [events])).unwrap();
    assert_eq!(body["stop_reason"], "tool_use");
    assert_eq!(body["content"][0]["type"], "thinking");
    assert_eq!(body["content"][1]["id"], "toolu_c1");
    assert_eq!(body["content"][1]["input"], json!({"text": "x"}));
    assert_eq!(body["usage"]["input_tokens"], 4);
    assert_eq!(body["usage"]["cache_read_input_tokens"], 16);
}

/// The events of a stream: names, and for each what strict clients read.
fn events_of(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\n\n"));
    let data = |event: &str| {
        let (_, data) = event.split_once("\ndata: ").unwrap();
        serde_json::from_str(data).unwrap()
    };
    text.split_terminator("\n\n").map(data).collect()
}

#[test]
fn a_calls_input_begins_with_an_empty_piece_even_if_nothing_follows() {
    let mut events = answer_events(&[(2, vec!["x".into()])], FinishReason::ToolCalls);
    let pieces = |events: Vec<Event>| -> Vec<String> {
        let piece = |event: &Value| {
            let piece = event["delta"]["partial_json"].as_str()?;
            assert_eq!(event["delta"].as_object().unwrap().len(), 2);
            Some(piece.to_owned())
        };
        let sent = events_of(&run(true, [events]));
        sent.iter().filter_map(piece).collect()
    };
    let sent = pieces(events.clone());
    assert_eq!(sent[0], "");
    assert!(sent.iter().skip(1).all(|piece| !piece.is_empty()));
    assert_eq!(sent.concat(), r#"{"text":"x"}"#);
    events.retain(|event| !matches!(event, Event::ArgumentsDelta(_)));
    assert_eq!(pieces(events), [""]);
}

#[test]
fn a_stream_ends_with_the_counts_that_the_service_ends_with() {
    let events = answer_events(&[(0, vec!["x".into()])], FinishReason::Stop);
    let sent = events_of(&run(true, [events]));
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let [.., end, stop] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!(stop, &json!({"type": "message_stop"}));
    assert_eq!(keys(end), ["delta", "type", "usage"]);
    assert_eq!(keys(&end["delta"]), ["stop_reason", "stop_sequence"]);
    assert_eq!(
        keys(&end["usage"]),
        [
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "input_tokens",
            "output_tokens",
            "output_tokens_details",
        ]
    );
    let start = &sent[0]["message"]["usage"];
    assert_eq!(start["service_tier"], "standard");
    assert_eq!(start["cache_creation"]["ephemeral_5m_input_tokens"], 0);
    assert_eq!(sent[1], json!({"type": "ping"}));
}

#[test]
fn a_failure_in_the_stream_is_an_error_event() {
    let started = answer_events(&[], FinishReason::Stop).remove(0);
    let bytes = run(
        true,
        [vec![
            started,
            Event::Failed(Error::new(ErrorKind::Overloaded, "full")),
        ]],
    );
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\""
    ));
}

proptest! {
    #[test]
    fn the_stream_adds_up_to_the_whole_answer(
        items in prop::collection::vec((0u8..3, prop::collection::vec("[a-zé\"\\\\\\n]{0,5}", 0..4)), 0..5),
        cuts in prop::collection::vec(1usize..6, 1..40),
        stop in prop_oneof![Just(FinishReason::Stop), Just(FinishReason::Length),
            Just(FinishReason::StopSequence("X".into())), Just(FinishReason::ToolCalls)],
    ) {
        let events = answer_events(&items, stop);
        let whole: Value = serde_json::from_slice(&run(false, [events.clone()])).unwrap();
        let mut batches = Vec::new();
        let mut rest = events;
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() { break }
            let tail = rest.split_off(cut.min(rest.len()));
            batches.push(std::mem::replace(&mut rest, tail));
            batches.push(vec![Event::Progress(Progress { phase: Phase::Decode, done: 0, total: 0, detail: None })]);
        }
        batches.pop();
        let streamed = accumulate(&run(true, batches));
        prop_assert_eq!(&streamed, &whole);
    }

    #[test]
    fn a_stream_that_fails_anywhere_ends_with_the_error(
        items in prop::collection::vec((0u8..3, prop::collection::vec("[a-z]{0,5}", 0..4)), 0..5),
        at in any::<prop::sample::Index>(),
    ) {
        let mut events = answer_events(&items, FinishReason::Stop);
        events.truncate(1 + at.index(events.len() - 1));
        events.push(Event::Failed(Error::internal("broken")));
        let text = String::from_utf8(run(true, [events])).unwrap();
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        prop_assert_eq!(names.iter().filter(|name| **name == "error").count(), 1);
        prop_assert_eq!(names.last(), Some(&"error"));
        prop_assert!(!names.contains(&"message_stop"));
    }
}
