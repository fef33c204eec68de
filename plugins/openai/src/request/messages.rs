//! `messages` to a canonical conversation.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{
    Error, Message, Opaque, Part, PartContent, Reasoning, ResultContent, Role, ToolCall, ToolResult,
};

use crate::request::content;

/// The conversation, at least one message.
///
/// # Errors
/// A field is missing or wrong; the error names it by its path.
pub(crate) fn conversation(field: &Field) -> Result<Vec<Message>, Error> {
    let messages = field.array()?;
    if messages.is_empty() {
        return Err(field.wrong("at least one message"));
    }
    let mut names = CallNames::default();
    messages
        .iter()
        .map(|message| one(message.object()?, &mut names))
        .collect()
}

/// Calls seen so far, to join results with them: the API repeats a call's id in its result but not
/// its name, and the oldest spelling has only the name.
#[derive(Default)]
struct CallNames(Vec<(String, String)>);

impl CallNames {
    fn note(&mut self, call: &ToolCall) {
        self.0.push((call.call_id.clone(), call.name.clone()));
    }

    fn name_of(&self, call_id: &str) -> Option<String> {
        self.0
            .iter()
            .rev()
            .find(|(id, _)| id == call_id)
            .map(|(_, name)| name.clone())
    }

    fn last_id_of(&self, called: &str) -> Option<String> {
        self.0
            .iter()
            .rev()
            .find(|(_, name)| name == called)
            .map(|(id, _)| id.clone())
    }
}

fn one(mut message: Fields, calls: &mut CallNames) -> Result<Message, Error> {
    let role_field = message.require("role")?;
    let role_name = role_field.string()?;
    let role = match role_name.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => {
            return Err(role_field
                .wrong("one of 'system', 'developer', 'user', 'assistant', 'tool', 'function'"));
        }
    };
    let mut name = message.string("name")?;
    let parts = match role {
        Role::Tool if role_name == "function" => {
            let called = name
                .take()
                .ok_or_else(|| Error::missing(message.path_of("name")))?;
            let call_id = calls
                .last_id_of(&called)
                .unwrap_or_else(|| format!("call_{called}"));
            vec![result(&mut message, call_id, Some(called))?]
        }
        Role::Tool => {
            let call_id = message.require("tool_call_id")?.string()?;
            let called = name.take().or_else(|| calls.name_of(&call_id));
            vec![result(&mut message, call_id, called)?]
        }
        Role::Assistant => assistant(&mut message, calls)?,
        Role::System | Role::Developer | Role::User => {
            content::parts(&message.require("content")?)?
        }
    };
    Ok(Message {
        role,
        parts,
        name,
        id: None,
        ext: message.rest()?,
    })
}

/// An assistant message: what it thought, said, refused and called, in that order.
fn assistant(message: &mut Fields, calls: &mut CallNames) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    // Two names for one thing; servers that emit both send the same text.
    let reasoning = message.string("reasoning")?;
    if let Some(text) = message.string("reasoning_content")?.or(reasoning)
        && !text.is_empty()
    {
        let reasoning = Reasoning {
            text,
            summary: Vec::new(),
            signature: None,
            encrypted: None,
        };
        parts.push(Part::new(PartContent::Reasoning(reasoning)));
    }
    if let Some(field) = message.take("content") {
        // Clients echo an empty string beside tool calls; it says nothing.
        parts.extend(
            content::parts(&field)?
                .into_iter()
                .filter(|part| part.content != PartContent::Text(String::new())),
        );
    }
    if let Some(text) = message.string("refusal")? {
        parts.push(Part::new(PartContent::Refusal(text)));
    }
    if let Some(field) = message.take("audio") {
        let value = field.json().to_owned();
        let opaque = Opaque {
            kind: "audio".to_owned(),
            value,
        };
        parts.push(Part::new(PartContent::Other(opaque)));
    }
    let path = message.path().to_owned();
    for field in message.array("tool_calls")?.unwrap_or_default() {
        let call = tool_call(field.object()?)?;
        calls.note(&call);
        parts.push(Part::new(PartContent::ToolCall(call)));
    }
    if let Some(mut function) = message.object("function_call")? {
        // Without an id of its own, its place in the conversation is one.
        let call = ToolCall {
            call_id: format!("call_{path}"),
            name: function.require("name")?.string()?,
            namespace: None,
            arguments: arguments(&function.require("arguments")?)?,
            custom: false,
        };
        calls.note(&call);
        parts.push(Part::new(PartContent::ToolCall(call)));
    }
    if parts.is_empty() {
        parts.push(Part::text(""));
    }
    Ok(parts)
}

fn tool_call(mut call: Fields) -> Result<ToolCall, Error> {
    let call_id = call.require("id")?.string()?;
    let kind = call.take("type");
    let custom = match &kind {
        None => false,
        Some(field) => match field.string()?.as_str() {
            "function" => false,
            "custom" => true,
            _ => return Err(field.wrong("'function' or 'custom'")),
        },
    };
    let (object, text) = if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    let mut inner = call.require(object)?.object()?;
    Ok(ToolCall {
        call_id,
        name: inner.require("name")?.string()?,
        namespace: None,
        arguments: arguments(&inner.require(text)?)?,
        custom,
    })
}

/// Arguments are text; clients that send the object itself mean its text.
fn arguments(field: &Field) -> Result<String, Error> {
    match field.kind() {
        Kind::Object => Ok(field.json().to_owned()),
        _ => field.string(),
    }
}

fn result(message: &mut Fields, call_id: String, name: Option<String>) -> Result<Part, Error> {
    let field = message.require("content")?;
    let content = content::parts(&field)?
        .into_iter()
        .map(|part| match part.content {
            PartContent::Text(text) => Ok(ResultContent::Text(text)),
            PartContent::Image(media) => Ok(ResultContent::Image(media)),
            PartContent::Document(media) => Ok(ResultContent::Document(media)),
            _ => Err(field.wrong("a string, or parts of text, images or files")),
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let result = ToolResult {
        call_id,
        name,
        content,
        is_error: false,
    };
    Ok(Part::new(PartContent::ToolResult(result)))
}
