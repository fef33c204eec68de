use proptest::prelude::*;

use super::StreamCheck;
use crate::error::Breach;
use crate::types::{
    ChoiceEnd, Delta, Event, FinishReason, Finished, Item, ItemEnd, ItemKind, Opaque, Phase,
    Progress, Started, Timings, Usage,
};

fn text(choice: u32, item: u32, text: &str) -> Event {
    Event::TextDelta(Delta {
        choice,
        item,
        text: text.into(),
        tokens: vec![],
    })
}

fn item(choice: u32, index: u32) -> Event {
    Event::ItemStarted(Item {
        choice,
        index,
        kind: ItemKind::Message,
    })
}

fn item_end(choice: u32, item: u32) -> Event {
    Event::ItemFinished(ItemEnd {
        choice,
        item,
        complete: true,
        signature: None,
    })
}

fn choice_end(choice: u32) -> Event {
    Event::ChoiceFinished(ChoiceEnd {
        choice,
        reason: FinishReason::Stop,
    })
}

fn usage() -> Usage {
    Usage {
        prompt_tokens: 1,
        cached_tokens: 0,
        cache_written_tokens: 0,
        output_tokens: 2,
        reasoning_tokens: 0,
    }
}

fn finished() -> Event {
    Event::Finished(Finished {
        usage: usage(),
        timings: Timings {
            queued: 0,
            load: 0,
            prefill: 0,
            decode: 0,
            total: 0,
        },
    })
}

fn started() -> Event {
    Event::Started(Started {
        response_id: "r".into(),
        created_at: 0,
        model: "m".into(),
        prompt_tokens: 1,
        cached_tokens: 0,
        fingerprint: None,
    })
}

fn progress() -> Event {
    Event::Progress(Progress {
        phase: Phase::Decode,
        done: 0,
        total: 0,
        detail: None,
    })
}

fn check(batches: &[(&[Event], &[Event])]) -> Option<Breach> {
    let mut check = StreamCheck::new(8);
    batches
        .iter()
        .find_map(|(input, output)| check.batch(input, output).err())
        .map(|(breach, _)| breach)
}

#[test]
fn text_may_change_and_wait_for_its_item_to_end() {
    assert_eq!(
        check(&[
            (
                &[started(), item(0, 0), text(0, 0, "ab")],
                &[started(), item(0, 0)]
            ),
            (&[text(0, 0, "cd")], &[text(0, 0, "AB")]),
            (
                &[item_end(0, 0), choice_end(0), finished()],
                &[
                    text(0, 0, "CD and a tag"),
                    item_end(0, 0),
                    choice_end(0),
                    finished()
                ]
            ),
        ]),
        None
    );
}

#[test]
fn the_terminal_event_comes_once_and_last() {
    let before: (&[Event], &[Event]) = (&[started()], &[started()]);
    for output in [
        &[][..],
        &[finished(), finished()],
        &[Event::Failed(crate::types::Error {
            kind: crate::types::ErrorKind::Blocked,
            message: String::new(),
            param: None,
            retry_after_ms: None,
            ext: None,
        })],
    ] {
        assert_eq!(
            check(&[before, (&[finished()], output)]),
            Some(Breach::EventOrder),
            "{output:?}"
        );
    }
    assert_eq!(
        check(&[before, (&[], &[finished()])]),
        Some(Breach::EventOrder)
    );
    assert_eq!(
        check(&[before, (&[finished()], &[finished()]), (&[], &[progress()])]),
        Some(Breach::EventOrder)
    );
    let open: (&[Event], &[Event]) = (&[item(0, 0)], &[item(0, 0)]);
    assert_eq!(
        check(&[open, (&[finished()], &[finished(), text(0, 0, "late")])]),
        Some(Breach::EventOrder)
    );
}

#[test]
fn usage_is_not_the_filters_to_change() {
    let other = Usage {
        output_tokens: 0,
        ..usage()
    };
    assert_eq!(
        check(&[(&[Event::Usage(usage())], &[Event::Usage(other)])]),
        Some(Breach::EventOrder)
    );
    assert_eq!(
        check(&[(&[Event::Usage(usage())], &[])]),
        Some(Breach::EventOrder)
    );
}

#[test]
fn text_belongs_to_an_open_item() {
    assert_eq!(
        check(&[(&[], &[text(0, 0, "x")])]),
        Some(Breach::EventOrder)
    );
    assert_eq!(
        check(&[(
            &[item(0, 0), item_end(0, 0)],
            &[item(0, 0), item_end(0, 0), text(0, 0, "x")]
        )]),
        Some(Breach::EventOrder)
    );
    assert_eq!(
        check(&[(&[item(0, 0)], &[item(0, 0), text(1, 0, "x")])]),
        Some(Breach::EventOrder)
    );
}

#[test]
fn holding_back_is_bounded_until_the_item_ends() {
    let open: (&[Event], &[Event]) = (&[item(0, 0)], &[item(0, 0)]);
    assert_eq!(check(&[open, (&[text(0, 0, "12345678")], &[])]), None);
    assert_eq!(
        check(&[open, (&[text(0, 0, "123456789")], &[])]),
        Some(Breach::HeldBack)
    );
    let step: (&[Event], &[Event]) = (&[text(0, 0, "1234")], &[]);
    assert_eq!(check(&[open, step, step, step]), Some(Breach::HeldBack));
    // Dropping a whole item's text is masking, not holding.
    assert_eq!(
        check(&[
            open,
            (
                &[text(0, 0, "a long text"), item_end(0, 0)],
                &[item_end(0, 0)]
            )
        ]),
        None
    );
    // Empty text is no sign of life.
    assert_eq!(
        check(&[open, (&[text(0, 0, "123456789")], &[text(0, 0, "")])]),
        Some(Breach::HeldBack)
    );
}

#[test]
fn inventing_is_bounded() {
    let open: (&[Event], &[Event]) = (&[item(0, 0)], &[item(0, 0)]);
    let note = "n".repeat(1000);
    assert_eq!(check(&[open, (&[], &[text(0, 0, &note)])]), None);
    let book = "n".repeat(70_000);
    assert_eq!(
        check(&[open, (&[], &[text(0, 0, &book)])]),
        Some(Breach::HeldBack)
    );
}

#[test]
fn other_events_may_go_but_not_come() {
    let other = || {
        Event::Other(Opaque {
            kind: "x".into(),
            value: "{}".into(),
        })
    };
    assert_eq!(check(&[(&[other()], &[])]), None);
    assert_eq!(check(&[(&[], &[other()])]), Some(Breach::EventOrder));
}

/// A legal answer: items one after the other, text in pieces, progress anywhere.
fn answer() -> impl Strategy<Value = Vec<Event>> {
    let piece = prop_oneof![3 => "[a-z]{1,6}".prop_map(Some), 1 => Just(None)];
    let one_item = prop::collection::vec(piece, 0..6);
    prop::collection::vec(prop::collection::vec(one_item, 1..3), 1..3).prop_map(|choices| {
        let mut events = vec![started()];
        for (c, items) in (0u32..).zip(choices) {
            for (i, pieces) in (0u32..).zip(items) {
                events.push(item(c, i));
                for piece in pieces {
                    events.push(piece.map_or_else(progress, |t| text(c, i, &t)));
                }
                events.push(item_end(c, i));
            }
            events.push(choice_end(c));
        }
        events.push(Event::Usage(usage()));
        events.push(finished());
        events
    })
}

/// Feeds `events` in batches of the given sizes, each answered by `filter`.
fn run(
    events: &[Event],
    sizes: &[usize],
    mut filter: impl FnMut(&[Event]) -> Vec<Event>,
) -> Option<Breach> {
    let mut check = StreamCheck::new(1 << 20);
    let mut rest = events;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let n = sizes.next().map_or(1, |n| *n).clamp(1, rest.len());
        let (batch, tail) = rest.split_at(n);
        let out = filter(batch);
        if let Err((breach, _)) = check.batch(batch, &out) {
            return Some(breach);
        }
        rest = tail;
    }
    None
}

fn is_text(event: &Event) -> bool {
    matches!(event, Event::TextDelta(_))
}

proptest! {
    /// Filters that keep the rules pass, however the answer is cut into batches: one that changes
    /// text, one that holds all text of an item until its end.
    #[test]
    fn honest_filters_pass(events in answer(), sizes in prop::collection::vec(1usize..7, 1..5)) {
        let upper = |batch: &[Event]| batch.iter().map(|e| match e {
            Event::TextDelta(d) => text(d.choice, d.item, &d.text.to_uppercase()),
            other => other.clone(),
        }).collect();
        prop_assert_eq!(run(&events, &sizes, upper), None);
        let mut held = String::new();
        let holding = |batch: &[Event]| {
            let mut out = Vec::new();
            for event in batch {
                match event {
                    Event::TextDelta(d) => held.push_str(&d.text),
                    Event::ItemFinished(end) => {
                        out.push(text(end.choice, end.item, &std::mem::take(&mut held)));
                        out.push(event.clone());
                    }
                    other => out.push(other.clone()),
                }
            }
            out
        };
        prop_assert_eq!(run(&events, &sizes, holding), None);
    }

    /// Losing or repeating any event that is not text is caught, wherever it is.
    #[test]
    fn tampering_is_caught(
        events in answer(),
        sizes in prop::collection::vec(1usize..7, 1..5),
        at in any::<prop::sample::Index>(),
        repeat in any::<bool>(),
    ) {
        let places: Vec<usize> = (0..events.len()).filter(|i| !is_text(&events[*i])).collect();
        let victim = places[at.index(places.len())];
        let mut seen = 0;
        let tamper = |batch: &[Event]| {
            let mut out = Vec::new();
            for event in batch {
                if seen != victim || repeat {
                    out.push(event.clone());
                }
                if seen == victim && repeat {
                    out.push(event.clone());
                }
                seen += 1;
            }
            out
        };
        prop_assert_eq!(run(&events, &sizes, tamper), Some(Breach::EventOrder));
    }
}
