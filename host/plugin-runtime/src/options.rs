//! Every number that bounds a plugin, each with its reason.
//!
//! The defaults suit a machine that serves a model to tens or hundreds of clients. All are per
//! [`crate::PluginRuntime`]; raise them knowingly: most are multiplied by the number of requests in
//! flight.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::compile::Compiler;
use crate::host::{Resolver, TokenizerHost};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How the runtime is set up. `RuntimeOptions::default()` is a working choice without a cache folder.
#[derive(Clone)]
pub struct RuntimeOptions {
    /// Where compiled plugins are kept; `None` compiles at each start. The folder is created with mode
    /// 0700 and must belong to this installation alone: its files are native code.
    pub cache_dir: Option<PathBuf>,
    /// Largest that folder may become. A Python or JavaScript plugin takes some 36 MiB of it.
    pub cache_bytes: u64,
    /// Largest component accepted. Compiling costs about 1 s a megabyte; Python components start at
    /// 18 MiB, so this leaves them room.
    pub max_component_bytes: usize,
    /// What compiles components that did not ship with the host, in a process of its own; `None`
    /// compiles them in this one, where nothing bounds it.
    pub compiler: Option<Compiler>,
    /// Limits of that process.
    pub compile: CompileLimits,
    /// Instances alive at once over all plugins. A request holds one for its dialect and one for each
    /// filter, for as long as its stream lasts. Each reserves about 4 GiB of *address space* (not
    /// memory), so 3,072 take 15 TiB of the 128 TiB a 64-bit process has and leave room for a thousand
    /// requests through two filters; where the system refuses that, the runtime halves the pool and
    /// at last does without it.
    pub max_instances: u32,
    /// Instances alive at once of one plugin: leaves room for the others when one gets stuck.
    pub max_instances_per_plugin: u32,
    /// Linear memory of all instances together: what all plugins may take from the models.
    pub total_memory_bytes: usize,
    /// Linear memory of all instances of one plugin together; less than the whole, so that one plugin
    /// cannot starve the others.
    pub plugin_memory_bytes: usize,
    /// Limits of one instance.
    pub instance: InstanceLimits,
    /// Limits of one call into an instance.
    pub call: CallLimits,
    /// Limits of asking a placement strategy. Nobody waits for it but the loading of a model, which
    /// takes longer; a search over a large cluster is real work.
    pub placement: CallLimits,
    /// Limits of asking a scheduling strategy. The engine waits for the answer, so every running
    /// answer does: what is not decided in this time is decided first come, first served.
    pub scheduling: CallLimits,
    /// Limits of `describe` at load time: it returns constants, so anything slow is a defect.
    pub describe: CallLimits,
    /// How often the engine looks whether a guest has used up its time, and how long a guest can keep
    /// an async worker before others get a turn. The thread that ticks sleeps while no call runs.
    pub tick: Duration,
    /// Per-plugin store.
    pub kv: KvLimits,
    /// Per-plugin log budget.
    pub log: LogLimits,
    /// Bounds of `http-out`.
    pub http_out: HttpOutLimits,
    /// Which addresses a name has, for `http-out`; the system's name service unless set.
    pub resolver: Option<Arc<dyn Resolver>>,
    /// Names a plugin may use in each of `count` and `observe`; further ones are dropped. Every name
    /// is a time series for whoever scrapes it.
    pub max_metric_names: usize,
    /// Circuit breaker over a plugin's faults.
    pub breaker: crate::BreakerOptions,
    /// The model side's tokenizer, for plugins that are granted it; without it they get a typed
    /// `unsupported`.
    pub tokenizer: Option<Arc<dyn TokenizerHost>>,
}

/// Limits of one instance, enforced over its whole store: a component with several memories shares
/// one allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Bytes of linear memory, summed. A request with inline images is copied in, parsed and copied
    /// out: about five times its size at the peak, so 256 MiB carry a 32 MiB body.
    pub memory_bytes: usize,
    /// Linear memories. A Rust component has one; composed ones have several.
    pub memories: usize,
    /// Tables.
    pub tables: usize,
    /// Elements per table. JavaScript components start at 7,700.
    pub table_elements: usize,
    /// Core instances. Python components need over a hundred.
    pub core_instances: usize,
    /// Bytes that an exchange may return over its life. A long answer with 20 alternatives a token is
    /// some 300 MiB.
    pub total_output_bytes: u64,
}

/// Limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Processor time, counted in ticks during which the guest ran; time spent waiting for a turn is
    /// not charged to it.
    pub cpu: Duration,
    /// Wall-clock time, host functions included. Catches what ticks do not see, and is generous
    /// because a loaded machine is not the plugin's fault.
    pub wall: Duration,
    /// Calls to host functions.
    pub host_calls: u32,
    /// Bytes that may be copied out of the guest, on top of [`Self::output_per_input`].
    pub output_bytes: usize,
    /// Further bytes per byte handed in: a dialect's canonical request grows with the client's.
    pub output_per_input: usize,
}

/// Limits of compiling one component in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Wall-clock time; after it the process is killed.
    pub wall: Duration,
    /// Processor time over all its threads, in whole seconds. 18 MiB of Python take some 28 s.
    pub cpu: Duration,
    /// Address space in bytes; 18 MiB of Python need less than half of it.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(300),
            cpu: Duration::from_secs(300),
            memory_bytes: 4 << 30,
        }
    }
}

/// Bounds of a plugin's `kv` store. All of it is held in memory, and on disk where there is a file
/// ([`crate::PluginRuntime::keep_kv`]), so this is what a plugin may take of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvLimits {
    /// Keys.
    pub keys: usize,
    /// Bytes in a key.
    pub key_bytes: usize,
    /// Bytes in a value.
    pub value_bytes: usize,
    /// Bytes of all keys and values together.
    pub total_bytes: usize,
}

/// Bounds of what a plugin may do through `http-out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpOutLimits {
    /// Requests in the life of one instance, so per request of a client.
    pub requests: u32,
    /// Requests of one plugin at once; each may hold a request and an answer in memory.
    pub concurrent: usize,
    /// For one request, from its first byte to the last of its answer. A call's wall-clock limit ends
    /// it too, half a second earlier, so that the plugin learns of it and can answer.
    pub timeout: Duration,
    /// Bytes of the names and values of a request's headers.
    pub header_bytes: usize,
    /// Bytes of a request's body.
    pub request_bytes: usize,
    /// Bytes of an answer's body.
    pub response_bytes: usize,
}

/// Bounds of what one instance may log (its standard output and error included).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Lines; further ones are dropped and counted.
    pub lines: u32,
    /// Bytes of one message; longer ones are cut.
    pub message_bytes: usize,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            cache_dir: None,
            cache_bytes: 1 << 30,
            compiler: None,
            compile: CompileLimits::default(),
            max_component_bytes: 32 * MIB,
            max_instances: 3072,
            max_instances_per_plugin: 2048,
            total_memory_bytes: 4096 * MIB,
            plugin_memory_bytes: 2048 * MIB,
            instance: InstanceLimits {
                memory_bytes: 256 * MIB,
                memories: 4,
                tables: 16,
                table_elements: 20_000,
                core_instances: 200,
                total_output_bytes: 1 << 30,
            },
            call: CallLimits {
                // Parsing a 32 MiB body takes about 200 ms; a token batch takes microseconds.
                cpu: Duration::from_millis(500),
                wall: Duration::from_secs(10),
                host_calls: 10_000,
                output_bytes: 16 * MIB,
                output_per_input: 8,
            },
            placement: CallLimits {
                cpu: Duration::from_secs(2),
                wall: Duration::from_secs(10),
                host_calls: 1000,
                output_bytes: MIB,
                output_per_input: 8,
            },
            scheduling: CallLimits {
                // An order of 256 waiting requests takes well under a millisecond.
                cpu: Duration::from_millis(20),
                wall: Duration::from_millis(250),
                host_calls: 100,
                output_bytes: 256 * KIB,
                output_per_input: 2,
            },
            describe: CallLimits {
                cpu: Duration::from_millis(200),
                wall: Duration::from_secs(5),
                host_calls: 100,
                output_bytes: 256 * KIB,
                output_per_input: 0,
            },
            tick: Duration::from_millis(1),
            kv: KvLimits {
                keys: 1024,
                key_bytes: 256,
                value_bytes: 64 * KIB,
                total_bytes: MIB,
            },
            log: LogLimits {
                lines: 200,
                message_bytes: 2 * KIB,
            },
            http_out: HttpOutLimits {
                // A check before the prompt and one after, with room to try again.
                requests: 32,
                concurrent: 64,
                timeout: Duration::from_secs(8),
                header_bytes: 16 * KIB,
                request_bytes: MIB,
                response_bytes: MIB,
            },
            resolver: None,
            max_metric_names: 32,
            breaker: crate::BreakerOptions::default(),
            tokenizer: None,
        }
    }
}

/// Stack for WebAssembly frames. Rust guests keep their own stack in linear memory, so native frames
/// are small; 512 KiB is wasmtime's default and holds some ten thousand of them.
pub(crate) const WASM_STACK: usize = 512 * KIB;
/// The fiber that an async call runs on: the WebAssembly stack and room for host functions on top.
pub(crate) const FIBER_STACK: usize = MIB;

impl CallLimits {
    /// Bytes that this call may copy out when `input` bytes go in.
    pub(crate) fn output_for(&self, input: usize) -> usize {
        self.output_bytes
            .saturating_add(input.saturating_mul(self.output_per_input))
    }

    /// The processor time in ticks, at least one.
    pub(crate) fn ticks(&self, tick: Duration) -> u64 {
        let ticks = self.cpu.as_nanos() / tick.as_nanos().max(1);
        u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
    }
}
