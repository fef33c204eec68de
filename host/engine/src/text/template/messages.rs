//! Conversations as templates want them: checked, flattened, and folded where a template cannot
//! hold a system message.

use minijinja::Value as JinjaValue;
use serde_json::{Map, Value};

use super::super::TextError;

/// A message as a JSON object.
pub(super) type Message = Map<String, Value>;

/// Checks and evens out the messages:
/// - the role `developer`, OpenAI's newer name, becomes `system`, which is what templates know;
/// - content given as text parts becomes one string, parts joined by a line break;
/// - missing or null content becomes the empty string;
/// - a tool call's arguments given as JSON text become the object, which templates write with
///   `tojson` (text that is no JSON object stays text).
pub(super) fn normalise(messages: &[Value]) -> Result<Vec<Message>, TextError> {
    let refuse = |index: usize, reason: &str| TextError::Conversation {
        parameter: format!("messages[{index}]"),
        reason: reason.to_owned(),
    };
    let check = |(index, message): (usize, &Value)| {
        let mut message = message
            .as_object()
            .cloned()
            .ok_or_else(|| refuse(index, "must be an object with a role"))?;
        match message.get_mut("role") {
            Some(Value::String(role)) if role == "developer" => *role = "system".to_owned(),
            Some(Value::String(_)) => {}
            _ => return Err(refuse(index, "has no role")),
        }
        let content = message.remove("content").unwrap_or(Value::Null);
        message.insert("content".to_owned(), flatten(content));
        for call in message
            .get_mut("tool_calls")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            parse_arguments(call);
        }
        Ok(message)
    };
    messages.iter().enumerate().map(check).collect()
}

fn flatten(content: Value) -> Value {
    match content {
        Value::Null => Value::from(""),
        Value::Array(parts) => {
            let text = |part: &Value| {
                let is_text = part.get("type").and_then(Value::as_str) == Some("text");
                part.get("text")
                    .and_then(Value::as_str)
                    .filter(|_| is_text)
                    .map(str::to_owned)
            };
            match parts.iter().map(text).collect::<Option<Vec<_>>>() {
                Some(texts) => Value::from(texts.join("\n")),
                None => Value::Array(parts),
            }
        }
        other => other,
    }
}

fn parse_arguments(call: &mut Value) {
    let arguments = match call.pointer_mut("/function/arguments") {
        Some(arguments) => arguments,
        None => match call.get_mut("arguments") {
            Some(arguments) => arguments,
            None => return,
        },
    };
    if let Value::String(text) = arguments
        && let Ok(object @ Value::Object(_)) = serde_json::from_str(text)
    {
        *arguments = object;
    }
}

/// Folds system messages into the user message that follows them (or, at the end, turns them into
/// one). With `keep_first`, one at the very beginning stays.
///
/// The alternative, moving them all to the front, would tell the model something before it was
/// said, and change the beginning of the prompt that the prefix cache holds.
pub(super) fn fold_system(messages: Vec<Message>, keep_first: bool) -> Vec<Message> {
    let mut folded = Vec::with_capacity(messages.len());
    let mut waiting: Vec<String> = Vec::new();
    for (index, mut message) in messages.into_iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or("");
        let content = message.get("content").and_then(Value::as_str);
        match (role, content) {
            ("system", Some(text)) if !(keep_first && index == 0) => waiting.push(text.to_owned()),
            ("user", Some(text)) if !waiting.is_empty() => {
                waiting.push(text.to_owned());
                message.insert("content".to_owned(), Value::from(waiting.join("\n\n")));
                waiting.clear();
                folded.push(message);
            }
            _ => folded.push(message),
        }
    }
    if !waiting.is_empty() {
        let mut message = Message::new();
        message.insert("role".to_owned(), Value::from("user"));
        message.insert("content".to_owned(), Value::from(waiting.join("\n\n")));
        folded.push(message);
    }
    folded
}

/// Cuts a rendered conversation right after the content of its last message, so that the model
/// continues it: what the template wrote after it (an end-of-turn token) goes.
pub(super) fn cut_after_last_message(
    mut rendered: String,
    last: &Message,
) -> Result<String, TextError> {
    let refuse = |reason: &str| TextError::Conversation {
        parameter: "continue_final_message".to_owned(),
        reason: reason.to_owned(),
    };
    let content = last.get("content").and_then(Value::as_str).unwrap_or("");
    let trimmed = content.trim();
    if trimmed.is_empty() {
        return Err(refuse("the last message has no text to continue"));
    }
    let start = rendered
        .rfind(trimmed)
        .ok_or_else(|| refuse("the chat template changes the last message's text"))?;
    // Templates that trim have dropped the space at the end; those that do not have kept it.
    let with_end = content.trim_start();
    let kept = rendered
        .get(start..)
        .is_some_and(|rest| rest.starts_with(with_end));
    rendered.truncate(start + if kept { with_end.len() } else { trimmed.len() });
    Ok(rendered)
}

/// JSON as the template engine sees it, object keys in their order.
pub(super) fn to_jinja(value: &Value) -> JinjaValue {
    match value {
        Value::Null => JinjaValue::from(()),
        Value::Bool(flag) => JinjaValue::from(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => JinjaValue::from(integer),
            (None, Some(integer)) => JinjaValue::from(integer),
            (None, None) => JinjaValue::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => JinjaValue::from(text.as_str()),
        Value::Array(items) => items.iter().map(to_jinja).collect(),
        Value::Object(object) => object_to_jinja(object),
    }
}

pub(super) fn object_to_jinja(object: &Map<String, Value>) -> JinjaValue {
    JinjaValue::from_pairs(
        object
            .iter()
            .map(|(key, value)| (key.as_str(), to_jinja(value))),
    )
}
