//! The component: joins settings, the way in and the way out to the filter contract.
//!
//! Fails closed: settings that cannot be read or do not make sense refuse the request at `open`.

use atoll_sdk::filter::{
    Filter, FilterContext, FilterDescriptor, Finding, Interests, Session, Verdict,
};
use atoll_sdk::types::{Descriptor, Error, Event, Grant, Operation};

use crate::answer::Answer;
use crate::redact::redact;
use crate::settings::{Policy, Settings, schema};

/// The most bytes a lane holds: a token of the longest label, every underscore escaped.
const MAX_HELD: u32 = 64;

/// The redaction filter.
#[derive(Debug)]
pub struct RedactPii;

/// One request and its answer.
#[derive(Debug)]
pub struct Redaction {
    policy: Policy,
    conversation: Option<String>,
    answer: Answer,
    findings: Vec<Finding>,
}

impl Redaction {
    /// Starts with checked settings.
    #[must_use]
    pub fn new(policy: Policy, conversation: Option<String>) -> Self {
        Redaction {
            policy,
            conversation,
            answer: Answer::default(),
            findings: Vec::new(),
        }
    }
}

/// Reads settings as the host gives them.
///
/// # Errors
/// Names the setting and what is wrong with it.
pub fn policy(settings: Settings) -> Result<Policy, Error> {
    Policy::new(settings)
        .map_err(|e| Error::invalid("settings", format!("redact-pii: settings: {e}")))
}

impl Filter for RedactPii {
    type Session = Redaction;

    fn describe() -> FilterDescriptor {
        FilterDescriptor {
            plugin: Descriptor::new("redact-pii", env!("CARGO_PKG_VERSION"), "Replaces personal data and secrets before the model, and restores them in the answer.")
                .with_settings_schema(schema())
                .wanting(Grant::Config, "To read which entities to look for and what to do with them."),
            sees: Interests::REQUESTS | Interests::EVENTS,
            max_held_bytes: MAX_HELD,
        }
    }

    fn open(context: FilterContext) -> Result<Redaction, Error> {
        let settings: Settings = atoll_sdk::host::config::settings()?;
        Ok(Redaction::new(policy(settings)?, context.conversation))
    }
}

impl Session for Redaction {
    fn on_request(&mut self, mut request: Operation) -> Result<Verdict, Error> {
        match redact(&self.policy, self.conversation.as_deref(), &mut request) {
            Ok(done) => {
                self.findings.extend(done.findings);
                self.answer = Answer::new(&done.vault);
                Ok(if done.changed {
                    Verdict::Replace(request)
                } else {
                    Verdict::Pass
                })
            }
            Err(refused) => {
                self.findings.extend(refused.findings);
                Err(refused.error)
            }
        }
    }

    fn on_events(&mut self, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        let ends = matches!(events.last(), Some(Event::Finished(_) | Event::Failed(_)));
        let events = self.answer.events(&self.policy, events);
        if ends {
            self.findings.extend(self.answer.report());
        }
        Ok(events)
    }

    fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }
}
