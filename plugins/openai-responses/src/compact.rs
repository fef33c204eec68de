//! `POST /v1/responses/compact`: a conversation into its summary.
//!
//! The model is asked for the summary like for any answer; the client gets it sealed, beside its own user
//! messages, and sends both back in place of the conversation.

use atoll_sdk::types::{
    Error, Event, GenerateRequest, Message, PartContent, Prompt, ReasoningMode, Role, ToolChoice,
    Usage,
};
use serde_json::{Value, json};

use crate::answer::usage_object;
use crate::sealed;

/// What the model is asked.
const REQUEST: &str = "Summarise our conversation so far, so that somebody who reads only the summary can go on \
    with the work: the task, what was decided, what was done and found, names and values that are still needed, \
    and what comes next. Answer with the summary only.";

/// The canonical request for a summary.
///
/// # Errors
/// There is nothing to summarise.
pub fn request(mut request: GenerateRequest) -> Result<(GenerateRequest, Compaction), Error> {
    let Prompt::Conversation(messages) = &mut request.prompt else {
        return Err(Error::missing("input"));
    };
    let kept = messages.iter().filter(|message| message.role == Role::User);
    let kept = kept.map(user_message).collect();
    messages.push(Message::text(Role::User, REQUEST));
    request.state.store = false;
    request.state.background = false;
    request.streaming.enabled = false;
    // The summary is about the tools' results, not one more use of them.
    request.tool_choice = ToolChoice::None;
    request.reasoning.mode = ReasoningMode::Off;
    let compaction = Compaction {
        kept,
        ..Compaction::default()
    };
    Ok((request, compaction))
}

/// The summary while it is written.
#[derive(Debug, Default)]
pub struct Compaction {
    /// The client's own messages, which go on.
    kept: Vec<Value>,
    id: String,
    created_at: u64,
    summary: String,
}

impl Compaction {
    /// Takes an event; the whole answer with the last.
    #[must_use]
    pub fn event(&mut self, event: Event) -> Option<Value> {
        match event {
            Event::Started(started) => {
                self.id = started.response_id;
                self.created_at = started.created_at;
            }
            Event::TextDelta(delta) => self.summary.push_str(&delta.text),
            Event::Finished(finished) => return Some(self.whole(finished.usage)),
            _ => {}
        }
        None
    }

    fn whole(&mut self, usage: Usage) -> Value {
        let mut output = std::mem::take(&mut self.kept);
        for (at, item) in output.iter_mut().enumerate() {
            item["id"] = json!(format!("msg_{}_kept{at}", self.id));
        }
        output.push(json!({
            "id": format!("cmp_{}", self.id),
            "type": "compaction",
            "encrypted_content": sealed::seal(sealed::COMPACTION, self.summary.trim()),
        }));
        json!({
            "id": format!("resp_{}", self.id),
            "object": "response.compaction",
            "created_at": self.created_at,
            "output": output,
            "usage": usage_object(usage),
        })
    }
}

fn user_message(message: &Message) -> Value {
    let texts = message.parts.iter().filter_map(|part| match &part.content {
        PartContent::Text(text) => Some(json!({ "type": "input_text", "text": text })),
        _ => None,
    });
    json!({
        "type": "message", "role": "user", "status": "completed", "content": texts.collect::<Vec<_>>(),
    })
}
