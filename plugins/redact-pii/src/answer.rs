//! The way out: restores tokens in a stream of events, one lane for each item of each choice.
//!
//! Invariants: events keep their order; a lane gives back what it holds before its item, its choice or
//! the answer ends; when the answer fails, what is held is dropped. Text that was restored no longer
//! matches its tokens' log probabilities, so a request that had anything replaced gets none.

use std::collections::BTreeMap;

use atoll_sdk::filter::Finding;
use atoll_sdk::types::{Delta, Event, ItemKind};

use crate::pseudonym::Vault;
use crate::restore::{Escape, Lane, Restorer};
use crate::settings::Policy;

/// Tokens of one answer that are reported one by one.
const MAX_REPORTED: usize = 1000;

/// Which text of an item a delta carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Channel {
    Text,
    Reasoning,
    Refusal,
    Arguments,
}

/// How an item's arguments are written.
#[derive(Debug, Clone, Copy)]
struct Tool {
    restores: bool,
    escape: Escape,
}

/// The state of one answer.
#[derive(Debug, Default)]
pub struct Answer {
    restorer: Restorer,
    lanes: BTreeMap<(u32, u32, Channel), (Lane, Escape)>,
    tools: BTreeMap<(u32, u32), Tool>,
    /// Fragments of tokens that ended up in the answer.
    pub truncated: u32,
    /// Tokens restored.
    pub restored: u32,
}

impl Answer {
    /// Restores what `vault` issued.
    #[must_use]
    pub fn new(vault: &Vault) -> Self {
        Answer {
            restorer: Restorer::new(vault),
            ..Answer::default()
        }
    }

    /// Restores one batch.
    #[must_use]
    pub fn events(&mut self, policy: &Policy, events: Vec<Event>) -> Vec<Event> {
        if self.restorer.is_empty() {
            return events;
        }
        let mut out = Vec::with_capacity(events.len() + 1);
        for event in events {
            match event {
                Event::TextDelta(d) => self.delta(d, Channel::Text, Event::TextDelta, &mut out),
                Event::ReasoningDelta(d) => {
                    self.delta(d, Channel::Reasoning, Event::ReasoningDelta, &mut out)
                }
                Event::RefusalDelta(d) => {
                    self.delta(d, Channel::Refusal, Event::RefusalDelta, &mut out)
                }
                Event::ArgumentsDelta(d) => {
                    self.delta(d, Channel::Arguments, Event::ArgumentsDelta, &mut out)
                }
                Event::ItemStarted(item) => {
                    if let ItemKind::ToolCall(call) = &item.kind {
                        let escape = if call.custom {
                            Escape::Plain
                        } else {
                            Escape::Json
                        };
                        self.tools.insert(
                            (item.choice, item.index),
                            Tool {
                                restores: policy.restores_in(&call.name),
                                escape,
                            },
                        );
                    }
                    out.push(Event::ItemStarted(item));
                }
                Event::ItemFinished(end) => {
                    self.flush(
                        |choice, item| (choice, item) == (end.choice, end.item),
                        &mut out,
                    );
                    out.push(Event::ItemFinished(end));
                }
                Event::ChoiceFinished(end) => {
                    self.flush(|choice, _| choice == end.choice, &mut out);
                    out.push(Event::ChoiceFinished(end));
                }
                Event::Finished(end) => {
                    self.flush(|_, _| true, &mut out);
                    out.push(Event::Finished(end));
                }
                Event::Failed(error) => {
                    self.lanes.clear();
                    out.push(Event::Failed(error));
                }
                other => out.push(other),
            }
        }
        out
    }

    /// What happened to tokens in the answer, for the audit: a finding for each, as far as a record's
    /// worth of them goes.
    #[must_use]
    pub fn report(&self) -> Vec<Finding> {
        let finding = |kind: &str, action: &str| Finding {
            kind: kind.to_owned(),
            path: "answer".to_owned(),
            start: 0,
            end: 0,
            action: action.to_owned(),
        };
        let some = |n: u32| (n as usize).min(MAX_REPORTED);
        let restored = vec![finding("TOKEN", "restore"); some(self.restored)];
        let truncated = vec![finding("TRUNCATED_TOKEN", "report"); some(self.truncated)];
        [restored, truncated].concat()
    }

    fn delta(
        &mut self,
        mut d: Delta,
        channel: Channel,
        wrap: fn(Delta) -> Event,
        out: &mut Vec<Event>,
    ) {
        d.tokens.clear();
        let escape = if channel == Channel::Arguments {
            match self.tools.get(&(d.choice, d.item)) {
                Some(tool) if tool.restores => tool.escape,
                // Values leave through a tool's arguments only where the policy names the tool.
                _ => {
                    out.push(wrap(d));
                    return;
                }
            }
        } else {
            Escape::Plain
        };
        let (lane, _) = self
            .lanes
            .entry((d.choice, d.item, channel))
            .or_insert_with(|| (Lane::default(), escape));
        let was_empty = d.text.is_empty();
        d.text = self.restorer.push(lane, &d.text, escape);
        if !d.text.is_empty() || was_empty {
            out.push(wrap(d));
        }
    }

    fn flush(&mut self, which: impl Fn(u32, u32) -> bool, out: &mut Vec<Event>) {
        let keys: Vec<_> = self
            .lanes
            .keys()
            .copied()
            .filter(|k| which(k.0, k.1))
            .collect();
        for key in keys {
            let Some((mut lane, _)) = self.lanes.remove(&key) else {
                continue;
            };
            let text = lane.flush();
            self.truncated = self.truncated.saturating_add(lane.truncated);
            self.restored = self.restored.saturating_add(lane.restored);
            if text.is_empty() {
                continue;
            }
            let d = Delta {
                choice: key.0,
                item: key.1,
                text,
                tokens: Vec::new(),
            };
            out.push(match key.2 {
                Channel::Text => Event::TextDelta(d),
                Channel::Reasoning => Event::ReasoningDelta(d),
                Channel::Refusal => Event::RefusalDelta(d),
                Channel::Arguments => Event::ArgumentsDelta(d),
            });
        }
    }
}
