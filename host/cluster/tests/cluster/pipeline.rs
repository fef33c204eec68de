//! A pipeline answers as one machine does: the same tokens, whatever runs beside them.

use atoll_cluster::wire::Precision;
use atoll_engine::engine::{
    Engine, EngineOptions, GenerateRequest, Generation, GenerationEvent, PromptInput, Usage,
};
use atoll_engine::executor::Executor;
use atoll_engine::sampling::SamplingParams;
use atoll_engine::store::ModelFolder;

use crate::support::{chain, demo, options, single, stages};

/// What one choice of one request said: tokens with their log probabilities.
type Said = Vec<(u32, u32, Option<f32>)>;

fn engine(executor: Box<dyn Executor>) -> Engine {
    let model = ModelFolder::new("atoll-demo", demo()).load_text().unwrap();
    Engine::start(model, executor, EngineOptions::default()).unwrap()
}

/// Sixteen requests: greedy and seeded, with penalties, one to three choices, prompts of a few tokens
/// and of several chunks, half of them with a beginning in common.
fn requests(engine: &Engine) -> Vec<GenerateRequest> {
    let common =
        "The history of the lighthouse is a history of fire, glass and patience. ".repeat(6);
    (0..16_u64)
        .map(|i| {
            let own = format!("{i}: the keeper of light number {i} wrote ");
            let text = match i % 4 {
                0 => own,
                1 | 2 => format!("{common}{own}"),
                _ => format!("{own}{}", common.repeat(3)),
            };
            let input = PromptInput::Text {
                text,
                add_special_tokens: false,
            };
            GenerateRequest {
                id: i.to_string(),
                prompt: engine.prepare(&input).unwrap(),
                sampling: SamplingParams {
                    temperature: if i % 3 == 0 { 0.0 } else { 0.9 },
                    repetition_penalty: if i % 5 == 0 { 1.2 } else { 1.0 },
                    seed: i,
                    logprobs: Some(0),
                    ..SamplingParams::default()
                },
                choices: 1 + (i % 3) as u32,
                max_tokens: Some(24),
                stop: Vec::new(),
                stop_tokens: Vec::new(),
                ignore_eos: true,
                constraint: None,
                reasoning_budget: None,
                shown_tokens: [].into(),
                cache_salt: None,
                priority: 0,
                owner: "".into(),
            }
        })
        .collect()
}

async fn listen(mut generation: Generation) -> (Said, Usage) {
    let mut said = Said::new();
    loop {
        match generation.next().await.unwrap() {
            GenerationEvent::Text { choice, tokens, .. } => {
                said.extend(tokens.iter().map(|t| (choice, t.token, t.logprob)));
            }
            GenerationEvent::Done { usage, .. } => {
                // Choices take turns in an order that is the scheduler's business.
                said.sort_by_key(|(choice, ..)| *choice);
                return (said, usage);
            }
            GenerationEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
}

/// All requests at once, and then all again, which finds prefixes in the cache.
async fn answers(engine: &Engine) -> Vec<(Said, Usage)> {
    let mut all = Vec::new();
    for _ in 0..2 {
        let mut generations = Vec::new();
        for request in requests(engine) {
            generations.push(engine.generate(request).await.unwrap());
        }
        all.extend(futures::future::join_all(generations.into_iter().map(listen)).await);
    }
    all
}

#[tokio::test]
async fn one_to_four_stages_answer_as_one_machine_does() {
    // Few enough blocks that sequences are preempted, which truncates them on every stage.
    let options = options(110);
    let whole = engine(Box::new(single(&options)));
    let expected = answers(&whole).await;
    assert!(expected.iter().all(|(said, _)| said.len() >= 24));
    whole.shutdown().await;

    for count in 1..=4 {
        let chain = chain(stages(count, &options), Precision::F32);
        let facts = chain.executor.capabilities();
        assert_eq!((facts.stages, facts.max_steps_in_flight), (count, count));
        assert!(facts.batch_invariant);
        let pipeline = engine(Box::new(chain.executor));
        let answers = answers(&pipeline).await;
        for (index, (answer, expected)) in answers.iter().zip(&expected).enumerate() {
            assert_eq!(answer.0, expected.0, "{count} stages, request {index}");
        }
        pipeline.shutdown().await;
        let load = pipeline.load();
        assert!(load.preemptions_total > 0, "{load:?}");
        assert!(load.cached_prompt_tokens_total > 0, "{load:?}");
        assert_eq!(load.available_blocks, load.total_blocks, "a block leaked");
        assert!(chain.monitor.failure(crate::support::PATIENCE).is_none());
    }
}

#[tokio::test]
async fn half_precision_on_the_wire_answers_too() {
    // Not the same tokens, but as many, and nothing that is not finite.
    let chain = chain(stages(3, &options(400)), Precision::Bf16);
    let engine = engine(Box::new(chain.executor));
    for (said, _) in answers(&engine).await {
        assert!(said.len() >= 24);
        assert!(
            said.iter()
                .all(|(.., logprob)| logprob.unwrap().is_finite())
        );
    }
    engine.shutdown().await;
}
