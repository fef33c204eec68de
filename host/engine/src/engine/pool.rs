//! [`ModelPool`]: engines by model name, loaded when asked for and unloaded when in the way.
//!
//! - Requests for one model share one load, and a load goes on when the request that began it has
//!   gone, because the others still want it.
//! - Loads and unloads take turns. What is about to be unloaded therefore never counts as free
//!   before it is, and a disk or a memory bus is not shared by two loads that would both be slower.
//! - A model in use is never unloaded: an [`EngineGuard`] is held for the length of a request.
//!   Idle ones go after [`PoolOptions::idle_unload`], or what [`ModelPool::keep`] said of one, or
//!   earlier, least recently used first, when another model needs their memory. Pinned ones stay.
//! - An engine that failed is replaced by a fresh load at the next request.

mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use slots::EngineGuard;
use slots::{Inner, Outcome, Slot, State, Victims};

use super::{Engine, EngineError, EngineLoad};

/// Where engines come from: a model store and an executor. Called on blocking threads.
pub trait EngineFactory: Send + Sync + 'static {
    /// Names of all models that could be loaded, sorted.
    fn known(&self) -> Vec<String>;

    /// Bytes the model will hold once loaded, weights and KV memory together.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`], or what is wrong with the model folder.
    fn bytes(&self, name: &str) -> Result<u64, EngineError>;

    /// Loads a model and starts its engine.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`], or why it cannot be loaded.
    fn load(&self, name: &str) -> Result<Engine, EngineError>;
}

/// Habits of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolOptions {
    /// Most bytes held by loaded models; `None` is no limit.
    pub memory_budget: Option<u64>,
    /// Unload what nobody has used for so long; `None` keeps models until memory is needed.
    pub idle_unload: Option<Duration>,
    /// Models never unloaded for either reason.
    pub pinned: BTreeSet<String>,
}

/// How long a model stays in memory after its last use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// So long; zero unloads it as soon as nobody uses it.
    For(Duration),
    /// Until its memory is needed.
    Forever,
}

/// Whether a model is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelState {
    /// Only on disk.
    Unloaded,
    /// On its way into memory.
    Loading,
    /// Ready.
    Loaded {
        /// Requests using it.
        users: usize,
        /// Since when nobody has, if nobody does.
        idle: Option<Duration>,
        /// How long it stays if nobody uses it from now on; `None` is until its memory is needed.
        unloads_in: Option<Duration>,
    },
}

/// One known model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// Whether it is in memory.
    pub state: ModelState,
    /// Bytes it holds, once loading.
    pub bytes: u64,
    /// Whether it may not be unloaded.
    pub pinned: bool,
}

/// See the [module documentation](self). Clones share the pool.
#[derive(Clone)]
pub struct ModelPool {
    inner: Arc<Inner>,
}

impl ModelPool {
    /// A pool with nothing loaded.
    #[must_use]
    pub fn new(factory: Arc<dyn EngineFactory>, options: PoolOptions) -> Self {
        let state = State {
            slots: BTreeMap::new(),
            pinned: options.pinned.clone(),
            keep: BTreeMap::new(),
            generation: 0,
            closed: false,
            tasks: JoinSet::new(),
        };
        Self {
            inner: Arc::new(Inner {
                factory,
                options,
                state: Mutex::new(state),
                turn: Mutex::new(()),
                idle: Notify::new(),
            }),
        }
    }

    /// The engine of model `name`, loaded first if need be. Keep the guard while using it.
    ///
    /// # Errors
    /// Why it could not be loaded; all that waited for the same load get the same error.
    pub async fn engine(&self, name: &str) -> Result<EngineGuard, EngineError> {
        loop {
            let mut done = {
                let mut state = self.inner.state();
                if state.closed {
                    return Err(EngineError::ShuttingDown);
                }
                if let Some(guard) = self.inner.ready(&mut state, name) {
                    return Ok(guard);
                }
                match state.slots.get(name) {
                    Some(Slot::Loading { done, .. }) => done.clone(),
                    _ => self.begin_load(&mut state, name),
                }
            };
            let outcome = done.wait_for(Option::is_some).await.map(|o| o.clone());
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(_) => {
                    // The load panicked: its slot would block the model for ever.
                    let mut state = self.inner.state();
                    if let Some(Slot::Loading { done: current, .. }) = state.slots.get(name)
                        && current.same_channel(&done)
                    {
                        state.slots.remove(name);
                    }
                    let message = format!("loading `{name}` panicked");
                    return Err(EngineError::Internal(message));
                }
            };
            if let Some(Err(error)) = outcome {
                return Err(error);
            }
        }
    }

    fn begin_load(&self, state: &mut State, name: &str) -> watch::Receiver<Outcome> {
        let (tx, done) = watch::channel(None);
        let slot = Slot::Loading {
            bytes: 0,
            done: done.clone(),
        };
        state.slots.insert(name.to_owned(), slot);
        let inner = Arc::clone(&self.inner);
        let name = name.to_owned();
        let runtime = Handle::current();
        while state.tasks.try_join_next().is_some() {}
        state
            .tasks
            .spawn_blocking(move || inner.load(&name, &tx, &runtime));
        done
    }

    /// The engine of model `name` if it is in memory. Never waits.
    #[must_use]
    pub fn loaded(&self, name: &str) -> Option<EngineGuard> {
        let mut state = self.inner.state();
        self.inner.ready(&mut state, name)
    }

    /// Every known model and whether it is in memory. Asks the factory, which may look at disks.
    #[must_use]
    pub fn list(&self) -> Vec<ModelStatus> {
        let mut names: BTreeSet<String> = self.inner.factory.known().into_iter().collect();
        let state = self.inner.state();
        names.extend(state.slots.keys().cloned());
        names
            .into_iter()
            .map(|name| {
                let slot = state.slots.get(&name);
                let status = match slot {
                    None => ModelState::Unloaded,
                    Some(Slot::Loading { .. }) => ModelState::Loading,
                    Some(Slot::Loaded {
                        users, last_used, ..
                    }) => {
                        let idle = (*users == 0).then(|| last_used.elapsed());
                        let keep = self.inner.keep(&state, &name);
                        ModelState::Loaded {
                            users: *users,
                            idle,
                            unloads_in: keep
                                .map(|keep| keep.saturating_sub(idle.unwrap_or_default())),
                        }
                    }
                };
                ModelStatus {
                    state: status,
                    bytes: slot.map_or(0, Slot::bytes),
                    pinned: state.pinned.contains(&name),
                    name,
                }
            })
            .collect()
    }

    /// How busy each loaded model is.
    #[must_use]
    pub fn loads(&self) -> Vec<(String, EngineLoad)> {
        let state = self.inner.state();
        let slots = state.slots.iter();
        slots
            .filter_map(|(name, slot)| match slot {
                // One that failed serves nobody, also while nobody has asked for it since.
                Slot::Loaded { engine, .. } if engine.failure().is_none() => {
                    Some((name.clone(), engine.load()))
                }
                Slot::Loaded { .. } | Slot::Loading { .. } => None,
            })
            .collect()
    }

    /// Forbids or allows unloading `name` for idleness or memory.
    pub fn pin(&self, name: &str, pinned: bool) {
        let mut state = self.inner.state();
        if pinned {
            state.pinned.insert(name.to_owned());
        } else {
            state.pinned.remove(name);
        }
    }

    /// Says how long a loaded model stays after its last use, from now until it is unloaded. Whoever
    /// wants it for a request says it while holding the guard. Nothing happens if it is not loaded.
    pub fn keep(&self, name: &str, keep: KeepAlive) {
        let mut state = self.inner.state();
        if let Some(Slot::Loaded { .. }) = state.slots.get(name) {
            let keep = match keep {
                KeepAlive::For(duration) => Some(duration),
                KeepAlive::Forever => None,
            };
            state.keep.insert(name.to_owned(), keep);
            drop(state);
            self.inner.idle.notify_one();
        }
    }

    /// Unloads `name` now, pinned or not, unless it is in use. True if it was loaded and idle.
    pub async fn unload(&self, name: &str) -> bool {
        self.run_unload(Victims::One(name.to_owned())).await > 0
    }

    /// Unloads every model, but pinned ones, that nobody has used for `idle`; returns how many.
    pub async fn unload_idle(&self, idle: Duration) -> usize {
        self.run_unload(Victims::IdleFor(idle)).await
    }

    async fn run_unload(&self, victims: Victims) -> usize {
        let (tx, mut done) = watch::channel(None);
        let inner = Arc::clone(&self.inner);
        let runtime = Handle::current();
        self.inner.state().tasks.spawn_blocking(move || {
            tx.send_replace(Some(inner.unload(&victims, &runtime)));
        });
        match done.wait_for(Option::is_some).await {
            Ok(count) => count.unwrap_or_default(),
            Err(_) => 0,
        }
    }

    /// Unloads idle models as [`PoolOptions::idle_unload`] and [`keep`](Self::keep) say, for ever; the
    /// caller owns the task.
    pub async fn maintain(&self) {
        loop {
            // A model that becomes idle meanwhile leaves a permit, so none is overlooked.
            match self.inner.next_unload() {
                None => self.inner.idle.notified().await,
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, self.inner.idle.notified()).await;
                }
            }
            if self.inner.next_unload() == Some(Duration::ZERO) {
                self.run_unload(Victims::Expired).await;
            }
        }
    }

    /// Refuses new requests, lets running ones finish, frees all models.
    pub async fn shutdown(&self) {
        for engine in self.close() {
            engine.shutdown().await;
        }
        self.settle().await;
    }

    /// Refuses new requests, ends running ones, frees all models.
    pub async fn stop(&self) {
        for engine in self.close() {
            engine.stop().await;
        }
        self.settle().await;
    }

    fn close(&self) -> Vec<Engine> {
        let mut state = self.inner.state();
        state.closed = true;
        let slots = state.slots.values();
        slots
            .filter_map(|slot| match slot {
                Slot::Loaded { engine, .. } => Some(engine.clone()),
                Slot::Loading { .. } => None,
            })
            .collect()
    }

    async fn settle(&self) {
        let mut tasks = std::mem::take(&mut self.inner.state().tasks);
        while tasks.join_next().await.is_some() {}
        self.inner.state().slots.clear();
    }
}

impl std::fmt::Debug for ModelPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelPool")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}
