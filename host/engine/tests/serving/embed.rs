//! Embeddings beside answers: same vectors as alone, blocks come back, nobody waits for ever.

use std::sync::Arc;
use std::time::Duration;

use atoll_engine::engine::{
    Engine, EngineError, EngineOptions, GenerateRequest, GenerationEvent, PreparedPrompt,
    PromptInput,
};
use atoll_engine::executor::{
    Capabilities, Executor, ExecutorError, SequenceId, SequenceSpec, Step, StepOutput, TokenId,
};
use atoll_engine::sampling::SamplingParams;
use atoll_engine::testing::{FakeExecutor, FakeFaults, FakeText, small_capabilities};
use tokio::task::JoinSet;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

fn capabilities() -> Capabilities {
    Capabilities {
        vocab_size: 68,
        ..small_capabilities()
    }
}

fn start(executor: Box<dyn Executor>) -> Engine {
    let text = Arc::new(FakeText::new());
    Engine::with_text(text, executor, EngineOptions::default()).unwrap()
}

fn engine() -> Engine {
    start(Box::new(FakeExecutor::new(
        capabilities(),
        FakeFaults::default(),
    )))
}

/// Prompts of many lengths, some longer than a step, that together need more blocks than there are.
fn prompts(engine: &Engine) -> Vec<PreparedPrompt> {
    (0..40)
        .map(|index: u32| {
            let len = 1 + index * 7 % 90;
            let tokens = (0..len).map(|at| 1 + (at * 5 + index) % 60).collect();
            engine.prepare(&PromptInput::Tokens(tokens)).unwrap()
        })
        .collect()
}

async fn embed(engine: &Engine, prompt: PreparedPrompt) -> Result<Vec<f32>, EngineError> {
    timeout(PATIENCE, engine.embed(prompt)).await.unwrap()
}

async fn all_blocks_are_back(engine: &Engine) {
    let back = async {
        loop {
            let load = engine.load();
            if load.available_blocks == load.total_blocks {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, back).await.unwrap();
}

#[tokio::test]
async fn many_at_once_beside_an_answer_equal_each_alone() {
    let engine = engine();
    let prompts = prompts(&engine);
    let mut alone = Vec::new();
    for prompt in &prompts {
        alone.push(embed(&engine, prompt.clone()).await.unwrap());
    }
    assert!(alone.windows(2).any(|pair| pair[0] != pair[1]));

    let request = GenerateRequest {
        id: "beside".into(),
        prompt: prompts[3].clone(),
        sampling: SamplingParams::default(),
        choices: 2,
        max_tokens: Some(60),
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        ignore_eos: true,
        constraint: None,
        reasoning_budget: None,
        shown_tokens: [].into(),
        cache_salt: None,
        priority: 0,
        owner: "".into(),
    };
    let mut answer = engine.generate(request).await.unwrap();
    let mut together = JoinSet::new();
    for (index, prompt) in prompts.into_iter().enumerate() {
        let engine = engine.clone();
        together.spawn(async move { (index, embed(&engine, prompt).await.unwrap()) });
    }
    for (index, vector) in together.join_all().await {
        assert_eq!(vector, alone[index]);
    }
    let mut done = false;
    while let Some(event) = timeout(PATIENCE, answer.next()).await.unwrap() {
        assert!(!matches!(event, GenerationEvent::Failed(_)), "{event:?}");
        done |= matches!(event, GenerationEvent::Done { .. });
    }
    assert!(done);
    all_blocks_are_back(&engine).await;
    timeout(PATIENCE, engine.shutdown()).await.unwrap();
}

#[tokio::test]
async fn who_stops_waiting_frees_what_was_lent() {
    let engine = engine();
    for prompt in prompts(&engine) {
        let engine = engine.clone();
        // Dropped somewhere between the queue and the answer.
        let _ = timeout(Duration::from_micros(50), engine.embed(prompt)).await;
    }
    let prompt = engine.prepare(&PromptInput::Tokens(vec![1, 2])).unwrap();
    embed(&engine, prompt).await.unwrap();
    all_blocks_are_back(&engine).await;
}

#[tokio::test]
async fn a_failed_row_fails_its_prompt_only() {
    let faults = FakeFaults {
        poison: Some(9),
        ..FakeFaults::default()
    };
    let engine = start(Box::new(FakeExecutor::new(capabilities(), faults)));
    let prepare = |tokens: Vec<TokenId>| engine.prepare(&PromptInput::Tokens(tokens)).unwrap();
    let (bad, good) = (prepare(vec![1, 9, 2]), prepare(vec![1, 2]));
    let (bad, good) = tokio::join!(embed(&engine, bad), embed(&engine, good));
    assert!(matches!(bad, Err(EngineError::Row(_))), "{bad:?}");
    assert_eq!(good.unwrap().len(), 2);
    all_blocks_are_back(&engine).await;
}

/// An executor that leaves embeddings out, as the trait allows.
struct Plain(FakeExecutor);

impl Executor for Plain {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn open(&mut self, sequence: SequenceId, spec: SequenceSpec) -> Result<(), ExecutorError> {
        self.0.open(sequence, spec)
    }

    fn fork(
        &mut self,
        parent: SequenceId,
        child: SequenceId,
        sampling: Arc<SamplingParams>,
    ) -> Result<(), ExecutorError> {
        self.0.fork(parent, child, sampling)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ExecutorError> {
        self.0.truncate(sequence, len)
    }

    fn close(&mut self, sequence: SequenceId) -> Result<(), ExecutorError> {
        self.0.close(sequence)
    }

    fn submit(&mut self, step: Step) -> Result<(), ExecutorError> {
        self.0.submit(step)
    }

    fn complete(&mut self) -> Result<StepOutput, ExecutorError> {
        self.0.complete()
    }
}

#[tokio::test]
async fn an_executor_that_cannot_embed_says_so_and_goes_on() {
    let fake = FakeExecutor::new(capabilities(), FakeFaults::default());
    let engine = start(Box::new(Plain(fake)));
    for _ in 0..2 {
        let prompt = engine.prepare(&PromptInput::Tokens(vec![1, 2])).unwrap();
        let error = embed(&engine, prompt).await.unwrap_err();
        let unsupported = EngineError::Executor(ExecutorError::Unsupported {
            name: "fake".into(),
            what: "embed",
        });
        assert_eq!(error, unsupported);
    }
    assert!(engine.failure().is_none());
    all_blocks_are_back(&engine).await;
}
