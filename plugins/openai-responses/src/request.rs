//! `POST /v1/responses`: the body, into a canonical request.
//!
//! Every field of the API has one of three fates. It is honoured; or it is refused, when an answer without it
//! would be another answer than the one asked for (a conversation kept elsewhere, a stored prompt, moderation);
//! or it stays in `unconsumed`, which the host names in a header, when it is a hint that only the original
//! service can follow. Fields nobody knows go the third way too, because agents send their own.

use atoll_sdk::json::{Field, Fields};
use atoll_sdk::types::{
    Error, ErrorKind, GenerateRequest, Message, Overflow, Prompt, Role, State, Streaming,
};

use crate::input::Input;
use crate::options;
use crate::shape::Extras;
use crate::tools::ToolSet;

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
    options::refuse(&mut body)?;
    let mut tools = ToolSet::read(&body.array("tools")?.unwrap_or_default())?;
    for more in &input.tools {
        tools.add_all(more)?;
    }
    let mut extras = Extras::default();
    for kind in input.skipped {
        options::report(&mut body, &format!("input.{kind}"))?;
    }

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

    options::read_include(&mut body, &mut request, &mut extras)?;
    options::read_text(&mut body, &mut request, &mut extras)?;
    options::read_reasoning(&mut body, &mut request, &mut extras)?;
    options::read_cache(&mut body, &mut request, &mut extras)?;
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
        conversation_id: None,
        background: body.bool("background")?.unwrap_or(false),
        transient_messages,
    };
    if request.state.background && !request.state.store {
        return Err(Error::invalid(
            "background",
            "An answer in the background must be stored; leave out store, or set it to true.",
        ));
    }
    options::read_metadata(&mut body, &mut request)?;
    let safety = body.string("safety_identifier")?;
    extras.user = safety.is_none();
    request.end_user = match safety {
        Some(safety) => Some(safety),
        None => body.string("user")?,
    };
    options::read_tier(&mut body)?;
    let stream = body.bool("stream")?.unwrap_or(false);
    request.streaming = Streaming {
        enabled: stream,
        include_usage: stream,
    };
    options::read_streaming(&mut body)?;
    if extras.prewarm {
        request.max_output_tokens = Some(0);
    }
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
