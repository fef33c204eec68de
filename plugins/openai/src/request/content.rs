//! `content` of a message: a string, or parts.

use atoll_plugin_openai_common::media::{audio, data_url, decode};
use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{Error, Media, MediaSource, Part, PartContent};

/// The parts of a message.
///
/// # Errors
/// A part is of an unknown type or wrong inside; the error names it by its path.
pub(crate) fn parts(field: &Field) -> Result<Vec<Part>, Error> {
    match field.kind() {
        Kind::String => Ok(vec![Part::text(field.string()?)]),
        Kind::Array => field
            .array()?
            .iter()
            .map(|part| one(part.object()?))
            .collect(),
        _ => Err(field.wrong("a string or an array of content parts")),
    }
}

fn one(mut part: Fields) -> Result<Part, Error> {
    let kind = part.require("type")?;
    let content = match kind.string()?.as_str() {
        "text" => PartContent::Text(part.require("text")?.string()?),
        "refusal" => PartContent::Refusal(part.require("refusal")?.string()?),
        "image_url" => PartContent::Image(image(&part.require("image_url")?)?),
        "input_audio" => PartContent::Audio(audio(part.require("input_audio")?.object()?)?),
        "file" => PartContent::Document(file(part.require("file")?.object()?)?),
        _ => {
            return Err(kind.wrong("one of 'text', 'image_url', 'input_audio', 'file', 'refusal'"));
        }
    };
    let cache_ttl = match part.object("prompt_cache_breakpoint")? {
        None => None,
        // A boundary without a time of its own has an empty one.
        Some(mut boundary) => Some(boundary.string("ttl")?.unwrap_or_default()),
    };
    Ok(Part {
        content,
        cache_ttl,
        ext: part.rest()?,
    })
}

/// `{"url": ..., "detail": ...}`, or just the URL, as some clients send it.
fn image(field: &Field) -> Result<Media, Error> {
    if field.kind() == Kind::String {
        let (source, media_type) = url(field)?;
        return Ok(Media {
            source,
            media_type,
            detail: None,
        });
    }
    let mut object = field.object()?;
    let (source, media_type) = url(&object.require("url")?)?;
    let detail = match object.take("detail") {
        None => None,
        Some(field) => match field.string()?.as_str() {
            detail @ ("auto" | "low" | "high" | "original") => Some(detail.to_owned()),
            _ => return Err(field.wrong("one of 'auto', 'low', 'high', 'original'")),
        },
    };
    Ok(Media {
        source,
        media_type,
        detail,
    })
}

fn url(field: &Field) -> Result<(MediaSource, String), Error> {
    let url = field.string()?;
    if url.starts_with("data:") {
        let (bytes, media_type) = data_url(field, &url)?;
        return Ok((MediaSource::Bytes(bytes), media_type));
    }
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok((MediaSource::Url(url), String::new()));
    }
    Err(field.wrong("an http, https or base64 data URL"))
}

fn file(mut object: Fields) -> Result<Media, Error> {
    let detail = object.string("filename")?;
    if let Some(id) = object.string("file_id")? {
        return Ok(Media {
            source: MediaSource::FileId(id),
            media_type: String::new(),
            detail,
        });
    }
    let field = object.require("file_data")?;
    let data = field.string()?;
    let (bytes, media_type) = if data.starts_with("data:") {
        data_url(&field, &data)?
    } else {
        (
            decode(&data).ok_or_else(|| field.wrong("base64"))?,
            String::new(),
        )
    };
    Ok(Media {
        source: MediaSource::Bytes(bytes),
        media_type,
        detail,
    })
}
