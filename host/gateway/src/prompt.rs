//! A canonical conversation as the messages a chat template renders.
//!
//! Templates come with the models and expect what the Hugging Face library passes them: a list of
//! objects with `role` and `content`, assistant messages with `tool_calls` and
//! `reasoning_content`, tool results as messages of role `tool`. Canonical messages are richer
//! (results and text may share a message), so one may become several. What no template of ours can
//! render (pictures, sound, documents) is refused by name instead of being dropped.

use atoll_plugin_runtime::types::{
    Error, Message, Part, PartContent, ResultContent, Role, ToolCall, ToolResult,
};
use serde_json::{Map, Value, json};

use crate::failure;

/// Messages for the template, and whether the last one is an answer to be continued.
#[derive(Debug, PartialEq)]
pub(crate) struct Rendered {
    /// In order, ready for the template.
    pub messages: Vec<Value>,
    /// The conversation ends with the assistant's own words: go on from there.
    pub continues: bool,
}

/// Converts a conversation.
///
/// # Errors
/// `unsupported` for content this host cannot feed to a model, `invalid-argument` for an empty
/// conversation; both name the message.
pub(crate) fn messages(conversation: &[Message]) -> Result<Rendered, Error> {
    if conversation.is_empty() {
        return Err(failure::invalid(
            "messages",
            "the conversation has no messages",
        ));
    }
    let mut messages = Vec::with_capacity(conversation.len());
    for (index, message) in conversation.iter().enumerate() {
        convert(index, message, &mut messages)?;
    }
    let continues = conversation.last().is_some_and(is_open_answer);
    Ok(Rendered {
        messages,
        continues,
    })
}

/// An assistant message without tool calls at the end is the start of the answer.
fn is_open_answer(message: &Message) -> bool {
    message.role == Role::Assistant
        && !message
            .parts
            .iter()
            .any(|part| matches!(part.content, PartContent::ToolCall(_)))
}

fn convert(index: usize, message: &Message, out: &mut Vec<Value>) -> Result<(), Error> {
    let mut text = Vec::new();
    let mut reasoning = Vec::new();
    let mut calls = Vec::new();
    let mut results = 0usize;
    for (position, part) in message.parts.iter().enumerate() {
        let here =
            || place(part).unwrap_or_else(|| format!("messages[{index}].content[{position}]"));
        match &part.content {
            PartContent::Text(value) | PartContent::Refusal(value) => text.push(value.as_str()),
            PartContent::Reasoning(value) => {
                if value.text.is_empty() && value.encrypted.is_some() {
                    return Err(failure::unsupported(
                        here(),
                        "this host cannot read encrypted reasoning; leave it out",
                    ));
                }
                reasoning.push(value.text.as_str());
            }
            PartContent::ToolCall(call) => calls.push(tool_call(call)),
            PartContent::ToolResult(result) => {
                // A result answers a call, so it stands before whatever else the message says.
                out.push(tool_result(result, &here())?);
                results += 1;
            }
            PartContent::Image(_) => return Err(media(here(), "images")),
            PartContent::Audio(_) => return Err(media(here(), "audio")),
            PartContent::Document(_) => return Err(media(here(), "documents")),
            PartContent::Other(opaque) => {
                return Err(failure::unsupported(
                    here(),
                    format!("this host does not know content of type {:?}", opaque.kind),
                ));
            }
        }
    }
    if results > 0 && text.is_empty() && calls.is_empty() && reasoning.is_empty() {
        return Ok(());
    }
    let mut object = Map::new();
    object.insert("role".to_owned(), json!(role(message.role)));
    // Always a string: templates of several families index or slice it without looking.
    object.insert("content".to_owned(), json!(text.join("\n")));
    if let Some(name) = &message.name {
        object.insert("name".to_owned(), json!(name));
    }
    if !reasoning.is_empty() {
        object.insert("reasoning_content".to_owned(), json!(reasoning.join("\n")));
    }
    if !calls.is_empty() {
        object.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    out.push(Value::Object(object));
    Ok(())
}

/// Longest place that is named in an error.
const MOST_PATH_BYTES: usize = 128;

/// Where the client has the part, if its dialect said so.
pub(crate) fn place(part: &Part) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Place {
        path: String,
    }
    let place: Place = serde_json::from_str(part.ext.as_deref()?).ok()?;
    // A dialect that hands over what it does not know may hand over anything under this name.
    let of_a_path = |char: char| char.is_ascii_alphanumeric() || "._-[]".contains(char);
    (place.path.len() <= MOST_PATH_BYTES && place.path.chars().all(of_a_path)).then_some(place.path)
}

/// `developer` is what one API calls a system message; no template of an open model knows it.
fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn tool_call(call: &ToolCall) -> Value {
    // The arguments stay text; the template's own environment parses them where a template wants
    // an object. Free text was told to the model as an object with one string.
    let arguments = if call.custom {
        json!({ "input": call.arguments }).to_string()
    } else {
        call.arguments.clone()
    };
    json!({
        "id": call.call_id,
        "type": "function",
        "function": { "name": call.name, "arguments": arguments },
    })
}

fn tool_result(result: &ToolResult, param: &str) -> Result<Value, Error> {
    let mut text = Vec::new();
    for content in &result.content {
        match content {
            ResultContent::Text(value) => text.push(value.as_str()),
            ResultContent::Image(_) => return Err(media(param, "images")),
            ResultContent::Document(_) => return Err(media(param, "documents")),
            ResultContent::Other(opaque) => {
                return Err(failure::unsupported(
                    param,
                    format!(
                        "this host does not know tool results of type {:?}",
                        opaque.kind
                    ),
                ));
            }
        }
    }
    let mut object = Map::new();
    object.insert("role".to_owned(), json!("tool"));
    object.insert("content".to_owned(), json!(text.join("\n")));
    object.insert("tool_call_id".to_owned(), json!(result.call_id));
    if let Some(name) = &result.name {
        object.insert("name".to_owned(), json!(name));
    }
    Ok(Value::Object(object))
}

fn media(param: impl Into<String>, what: &str) -> Error {
    failure::unsupported(
        param,
        format!("this host cannot give {what} to a model yet; send text"),
    )
}

#[cfg(test)]
mod tests {
    use atoll_plugin_runtime::types::{ErrorKind, Media, MediaSource, Opaque, Reasoning};

    use super::*;

    fn part(content: PartContent) -> Part {
        Part {
            content,
            cache_ttl: None,
            ext: None,
        }
    }

    fn message(role: Role, contents: Vec<PartContent>) -> Message {
        let parts = contents.into_iter().map(part).collect();
        Message {
            role,
            parts,
            name: None,
            id: None,
            ext: None,
        }
    }

    fn text(value: &str) -> PartContent {
        PartContent::Text(value.to_owned())
    }

    fn call(id: &str) -> PartContent {
        PartContent::ToolCall(ToolCall {
            call_id: id.to_owned(),
            name: "weather".to_owned(),
            namespace: None,
            arguments: "{\"city\": \"Tunis\"}".to_owned(),
            custom: false,
        })
    }

    fn result(id: &str) -> PartContent {
        PartContent::ToolResult(ToolResult {
            call_id: id.to_owned(),
            name: None,
            content: vec![ResultContent::Text("21 °C".to_owned())],
            is_error: false,
        })
    }

    #[test]
    fn plain_turns_become_role_and_content() {
        let rendered = messages(&[
            message(Role::Developer, vec![text("Be short.")]),
            message(Role::User, vec![text("Hello"), text("there")]),
        ])
        .unwrap();
        assert_eq!(
            Value::Array(rendered.messages),
            json!([
                { "role": "system", "content": "Be short." },
                { "role": "user", "content": "Hello\nthere" },
            ])
        );
        assert!(!rendered.continues);
    }

    #[test]
    fn tool_turns_keep_ids_and_argument_text() {
        let thought = Reasoning {
            text: "Ask the tool.".to_owned(),
            summary: vec![],
            signature: None,
            encrypted: None,
        };
        let rendered = messages(&[
            message(
                Role::Assistant,
                vec![PartContent::Reasoning(thought), call("c1"), call("c2")],
            ),
            message(
                Role::User,
                vec![result("c1"), result("c2"), text("And now?")],
            ),
        ])
        .unwrap();
        assert_eq!(rendered.messages.len(), 4);
        assert_eq!(rendered.messages[0]["reasoning_content"], "Ask the tool.");
        assert_eq!(
            rendered.messages[0]["tool_calls"][1]["function"]["arguments"],
            "{\"city\": \"Tunis\"}"
        );
        assert_eq!(rendered.messages[1]["role"], "tool");
        assert_eq!(rendered.messages[2]["tool_call_id"], "c2");
        assert_eq!(
            rendered.messages[3],
            json!({ "role": "user", "content": "And now?" })
        );
    }

    #[test]
    fn a_final_answer_is_continued_but_a_tool_call_is_not() {
        let open = [
            message(Role::User, vec![text("Hi")]),
            message(Role::Assistant, vec![text("Oh")]),
        ];
        assert!(messages(&open).unwrap().continues);
        assert!(
            !messages(&[message(Role::Assistant, vec![call("c")])])
                .unwrap()
                .continues
        );
    }

    #[test]
    fn what_cannot_be_rendered_is_refused_by_place() {
        let picture = Media {
            source: MediaSource::Url("https://example.com/a.png".to_owned()),
            media_type: String::new(),
            detail: None,
        };
        let strange = Opaque {
            kind: "hologram".to_owned(),
            value: "{}".to_owned(),
        };
        for content in [
            PartContent::Image(picture.clone()),
            PartContent::Audio(picture.clone()),
            PartContent::Document(picture),
            PartContent::Other(strange),
        ] {
            let error =
                messages(&[message(Role::User, vec![text("see"), content.clone()])]).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("messages[0].content[1]"));
            let mut told = message(Role::User, vec![text("look"), content]);
            told.parts[1].ext = Some(r#"{"path": "input[3].content[1]"}"#.to_owned());
            let error = messages(&[told]).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("input[3].content[1]"));
            assert!(matches!(error.kind, ErrorKind::Unsupported), "{error:?}");
        }
        assert_eq!(
            messages(&[]).unwrap_err().param.as_deref(),
            Some("messages")
        );
    }
}
