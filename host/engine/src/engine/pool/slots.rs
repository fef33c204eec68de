//! What the pool holds, and the work on it: loading, making room, unloading.
//!
//! Everything here that takes long runs on a blocking thread and under [`Inner::turn`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::{EngineFactory, PoolOptions};
use crate::engine::{Engine, EngineError};

/// How a load ended; `None` while it goes on.
pub(super) type Outcome = Option<Result<(), EngineError>>;

pub(super) enum Slot {
    Loading {
        bytes: u64,
        done: watch::Receiver<Outcome>,
    },
    Loaded {
        engine: Engine,
        bytes: u64,
        users: usize,
        last_used: Instant,
        /// Tells this load from an earlier one of the same name.
        generation: u64,
    },
}

impl Slot {
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Loading { bytes, .. } | Self::Loaded { bytes, .. } => *bytes,
        }
    }
}

pub(super) struct State {
    pub slots: BTreeMap<String, Slot>,
    pub pinned: BTreeSet<String>,
    /// What was said of loaded models; `None` is for ever. Forgotten when a model is unloaded.
    pub keep: BTreeMap<String, Option<Duration>>,
    pub generation: u64,
    pub closed: bool,
    /// Loads and unloads under way.
    pub tasks: JoinSet<()>,
}

pub(super) struct Inner {
    pub factory: Arc<dyn EngineFactory>,
    pub options: PoolOptions,
    pub state: Mutex<State>,
    /// Held by the one load or unload that runs.
    pub turn: Mutex<()>,
    /// Told when a model may have become due for unloading.
    pub idle: Notify,
}

/// Which idle models to unload.
pub(super) enum Victims {
    /// This one, pinned or not.
    One(String),
    /// All that nobody has used for so long.
    IdleFor(Duration),
    /// All whose time is over.
    Expired,
}

/// An engine that stays loaded while this exists.
pub struct EngineGuard {
    engine: Engine,
    pool: Arc<Inner>,
    name: String,
    generation: u64,
}

impl std::ops::Deref for EngineGuard {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl std::fmt::Debug for EngineGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EngineGuard").field(&self.engine).finish()
    }
}

impl Clone for EngineGuard {
    fn clone(&self) -> Self {
        self.pool.adjust(&self.name, self.generation, 1);
        Self {
            engine: self.engine.clone(),
            pool: Arc::clone(&self.pool),
            name: self.name.clone(),
            generation: self.generation,
        }
    }
}

impl Drop for EngineGuard {
    fn drop(&mut self) {
        self.pool.adjust(&self.name, self.generation, -1);
    }
}

impl Inner {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn adjust(&self, name: &str, of: u64, by: isize) {
        if let Some(Slot::Loaded {
            users,
            last_used,
            generation,
            ..
        }) = self.state().slots.get_mut(name)
            && *generation == of
        {
            *users = users.saturating_add_signed(by);
            *last_used = Instant::now();
            if *users == 0 {
                self.idle.notify_one();
            }
        }
    }

    /// How long `name` stays after its last use.
    pub fn keep(&self, state: &State, name: &str) -> Option<Duration> {
        if state.pinned.contains(name) {
            return None;
        }
        let said = state.keep.get(name).copied();
        said.unwrap_or(self.options.idle_unload)
    }

    /// In how long the next model is due for unloading, if nothing changes.
    pub fn next_unload(&self) -> Option<Duration> {
        let state = self.state();
        let due = state.slots.iter().filter_map(|(name, slot)| match slot {
            Slot::Loaded {
                users: 0,
                last_used,
                ..
            } => Some(self.keep(&state, name)?.saturating_sub(last_used.elapsed())),
            _ => None,
        });
        due.min()
    }

    /// The engine if it is loaded and works. A failed one is forgotten.
    pub fn ready(self: &Arc<Self>, state: &mut State, name: &str) -> Option<EngineGuard> {
        let slot = state.slots.get_mut(name)?;
        let Slot::Loaded {
            engine,
            users,
            last_used,
            generation,
            ..
        } = slot
        else {
            return None;
        };
        if engine.failure().is_some() {
            state.slots.remove(name);
            return None;
        }
        *users += 1;
        *last_used = Instant::now();
        Some(EngineGuard {
            engine: engine.clone(),
            pool: Arc::clone(self),
            name: name.to_owned(),
            generation: *generation,
        })
    }

    /// Runs on a blocking thread: makes room, loads, publishes.
    pub fn load(&self, name: &str, done: &watch::Sender<Outcome>, runtime: &Handle) {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        let loaded = self.factory.bytes(name).and_then(|bytes| {
            self.make_room(name, bytes, runtime)?;
            Ok((self.factory.load(name)?, bytes))
        });
        let mut state = self.state();
        let outcome = match loaded {
            Ok(_) if state.closed => {
                state.slots.remove(name);
                Err(EngineError::ShuttingDown)
            }
            Ok((engine, bytes)) => {
                tracing::info!(model = name, bytes, elapsed = ?started.elapsed(), "loaded");
                state.generation += 1;
                let generation = state.generation;
                let slot = Slot::Loaded {
                    engine,
                    bytes,
                    users: 0,
                    last_used: Instant::now(),
                    generation,
                };
                state.slots.insert(name.to_owned(), slot);
                self.idle.notify_one();
                Ok(())
            }
            Err(error) => {
                tracing::warn!(model = name, %error, "could not be loaded");
                state.slots.remove(name);
                Err(error)
            }
        };
        drop(state);
        drop(turn);
        done.send_replace(Some(outcome));
    }

    /// Unloads idle models, least recently used first, until `needed` bytes fit the budget.
    fn make_room(&self, name: &str, needed: u64, runtime: &Handle) -> Result<(), EngineError> {
        let Some(budget) = self.options.memory_budget else {
            return Ok(());
        };
        loop {
            let mut state = self.state();
            let held = |state: &State| -> u64 {
                let others = state.slots.iter().filter(|(other, _)| *other != name);
                others.map(|(_, slot)| slot.bytes()).sum()
            };
            if held(&state).saturating_add(needed) <= budget {
                if let Some(Slot::Loading { bytes, .. }) = state.slots.get_mut(name) {
                    *bytes = needed;
                }
                return Ok(());
            }
            let idle = |state: &State| -> Vec<(Instant, String, u64)> {
                let slots = state.slots.iter();
                slots
                    .filter_map(|(name, slot)| match slot {
                        Slot::Loaded {
                            users: 0,
                            last_used,
                            bytes,
                            ..
                        } if !state.pinned.contains(name) => {
                            Some((*last_used, name.clone(), *bytes))
                        }
                        _ => None,
                    })
                    .collect()
            };
            let candidates = idle(&state);
            let freeable: u64 = candidates.iter().map(|(_, _, bytes)| bytes).sum();
            let available = budget.saturating_sub(held(&state).saturating_sub(freeable));
            // Checked first, so that nothing is unloaded in vain.
            if needed > available {
                return Err(EngineError::OutOfMemory {
                    name: name.to_owned(),
                    needed,
                    available,
                });
            }
            let Some((_, victim, _)) = candidates.into_iter().min() else {
                return Err(EngineError::Internal("memory vanished".into()));
            };
            let slot = state.slots.remove(&victim);
            state.keep.remove(&victim);
            drop(state);
            if let Some(Slot::Loaded { engine, .. }) = slot {
                tracing::info!(model = victim, for_model = name, "unloaded to make room");
                runtime.block_on(engine.shutdown());
            }
        }
    }

    /// Runs on a blocking thread: unloads idle models.
    pub fn unload(&self, victims: &Victims, runtime: &Handle) -> usize {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unloaded = 0;
        loop {
            let mut state = self.state();
            let is_victim = |name: &str, last_used: &Instant| match victims {
                Victims::One(only) => name == only,
                Victims::IdleFor(idle) => {
                    last_used.elapsed() >= *idle && !state.pinned.contains(name)
                }
                Victims::Expired => self
                    .keep(&state, name)
                    .is_some_and(|keep| last_used.elapsed() >= keep),
            };
            let victim = state.slots.iter().find_map(|(name, slot)| match slot {
                Slot::Loaded {
                    users: 0,
                    last_used,
                    ..
                } if is_victim(name, last_used) => Some(name.clone()),
                _ => None,
            });
            let Some(name) = victim else {
                return unloaded;
            };
            let slot = state.slots.remove(&name);
            state.keep.remove(&name);
            drop(state);
            if let Some(Slot::Loaded { engine, .. }) = slot {
                tracing::info!(model = name, "unloaded");
                runtime.block_on(engine.shutdown());
                unloaded += 1;
            }
        }
    }
}
