//! [`PoolModels`]: the gateway's models over the engine's pool.

use std::sync::Arc;
use std::time::Duration;

use atoll_engine::engine::{
    AnswerPlan, AnswerRules, ContextWindow, EngineError, EngineGuard, EngineLoad, GenerateRequest,
    Generation, KeepAlive, ModelPool, ModelState, PreparedPrompt, PromptInput,
};
use atoll_engine::executor::TokenId;
use atoll_engine::text::template::TemplateFeatures;
use atoll_plugin_runtime::types;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use crate::gateway::unix_seconds;
use crate::models::{EngineFacts, GenerationStream, Models, TextEngine};

/// What is known about models without loading them. Called on blocking threads; may look at disks.
pub trait Catalog: Send + Sync + 'static {
    /// Every model there is, by name; `loaded` is left empty.
    fn list(&self) -> Vec<types::ModelInfo>;

    /// One model, with what a list leaves out because it takes reading: its template, its license.
    fn show(&self, name: &str) -> Option<types::ModelInfo>;

    /// What the gateway needs of one model; the defaults for a name it does not know.
    fn facts(&self, name: &str) -> EngineFacts;
}

/// Models of a pool, described by a catalog. Clones share both.
#[derive(Clone)]
pub struct PoolModels {
    pool: ModelPool,
    catalog: Arc<dyn Catalog>,
    /// How long running answers may take on shutdown before they are ended.
    grace: Duration,
}

impl PoolModels {
    /// Puts the two together.
    #[must_use]
    pub fn new(pool: ModelPool, catalog: Arc<dyn Catalog>) -> Self {
        // By the time the pool is told, the gateway has drained: what still runs is abandoned.
        Self {
            pool,
            catalog,
            grace: Duration::from_secs(5),
        }
    }

    /// The names of all models, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.catalog
            .list()
            .into_iter()
            .map(|model| model.id)
            .collect()
    }

    /// Unloads idle models as the pool's options and clients say, for as long as it is polled.
    pub async fn maintain(&self) {
        self.pool.maintain().await;
    }

    /// Unloads `name`, pinned or not, unless it is in use. Whether it was loaded and went.
    pub async fn unload_unused(&self, name: &str) -> bool {
        self.pool.unload(name).await
    }

    /// Ends everything that uses `name` with this error, if it is in memory.
    pub fn end(&self, name: &str, error: EngineError) {
        if let Some(guard) = self.pool.loaded(name) {
            guard.ender().fail(error);
        }
    }

    fn pooled(&self, guard: EngineGuard, name: &str) -> Arc<dyn TextEngine> {
        Arc::new(PooledEngine {
            guard,
            facts: self.catalog.facts(name),
        })
    }

    /// Fills in which of these are in memory, and until when.
    fn loaded_now(&self, models: &mut [types::ModelInfo]) {
        let now = unix_seconds();
        for status in self.pool.list() {
            if let ModelState::Loaded { unloads_in, .. } = status.state
                && let Some(model) = models.iter_mut().find(|model| model.id == status.name)
            {
                model.loaded = Some(types::LoadedModel {
                    memory_bytes: status.bytes,
                    expires_at: unloads_in.map(|wait| now.saturating_add(wait.as_secs())),
                });
            }
        }
    }

    /// Looks at disks, so away from the threads that serve.
    async fn look<T: Default + Send + 'static>(
        &self,
        look: impl FnOnce(Self) -> T + Send + 'static,
    ) -> T {
        let this = self.clone();
        let looked = tokio::task::spawn_blocking(move || look(this)).await;
        looked.unwrap_or_else(|error| {
            tracing::error!(%error, "models could not be listed");
            T::default()
        })
    }
}

impl Models for PoolModels {
    fn list(&self) -> BoxFuture<'_, Vec<types::ModelInfo>> {
        self.look(|this| {
            let mut models = this.catalog.list();
            this.loaded_now(&mut models);
            models
        })
        .boxed()
    }

    fn show<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<types::ModelInfo>> {
        let name = name.to_owned();
        self.look(move |this| {
            let mut model = this.catalog.show(&name)?;
            this.loaded_now(std::slice::from_mut(&mut model));
            Some(model)
        })
        .boxed()
    }

    fn keep(&self, name: &str, keep: types::KeepAlive) {
        let keep = match keep {
            types::KeepAlive::ForMs(milliseconds) => {
                KeepAlive::For(Duration::from_millis(milliseconds))
            }
            types::KeepAlive::Forever => KeepAlive::Forever,
        };
        self.pool.keep(name, keep);
    }

    fn unload<'a>(&'a self, name: &'a str) -> BoxFuture<'a, bool> {
        async move {
            // Said first: if it is in use, it goes with its last user.
            self.pool.keep(name, KeepAlive::For(Duration::ZERO));
            self.pool.unload(name).await || self.pool.loaded(name).is_none()
        }
        .boxed()
    }

    fn engine<'a>(
        &'a self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn TextEngine>, EngineError>> {
        async move {
            let guard = self.pool.engine(name).await?;
            Ok(self.pooled(guard, name))
        }
        .boxed()
    }

    fn loaded(&self, name: &str) -> Option<Arc<dyn TextEngine>> {
        self.pool.loaded(name).map(|guard| self.pooled(guard, name))
    }

    fn loads(&self) -> Vec<(String, EngineLoad)> {
        self.pool.loads()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async move {
            if tokio::time::timeout(self.grace, self.pool.shutdown())
                .await
                .is_err()
            {
                self.pool.stop().await;
            }
        }
        .boxed()
    }
}

/// A loaded model that stays loaded while this exists.
struct PooledEngine {
    guard: EngineGuard,
    facts: EngineFacts,
}

impl TextEngine for PooledEngine {
    fn facts(&self) -> EngineFacts {
        self.facts.clone()
    }

    fn prepare(
        &self,
        input: &PromptInput,
        window: ContextWindow,
    ) -> Result<PreparedPrompt, EngineError> {
        self.guard.prepare_within(input, window)
    }

    fn features(&self) -> TemplateFeatures {
        self.guard.text().features()
    }

    fn plan_answer(
        &self,
        rules: &AnswerRules,
        prompt: &PreparedPrompt,
    ) -> Result<AnswerPlan, EngineError> {
        self.guard.plan_answer(rules, prompt)
    }

    fn generate(
        &self,
        request: GenerateRequest,
    ) -> BoxFuture<'_, Result<GenerationStream, EngineError>> {
        async move { Ok(stream(self.guard.generate(request).await?)) }.boxed()
    }

    fn embed(&self, prompt: PreparedPrompt) -> BoxFuture<'_, Result<Vec<f32>, EngineError>> {
        self.guard.embed(prompt).boxed()
    }

    fn encode(&self, text: &str) -> Result<Vec<TokenId>, EngineError> {
        self.guard.text().encode(text, false)
    }

    fn decode(&self, tokens: &[TokenId]) -> Result<String, EngineError> {
        let mut stream = self.guard.text().stream(false);
        let mut text: String = tokens.iter().map(|&token| stream.push(token)).collect();
        text.push_str(&stream.finish());
        Ok(text)
    }
}

/// A generation as a stream; dropping it drops the generation.
fn stream(generation: Generation) -> GenerationStream {
    let next = |mut generation: Generation| async move {
        generation.next().await.map(|event| (event, generation))
    };
    futures::stream::unfold(generation, next).boxed()
}
