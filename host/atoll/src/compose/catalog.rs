//! Models on disk: what there is, what each one is, and how one is loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use atoll_engine::engine::{
    ChatPrompt, Engine, EngineError, EngineFactory, EngineOptions, ModelText, TextStream,
};
use atoll_engine::executor::TokenId;
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::text::TextError;
use atoll_engine::text::detokenizer::IncrementalDetokenizer;
use atoll_engine::text::generation::GenerationConfig;
use atoll_engine::text::template::{ChatTemplate, Conversation};
use atoll_engine::text::tokenizer::Tokenizer;
use atoll_executor_cpu::{CpuExecutor, CpuOptions, KvMemory};
use atoll_gateway::models::{EngineFacts, SamplingDefaults};
use atoll_gateway::pool::Catalog;
use atoll_plugin_runtime::types::ModelInfo;

use crate::config::Config;
use crate::error::CliError;

/// The model folders of the configuration.
pub struct ModelCatalog {
    folders: BTreeMap<String, PathBuf>,
    options: CpuOptions,
}

impl ModelCatalog {
    pub fn open(config: &Config) -> Result<Self, CliError> {
        let mut folders = BTreeMap::new();
        for root in &config.models.value {
            for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.join("config.json").is_file()
                    && let Some(name) = path.file_name().and_then(|name| name.to_str())
                {
                    folders.insert(name.to_owned(), path);
                }
            }
        }
        let mut options = CpuOptions::default();
        options.threads = config.threads.value.map(|count| count as usize);
        if let Some(bytes) = config.kv_memory.value {
            options.kv = KvMemory::Bytes(usize::try_from(bytes.0).unwrap_or(usize::MAX));
        }
        Ok(Self { folders, options })
    }

    fn folder(&self, name: &str) -> Result<&Path, EngineError> {
        let folder = self.folders.get(name).map(PathBuf::as_path);
        folder.ok_or_else(|| EngineError::ModelNotFound {
            name: name.to_owned(),
        })
    }

    /// For `atoll models`.
    pub fn listing(&self) -> Listing {
        let mut listing = Listing {
            models: Vec::new(),
            refused: Vec::new(),
        };
        for (name, path) in &self.folders {
            match describe(name, path) {
                Ok(model) => listing.models.push(model),
                Err(error) => listing.refused.push(RefusedModel {
                    path: path.display().to_string(),
                    reason: error.to_string(),
                }),
            }
        }
        listing
    }
}

#[derive(serde::Serialize)]
pub struct Listing {
    pub models: Vec<ListedModel>,
    pub refused: Vec<RefusedModel>,
}

#[derive(serde::Serialize)]
pub struct ListedModel {
    pub name: String,
    pub size_bytes: u64,
    pub family: String,
    pub quantization: String,
    pub context_length: u32,
    pub parameters: u64,
    pub path: String,
}

#[derive(serde::Serialize)]
pub struct RefusedModel {
    pub path: String,
    pub reason: String,
}

fn describe(name: &str, path: &Path) -> Result<ListedModel, EngineError> {
    let checkpoint = Checkpoint::open(path)?;
    let spec = ModelSpec::read(path, &checkpoint)?;
    let quantization = match spec
        .layers
        .first()
        .and_then(|_| spec.embedding.quantization)
    {
        Some(quantization) => format!("q{}", quantization.bits),
        None => "dense".to_owned(),
    };
    Ok(ListedModel {
        name: name.to_owned(),
        size_bytes: checkpoint.bytes(),
        family: spec.family.clone(),
        quantization,
        context_length: u32::try_from(spec.max_positions).unwrap_or(u32::MAX),
        parameters: spec.parameters(),
        path: path.display().to_string(),
    })
}

impl Catalog for ModelCatalog {
    fn list(&self) -> Vec<ModelInfo> {
        let models = self.listing().models.into_iter();
        models
            .map(|model| ModelInfo {
                id: model.name,
                created_at: 0,
                owned_by: "atoll".to_owned(),
                family: model.family,
                quantization: model.quantization,
                parameters: model.parameters,
                size_bytes: model.size_bytes,
                digest: String::new(),
                context_length: model.context_length,
                embedding_length: 0,
                capabilities: vec!["completion".to_owned(), "chat".to_owned()],
                template: None,
                license: None,
                loaded: None,
                ext: None,
            })
            .collect()
    }

    fn facts(&self, name: &str) -> EngineFacts {
        let defaults = self
            .folder(name)
            .ok()
            .and_then(|folder| {
                let tokenizer = Tokenizer::open(folder).ok()?;
                GenerationConfig::read(folder, &tokenizer).ok()
            })
            .map(|config| SamplingDefaults {
                temperature: config.temperature,
                top_k: config.top_k,
                top_p: config.top_p,
                min_p: config.min_p,
                repetition_penalty: config.repetition_penalty,
            });
        EngineFacts {
            name: name.to_owned(),
            defaults: defaults.unwrap_or_default(),
            fingerprint: None,
        }
    }
}

impl EngineFactory for ModelCatalog {
    fn known(&self) -> Vec<String> {
        self.folders.keys().cloned().collect()
    }

    fn bytes(&self, name: &str) -> Result<u64, EngineError> {
        let checkpoint = Checkpoint::open(self.folder(name)?)?;
        Ok(checkpoint.bytes())
    }

    fn load(&self, name: &str) -> Result<Engine, EngineError> {
        let folder = self.folder(name)?;
        let checkpoint = Checkpoint::open(folder)?;
        let spec = ModelSpec::read(folder, &checkpoint)?;
        let tokenizer = Tokenizer::open(folder)?;
        let generation = GenerationConfig::read(folder, &tokenizer)?;
        let template = ChatTemplate::read(folder)?;
        let text = FolderText {
            id: name.to_owned(),
            context_length: spec.max_positions,
            tokenizer,
            generation,
            template,
        };
        let executor = CpuExecutor::load(&spec, &checkpoint, &self.options)
            .map_err(|error| EngineError::Internal(error.to_string()))?;
        Engine::with_text(Arc::new(text), Box::new(executor), EngineOptions::default())
    }
}

struct FolderText {
    id: String,
    context_length: usize,
    tokenizer: Tokenizer,
    generation: GenerationConfig,
    template: Option<ChatTemplate>,
}

impl ModelText for FolderText {
    fn model_id(&self) -> &str {
        &self.id
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn eos(&self) -> &[TokenId] {
        &self.generation.eos
    }

    fn render(&self, chat: &ChatPrompt) -> Result<String, EngineError> {
        let template = self.template.as_ref().ok_or(TextError::NoTemplate)?;
        Ok(template.render(&Conversation {
            messages: &chat.messages,
            tools: chat.tools.as_ref(),
            variables: &chat.template_variables,
            add_generation_prompt: chat.add_generation_prompt,
            continue_final_message: chat.continue_final_message,
            now: SystemTime::now(),
        })?)
    }

    fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<TokenId>, EngineError> {
        Ok(self.tokenizer.encode(text, add_special_tokens)?)
    }

    fn token_bytes(&self, token: TokenId) -> Vec<u8> {
        self.tokenizer.token_bytes(token).to_vec()
    }

    fn stream(&self, continues: bool) -> Box<dyn TextStream> {
        Box::new(Stream(if continues {
            IncrementalDetokenizer::continuing(&self.tokenizer)
        } else {
            IncrementalDetokenizer::new(&self.tokenizer)
        }))
    }
}

struct Stream(IncrementalDetokenizer);

impl TextStream for Stream {
    fn push(&mut self, token: TokenId) -> String {
        self.0.push(token)
    }

    fn finish(&mut self) -> String {
        self.0.finish()
    }
}
