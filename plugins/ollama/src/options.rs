//! `options` and `keep_alive`: the knobs of Ollama's API, with its defaults.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{Error, GenerateRequest, KeepAlive};

/// What Ollama uses where neither the client nor the model says otherwise.
const TEMPERATURE: f64 = 0.8;
const TOP_K: u32 = 40;
const TOP_P: f64 = 0.9;

/// Tokens at the beginning that stay when a context is cut, where the client does not say how many.
const NUM_KEEP: u32 = 4;

/// How much of the model's context a request may use; goes to the host in `ext`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// `num_ctx`
    pub length: Option<u32>,
    /// `num_keep`
    pub keep: u32,
    /// `shift`
    pub slide: bool,
    /// `think` was asked for: a model that cannot is refused.
    pub require_reasoning: bool,
}

impl Context {
    /// As the host reads it.
    #[must_use]
    pub fn to_json(self) -> String {
        let Self {
            length,
            keep,
            slide,
            require_reasoning,
        } = self;
        serde_json::json!({
            "context_length": length,
            "keep": keep,
            "slide": slide,
            "require_reasoning": require_reasoning,
        })
        .to_string()
    }
}

/// Options of the process that runs a model in the original. This host decides these things by itself for all
/// requests; they are looked at for their types and reported as not honoured.
const OF_THE_PROCESS: [(&str, &str); 7] = [
    ("num_batch", "integer"),
    ("num_gpu", "integer"),
    ("main_gpu", "integer"),
    ("use_mmap", "boolean"),
    ("num_thread", "integer"),
    ("draft_num_predict", "integer"),
    ("numa", "boolean"),
];

/// Applies `options` to a request, except those of its context, which are returned; what this host does not turn
/// (`num_gpu`, ...) is put back for `unconsumed`.
///
/// # Errors
/// A value of the wrong type, in Ollama's words.
pub fn apply(body: &mut Fields, request: &mut GenerateRequest) -> Result<Context, Error> {
    let mut context = Context {
        length: None,
        keep: NUM_KEEP,
        slide: false,
        require_reasoning: false,
    };
    let sampling = &mut request.sampling;
    sampling.temperature = Some(TEMPERATURE);
    sampling.top_k = Some(TOP_K);
    sampling.top_p = Some(TOP_P);
    let Some(field) = body.take("options") else {
        return Ok(context);
    };
    let mut options = field.object()?;
    // Zero is not said, as in the original.
    context.length = integer(&mut options, "num_ctx")?
        .and_then(|length| u32::try_from(length).ok())
        .filter(|&length| length > 0);
    // -1 keeps the whole prompt.
    if let Some(keep) = integer(&mut options, "num_keep")? {
        context.keep = u32::try_from(keep).unwrap_or(u32::MAX);
    }
    for (name, kind) in OF_THE_PROCESS {
        if let Some(field) = options.take(name) {
            let fits = match kind {
                "integer" => whole(&field).is_some(),
                _ => field.kind() == Kind::Bool,
            };
            if !fits {
                return Err(wrong(name, kind));
            }
            options.put(name, field);
        }
    }
    if let Some(value) = number(&mut options, "temperature")? {
        // What is out of range counts as the range's end, as in the original.
        sampling.temperature = Some(value.max(0.0));
    }
    if let Some(value) = integer(&mut options, "top_k")? {
        // Zero or less means all, whatever the model's own is.
        sampling.top_k = Some(u32::try_from(value.max(0)).unwrap_or(u32::MAX));
    }
    if let Some(value) = number(&mut options, "top_p")? {
        sampling.top_p = Some(value.clamp(0.0, 1.0));
    }
    sampling.min_p = number(&mut options, "min_p")?.map(|value| value.clamp(0.0, 1.0));
    sampling.typical_p = number(&mut options, "typical_p")?.filter(|p| *p < 1.0);
    sampling.repetition_penalty = number(&mut options, "repeat_penalty")?;
    // -1 looks back over the whole context.
    sampling.repeat_last_n =
        integer(&mut options, "repeat_last_n")?.and_then(|n| u32::try_from(n).ok());
    sampling.presence_penalty = number(&mut options, "presence_penalty")?;
    sampling.frequency_penalty = number(&mut options, "frequency_penalty")?;
    // Any integer is a seed; -1 asks for a random one.
    sampling.seed = integer(&mut options, "seed")?
        .filter(|seed| *seed != -1)
        .map(i64::cast_unsigned);
    // -1 is no limit, -2 is the rest of the context: the same thing here.
    request.max_output_tokens =
        integer(&mut options, "num_predict")?.and_then(|n| u32::try_from(n).ok());
    if let Some(stops) = options.take("stop") {
        let stops = stops.array().map_err(|_| wrong("stop", "array"))?;
        for stop in stops {
            let text = stop.string().map_err(|_| wrong("stop", "array"))?;
            if !text.is_empty() {
                request.stop.push(text);
            }
        }
    }
    if let Some(rest) = options.rest()? {
        let raw = serde_json::value::RawValue::from_string(rest)
            .map_err(|_| Error::internal("options are not JSON"))?;
        body.put("options", Field::new("options", raw));
    }
    Ok(context)
}

fn wrong(name: &str, kind: &str) -> Error {
    Error::invalid(
        format!("options.{name}"),
        format!("option \"{name}\" must be of type {kind}"),
    )
}

fn number(options: &mut Fields, name: &str) -> Result<Option<f64>, Error> {
    options
        .take(name)
        .map(|field| field.f64().map_err(|_| wrong(name, "float32")))
        .transpose()
}

fn integer(options: &mut Fields, name: &str) -> Result<Option<i64>, Error> {
    options
        .take(name)
        .map(|field| whole(&field).ok_or_else(|| wrong(name, "integer")))
        .transpose()
}

/// Clients in Go draw seeds of 63 bits, which are more than a float holds; clients in JavaScript write 40.0. A fraction
/// is wrong.
fn whole(field: &Field) -> Option<i64> {
    if let Ok(exact) = field.json().parse() {
        return Some(exact);
    }
    let value = field.f64().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be a whole number; beyond the range of 64 bits the nearest end of it is meant"
    )]
    (value.fract() == 0.0).then_some(value as i64)
}

/// `keep_alive`: seconds as a number, or a Go duration such as `5m` or `1h30m`; negative is for ever.
///
/// # Errors
/// Anything else.
pub fn keep_alive(body: &mut Fields) -> Result<Option<KeepAlive>, Error> {
    let Some(field) = body.take("keep_alive") else {
        return Ok(None);
    };
    let seconds = match field.kind() {
        Kind::Number => field.f64()?,
        Kind::String => {
            let text = field.string()?;
            go_duration(&text).ok_or_else(|| {
                Error::invalid("keep_alive", format!("time: invalid duration {text:?}"))
            })?
        }
        _ => return Err(field.wrong("a number of seconds or a duration such as \"5m\"")),
    };
    if seconds < 0.0 {
        return Ok(Some(KeepAlive::Forever));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; casting from float saturates"
    )]
    let milliseconds = (seconds * 1000.0) as u64;
    Ok(Some(KeepAlive::ForMs(milliseconds)))
}

/// Go's `time.ParseDuration`, in seconds.
fn go_duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += value
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(value: &str) -> Result<Option<KeepAlive>, Error> {
        keep_alive(&mut Fields::parse(format!("{{\"keep_alive\":{value}}}").as_bytes()).unwrap())
    }

    #[test]
    fn durations_as_go_writes_them() {
        for (value, milliseconds) in [
            ("300", 300_000),
            ("0", 0),
            ("\"5m\"", 300_000),
            ("\"1h30m\"", 5_400_000),
            ("\"1.5s\"", 1500),
            ("\"0\"", 0),
        ] {
            assert_eq!(
                keep(value).unwrap(),
                Some(KeepAlive::ForMs(milliseconds)),
                "{value}"
            );
        }
        for value in ["-1", "\"-1m\"", "-0.5"] {
            assert_eq!(keep(value).unwrap(), Some(KeepAlive::Forever), "{value}");
        }
        for value in ["\"\"", "\"5\"", "\"m\"", "\"5x\"", "true", "\"1..2s\""] {
            assert!(keep(value).is_err(), "{value}");
        }
    }
}
