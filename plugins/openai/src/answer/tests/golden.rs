//! Transcripts, byte for byte, of answers worth reading. `UPDATE_FIXTURES=1` writes them anew; read
//! the difference before you commit it.

use std::path::Path;

use atoll_sdk::types::{Delta, Error, Event, FinishReason, ItemKind};

use super::events::{call, choice_end, delta, end, finished, item, progress, started, token};
use super::{ChatOptions, Mode, chat, completion};

const STREAM: Mode = Mode::Stream {
    include_usage: true,
};

fn options(mode: Mode) -> ChatOptions {
    ChatOptions {
        mode,
        choices: 1,
        legacy_function_call: false,
        hide_reasoning: false,
        logprobs: false,
    }
}

fn check(name: &str, actual: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    let (actual, expected) = (
        String::from_utf8_lossy(actual),
        String::from_utf8_lossy(&expected),
    );
    assert_eq!(actual, expected, "{name}");
}

fn text_events() -> Vec<Event> {
    vec![
        progress(),
        started(),
        item(0, 0, ItemKind::Message),
        Event::TextDelta(delta(0, 0, "Hello")),
        Event::TextDelta(delta(0, 0, ", w\u{f6}rld\n")),
        end(0, 0),
        choice_end(0, FinishReason::StopSequence("x".to_owned())),
        finished(),
    ]
}

fn tool_events() -> Vec<Event> {
    vec![
        started(),
        item(0, 0, ItemKind::Reasoning),
        Event::ReasoningDelta(delta(0, 0, "Two calls.")),
        end(0, 0),
        call(0, 1, "call_a", "weather", false),
        Event::ArgumentsDelta(delta(0, 1, "{\"city\":")),
        Event::ArgumentsDelta(delta(0, 1, "\"Kiel\"}")),
        end(0, 1),
        call(0, 2, "call_b", "shout", true),
        Event::ArgumentsDelta(delta(0, 2, "free text")),
        end(0, 2),
        choice_end(0, FinishReason::ToolCalls),
        finished(),
    ]
}

fn logprob_events() -> Vec<Event> {
    let delta = |text: &str, tokens| Delta {
        choice: 0,
        item: 0,
        text: text.to_owned(),
        tokens,
    };
    vec![
        started(),
        item(0, 0, ItemKind::Message),
        Event::TextDelta(delta(
            "ab",
            vec![token("a", -0.5), token("b", f32::NEG_INFINITY)],
        )),
        Event::TextDelta(delta("c", vec![token("c", 0.0)])),
        end(0, 0),
        choice_end(0, FinishReason::Length),
        finished(),
    ]
}

#[test]
fn chat_text() {
    check("chat_text.sse", &chat(options(STREAM), &text_events(), &[]));
    check(
        "chat_text.json",
        &chat(options(Mode::Whole), &text_events(), &[]),
    );
}

#[test]
fn chat_without_usage_never_mentions_it() {
    let mode = Mode::Stream {
        include_usage: false,
    };
    let bytes = chat(options(mode), &text_events(), &[]);
    assert!(!String::from_utf8(bytes).unwrap().contains("usage"));
}

#[test]
fn chat_reasoning_and_parallel_tools() {
    check(
        "chat_tools.sse",
        &chat(options(STREAM), &tool_events(), &[]),
    );
    check(
        "chat_tools.json",
        &chat(options(Mode::Whole), &tool_events(), &[]),
    );
}

#[test]
fn chat_legacy_function_call() {
    let legacy = |mode| ChatOptions {
        legacy_function_call: true,
        ..options(mode)
    };
    check(
        "chat_function_call.sse",
        &chat(legacy(STREAM), &tool_events(), &[]),
    );
    check(
        "chat_function_call.json",
        &chat(legacy(Mode::Whole), &tool_events(), &[]),
    );
}

#[test]
fn chat_logprobs() {
    let logprobs = |mode| ChatOptions {
        logprobs: true,
        ..options(mode)
    };
    check(
        "chat_logprobs.sse",
        &chat(logprobs(STREAM), &logprob_events(), &[]),
    );
    check(
        "chat_logprobs.json",
        &chat(logprobs(Mode::Whole), &logprob_events(), &[]),
    );
}

#[test]
fn chat_failure_in_the_middle() {
    let mut events = text_events();
    events.truncate(4);
    events.push(Event::Failed(Error::internal("the executor stopped")));
    check("chat_failure.sse", &chat(options(STREAM), &events, &[]));
    assert!(chat(options(Mode::Whole), &events, &[]).is_empty());
}

#[test]
fn completions() {
    check(
        "completion.sse",
        &completion(STREAM, 1, true, &logprob_events(), &[]),
    );
    check(
        "completion.json",
        &completion(Mode::Whole, 2, true, &logprob_events(), &[]),
    );
}
