//! The gateway's view of the engine: models by name, and what one loaded model can do.
//!
//! Two thin traits, so that tests can script an engine (slow prefill, failures at a chosen token)
//! that no real model would produce on demand. [`pool`](crate::pool) implements them over
//! [`atoll_engine`].

use std::sync::Arc;

use atoll_engine::engine::{
    AnswerPlan, AnswerRules, ContextWindow, EngineError, EngineLoad, GenerateRequest,
    GenerationEvent, PreparedPrompt, PromptInput,
};
use atoll_engine::executor::TokenId;
use atoll_engine::text::template::TemplateFeatures;
use atoll_plugin_runtime::types;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::forward::Elsewhere;

/// What the engine says about one generation, ending with `Failed` or `Done`. Dropping the stream
/// cancels the generation within one step.
pub type GenerationStream = BoxStream<'static, GenerationEvent>;

/// All models this host can answer with.
pub trait Models: Send + Sync + 'static {
    /// Every model that can be named, loaded or not, by name.
    fn list(&self) -> BoxFuture<'_, Vec<types::ModelInfo>>;

    /// Everything known of one model, with what a list leaves out because it takes reading; `None` if
    /// there is none of that name.
    fn show<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<types::ModelInfo>> {
        let find =
            move |models: Vec<types::ModelInfo>| models.into_iter().find(|model| model.id == name);
        self.list().map(find).boxed()
    }

    /// As [`show`](Self::show), without asking other hosts.
    fn show_here<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<types::ModelInfo>> {
        self.show(name)
    }

    /// The host that answers requests for that name, if it is not this one. Never waits.
    fn elsewhere(&self, _name: &str) -> Option<Arc<dyn Elsewhere>> {
        None
    }

    /// Says how long a loaded model stays after its last use. Called while an engine of it is held.
    fn keep(&self, name: &str, keep: types::KeepAlive);

    /// Unloads a model now, or as soon as nobody uses it any more. Whether it is gone already.
    fn unload<'a>(&'a self, name: &'a str) -> BoxFuture<'a, bool>;

    /// The model of that name, loaded first if need be. Called once per request; concurrent calls
    /// share one load.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`], or why it could not be loaded.
    fn engine<'a>(
        &'a self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn TextEngine>, EngineError>>;

    /// The model of that name if it is in memory. Must not block: plugins call it through their
    /// tokenizer.
    fn loaded(&self, name: &str) -> Option<Arc<dyn TextEngine>>;

    /// How busy each loaded model is, for `/metrics`.
    fn loads(&self) -> Vec<(String, EngineLoad)>;

    /// Refuses new work, waits for running work, frees the models.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// One loaded model.
pub trait TextEngine: Send + Sync + 'static {
    /// Who it is.
    fn facts(&self) -> EngineFacts;

    /// Renders and tokenizes a prompt for a window of the context. CPU-bound; called on a blocking thread.
    ///
    /// # Errors
    /// A template that refuses the messages, or a prompt that does not fit and may not be cut.
    fn prepare(
        &self,
        input: &PromptInput,
        window: ContextWindow,
    ) -> Result<PreparedPrompt, EngineError>;

    /// A vector for a prompt, pooled as the model's makers say, not normalised. Dropping the future
    /// gives the work up.
    ///
    /// # Errors
    /// An executor that cannot embed, or a full queue.
    fn embed(&self, prompt: PreparedPrompt) -> BoxFuture<'_, Result<Vec<f32>, EngineError>>;
    /// What the model's chat template can hold and teaches it to write.
    fn features(&self) -> TemplateFeatures;

    /// How an answer to `prompt` that must follow `rules` is enforced and read. CPU-bound; called on a
    /// blocking thread.
    ///
    /// # Errors
    /// What this model cannot do, naming the field.
    fn plan_answer(
        &self,
        rules: &AnswerRules,
        prompt: &PreparedPrompt,
    ) -> Result<AnswerPlan, EngineError>;

    /// Queues a generation.
    ///
    /// # Errors
    /// A request that can never run, or a full queue.
    fn generate(
        &self,
        request: GenerateRequest,
    ) -> BoxFuture<'_, Result<GenerationStream, EngineError>>;

    /// Token ids of plain text, without special tokens.
    ///
    /// # Errors
    /// Text the tokenizer cannot encode.
    fn encode(&self, text: &str) -> Result<Vec<TokenId>, EngineError>;

    /// Text of token ids.
    ///
    /// # Errors
    /// A token outside the vocabulary.
    fn decode(&self, tokens: &[TokenId]) -> Result<String, EngineError>;
}

/// What the gateway needs to know of a loaded model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EngineFacts {
    /// Its full name.
    pub name: String,
    /// What its `generation_config.json` recommends.
    pub defaults: SamplingDefaults,
    /// Changes when weights, executor or version do.
    pub fingerprint: Option<String>,
}

/// Sampling a model recommends for itself; used where the client says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SamplingDefaults {
    /// `temperature`.
    pub temperature: Option<f32>,
    /// `top_k`.
    pub top_k: Option<u32>,
    /// `top_p`.
    pub top_p: Option<f32>,
    /// `min_p`.
    pub min_p: Option<f32>,
    /// `repetition_penalty`.
    pub repetition_penalty: Option<f32>,
}
