//! `POST /v1/responses`: the body, into a canonical request.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{
    Error, ErrorKind, GenerateRequest, JsonSchema, Message, OutputFormat, Overflow, Prompt,
    ReasoningMode, Role, State, Streaming,
};
use serde_json::{Map, Value};

use crate::input::Input;
use crate::shape::Extras;
use crate::tools::ToolSet;

/// Efforts the API knows.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Reads a body.
///
/// # Errors
/// Whatever is wrong, naming the field.
pub fn decode(body: &[u8]) -> Result<GenerateRequest, Error> {
    read(Fields::parse(body)?)
}

/// Reads the fields of a body.
///
/// # Errors
/// Whatever is wrong, naming the field.
pub fn read(mut body: Fields) -> Result<GenerateRequest, Error> {
    let model = body.require("model")?.string()?;
    let mut input = match body.take("input") {
        Some(field) => Input::read(&field)?,
        None => Input::default(),
    };
    let instructions = body.string("instructions")?;
    let previous = match body.take("previous_response_id") {
        Some(field) => Some(previous_id(&field)?),
        None => None,
    };
    if input.messages.is_empty() && previous.is_none() {
        return Err(Error::missing("input"));
    }
    let transient_messages = u32::from(instructions.is_some());
    if let Some(text) = instructions {
        input.messages.insert(0, Message::text(Role::System, text));
    }
    let tools = ToolSet::read(&body.array("tools")?.unwrap_or_default())?;
    let mut extras = Extras {
        skipped: tools.hosted(),
        ..Extras::default()
    };
    extras.skipped.extend(input.skipped);

    let mut request = GenerateRequest::new(model, Prompt::Conversation(input.messages));
    if let Some(choice) = body.take("tool_choice") {
        request.tool_choice = tools.choice(&choice)?;
    }
    request.tools = tools.tools;
    request.parallel_tool_calls = body.bool("parallel_tool_calls")?;
    request.max_tool_calls = body.u32("max_tool_calls")?;
    request.max_output_tokens = match body.take("max_output_tokens") {
        Some(field) => Some(
            field
                .u32()
                .ok()
                .filter(|tokens| *tokens > 0)
                .ok_or_else(|| field.wrong("an integer of at least 1"))?,
        ),
        None => None,
    };
    let sampling = &mut request.sampling;
    sampling.temperature = body.f64_in("temperature", 0.0..=2.0)?;
    sampling.top_p = body.f64_in("top_p", 0.0..=1.0)?;
    sampling.presence_penalty = body.f64_in("presence_penalty", -2.0..=2.0)?;
    sampling.frequency_penalty = body.f64_in("frequency_penalty", -2.0..=2.0)?;

    read_include(&mut body, &mut request, &mut extras)?;
    read_text(&mut body, &mut request, &mut extras)?;
    read_reasoning(&mut body, &mut request, &mut extras)?;
    request.overflow = match body.take("truncation") {
        None => Overflow::Refuse,
        Some(field) => match field.string()?.as_str() {
            "disabled" => Overflow::Refuse,
            "auto" => Overflow::TruncateOldest,
            _ => return Err(field.wrong("'auto' or 'disabled'")),
        },
    };
    request.state = State {
        // As in the original: kept unless told otherwise.
        store: body.bool("store")?.unwrap_or(true),
        previous_response_id: previous,
        conversation_id: match body.take("conversation") {
            None => None,
            Some(field) if field.kind() == Kind::String => Some(field.string()?),
            Some(field) => Some(field.object()?.require("id")?.string()?),
        },
        background: body.bool("background")?.unwrap_or(false),
        transient_messages,
    };
    if request.state.background && !request.state.store {
        return Err(Error::invalid(
            "background",
            "An answer in the background must be stored; leave out store, or set it to true.",
        ));
    }
    if let Some(field) = body.take("metadata") {
        let map: Map<String, Value> = field.read("an object of strings")?;
        for (key, value) in map {
            let Value::String(text) = value else {
                return Err(field.wrong("an object of strings"));
            };
            request.metadata.push((key, text));
        }
    }
    request.cache.key = body.string("prompt_cache_key")?;
    let safety = body.string("safety_identifier")?;
    request.end_user = safety.or(body.string("user")?);
    if let Some(field) = body.take("service_tier") {
        let tier = field.string()?;
        match tier.as_str() {
            "auto" | "default" => {}
            "flex" | "priority" | "scale" => extras.service_tier = Some(tier),
            _ => return Err(field.wrong("'auto', 'default', 'flex', 'scale' or 'priority'")),
        }
    }
    let stream = body.bool("stream")?.unwrap_or(false);
    request.streaming = Streaming {
        enabled: stream,
        include_usage: stream,
    };
    let _ = body.take("stream_options");
    request.unconsumed = body.rest()?;
    request.ext = Some(extras.to_ext());
    Ok(request)
}

/// The host's id of a response the client names.
///
/// # Errors
/// It is none of ours.
pub fn host_id(id: &str) -> Result<String, Error> {
    id.strip_prefix("resp_").map(str::to_owned).ok_or_else(|| {
        let message = format!("There is no response {id:?}; ids begin with 'resp_'.");
        Error::new(ErrorKind::NotFound, message).with_param("response_id")
    })
}

fn previous_id(field: &Field) -> Result<String, Error> {
    let id = field.string()?;
    host_id(&id).map_err(|_| {
        let message = format!("Previous response with id {id:?} not found.");
        Error::new(ErrorKind::PreviousResponseNotFound, message).with_param(field.path())
    })
}

fn read_include(
    body: &mut Fields,
    request: &mut GenerateRequest,
    extras: &mut Extras,
) -> Result<(), Error> {
    let include: Vec<String> = body
        .array("include")?
        .unwrap_or_default()
        .iter()
        .map(Field::string)
        .collect::<Result<_, _>>()?;
    let asks = |what: &str| include.iter().any(|wanted| wanted == what);
    let top = match body.take("top_logprobs") {
        Some(field) => field
            .u32()
            .ok()
            .filter(|n| *n <= 20)
            .ok_or_else(|| field.wrong("an integer from 0 to 20"))?,
        None => 0,
    };
    if top > 0 || asks("message.output_text.logprobs") {
        request.logprobs = Some(top);
    }
    extras.encrypted = asks("reasoning.encrypted_content");
    Ok(())
}

fn read_text(
    body: &mut Fields,
    request: &mut GenerateRequest,
    extras: &mut Extras,
) -> Result<(), Error> {
    let Some(mut text) = body.object("text")? else {
        return Ok(());
    };
    if let Some(field) = text.take("verbosity") {
        let verbosity = field.string()?;
        if !["low", "medium", "high"].contains(&verbosity.as_str()) {
            return Err(field.wrong("'low', 'medium' or 'high'"));
        }
        extras.verbosity = Some(verbosity);
    }
    let Some(field) = text.take("format") else {
        return Ok(());
    };
    let mut format = field.object()?;
    let kind = format.require("type")?;
    request.format = match kind.string()?.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::JsonObject,
        "json_schema" => {
            let schema = format.require("schema")?;
            schema.object()?;
            OutputFormat::JsonSchema(JsonSchema {
                name: Some(format.require("name")?.string()?),
                description: format.string("description")?,
                schema: schema.json().to_owned(),
                strict: format.bool("strict")?,
            })
        }
        _ => return Err(kind.wrong("'text', 'json_object' or 'json_schema'")),
    };
    Ok(())
}

fn read_reasoning(
    body: &mut Fields,
    request: &mut GenerateRequest,
    extras: &mut Extras,
) -> Result<(), Error> {
    let Some(mut reasoning) = body.object("reasoning")? else {
        return Ok(());
    };
    if let Some(field) = reasoning.take("summary") {
        let summary = field.string()?;
        if !["auto", "concise", "detailed"].contains(&summary.as_str()) {
            return Err(field.wrong("'auto', 'concise' or 'detailed'"));
        }
        extras.summary = Some(summary);
    }
    if let Some(field) = reasoning.take("effort") {
        let effort = field.string()?;
        if !EFFORTS.contains(&effort.as_str()) {
            return Err(field.wrong("'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or 'max'"));
        }
        request.reasoning.mode = if effort == "none" {
            ReasoningMode::Off
        } else {
            ReasoningMode::On
        };
        request.reasoning.effort = Some(effort);
    }
    Ok(())
}
