//! [`TextModel`]: a model folder, opened: everything the engine needs besides an executor.

use std::path::Path;

use super::{ModelFolder, StoreError};
use crate::executor::{Pooling, TokenId};
use crate::model::checkpoint::Checkpoint;
use crate::model::{Dtype, ModelSpec, Quantization};
use crate::text::generation::{GenerationConfig, read_json};
use crate::text::template::ChatTemplate;
use crate::text::tokenizer::Tokenizer;

/// Facts about a model, for lists and clients.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// The name it is asked for by.
    pub id: String,
    /// `model_type` of config.json.
    pub family: String,
    /// Longest sequence in tokens.
    pub context_length: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// How many numbers it has.
    pub parameters: u64,
    /// How most of its weights are quantised.
    pub quantization: Option<Quantization>,
    /// How its other weights are stored.
    pub dtype: Dtype,
    /// Bytes of its weights.
    pub bytes: u64,
    /// When it came to this machine, in seconds since 1970.
    pub created: u64,
    /// Tokens that end a turn; empty in a listing, which opens no tokenizer.
    pub eos: Vec<TokenId>,
}

impl ModelInfo {
    pub(super) fn new(id: &str, spec: &ModelSpec, bytes: u64, created: u64) -> Self {
        Self {
            id: id.to_owned(),
            family: spec.family.clone(),
            context_length: spec.max_positions,
            hidden_size: spec.hidden_size,
            parameters: spec.parameters(),
            quantization: spec.quantization,
            dtype: spec.dtype,
            bytes,
            created,
            eos: Vec::new(),
        }
    }

    /// How the weights are stored, for people: `4-bit` or `BF16`.
    #[must_use]
    pub fn weights_label(&self) -> String {
        match self.quantization {
            Some(quantization) => format!("{}-bit", quantization.bits),
            None => self.dtype.to_string(),
        }
    }
}

/// A model folder, opened and checked.
#[derive(Debug)]
pub struct TextModel {
    /// What the model is.
    pub spec: ModelSpec,
    /// Where its tensors are; has every tensor of `spec`.
    pub checkpoint: Checkpoint,
    /// Text to tokens and back.
    pub tokenizer: Tokenizer,
    /// Conversations to text; base models have none.
    pub template: Option<ChatTemplate>,
    /// Its makers' defaults, and the tokens that end a turn.
    pub generation: GenerationConfig,
    /// How its embeddings are made, as `1_Pooling/config.json` (the layout of sentence-transformers)
    /// says; the last position's where it says nothing.
    pub pooling: Pooling,
    /// Facts for lists and clients.
    pub info: ModelInfo,
}

impl TextModel {
    pub(super) fn load(folder: &ModelFolder) -> Result<Self, StoreError> {
        let path = folder.path();
        let checkpoint = Checkpoint::open(path)?;
        let spec = ModelSpec::read(path, &checkpoint)?;
        let tokenizer = Tokenizer::open(path)?;
        let template = ChatTemplate::read(path)?;
        let mut generation = GenerationConfig::read(path, &tokenizer)?;
        // A token the model has no logit for can never be drawn, and would not fit its masks.
        generation
            .eos
            .retain(|&token| (token as usize) < spec.vocab_size);
        let mut info = ModelInfo::new(folder.id(), &spec, checkpoint.bytes(), folder.modified());
        info.eos.clone_from(&generation.eos);
        Ok(Self {
            spec,
            checkpoint,
            tokenizer,
            template,
            generation,
            pooling: pooling(path)?,
            info,
        })
    }
}

/// # Errors
/// The file is there and cannot be read as JSON.
fn pooling(folder: &Path) -> Result<Pooling, StoreError> {
    let config = read_json(&folder.join("1_Pooling"), "config.json")?;
    let mean = config.get("pooling_mode_mean_tokens") == Some(&serde_json::Value::Bool(true));
    Ok(if mean { Pooling::Mean } else { Pooling::Last })
}
