//! Bodies of Ollama's API, into canonical operations.

use atoll_sdk::json::{Field, Fields, Kind as JsonKind};
use atoll_sdk::types::{
    Completion, CompletionInput, EmbedRequest, Error, ErrorKind, GenerateRequest, JsonSchema,
    KeepAlive, LoadRequest, Media, MediaSource, Message, Operation, OutputFormat, Overflow, Part,
    PartContent, Prompt, Reasoning, ReasoningMode, ResultContent, Role, Streaming, Tool, ToolCall,
    ToolKind, ToolResult,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hub_name;
use crate::memory::{Memory, Speaker};
use crate::options::{self, Context};
use crate::template::{self, Values};

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
    /// The conversation that the answer will carry as `context`.
    pub memory: Option<Memory>,
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
            memory: None,
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
    if ["/api/create", "/api/push"].contains(&path) || path.starts_with("/api/blobs/") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "this host makes and publishes no models; put a model's folder below its models folder, or pull one",
        ));
    }
    if body.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "missing request body",
        ));
    }
    let mut body = Fields::parse(body)?;
    if path == "/api/copy" {
        let source = name(&body.require("source")?)?;
        let destination = name(&body.require("destination")?)?;
        return plain(Kind::Manage, Operation::CopyModel((source, destination)));
    }
    // Older clients call it `name`; those in Go send both, one of them empty.
    let mut spelled = String::new();
    for key in ["model", "name"] {
        if let Some(field) = body.take(key)
            && spelled.is_empty()
        {
            spelled = field.string()?;
        }
    }
    if spelled.is_empty() {
        return Err(Error::invalid("model", "model is required"));
    }
    let model = without_tag(&spelled);
    let stream = body.bool("stream")?.unwrap_or(true);
    let mut memory = None;
    let (kind, stream, operation) = match path {
        "/api/chat" => chat(body, model, stream)?,
        "/api/generate" => {
            let (asked, carried) = generate(body, model, stream)?;
            memory = carried;
            asked
        }
        "/api/embed" => (Kind::Embed, false, embed(body, model, false)?),
        "/api/embeddings" => (Kind::OldEmbeddings, false, embed(body, model, true)?),
        "/api/show" => (Kind::Show, false, Operation::ShowModel(model)),
        "/api/pull" => (Kind::Pull, stream, Operation::PullModel(hub_name(model))),
        "/api/delete" => (Kind::Manage, false, Operation::DeleteModel(model)),
        _ => {
            return Err(Error::new(ErrorKind::NotFound, "404 page not found"));
        }
    };
    Ok(Request {
        kind,
        model: spelled,
        stream,
        memory,
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

/// What was asked, in what shape, and the conversation to carry.
type Asked = (Kind, bool, Operation);

fn generate(
    mut body: Fields,
    model: String,
    stream: bool,
) -> Result<(Asked, Option<Memory>), Error> {
    let keep_alive = options::keep_alive(&mut body)?;
    let prompt = body.string("prompt")?.unwrap_or_default();
    let said = |field: Option<String>| field.filter(|text| !text.is_empty());
    let suffix = said(body.string("suffix")?);
    let system = said(body.string("system")?);
    let template = said(body.string("template")?);
    let context = body.take("context").filter(|field| field.json() != "[]");
    let images = body.array("images")?.unwrap_or_default();
    let raw = body.bool("raw")?.unwrap_or(false);
    if raw && (system.is_some() || template.is_some() || context.is_some()) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "raw mode does not support template, system, or context",
        ));
    }
    if prompt.is_empty() && suffix.is_none() && images.is_empty() {
        return Ok((load(model, keep_alive, false), None));
    }
    let mut memory = context
        .as_ref()
        .map(Memory::read)
        .transpose()?
        .unwrap_or_default();
    let (prompt, memory) = if raw || suffix.is_some() {
        (completion(prompt, suffix, raw), None)
    } else if let Some(template) = template {
        if context.is_some() || !images.is_empty() {
            return Err(Error::unsupported(
                "template",
                "template goes with neither context nor images; use /api/chat",
            ));
        }
        let values = Values {
            system: system.as_deref().unwrap_or_default(),
            prompt: &prompt,
        };
        (
            completion(template::render(&template, values)?, None, true),
            None,
        )
    } else {
        if let Some(text) = system {
            memory.push(Speaker::System, text);
        }
        let mut messages = memory.messages();
        let mut parts = vec![Part::text(prompt.as_str())];
        parts.extend(images.iter().map(image).collect::<Result<Vec<_>, _>>()?);
        messages.push(Message::new(Role::User, parts));
        memory.push(Speaker::User, prompt);
        (Prompt::Conversation(messages), Some(memory))
    };
    let mut request = GenerateRequest::new(model, prompt);
    common(body, &mut request, keep_alive, stream)?;
    let asked = (Kind::Generate, stream, Operation::Generate(request));
    Ok((asked, memory))
}

fn completion(text: String, suffix: Option<String>, raw: bool) -> Prompt {
    Prompt::Completion(Completion {
        inputs: vec![CompletionInput::Text(text)],
        suffix,
        echo: false,
        raw,
    })
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
    let context = options::apply(&mut body, request)?;
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
                let effort = think.string().unwrap_or_default();
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
    // Ollama's habits, unless the client says otherwise: cut what does not fit, and go on beyond the context.
    request.overflow = if body.bool("truncate")?.unwrap_or(true) {
        Overflow::TruncateOldest
    } else {
        Overflow::Refuse
    };
    let context = Context {
        slide: body.bool("shift")?.unwrap_or(true),
        require_reasoning: request.reasoning.mode == ReasoningMode::On,
        ..context
    };
    request.ext = Some(context.to_json());
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
        let call_id = match fields.string("tool_call_id")? {
            Some(id) => id,
            None => open_call(messages, name.as_deref()),
        };
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

/// The call that a result without an id answers: among the calls that have no result yet, the first of the
/// tool's name, else the first.
fn open_call(messages: &[Message], name: Option<&str>) -> String {
    let results = messages
        .iter()
        .rev()
        .take_while(|message| message.role == Role::Tool)
        .count();
    let (before, results) = messages.split_at(messages.len() - results);
    let answered = |call: &&ToolCall| {
        results.iter().flat_map(|message| &message.parts).any(|part| {
            matches!(&part.content, PartContent::ToolResult(result) if result.call_id == call.call_id)
        })
    };
    let calls = before.last().map_or(&[][..], |message| &message.parts);
    let mut open = calls
        .iter()
        .filter_map(|part| match &part.content {
            PartContent::ToolCall(call) => Some(call),
            _ => None,
        })
        .filter(|call| !answered(call));
    let named = open.clone().find(|call| Some(call.name.as_str()) == name);
    named.or_else(|| open.next()).map_or_else(
        || format!("call_{}", results.len()),
        |call| call.call_id.clone(),
    )
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
            .unwrap_or_else(|| Tool::WITHOUT_PARAMETERS.to_owned()),
        strict: None,
        ext: None,
    })
}

fn embed(mut body: Fields, model: String, old: bool) -> Result<Operation, Error> {
    let keep_alive = options::keep_alive(&mut body)?;
    let inputs = match body.take(if old { "prompt" } else { "input" }) {
        None => vec![],
        // An empty text is nothing to embed.
        Some(field) if field.kind() == JsonKind::String => Some(field.string()?)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect(),
        Some(field) if !old && field.kind() != JsonKind::Array => {
            return Err(field.wrong("a string or an array of strings"));
        }
        Some(field) if !old => field
            .array()?
            .iter()
            .map(Field::string)
            .collect::<Result<_, _>>()?,
        Some(field) => return Err(field.wrong("a string")),
    };
    let inputs: Vec<String> = inputs;
    if inputs.is_empty() {
        return Ok(Operation::LoadModel(LoadRequest { model, keep_alive }));
    }
    // 0 is not said.
    let dimensions = body.u32("dimensions")?.filter(|&dimensions| dimensions > 0);
    let truncate = body.bool("truncate")?.unwrap_or(true);
    Ok(Operation::Embed(EmbedRequest {
        model,
        inputs: inputs.into_iter().map(CompletionInput::Text).collect(),
        dimensions,
        truncate,
        normalize: !old,
        keep_alive,
        ext: body.rest()?,
    }))
}
