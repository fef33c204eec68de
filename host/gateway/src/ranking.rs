//! `best_of`: more candidates than answers, of which the likeliest per token are kept.
//!
//! Candidates are ranked by the mean log probability of their tokens, so what a candidate says goes nowhere before
//! the last of them has ended. Of equals the one that was drawn first wins; one that said nothing is last.
//! Choices are renumbered: the best candidate of a prompt is its first choice.

use std::collections::BTreeMap;

use atoll_engine::engine::GenerationEvent;
use atoll_plugin_runtime::types::Event;

use crate::replay;

/// The candidates of one request, until they are ranked.
#[derive(Debug)]
pub(crate) struct Ranking {
    /// Candidates of each prompt.
    candidates: u32,
    /// How many of them are answers.
    wanted: u32,
    /// By place over all prompts, as the events count them.
    all: BTreeMap<u32, Candidate>,
}

/// One candidate.
#[derive(Debug, Default)]
struct Candidate {
    tokens: u32,
    /// The sum of their log probabilities.
    logprob: f64,
    said: Vec<Event>,
}

impl Candidate {
    fn score(&self) -> f64 {
        if self.tokens == 0 {
            f64::NEG_INFINITY
        } else {
            self.logprob / f64::from(self.tokens)
        }
    }
}

impl Ranking {
    /// For `wanted` answers out of `candidates` for each prompt.
    pub(crate) fn new(candidates: u32, wanted: u32) -> Self {
        Self {
            candidates,
            wanted,
            all: BTreeMap::new(),
        }
    }

    /// Takes note of the tokens in one event of prompt `input`'s generation, which must have log probabilities.
    pub(crate) fn hear(&mut self, input: usize, event: &GenerationEvent) {
        let GenerationEvent::Text { choice, tokens, .. } = event else {
            return;
        };
        let place = u32::try_from(input)
            .unwrap_or(u32::MAX)
            .saturating_mul(self.candidates)
            .saturating_add(*choice);
        let candidate = self.all.entry(place).or_default();
        for logprob in tokens.iter().filter_map(|token| token.logprob) {
            candidate.tokens = candidate.tokens.saturating_add(1);
            candidate.logprob += f64::from(logprob);
        }
    }

    /// What may go on of a batch: candidates stay here until the answer ends, and then the best of them go.
    pub(crate) fn hold(&mut self, batch: Vec<Event>) -> Vec<Event> {
        let mut out = Vec::new();
        for event in batch {
            match replay::choice_of(&event) {
                Some(place) => self.all.entry(place).or_default().said.push(event),
                None => {
                    if matches!(event, Event::Finished(_)) {
                        self.release(&mut out);
                    }
                    out.push(event);
                }
            }
        }
        out
    }

    fn release(&mut self, out: &mut Vec<Event>) {
        let mut prompts: BTreeMap<u32, Vec<Candidate>> = BTreeMap::new();
        for (place, candidate) in std::mem::take(&mut self.all) {
            let prompt = place / self.candidates.max(1);
            prompts.entry(prompt).or_default().push(candidate);
        }
        for (prompt, mut candidates) in prompts {
            candidates.sort_by(|one, other| other.score().total_cmp(&one.score()));
            let first = prompt.saturating_mul(self.wanted);
            for (place, candidate) in (first..first.saturating_add(self.wanted)).zip(candidates) {
                out.extend(candidate.said.into_iter().map(|event| moved(event, place)));
            }
        }
    }
}

/// The event as one of another choice.
fn moved(mut event: Event, place: u32) -> Event {
    match &mut event {
        Event::ItemStarted(item) => item.choice = place,
        Event::TextDelta(delta)
        | Event::ReasoningDelta(delta)
        | Event::RefusalDelta(delta)
        | Event::ArgumentsDelta(delta) => delta.choice = place,
        Event::ItemFinished(end) => end.choice = place,
        Event::ChoiceFinished(end) => end.choice = place,
        Event::Started(_)
        | Event::Progress(_)
        | Event::Usage(_)
        | Event::Finished(_)
        | Event::Failed(_)
        | Event::Other(_) => {}
    }
    event
}

#[cfg(test)]
mod tests {
    use atoll_engine::engine::TokenEvent;
    use atoll_plugin_runtime::types::{Delta, Finished, Phase, Progress, Timings, Usage};

    use super::*;

    fn drawn(choice: u32, logprobs: &[f32]) -> GenerationEvent {
        let token = |&logprob| TokenEvent {
            token: 1,
            bytes: Vec::new(),
            logprob: Some(logprob),
            top: Vec::new(),
        };
        GenerationEvent::Text {
            choice,
            text: String::new(),
            tokens: logprobs.iter().map(token).collect(),
        }
    }

    fn text(choice: u32, text: &str) -> Event {
        Event::TextDelta(Delta {
            choice,
            item: 0,
            text: text.to_owned(),
            tokens: Vec::new(),
        })
    }

    fn finished() -> Event {
        Event::Finished(Finished {
            usage: Usage {
                prompt_tokens: 1,
                cached_tokens: 0,
                cache_written_tokens: 0,
                output_tokens: 9,
                reasoning_tokens: 0,
            },
            timings: Timings {
                queued: 0,
                load: 0,
                prefill: 0,
                decode: 0,
                total: 0,
            },
        })
    }

    /// Which candidates' texts come out, as which choices.
    fn released(ranking: &mut Ranking) -> Vec<(u32, String)> {
        let events = ranking.hold(vec![finished()]);
        assert_eq!(events.last(), Some(&finished()));
        let texts = events.into_iter().filter_map(|event| match event {
            Event::TextDelta(delta) => Some((delta.choice, delta.text)),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn the_likeliest_per_token_of_each_prompt_are_kept_in_order() {
        let mut ranking = Ranking::new(3, 2);
        // The longest has the lowest sum and the highest mean.
        for (input, choice, logprobs) in [
            (0, 0, &[-1.0, -1.0][..]),
            (0, 1, &[-0.9]),
            (0, 2, &[-0.5, -0.5, -0.5, -0.5, -0.5]),
            (1, 0, &[-2.0]),
            (1, 2, &[-2.0]),
        ] {
            ranking.hear(input, &drawn(choice, logprobs));
        }
        // Choices take turns; nothing of them goes out.
        let said = ["a", "b", "c", "d", "e", "f"];
        for round in ["1", "2"] {
            for (choice, name) in said.iter().enumerate() {
                let event = text(u32::try_from(choice).unwrap(), &format!("{name}{round}"));
                assert!(ranking.hold(vec![event]).is_empty());
            }
        }
        let kept = [
            (0, "c1"),
            (0, "c2"),
            (1, "b1"),
            (1, "b2"),
            // Equals in the order in which they were drawn; the second of them is before one without a token.
            (2, "d1"),
            (2, "d2"),
            (3, "f1"),
            (3, "f2"),
        ];
        assert_eq!(
            released(&mut ranking),
            kept.map(|(choice, text)| (choice, text.to_owned()))
        );
    }

    #[test]
    fn what_is_of_no_candidate_goes_on_at_once() {
        let mut ranking = Ranking::new(2, 1);
        let progress = Event::Progress(Progress {
            phase: Phase::Prefill,
            done: 1,
            total: 2,
            detail: None,
        });
        assert_eq!(
            ranking.hold(vec![progress.clone(), text(1, "x")]),
            [progress]
        );
        let error =
            crate::failure::error(atoll_plugin_runtime::types::ErrorKind::Internal, "it broke");
        let failed = Event::Failed(error);
        assert_eq!(
            ranking.hold(vec![failed.clone()]),
            [failed],
            "without the candidates"
        );
    }
}
