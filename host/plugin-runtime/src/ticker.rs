//! The thread that ticks the engine's epoch, so that guests can be interrupted.
//!
//! A dedicated thread, not a task: a guest that spins on every async worker must not be able to stop
//! the clock that would stop it. It holds the engine weakly and ends with it. It ticks only while
//! calls are running and for a moment after, so that an idle host does not wake the processor a
//! thousand times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread::Thread;
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::error::PluginError;

/// How long it goes on ticking after the last call: long enough to span the gap between two tokens, so
/// that a stream does not pay for waking a thread at each.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Shared {
    /// Calls under way.
    running: AtomicUsize,
    /// Calls begun so far.
    begun: AtomicU64,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// Handle to the ticking thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

impl Ticker {
    /// Starts the thread.
    pub fn start(engine: &Engine, period: Duration) -> Result<Self, PluginError> {
        let shared = Arc::new(Shared::default());
        let weak = engine.weak();
        let inner = Arc::clone(&shared);
        let handle = std::thread::Builder::new()
            .name("plugin-epoch".into())
            .spawn(move || {
                let mut begun = 0;
                let mut last_active = Instant::now();
                while !inner.stop.load(SeqCst) {
                    std::thread::sleep(period);
                    let Some(engine) = weak.upgrade() else { return };
                    engine.increment_epoch();
                    drop(engine);
                    let now_begun = inner.begun.load(SeqCst);
                    if inner.running.load(SeqCst) > 0 || now_begun != begun {
                        begun = now_begun;
                        last_active = Instant::now();
                    } else if last_active.elapsed() > LINGER {
                        // A caller first counts itself, then looks at `parked`; we do the reverse, so
                        // one of the two sees the other.
                        inner.parked.store(true, SeqCst);
                        while inner.running.load(SeqCst) == 0 && !inner.stop.load(SeqCst) {
                            std::thread::park();
                        }
                        inner.parked.store(false, SeqCst);
                    }
                }
            })
            .map_err(|error| {
                PluginError::Engine(format!("cannot start the epoch thread: {error}"))
            })?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
        })
    }

    /// Keeps the epoch ticking until the guard is dropped.
    pub fn running(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, SeqCst);
        self.shared.begun.fetch_add(1, SeqCst);
        if self.shared.parked.load(SeqCst) {
            self.thread.unpark();
        }
        Running {
            shared: &self.shared,
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// A call under way.
pub(crate) struct Running<'a> {
    shared: &'a Shared,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, SeqCst);
    }
}
