//! Typed settings: the pure half of [`host::config::settings`](crate::host::config::settings).

use serde::de::DeserializeOwned;

use crate::types::Error;

/// The schema of a plugin that has no settings, for
/// [`Descriptor::with_settings_schema`](crate::types::Descriptor::with_settings_schema): what is set by
/// mistake is refused by its name, instead of being ignored.
pub const NONE: &str = r#"{"type": "object", "properties": {}, "additionalProperties": false}"#;

/// Reads a settings object.
///
/// # Errors
/// The text is not what `T` expects; the message says where.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json)
        .map_err(|error| Error::invalid("settings", format!("The settings are wrong: {error}.")))
}
