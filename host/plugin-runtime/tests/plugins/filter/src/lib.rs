//! A filter that misbehaves on request: the context's model says how, either as one word or as
//! `{where}:{what}`, such as `events:loop`. With any other model it turns text into upper case.

#[path = "../../misdeeds.rs"]
mod misdeeds;

use atoll_sdk::filter::{
    Filter, FilterContext, FilterDescriptor, Finding, Interests, Session, Verdict,
};
use atoll_sdk::types::{Delta, Descriptor, Error, Event, KeepAlive, Operation};

struct Misbehaving;

struct Request {
    what: String,
    held: Vec<Event>,
    /// Batches seen that had text.
    batches: u32,
}

impl Filter for Misbehaving {
    type Session = Request;

    fn describe() -> FilterDescriptor {
        FilterDescriptor {
            plugin: Descriptor::new("misbehaving-filter", "0.1.0", "Goes wrong on request."),
            sees: Interests::REQUESTS | Interests::EVENTS,
            max_held_bytes: 16,
        }
    }

    fn open(context: FilterContext) -> Result<Request, Error> {
        if context.model == "refuse-open" {
            return Err(Error::blocked("refused at once"));
        }
        let request = Request {
            what: context.model,
            held: Vec::new(),
            batches: 0,
        };
        request.at("open");
        Ok(request)
    }
}

impl Request {
    /// Goes wrong if the request says so for this place.
    fn at(&self, place: &str) {
        if let Some((wanted, what)) = self.what.split_once(':')
            && wanted == place
        {
            misdeeds::commit(what);
        }
    }
}

impl Session for Request {
    fn on_request(&mut self, request: Operation) -> Result<Verdict, Error> {
        self.at("request");
        match self.what.as_str() {
            "block" => Err(Error::blocked("not allowed")),
            "other-operation" => Ok(Verdict::Replace(Operation::ListModels)),
            "replace" => Ok(Verdict::Replace(request)),
            "keep" => Ok(Verdict::Replace(keep(request))),
            _ => Ok(Verdict::Pass),
        }
    }

    fn on_events(&mut self, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        self.at("events");
        self.batches += u32::from(events.iter().any(is_text));
        // Honest at first, so that something has reached the client when it breaks.
        if self.batches > 1 {
            self.at("later");
        }
        let terminal = |event: &Event| matches!(event, Event::Finished(_) | Event::Failed(_));
        Ok(match self.what.as_str() {
            "swallow-terminal" => events.into_iter().filter(|e| !terminal(e)).collect(),
            "duplicate-terminal" => {
                let last = events.iter().find(|e| terminal(e)).cloned();
                events.into_iter().chain(last).collect()
            }
            "reverse" => events.into_iter().rev().collect(),
            "hold-forever" => {
                self.held
                    .extend(events.iter().filter(|e| is_text(e)).cloned());
                events.into_iter().filter(|e| !is_text(e)).collect()
            }
            "amplify" => events
                .into_iter()
                .map(|e| map_text(e, |_| "x".repeat(200_000)))
                .collect(),
            "refuse-answer" => return Err(Error::blocked("the answer is not allowed")),
            _ => events
                .into_iter()
                .map(|e| map_text(e, |text| text.to_uppercase()))
                .collect(),
        })
    }

    fn findings(&mut self) -> Vec<Finding> {
        self.at("findings");
        vec![Finding {
            kind: "TEST".into(),
            path: "messages[0]".into(),
            start: 0,
            end: 1,
            action: "report".into(),
        }]
    }
}

/// The same, with the model kept loaded for ever.
fn keep(mut request: Operation) -> Operation {
    if let Operation::Generate(request) = &mut request {
        request.keep_alive = Some(KeepAlive::Forever);
    }
    request
}

fn is_text(event: &Event) -> bool {
    matches!(event, Event::TextDelta(_))
}

fn map_text(event: Event, change: impl Fn(&str) -> String) -> Event {
    match event {
        Event::TextDelta(delta) => Event::TextDelta(Delta {
            text: change(&delta.text),
            ..delta
        }),
        other => other,
    }
}

atoll_sdk::export_filter!(Misbehaving);
