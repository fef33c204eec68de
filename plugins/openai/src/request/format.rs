//! `response_format`.

use atoll_sdk::json::Fields;
use atoll_sdk::types::{Error, JsonSchema, OutputFormat};

/// The format in canonical form.
///
/// # Errors
/// A field is missing or wrong.
pub(crate) fn output_format(mut format: Fields) -> Result<OutputFormat, Error> {
    let kind = format.require("type")?;
    match kind.string()?.as_str() {
        "text" => Ok(OutputFormat::Text),
        // Several local servers take the schema right here.
        "json_object" => Ok(match format.object_json("schema")? {
            None => OutputFormat::JsonObject,
            Some(schema) => OutputFormat::JsonSchema(JsonSchema {
                name: None,
                description: None,
                schema,
                strict: None,
            }),
        }),
        "json_schema" => {
            let mut inner = format.require("json_schema")?.object()?;
            let missing = Error::missing(inner.path_of("schema"));
            Ok(OutputFormat::JsonSchema(JsonSchema {
                name: inner.string("name")?,
                description: inner.string("description")?,
                schema: inner.object_json("schema")?.ok_or(missing)?,
                strict: inner.bool("strict")?,
            }))
        }
        _ => Err(kind.wrong("one of 'text', 'json_object', 'json_schema'")),
    }
}
