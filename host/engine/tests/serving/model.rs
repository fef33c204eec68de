//! The engine on a real model folder's text side: the demo model's tokenizer and template, with the
//! fake executor in place of its weights.

use std::path::Path;

use atoll_engine::engine::{
    ChatPrompt, Engine, EngineOptions, FinishReason, GenerateRequest, GenerationEvent, PromptInput,
};
use atoll_engine::executor::Capabilities;
use atoll_engine::grammar::VocabularyEntry;
use atoll_engine::sampling::SamplingParams;
use atoll_engine::store::ModelFolder;
use atoll_engine::testing::{FakeExecutor, FakeFaults, small_capabilities};
use serde_json::json;

#[tokio::test]
async fn a_conversation_is_rendered_tokenized_and_answered_in_whole_characters() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/atoll-demo");
    let model = ModelFolder::new("atoll-demo", path).load_text().unwrap();
    let vocab_size = model.spec.vocab_size;
    let tokenizer = model.tokenizer.clone();
    let eos = model.generation.eos.clone();
    let capabilities = Capabilities {
        vocab_size,
        num_blocks: 256,
        max_positions: 1000,
        ..small_capabilities()
    };
    let executor = FakeExecutor::new(capabilities, FakeFaults::default());
    let engine = Engine::start(model, Box::new(executor), EngineOptions::default()).unwrap();
    assert_eq!(engine.max_positions(), 1000);
    assert_eq!(engine.model().unwrap().info.id, "atoll-demo");

    let chat = ChatPrompt {
        messages: vec![json!({"role": "user", "content": "مرحبا! What is 2 + 2? 🌊"})],
        tools: None,
        template_variables: serde_json::Map::new(),
        add_generation_prompt: true,
        continue_final_message: false,
    };
    let prompt = engine.prepare(&PromptInput::Chat(chat)).unwrap();
    let rendered = tokenizer.decode(prompt.tokens(), true);
    assert!(rendered.contains("مرحبا! What is 2 + 2? 🌊"), "{rendered}");

    // Tokens drawn blindly: half characters, invalid bytes, special tokens in the middle.
    for seed in 0..8 {
        let sampling = SamplingParams {
            seed,
            logprobs: Some(0),
            ..SamplingParams::default()
        };
        let drawn = FakeExecutor::oracle(vocab_size, prompt.tokens(), &sampling, 120, &eos);
        let request = GenerateRequest {
            id: seed.to_string(),
            prompt: prompt.clone(),
            sampling,
            choices: 1,
            max_tokens: Some(120),
            stop: Vec::new(),
            stop_tokens: Vec::new(),
            ignore_eos: false,
            constraint: None,
            reasoning_budget: None,
            shown_tokens: std::sync::Arc::new([]),
            cache_salt: None,
            priority: 0,
            owner: "".into(),
        };
        let mut generation = engine.generate(request).await.unwrap();
        let (mut text, mut tokens) = (String::new(), Vec::new());
        while let Some(event) = generation.next().await {
            match event {
                GenerationEvent::Text {
                    text: piece,
                    tokens: behind,
                    ..
                } => {
                    text.push_str(&piece);
                    tokens.extend(behind.into_iter().map(|token| token.token));
                }
                GenerationEvent::Finished { reason, .. } => {
                    let stopped = drawn.last().is_some_and(|last| eos.contains(last));
                    assert_eq!(reason == FinishReason::Stop, stopped);
                }
                GenerationEvent::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
        let shown = match drawn.split_last() {
            Some((last, rest)) if eos.contains(last) => rest,
            _ => &drawn,
        };
        assert_eq!(tokens, shown);
        assert_eq!(text, tokenizer.decode(shown, false));
    }

    let vocabulary = engine.text().vocabulary();
    assert_eq!(vocabulary.len(), vocab_size);
    assert!(matches!(
        &vocabulary[eos[0] as usize],
        VocabularyEntry::Special(_)
    ));
}
