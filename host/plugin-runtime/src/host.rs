//! The host's side of one instance: its state, and the functions it may import.
//!
//! One [`HostState`] per store, so per request. Each interface of `atoll:plugin` is implemented here
//! and linked only when granted. Every call is counted against a budget; going over ends the exchange.
//! Nothing here blocks or waits: host functions return at once, but for `http-out`.
//!
//! WASI is linked whole but empty: no files but granted folders, no arguments, no environment, no
//! network; what a guest
//! prints goes to the log under the log budget; the clock stands still unless `clock` is granted, and
//! is always still for strategies, whose random source is a constant too: they are functions of
//! their input.

mod files;
mod http_out;
mod kv;
mod limiter;
mod log;
mod metrics;
mod stdio;
mod tokenizer;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

pub(crate) use self::files::{Folder, folders};
pub(crate) use self::http_out::{AllowList, HttpOut, SystemResolver};
pub use self::http_out::{HttpOutSnapshot, Resolver};
pub(crate) use self::kv::{KvDisk, KvStore};
pub use self::kv::{Stored, StoredError, forget_in, kv_file_for, stored_in};
pub(crate) use self::limiter::{Limiter, MemoryBudget};
pub(crate) use self::log::{LogBudget, sanitize};
pub(crate) use self::metrics::PluginMetrics;
pub use self::metrics::{HistogramSnapshot, PluginMetricsSnapshot};
pub(crate) use self::stdio::Captured;
pub use self::tokenizer::TokenizerHost;

use crate::bindings::imports::atoll::plugin as wit;
use crate::error::{FaultKind, LimitHit};
use crate::grant::GrantSet;
use crate::info::World;
use crate::options::{CallLimits, RuntimeOptions};
use crate::types;

/// What all instances of one loaded plugin share.
pub(crate) struct PluginShared {
    /// Its own name and version once described; the file's name and `0.0.0` before.
    pub name: Arc<str>,
    pub version: Arc<str>,
    pub grants: GrantSet,
    /// `None` while it is being described for the first time.
    pub world: Option<World>,
    /// Settings with defaults applied, as JSON text.
    pub settings: Arc<str>,
    pub kv: Arc<KvStore>,
    pub metrics: Arc<PluginMetrics>,
    /// Its way to the network, if it was granted one.
    pub http_out: Option<Arc<HttpOut>>,
    /// What it may read.
    pub folders: Arc<[Folder]>,
    /// What all its instances may hold together.
    pub memory: Arc<MemoryBudget>,
    pub options: Arc<RuntimeOptions>,
}

/// WASI handles a guest may hold: no sockets and few files, so a few streams and timers.
const WASI_RESOURCES: usize = 256;

/// Data of one store.
pub(crate) struct HostState {
    pub plugin: Arc<PluginShared>,
    /// The request this instance serves, for the log.
    pub request: Arc<str>,
    pub limiter: Limiter,
    pub log: LogBudget,
    pub stdio: Captured,
    /// Host calls left in the current call.
    calls_left: u32,
    /// Ticks left in the current call.
    ticks_left: u64,
    /// Requests through `http-out` left to this instance.
    requests_left: u32,
    /// When the current call ends, whatever it does.
    call_ends: Instant,
    started: Instant,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl HostState {
    pub fn new(plugin: Arc<PluginShared>, request: Arc<str>) -> Self {
        let options = &plugin.options;
        let stdio = Captured::new(options.log.message_bytes.saturating_mul(4));
        let mut wasi = WasiCtx::builder();
        wasi.stdout(stdio.clone()).stderr(stdio.clone());
        wasi.allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        // Bounds what one `get-random-bytes` may ask of the host.
        wasi.max_random_size(64 * 1024);
        let pure = plugin.world.is_some_and(World::is_pure);
        if pure || !plugin.grants.has("clock") {
            wasi.wall_clock(StoppedClock).monotonic_clock(StoppedClock);
        }
        if pure {
            wasi.secure_random(Deterministic::new(vec![0x5a; 64]))
                .insecure_random(Deterministic::new(vec![0xa5; 64]))
                .insecure_random_seed(0);
        }
        files::open(&mut wasi, &plugin.folders);
        // What WASI keeps for a guest (streams, pollables) is the host's memory.
        let mut table = ResourceTable::new();
        table.set_max_capacity(WASI_RESOURCES);
        let limiter = Limiter::new(options.instance, Arc::clone(&plugin.memory));
        let log = LogBudget::new(options.log);
        let requests_left = options.http_out.requests;
        let now = Instant::now();
        Self {
            plugin,
            request,
            limiter,
            log,
            stdio,
            calls_left: 0,
            ticks_left: 0,
            requests_left,
            call_ends: now,
            started: now,
            wasi: wasi.build(),
            table,
        }
    }

    /// Fills the budgets for the next call. Returns the ticks until the first look.
    pub fn arm(&mut self, limits: &CallLimits, tick: Duration) {
        self.calls_left = limits.host_calls;
        self.ticks_left = limits.ticks(tick);
        self.call_ends = Instant::now() + limits.wall;
    }

    /// What is left of the current call's wall-clock time.
    fn time_left(&self) -> Duration {
        self.call_ends.saturating_duration_since(Instant::now())
    }

    /// Called each tick in which this guest runs: whether it may go on.
    pub fn charge_tick(&mut self) -> bool {
        self.ticks_left = self.ticks_left.saturating_sub(1);
        self.ticks_left > 0
    }

    /// Takes what a host function worked for a guest off its processor time: ticks see only that it began.
    fn charge_work(&mut self, began: Instant) -> wasmtime::Result<()> {
        let tick = self.plugin.options.tick.as_nanos().max(1);
        let ticks = u64::try_from(began.elapsed().as_nanos() / tick).unwrap_or(u64::MAX);
        self.ticks_left = self.ticks_left.saturating_sub(ticks);
        if self.ticks_left > 0 {
            return Ok(());
        }
        let message = "the host worked longer for it than it may in one call";
        Err(LimitHit::new(FaultKind::Deadline, message).into())
    }

    fn charge_call(&mut self) -> wasmtime::Result<()> {
        match self.calls_left.checked_sub(1) {
            Some(left) => {
                self.calls_left = left;
                Ok(())
            }
            None => Err(LimitHit::new(
                FaultKind::HostCalls,
                "more host calls in one call than it may make",
            )
            .into()),
        }
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }
    fn now(&self) -> u64 {
        0
    }
}

/// A linker with WASI and exactly the granted interfaces.
pub(crate) fn linker(
    engine: &wasmtime::Engine,
    grants: GrantSet,
) -> wasmtime::Result<Linker<HostState>> {
    type State = HasSelf<HostState>;
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    files::link(&mut linker)?;
    wit::types::add_to_linker::<_, State>(&mut linker, |state| state)?;
    if grants.has("log") {
        wit::log::add_to_linker::<_, State>(&mut linker, |state| state)?;
    }
    if grants.has("clock") {
        wit::clock::add_to_linker::<_, State>(&mut linker, |state| state)?;
    }
    if grants.has("random") {
        wit::random::add_to_linker::<_, State>(&mut linker, |state| state)?;
    }
    if grants.has("config") {
        wit::config::add_to_linker::<_, State>(&mut linker, |state| state)?;
    }
    if grants.has("kv") {
        wit::kv::add_to_linker::<_, State>(&mut linker, |state| state)?;
    }
    if grants.has("tokenizer") {
        wit::tokenizer::add_to_linker::<_, State>(&mut linker, |state| state)?;
    }
    if grants.has("metrics") {
        wit::metrics::add_to_linker::<_, State>(&mut linker, |state| state)?;
    }
    if grants.has("http-out") {
        wit::http_out::add_to_linker::<_, State>(&mut linker, |state| state)?;
    }
    Ok(linker)
}

impl wit::types::Host for HostState {}

impl wit::log::Host for HostState {
    fn write(&mut self, level: wit::log::Level, message: String) -> wasmtime::Result<()> {
        self.charge_call()?;
        self.log.write(&self.plugin, &self.request, level, &message);
        Ok(())
    }
}

impl wit::clock::Host for HostState {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.charge_call()?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_us(&mut self) -> wasmtime::Result<u64> {
        self.charge_call()?;
        Ok(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

impl wit::random::Host for HostState {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.charge_call()?;
        let mut bytes = vec![0u8; count.min(4096) as usize];
        getrandom::fill(&mut bytes)
            .map_err(|error| wasmtime::Error::msg(format!("no random source: {error}")))?;
        Ok(bytes)
    }
}

impl wit::config::Host for HostState {
    fn settings(&mut self) -> wasmtime::Result<String> {
        self.charge_call()?;
        Ok(self.plugin.settings.to_string())
    }
}

impl wit::kv::Host for HostState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, types::Error>> {
        self.charge_call()?;
        Ok(Ok(self.plugin.kv.get(&key)))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), types::Error>> {
        self.charge_call()?;
        Ok(self.plugin.kv.set(key, value))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), types::Error>> {
        self.charge_call()?;
        Ok(self.plugin.kv.delete(&key))
    }

    fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, types::Error>> {
        self.charge_call()?;
        Ok(self
            .plugin
            .kv
            .compare_and_set(key, expected.as_deref(), value))
    }

    fn keys(
        &mut self,
        prefix: String,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<String>, types::Error>> {
        self.charge_call()?;
        Ok(Ok(self.plugin.kv.keys(&prefix, limit as usize)))
    }
}

impl HostState {
    /// Some milliseconds of work at the most, on a thread that others share: the guest's own time.
    fn tokenize<T>(
        &mut self,
        ask: impl FnOnce(&dyn TokenizerHost) -> Result<T, types::Error>,
    ) -> wasmtime::Result<Result<T, types::Error>> {
        self.charge_call()?;
        let began = Instant::now();
        let answer = match &self.plugin.options.tokenizer {
            Some(tokenizer) => ask(tokenizer.as_ref()),
            None => Err(tokenizer::absent()),
        };
        self.charge_work(began)?;
        Ok(answer)
    }
}

impl wit::tokenizer::Host for HostState {
    fn count(
        &mut self,
        model: String,
        text: String,
    ) -> wasmtime::Result<Result<u32, types::Error>> {
        self.tokenize(|tokenizer| tokenizer.count(&model, &text))
    }

    fn encode(
        &mut self,
        model: String,
        text: String,
    ) -> wasmtime::Result<Result<Vec<u32>, types::Error>> {
        self.tokenize(|tokenizer| tokenizer.encode(&model, &text))
    }

    fn decode(
        &mut self,
        model: String,
        tokens: Vec<u32>,
    ) -> wasmtime::Result<Result<String, types::Error>> {
        self.tokenize(|tokenizer| tokenizer.decode(&model, &tokens))
    }
}

impl wit::metrics::Host for HostState {
    fn count(&mut self, name: String, by: u64) -> wasmtime::Result<()> {
        self.charge_call()?;
        self.plugin.metrics.count(&name, by);
        Ok(())
    }

    fn observe(&mut self, name: String, value: f64) -> wasmtime::Result<()> {
        self.charge_call()?;
        self.plugin.metrics.observe(&name, value);
        Ok(())
    }
}
