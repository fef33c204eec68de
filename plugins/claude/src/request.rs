//! `POST /v1/messages`: the body, into a canonical request.

use atoll_sdk::json::{Field, Fields};
use atoll_sdk::types::{
    Error, GenerateRequest, JsonSchema, Message, OutputFormat, Prompt, ReasoningMode,
    ReasoningOptions, ReasoningVisibility, Role, Streaming, Tool, ToolChoice, ToolKind,
};

use serde_json::value::RawValue;

use crate::answer::{CacheLife, Shape};
use crate::{Signing, content};

/// The least thinking budget the API takes.
const MIN_THINKING_BUDGET: u32 = 1024;

/// How much work a client may ask a model to put into an answer.
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// Reads a body. `counting` reads it for `count_tokens`, where `max_tokens` is not needed.
///
/// # Errors
/// Whatever is wrong, naming the field.
pub(crate) fn decode(
    body: &[u8],
    counting: bool,
    signing: &mut Signing,
) -> Result<(GenerateRequest, Shape), Error> {
    let mut body = Fields::parse(body)?;
    let model = body.require("model")?.string()?;
    let max_tokens = if counting {
        body.u32("max_tokens")?
    } else {
        Some(body.require("max_tokens")?.u32()?)
    };

    let field = body.require("messages")?;
    let content::Conversation {
        mut messages,
        ignored,
    } = content::messages(&field, signing)?;
    for name in ignored {
        // Named among what was not honoured; the value is nobody's business.
        let note = RawValue::from_string("true".to_owned());
        let note = note.map_err(|_| Error::internal("true is JSON"))?;
        body.put(name, Field::new(name, note));
    }
    if let Some(system) = body.take("system") {
        let parts = content::system(&system)?;
        if !parts.is_empty() {
            messages.insert(0, Message::new(Role::System, parts));
        }
    }

    let mut request = GenerateRequest::new(model, Prompt::Conversation(messages));
    request.max_output_tokens = max_tokens;
    let stream = body.bool("stream")?.unwrap_or(false);
    request.streaming = Streaming {
        enabled: stream,
        include_usage: stream,
    };
    request.sampling.temperature = body.f64_in("temperature", 0.0..=1.0)?;
    request.sampling.top_p = body.f64_in("top_p", 0.0..=1.0)?;
    request.sampling.top_k = body.u32("top_k")?;
    if let Some(stops) = body.array("stop_sequences")? {
        for stop in stops {
            let text = stop.string()?;
            if text.is_empty() {
                return Err(stop.wrong("a text that is not empty"));
            }
            request.stop.push(text);
        }
    }

    let mut tools_marked = None;
    if let Some(tools) = body.array("tools")? {
        for field in &tools {
            let (tool, mark) = read_tool(field)?;
            tools_marked = mark.or(tools_marked);
            if let Some(tool) = tool {
                if request.tools.iter().any(|other| other.name == tool.name) {
                    return Err(Error::invalid("tools", "Tool names must be unique."));
                }
                request.tools.push(tool);
            }
        }
    }
    if let Some(choice) = body.take("tool_choice") {
        read_tool_choice(&choice, &mut request)?;
    }

    let thinking = body.take("thinking");
    let output = body.object("output_config")?;
    request.reasoning = read_reasoning(thinking.as_ref(), max_tokens)?;
    if let Some(mut output) = output {
        if let Some(effort) = output.take("effort") {
            let name = effort.string()?;
            if !EFFORTS.contains(&name.as_str()) {
                return Err(effort.wrong("'low', 'medium', 'high', 'xhigh' or 'max'"));
            }
            request.reasoning.effort = Some(name);
        }
        if let Some(format) = output.take("format") {
            request.format = read_format(&format)?;
        }
    }
    if let Some(format) = body.take("output_format") {
        request.format = read_format(&format)?;
    }

    if let Some(mut metadata) = body.object("metadata")? {
        request.end_user = metadata.string("user_id")?;
    }
    request.cache.ttl = content::cache_ttl(&mut body)?;
    request.unconsumed = body.rest()?;

    let shape = Shape {
        stream,
        visibility: request.reasoning.visibility,
        caches: cache_mark(&request, tools_marked),
    };
    Ok((request, shape))
}

/// How long the client wants what it marked to be cached, if it marked anything: the last mark counts.
fn cache_mark(request: &GenerateRequest, tools: Option<String>) -> Option<CacheLife> {
    let messages = match &request.prompt {
        Prompt::Conversation(messages) => messages.as_slice(),
        Prompt::Completion(_) => &[],
    };
    let parts = messages.iter().flat_map(|message| &message.parts);
    let mut marks = parts.filter_map(|part| part.cache_ttl.clone());
    let last = request
        .cache
        .ttl
        .clone()
        .or_else(|| marks.next_back())
        .or(tools);
    last.map(|ttl| match ttl.as_str() {
        "1h" => CacheLife::Hour,
        _ => CacheLife::Minutes,
    })
}

/// One tool, none for a placeholder that is loaded later; and the time to live of its cache mark.
fn read_tool(field: &Field) -> Result<(Option<Tool>, Option<String>), Error> {
    let mut tool = field.object()?;
    let mark = content::cache_ttl(&mut tool)?;
    if tool.bool("defer_loading")? == Some(true) {
        return Ok((None, mark));
    }
    let kind = tool.string("type")?;
    let name_field = tool.require("name")?;
    let name = name_field.string()?;
    if name.is_empty() {
        return Err(name_field.wrong("a name"));
    }
    let kind = match kind.as_deref() {
        None | Some("custom") => ToolKind::Function,
        Some(hosted) => ToolKind::Hosted(hosted.to_owned()),
    };
    let parameters = match kind {
        ToolKind::Function => {
            let schema = tool.require("input_schema")?;
            let _ = schema.object()?;
            schema.json().to_owned()
        }
        _ => "{}".to_owned(),
    };
    let tool = Tool {
        kind,
        name,
        namespace: None,
        description: tool.string("description")?,
        parameters,
        strict: tool.bool("strict")?,
        ext: None,
    };
    Ok((Some(tool), mark))
}

fn read_tool_choice(field: &Field, request: &mut GenerateRequest) -> Result<(), Error> {
    let mut choice = field.object()?;
    let kind = choice.require("type")?;
    request.tool_choice = match kind.string()?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => {
            let name_field = choice.require("name")?;
            let name = name_field.string()?;
            if !request.tools.iter().any(|tool| tool.name == name) {
                return Err(name_field.wrong("the name of one of the tools"));
            }
            ToolChoice::Named(name)
        }
        _ => return Err(kind.wrong("'auto', 'any', 'none' or 'tool'")),
    };
    if matches!(request.tool_choice, ToolChoice::Required) && request.tools.is_empty() {
        return Err(Error::invalid(
            "tool_choice",
            "a tool is demanded but no tools are given",
        ));
    }
    if let Some(disable) = choice.bool("disable_parallel_tool_use")? {
        request.parallel_tool_calls = Some(!disable);
    }
    Ok(())
}

fn read_reasoning(
    field: Option<&Field>,
    max_tokens: Option<u32>,
) -> Result<ReasoningOptions, Error> {
    let mut options = ReasoningOptions {
        mode: ReasoningMode::Unset,
        effort: None,
        budget_tokens: None,
        visibility: ReasoningVisibility::Full,
    };
    // Without the field a client of this API expects no thinking blocks.
    let Some(field) = field else {
        options.mode = ReasoningMode::Off;
        return Ok(options);
    };
    let mut thinking = field.object()?;
    let kind = thinking.require("type")?;
    options.mode = match kind.string()?.as_str() {
        "enabled" => {
            let budget_field = thinking.require("budget_tokens")?;
            let budget = budget_field.u32()?;
            if budget < MIN_THINKING_BUDGET {
                return Err(budget_field.wrong(&format!("at least {MIN_THINKING_BUDGET}")));
            }
            // Reading ahead, with no answer to budget for, is asked for with the answer's own settings.
            if max_tokens.is_some_and(|max| max > 0 && budget >= max) {
                return Err(budget_field.wrong("less than max_tokens"));
            }
            options.budget_tokens = Some(budget);
            ReasoningMode::On
        }
        "adaptive" | "between_tools" => ReasoningMode::Adaptive,
        "disabled" => ReasoningMode::Off,
        _ => return Err(kind.wrong("'enabled', 'adaptive', 'between_tools' or 'disabled'")),
    };
    options.visibility = match thinking.take("display") {
        None => ReasoningVisibility::Full,
        Some(display) => match display.string()?.as_str() {
            "summarized" => ReasoningVisibility::Summary,
            "omitted" => ReasoningVisibility::Omitted,
            _ => return Err(display.wrong("'summarized' or 'omitted'")),
        },
    };
    Ok(options)
}

fn read_format(field: &Field) -> Result<OutputFormat, Error> {
    let mut format = field.object()?;
    let kind = format.require("type")?;
    match kind.string()?.as_str() {
        "text" => Ok(OutputFormat::Text),
        "json_schema" => {
            let schema = format.require("schema")?;
            let _ = schema.object()?;
            Ok(OutputFormat::JsonSchema(JsonSchema {
                name: format.string("name")?,
                description: None,
                schema: schema.json().to_owned(),
                strict: Some(true),
            }))
        }
        _ => Err(kind.wrong("'json_schema'")),
    }
}
