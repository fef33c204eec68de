//! Events of a running answer into what is kept of it.
//!
//! Neighbouring deltas of one item become one, whose parts are remembered by their lengths; progress and log
//! probabilities are not kept. The record is in its place before the terminal event leaves, so that a client may
//! continue an answer as soon as it has it.

use std::sync::Arc;

use atoll_plugin_runtime::types::{
    Delta, ErrorKind, Event, GenerateRequest, StoredResponse, StoredStatus,
};

use super::history::{Splice, own_request};
use super::local::LocalAnswers;
use super::{Kept, Responses};
use crate::source::RequestFacts;

/// Keeps one answer.
pub(crate) struct Recorder {
    place: Place,
    record: Kept,
}

/// Where an answer is kept.
pub(crate) enum Place {
    /// Until it expires or is deleted.
    Store(Responses),
    /// As long as a socket is open.
    Socket(Arc<LocalAnswers>),
}

impl Recorder {
    /// A recorder for a request that has passed its filters.
    pub(crate) fn new(
        place: Place,
        owner: Option<String>,
        request: &GenerateRequest,
        splice: Splice,
        facts: &RequestFacts,
    ) -> Self {
        let (request, whole) = own_request(request, splice);
        Self {
            place,
            record: Kept {
                owner,
                whole,
                cuts: Some(Vec::new()),
                response: StoredResponse {
                    id: facts.answer_id.clone(),
                    created_at: facts.received_at,
                    status: StoredStatus::Queued,
                    request,
                    events: Vec::new(),
                },
            },
        }
    }

    /// What is kept so far.
    pub(crate) fn response(&self) -> &StoredResponse {
        &self.record.response
    }

    /// Writes down what there is, for an answer that others may ask for while it runs.
    pub(crate) async fn save(&self) {
        match &self.place {
            Place::Store(responses) => responses.put(self.record.clone()).await,
            Place::Socket(answers) => answers.put(self.record.clone()),
        }
    }

    /// Takes events as the model gave them, and as the client gets them; writes the record once the terminal
    /// one is among them.
    pub(crate) async fn events(&mut self, given: &[Event], sent: &[Event]) {
        if given != sent {
            self.record.cuts = None;
        }
        for event in given {
            self.event(event);
        }
        if given.last().is_some_and(is_terminal) {
            self.save().await;
        }
    }

    fn event(&mut self, event: &Event) {
        let response = &mut self.record.response;
        response.status = match event {
            Event::Progress(_) => return,
            Event::Finished(_) => StoredStatus::Finished,
            Event::Failed(error) if matches!(error.kind, ErrorKind::Cancelled) => {
                StoredStatus::Cancelled
            }
            Event::Failed(_) => StoredStatus::Failed,
            _ => StoredStatus::InProgress,
        };
        if let Some(Event::Usage(before)) = response.events.last_mut()
            && let Event::Usage(now) = event
        {
            *before = *now;
            return;
        }
        if let Some(now) = delta(event) {
            self.cut(now);
        }
        let response = &mut self.record.response;
        if let (Some(before), Some(now)) =
            (response.events.last_mut().and_then(joinable), delta(event))
            && (before.choice, before.item) == (now.choice, now.item)
        {
            before.text.push_str(&now.text);
            return;
        }
        let mut event = event.clone();
        if let Some(delta) = joinable(&mut event) {
            delta.tokens.clear();
        }
        response.events.push(event);
    }

    /// Remembers where one delta ends and the next begins.
    fn cut(&mut self, delta: &Delta) {
        let length = u32::try_from(delta.text.len());
        match (&mut self.record.cuts, length) {
            // What had log probabilities was sent with them, and is kept without.
            (cuts, Ok(_)) if !delta.tokens.is_empty() => *cuts = None,
            (Some(_), Ok(0)) | (None, Ok(_)) => {}
            (Some(cuts), Ok(length)) => cuts.push(length),
            (cuts, Err(_)) => *cuts = None,
        }
    }
}

/// The events of a record with the deltas as they first came; `None` where that is not known any more.
pub(super) fn as_sent(record: &Kept) -> Option<Vec<Event>> {
    let mut cuts = record.cuts.as_ref()?.iter().map(|&length| length as usize);
    let mut events = Vec::new();
    for event in &record.response.events {
        let Some(whole) = delta(event) else {
            events.push(event.clone());
            continue;
        };
        let mut rest = whole.text.as_str();
        while !rest.is_empty() {
            // A record that contradicts itself was damaged.
            let (piece, after) = rest.split_at_checked(cuts.next()?)?;
            rest = after;
            let mut event = event.clone();
            if let Some(part) = joinable(&mut event) {
                part.text = piece.to_owned();
            }
            events.push(event);
        }
    }
    Some(events)
}

/// Whether nothing follows.
pub(super) fn is_terminal(event: &Event) -> bool {
    matches!(event, Event::Finished(_) | Event::Failed(_))
}

/// An item has deltas of one kind, so its number is enough to join them.
fn joinable(event: &mut Event) -> Option<&mut Delta> {
    match event {
        Event::TextDelta(delta)
        | Event::ReasoningDelta(delta)
        | Event::RefusalDelta(delta)
        | Event::ArgumentsDelta(delta) => Some(delta),
        _ => None,
    }
}

fn delta(event: &Event) -> Option<&Delta> {
    match event {
        Event::TextDelta(delta)
        | Event::ReasoningDelta(delta)
        | Event::RefusalDelta(delta)
        | Event::ArgumentsDelta(delta) => Some(delta),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
