//! A model whose every word the test says: each generation is handed to the test, which sends its
//! events and sees when it is cancelled.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use atoll_engine::engine::{
    AnswerPlan, AnswerRules, ChatPrompt, ContextWindow, Engine, EngineError, EngineLoad,
    EngineOptions, FinishReason, GenerateRequest, GenerationEvent, ModelText, PreparedPrompt,
    PromptInput, TextStream, Timings, TokenEvent, Usage,
};
use atoll_engine::executor::{Capabilities, TokenId};
use atoll_engine::testing::{FakeExecutor, FakeFaults, small_capabilities};
use atoll_engine::text::template::TemplateFeatures;
use atoll_gateway::models::{EngineFacts, GenerationStream, Models, TextEngine};
use atoll_plugin_runtime::types::{KeepAlive, ModelInfo};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::PATIENCE;

/// The model's name. It answers to every other one too but [`MISSING`], so that a test can tell a filter by
/// the model's name what to do.
pub const MODEL: &str = "scripted";

/// A name no model has.
pub const MISSING: &str = "missing";

/// The test's end of the model.
pub struct Script {
    generations: UnboundedReceiver<Play>,
    loading: watch::Sender<bool>,
}

/// One generation, played by the test.
pub struct Play {
    pub request: GenerateRequest,
    events: UnboundedSender<GenerationEvent>,
    cancelled: CancellationToken,
}

/// The model, as the gateway sees it.
pub struct Scripted {
    engine: Arc<ScriptedEngine>,
    loading: watch::Receiver<bool>,
    /// So often still another host has the model.
    pub moves: AtomicUsize,
    /// What was said about staying in memory.
    pub kept: Mutex<Vec<(String, KeepAlive)>>,
}

struct ScriptedEngine {
    /// Renders and tokenizes; never asked to generate.
    text: Engine,
    plays: Mutex<UnboundedSender<Play>>,
    refusal: Option<EngineError>,
}

/// A model and its script. `refusal` is what every generation is refused with, if anything.
pub fn scripted(refusal: Option<EngineError>) -> (Arc<Scripted>, Script) {
    let capabilities = Capabilities {
        vocab_size: 256,
        num_blocks: 4096,
        max_positions: 4096,
        ..small_capabilities()
    };
    let executor = FakeExecutor::new(capabilities, FakeFaults::default());
    let text = Engine::with_text(
        Arc::new(Letters),
        Box::new(executor),
        EngineOptions::default(),
    )
    .unwrap();
    let (plays, generations) = unbounded_channel();
    let (loading, is_loading) = watch::channel(false);
    let engine = Arc::new(ScriptedEngine {
        text,
        plays: Mutex::new(plays),
        refusal,
    });
    (
        Arc::new(Scripted {
            engine,
            loading: is_loading,
            moves: AtomicUsize::new(0),
            kept: Mutex::default(),
        }),
        Script {
            generations,
            loading,
        },
    )
}

impl Script {
    /// The next generation that the gateway asks for.
    pub async fn next(&mut self) -> Play {
        tokio::time::timeout(PATIENCE, self.generations.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// The same, however long it takes.
    pub async fn next_ever(&mut self) -> Play {
        self.generations.recv().await.unwrap()
    }

    /// Whether nobody has asked the model for anything.
    pub fn none_waits(&mut self) -> bool {
        self.generations.try_recv().is_err()
    }

    /// Lets the model load for as long as this is so.
    pub fn loading(&self, loading: bool) {
        self.loading.send(loading).unwrap();
    }
}

impl Play {
    pub fn start(&self) -> &Self {
        let prompt_tokens = self.request.prompt.token_count();
        self.send(GenerationEvent::Started {
            prompt_tokens,
            cached_tokens: 0,
        })
    }

    pub fn say(&self, choice: u32, text: &str) -> &Self {
        let token = TokenEvent {
            token: 1,
            bytes: text.into(),
            logprob: Some(-0.25),
            top: vec![],
        };
        self.send(GenerationEvent::Text {
            choice,
            text: text.to_owned(),
            tokens: vec![token],
        })
    }

    pub fn finish(&self, choice: u32) -> &Self {
        self.send(GenerationEvent::Finished {
            choice,
            reason: FinishReason::Stop,
            output_tokens: 2,
        })
    }

    pub fn done(&self, output: u32) -> &Self {
        let prompt = self.request.prompt.token_count();
        let usage = Usage {
            prompt,
            cached: 0,
            written: 0,
            output,
        };
        self.send(GenerationEvent::Done {
            usage,
            timings: Timings::default(),
        })
    }

    pub fn send(&self, event: GenerationEvent) -> &Self {
        // The gateway may have let go already; that is what some tests are about.
        let _ = self.events.send(event);
        self
    }

    /// The whole answer of one choice.
    pub fn answer(&self, text: &str) {
        self.start().say(0, text).finish(0).done(2);
    }

    /// Waits until the gateway has dropped the generation.
    pub async fn cancelled(&self) {
        tokio::time::timeout(PATIENCE, self.cancelled.cancelled())
            .await
            .unwrap();
    }
}

impl Models for Scripted {
    fn list(&self) -> BoxFuture<'_, Vec<ModelInfo>> {
        let model = ModelInfo {
            id: MODEL.to_owned(),
            created_at: 1,
            owned_by: "tests".to_owned(),
            family: "none".to_owned(),
            quantization: "f32".to_owned(),
            parameters: 1,
            size_bytes: 4,
            digest: String::new(),
            context_length: 4096,
            embedding_length: 1,
            capabilities: vec!["chat".to_owned()],
            template: None,
            license: None,
            loaded: None,
            ext: None,
        };
        async move { vec![model] }.boxed()
    }

    fn keep(&self, name: &str, keep: KeepAlive) {
        self.kept.lock().unwrap().push((name.to_owned(), keep));
    }

    fn unload<'a>(&'a self, name: &'a str) -> BoxFuture<'a, bool> {
        self.keep(name, KeepAlive::ForMs(0));
        async { true }.boxed()
    }

    fn engine<'a>(
        &'a self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn TextEngine>, EngineError>> {
        let mut loading = self.loading.clone();
        async move {
            if name == MISSING {
                return Err(EngineError::ModelNotFound {
                    name: name.to_owned(),
                });
            }
            let fewer = |moves: usize| moves.checked_sub(1);
            let moves = &self.moves;
            if moves
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer)
                .is_ok()
            {
                return Err(EngineError::Elsewhere {
                    node: "reef".to_owned(),
                });
            }
            loading.wait_for(|loading| !loading).await.unwrap();
            Ok(Arc::clone(&self.engine) as Arc<dyn TextEngine>)
        }
        .boxed()
    }

    fn loaded(&self, name: &str) -> Option<Arc<dyn TextEngine>> {
        (name != MISSING).then(|| Arc::clone(&self.engine) as Arc<dyn TextEngine>)
    }

    fn loads(&self) -> Vec<(String, EngineLoad)> {
        vec![(
            MODEL.to_owned(),
            EngineLoad {
                running: 3,
                ..EngineLoad::default()
            },
        )]
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl TextEngine for ScriptedEngine {
    fn facts(&self) -> EngineFacts {
        EngineFacts {
            name: MODEL.to_owned(),
            ..EngineFacts::default()
        }
    }

    fn prepare(
        &self,
        input: &PromptInput,
        window: ContextWindow,
    ) -> Result<PreparedPrompt, EngineError> {
        self.text.prepare_within(input, window)
    }

    fn features(&self) -> TemplateFeatures {
        self.text.text().features()
    }

    fn plan_answer(
        &self,
        rules: &AnswerRules,
        prompt: &PreparedPrompt,
    ) -> Result<AnswerPlan, EngineError> {
        self.text.plan_answer(rules, prompt)
    }

    fn generate(
        &self,
        request: GenerateRequest,
    ) -> BoxFuture<'_, Result<GenerationStream, EngineError>> {
        async move {
            if let Some(refusal) = &self.refusal {
                return Err(refusal.clone());
            }
            let (events, received) = unbounded_channel();
            let cancelled = CancellationToken::new();
            let guard = cancelled.clone().drop_guard();
            let play = Play {
                request,
                events,
                cancelled,
            };
            self.plays.lock().unwrap().send(play).unwrap();
            Ok(stream(received, guard))
        }
        .boxed()
    }

    fn embed(&self, prompt: PreparedPrompt) -> BoxFuture<'_, Result<Vec<f32>, EngineError>> {
        self.text.embed(prompt).boxed()
    }

    fn encode(&self, text: &str) -> Result<Vec<TokenId>, EngineError> {
        self.text.text().encode(text, false)
    }

    fn decode(&self, tokens: &[TokenId]) -> Result<String, EngineError> {
        let bytes = tokens
            .iter()
            .flat_map(|&token| self.text.text().token_bytes(token))
            .collect();
        Ok(String::from_utf8(bytes).unwrap())
    }
}

fn stream(received: UnboundedReceiver<GenerationEvent>, guard: DropGuard) -> GenerationStream {
    let next = |(mut received, guard): (UnboundedReceiver<GenerationEvent>, DropGuard)| async move {
        received
            .recv()
            .await
            .map(|event| (event, (received, guard)))
    };
    futures::stream::unfold((received, guard), next).boxed()
}

/// One token per byte.
struct Letters;

impl ModelText for Letters {
    fn model_id(&self) -> &str {
        MODEL
    }

    fn context_length(&self) -> usize {
        4096
    }

    fn eos(&self) -> &[TokenId] {
        &[]
    }

    fn render(&self, chat: &ChatPrompt) -> Result<String, EngineError> {
        let messages = chat.messages.iter();
        Ok(messages
            .map(|message| format!("<{}>{}", message["role"], message["content"]))
            .collect())
    }

    fn encode(&self, text: &str, _: bool) -> Result<Vec<TokenId>, EngineError> {
        Ok(text.bytes().map(TokenId::from).collect())
    }

    fn token_bytes(&self, token: TokenId) -> Vec<u8> {
        vec![u8::try_from(token).unwrap()]
    }

    fn stream(&self, _continues: bool) -> Box<dyn TextStream> {
        panic!("the script writes the answers")
    }
}
