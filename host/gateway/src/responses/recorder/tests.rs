//! What is kept of a stream gives the stream again.

use atoll_plugin_runtime::types::{
    Delta, Finished, Item, ItemEnd, ItemKind, Timings, Token, Usage,
};
use proptest::prelude::*;

use super::super::ResponseStore;
use super::*;
use crate::source::RequestFacts;

fn recorder() -> Recorder {
    let store = ResponseStore::in_memory(super::super::StoreLimits::default()).unwrap();
    let facts = RequestFacts {
        id: "r".to_owned(),
        answer_id: "a".to_owned(),
        owner: "".into(),
        received_at: 1,
        arrived: std::time::Instant::now(),
        chance: 0,
    };
    let place = Place::Store(Responses::new(Arc::new(store)));
    let request = crate::generate::tests::request();
    Recorder::new(place, None, &request, Splice::default(), &facts)
}

fn text(item: u32, text: &str) -> Event {
    Event::TextDelta(Delta {
        choice: 0,
        item,
        text: text.to_owned(),
        tokens: Vec::new(),
    })
}

/// A stream of two messages with these deltas.
fn stream(first: &[String], second: &[String]) -> Vec<Event> {
    let mut events = Vec::new();
    for (item, deltas) in [(0, first), (1, second)] {
        events.push(Event::ItemStarted(Item {
            choice: 0,
            index: item,
            kind: ItemKind::Message,
        }));
        events.extend(deltas.iter().map(|delta| text(item, delta)));
        events.push(Event::ItemFinished(ItemEnd {
            choice: 0,
            item,
            complete: true,
            signature: None,
        }));
    }
    let usage = Usage {
        prompt_tokens: 1,
        cached_tokens: 0,
        cache_written_tokens: 0,
        output_tokens: 1,
        reasoning_tokens: 0,
    };
    let timings = Timings {
        queued: 0,
        load: 0,
        prefill: 0,
        decode: 0,
        total: 0,
    };
    events.push(Event::Finished(Finished { usage, timings }));
    events
}

proptest! {
    /// Whatever the deltas and however they came in batches, what is kept holds one delta for each item and
    /// gives back the deltas that were not empty.
    #[test]
    fn the_stream_comes_back_as_it_was_sent(
        first in proptest::collection::vec("[aéß🙂]{0,3}", 0..6),
        second in proptest::collection::vec("[aéß🙂]{0,3}", 0..6),
        batch in 1..5usize,
    ) {
        let sent = stream(&first, &second);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let record = runtime.block_on(async {
            let mut recorder = recorder();
            for events in sent.chunks(batch) {
                recorder.events(events, events).await;
            }
            recorder.record
        });
        let deltas = record.response.events.iter().filter(|event| delta(event).is_some());
        prop_assert!(deltas.count() <= 2);
        let empty = |event: &&Event| delta(event).is_some_and(|delta| delta.text.is_empty());
        let expected: Vec<Event> = sent.iter().filter(|event| !empty(event)).cloned().collect();
        prop_assert_eq!(as_sent(&record), Some(expected));
        let json = serde_json::to_vec(&record).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Kept>(&json).unwrap(), record);
    }
}

#[tokio::test]
async fn what_was_sent_differently_is_not_given_again() {
    let given = [text(0, "PII_1")];
    let mut changed = recorder();
    changed.events(&given, &[text(0, "Alice")]).await;
    let mut held = recorder();
    held.events(&given, &[]).await;
    held.events(&[], &given).await;
    let mut with_logprobs = recorder();
    let token = Token {
        id: 1,
        bytes: vec![],
        logprob: -1.0,
        alternatives: vec![],
    };
    let delta = Event::TextDelta(Delta {
        choice: 0,
        item: 0,
        text: "a".to_owned(),
        tokens: vec![token],
    });
    with_logprobs
        .events(std::slice::from_ref(&delta), std::slice::from_ref(&delta))
        .await;
    with_logprobs.events(&given, &given).await;
    for recorder in [changed, held, with_logprobs] {
        assert_eq!(as_sent(&recorder.record), None);
    }
}

#[test]
fn damaged_records_are_not_given_again() {
    let mut record = recorder().record;
    record.response.events = vec![text(0, "é")];
    for cuts in [vec![], vec![1, 1], vec![3], vec![1]] {
        record.cuts = Some(cuts);
        assert_eq!(as_sent(&record), None);
    }
    record.cuts = Some(vec![2]);
    assert_eq!(as_sent(&record), Some(vec![text(0, "é")]));
}
