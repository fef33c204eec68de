//! A small fork-join pool: the same closure on every thread, one fork and one join per operation.
//!
//! The caller is thread 0 and takes its share of the work. Workers spin for a moment after a job,
//! because the next operation of a forward pass follows within microseconds, then park until
//! woken. Work is divided statically ([`share`]), so which thread computes what is a function of
//! sizes alone; kernels do not let results depend on it anyway.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};

/// How often a waiting thread looks before it parks: some tens of microseconds.
const SPINS: usize = 20_000;

/// Looks between two offers of the core to another thread; a machine with more runnable threads
/// than cores would otherwise wait out whole time slices.
const SPINS_BEFORE_YIELD: usize = 2_000;

type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// The current job as workers see it: a borrow whose lifetime [`Pool::run`] guards.
#[derive(Clone, Copy)]
struct JobPointer(*const Job<'static>);

// SAFETY: the closure is `Sync`, and `Pool::run` keeps it alive until every worker is done.
unsafe impl Send for JobPointer {}

struct Common {
    /// Increases with every job; workers wait for it to change.
    epoch: AtomicUsize,
    /// The job of the current epoch; written before the epoch, read after it.
    job: Mutex<Option<JobPointer>>,
    /// Workers that have not finished the current job.
    running: AtomicUsize,
    /// Set, then the epoch is increased, to end the workers.
    stop: AtomicBool,
    /// The first panic of a worker in the current job.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Threads that run one closure together. Dropping it ends them.
pub(crate) struct Pool {
    common: Arc<Common>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// A pool of `threads` (at least one), the caller included.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let common = Arc::new(Common {
            epoch: AtomicUsize::new(0),
            job: Mutex::new(None),
            running: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let mut pool = Self {
            common,
            workers: Vec::new(),
        };
        for index in 1..threads.max(1) {
            let common = Arc::clone(&pool.common);
            let worker = std::thread::Builder::new()
                .name(format!("atoll-cpu-{index}"))
                .spawn(move || work(&common, index))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Threads, the caller included.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `job(thread)` on every thread and returns when all are done. A panic in any of them
    /// continues in the caller.
    pub(crate) fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() {
            job(0);
            return;
        }
        // SAFETY: only the lifetime changes. `wait` below returns after every worker has finished
        // with the closure, also when the caller's own share panics.
        let pointer = unsafe { std::mem::transmute::<*const Job<'_>, *const Job<'static>>(job) };
        *lock(&self.common.job) = Some(JobPointer(pointer));
        self.common
            .running
            .store(self.workers.len(), Ordering::Relaxed);
        self.common.epoch.fetch_add(1, Ordering::Release);
        self.wake();

        let mine = catch_unwind(AssertUnwindSafe(|| job(0)));
        wait(
            || self.common.running.load(Ordering::Acquire) == 0,
            || {
                std::thread::yield_now();
            },
        );
        if let Err(panic) = mine {
            resume_unwind(panic);
        }
        if let Some(panic) = lock(&self.common.panic).take() {
            resume_unwind(panic);
        }
    }

    fn wake(&self) {
        // `unpark` of a thread that is not parked is one atomic swap.
        self.workers
            .iter()
            .map(JoinHandle::thread)
            .for_each(Thread::unpark);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.common.stop.store(true, Ordering::Relaxed);
        self.common.epoch.fetch_add(1, Ordering::Release);
        self.wake();
        for worker in self.workers.drain(..) {
            // A worker's panic was already passed on by `run`.
            drop(worker.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spins until `ready`, then alternates with `rest`.
fn wait(ready: impl Fn() -> bool, rest: impl Fn()) {
    for spin in 1..=SPINS {
        if ready() {
            return;
        }
        if spin % SPINS_BEFORE_YIELD == 0 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
    while !ready() {
        rest();
    }
}

fn work(common: &Common, index: usize) {
    let mut seen = 0;
    loop {
        wait(
            || common.epoch.load(Ordering::Acquire) != seen,
            std::thread::park,
        );
        // `run` waits for this worker before the next job, so no epoch is skipped.
        seen = common.epoch.load(Ordering::Acquire);
        if common.stop.load(Ordering::Relaxed) {
            return;
        }
        let job = *lock(&common.job);
        if let Some(JobPointer(job)) = job {
            // SAFETY: `run` of this epoch does not return before `running` is decreased below.
            let job = unsafe { &*job };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(index))) {
                lock(&common.panic).get_or_insert(panic);
            }
        }
        common.running.fetch_sub(1, Ordering::Release);
    }
}

/// Part `index` of `0..items` in `parts` contiguous, nearly equal parts.
pub(crate) fn share(items: usize, parts: usize, index: usize) -> Range<usize> {
    items * index / parts..items * (index + 1) / parts
}

/// Cores this process may use, counting a core with several hardware threads once: a second thread
/// on a core only competes for the vector units and memory bandwidth that decide the speed here.
pub(crate) fn physical_parallelism() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    allowed.min(physical_cores().unwrap_or(allowed)).max(1)
}

#[cfg(target_os = "linux")]
fn physical_cores() -> Option<usize> {
    let mut cores = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir("/sys/devices/system/cpu").ok()?.flatten() {
        let siblings = entry.path().join("topology/thread_siblings_list");
        if let Ok(siblings) = std::fs::read_to_string(siblings) {
            cores.insert(siblings);
        }
    }
    (!cores.is_empty()).then_some(cores.len())
}

#[cfg(not(target_os = "linux"))]
fn physical_cores() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_thread_runs_every_job_once() {
        let mut pool = Pool::new(4).unwrap();
        let counts: [AtomicU64; 4] = Default::default();
        for _ in 0..1000 {
            pool.run(&|thread| {
                counts[thread].fetch_add(1, Ordering::Relaxed);
            });
        }
        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1000));
    }

    #[test]
    fn a_job_may_borrow_and_its_writes_are_seen_after_the_join() {
        let mut pool = Pool::new(3).unwrap();
        for round in 0..200_u64 {
            let cells: [AtomicU64; 3] = Default::default();
            pool.run(&|thread| cells[thread].store(round + thread as u64, Ordering::Relaxed));
            let sum: u64 = cells.iter().map(|c| c.load(Ordering::Relaxed)).sum();
            assert_eq!(sum, 3 * round + 3);
        }
    }

    #[test]
    fn a_parked_pool_wakes() {
        let mut pool = Pool::new(2).unwrap();
        for _ in 0..3 {
            // Long enough that the worker has given up spinning.
            std::thread::sleep(std::time::Duration::from_millis(20));
            let ran = AtomicU64::new(0);
            pool.run(&|_| {
                ran.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(ran.load(Ordering::Relaxed), 2);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_survives() {
        let mut pool = Pool::new(2).unwrap();
        for bad in 0..2 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(&|thread| assert!(thread != bad, "thread {bad} fails"));
            }));
            assert!(result.is_err());
            let ran = AtomicU64::new(0);
            pool.run(&|_| {
                ran.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(ran.load(Ordering::Relaxed), 2);
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        for items in 0..40 {
            for parts in 1..7 {
                let all: Vec<usize> = (0..parts).flat_map(|i| share(items, parts, i)).collect();
                assert_eq!(all, (0..items).collect::<Vec<_>>());
            }
        }
    }
}
