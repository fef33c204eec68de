//! The engine loop on the fake executor: streams, cancels, faults, shutdown.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use atoll_engine::engine::{
    ChatPrompt, Engine, EngineError, EngineOptions, FinishReason, GenerateRequest, Generation,
    GenerationEvent, PromptInput, TokenEvent, Usage,
};
use atoll_engine::executor::{Capabilities, ExecutorError, RowError, TokenId};
use atoll_engine::sampling::{SamplingParams, derive_seed};
use atoll_engine::testing::{FakeExecutor, FakeFaults, FakeText, small_capabilities};
use tokio::time::timeout;

const VOCAB: usize = 68;

/// No test waits longer than this for anything; reaching it is a failure, not a measurement.
const PATIENCE: Duration = Duration::from_secs(30);

fn capabilities() -> Capabilities {
    Capabilities {
        vocab_size: VOCAB,
        num_blocks: 256,
        max_rows: 64,
        max_tokens: 128,
        ..small_capabilities()
    }
}

fn engine_with(capabilities: Capabilities, faults: FakeFaults, options: EngineOptions) -> Engine {
    let executor = Box::new(FakeExecutor::new(capabilities, faults));
    Engine::with_text(Arc::new(FakeText::new()), executor, options).unwrap()
}

fn engine() -> Engine {
    engine_with(
        capabilities(),
        FakeFaults::default(),
        EngineOptions::default(),
    )
}

/// An engine whose steps each wait for one message.
fn gated(options: EngineOptions) -> (Engine, Sender<()>) {
    let (gate, steps) = channel();
    let faults = FakeFaults {
        gate: Some(steps),
        ..FakeFaults::default()
    };
    (engine_with(capabilities(), faults, options), gate)
}

/// Lets steps through, one at a time, until `future` is done.
async fn stepping<T>(gate: &Sender<()>, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(timeout(PATIENCE, future));
    loop {
        tokio::select! {
            result = &mut future => return result.expect("not done in time"),
            // The engine may be gone already.
            () = tokio::time::sleep(Duration::from_millis(1)) => { gate.send(()).ok(); }
        }
    }
}

fn text_prompt(text: &str) -> PromptInput {
    PromptInput::Text {
        text: text.into(),
        add_special_tokens: false,
    }
}

fn request(engine: &Engine, prompt: &str, seed: u64, max_tokens: u32) -> GenerateRequest {
    GenerateRequest {
        id: format!("{prompt} {seed}"),
        prompt: engine.prepare(&text_prompt(prompt)).unwrap(),
        sampling: SamplingParams {
            seed,
            ..SamplingParams::default()
        },
        choices: 1,
        max_tokens: Some(max_tokens),
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        ignore_eos: false,
        constraint: None,
        reasoning_budget: None,
        shown_tokens: std::sync::Arc::new([]),
        cache_salt: None,
        priority: 0,
        owner: "".into(),
    }
}

/// Everything one request gave.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    texts: Vec<String>,
    tokens: Vec<Vec<TokenEvent>>,
    finished: Vec<Option<(FinishReason, u32)>>,
    usage: Option<Usage>,
    failed: Option<EngineError>,
    started: bool,
}

async fn next(generation: &mut Generation) -> Option<GenerationEvent> {
    timeout(PATIENCE, generation.next())
        .await
        .expect("no event in time")
}

async fn collect(mut generation: Generation, choices: usize) -> Answer {
    let mut answer = Answer {
        texts: vec![String::new(); choices],
        tokens: vec![Vec::new(); choices],
        finished: vec![None; choices],
        ..Answer::default()
    };
    while let Some(event) = next(&mut generation).await {
        assert!(
            answer.usage.is_none() && answer.failed.is_none(),
            "an event after the terminal one: {event:?}"
        );
        match event {
            GenerationEvent::Started { .. } => {
                assert!(!std::mem::replace(&mut answer.started, true));
            }
            GenerationEvent::Progress { done, total } => assert!(done <= total),
            GenerationEvent::Text {
                choice,
                text,
                tokens,
            } => {
                let choice = choice as usize;
                assert!(answer.started && answer.finished[choice].is_none());
                answer.texts[choice].push_str(&text);
                answer.tokens[choice].extend(tokens);
            }
            GenerationEvent::Finished {
                choice,
                reason,
                output_tokens,
            } => {
                let slot = &mut answer.finished[choice as usize];
                assert!(slot.replace((reason, output_tokens)).is_none());
            }
            GenerationEvent::Failed(error) => answer.failed = Some(error),
            GenerationEvent::Done { usage, .. } => answer.usage = Some(usage),
        }
    }
    assert!(answer.usage.is_some() != answer.failed.is_some());
    answer
}

async fn run(engine: &Engine, request: GenerateRequest) -> Answer {
    let choices = request.choices as usize;
    collect(engine.generate(request).await.unwrap(), choices).await
}

/// What the model says to `prompt`, without an engine: text, tokens drawn, and how it ended.
fn oracle(prompt: &str, seed: u64, max: usize) -> (String, usize, FinishReason) {
    let alphabet: Vec<char> = FakeText::ALPHABET.chars().collect();
    let tokens: Vec<TokenId> = prompt
        .chars()
        .map(|c| alphabet.iter().position(|&a| a == c).unwrap() as TokenId)
        .collect();
    let sampling = SamplingParams {
        seed,
        ..SamplingParams::default()
    };
    let drawn = FakeExecutor::oracle(VOCAB, &tokens, &sampling, max, &[0]);
    let reason = match drawn.last() {
        Some(0) => FinishReason::Stop,
        _ => FinishReason::Length,
    };
    (FakeText::decode(&drawn), drawn.len(), reason)
}

/// Waits, bounded, until the engine says that all KV blocks can be handed out.
async fn all_blocks_free(engine: &Engine) {
    let wait = async {
        loop {
            let load = engine.load();
            if load.requests == 0 && load.available_blocks == load.total_blocks {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait)
        .await
        .expect("blocks were not freed");
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_seeded_streams_equal_each_alone() {
    for depth in [1, 3] {
        let capabilities = Capabilities {
            max_steps_in_flight: depth,
            ..capabilities()
        };
        let engine = engine_with(
            capabilities,
            FakeFaults::default(),
            EngineOptions::default(),
        );
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..32 {
            let engine = engine.clone();
            let prompt = ["hello world", "hello there", "x", "good morning to you all"][seed % 4];
            let request = request(&engine, prompt, seed as u64, 40);
            tasks.spawn(async move { (prompt, seed as u64, run(&engine, request).await) });
        }
        let mut seen = 0;
        while let Some(result) = tasks.join_next().await {
            let (prompt, seed, answer) = result.unwrap();
            let (text, tokens, reason) = oracle(prompt, seed, 40);
            assert_eq!(answer.texts[0], text, "seed {seed}");
            assert_eq!(answer.finished[0], Some((reason, tokens as u32)));
            let usage = answer.usage.unwrap();
            assert_eq!(usage.prompt, prompt.len() as u32);
            assert_eq!(usage.output, tokens as u32);
            assert!(usage.cached < usage.prompt);
            seen += 1;
        }
        assert_eq!(seen, 32);
        all_blocks_free(&engine).await;
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn choices_have_seeds_of_their_own_and_share_one_prompt() {
    let engine = engine();
    let mut request = request(&engine, "tell me something", 11, 25);
    request.choices = 4;
    let answer = run(&engine, request).await;
    let mut output = 0;
    for choice in 0..4 {
        let (text, tokens, reason) = oracle("tell me something", derive_seed(11, choice), 25);
        assert_eq!(answer.texts[choice as usize], text);
        assert_eq!(
            answer.finished[choice as usize],
            Some((reason, tokens as u32))
        );
        output += tokens as u32;
    }
    let usage = answer.usage.unwrap();
    assert_eq!((usage.prompt, usage.output), (17, output));
    assert_eq!(engine.load().prompt_tokens_total, 17);
}

#[tokio::test]
async fn a_cached_prefix_changes_nothing_but_the_cost() {
    let engine = engine();
    let cold = run(&engine, request(&engine, "the same old story", 5, 30)).await;
    let warm = run(&engine, request(&engine, "the same old story", 5, 30)).await;
    assert_eq!(cold.texts, warm.texts);
    assert_eq!(cold.usage.unwrap().cached, 0);
    assert_eq!(warm.usage.unwrap().cached, 16);
    let mut salted = request(&engine, "the same old story", 5, 30);
    salted.cache_salt = Some("tenant".into());
    let salted = run(&engine, salted).await;
    assert_eq!(salted.texts, cold.texts);
    assert_eq!(salted.usage.unwrap().cached, 0);
}

#[tokio::test]
async fn a_stop_string_ends_the_answer_and_never_shows() {
    let engine = engine();
    let (whole, ..) = oracle("stop here", 3, 60);
    let chars: Vec<char> = whole.chars().collect();
    assert!(
        chars.len() > 12,
        "the fake model stopped early; pick another seed"
    );
    for (from, len) in [(0, 2), (4, 3), (5, 1), (8, 4)] {
        let stop: String = chars[from..from + len].iter().collect();
        let start = whole.find(&stop).unwrap();
        let mut request = request(&engine, "stop here", 3, 60);
        // The others never complete, but their beginnings hold text back.
        request.stop = vec![format!("{stop}\u{0}"), stop.clone(), "\u{1}".into()];
        let answer = run(&engine, request).await;
        assert_eq!(answer.texts[0], whole[..start]);
        let bytes: Vec<u8> = answer.tokens[0]
            .iter()
            .flat_map(|t| t.bytes.clone())
            .collect();
        assert_eq!(bytes, &whole.as_bytes()[..start]);
        let drawn = whole[..start].chars().count() + len;
        assert_eq!(
            answer.finished[0],
            Some((FinishReason::StopSequence(stop), drawn as u32))
        );
    }
    all_blocks_free(&engine).await;
}

#[tokio::test]
async fn how_answers_end() {
    let engine = engine();
    // Up to the model's own end.
    let seed = (0..100)
        .find(|&seed| oracle("end", seed, 200).2 == FinishReason::Stop)
        .unwrap();
    let (text, tokens, _) = oracle("end", seed, 200);
    let answer = run(&engine, request(&engine, "end", seed, 200)).await;
    assert_eq!(answer.texts[0], text);
    assert_eq!(
        answer.finished[0],
        Some((FinishReason::Stop, tokens as u32))
    );
    assert_eq!(answer.tokens[0].len(), tokens - 1);
    // Past it when told to.
    let mut on = request(&engine, "end", seed, tokens as u32 + 5);
    on.ignore_eos = true;
    let answer = run(&engine, on).await;
    assert_eq!(
        answer.finished[0],
        Some((FinishReason::Length, tokens as u32 + 5))
    );
    // A stop token of one's own.
    let mut own = request(&engine, "end", seed, 200);
    let first = text.chars().next().unwrap();
    own.stop_tokens = vec![FakeText::ALPHABET.chars().position(|c| c == first).unwrap() as TokenId];
    let answer = run(&engine, own).await;
    assert_eq!(answer.finished[0], Some((FinishReason::Stop, 1)));
    assert_eq!(answer.texts[0], "");
    // The context.
    let mut long = request(&engine, "end", 1, 1);
    (long.max_tokens, long.ignore_eos) = (None, true);
    let answer = run(&engine, long).await;
    assert_eq!(answer.finished[0], Some((FinishReason::ContextWindow, 253)));
    // Nothing asked: the prompt is read, and nothing said.
    let answer = run(&engine, request(&engine, "end", 1, 0)).await;
    assert_eq!(answer.finished[0], Some((FinishReason::Length, 0)));
    assert_eq!(
        answer.usage.unwrap(),
        Usage {
            prompt: 3,
            cached: 0,
            written: 0,
            output: 0
        }
    );
}

#[tokio::test]
async fn log_probabilities_come_with_bytes() {
    let engine = engine();
    let mut request = request(&engine, "logprobs", 2, 6);
    request.sampling.logprobs = Some(3);
    let answer = run(&engine, request).await;
    assert!(!answer.tokens[0].is_empty());
    for token in &answer.tokens[0] {
        assert!(token.logprob.is_some());
        assert_eq!(token.top.len(), 3);
        assert_eq!(token.top[0].0, token.token);
        assert_eq!(token.top[0].1, token.bytes);
    }
}

#[tokio::test]
async fn dropping_a_generation_frees_its_blocks_within_a_step() {
    let (engine, gate) = gated(EngineOptions::default());
    let mut generation = engine
        .generate(request(&engine, "a prompt to be forgotten", 1, 200))
        .await
        .unwrap();
    gate.send(()).unwrap();
    while !matches!(
        next(&mut generation).await,
        Some(GenerationEvent::Text { .. })
    ) {}
    // One step has read the prompt and drawn; a second one may be in flight, and is the last.
    drop(generation);
    gate.send(()).unwrap();
    all_blocks_free(&engine).await;
    assert!(engine.load().steps_total <= 2);
    // Requests cancelled while waiting, or before anything ran, hold nothing either.
    let generate = engine.generate(request(&engine, "never started", 1, 20));
    drop(stepping(&gate, generate).await.unwrap());
    drop(gate);
    all_blocks_free(&engine).await;
    let answer = run(&engine, request(&engine, "a prompt", 9, 10)).await;
    assert_eq!(answer.texts[0], oracle("a prompt", 9, 10).0);
}

#[tokio::test]
async fn what_arrives_runs_beside_the_step_in_flight_where_there_is_room() {
    let (gate, steps) = channel();
    let faults = FakeFaults {
        gate: Some(steps),
        ..FakeFaults::default()
    };
    let capabilities = Capabilities {
        max_steps_in_flight: 3,
        ..capabilities()
    };
    let engine = engine_with(capabilities, faults, EngineOptions::default());
    let submitted = async |steps| {
        let wait = async {
            while engine.load().steps_total < steps {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, wait)
            .await
            .expect("a step is not submitted");
    };
    // No step is let through: each request is accepted and begun while those before it are in flight.
    let mut generations = Vec::new();
    for seed in 1..=3 {
        let generate = engine.generate(request(&engine, "prompt", seed, 20));
        let generation = timeout(PATIENCE, generate)
            .await
            .expect("it waits for a step");
        generations.push(generation.unwrap());
        submitted(seed).await;
    }
    drop(gate);
    for (seed, generation) in (1..).zip(generations) {
        assert_eq!(
            collect(generation, 1).await.texts[0],
            oracle("prompt", seed, 20).0
        );
    }
    all_blocks_free(&engine).await;
}

#[tokio::test]
async fn a_reader_that_sleeps_blocks_nobody_and_loses_nothing() {
    let engine = engine();
    let mut long = request(&engine, "a long story", 4, 150);
    long.ignore_eos = true;
    let sleeper = engine.generate(long.clone()).await.unwrap();
    for seed in 0..4 {
        let answer = run(&engine, request(&engine, "quick", seed, 5)).await;
        assert_eq!(answer.texts[0], oracle("quick", seed, 5).0);
    }
    all_blocks_free(&engine).await;
    let late = collect(sleeper, 1).await;
    let prompt = run(&engine, long).await;
    assert_eq!(late.texts, prompt.texts);
    assert_eq!(late.tokens, prompt.tokens);
}

#[tokio::test]
async fn a_reader_too_far_behind_is_given_up() {
    let options = EngineOptions {
        max_unread_tokens: 20,
        ..EngineOptions::default()
    };
    let engine = engine_with(capabilities(), FakeFaults::default(), options);
    let mut long = request(&engine, "a long story", 4, 150);
    long.ignore_eos = true;
    let sleeper = engine.generate(long).await.unwrap();
    all_blocks_free(&engine).await;
    let late = collect(sleeper, 1).await;
    assert_eq!(late.failed, Some(EngineError::SlowReader { unread: 21 }));
    assert_eq!(late.tokens[0].len(), 21);
}

#[tokio::test]
async fn overload_is_refused_with_advice() {
    let options = EngineOptions {
        max_waiting: 2,
        ..EngineOptions::default()
    };
    let (gate, steps) = channel();
    let faults = FakeFaults {
        gate: Some(steps),
        ..FakeFaults::default()
    };
    let capabilities = Capabilities {
        max_rows: 1,
        ..capabilities()
    };
    let engine = engine_with(capabilities, faults, options);
    let mut first = request(&engine, "first", 1, 200);
    first.ignore_eos = true;
    let first = engine.generate(first).await.unwrap();
    let mut accepted = vec![first];
    let mut refused = None;
    for seed in 0..8 {
        // Each answer waits for a turn of the loop, which waits for a step.
        let generate = engine.generate(request(&engine, "more", seed, 200));
        match stepping(&gate, generate).await {
            Ok(generation) => accepted.push(generation),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let Some(EngineError::Overloaded { retry_after }) = refused else {
        panic!("nobody was refused: {refused:?}");
    };
    assert!((1..=60).contains(&retry_after.as_secs()));
    drop(gate);
    drop(accepted);
    all_blocks_free(&engine).await;
}

#[tokio::test]
async fn bad_requests_name_the_parameter() {
    let engine = engine();
    let base = request(&engine, "fine", 1, 5);
    let param = async |change: &dyn Fn(&mut GenerateRequest)| {
        let mut request = base.clone();
        change(&mut request);
        match engine.generate(request).await {
            Err(EngineError::InvalidRequest { param, .. }) => param,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(param(&|r| r.choices = 0).await, "choices");
    assert_eq!(param(&|r| r.choices = 65).await, "choices");
    assert_eq!(param(&|r| r.sampling.top_p = 0.0).await, "top_p");
    assert_eq!(
        param(&|r| r.sampling.temperature = f32::NAN).await,
        "temperature"
    );
    assert_eq!(param(&|r| r.stop = vec![String::new()]).await, "stop");
    assert_eq!(param(&|r| r.stop = vec!["x".into(); 1000]).await, "stop");
    assert_eq!(
        engine.prepare(&PromptInput::Tokens(vec![1; 256])),
        Err(EngineError::ContextOverflow {
            tokens: 256,
            maximum: 255
        })
    );
    for (input, name) in [
        (PromptInput::Tokens(vec![68]), "prompt"),
        (PromptInput::Tokens(vec![]), "prompt"),
        (text_prompt("\u{7}"), "prompt"),
    ] {
        let Err(EngineError::InvalidRequest { param, .. }) = engine.prepare(&input) else {
            panic!("{input:?} was taken");
        };
        assert_eq!(param, name);
    }
    let chat = PromptInput::Chat(ChatPrompt {
        messages: vec![
            serde_json::json!({"role": "user", "content": "hi"}),
            serde_json::json!({"role": "user", "content": "ho"}),
        ],
        tools: None,
        template_variables: serde_json::Map::new(),
        add_generation_prompt: true,
        continue_final_message: false,
    });
    let prepared = engine.prepare(&chat).unwrap();
    assert_eq!(FakeText::decode(prepared.tokens()), "hi|ho");
    assert_eq!(prepared.token_count(), 5);
}

#[tokio::test]
async fn a_failed_row_fails_its_request_alone() {
    let faults = FakeFaults {
        // `Z`.
        poison: Some(52),
        ..FakeFaults::default()
    };
    let engine = engine_with(capabilities(), faults, EngineOptions::default());
    let mut bad = request(&engine, "a Z here", 1, 5);
    bad.choices = 3;
    let good = request(&engine, "fine", 2, 2);
    let (bad, good) = tokio::join!(run(&engine, bad), run(&engine, good));
    assert_eq!(bad.failed, Some(EngineError::Row(RowError::NotFinite)));
    assert_eq!(good.texts[0], oracle("fine", 2, 2).0);
    all_blocks_free(&engine).await;
}

#[tokio::test]
async fn a_failed_executor_ends_every_request_and_the_engine() {
    for panics in [false, true] {
        let (gate, steps) = channel();
        let faults = FakeFaults {
            fail_step: (!panics).then_some(100),
            panic_step: panics.then_some(100),
            gate: Some(steps),
            ..FakeFaults::default()
        };
        let engine = engine_with(capabilities(), faults, EngineOptions::default());
        let endless = |prompt, seed| GenerateRequest {
            ignore_eos: true,
            ..request(&engine, prompt, seed, 250)
        };
        let a = engine.generate(endless("one", 1)).await.unwrap();
        let b = stepping(&gate, engine.generate(endless("two", 2)))
            .await
            .unwrap();
        drop(gate);
        let expected = |error: &EngineError| match error {
            EngineError::Executor(ExecutorError::Failed(_)) => !panics,
            EngineError::Internal(message) => panics && message.contains("asked to panic"),
            _ => false,
        };
        for generation in [a, b] {
            let answer = collect(generation, 1).await;
            assert!(expected(&answer.failed.unwrap()));
        }
        let later = engine.generate(request(&engine, "three", 3, 5)).await;
        assert!(expected(&later.unwrap_err()));
        assert!(expected(&engine.failure().unwrap()));
        timeout(PATIENCE, engine.shutdown()).await.unwrap();
    }
}

#[tokio::test]
async fn shutdown_finishes_what_was_accepted_and_refuses_the_rest() {
    let (engine, gate) = gated(EngineOptions::default());
    let running = engine
        .generate(request(&engine, "running", 1, 20))
        .await
        .unwrap();
    let waiting = engine.generate(request(&engine, "as well", 2, 20));
    let waiting = stepping(&gate, waiting).await.unwrap();
    let closing = {
        let engine = engine.clone();
        async move { engine.shutdown().await }
    };
    tokio::pin!(closing);
    // Not done while something runs.
    assert!(
        timeout(Duration::from_millis(20), &mut closing)
            .await
            .is_err()
    );
    let refused = engine.generate(request(&engine, "late", 3, 5)).await;
    assert_eq!(refused.unwrap_err(), EngineError::ShuttingDown);
    drop(gate);
    timeout(PATIENCE, closing).await.unwrap();
    assert_eq!(
        collect(running, 1).await.texts[0],
        oracle("running", 1, 20).0
    );
    assert_eq!(
        collect(waiting, 1).await.texts[0],
        oracle("as well", 2, 20).0
    );
    assert_eq!(engine.failure(), None);
}

#[tokio::test]
async fn stop_ends_what_runs() {
    let (engine, gate) = gated(EngineOptions::default());
    let running = engine
        .generate(request(&engine, "running", 1, 20))
        .await
        .unwrap();
    // A step in flight keeps it waiting; one may be enough, and never many.
    stepping(&gate, engine.stop()).await;
    assert!(engine.load().output_tokens_total < 20);
    assert_eq!(
        collect(running, 1).await.failed,
        Some(EngineError::ShuttingDown)
    );
}

/// Whoever ends an engine from outside gives a reason, and a request that is on its way at that moment gets it,
/// wherever it is met: a host that hears "shutting down" instead does not begin it again.
#[tokio::test]
async fn a_request_on_its_way_hears_why_the_engine_was_ended() {
    for _ in 0..50 {
        let (engine, gate) = gated(EngineOptions::default());
        let running = engine.generate(request(&engine, "running", 1, 20));
        let running = running.await.unwrap();
        let mut late = std::pin::pin!(engine.generate(request(&engine, "late", 2, 5)));
        let polled = timeout(Duration::ZERO, &mut late).await;
        let reason = EngineError::from(ExecutorError::Lost("a machine".to_owned()));
        engine.ender().fail(reason.clone());
        drop(gate);
        let late = match polled {
            Ok(accepted) => accepted,
            Err(_) => late.await,
        };
        let heard = match late {
            Ok(accepted) => collect(accepted, 1).await.failed.unwrap(),
            Err(refused) => refused,
        };
        assert_eq!(heard, reason);
        assert_eq!(collect(running, 1).await.failed, Some(reason));
    }
}

#[tokio::test]
async fn answers_outlive_the_handle() {
    let engine = engine();
    let generation = engine
        .generate(request(&engine, "bye", 6, 12))
        .await
        .unwrap();
    drop(engine);
    assert_eq!(
        collect(generation, 1).await.texts[0],
        oracle("bye", 6, 12).0
    );
}
