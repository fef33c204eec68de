//! `POST /v1/embeddings`.

use atoll_sdk::json::Fields;
use atoll_sdk::types::{EmbedRequest, Embeddings, Error};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::request::{fields, input};

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// A list of numbers.
    Float,
    /// Little-endian f32 in base64: what the official clients ask for unless told otherwise.
    Base64,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Body {
    object: &'static str,
    data: Vec<Vector>,
    model: String,
    usage: Usage,
}

#[derive(Debug, Serialize)]
struct Vector {
    object: &'static str,
    index: usize,
    embedding: Values,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Values {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Serialize)]
struct Usage {
    prompt_tokens: u32,
    total_tokens: u32,
}

/// The request in canonical form, and how to write the answer.
///
/// # Errors
/// A field is missing or wrong.
pub(crate) fn decode(mut body: Fields) -> Result<(EmbedRequest, Encoding), Error> {
    let model = fields::model(&mut body)?;
    let inputs = input::inputs(&body.require("input")?)?;
    let encoding = match body.take("encoding_format") {
        None => Encoding::Float,
        Some(field) => match field.string()?.as_str() {
            "float" => Encoding::Float,
            "base64" => Encoding::Base64,
            _ => return Err(field.wrong("'float' or 'base64'")),
        },
    };
    let dimensions = match body.take("dimensions") {
        None => None,
        Some(field) => match field.u32()? {
            0 => return Err(field.wrong("an integer of at least 1")),
            dimensions => Some(dimensions),
        },
    };
    let keep_alive = fields::keep_alive(&mut body)?;
    let ext = body.rest()?;
    let request = EmbedRequest {
        model,
        inputs,
        dimensions,
        truncate: false,
        normalize: true,
        keep_alive,
        ext,
    };
    Ok((request, encoding))
}

/// The answer to it.
pub(crate) fn body(result: Embeddings, encoding: Encoding) -> Body {
    let values = |vector: Vec<f32>| match encoding {
        Encoding::Float => Values::Float(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            Values::Base64(STANDARD.encode(bytes))
        }
    };
    Body {
        object: "list",
        data: result
            .vectors
            .into_iter()
            .enumerate()
            .map(|(index, vector)| Vector {
                object: "embedding",
                index,
                embedding: values(vector),
            })
            .collect(),
        model: result.model,
        usage: Usage {
            prompt_tokens: result.prompt_tokens,
            total_tokens: result.prompt_tokens,
        },
    }
}

#[cfg(test)]
mod tests {
    use atoll_sdk::types::{CompletionInput, Timings};
    use serde_json::json;

    use super::*;

    fn decoded(json: &str) -> Result<(EmbedRequest, Encoding), Error> {
        decode(Fields::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn requests_are_mapped() {
        let (request, encoding) = decoded(
            r#"{"model":"m","input":["a",""],"encoding_format":"base64","dimensions":8,"user":"u"}"#,
        )
        .unwrap();
        assert_eq!(encoding, Encoding::Base64);
        let texts = ["a", ""].map(|text| CompletionInput::Text(text.to_owned()));
        assert_eq!(request.inputs, texts);
        assert_eq!((request.dimensions, request.normalize), (Some(8), true));
        assert_eq!(request.ext.as_deref(), Some(r#"{"user":"u"}"#));
    }

    #[test]
    fn wrong_fields_are_named() {
        for (body, param) in [
            (r#"{"input":"a"}"#, "model"),
            (r#"{"model":"m"}"#, "input"),
            (r#"{"model":"m","input":7}"#, "input"),
            (
                r#"{"model":"m","input":"a","encoding_format":"x"}"#,
                "encoding_format",
            ),
            (r#"{"model":"m","input":"a","dimensions":0}"#, "dimensions"),
        ] {
            assert_eq!(decoded(body).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn vectors_are_numbers_or_little_endian_base64() {
        let result = Embeddings {
            model: "m".to_owned(),
            vectors: vec![vec![1.0, -0.5]],
            prompt_tokens: 3,
            timings: Timings {
                queued: 0,
                load: 0,
                prefill: 0,
                decode: 0,
                total: 0,
            },
        };
        let float = serde_json::to_value(body(result.clone(), Encoding::Float)).unwrap();
        assert_eq!(
            float,
            json!({
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -0.5]}],
                "model": "m",
                "usage": {"prompt_tokens": 3, "total_tokens": 3},
            })
        );
        let base64 = serde_json::to_value(body(result, Encoding::Base64)).unwrap();
        assert_eq!(base64["data"][0]["embedding"], "AACAPwAAAL8=");
    }
}
