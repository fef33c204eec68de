//! Bodies of Ollama's API, into canonical operations.

use atoll_sdk::json::{Field, Fields, Kind as JsonKind};
use atoll_sdk::types::{
    Completion, CompletionInput, EmbedRequest, Error, GenerateRequest, JsonSchema, KeepAlive,
    LoadRequest, Media, MediaSource, Message, Operation, OutputFormat, Overflow, Part, PartContent,
    Prompt, Reasoning, ReasoningMode, ResultContent, Role, Streaming, Tool, ToolCall, ToolKind,
    ToolResult,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::options;

/// What was asked, as far as the answer's shape depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `/api/chat`
    Chat,
    /// `/api/generate`
    Generate,
    /// A chat or generate without content: load the model, or unload it.
    Load {
        /// `keep_alive` was 0.
        unload: bool,
        /// Asked through `/api/chat`.
        chat: bool,
    },
    /// `/api/embed`
    Embed,
    /// `/api/embeddings`
    OldEmbeddings,
    /// `/api/tags`
    Tags,
    /// `/api/ps`
    Running,
    /// `/api/show`
    Show,
    /// `/api/pull`
    Pull,
    /// `/api/copy` and `/api/delete`
    Manage,
    /// `/api/version`
    Version,
}

/// A decoded request.
#[derive(Debug)]
pub struct Request {
    /// What was asked.
    pub kind: Kind,
    /// The model as the client spelled it.
    pub model: String,
    /// Whether to answer line by line.
    pub stream: bool,
    /// What to do.
    pub operation: Operation,
}

/// Reads a request. Bodies count whatever their content type says.
///
/// # Errors
/// Whatever is wrong, naming the field.
pub fn decode(method: &str, path: &str, body: &[u8]) -> Result<Request, Error> {
    let plain = |kind, operation| {
        Ok(Request {
            kind,
            model: String::new(),
            stream: false,
            operation,
        })
    };
    if method == "GET" || method == "HEAD" {
        return match path {
            "/api/tags" => plain(Kind::Tags, Operation::ListModels),
            "/api/ps" => plain(Kind::Running, Operation::ListRunning),
            _ => plain(Kind::Version, Operation::None),
        };
    }
    if body.is_empty() {
        return Err(Error::new(
            atoll_sdk::types::ErrorKind::InvalidArgument,
            "missing request body",
        ));
    }
    let mut body = Fields::parse(body)?;
    if path == "/api/copy" {
        let source = name(&body.require("source")?)?;
        let destination = name(&body.require("destination")?)?;
        return plain(Kind::Manage, Operation::CopyModel((source, destination)));
    }
    // Older clients call it `name`.
    let spelled = match body.take("model").or_else(|| body.take("name")) {
        Some(field) => field.string()?,
        None => String::new(),
    };
    if spelled.is_empty() {
        return Err(Error::invalid("model", "model is required"));
    }
    let model = without_tag(&spelled);
    let stream = body.bool("stream")?.unwrap_or(true);
    let (kind, stream, operation) = match path {
        "/api/chat" => chat(body, model, stream)?,
        "/api/generate" => generate(body, model, stream)?,
        "/api/embed" => (Kind::Embed, false, embed(body, model, false)?),
        "/api/embeddings" => (Kind::OldEmbeddings, false, embed(body, model, true)?),
        "/api/show" => (Kind::Show, false, Operation::ShowModel(model)),
        "/api/pull" => (Kind::Pull, stream, Operation::PullModel(model)),
        "/api/delete" => (Kind::Manage, false, Operation::DeleteModel(model)),
        _ => {
            return Err(Error::new(
                atoll_sdk::types::ErrorKind::NotFound,
                "404 page not found",
            ));
        }
    };
    Ok(Request {
        kind,
        model: spelled,
        stream,
        operation,
    })
}

/// `name:latest` is `name`.
fn without_tag(name: &str) -> String {
    name.strip_suffix(":latest").unwrap_or(name).to_owned()
}

fn name(field: &Field) -> Result<String, Error> {
    Ok(without_tag(&field.string()?))
}

fn chat(mut body: Fields, model: String, stream: bool) -> Result<(Kind, bool, Operation), Error> {
    let keep_alive = options::keep_alive(&mut body)?;
    let fields = body.array("messages")?.unwrap_or_default();
    if fields.is_empty() {
        return Ok(load(model, keep_alive, true));
    }
    let mut messages = Vec::new();
    for field in &fields {
        message(field, &mut messages)?;
    }
    let mut request = GenerateRequest::new(model, Prompt::Conversation(messages));
    if let Some(tools) = body.array("tools")? {
        request.tools = tools.iter().map(tool).collect::<Result<_, _>>()?;
    }
    common(body, &mut request, keep_alive, stream)?;
    Ok((Kind::Chat, stream, Operation::Generate(request)))
}

fn generate(
    mut body: Fields,
    model: String,
    stream: bool,
) -> Result<(Kind, bool, Operation), Error> {
    let keep_alive = options::keep_alive(&mut body)?;
    let prompt = body.string("prompt")?.unwrap_or_default();
    let suffix = body.string("suffix")?.filter(|text| !text.is_empty());
    let system = body.string("system")?.filter(|text| !text.is_empty());
    let images = body.array("images")?.unwrap_or_default();
    let raw = body.bool("raw")?.unwrap_or(false);
    for refused in ["template", "context"] {
        if let Some(field) = body.take(refused)
            && !matches!(field.json(), "\"\"" | "[]")
        {
            return Err(if raw {
                Error::invalid(
                    refused,
                    "raw mode does not support template, system, or context",
                )
            } else {
                Error::unsupported(
                    refused,
                    format!("{refused} is not supported; use /api/chat"),
                )
            });
        }
    }
    if raw && system.is_some() {
        return Err(Error::invalid(
            "system",
            "raw mode does not support template, system, or context",
        ));
    }
    if prompt.is_empty() && suffix.is_none() && images.is_empty() {
        return Ok(load(model, keep_alive, false));
    }
    let prompt = if raw || suffix.is_some() {
        Prompt::Completion(Completion {
            inputs: vec![CompletionInput::Text(prompt)],
            suffix,
            echo: false,
            raw,
        })
    } else {
        let mut messages: Vec<Message> = system
            .into_iter()
            .map(|text| Message::text(Role::System, text))
            .collect();
        let mut parts = vec![Part::text(prompt)];
        parts.extend(images.iter().map(image).collect::<Result<Vec<_>, _>>()?);
        messages.push(Message::new(Role::User, parts));
        Prompt::Conversation(messages)
    };
    let mut request = GenerateRequest::new(model, prompt);
    common(body, &mut request, keep_alive, stream)?;
    Ok((Kind::Generate, stream, Operation::Generate(request)))
}

fn load(model: String, keep_alive: Option<KeepAlive>, chat: bool) -> (Kind, bool, Operation) {
    let unload = keep_alive == Some(KeepAlive::ForMs(0));
    (
        Kind::Load { unload, chat },
        false,
        Operation::LoadModel(LoadRequest { model, keep_alive }),
    )
}

/// What chat and generate share.
fn common(
    mut body: Fields,
    request: &mut GenerateRequest,
    keep_alive: Option<KeepAlive>,
    stream: bool,
) -> Result<(), Error> {
    request.keep_alive = keep_alive;
    request.streaming = Streaming {
        enabled: stream,
        include_usage: false,
    };
    options::apply(&mut body, request)?;
    if let Some(format) = body.take("format") {
        request.format = match format.kind() {
            JsonKind::Object => OutputFormat::JsonSchema(JsonSchema {
                name: None,
                description: None,
                schema: format.json().to_owned(),
                strict: Some(true),
            }),
            JsonKind::String => match format.string()?.as_str() {
                "" => OutputFormat::Text,
                "json" => OutputFormat::JsonObject,
                _ => return Err(format.wrong("\"json\" or a JSON schema")),
            },
            _ => return Err(format.wrong("\"json\" or a JSON schema")),
        };
    }
    if let Some(think) = body.take("think") {
        match think.kind() {
            JsonKind::Bool => {
                let on = think.bool()?;
                request.reasoning.mode = if on {
                    ReasoningMode::On
                } else {
                    ReasoningMode::Off
                };
            }
            _ => {
                let effort = think.string()?;
                if !["low", "medium", "high", "max"].contains(&effort.as_str()) {
                    return Err(
                        think.wrong("true, false, \"low\", \"medium\", \"high\" or \"max\"")
                    );
                }
                request.reasoning.mode = ReasoningMode::On;
                request.reasoning.effort = Some(effort);
            }
        }
    }
    if body.bool("truncate")? == Some(true) {
        request.overflow = Overflow::TruncateOldest;
    }
    if body.bool("shift")? == Some(true) {
        request.overflow = Overflow::Shift;
    }
    let top = body.u32("top_logprobs")?;
    if body.bool("logprobs")?.unwrap_or(false) {
        let top = top.unwrap_or(0);
        if top > 20 {
            return Err(Error::invalid(
                "top_logprobs",
                "top_logprobs must be between 0 and 20",
            ));
        }
        request.logprobs = Some(top);
    }
    request.unconsumed = body.rest()?;
    Ok(())
}

fn message(field: &Field, messages: &mut Vec<Message>) -> Result<(), Error> {
    let mut fields = field.object()?;
    let role_field = fields.require("role")?;
    let role = match role_field.string()?.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(role_field.wrong("'system', 'user', 'assistant' or 'tool'")),
    };
    let text = fields.string("content")?.unwrap_or_default();
    if role == Role::Tool {
        let name = fields.string("tool_name")?;
        // Without an id a result answers the call at its place, as `tool_calls` below numbers them.
        let call_id = fields
            .string("tool_call_id")?
            .unwrap_or_else(|| format!("call_{}", open_call(messages)));
        let result = ToolResult {
            call_id,
            name,
            content: vec![ResultContent::Text(text)],
            is_error: false,
        };
        messages.push(Message::new(
            role,
            vec![Part::new(PartContent::ToolResult(result))],
        ));
        return Ok(());
    }
    let mut parts = Vec::new();
    if let Some(thinking) = fields.string("thinking")?.filter(|text| !text.is_empty()) {
        parts.push(Part::new(PartContent::Reasoning(Reasoning {
            text: thinking,
            summary: vec![],
            signature: None,
            encrypted: None,
        })));
    }
    if !text.is_empty() {
        parts.push(Part::text(text));
    }
    for picture in fields.array("images")?.unwrap_or_default() {
        parts.push(image(&picture)?);
    }
    for (at, call) in fields
        .array("tool_calls")?
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let mut call = call.object()?;
        let id = call.string("id")?;
        let mut function = call
            .object("function")?
            .ok_or_else(|| Error::missing(call.path_of("function")))?;
        parts.push(Part::new(PartContent::ToolCall(ToolCall {
            call_id: id.unwrap_or_else(|| format!("call_{at}")),
            name: function.require("name")?.string()?,
            namespace: None,
            arguments: function
                .object_json("arguments")?
                .unwrap_or_else(|| "{}".to_owned()),
            custom: false,
        })));
    }
    if parts.is_empty() {
        parts.push(Part::text(""));
    }
    messages.push(Message::new(role, parts));
    Ok(())
}

/// How many results already follow the last message of the assistant.
fn open_call(messages: &[Message]) -> usize {
    messages
        .iter()
        .rev()
        .take_while(|message| message.role == Role::Tool)
        .count()
}

fn image(field: &Field) -> Result<Part, Error> {
    let bytes = STANDARD
        .decode(field.string()?)
        .map_err(|_| field.wrong("base64"))?;
    Ok(Part::new(PartContent::Image(Media {
        source: MediaSource::Bytes(bytes),
        media_type: String::new(),
        detail: None,
    })))
}

fn tool(field: &Field) -> Result<Tool, Error> {
    let mut tool = field.object()?;
    let mut function = tool
        .object("function")?
        .ok_or_else(|| Error::missing(tool.path_of("function")))?;
    Ok(Tool {
        kind: ToolKind::Function,
        name: function.require("name")?.string()?,
        namespace: None,
        description: function.string("description")?,
        parameters: function
            .object_json("parameters")?
            .unwrap_or_else(|| "{}".to_owned()),
        strict: None,
        ext: None,
    })
}

fn embed(mut body: Fields, model: String, old: bool) -> Result<Operation, Error> {
    let keep_alive = options::keep_alive(&mut body)?;
    let inputs = match body.take(if old { "prompt" } else { "input" }) {
        None => vec![],
        Some(field) if field.kind() == JsonKind::String => vec![field.string()?],
        Some(field) if !old => field
            .array()?
            .iter()
            .map(Field::string)
            .collect::<Result<_, _>>()?,
        Some(field) => return Err(field.wrong("a string")),
    };
    Ok(Operation::Embed(EmbedRequest {
        model,
        inputs: inputs.into_iter().map(CompletionInput::Text).collect(),
        dimensions: body.u32("dimensions")?,
        truncate: body.bool("truncate")?.unwrap_or(true),
        normalize: !old,
        keep_alive,
        ext: None,
    }))
}
