//! `content` of a message: a string, or parts.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{Error, Media, MediaSource, Part, PartContent};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 with or without padding, as clients send it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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

/// `data:image/png;base64,...`
fn data_url(field: &Field, url: &str) -> Result<(Vec<u8>, String), Error> {
    let wrong = || field.wrong("a base64 data URL such as 'data:image/png;base64,...'");
    let (head, data) = url.split_once(',').ok_or_else(wrong)?;
    let head = head
        .strip_prefix("data:")
        .and_then(|head| head.strip_suffix(";base64"));
    let media_type = head
        .ok_or_else(wrong)?
        .split(';')
        .next()
        .unwrap_or_default();
    let bytes = BASE64.decode(data.trim()).map_err(|_| wrong())?;
    Ok((bytes, media_type.to_ascii_lowercase()))
}

fn audio(mut object: Fields) -> Result<Media, Error> {
    let data = object.require("data")?;
    let bytes = BASE64
        .decode(data.string()?.trim())
        .map_err(|_| data.wrong("base64"))?;
    let format = object.require("format")?;
    let media_type = match format.string()?.as_str() {
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        _ => return Err(format.wrong("'wav' or 'mp3'")),
    };
    Ok(Media {
        source: MediaSource::Bytes(bytes),
        media_type: media_type.to_owned(),
        detail: None,
    })
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
            BASE64
                .decode(data.trim())
                .map_err(|_| field.wrong("base64"))?,
            String::new(),
        )
    };
    Ok(Media {
        source: MediaSource::Bytes(bytes),
        media_type,
        detail,
    })
}
