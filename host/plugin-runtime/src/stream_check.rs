//! Checks that a filter leaves an answer's structure alone. Pure.
//!
//! A filter may change text, and may hold text back until its item ends. Everything else must come out
//! of the very call it went into, in the order it went in: `started`, starts and ends of items and
//! choices, `progress`, `usage`, and the terminal event exactly once and last. Deltas must belong to an
//! item that is open at that point. `other` events may be dropped but not made up.
//!
//! What a filter holds cannot be seen from outside, only what has not come out, and text that was
//! masked never does. So the rule counts per lane (choice, item, kind of text) the bytes that went in
//! since anything came out: more than the declared maximum is a fault. Invented text is bounded per
//! lane to a multiple of what went in plus a constant.

use std::collections::HashMap;
use std::mem::Discriminant;

use crate::error::Breach;
use crate::types::{Delta, Event, Usage};

/// Bytes that a lane may give out beyond [`AMPLIFY`] times what it took in: a note or a disclaimer.
const EXTRA_BYTES: usize = 64 * 1024;
/// A placeholder of a few bytes may stand for an address or a paragraph.
const AMPLIFY: usize = 16;

/// What a filter must keep of an event.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Started { response_id: String },
    Progress,
    ItemStarted { choice: u32, item: u32 },
    ItemFinished { choice: u32, item: u32 },
    ChoiceFinished { choice: u32 },
    Usage(Usage),
    Finished(Usage),
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Lane {
    choice: u32,
    item: u32,
    kind: Discriminant<Event>,
}

#[derive(Debug, Default)]
struct Flow {
    input: usize,
    output: usize,
    /// Bytes in since the last byte out.
    silent: usize,
}

/// The running account of one stream.
#[derive(Debug)]
pub(crate) struct StreamCheck {
    max_held: usize,
    lanes: HashMap<Lane, Flow>,
    /// Items open as the filter's output has them.
    open: Vec<(u32, u32)>,
    ended: bool,
}

type Verdict = Result<(), (Breach, String)>;

impl StreamCheck {
    pub fn new(max_held: usize) -> Self {
        Self {
            max_held,
            lanes: HashMap::new(),
            open: Vec::new(),
            ended: false,
        }
    }

    /// Accounts for one call: these events went in, those came out.
    pub fn batch(&mut self, input: &[Event], output: &[Event]) -> Verdict {
        let order = |message: &str| Err((Breach::EventOrder, message.to_owned()));
        if self.ended && !output.is_empty() {
            return order("events after the terminal one");
        }
        let wanted: Vec<Key> = input.iter().filter_map(key).collect();
        let got: Vec<Key> = output.iter().filter_map(key).collect();
        if wanted != got {
            return order("events were added, removed, changed or reordered");
        }
        let others = |events: &[Event]| {
            events
                .iter()
                .filter(|e| matches!(e, Event::Other(_)))
                .count()
        };
        if others(output) > others(input) {
            return order("an event was made up");
        }
        for event in input {
            if let Some((lane, delta)) = lane(event) {
                let flow = self.lanes.entry(lane).or_default();
                flow.input = flow.input.saturating_add(delta.text.len());
                flow.silent = flow.silent.saturating_add(delta.text.len());
            }
        }
        for event in output {
            self.emit(event)?;
        }
        if self.ended {
            self.lanes.clear();
            return Ok(());
        }
        match self.lanes.values().find(|flow| flow.silent > self.max_held) {
            None => Ok(()),
            Some(flow) => Err((
                Breach::HeldBack,
                format!(
                    "{} bytes went in and none came out, where it declared to hold at most {}",
                    flow.silent, self.max_held
                ),
            )),
        }
    }

    fn emit(&mut self, event: &Event) -> Verdict {
        if self.ended {
            return Err((
                Breach::EventOrder,
                "the terminal event is not the last".to_owned(),
            ));
        }
        match event {
            Event::ItemStarted(item) => self.open.push((item.choice, item.index)),
            Event::ItemFinished(end) => {
                self.open.retain(|open| *open != (end.choice, end.item));
                self.lanes
                    .retain(|lane, _| (lane.choice, lane.item) != (end.choice, end.item));
            }
            Event::Finished(_) | Event::Failed(_) => self.ended = true,
            _ => {
                if let Some((lane, delta)) = lane(event) {
                    if !self.open.contains(&(lane.choice, lane.item)) {
                        return Err((Breach::EventOrder, "text outside of its item".to_owned()));
                    }
                    let flow = self.lanes.entry(lane).or_default();
                    flow.output = flow.output.saturating_add(delta.text.len());
                    if !delta.text.is_empty() {
                        flow.silent = 0;
                    }
                    if flow.output
                        > flow
                            .input
                            .saturating_mul(AMPLIFY)
                            .saturating_add(EXTRA_BYTES)
                    {
                        let message = format!(
                            "{} bytes came out of {} that went in",
                            flow.output, flow.input
                        );
                        return Err((Breach::HeldBack, message));
                    }
                }
            }
        }
        Ok(())
    }
}

fn key(event: &Event) -> Option<Key> {
    Some(match event {
        Event::Started(started) => Key::Started {
            response_id: started.response_id.clone(),
        },
        Event::Progress(_) => Key::Progress,
        Event::ItemStarted(item) => Key::ItemStarted {
            choice: item.choice,
            item: item.index,
        },
        Event::ItemFinished(end) => Key::ItemFinished {
            choice: end.choice,
            item: end.item,
        },
        Event::ChoiceFinished(end) => Key::ChoiceFinished { choice: end.choice },
        Event::Usage(usage) => Key::Usage(*usage),
        Event::Finished(finished) => Key::Finished(finished.usage),
        Event::Failed(_) => Key::Failed,
        Event::TextDelta(_)
        | Event::ReasoningDelta(_)
        | Event::RefusalDelta(_)
        | Event::ArgumentsDelta(_) => return None,
        Event::Other(_) => return None,
    })
}

fn lane(event: &Event) -> Option<(Lane, &Delta)> {
    match event {
        Event::TextDelta(delta)
        | Event::ReasoningDelta(delta)
        | Event::RefusalDelta(delta)
        | Event::ArgumentsDelta(delta) => {
            let lane = Lane {
                choice: delta.choice,
                item: delta.item,
                kind: std::mem::discriminant(event),
            };
            Some((lane, delta))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
