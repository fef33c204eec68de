//! The model families, one small file each: what config.json says, and where the family differs
//! from the shared decoder. A new family that uses known layer kinds is a file here, a line in
//! [`describe`], and a golden test.

mod llama;
mod mistral;
mod qwen2;
mod qwen3;

use super::builder::Builder;
use super::config::Fields;
use super::{ModelError, ModelSpec};

/// A family: its `model_type` and its description.
type Family = (
    &'static str,
    fn(&Builder<'_>) -> Result<ModelSpec, ModelError>,
);

/// The families that run.
const FAMILIES: [Family; 4] = [
    ("llama", llama::describe),
    ("mistral", mistral::describe),
    ("qwen2", qwen2::describe),
    ("qwen3", qwen3::describe),
];

/// The model of a configuration, by its `model_type`.
pub(super) fn describe(config: Fields<'_>) -> Result<ModelSpec, ModelError> {
    let Some(model_type) = config.text("model_type")? else {
        let reason = "is missing; is this the config.json of a language model?";
        return Err(ModelError::config("model_type", reason));
    };
    match FAMILIES.iter().find(|(name, _)| *name == model_type) {
        Some((_, describe)) => describe(&Builder::new(config)?),
        None => Err(ModelError::unsupported(
            "model_type",
            format!("{model_type:?}"),
            format!(
                "the families that run are {}",
                FAMILIES.map(|(name, _)| name).join(", ")
            ),
        )),
    }
}
