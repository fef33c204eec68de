//! Items of answers, for any way of cutting the answer into tokens.

use atoll_engine::output::{CallableTool, OutputSyntax};
use proptest::prelude::*;

use super::*;

const TEMPLATE: &str = "<tool_call></tool_call><think></think>";

fn items(custom: &[&str], single_call: bool, logprobs: bool) -> Items {
    let tools = ["send", "patch"].map(|name| CallableTool::new(name, &serde_json::json!({})));
    let parser = OutputParser::new(OutputSyntax::detect(TEMPLATE), tools.into(), false);
    let style = ItemStyle {
        logprobs,
        single_call,
        custom_tools: custom.iter().map(|name| (*name).to_owned()).collect(),
        call_ids: CallIds {
            seed: 7,
            short: false,
        },
    };
    Items::new(2, parser, style)
}

fn event(text: &str) -> TokenEvent {
    TokenEvent {
        token: 1,
        bytes: text.into(),
        logprob: Some(-0.5),
        top: Vec::new(),
    }
}

/// The whole answer, one token per piece.
fn run(mut items: Items, pieces: &[&str]) -> (Vec<Event>, FinishReason, u32) {
    let mut out = Vec::new();
    for piece in pieces {
        items.push(piece, vec![event(piece)], &mut out);
    }
    let reason = items.finish(FinishReason::Stop, &mut out);
    (out, reason, items.reasoning_tokens())
}

/// One line per item: kind, name, text, and whether it is complete.
fn told(events: &[Event]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for event in events {
        match event {
            Event::ItemStarted(item) => {
                assert_eq!((item.choice, item.index as usize), (2, lines.len()));
                lines.push(match &item.kind {
                    ItemKind::Message => "text ".to_owned(),
                    ItemKind::Reasoning => "reasoning ".to_owned(),
                    ItemKind::ToolCall(call) => format!("{} ", call.name),
                });
            }
            Event::TextDelta(delta)
            | Event::ReasoningDelta(delta)
            | Event::ArgumentsDelta(delta) => {
                assert_eq!((delta.choice, delta.item as usize + 1), (2, lines.len()));
                lines.last_mut().unwrap().push_str(&delta.text);
            }
            Event::ItemFinished(end) => {
                assert_eq!(end.item as usize + 1, lines.len());
                lines
                    .last_mut()
                    .unwrap()
                    .push_str(if end.complete { "." } else { "!" });
            }
            other => panic!("{other:?}"),
        }
    }
    lines
}

#[test]
fn reasoning_text_and_calls_are_items_in_order() {
    let answer = "<think>hm</think>\n\nLook:<tool_call>{\"name\": \"send\", \"arguments\": {\"a\": 1}}</tool_call>\
                  <tool_call>{\"name\": \"send\", \"arguments\": {}}</tool_call>";
    let (events, reason, _) = run(items(&[], false, false), &[answer]);
    assert_eq!(
        told(&events),
        [
            "reasoning hm.",
            "text Look:.",
            "send {\"a\": 1}.",
            "send {}."
        ]
    );
    assert_eq!(reason, FinishReason::ToolCalls);
    let ids: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::ItemStarted(Item {
                kind: ItemKind::ToolCall(call),
                ..
            }) => Some(call.call_id.as_str()),
            _ => None,
        })
        .collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("call_")));
}

#[test]
fn tokens_of_reasoning_are_counted_with_their_markers() {
    let count = |pieces: &[&str]| run(items(&[], false, false), pieces).2;
    assert_eq!(
        count(&["<think>", "a", " b", "</think>", "\n\n", "So", "."]),
        4
    );
    // Markers in pieces count by the piece.
    assert_eq!(count(&["<th", "ink>", "a", "</", "think>", "So"]), 5);
    assert_eq!(count(&["So", " what"]), 0);
    assert_eq!(count(&["<", "b>"]), 0, "what began like a marker is text");
}

#[test]
fn only_one_call_where_only_one_is_wanted() {
    let answer = "<tool_call>{\"name\": \"send\", \"arguments\": {}}</tool_call>";
    let (events, reason, _) = run(items(&[], true, false), &[answer, answer, " done"]);
    assert_eq!(told(&events), ["send {}."]);
    assert_eq!(reason, FinishReason::ToolCalls);
}

/// A custom tool's input is free text for the client, whatever the model was told.
#[test]
fn free_text_is_unwrapped() {
    let answer = "<tool_call>{\"name\": \"patch\", \"arguments\": {\"input\": \"a\\n\\\"b\\\"\"}}</tool_call>";
    let (events, ..) = run(items(&["patch"], false, false), &[answer]);
    assert_eq!(told(&events), ["patch a\n\"b\"."]);
}

#[test]
fn log_probabilities_stay_with_visible_text() {
    let pieces = ["<think>", "hm", "</think>", "So", " it", " is"];
    let (events, ..) = run(items(&[], false, true), &pieces);
    let tokens: Vec<&[u8]> = events
        .iter()
        .filter_map(|event| match event {
            Event::TextDelta(delta) => Some(delta.tokens.iter().map(|token| &token.bytes[..])),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(tokens, [&b"So"[..], b" it", b" is"]);
}

#[test]
fn mistral_gets_the_ids_its_template_insists_on() {
    let ids = CallIds {
        seed: u128::MAX,
        short: true,
    };
    let (a, b) = (ids.id(0, 0), ids.id(0, 1));
    for id in [&a, &b] {
        assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
    assert_ne!(a, b);
}

proptest! {
    #[test]
    fn items_do_not_depend_on_the_tokens(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<think>", "</think>", "<tool_call>", "</tool_call>", "{\"name\": \"send\", \"arguments\": {\"é\": 1}}",
            "{\"name\": \"patch\", \"arguments\": {\"input\": \"x\"}}", "a", " ", "\n", "<", "مر",
        ]), 0..10),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        single in any::<bool>(),
        logprobs in any::<bool>(),
    ) {
        let answer = parts.concat();
        let boundaries: Vec<usize> = answer.char_indices().map(|(at, _)| at).chain([answer.len()]).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| boundaries[cut.index(boundaries.len())]).collect();
        cuts.extend([0, answer.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&str> = cuts.windows(2).map(|pair| &answer[pair[0]..pair[1]]).collect();
        let (whole, reason, _) = run(items(&["patch"], single, logprobs), &[answer.as_str()]);
        let (cut, cut_reason, _) = run(items(&["patch"], single, logprobs), &pieces);
        prop_assert_eq!(told(&cut), told(&whole));
        prop_assert_eq!(cut_reason, reason);
        // Several tokens in one event are told apart by their bytes.
        let mut at_once = items(&["patch"], single, logprobs);
        let mut out = Vec::new();
        let tokens = pieces.iter().map(|piece| event(piece)).collect();
        at_once.push(&answer, tokens, &mut out);
        at_once.finish(FinishReason::Stop, &mut out);
        prop_assert_eq!(told(&out), told(&whole));
    }
}
