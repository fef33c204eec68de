//! `POST /v1/responses`: the body, into a canonical request and what the answer must repeat.

use atoll_sdk::json::{Field, Fields};
use atoll_sdk::types::{
    Error, GenerateRequest, JsonSchema, Message, OutputFormat, Overflow, Prompt, ReasoningMode,
    Role, State, Streaming,
};
use serde_json::{Map, Value, json};

use crate::answer::Shape;
use crate::input::Input;
use crate::tools::ToolSet;

/// A decoded body.
#[derive(Debug)]
pub struct Decoded {
    /// What the host is asked.
    pub request: GenerateRequest,
    /// What the answer needs.
    pub shape: Shape,
}

/// Reads a body.
///
/// # Errors
/// Whatever is wrong, naming the field.
pub fn decode(body: &[u8]) -> Result<Decoded, Error> {
    let mut body = Fields::parse(body)?;
    let model = body.require("model")?.string()?;
    let mut input = match body.take("input") {
        Some(field) => Input::read(&field)?,
        None => Input::default(),
    };
    let instructions = body.string("instructions")?;
    let previous = body.string("previous_response_id")?;
    if input.messages.is_empty() && previous.is_none() {
        return Err(Error::missing("input"));
    }
    if let Some(text) = &instructions {
        input.messages.insert(0, Message::text(Role::System, text));
    }
    let tools = ToolSet::read(&body.array("tools")?.unwrap_or_default())?;

    let mut request = GenerateRequest::new(model, Prompt::Conversation(input.messages));
    request.tools.clone_from(&tools.tools);
    let mut echo = Map::new();
    echo.insert("instructions".into(), json!(instructions));
    echo.insert("tools".into(), json!(tools.echoed));
    let choice = body.take("tool_choice");
    echo.insert(
        "tool_choice".into(),
        choice
            .as_ref()
            .map_or(Ok(json!("auto")), |f| f.read("JSON"))?,
    );
    if let Some(choice) = choice {
        request.tool_choice = tools.choice(&choice)?;
    }
    request.parallel_tool_calls = body.bool("parallel_tool_calls")?;
    echo.insert(
        "parallel_tool_calls".into(),
        json!(request.parallel_tool_calls.unwrap_or(true)),
    );
    request.max_tool_calls = body.u32("max_tool_calls")?;
    echo.insert("max_tool_calls".into(), json!(request.max_tool_calls));

    request.max_output_tokens = body.u32("max_output_tokens")?;
    echo.insert("max_output_tokens".into(), json!(request.max_output_tokens));
    let sampling = &mut request.sampling;
    sampling.temperature = body.f64_in("temperature", 0.0..=2.0)?;
    sampling.top_p = body.f64_in("top_p", 0.0..=1.0)?;
    sampling.presence_penalty = body.f64_in("presence_penalty", -2.0..=2.0)?;
    sampling.frequency_penalty = body.f64_in("frequency_penalty", -2.0..=2.0)?;
    echo.insert(
        "temperature".into(),
        json!(sampling.temperature.unwrap_or(1.0)),
    );
    echo.insert("top_p".into(), json!(sampling.top_p.unwrap_or(1.0)));
    echo.insert(
        "presence_penalty".into(),
        json!(sampling.presence_penalty.unwrap_or(0.0)),
    );
    echo.insert(
        "frequency_penalty".into(),
        json!(sampling.frequency_penalty.unwrap_or(0.0)),
    );

    let include: Vec<String> = body
        .array("include")?
        .unwrap_or_default()
        .iter()
        .map(Field::string)
        .collect::<Result<_, _>>()?;
    let top = body.take("top_logprobs");
    let top_logprobs = match &top {
        Some(field) => field
            .u32()
            .ok()
            .filter(|n| *n <= 20)
            .ok_or_else(|| field.wrong("an integer from 0 to 20"))?,
        None => 0,
    };
    if top_logprobs > 0
        || include
            .iter()
            .any(|what| what == "message.output_text.logprobs")
    {
        request.logprobs = Some(top_logprobs);
    }
    echo.insert("top_logprobs".into(), json!(top_logprobs));

    read_text(&mut body, &mut request, &mut echo)?;
    read_reasoning(&mut body, &mut request, &mut echo)?;

    request.overflow = match body.take("truncation") {
        None => Overflow::Refuse,
        Some(field) => match field.string()?.as_str() {
            "disabled" => Overflow::Refuse,
            "auto" => Overflow::TruncateOldest,
            _ => return Err(field.wrong("'auto' or 'disabled'")),
        },
    };
    let truncation = if request.overflow == Overflow::Refuse {
        "disabled"
    } else {
        "auto"
    };
    echo.insert("truncation".into(), json!(truncation));

    // The original stores by default. Here that must be asked for: what is kept is a decision.
    let store = body.bool("store")?.unwrap_or(false);
    let background = body.bool("background")?.unwrap_or(false);
    echo.insert("store".into(), json!(store));
    echo.insert("background".into(), json!(background));
    echo.insert("previous_response_id".into(), json!(previous));
    let conversation_id = match body.take("conversation") {
        None => None,
        Some(field) if field.kind() == atoll_sdk::json::Kind::String => Some(field.string()?),
        Some(field) => Some(field.object()?.require("id")?.string()?),
    };
    request.state = State {
        store,
        previous_response_id: previous,
        conversation_id,
        background,
    };

    if let Some(field) = body.take("metadata") {
        let map: Map<String, Value> = field.read("an object of strings")?;
        for (key, value) in &map {
            let text = value
                .as_str()
                .ok_or_else(|| field.wrong("an object of strings"))?;
            request.metadata.push((key.clone(), text.to_owned()));
        }
        echo.insert("metadata".into(), Value::Object(map));
    } else {
        echo.insert("metadata".into(), json!({}));
    }
    request.cache.key = body.string("prompt_cache_key")?;
    echo.insert("prompt_cache_key".into(), json!(request.cache.key));
    let safety = body.string("safety_identifier")?;
    echo.insert("safety_identifier".into(), json!(safety));
    request.end_user = safety.or(body.string("user")?);
    let tier = body.string("service_tier")?.filter(|tier| tier != "auto");
    echo.insert(
        "service_tier".into(),
        json!(tier.unwrap_or_else(|| "default".to_owned())),
    );

    let stream = body.bool("stream")?.unwrap_or(false);
    request.streaming = Streaming {
        enabled: stream,
        include_usage: stream,
    };
    let _ = body.take("stream_options");
    request.unconsumed = body.rest()?;
    let mut skipped = tools.skipped.clone();
    skipped.extend(input.skipped);
    if !skipped.is_empty() {
        request.ext = Some(json!({ "skipped": skipped }).to_string());
    }
    let encrypted = include
        .iter()
        .any(|what| what == "reasoning.encrypted_content");
    let shape = Shape {
        stream,
        echo,
        tools,
        logprobs: request.logprobs.is_some(),
        encrypted,
    };
    Ok(Decoded { request, shape })
}

fn read_text(
    body: &mut Fields,
    request: &mut GenerateRequest,
    echo: &mut Map<String, Value>,
) -> Result<(), Error> {
    let mut shown = json!({ "type": "text" });
    let mut verbosity = None;
    if let Some(mut text) = body.object("text")? {
        verbosity = text.string("verbosity")?;
        if let Some(field) = text.take("format") {
            shown = field.read("an object")?;
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
        }
    }
    echo.insert(
        "text".into(),
        json!({ "format": shown, "verbosity": verbosity.as_deref().unwrap_or("medium") }),
    );
    Ok(())
}

fn read_reasoning(
    body: &mut Fields,
    request: &mut GenerateRequest,
    echo: &mut Map<String, Value>,
) -> Result<(), Error> {
    let Some(mut reasoning) = body.object("reasoning")? else {
        echo.insert(
            "reasoning".into(),
            json!({ "effort": null, "summary": null }),
        );
        return Ok(());
    };
    let summary = reasoning.string("summary")?;
    if let Some(field) = reasoning.take("effort") {
        let effort = field.string()?;
        if !["none", "minimal", "low", "medium", "high", "xhigh", "max"].contains(&effort.as_str())
        {
            return Err(field.wrong("'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or 'max'"));
        }
        request.reasoning.mode = if effort == "none" {
            ReasoningMode::Off
        } else {
            ReasoningMode::On
        };
        request.reasoning.effort = Some(effort);
    }
    echo.insert(
        "reasoning".into(),
        json!({ "effort": request.reasoning.effort, "summary": summary }),
    );
    Ok(())
}
