//! The fields that Chat Completions and Completions share.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{Error, GenerateRequest, KeepAlive};
use serde_json::value::RawValue;

use crate::request::keep_alive as duration;

/// OpenAI allows four; local users need some more, and an unbounded list would be a way to make
/// every token expensive.
const MOST_STOPS: usize = 16;

/// Takes out the model's name.
///
/// # Errors
/// It is missing, empty or no string.
pub(crate) fn model(body: &mut Fields) -> Result<String, Error> {
    let field = body.require("model")?;
    let model = field.string()?;
    if model.is_empty() {
        Err(field.wrong("the name of a model"))
    } else {
        Ok(model)
    }
}

/// Takes out everything about sampling, limits, streaming and identity that both endpoints have.
///
/// # Errors
/// A field is wrong.
pub(crate) fn shared(body: &mut Fields, request: &mut GenerateRequest) -> Result<(), Error> {
    sampling(body, request)?;
    request.stop = stop(body)?;
    if let Some(n) = body.take("n") {
        request.choices = match n.u32() {
            Ok(choices @ 1..=128) => choices,
            _ => return Err(n.wrong("an integer from 1 to 128")),
        };
    }
    request.streaming.enabled = body.bool("stream")?.unwrap_or(false);
    if let Some(field) = body.take("stream_options") {
        let mut options = field.object()?;
        if !request.streaming.enabled {
            let message = "'stream_options' is only allowed when 'stream' is true.";
            return Err(Error::invalid("stream_options", message));
        }
        request.streaming.include_usage = options.bool("include_usage")?.unwrap_or(false);
        // Padding against eavesdroppers who count bytes is for networks, not for one's own machine.
        options.take("include_obfuscation");
        put_back(body, "stream_options", options)?;
    }
    request.keep_alive = keep_alive(body)?;
    request.end_user = identity(body)?;
    Ok(())
}

fn sampling(body: &mut Fields, request: &mut GenerateRequest) -> Result<(), Error> {
    let sampling = &mut request.sampling;
    sampling.temperature = body.f64_in("temperature", 0.0..=2.0)?;
    sampling.top_p = body.f64_in("top_p", 0.0..=1.0)?;
    sampling.min_p = body.f64_in("min_p", 0.0..=1.0)?;
    sampling.presence_penalty = body.f64_in("presence_penalty", -2.0..=2.0)?;
    sampling.frequency_penalty = body.f64_in("frequency_penalty", -2.0..=2.0)?;
    sampling.repetition_penalty = body.f64_in("repetition_penalty", 0.01..=100.0)?;
    if let Some(field) = body.take("top_k") {
        let value: i64 = field.read("an integer")?;
        // 0 and -1 both turn it off, as in the servers that have the field, whatever the model's own is.
        sampling.top_k = match value {
            -1 => Some(0),
            value => Some(u32::try_from(value).map_err(|_| field.wrong("an integer from -1"))?),
        };
    }
    if let Some(field) = body.take("seed") {
        // Signed in the original; the bits are what counts.
        let seed: i64 = field.read("a 64-bit integer")?;
        sampling.seed = Some(u64::from_ne_bytes(seed.to_ne_bytes()));
    }
    sampling.ignore_eos = body.bool("ignore_eos")?.unwrap_or(false);
    if let Some(field) = body.take("logit_bias") {
        let biases: std::collections::BTreeMap<String, f64> =
            field.read("an object of token ids and numbers")?;
        for (token, bias) in biases {
            let path = format!("{}.{token}", field.path());
            let id: u32 = token.parse().map_err(|_| {
                Error::invalid(
                    &path,
                    format!("Invalid value for '{path}': expected a token id."),
                )
            })?;
            if !(-100.0..=100.0).contains(&bias) {
                let message = format!("Invalid value for '{path}': expected -100 to 100.");
                return Err(Error::invalid(path, message));
            }
            sampling.logit_bias.push((id, bias));
        }
    }
    Ok(())
}

/// One string or several. Empty ones, which some user interfaces send for "none", say nothing.
fn stop(body: &mut Fields) -> Result<Vec<String>, Error> {
    let Some(field) = body.take("stop") else {
        return Ok(Vec::new());
    };
    let mut stops = match field.kind() {
        Kind::String => vec![field.string()?],
        Kind::Array => field
            .array()?
            .iter()
            .map(Field::string)
            .collect::<Result<_, _>>()?,
        _ => return Err(field.wrong("a string or an array of strings")),
    };
    stops.retain(|stop| !stop.is_empty());
    if stops.len() > MOST_STOPS {
        return Err(field.wrong(&format!("at most {MOST_STOPS} strings")));
    }
    Ok(stops)
}

/// `user` is the older name of `safety_identifier`.
fn identity(body: &mut Fields) -> Result<Option<String>, Error> {
    let user = body.string("user")?;
    Ok(body.string("safety_identifier")?.or(user))
}

/// Puts back what nobody took of an object, to be reported under the object's name.
///
/// # Errors
/// Never for fields that came from JSON.
pub(crate) fn put_back(body: &mut Fields, name: &str, rest: Fields) -> Result<(), Error> {
    if let Some(rest) = rest.rest()? {
        let raw = RawValue::from_string(rest).map_err(|_| Error::internal("fields are JSON"))?;
        body.put(name, Field::new(name, raw));
    }
    Ok(())
}

/// A count of tokens to generate. -1, which some clients send for "no limit", is none.
///
/// # Errors
/// It is something else, or negative.
pub(crate) fn max_tokens(field: &Field) -> Result<Option<u32>, Error> {
    match field.read::<i64>("an integer of at least 0")? {
        -1 => Ok(None),
        value if value < 0 => Err(field.wrong("an integer of at least 0")),
        // More than any model has room for, which is what the client means.
        value => Ok(Some(u32::try_from(value).unwrap_or(u32::MAX))),
    }
}

/// Takes out how long the model stays in memory: a local extra, spelled as Ollama does.
///
/// # Errors
/// It is neither a number of seconds nor a duration.
pub(crate) fn keep_alive(body: &mut Fields) -> Result<Option<KeepAlive>, Error> {
    let Some(field) = body.take("keep_alive") else {
        return Ok(None);
    };
    let parsed = match field.kind() {
        Kind::Number => duration::from_seconds(field.f64()?),
        Kind::String => duration::from_text(&field.string()?),
        _ => None,
    };
    parsed
        .map(Some)
        .ok_or_else(|| field.wrong("seconds or a duration such as '5m'"))
}
