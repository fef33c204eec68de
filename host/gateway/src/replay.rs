//! [`Replay`]: an answer that is begun again after a part of it was used.
//!
//! Somebody who waits for the whole answer has heard nothing of it yet, but filters, the dialect, the audit
//! and the record of what is stored have had every event, and none can take one back. So nothing is taken
//! back: the same request with the same seed has the same answer, wherever it runs, as long as its executors
//! do not round by the rows beside it. What the second attempt says first is what was said already; it is
//! left out, and only what follows goes on. It is compared while it is left out: where the second attempt
//! says something else, the two cannot be one answer.

use std::collections::BTreeMap;

use atoll_plugin_runtime::types::Event;

/// The second attempt says something else than the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Differs;

/// What was said of an answer, by choice: choices take turns as their tokens come.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    said: Vec<Event>,
    /// How much of it the attempt that runs has said.
    repeated: usize,
}

impl Replay {
    /// Another attempt begins, from the beginning.
    pub(crate) fn again(&mut self) {
        for choice in self.choices.values_mut() {
            choice.repeated = 0;
        }
    }

    /// What of these events was not said before.
    ///
    /// # Errors
    /// [`Differs`].
    pub(crate) fn rest(&mut self, events: Vec<Event>) -> Result<Vec<Event>, Differs> {
        let mut rest = Vec::with_capacity(events.len());
        for event in events {
            if let Some(choice) = choice_of(&event) {
                let choice = self.choices.entry(choice).or_default();
                match choice.said.get(choice.repeated) {
                    Some(said) if *said == event => choice.repeated += 1,
                    Some(_) => return Err(Differs),
                    None => {
                        choice.said.push(event.clone());
                        choice.repeated += 1;
                        rest.push(event);
                    }
                }
                continue;
            }
            match event {
                // It has ended before it was where the first one was.
                Event::Finished(_) if self.repeats() => return Err(Differs),
                // Sums that grow, counted from the beginning again.
                Event::Usage(_) if self.repeats() => {}
                event => rest.push(event),
            }
        }
        Ok(rest)
    }

    /// Whether something that was said is still to be repeated.
    fn repeats(&self) -> bool {
        let behind = |choice: &Choice| choice.repeated < choice.said.len();
        self.choices.values().any(behind)
    }
}

/// The choice that an event is a part of.
pub(crate) fn choice_of(event: &Event) -> Option<u32> {
    match event {
        Event::ItemStarted(item) => Some(item.choice),
        Event::TextDelta(delta)
        | Event::ReasoningDelta(delta)
        | Event::RefusalDelta(delta)
        | Event::ArgumentsDelta(delta) => Some(delta.choice),
        Event::ItemFinished(end) => Some(end.choice),
        Event::ChoiceFinished(end) => Some(end.choice),
        Event::Started(_)
        | Event::Progress(_)
        | Event::Usage(_)
        | Event::Finished(_)
        | Event::Failed(_)
        | Event::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use atoll_plugin_runtime::types::{ChoiceEnd, Delta, FinishReason, Finished, Timings, Usage};
    use proptest::prelude::*;

    use super::*;

    fn text(choice: u32, text: &str) -> Event {
        Event::TextDelta(Delta {
            choice,
            item: 0,
            text: text.to_owned(),
            tokens: Vec::new(),
        })
    }

    fn end(choice: u32) -> Event {
        let reason = FinishReason::Stop;
        Event::ChoiceFinished(ChoiceEnd { choice, reason })
    }

    fn usage(output_tokens: u32) -> Usage {
        Usage {
            prompt_tokens: 3,
            cached_tokens: 0,
            cache_written_tokens: 0,
            output_tokens,
            reasoning_tokens: 0,
        }
    }

    fn finished() -> Event {
        Event::Finished(Finished {
            usage: usage(2),
            timings: Timings {
                queued: 0,
                load: 0,
                prefill: 0,
                decode: 0,
                total: 0,
            },
        })
    }

    #[test]
    fn another_answer_is_not_taken_for_the_rest() {
        let first = [text(0, "a"), text(0, "b")];
        let others = [
            vec![text(0, "b")],
            vec![text(0, "a"), end(0)],
            vec![text(0, "a"), finished()],
            vec![text(0, "ab")],
        ];
        for other in others {
            let mut replay = Replay::default();
            assert_eq!(replay.rest(first.to_vec()), Ok(first.to_vec()));
            replay.again();
            assert_eq!(replay.rest(other.clone()), Err(Differs), "{other:?}");
        }
    }

    #[test]
    fn what_is_counted_again_is_not_told_again() {
        let mut replay = Replay::default();
        let before = vec![text(0, "a"), Event::Usage(usage(1)), text(0, "b")];
        assert_eq!(replay.rest(before.clone()), Ok(before.clone()));
        replay.again();
        assert_eq!(replay.rest(before), Ok(Vec::new()));
        let rest = vec![Event::Usage(usage(2)), end(0), finished()];
        assert_eq!(replay.rest(rest.clone()), Ok(rest));
    }

    proptest! {
        /// An answer of several choices that is broken off and begun again, more than once, its choices
        /// taking other turns each time: each choice is told once, whole and in order.
        #[test]
        fn each_choice_is_told_once_and_in_order(
            lengths in prop::collection::vec(0..8_u32, 1..4),
            attempts in prop::collection::vec(prop::collection::vec((0..4_usize, 1..4_usize), 0..12), 1..4),
        ) {
            let answer = |choice: u32| {
                let words = (0..lengths[choice as usize]).map(move |word| text(choice, &format!("{word} ")));
                words.chain([end(choice)])
            };
            let count = lengths.len() as u32;
            let mut told = Vec::new();
            let mut replay = Replay::default();
            for attempt in attempts {
                replay.again();
                let mut left: Vec<_> = (0..count).map(|choice| answer(choice).collect::<Vec<_>>().into_iter()).collect();
                for (choice, batch) in attempt {
                    let choice = choice % left.len();
                    let events = left[choice].by_ref().take(batch).collect();
                    told.extend(replay.rest(events).unwrap());
                }
            }
            // The last one is not broken off.
            replay.again();
            for choice in 0..count {
                told.extend(replay.rest(answer(choice).collect()).unwrap());
            }
            let last = replay.rest(vec![finished()]).unwrap();
            prop_assert_eq!(last, vec![finished()]);
            for choice in 0..count {
                let of_choice: Vec<Event> = told.iter().filter(|event| choice_of(event) == Some(choice)).cloned().collect();
                prop_assert_eq!(of_choice, answer(choice).collect::<Vec<_>>());
            }
        }
    }
}
