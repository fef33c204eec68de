//! `POST /v1/completions`.

use atoll_sdk::json::Fields;
use atoll_sdk::types::{Completion, Error, GenerateRequest, Prompt};

use crate::request::{fields, input};

/// What the API generates when the client does not say how much.
const DEFAULT_MAX_TOKENS: u32 = 16;

/// The API's limit is 5; local servers allow as many as Chat Completions does.
const MOST_LOGPROBS: u32 = 20;

/// The request in canonical form, and how many choices it gives in all.
///
/// # Errors
/// A field is missing or wrong.
pub(crate) fn decode(mut body: Fields) -> Result<(GenerateRequest, u32), Error> {
    let model = fields::model(&mut body)?;
    let inputs = input::inputs(&body.require("prompt")?)?;
    let prompts = u32::try_from(inputs.len()).unwrap_or(u32::MAX);
    let completion = Completion {
        inputs,
        suffix: body.string("suffix")?.filter(|suffix| !suffix.is_empty()),
        echo: body.bool("echo")?.unwrap_or(false),
        raw: true,
    };
    let mut request = GenerateRequest::new(model, Prompt::Completion(completion));
    fields::shared(&mut body, &mut request)?;
    request.max_output_tokens = match body.take("max_tokens") {
        None => Some(DEFAULT_MAX_TOKENS),
        Some(field) => fields::max_tokens(&field)?,
    };
    if let Some(field) = body.take("best_of") {
        let best_of = field.u32()?;
        if best_of < request.choices || best_of > 128 {
            return Err(field.wrong("an integer from n to 128"));
        }
        if request.streaming.enabled && best_of > request.choices {
            return Err(field.wrong("n, because candidates cannot be ranked while streaming"));
        }
        request.best_of = Some(best_of);
    }
    if let Some(field) = body.take("logprobs") {
        match field.u32() {
            Ok(logprobs) if logprobs <= MOST_LOGPROBS => request.logprobs = Some(logprobs),
            _ => return Err(field.wrong(&format!("an integer from 0 to {MOST_LOGPROBS}"))),
        }
    }
    let choices = prompts.checked_mul(request.choices).ok_or_else(|| {
        Error::invalid(
            "n",
            "Invalid value for 'n': too many choices for so many prompts.",
        )
    })?;
    request.unconsumed = body.rest()?;
    Ok((request, choices))
}
