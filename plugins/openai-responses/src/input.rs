//! Input items, into canonical messages.

use atoll_plugin_openai_common::media::{audio, data_url};
use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{
    Error, ErrorKind, Media, MediaSource, Message, Opaque, Part, PartContent, Reasoning,
    ResultContent, Role, ToolCall, ToolResult,
};
use serde_json::json;

use crate::sealed;

/// Messages, and the kinds of items that could not be used.
#[derive(Debug, Default)]
pub struct Input {
    /// In order.
    pub messages: Vec<Message>,
    /// Kinds of items that were left out.
    pub skipped: Vec<String>,
    /// The tools of each `additional_tools` item. They hold for this request: one that goes on from its answer brings
    /// them again, as it does with `tools`.
    pub tools: Vec<Vec<Field>>,
}

impl Input {
    /// Reads `input`: a text or items.
    ///
    /// # Errors
    /// Names the item at fault.
    pub fn read(field: &Field) -> Result<Self, Error> {
        let mut input = Self::default();
        if field.kind() == Kind::String {
            input
                .messages
                .push(Message::text(Role::User, field.string()?));
            return Ok(input);
        }
        if field.kind() != Kind::Array {
            return Err(field.wrong("a string or an array of items"));
        }
        for item in field.array()? {
            input.item(&item)?;
        }
        Ok(input)
    }

    fn item(&mut self, field: &Field) -> Result<(), Error> {
        let mut item = field.object()?;
        let kind = item.string("type")?;
        match kind.as_deref() {
            Some("item_reference") => self.reference(&mut item)?,
            // The type may be left out of both.
            None if item.has("id") && !item.has("role") => self.reference(&mut item)?,
            None | Some("message") => self.message(&mut item)?,
            Some("function_call") => {
                let name = flat_name(&mut item)?;
                let arguments = item.string("arguments")?.unwrap_or_else(|| "{}".to_owned());
                self.call(&mut item, name, arguments, false)?;
            }
            Some("custom_tool_call") => {
                let name = flat_name(&mut item)?;
                let text = item.string("input")?.unwrap_or_default();
                self.call(&mut item, name, text, true)?;
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                let call_id = item.require("call_id")?.string()?;
                let output = item.require("output")?;
                let content = result(&output)?;
                let result = ToolResult {
                    call_id,
                    name: None,
                    content,
                    is_error: false,
                };
                let part = Part::new(PartContent::ToolResult(result)).at(output.path());
                self.messages.push(Message::new(Role::Tool, vec![part]));
            }
            Some("reasoning") => {
                let texts = |fields: Option<Vec<Field>>| -> Result<Vec<String>, Error> {
                    fields
                        .unwrap_or_default()
                        .iter()
                        .map(|part| part.object()?.require("text")?.string())
                        .collect()
                };
                let summary = texts(item.array("summary")?)?;
                let mut text = texts(item.array("content")?)?.concat();
                // What somebody else has sealed says nothing to us.
                let sealed = item.string("encrypted_content")?;
                if text.is_empty()
                    && let Some(opened) = sealed.and_then(|s| sealed::open(sealed::REASONING, &s))
                {
                    text = opened;
                }
                if text.is_empty() {
                    text = summary.join("\n\n");
                }
                if !text.is_empty() {
                    self.assistant(Part::new(PartContent::Reasoning(Reasoning {
                        text,
                        summary,
                        signature: None,
                        encrypted: None,
                    })));
                }
            }
            Some("compaction" | "compaction_summary") => {
                let field = item.require("encrypted_content")?;
                let summary = sealed::open(sealed::COMPACTION, &field.string()?)
                    .ok_or_else(|| field.wrong("a compaction that this host has made"))?;
                let text = format!("Summary of the conversation so far:\n\n{summary}");
                self.messages.push(Message::text(Role::System, text));
            }
            Some("additional_tools") => {
                self.tools.push(item.array("tools")?.unwrap_or_default());
            }
            // Calls of tools that only the original service runs, and what comes next.
            Some(kind) => self.skipped.push(kind.to_owned()),
        }
        Ok(())
    }

    /// An item of an answer that the host stores: the host puts it in this one's place. The items of our answers
    /// say where they belong: `msg_{response}_{index}`.
    fn reference(&mut self, item: &mut Fields) -> Result<(), Error> {
        let field = item.require("id")?;
        let id = field.string()?;
        let place = id.split_once('_').and_then(|(_, rest)| {
            let (response, index) = rest.rsplit_once('_')?;
            Some((response, index.parse::<u32>().ok()?))
        });
        let Some((response, index)) = place else {
            let message = format!("There is no item {id:?} here; send the item itself.");
            return Err(Error::new(ErrorKind::NotFound, message).with_param(field.path()));
        };
        let stored = PartContent::Other(Opaque {
            kind: "stored-item".to_owned(),
            value: json!({ "response": response, "item": index }).to_string(),
        });
        self.assistant(Part::new(stored).at(field.path()));
        Ok(())
    }

    fn call(
        &mut self,
        item: &mut Fields,
        name: String,
        arguments: String,
        custom: bool,
    ) -> Result<(), Error> {
        let call_id = item.require("call_id")?.string()?;
        self.assistant(Part::new(PartContent::ToolCall(ToolCall {
            call_id,
            name,
            namespace: None,
            arguments,
            custom,
        })));
        Ok(())
    }

    /// Adds to the assistant's turn: reasoning, text and calls of one turn are items of their own here.
    fn assistant(&mut self, part: Part) {
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.parts.push(part),
            _ => self
                .messages
                .push(Message::new(Role::Assistant, vec![part])),
        }
    }

    fn message(&mut self, item: &mut Fields) -> Result<(), Error> {
        let role_field = item.require("role")?;
        let role = match role_field.string()?.as_str() {
            "user" => Role::User,
            "system" => Role::System,
            "developer" => Role::Developer,
            "assistant" => Role::Assistant,
            _ => return Err(role_field.wrong("'user', 'system', 'developer' or 'assistant'")),
        };
        let content = item.require("content")?;
        let parts = match content.kind() {
            Kind::String => vec![Part::text(content.string()?)],
            Kind::Array => content
                .array()?
                .iter()
                .map(part)
                .collect::<Result<_, _>>()?,
            _ => return Err(content.wrong("a string or an array of parts")),
        };
        if role == Role::Assistant {
            for part in parts {
                self.assistant(part);
            }
        } else {
            self.messages.push(Message::new(role, parts));
        }
        Ok(())
    }
}

/// The name under which the model knows the tool of a call.
fn flat_name(item: &mut Fields) -> Result<String, Error> {
    let namespace = item.string("namespace")?;
    let name = item.require("name")?.string()?;
    Ok(namespace.map_or(name.clone(), |space| format!("{space}__{name}")))
}

fn part(field: &Field) -> Result<Part, Error> {
    let mut part = field.object()?;
    let kind = part.require("type")?;
    let breakpoint = match part.object("prompt_cache_breakpoint")? {
        None => None,
        Some(mut breakpoint) => Some(
            breakpoint
                .string("ttl")?
                .unwrap_or_else(|| "30m".to_owned()),
        ),
    };
    let content = match kind.string()?.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" => {
            PartContent::Text(part.require("text")?.string()?)
        }
        "refusal" => PartContent::Refusal(part.require("refusal")?.string()?),
        "input_image" => PartContent::Image(image(&mut part)?),
        "input_file" => PartContent::Document(file(&mut part)?),
        "input_audio" => PartContent::Audio(audio(part.require("input_audio")?.object()?)?),
        _ => {
            let known = "one of 'input_text', 'input_image', 'input_file', 'input_audio', 'output_text', 'refusal'";
            return Err(kind.wrong(known));
        }
    };
    let plain = matches!(content, PartContent::Text(_) | PartContent::Refusal(_));
    let part = Part {
        cache_ttl: breakpoint,
        ..Part::new(content)
    };
    // Of text there is nothing that the host could say.
    Ok(if plain { part } else { part.at(field.path()) })
}

fn result(field: &Field) -> Result<Vec<ResultContent>, Error> {
    if field.kind() == Kind::String {
        return Ok(vec![ResultContent::Text(field.string()?)]);
    }
    if field.kind() != Kind::Array {
        return Err(field.wrong("a string or an array of parts"));
    }
    field
        .array()?
        .iter()
        .map(|item| {
            Ok(match part(item)?.content {
                PartContent::Text(text) | PartContent::Refusal(text) => ResultContent::Text(text),
                PartContent::Image(media) => ResultContent::Image(media),
                PartContent::Document(media) => ResultContent::Document(media),
                _ => ResultContent::Other(Opaque {
                    kind: "part".to_owned(),
                    value: item.json().to_owned(),
                }),
            })
        })
        .collect()
}

fn image(part: &mut Fields) -> Result<Media, Error> {
    let detail = part.string("detail")?;
    let (source, media_type) = match (part.take("image_url"), part.string("file_id")?) {
        (Some(url), _) => url_source(&url)?,
        (None, Some(id)) => (MediaSource::FileId(id), String::new()),
        (None, None) => return Err(Error::missing(part.path_of("image_url"))),
    };
    Ok(Media {
        source,
        media_type,
        detail,
    })
}

fn file(part: &mut Fields) -> Result<Media, Error> {
    let detail = part.string("filename")?;
    let (source, media_type) = match (
        part.take("file_data"),
        part.take("file_url"),
        part.string("file_id")?,
    ) {
        (Some(data), _, _) => url_source(&data)?,
        (None, Some(url), _) => url_source(&url)?,
        (None, None, Some(id)) => (MediaSource::FileId(id), String::new()),
        (None, None, None) => return Err(Error::missing(part.path_of("file_data"))),
    };
    Ok(Media {
        source,
        media_type,
        detail,
    })
}

/// A `data:` URL as its bytes, anything else as an address.
fn url_source(field: &Field) -> Result<(MediaSource, String), Error> {
    let url = field.string()?;
    if !url.starts_with("data:") {
        return Ok((MediaSource::Url(url), String::new()));
    }
    let (bytes, media_type) = data_url(field, &url)?;
    Ok((MediaSource::Bytes(bytes), media_type))
}
