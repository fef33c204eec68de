//! Models loaded on demand: shared loads, eviction, idleness, failure.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atoll_engine::engine::{
    Engine, EngineError, EngineFactory, EngineOptions, GenerateRequest, GenerationEvent, KeepAlive,
    ModelPool, ModelState, PoolOptions, PromptInput,
};
use atoll_engine::sampling::SamplingParams;
use atoll_engine::testing::{FakeExecutor, FakeFaults, FakeText, small_capabilities};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Models `m0`.. of 10 bytes each; `big` of 25, `broken` fails, `panics` panics, `frail` fails in
/// its first step.
#[derive(Default)]
struct Factory {
    loads: AtomicUsize,
    /// Each load waits for a message, if there is a gate.
    gate: Option<Mutex<Receiver<()>>>,
}

impl EngineFactory for Factory {
    fn known(&self) -> Vec<String> {
        ["big", "broken", "frail", "m0", "m1", "m2"]
            .map(String::from)
            .to_vec()
    }

    fn bytes(&self, name: &str) -> Result<u64, EngineError> {
        match name {
            "big" => Ok(25),
            "panics" => panic!("asked to"),
            name if self.known().iter().any(|known| known == name) => Ok(10),
            name => Err(EngineError::ModelNotFound { name: name.into() }),
        }
    }

    fn load(&self, name: &str) -> Result<Engine, EngineError> {
        if let Some(gate) = &self.gate {
            gate.lock().unwrap().recv().ok();
        }
        self.loads.fetch_add(1, Ordering::SeqCst);
        if name == "broken" {
            return Err(EngineError::Internal("broken".into()));
        }
        let faults = FakeFaults {
            fail_step: (name == "frail").then_some(0),
            ..FakeFaults::default()
        };
        let executor = Box::new(FakeExecutor::new(small_capabilities(), faults));
        Engine::with_text(
            Arc::new(FakeText::new()),
            executor,
            EngineOptions::default(),
        )
    }
}

fn pool(options: PoolOptions) -> (ModelPool, Arc<Factory>) {
    let factory = Arc::new(Factory::default());
    (ModelPool::new(factory.clone(), options), factory)
}

fn gated(options: PoolOptions) -> (ModelPool, Arc<Factory>, Sender<()>) {
    let (open, gate) = channel();
    let factory = Arc::new(Factory {
        gate: Some(Mutex::new(gate)),
        ..Factory::default()
    });
    (ModelPool::new(factory.clone(), options), factory, open)
}

fn loaded(pool: &ModelPool) -> Vec<String> {
    pool.list()
        .into_iter()
        .filter(|model| matches!(model.state, ModelState::Loaded { .. }))
        .map(|model| model.name)
        .collect()
}

fn ask(engine: &Engine) -> GenerateRequest {
    let prompt = PromptInput::Tokens(vec![1, 2, 3]);
    GenerateRequest {
        id: "ask".into(),
        prompt: engine.prepare(&prompt).unwrap(),
        sampling: SamplingParams::default(),
        choices: 1,
        max_tokens: Some(3),
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        ignore_eos: true,
        constraint: None,
        reasoning_budget: None,
        shown_tokens: std::sync::Arc::new([]),
        cache_salt: None,
        priority: 0,
        owner: "".into(),
    }
}

#[tokio::test]
async fn concurrent_requests_share_one_load_even_if_the_first_goes_away() {
    let (pool, factory, open) = gated(PoolOptions::default());
    let first = timeout(Duration::from_millis(10), pool.engine("m0")).await;
    assert!(first.is_err(), "loaded before it could");
    assert!(matches!(pool.list()[3].state, ModelState::Loading));
    assert!(pool.loaded("m0").is_none());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let pool = pool.clone();
        tasks.spawn(async move { pool.engine("m0").await.map(|_| ()) });
    }
    open.send(()).unwrap();
    while let Some(result) = tasks.join_next().await {
        assert_eq!(result.unwrap(), Ok(()));
    }
    assert_eq!(factory.loads.load(Ordering::SeqCst), 1);
    assert!(pool.loaded("m0").is_some());
    assert_eq!(pool.loads().len(), 1);
    timeout(PATIENCE, pool.shutdown()).await.unwrap();
    assert_eq!(
        pool.engine("m0").await.unwrap_err(),
        EngineError::ShuttingDown
    );
}

#[tokio::test]
async fn failures_reach_all_who_wait_and_are_tried_again() {
    let (pool, factory) = pool(PoolOptions::default());
    let (a, b) = tokio::join!(pool.engine("broken"), pool.engine("broken"));
    assert_eq!(a.unwrap_err(), EngineError::Internal("broken".into()));
    assert_eq!(b.unwrap_err(), EngineError::Internal("broken".into()));
    assert_eq!(factory.loads.load(Ordering::SeqCst), 1);
    assert!(pool.engine("broken").await.is_err());
    assert_eq!(factory.loads.load(Ordering::SeqCst), 2);
    let missing = pool.engine("nowhere").await.unwrap_err();
    assert_eq!(
        missing,
        EngineError::ModelNotFound {
            name: "nowhere".into()
        }
    );
    for _ in 0..2 {
        let error = timeout(PATIENCE, pool.engine("panics"))
            .await
            .unwrap()
            .unwrap_err();
        assert!(matches!(error, EngineError::Internal(why) if why.contains("panicked")));
    }
    assert!(pool.engine("m0").await.is_ok());
}

#[tokio::test]
async fn the_least_recently_used_makes_room_but_never_one_in_use_or_pinned() {
    let (pool, _) = pool(PoolOptions {
        memory_budget: Some(30),
        ..PoolOptions::default()
    });
    for name in ["m0", "m1", "m2", "m0"] {
        pool.engine(name).await.unwrap();
    }
    assert_eq!(loaded(&pool), ["m0", "m1", "m2"]);
    let held = pool.engine("m2").await.unwrap();
    // 25 of 30 bytes would need two of the others gone and m2 as well.
    let refused = pool.engine("big").await.unwrap_err();
    assert_eq!(
        refused,
        EngineError::OutOfMemory {
            name: "big".into(),
            needed: 25,
            available: 20
        }
    );
    assert_eq!(loaded(&pool), ["m0", "m1", "m2"], "unloaded in vain");
    pool.engine("frail").await.unwrap();
    assert_eq!(loaded(&pool), ["frail", "m0", "m2"]);
    pool.pin("m0", true);
    drop(held);
    pool.engine("m1").await.unwrap();
    assert_eq!(loaded(&pool), ["m0", "m1", "m2"]);
    pool.engine("frail").await.unwrap();
    assert_eq!(loaded(&pool), ["frail", "m0", "m1"]);
    assert!(pool.engine("big").await.is_err());
    pool.pin("m0", false);
    pool.engine("big").await.unwrap();
    assert_eq!(loaded(&pool), ["big"]);
}

#[tokio::test]
async fn idle_models_go_and_used_or_pinned_ones_stay() {
    let (pool, factory) = pool(PoolOptions {
        pinned: BTreeSet::from(["m1".to_owned()]),
        ..PoolOptions::default()
    });
    let used = pool.engine("m0").await.unwrap();
    let also = used.clone();
    drop(used);
    pool.engine("m1").await.unwrap();
    pool.engine("m2").await.unwrap();
    assert_eq!(pool.unload_idle(Duration::from_secs(3600)).await, 0);
    assert_eq!(pool.unload_idle(Duration::ZERO).await, 1);
    assert_eq!(loaded(&pool), ["m0", "m1"]);
    assert!(!pool.unload("m0").await, "unloaded while in use");
    let answer = also.generate(ask(&also)).await;
    assert!(answer.is_ok());
    drop((answer, also));
    assert!(pool.unload("m0").await);
    assert!(pool.unload("m1").await);
    assert!(!pool.unload("m1").await);
    assert_eq!(loaded(&pool), Vec::<String>::new());
    pool.engine("m0").await.unwrap();
    assert_eq!(factory.loads.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn an_engine_that_failed_is_loaded_anew() {
    let (pool, factory) = pool(PoolOptions::default());
    for round in 1..=2 {
        let engine = pool.engine("frail").await.unwrap();
        let mut generation = engine.generate(ask(&engine)).await.unwrap();
        let mut last = None;
        while let Some(event) = timeout(PATIENCE, generation.next()).await.unwrap() {
            last = Some(event);
        }
        assert!(matches!(
            last,
            Some(GenerationEvent::Failed(EngineError::Executor(_)))
        ));
        assert_eq!(factory.loads.load(Ordering::SeqCst), round);
        assert!(pool.loads().is_empty(), "it serves nobody any more");
    }
}

#[tokio::test]
async fn shutdown_waits_for_a_load_and_stop_ends_answers() {
    let (pool, _, open) = gated(PoolOptions::default());
    assert!(
        timeout(Duration::from_millis(10), pool.engine("m0"))
            .await
            .is_err()
    );
    let shutdown = pool.shutdown();
    tokio::pin!(shutdown);
    assert!(
        timeout(Duration::from_millis(10), &mut shutdown)
            .await
            .is_err()
    );
    open.send(()).unwrap();
    timeout(PATIENCE, shutdown).await.unwrap();
    assert_eq!(loaded(&pool), Vec::<String>::new());
    timeout(PATIENCE, pool.stop()).await.unwrap();
}

/// Runs the pool's upkeep while `until` waits for something.
async fn maintained(pool: &ModelPool, until: impl Future<Output = ()>) {
    tokio::select! {
        () = pool.maintain() => unreachable!("it never ends"),
        done = timeout(PATIENCE, until) => done.unwrap(),
    }
}

async fn gone(pool: &ModelPool, name: &str) {
    while loaded(pool).iter().any(|loaded| loaded == name) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn unloads_in(pool: &ModelPool, name: &str) -> Option<Duration> {
    let status = pool.list().into_iter().find(|model| model.name == name);
    match status.unwrap().state {
        ModelState::Loaded { unloads_in, .. } => unloads_in,
        other => panic!("{other:?}"),
    }
}

/// A client may say for its model what the host says for all: go at once, stay for ever.
#[tokio::test]
async fn what_was_said_of_one_model_beats_the_options() {
    let (pool, factory) = pool(PoolOptions {
        idle_unload: Some(Duration::from_millis(20)),
        ..PoolOptions::default()
    });
    let stays = pool.engine("m0").await.unwrap();
    pool.keep("m0", KeepAlive::Forever);
    drop(stays);
    let goes = pool.engine("m1").await.unwrap();
    pool.keep("m1", KeepAlive::For(Duration::ZERO));
    drop(goes);
    drop(pool.engine("m2").await.unwrap());
    assert_eq!(unloads_in(&pool, "m0"), None);
    maintained(&pool, async {
        gone(&pool, "m1").await;
        gone(&pool, "m2").await;
    })
    .await;
    assert_eq!(loaded(&pool), ["m0"]);
    // It was said of that load: the next one follows the options again.
    drop(pool.engine("m1").await.unwrap());
    assert!(unloads_in(&pool, "m1").is_some());
    maintained(&pool, gone(&pool, "m1")).await;
    assert_eq!(factory.loads.load(Ordering::SeqCst), 4);
}

/// Going at once still means after the last use.
#[tokio::test]
async fn a_model_in_use_is_kept_until_it_is_not() {
    let (pool, _) = pool(PoolOptions::default());
    let guard = pool.engine("m0").await.unwrap();
    pool.keep("m0", KeepAlive::For(Duration::ZERO));
    maintained(&pool, tokio::time::sleep(Duration::from_millis(30))).await;
    assert_eq!(loaded(&pool), ["m0"]);
    drop(guard);
    maintained(&pool, gone(&pool, "m0")).await;
}
