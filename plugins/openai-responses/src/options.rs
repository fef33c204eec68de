//! Fields of a request about how it is to be answered, and those that are refused.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{Error, GenerateRequest, JsonSchema, OutputFormat, ReasoningMode};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::shape::Extras;

/// Efforts the API knows.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// What can be included. Those about tools of the original service ask for parts of items that never come.
const INCLUDABLE: [&str; 7] = [
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
];

/// Fields without which the answer would be another one, and what to do instead.
const REFUSED: [(&str, &str); 4] = [
    (
        "conversation",
        "This host keeps no conversations; continue a response with previous_response_id.",
    ),
    (
        "prompt",
        "This host keeps no prompt templates; send the text as instructions and input.",
    ),
    (
        "moderation",
        "This host does not moderate; its filters are set up by whoever runs it.",
    ),
    (
        "context_management",
        "This host does not compact by itself; use POST /v1/responses/compact, or truncation 'auto'.",
    ),
];

/// Refuses what cannot be honoured and must not be left out.
///
/// # Errors
/// Names the field, and what to do instead.
pub fn refuse(body: &mut Fields) -> Result<(), Error> {
    for (name, message) in REFUSED {
        let said = |field: &Field| field.kind() != Kind::Array || field.json() != "[]";
        if body.take(name).as_ref().is_some_and(said) {
            return Err(Error::unsupported(name, message));
        }
    }
    if let Some(mut image) = body.object("image")?
        && image.string("context_compression")?.as_deref() == Some("enabled")
    {
        let message = "This host does not compress pictures; leave out context_compression.";
        return Err(Error::unsupported("image.context_compression", message));
    }
    Ok(())
}

/// Has the host tell the client that something of its request has no effect.
///
/// # Errors
/// Only defects.
pub fn report(body: &mut Fields, name: &str) -> Result<(), Error> {
    let mark = RawValue::from_string("true".to_owned());
    let mark = mark.map_err(|_| Error::internal("true is not JSON"))?;
    body.put(name, Field::new(name, mark));
    Ok(())
}

/// Reports what is left of an object inside the body.
fn report_rest(body: &mut Fields, name: &str, object: Fields) -> Result<(), Error> {
    let rest: Map<String, Value> = match object.rest()? {
        None => return Ok(()),
        Some(rest) => serde_json::from_str(&rest).map_err(|_| Error::internal("not an object"))?,
    };
    for inner in rest.keys() {
        report(body, &format!("{name}.{inner}"))?;
    }
    Ok(())
}

/// One of the API's words.
fn word(field: &Field, words: &[&str]) -> Result<String, Error> {
    let word = field.string()?;
    if words.contains(&word.as_str()) {
        return Ok(word);
    }
    let known: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    Err(field.wrong(&format!("one of {}", known.join(", "))))
}

/// Reads `include` and `top_logprobs`.
///
/// # Errors
/// Something that cannot be included, or a number out of range.
pub fn read_include(
    body: &mut Fields,
    request: &mut GenerateRequest,
    extras: &mut Extras,
) -> Result<(), Error> {
    let include: Vec<String> = body
        .array("include")?
        .unwrap_or_default()
        .iter()
        .map(|field| word(field, &INCLUDABLE))
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

/// Reads `text`.
///
/// # Errors
/// An unknown format or verbosity, or a schema that is no object.
pub fn read_text(
    body: &mut Fields,
    request: &mut GenerateRequest,
    extras: &mut Extras,
) -> Result<(), Error> {
    let Some(mut text) = body.object("text")? else {
        return Ok(());
    };
    if let Some(field) = text.take("verbosity") {
        extras.verbosity = Some(word(&field, &["low", "medium", "high"])?);
        // Models are not told: none of those that run here has learnt the word.
        report(body, "text.verbosity")?;
    }
    let format = text.take("format");
    report_rest(body, "text", text)?;
    let Some(field) = format else {
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
    report_rest(body, "text.format", format)
}

/// Reads `reasoning`.
///
/// # Errors
/// An unknown word, or a way of reasoning that models have not here.
pub fn read_reasoning(
    body: &mut Fields,
    request: &mut GenerateRequest,
    extras: &mut Extras,
) -> Result<(), Error> {
    let Some(mut reasoning) = body.object("reasoning")? else {
        return Ok(());
    };
    // The second is the field's earlier name.
    for name in ["generate_summary", "summary"] {
        if let Some(field) = reasoning.take(name) {
            extras.summary = Some(word(&field, &["auto", "concise", "detailed"])?);
        }
    }
    if let Some(field) = reasoning.take("effort") {
        let effort = word(&field, &EFFORTS)?;
        request.reasoning.mode = if effort == "none" {
            ReasoningMode::Off
        } else {
            ReasoningMode::On
        };
        request.reasoning.effort = Some(effort);
    }
    // What the client sends again is all given to the model's own template, which decides how much of it the model
    // sees. Agents ask for all of it.
    if let Some(field) = reasoning.take("context")
        && word(&field, &["auto", "current_turn", "all_turns"])? != "auto"
    {
        report(body, "reasoning.context")?;
    }
    if let Some(field) = reasoning.take("mode")
        && word(&field, &["standard", "pro"])? != "standard"
    {
        let message = "Models have one mode of reasoning here; use 'standard', and effort.";
        return Err(Error::unsupported(field.path(), message));
    }
    report_rest(body, "reasoning", reasoning)
}

/// Reads what is said about the prompt cache. The host keeps prefixes as long as there is room, whatever is said;
/// what it takes from here is that an answer may not be wanted at all.
///
/// # Errors
/// A field of the wrong kind.
pub fn read_cache(
    body: &mut Fields,
    request: &mut GenerateRequest,
    extras: &mut Extras,
) -> Result<(), Error> {
    request.cache.key = body.string("prompt_cache_key")?;
    let Some(mut options) = body.object("prompt_cache_options")? else {
        return Ok(());
    };
    extras.prewarm |= options.bool("prewarm")?.unwrap_or(false);
    request.cache.ttl = options.string("ttl")?;
    if let Some(field) = options.take("mode") {
        word(&field, &["implicit", "explicit"])?;
        report(body, "prompt_cache_options.mode")?;
    }
    report_rest(body, "prompt_cache_options", options)
}

/// Reads `metadata`.
///
/// # Errors
/// More than the API allows, or values that are no strings.
pub fn read_metadata(body: &mut Fields, request: &mut GenerateRequest) -> Result<(), Error> {
    let Some(field) = body.take("metadata") else {
        return Ok(());
    };
    let expected =
        "at most 16 pairs of strings, keys of up to 64 and values of up to 512 characters";
    let map: Map<String, Value> = field.read(expected)?;
    if map.len() > 16 {
        return Err(field.wrong(expected));
    }
    for (key, value) in map {
        match value {
            Value::String(text) if key.chars().count() <= 64 && text.chars().count() <= 512 => {
                request.metadata.push((key, text));
            }
            _ => return Err(field.wrong(expected)),
        }
    }
    Ok(())
}

/// Reads `service_tier`. There is one here, and the answer says so.
///
/// # Errors
/// A tier the API does not have.
pub fn read_tier(body: &mut Fields) -> Result<(), Error> {
    if let Some(field) = body.take("service_tier") {
        let tiers = [
            "auto",
            "default",
            "flex",
            "scale",
            "priority",
            "fast",
            "ultrafast",
        ];
        word(&field, &tiers)?;
    }
    Ok(())
}

/// Reads `stream_options`.
///
/// # Errors
/// Padding is asked for, which this host does not do.
pub fn read_streaming(body: &mut Fields) -> Result<(), Error> {
    let Some(mut options) = body.object("stream_options")? else {
        return Ok(());
    };
    if options.bool("include_obfuscation")? == Some(true) {
        let message = "This host does not pad its events; leave it out, or set it to false.";
        return Err(Error::unsupported(
            "stream_options.include_obfuscation",
            message,
        ));
    }
    report_rest(body, "stream_options", options)
}
