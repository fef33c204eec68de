//! Media that requests carry in base64.

use atoll_sdk::json::{Field, Fields};
use atoll_sdk::types::{Error, Media, MediaSource};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// With or without padding, as clients send it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of `data` in base64, padded or not, with or without white space around it. `None` if it is no base64.
#[must_use]
pub fn decode(data: &str) -> Option<Vec<u8>> {
    BASE64.decode(data.trim()).ok()
}

/// The bytes and the media type of `data:image/png;base64,...`, which is what `field` says.
///
/// # Errors
/// It is no such URL; the error names the field.
pub fn data_url(field: &Field, url: &str) -> Result<(Vec<u8>, String), Error> {
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
    let bytes = decode(data).ok_or_else(wrong)?;
    Ok((bytes, media_type.to_ascii_lowercase()))
}

/// What `input_audio` holds: `data` in base64, and its `format`.
///
/// # Errors
/// A field is missing or wrong; the error names it.
pub fn audio(mut object: Fields) -> Result<Media, Error> {
    let data = object.require("data")?;
    let bytes = decode(&data.string()?).ok_or_else(|| data.wrong("base64"))?;
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

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn padding_may_be_left_out_and_white_space_stand_around() {
        for data in ["AQI=", "AQI", " AQI=\n"] {
            assert_eq!(decode(data), Some(vec![1, 2]), "{data:?}");
        }
        assert_eq!(decode("A!"), None);
    }
}
