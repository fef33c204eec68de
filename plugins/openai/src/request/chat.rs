//! `POST /v1/chat/completions`.
//!
//! Left in `unconsumed` on purpose, because nothing here can act on them: `store` (nothing of this
//! API reads a stored completion back), `prediction`, `verbosity`, `service_tier`,
//! `web_search_options`, `moderation`, and anything unknown.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{
    Error, GenerateRequest, Prompt, ReasoningMode, ReasoningVisibility, ToolChoice,
};

use crate::request::{fields, format, messages, tools};

/// A decoded request, and what the answer has to know beyond it.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) request: GenerateRequest,
    /// The client used `functions`, and expects `function_call` instead of `tool_calls`.
    pub(crate) legacy_function_call: bool,
    /// The client does not want to see reasoning.
    pub(crate) hide_reasoning: bool,
}

/// The most alternatives per token that the API reports.
const MOST_LOGPROBS: u32 = 20;

/// The request in canonical form.
///
/// # Errors
/// A field is missing or wrong.
pub(crate) fn decode(mut body: Fields) -> Result<Chat, Error> {
    let model = fields::model(&mut body)?;
    let conversation = messages::conversation(&body.require("messages")?)?;
    let mut request = GenerateRequest::new(model, Prompt::Conversation(conversation));
    fields::shared(&mut body, &mut request)?;
    max_tokens(&mut body, &mut request)?;
    logprobs(&mut body, &mut request)?;
    let legacy_function_call = tool_fields(&mut body, &mut request)?;
    if let Some(field) = body.take("response_format") {
        request.format = format::output_format(field.object()?)?;
    }
    reasoning(&mut body, &mut request)?;
    cache(&mut body, &mut request)?;
    request.metadata = metadata(&mut body)?;
    refuse_audio(&mut body)?;
    request.unconsumed = body.rest()?;
    let hide_reasoning = request.reasoning.visibility == ReasoningVisibility::Omitted;
    Ok(Chat {
        request,
        legacy_function_call,
        hide_reasoning,
    })
}

fn max_tokens(body: &mut Fields, request: &mut GenerateRequest) -> Result<(), Error> {
    let old = body.take("max_tokens");
    if let Some(field) = body.take("max_completion_tokens").or(old) {
        request.max_output_tokens = fields::max_tokens(&field)?;
    }
    Ok(())
}

fn logprobs(body: &mut Fields, request: &mut GenerateRequest) -> Result<(), Error> {
    let wanted = body.bool("logprobs")?.unwrap_or(false);
    let alternatives = match body.take("top_logprobs") {
        None => 0,
        Some(field) => match field.u32().ok().filter(|&count| count <= MOST_LOGPROBS) {
            None => {
                return Err(field.wrong(&format!("an integer from 0 to {MOST_LOGPROBS}")));
            }
            Some(0) => 0,
            _ if !wanted => {
                let path = field.path();
                let message = format!("'{path}' is only allowed when 'logprobs' is true.");
                return Err(Error::invalid(path, message));
            }
            Some(count) => count,
        },
    };
    request.logprobs = wanted.then_some(alternatives);
    Ok(())
}

/// Tools in today's spelling or, if there are none, in the one before; says whether it was that.
fn tool_fields(body: &mut Fields, request: &mut GenerateRequest) -> Result<bool, Error> {
    if let Some(field) = body.take("tools") {
        request.tools = tools::tools(&field)?;
    }
    if let Some(field) = body.take("tool_choice") {
        request.tool_choice = tools::tool_choice(&field)?;
        check_choice(request, field.path())?;
    }
    request.parallel_tool_calls = body.bool("parallel_tool_calls")?;
    if !request.tools.is_empty() {
        return Ok(false);
    }
    let Some(functions) = body.take("functions") else {
        return Ok(false);
    };
    request.tools = tools::functions(&functions)?;
    // The old shape holds one call.
    request.parallel_tool_calls = Some(false);
    if let Some(field) = body.take("function_call") {
        request.tool_choice = tools::function_call(&field)?;
        check_choice(request, field.path())?;
    }
    Ok(!request.tools.is_empty())
}

/// A choice must be among the tools.
fn check_choice(request: &GenerateRequest, path: &str) -> Result<(), Error> {
    let known = |name: &String| request.tools.iter().any(|tool| tool.name == *name);
    let unknown = match &request.tool_choice {
        ToolChoice::Auto | ToolChoice::None => None,
        ToolChoice::Required if request.tools.is_empty() => {
            let message = format!("'{path}' is only allowed when 'tools' are specified.");
            return Err(Error::invalid(path, message));
        }
        ToolChoice::Required => None,
        ToolChoice::Named(name) => (!known(name)).then_some(name),
        ToolChoice::Allowed(allowed) => allowed.names.iter().find(|name| !known(name)),
    };
    match unknown {
        None => Ok(()),
        Some(name) => Err(Error::invalid(
            path,
            format!("Invalid value for '{path}': there is no tool '{name}' in 'tools'."),
        )),
    }
}

/// `reasoning_effort`, and the spellings that other servers and routers have for the same.
fn reasoning(body: &mut Fields, request: &mut GenerateRequest) -> Result<(), Error> {
    let mut field = body.take("reasoning_effort");
    let options = &mut request.reasoning;
    if let Some(object) = body.take("reasoning") {
        let mut object = object.object()?;
        field = field.or_else(|| object.take("effort"));
        options.budget_tokens = object.u32("max_tokens")?;
        match object.bool("enabled")? {
            Some(true) => options.mode = ReasoningMode::On,
            Some(false) => options.mode = ReasoningMode::Off,
            None => {}
        }
        if object.bool("exclude")? == Some(true) {
            options.visibility = ReasoningVisibility::Omitted;
        }
        fields::put_back(body, "reasoning", object)?;
    }
    if body.bool("include_reasoning")? == Some(false) {
        options.visibility = ReasoningVisibility::Omitted;
    }
    if let Some(field) = field {
        let effort = field.string()?;
        options.mode = match effort.as_str() {
            "none" => ReasoningMode::Off,
            "minimal" | "low" | "medium" | "high" | "xhigh" | "max" => ReasoningMode::On,
            _ => {
                return Err(field
                    .wrong("one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'"));
            }
        };
        options.effort = Some(effort);
    }
    if let Some(enabled) = body.bool("enable_thinking")? {
        options.mode = if enabled {
            ReasoningMode::On
        } else {
            ReasoningMode::Off
        };
    }
    request.template_variables = body.object_json("chat_template_kwargs")?;
    Ok(())
}

fn cache(body: &mut Fields, request: &mut GenerateRequest) -> Result<(), Error> {
    request.cache.key = body.string("prompt_cache_key")?;
    let retention = body.string("prompt_cache_retention")?;
    let ttl = match body.object("prompt_cache_options")? {
        Some(mut options) => {
            let ttl = options.string("ttl")?;
            // Whole prompts are cached here, wherever the marks stand.
            options.take("mode");
            fields::put_back(body, "prompt_cache_options", options)?;
            ttl
        }
        None => None,
    };
    request.cache.ttl = ttl.or(retention);
    Ok(())
}

fn metadata(body: &mut Fields) -> Result<Vec<(String, String)>, Error> {
    let Some(field) = body.take("metadata") else {
        return Ok(Vec::new());
    };
    let entries: std::collections::BTreeMap<String, String> = field.read("an object of strings")?;
    Ok(entries.into_iter().collect())
}

/// A text answer to a request for sound would be a silent loss.
fn refuse_audio(body: &mut Fields) -> Result<(), Error> {
    let Some(field) = body.take("modalities") else {
        return Ok(());
    };
    let modalities = match field.kind() {
        Kind::Array => field
            .array()?
            .iter()
            .map(Field::string)
            .collect::<Result<Vec<_>, _>>()?,
        _ => return Err(field.wrong("an array of strings")),
    };
    if modalities.iter().any(|modality| modality != "text") {
        return Err(Error::unsupported(
            field.path(),
            "This host answers in text only.",
        ));
    }
    Ok(())
}
