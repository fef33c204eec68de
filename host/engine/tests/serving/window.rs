//! Windows on the context: prompts cut to fit, answers that slide, and prompts that are only read.

use std::sync::Arc;
use std::time::Duration;

use atoll_engine::engine::{
    ContextWindow, Engine, EngineError, EngineOptions, FinishReason, GenerateRequest,
    GenerationEvent, PromptInput, Usage,
};
use atoll_engine::sampling::SamplingParams;
use atoll_engine::testing::{FakeExecutor, FakeFaults, FakeText, small_capabilities};
use tokio::time::timeout;

fn engine() -> Engine {
    let capabilities = atoll_engine::executor::Capabilities {
        vocab_size: 68,
        num_blocks: 256,
        ..small_capabilities()
    };
    let executor = Box::new(FakeExecutor::new(capabilities, FakeFaults::default()));
    Engine::with_text(
        Arc::new(FakeText::new()),
        executor,
        EngineOptions::default(),
    )
    .unwrap()
}

fn request(
    engine: &Engine,
    prompt: &str,
    window: ContextWindow,
    max_tokens: Option<u32>,
) -> GenerateRequest {
    let input = PromptInput::Text {
        text: prompt.into(),
        add_special_tokens: false,
    };
    GenerateRequest {
        id: "window".into(),
        prompt: engine.prepare_within(&input, window).unwrap(),
        sampling: SamplingParams::default(),
        choices: 1,
        max_tokens,
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        // The fake model's words mean nothing; only their number matters here.
        ignore_eos: true,
        constraint: None,
        reasoning_budget: None,
        shown_tokens: Arc::new([]),
        cache_salt: None,
        priority: 0,
        owner: "".into(),
    }
}

/// The text, why it ended, and what it cost.
async fn run(engine: &Engine, request: GenerateRequest) -> (String, FinishReason, Usage) {
    let mut generation = engine.generate(request).await.unwrap();
    let (mut text, mut ended, mut starts) = (String::new(), None, 0);
    loop {
        let event = timeout(Duration::from_secs(30), generation.next()).await;
        match event.expect("no event in time").expect("an end") {
            GenerationEvent::Started { .. } => starts += 1,
            GenerationEvent::Progress { done, total } => assert!(done <= total),
            GenerationEvent::Text { text: piece, .. } => text.push_str(&piece),
            GenerationEvent::Finished { reason, .. } => assert!(ended.replace(reason).is_none()),
            GenerationEvent::Failed(error) => panic!("{error}"),
            GenerationEvent::Done { usage, .. } => {
                assert_eq!(starts, 1, "one answer, however often its window slid");
                return (text, ended.unwrap(), usage);
            }
        }
    }
}

#[tokio::test]
async fn a_prompt_is_refused_or_cut_in_its_window() {
    let engine = engine();
    let text = PromptInput::Text {
        text: "abcdefghijklmnop".into(),
        add_special_tokens: false,
    };
    let window = |cut, keep| ContextWindow {
        length: Some(9),
        cut,
        keep,
        ..ContextWindow::default()
    };
    let error = engine.prepare_within(&text, window(false, 0)).unwrap_err();
    assert_eq!(
        error,
        EngineError::ContextOverflow {
            tokens: 16,
            maximum: 8
        }
    );
    for (keep, left) in [(0, "lmnop"), (3, "abcnop"), (99, "abcdefop")] {
        let prompt = engine.prepare_within(&text, window(true, keep)).unwrap();
        assert_eq!(FakeText::decode(prompt.tokens()), left);
        assert_eq!(prompt.cut_tokens(), 16 - left.len());
    }
}

#[tokio::test]
async fn an_answer_ends_with_its_window_or_slides() {
    let engine = engine();
    let window = |slide| ContextWindow {
        length: Some(16),
        slide,
        keep: 2,
        ..ContextWindow::default()
    };
    let (text, reason, usage) = run(&engine, request(&engine, "abcdef", window(false), None)).await;
    assert_eq!((reason, usage.output), (FinishReason::ContextWindow, 10));
    let (slid, reason, usage) =
        run(&engine, request(&engine, "abcdef", window(true), Some(60))).await;
    assert_eq!(
        (reason, usage.output, usage.prompt),
        (FinishReason::Length, 60, 6)
    );
    assert!(
        slid.starts_with(&text),
        "until it slides it is the same answer"
    );
    let (_, reason, usage) = run(&engine, request(&engine, "abcdef", window(true), None)).await;
    assert_eq!(
        (reason, usage.output),
        (FinishReason::Length, 160),
        "ten windows, not for ever"
    );
    assert_eq!(engine.load().requests, 0);
}

#[tokio::test]
async fn only_single_answers_slide() {
    let engine = engine();
    let window = ContextWindow {
        slide: true,
        ..ContextWindow::default()
    };
    let mut two = request(&engine, "ab", window, Some(4));
    two.choices = 2;
    let error = engine.generate(two).await.unwrap_err();
    assert!(matches!(error, EngineError::InvalidRequest { param, .. } if param == "choices"));
}

/// A request for no tokens reads its prompt, so that the next one finds it.
#[tokio::test]
async fn a_prompt_is_read_ahead() {
    let engine = engine();
    let prompt = "abcdefghijklm";
    let window = ContextWindow::default;
    let (text, reason, usage) = run(&engine, request(&engine, prompt, window(), Some(0))).await;
    assert_eq!((text.as_str(), reason), ("", FinishReason::Length));
    let expected = Usage {
        prompt: 13,
        cached: 0,
        written: 12,
        output: 0,
    };
    assert_eq!(usage, expected, "three whole blocks of four");
    let (_, _, usage) = run(&engine, request(&engine, prompt, window(), Some(3))).await;
    assert_eq!((usage.cached, usage.written), (12, 0));
    let mut several = request(&engine, prompt, window(), Some(0));
    several.choices = 3;
    assert_eq!(run_choices(&engine, several).await, 3);
}

/// How many answers of a request ended without a word.
async fn run_choices(engine: &Engine, request: GenerateRequest) -> usize {
    let mut generation = engine.generate(request).await.unwrap();
    let mut ended = 0;
    while let Some(event) = generation.next().await {
        match event {
            GenerationEvent::Finished { output_tokens, .. } => {
                assert_eq!(output_tokens, 0);
                ended += 1;
            }
            GenerationEvent::Text { .. } | GenerationEvent::Failed(_) => panic!("{event:?}"),
            _ => {}
        }
    }
    ended
}

#[tokio::test]
async fn a_model_that_was_not_taught_to_fill_says_so() {
    let input = PromptInput::Infill {
        prefix: "a".into(),
        suffix: "b".into(),
    };
    let error = engine().prepare(&input).unwrap_err();
    assert!(matches!(error, EngineError::Unsupported { param, .. } if param == "suffix"));
}
