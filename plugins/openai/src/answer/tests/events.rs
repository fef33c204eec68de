//! Event sequences: hand-made ones for transcripts, and a generator of every legal one.

use atoll_sdk::types::{
    Alternative, ChoiceEnd, Delta, Error, Event, FinishReason, Finished, Item, ItemEnd, ItemKind,
    Opaque, Phase, Progress, Started, Timings, Token, ToolCallStart, Usage,
};
use proptest::prelude::*;

pub(super) fn started() -> Event {
    Event::Started(Started {
        response_id: "42".to_owned(),
        created_at: 1_700_000_000,
        model: "org/model".to_owned(),
        prompt_tokens: 7,
        cached_tokens: 3,
        fingerprint: Some("fp_1".to_owned()),
    })
}

pub(super) fn finished() -> Event {
    let timings = Timings {
        queued: 0,
        load: 0,
        prefill: 1,
        decode: 2,
        total: 3,
    };
    Event::Finished(Finished {
        usage: usage(),
        timings,
    })
}

pub(super) fn usage() -> Usage {
    Usage {
        prompt_tokens: 7,
        cached_tokens: 3,
        cache_written_tokens: 4,
        output_tokens: 5,
        reasoning_tokens: 2,
    }
}

pub(super) fn progress() -> Event {
    Event::Progress(Progress {
        phase: Phase::Prefill,
        done: 1,
        total: 2,
        detail: None,
    })
}

pub(super) fn item(choice: u32, index: u32, kind: ItemKind) -> Event {
    Event::ItemStarted(Item {
        choice,
        index,
        kind,
    })
}

pub(super) fn call(choice: u32, index: u32, id: &str, name: &str, custom: bool) -> Event {
    let (call_id, name) = (id.to_owned(), name.to_owned());
    item(
        choice,
        index,
        ItemKind::ToolCall(ToolCallStart {
            call_id,
            name,
            namespace: None,
            custom,
        }),
    )
}

pub(super) fn delta(choice: u32, item: u32, text: &str) -> Delta {
    Delta {
        choice,
        item,
        text: text.to_owned(),
        tokens: Vec::new(),
    }
}

pub(super) fn end(choice: u32, item: u32) -> Event {
    Event::ItemFinished(ItemEnd {
        choice,
        item,
        complete: true,
        signature: None,
    })
}

pub(super) fn choice_end(choice: u32, reason: FinishReason) -> Event {
    Event::ChoiceFinished(ChoiceEnd { choice, reason })
}

pub(super) fn token(text: &str, logprob: f32) -> Token {
    let bytes = text.as_bytes().to_vec();
    let alternatives = vec![Alternative {
        id: 9,
        bytes: b"z".to_vec(),
        logprob: -2.5,
    }];
    Token {
        id: 1,
        bytes,
        logprob,
        alternatives,
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) choices: u32,
    pub(super) events: Vec<Event>,
    pub(super) fails: bool,
}

/// Any answer the host may give: choices interleaved in any way, items of any kind in any order,
/// notices anywhere, an end or a failure.
pub(super) fn scripts() -> impl Strategy<Value = Script> {
    let choice = (prop::collection::vec(items(), 0..4), reasons());
    (
        prop::collection::vec(choice, 1..4),
        prop::collection::vec(any::<prop::sample::Index>(), 64),
        prop::collection::vec((any::<prop::sample::Index>(), notices()), 0..4),
        any::<bool>(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(choices, picks, notices, fails, cut)| {
            let count = u32::try_from(choices.len()).unwrap();
            let mut lanes: Vec<std::collections::VecDeque<Event>> = (0..count)
                .zip(choices)
                .map(|(index, (items, reason))| lane(index, items, reason).into())
                .collect();
            let mut events = vec![started()];
            let mut picks = picks.iter().cycle();
            while lanes.iter().any(|lane| !lane.is_empty()) {
                let open: Vec<usize> = (0..lanes.len()).filter(|i| !lanes[*i].is_empty()).collect();
                let lane = *picks.next().unwrap().get(&open);
                events.extend(lanes[lane].pop_front());
            }
            for (at, notice) in notices {
                events.insert(at.index(events.len() + 1), notice);
            }
            if fails {
                events.truncate(cut.index(events.len()) + 1);
                events.push(Event::Failed(Error::internal("it broke")));
            } else {
                events.push(finished());
            }
            Script {
                choices: count,
                events,
                fails,
            }
        })
}

#[derive(Clone, Debug)]
enum Kind {
    Message,
    Refusal,
    Reasoning,
    Call { custom: bool },
}

/// An item and the text and tokens of its deltas.
type ItemScript = (Kind, Vec<(String, Vec<Token>)>);

fn items() -> impl Strategy<Value = ItemScript> {
    let kind = prop_oneof![
        3 => Just(Kind::Message),
        1 => Just(Kind::Refusal),
        2 => Just(Kind::Reasoning),
        2 => any::<bool>().prop_map(|custom| Kind::Call { custom }),
    ];
    let text = "[a\"\\\\\n\u{e9}\u{1f600}]{0,4}";
    let tokens = prop::collection::vec(("[ab\u{e9}]{1,2}", -8i8..=0), 0..3).prop_map(|tokens| {
        tokens
            .iter()
            .map(|(text, logprob)| token(text, f32::from(*logprob) / 2.0))
            .collect()
    });
    (kind, prop::collection::vec((text, tokens), 0..4))
}

fn reasons() -> impl Strategy<Value = FinishReason> {
    prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::StopSequence("x".to_owned())),
        Just(FinishReason::Length),
        Just(FinishReason::ContextWindow),
        Just(FinishReason::ToolCalls),
        Just(FinishReason::ContentFilter),
        Just(FinishReason::Cancelled),
    ]
}

fn notices() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(progress()),
        Just(Event::Usage(usage())),
        Just(Event::Other(Opaque {
            kind: "new".to_owned(),
            value: "{}".to_owned()
        })),
    ]
}

fn lane(choice: u32, items: Vec<ItemScript>, reason: FinishReason) -> Vec<Event> {
    let mut events = Vec::new();
    for (index, (kind, deltas)) in (0..).zip(items) {
        events.push(match &kind {
            Kind::Message | Kind::Refusal => item(choice, index, ItemKind::Message),
            Kind::Reasoning => item(choice, index, ItemKind::Reasoning),
            Kind::Call { custom } => call(
                choice,
                index,
                &format!("call_{choice}_{index}"),
                "tool",
                *custom,
            ),
        });
        for (text, tokens) in deltas {
            let delta = Delta {
                choice,
                item: index,
                text,
                tokens,
            };
            events.push(match &kind {
                Kind::Message => Event::TextDelta(delta),
                Kind::Refusal => Event::RefusalDelta(delta),
                Kind::Reasoning => Event::ReasoningDelta(delta),
                Kind::Call { .. } => Event::ArgumentsDelta(delta),
            });
        }
        events.push(end(choice, index));
    }
    events.push(choice_end(choice, reason));
    events
}
