//! Content blocks of messages, into canonical parts.

use std::collections::BTreeSet;

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{
    Error, Media, MediaSource, Message, Opaque, Part, PartContent, Reasoning, ResultContent, Role,
    ToolCall, ToolResult,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Signing;
use crate::seal::Returned;

/// A volatile line that agents put first into their system prompt. It changes with every session and
/// would defeat the prefix cache, and it says nothing to a model.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";

/// The system prompt: a string or text blocks.
///
/// # Errors
/// Anything else.
pub fn system(field: &Field) -> Result<Vec<Part>, Error> {
    if field.kind() == Kind::String {
        let text = field.string()?;
        let text = without_billing_header(&text);
        return Ok(Some(text)
            .filter(|text| !text.is_empty())
            .map(Part::text)
            .into_iter()
            .collect());
    }
    if field.kind() != Kind::Array {
        return Err(field.wrong("a string or an array of text blocks"));
    }
    let mut parts = Vec::new();
    for block in field.array()? {
        let mut block = block.object()?;
        let kind = block.require("type")?;
        if kind.string()? != "text" {
            return Err(kind.wrong("'text'"));
        }
        let text = block.require("text")?.string()?;
        let text = without_billing_header(&text);
        if text.is_empty() {
            continue;
        }
        let cache_ttl = cache_ttl(&mut block)?;
        parts.push(Part {
            cache_ttl,
            ..Part::text(text)
        });
    }
    Ok(parts)
}

/// The text after the billing header, if it begins with one.
fn without_billing_header(text: &str) -> &str {
    if !text.starts_with(BILLING_HEADER) {
        return text;
    }
    text.split_once('\n')
        .map_or("", |(_, rest)| rest.trim_start_matches(['\r', '\n']))
}

/// What a conversation came to.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub messages: Vec<Message>,
    /// What could not be honoured, by the names that are reported: thinking that this host did not sign, citations.
    pub ignored: BTreeSet<&'static str>,
}

/// The messages, in canonical roles: tool results become messages of the tool, and neighbours of one
/// role become one message. Thinking must be as this host signed it; what others signed is left out.
///
/// # Errors
/// Names the block at fault.
pub(crate) fn messages(field: &Field, signing: &mut Signing) -> Result<Conversation, Error> {
    let mut ignored = BTreeSet::new();
    let mut messages: Vec<Message> = Vec::new();
    for item in field.array()? {
        let mut message = item.object()?;
        let role_field = message.require("role")?;
        let role = match role_field.string()?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(role_field.wrong("'user', 'assistant' or 'system'")),
        };
        let content = message.require("content")?;
        let parts = match content.kind() {
            Kind::String => vec![Part::text(content.string()?)],
            Kind::Array => content
                .array()?
                .iter()
                .map(|field| block(field, &mut ignored))
                .collect::<Result<_, _>>()?,
            _ => return Err(content.wrong("a string or an array of content blocks")),
        };
        for (position, mut part) in parts.into_iter().enumerate() {
            if let PartContent::Reasoning(reasoning) = &mut part.content {
                match known(reasoning, signing)? {
                    Returned::Ours(text) => reasoning.text = text,
                    Returned::Unknown => {
                        ignored.insert("messages.thinking");
                        continue;
                    }
                    Returned::Changed => {
                        let path = format!("{}.content[{position}]", item.path());
                        let message = "Invalid `signature` in `thinking` block";
                        return Err(Error::invalid(path, message));
                    }
                }
            }
            if role == Role::System
                && let PartContent::Text(text) = &mut part.content
            {
                let kept = without_billing_header(text);
                if kept.len() < text.len() {
                    *text = kept.to_owned();
                }
                if text.is_empty() {
                    continue;
                }
            }
            let role = match part.content {
                PartContent::ToolResult(_) => Role::Tool,
                _ => role,
            };
            match messages.last_mut() {
                // Each result is a message of its own, as templates want them.
                Some(last) if last.role == role && role != Role::Tool => last.parts.push(part),
                _ => messages.push(Message::new(role, vec![part])),
            }
        }
    }
    if messages.is_empty() {
        let message = if !ignored.is_empty() || !field.array()?.is_empty() {
            "at least one message must have content that is not empty"
        } else {
            "at least one message is required"
        };
        return Err(Error::invalid(field.path(), message));
    }
    if let Some(Message {
        role: Role::Assistant,
        parts,
        ..
    }) = messages.last()
        && let Some(PartContent::Text(text)) = parts.last().map(|part| &part.content)
        && text.ends_with(char::is_whitespace)
    {
        return Err(Error::invalid(
            field.path(),
            "final assistant content cannot end with trailing whitespace",
        ));
    }
    Ok(Conversation { messages, ignored })
}

/// What thinking that came back is worth.
fn known(reasoning: &Reasoning, signing: &mut Signing) -> Result<Returned, Error> {
    match &reasoning.signature {
        Some(signature) => Ok(signing.key()?.judge(&reasoning.text, signature)),
        // Redacted, or never signed.
        None => Ok(Returned::Unknown),
    }
}

fn block(field: &Field, ignored: &mut BTreeSet<&'static str>) -> Result<Part, Error> {
    let mut block = field.object()?;
    let kind = block.require("type")?.string()?;
    // Those of a text are of an answer from elsewhere, and say nothing to a model.
    let may_be_cited = matches!(kind.as_str(), "document" | "search_result");
    let content = match kind.as_str() {
        "text" => PartContent::Text(block.require("text")?.string()?),
        "image" => PartContent::Image(media(&mut block)?),
        "document" => match text_of_document(&mut block)? {
            Some(text) => PartContent::Text(text),
            None => PartContent::Document(media(&mut block)?),
        },
        "search_result" => PartContent::Text(text_of_search_result(&mut block)?),
        "thinking" => PartContent::Reasoning(Reasoning {
            text: block.require("thinking")?.string()?,
            summary: vec![],
            signature: block.string("signature")?,
            encrypted: None,
        }),
        "redacted_thinking" => PartContent::Reasoning(Reasoning {
            text: String::new(),
            summary: vec![],
            signature: None,
            encrypted: Some(block.require("data")?.string()?),
        }),
        "tool_use" => PartContent::ToolCall(ToolCall {
            call_id: block.require("id")?.string()?,
            name: block.require("name")?.string()?,
            namespace: None,
            arguments: block
                .object_json("input")?
                .unwrap_or_else(|| "{}".to_owned()),
            custom: false,
        }),
        "tool_result" => PartContent::ToolResult(ToolResult {
            call_id: block.require("tool_use_id")?.string()?,
            name: None,
            content: block
                .take("content")
                .map_or_else(|| Ok(vec![]), |f| result_content(&f))?,
            is_error: block.bool("is_error")?.unwrap_or(false),
        }),
        // Results of tools that only the original service runs, and what comes next.
        _ => PartContent::Other(Opaque {
            kind,
            value: field.json().to_owned(),
        }),
    };
    // An answer that says where in a document it has something from is not to be had here.
    if may_be_cited
        && let Some(mut citations) = block.object("citations")?
        && citations.bool("enabled")? == Some(true)
    {
        ignored.insert("messages.citations");
    }
    let plain = matches!(content, PartContent::Text(_));
    let part = Part {
        cache_ttl: cache_ttl(&mut block)?,
        ..Part::new(content)
    };
    // Of text there is nothing that the host could say.
    Ok(if plain { part } else { part.at(field.path()) })
}

/// A document that is text already, as the model gets it: with its title and what the client says of it. None for the
/// others, which need a model that reads them.
fn text_of_document(block: &mut Fields) -> Result<Option<String>, Error> {
    let Some(source_field) = block.take("source") else {
        return Ok(None);
    };
    let mut source = source_field.object()?;
    let kind = source.take("type");
    let body = match kind.as_ref().map(Field::string).transpose()?.as_deref() {
        Some("text") => source.require("data")?.string()?,
        Some("content") => texts(&source.require("content")?)?,
        _ => {
            block.put("source", source_field);
            return Ok(None);
        }
    };
    let mut lines = Vec::new();
    for name in ["title", "context"] {
        lines.extend(block.string(name)?);
    }
    lines.push(body);
    Ok(Some(format!(
        "<document>\n{}\n</document>",
        lines.join("\n")
    )))
}

/// What a client found by itself, as the model gets it.
fn text_of_search_result(block: &mut Fields) -> Result<String, Error> {
    let source = block.require("source")?.string()?;
    let title = block.require("title")?.string()?;
    let found = texts(&block.require("content")?)?;
    Ok(format!(
        "<search_result>\n{title}\n{source}\n{found}\n</search_result>"
    ))
}

/// A text, or blocks of text.
fn texts(field: &Field) -> Result<String, Error> {
    if field.kind() == Kind::String {
        return field.string();
    }
    if field.kind() != Kind::Array {
        return Err(field.wrong("a string or an array of text blocks"));
    }
    let mut texts = Vec::new();
    for block in field.array()? {
        let mut block = block.object()?;
        let kind = block.require("type")?;
        if kind.string()? != "text" {
            return Err(Error::unsupported(
                kind.path(),
                "this host reads only text here; send the text of it",
            ));
        }
        texts.push(block.require("text")?.string()?);
    }
    Ok(texts.join("\n"))
}

fn result_content(field: &Field) -> Result<Vec<ResultContent>, Error> {
    if field.kind() == Kind::String {
        return Ok(vec![ResultContent::Text(field.string()?)]);
    }
    if field.kind() != Kind::Array {
        return Err(field.wrong("a string or an array of content blocks"));
    }
    field
        .array()?
        .iter()
        .map(|item| {
            let mut block = item.object()?;
            let kind = block.require("type")?.string()?;
            Ok(match kind.as_str() {
                "text" => ResultContent::Text(block.require("text")?.string()?),
                "image" => ResultContent::Image(media(&mut block)?),
                "document" => match text_of_document(&mut block)? {
                    Some(text) => ResultContent::Text(text),
                    None => ResultContent::Document(media(&mut block)?),
                },
                "search_result" => ResultContent::Text(text_of_search_result(&mut block)?),
                _ => ResultContent::Other(Opaque {
                    kind,
                    value: item.json().to_owned(),
                }),
            })
        })
        .collect()
}

fn media(block: &mut Fields) -> Result<Media, Error> {
    let detail = block.string("title")?;
    let source_field = block.require("source")?;
    let mut source = source_field.object()?;
    let kind = source.require("type")?;
    let media_type = source.string("media_type")?.unwrap_or_default();
    let source = match kind.string()?.as_str() {
        "base64" => {
            let data = source.require("data")?;
            let bytes = STANDARD
                .decode(data.string()?)
                .map_err(|_| data.wrong("base64"))?;
            MediaSource::Bytes(bytes)
        }
        "url" => MediaSource::Url(source.require("url")?.string()?),
        "file" => MediaSource::FileId(source.require("file_id")?.string()?),
        _ => return Err(kind.wrong("'base64', 'url' or 'file'")),
    };
    Ok(Media {
        source,
        media_type,
        detail,
    })
}

/// A cache boundary's time to live.
pub(crate) fn cache_ttl(block: &mut Fields) -> Result<Option<String>, Error> {
    let Some(mut control) = block.object("cache_control")? else {
        return Ok(None);
    };
    if let Some(kind) = control.take("type")
        && kind.string()? != "ephemeral"
    {
        return Err(kind.wrong("'ephemeral'"));
    }
    let Some(ttl) = control.take("ttl") else {
        return Ok(Some("5m".to_owned()));
    };
    match ttl.string()?.as_str() {
        known @ ("5m" | "1h") => Ok(Some(known.to_owned())),
        _ => Err(ttl.wrong("'5m' or '1h'")),
    }
}
