//! Models on disk: what there is, what each one is, and how one is loaded.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use atoll_cluster::plan::Needs;
use atoll_cluster::wire::call::StageOrder;
use atoll_engine::engine::{Engine, EngineError, EngineFactory, EngineOptions};
use atoll_engine::executor::StageExecutor;
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::scheduler::{FirstComeFirstServed, QueuePolicy};
use atoll_engine::store::{
    Abilities, EmbeddedModel, ModelFolder, ModelStore, StoreError, TextModel,
};
use atoll_executor_mlx::Unavailable;
use atoll_gateway::models::{EngineFacts, SamplingDefaults};
use atoll_gateway::pool::Catalog;
use atoll_plugin_runtime::types::ModelInfo;

use super::details;
use crate::config::Config;
use crate::embedded;
use crate::executor::{self, ExecutorChoice, ExecutorOptions, Runner, Selection};
use crate::strategies::SchedulingSlot;

/// The models of this machine, described by the store, run by the executor of the configuration.
pub struct ModelCatalog {
    store: ModelStore,
    choice: ExecutorChoice,
    options: ExecutorOptions,
    /// What runs models, once somebody asked: looking for a GPU takes a moment.
    selection: OnceLock<Result<Selection, Unavailable>>,
    /// What the gateway needs of each model that has been loaded. Grows with the models there are.
    facts: Mutex<HashMap<String, EngineFacts>>,
    /// Fingerprints of weights, each with the state of the files it was made of.
    weights: Mutex<HashMap<String, (String, String)>>,
    /// What models can do, by the fingerprint of their files. Grows with the models there were.
    abilities: Mutex<HashMap<String, Abilities>>,
    /// Who decides in which order requests are let in; first come, first served without.
    scheduling: Option<Arc<SchedulingSlot>>,
}

/// KV memory of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvBlocks {
    /// Positions of a block.
    pub size: u32,
    /// Blocks.
    pub count: u32,
}

impl ModelCatalog {
    /// The models folders of the configuration, and the demo model.
    pub fn open(config: &Config) -> Self {
        let mut store = ModelStore::open(config.models.value.clone());
        if !embedded::FILES.is_empty() {
            let demo = EmbeddedModel {
                id: embedded::NAME,
                files: embedded::FILES,
            };
            match demo.unpack(&config.paths.cache.join("models")) {
                Ok(folder) => store.add(folder),
                // Other models work without it.
                Err(error) => tracing::warn!(%error, "the demo model cannot be unpacked"),
            }
        }
        Self {
            store,
            choice: config.executor.value,
            options: ExecutorOptions::of(config),
            selection: OnceLock::new(),
            facts: Mutex::default(),
            weights: Mutex::default(),
            abilities: Mutex::default(),
            scheduling: None,
        }
    }

    /// What runs models.
    ///
    /// # Errors
    /// The executor that was asked for is not there.
    pub fn executor(&self) -> Result<&Selection, &Unavailable> {
        let select = || executor::select(self.choice, atoll_executor_mlx::device());
        self.selection.get_or_init(select).as_ref()
    }

    fn runner(&self) -> Result<&Runner, EngineError> {
        match self.executor() {
            Ok(selection) => Ok(&selection.runner),
            Err(error) => Err(EngineError::Internal(error.to_string())),
        }
    }

    /// The queue policy of one engine.
    pub fn policy(&self) -> Box<dyn QueuePolicy> {
        match &self.scheduling {
            Some(slot) => slot.policy(),
            None => Box::new(FirstComeFirstServed),
        }
    }

    /// Engines loaded from now on let requests in as this strategy says.
    pub fn scheduled_by(mut self, slot: Arc<SchedulingSlot>) -> Self {
        self.scheduling = Some(slot);
        self
    }

    /// For `atoll models`.
    pub fn listing(&self) -> Listing {
        let mut listing = Listing {
            models: Vec::new(),
            refused: Vec::new(),
        };
        for (folder, info) in self.store.list() {
            let path = folder.path().display().to_string();
            match info {
                Ok(info) => listing.models.push(ListedModel {
                    name: info.id.clone(),
                    size_bytes: info.bytes,
                    family: info.family.clone(),
                    weights: info.weights_label(),
                    context_length: info.context_length,
                    parameters: info.parameters,
                    path,
                }),
                Err(error) => {
                    let name = folder.id().to_owned();
                    listing.refused.push(RefusedModel {
                        name,
                        path,
                        reason: error.to_string(),
                    });
                }
            }
        }
        listing
    }

    /// Where a model is.
    pub fn folder(&self, name: &str) -> Option<PathBuf> {
        let folder = self.store.find(name).ok()?;
        Some(folder.path().to_owned())
    }

    fn find(&self, name: &str) -> Result<ModelFolder, EngineError> {
        self.store.find(name).map_err(engine_error)
    }

    /// A model's text side and checkpoint, without its weights in memory.
    ///
    /// # Errors
    /// What is wrong with its folder.
    pub fn open_text(&self, name: &str) -> Result<TextModel, EngineError> {
        let model = self.find(name)?.load_text().map_err(engine_error)?;
        self.remember(&model);
        Ok(model)
    }

    /// Its description and checkpoint.
    fn open_checkpoint(&self, name: &str) -> Result<(ModelSpec, Checkpoint), EngineError> {
        let folder = self.find(name)?;
        let checkpoint = Checkpoint::open(folder.path())?;
        let spec = ModelSpec::read(folder.path(), &checkpoint)?;
        Ok((spec, checkpoint))
    }

    /// What a model needs on a cluster: as much KV memory as on one machine.
    ///
    /// # Errors
    /// What is wrong with its folder.
    pub fn needs(&self, name: &str) -> Result<Needs, EngineError> {
        let (spec, _) = self.open_checkpoint(name)?;
        let value_bytes = self.runner()?.kv_value_bytes();
        let per_position = spec.kv_bytes_per_position(0..spec.layers.len(), value_bytes);
        Ok(Needs {
            kv_positions: self.options.kv_bytes() / per_position.max(1),
            kv_value_bytes: value_bytes,
            spec,
        })
    }

    /// So many positions as blocks of this node's size.
    pub fn kv_blocks(&self, positions: u64) -> KvBlocks {
        let size = self.options.cpu.block_size.max(1);
        let count = positions / size as u64;
        KvBlocks {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            // Block ids are 32 bits wide.
            count: u32::try_from(count).unwrap_or(u32::MAX).max(1),
        }
    }

    /// What tells a model's weights from others, in words for another node's log if there is none.
    pub fn weights_fingerprint(&self, name: &str) -> Result<String, String> {
        let folder = self.folder(name);
        let folder = folder.ok_or_else(|| format!("this node has no model {name:?}"))?;
        let state = details::fingerprint(&folder);
        let known = || self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, hash)) = known().get(name)
            && *then == state
        {
            return Ok(hash.clone());
        }
        let hash = crate::cluster::fingerprint(&folder)
            .map_err(|error| format!("the files of {name:?} cannot be read: {error}"))?;
        known().insert(name.to_owned(), (state, hash.clone()));
        Ok(hash)
    }

    /// A part of a model, as another node ordered it. Sizes are checked before anything is allocated.
    pub fn load_stage(&self, order: &StageOrder) -> Result<Box<dyn StageExecutor>, String> {
        let runner = self.runner().map_err(|error| error.to_string())?;
        let (spec, checkpoint) = self
            .open_checkpoint(&order.model)
            .map_err(|error| error.to_string())?;
        let layers = order.first as usize..order.end as usize;
        if layers.is_empty() || layers.end > spec.layers.len() {
            return Err(format!(
                "layers {layers:?} of a model that has {}",
                spec.layers.len()
            ));
        }
        let needs = Needs {
            kv_positions: u64::from(order.num_blocks) * u64::from(order.block_size),
            kv_value_bytes: runner.kv_value_bytes(),
            spec,
        };
        let total = runner
            .memory()
            .unwrap_or_else(atoll_cluster::node::memory_total);
        let needed = needs.bytes(layers.clone());
        if needed > total {
            return Err(format!("{needed} bytes, but this machine has {total}"));
        }
        let (count, size) = (order.num_blocks as usize, order.block_size as usize);
        self.options
            .of_blocks(count, size)
            .load_stage(runner, &needs.spec, layers, &checkpoint)
    }

    /// A model of the store in the words of the plugins' contract.
    fn described(&self, info: atoll_engine::store::ModelInfo, folder: &ModelFolder) -> ModelInfo {
        let digest = details::fingerprint(folder.path());
        let lock = || {
            self.abilities
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        // Not in one expression with what follows: the lock would be held all along.
        let known = lock().get(&digest).copied();
        let found = known.unwrap_or_else(|| match folder.abilities() {
            Ok(found) => {
                lock().insert(digest.clone(), found);
                found
            }
            Err(error) => {
                tracing::warn!(model = folder.id(), %error, "what this model can do cannot be read");
                Abilities::default()
            }
        });
        canonical(info, digest, found)
    }

    fn remember(&self, model: &TextModel) {
        let generation = &model.generation;
        let facts = EngineFacts {
            name: model.info.id.clone(),
            defaults: SamplingDefaults {
                temperature: generation.temperature,
                top_k: generation.top_k,
                top_p: generation.top_p,
                min_p: generation.min_p,
                repetition_penalty: generation.repetition_penalty,
            },
            fingerprint: Some(format!("atoll-{}", env!("CARGO_PKG_VERSION"))),
        };
        let mut all = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(model.info.id.clone(), facts);
    }
}

/// What `atoll models` shows.
#[derive(serde::Serialize)]
pub struct Listing {
    /// Models that can be used.
    pub models: Vec<ListedModel>,
    /// Folders that look like models and cannot be.
    pub refused: Vec<RefusedModel>,
}

/// One model.
#[derive(serde::Serialize)]
pub struct ListedModel {
    /// The name requests use.
    pub name: String,
    /// Bytes of its weights.
    pub size_bytes: u64,
    /// `llama`, `qwen3`.
    pub family: String,
    /// How the weights are stored.
    pub weights: String,
    /// Longest sequence in tokens.
    pub context_length: usize,
    /// How many numbers it has.
    pub parameters: u64,
    /// Where it is.
    pub path: String,
}

/// One folder that cannot be used.
#[derive(serde::Serialize)]
pub struct RefusedModel {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Catalog for ModelCatalog {
    fn list(&self) -> Vec<ModelInfo> {
        let usable = self
            .store
            .list()
            .into_iter()
            .filter_map(|(folder, info)| match info {
                Ok(info) => Some(self.described(info, &folder)),
                Err(error) => {
                    tracing::warn!(model = folder.id(), %error, "this model cannot be used");
                    None
                }
            });
        usable.collect()
    }

    fn show(&self, name: &str) -> Option<ModelInfo> {
        let folder = self.store.find(name).ok()?;
        let described = self.described(folder.info().ok()?, &folder);
        let details = details::read(folder.path());
        Some(ModelInfo {
            template: details.template,
            license: details.license,
            ..described
        })
    }

    fn facts(&self, name: &str) -> EngineFacts {
        let all = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || EngineFacts {
            name: name.to_owned(),
            ..EngineFacts::default()
        };
        all.get(name).cloned().unwrap_or_else(unknown)
    }
}

/// What a model can do, in the words of the plugins' contract.
fn capabilities(abilities: Abilities) -> Vec<String> {
    let Abilities {
        embedding,
        chat,
        tools,
        reasoning,
        infill,
    } = abilities;
    // A model made for embeddings writes nothing of use.
    let writes = !embedding;
    let all = [
        ("completion", writes),
        ("chat", writes && chat),
        ("tools", writes && tools),
        ("reasoning", writes && reasoning),
        ("insert", writes && infill),
        ("embedding", embedding),
    ];
    let has = all.into_iter().filter(|(_, has)| *has);
    has.map(|(name, _)| name.to_owned()).collect()
}

fn canonical(
    info: atoll_engine::store::ModelInfo,
    digest: String,
    abilities: Abilities,
) -> ModelInfo {
    let narrow = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let quantization = match info.quantization {
        Some(quantization) => format!("q{}", quantization.bits),
        None => info.dtype.to_string().to_ascii_lowercase(),
    };
    ModelInfo {
        id: info.id,
        created_at: info.created,
        owned_by: "atoll".to_owned(),
        family: info.family,
        quantization,
        parameters: info.parameters,
        size_bytes: info.bytes,
        digest,
        context_length: narrow(info.context_length),
        embedding_length: narrow(info.hidden_size),
        capabilities: capabilities(abilities),
        template: None,
        license: None,
        loaded: None,
        ext: None,
    }
}

impl EngineFactory for ModelCatalog {
    fn known(&self) -> Vec<String> {
        self.store
            .folders()
            .iter()
            .map(|folder| folder.id().to_owned())
            .collect()
    }

    fn bytes(&self, name: &str) -> Result<u64, EngineError> {
        let info = self.find(name)?.info().map_err(engine_error)?;
        Ok(info.bytes.saturating_add(self.options.kv_bytes()))
    }

    fn load(&self, name: &str) -> Result<Engine, EngineError> {
        let model = self.open_text(name)?;
        let executor = self.options.load(self.runner()?, &model)?;
        Engine::start_with_policy(model, executor, EngineOptions::default(), self.policy())
    }
}

fn engine_error(error: StoreError) -> EngineError {
    match error {
        StoreError::NotFound { id } => EngineError::ModelNotFound { name: id },
        StoreError::Model(error) => error.into(),
        StoreError::Text(error) => error.into(),
        other => EngineError::Internal(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_made_for_embeddings_claims_nothing_else() {
        let chat = Abilities {
            chat: true,
            tools: true,
            ..Abilities::default()
        };
        assert_eq!(capabilities(chat), ["completion", "chat", "tools"]);
        let embedder = Abilities {
            embedding: true,
            ..chat
        };
        assert_eq!(capabilities(embedder), ["embedding"]);
        assert_eq!(capabilities(Abilities::default()), ["completion"]);
    }
}
