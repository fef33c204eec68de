//! A small filter: it adds a note to what the model is told, and a tag to what the client gets.
//!
//! Settings: `{"system_note": "Answer in Latin.", "tag": "[checked]"}`; each may be left out, and then
//! that half does nothing. The note goes to the end of the system message, which is made if there is
//! none; prompts without messages have no place for it. The tag is a line of its own at the end of the
//! first choice's first message. An answer that must follow a format gets none, because it would break
//! it.
//!
//! It holds no text back and keeps no state beyond the request.

use atoll_sdk::filter::{Filter, FilterContext, FilterDescriptor, Interests, Session, Verdict};
use atoll_sdk::types::{
    Delta, Descriptor, Error, Event, GenerateRequest, Grant, ItemKind, Message, Operation,
    OutputFormat, Part, Prompt, Role,
};
use serde::Deserialize;

/// The filter, as the host sees it.
pub struct Annotate;

/// What the host's configuration says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    system_note: String,
    tag: String,
}

const SETTINGS_SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "system_note": {
      "type": "string", "default": "", "description": "Added to the end of the system message."
    },
    "tag": {
      "type": "string", "default": "", "description": "A line added to the end of the answer."
    }
  }
}"#;

impl Filter for Annotate {
    type Session = Annotation;

    fn describe() -> FilterDescriptor {
        FilterDescriptor {
            plugin: Descriptor::new(
                "annotate",
                env!("CARGO_PKG_VERSION"),
                "Adds a note to the system message and a tag to the answer.",
            )
            .with_settings_schema(SETTINGS_SCHEMA)
            .wanting(Grant::Config, "To know the note and the tag."),
            sees: Interests::REQUESTS | Interests::EVENTS,
            max_held_bytes: 0,
        }
    }

    fn open(_: FilterContext) -> Result<Annotation, Error> {
        atoll_sdk::settings().map(Annotation::new)
    }
}

/// One request and its answer.
pub struct Annotation {
    settings: Settings,
    tag: Tag,
}

/// Where the tag stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    /// No message of the first choice has begun.
    Waiting,
    /// This item is the message that gets it.
    Inside(u32),
    /// It was given, or is not wanted.
    Done,
}

impl Annotation {
    fn new(settings: Settings) -> Self {
        let tag = if settings.tag.is_empty() {
            Tag::Done
        } else {
            Tag::Waiting
        };
        Self { settings, tag }
    }

    /// Whether the note changed the request.
    fn note(&self, request: &mut GenerateRequest) -> bool {
        let note = &self.settings.system_note;
        let Prompt::Conversation(messages) = &mut request.prompt else {
            return false;
        };
        if note.is_empty() {
            return false;
        }
        match messages.first_mut() {
            Some(first) if matches!(first.role, Role::System | Role::Developer) => {
                first.parts.push(Part::text(note.as_str()));
            }
            _ => messages.insert(0, Message::text(Role::System, note.as_str())),
        }
        true
    }
}

impl Session for Annotation {
    fn on_request(&mut self, request: Operation) -> Result<Verdict, Error> {
        let (mut generate, wrap): (_, fn(GenerateRequest) -> Operation) = match request {
            Operation::Generate(generate) => (generate, Operation::Generate),
            // Counted as it would be generated, note and all.
            Operation::CountTokens(generate) => (generate, Operation::CountTokens),
            _ => return Ok(Verdict::Pass),
        };
        if generate.format != OutputFormat::Text {
            self.tag = Tag::Done;
        }
        if self.note(&mut generate) {
            Ok(Verdict::Replace(wrap(generate)))
        } else {
            Ok(Verdict::Pass)
        }
    }

    fn on_events(&mut self, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        let mut out = Vec::with_capacity(events.len() + 1);
        for event in events {
            match (&event, self.tag) {
                (Event::ItemStarted(item), Tag::Waiting)
                    if item.choice == 0 && item.kind == ItemKind::Message =>
                {
                    self.tag = Tag::Inside(item.index);
                }
                (Event::ItemFinished(end), Tag::Inside(item))
                    if end.choice == 0 && end.item == item =>
                {
                    self.tag = Tag::Done;
                    let text = format!("\n{}", self.settings.tag);
                    let delta = Delta {
                        choice: 0,
                        item,
                        text,
                        tokens: Vec::new(),
                    };
                    out.push(Event::TextDelta(delta));
                }
                _ => {}
            }
            out.push(event);
        }
        Ok(out)
    }
}

atoll_sdk::export_filter!(Annotate);

#[cfg(test)]
mod tests;
