//! Typed settings: the pure half of [`host::config::settings`](crate::host::config::settings).

use serde::de::DeserializeOwned;

use crate::types::Error;

/// Reads a settings object.
///
/// # Errors
/// The text is not what `T` expects; the message says where.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json)
        .map_err(|error| Error::invalid("settings", format!("The settings are wrong: {error}.")))
}
