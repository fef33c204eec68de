//! The model families, one small file each: what config.json says, and where the family differs
//! from the shared decoder. A new family that uses known layer kinds is a file here, a line in
//! [`describe`], and a golden test.

mod llama;
mod mistral;
mod qwen2;
mod qwen3;
mod qwen3_moe;

use super::builder::Builder;
use super::config::Fields;
use super::{ModelError, ModelSpec};

/// A model family that runs.
#[derive(Debug)]
pub struct Family {
    /// `model_type` of config.json.
    pub model_type: &'static str,
    /// Published models of the family, for people.
    pub models: &'static str,
    describe: fn(&Builder<'_>) -> Result<ModelSpec, ModelError>,
}

/// The families that run.
pub const FAMILIES: [Family; 5] = [
    Family {
        model_type: "llama",
        models: "Llama 2, 3, 3.1, 3.2, 3.3 and what shares their layout",
        describe: llama::describe,
    },
    Family {
        model_type: "mistral",
        models: "Mistral 7B, Nemo, Small (text)",
        describe: mistral::describe,
    },
    Family {
        model_type: "qwen2",
        models: "Qwen2, Qwen2.5",
        describe: qwen2::describe,
    },
    Family {
        model_type: "qwen3",
        models: "Qwen3 dense, 0.6B to 32B",
        describe: qwen3::describe,
    },
    Family {
        model_type: "qwen3_moe",
        models: "Qwen3 mixture of experts: 30B-A3B, 235B-A22B",
        describe: qwen3_moe::describe,
    },
];

/// The model of a configuration, by its `model_type`.
pub(super) fn describe(config: Fields<'_>) -> Result<ModelSpec, ModelError> {
    let Some(model_type) = config.text("model_type")? else {
        let reason = "is missing; is this the config.json of a language model?";
        return Err(ModelError::config("model_type", reason));
    };
    match FAMILIES
        .iter()
        .find(|family| family.model_type == model_type)
    {
        Some(family) => (family.describe)(&Builder::new(config)?),
        None => Err(ModelError::unsupported(
            "model_type",
            format!("{model_type:?}"),
            format!(
                "the families that run are {}",
                FAMILIES.map(|family| family.model_type).join(", ")
            ),
        )),
    }
}
