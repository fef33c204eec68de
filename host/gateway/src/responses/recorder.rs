//! Events of a running answer into what is kept of it.
//!
//! Neighbouring deltas of one item become one; progress and log probabilities are not kept. The record is in
//! the store before the terminal event leaves, so that a client may continue an answer as soon as it has it.

use atoll_plugin_runtime::types::{
    Delta, ErrorKind, Event, GenerateRequest, StoredResponse, StoredStatus,
};

use super::history::{Splice, own_request};
use super::{Kept, Responses};
use crate::source::RequestFacts;

/// Keeps one answer.
pub(crate) struct Recorder {
    responses: Responses,
    record: Kept,
}

impl Recorder {
    /// A recorder for a request that has passed its filters.
    pub(crate) fn new(
        responses: Responses,
        owner: Option<String>,
        request: &GenerateRequest,
        splice: Splice,
        facts: &RequestFacts,
    ) -> Self {
        let (request, whole) = own_request(request, splice);
        Self {
            responses,
            record: Kept {
                owner,
                whole,
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
        self.responses.put(self.record.clone()).await;
    }

    /// Takes events as the model gave them; writes the record once the terminal one is among them.
    pub(crate) async fn events(&mut self, events: &[Event]) {
        for event in events {
            self.event(event);
        }
        if events.last().is_some_and(is_terminal) {
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
