//! The one wasmtime engine, and why it is set up so.
//!
//! - Cranelift only; the baseline compiler has had sandbox escapes that Cranelift did not share.
//! - Features that plugins do not need are off: threads, shared memory, 64-bit memories, garbage
//!   collection, component-model async (which also takes a microsecond off every call).
//! - Epochs interrupt guests; a thread ticks them ([`crate::ticker`]).
//! - The pooling allocator makes an instance cost some ten microseconds. It reserves address space for
//!   every slot at start; where the system refuses, the pool is halved a few times, and at last
//!   instances are allocated one by one.

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy,
    WasmBacktraceDetails,
};

use crate::error::PluginError;
use crate::options::{FIBER_STACK, RuntimeOptions, WASM_STACK};

/// An engine, and how many instances may be alive in it at once.
pub(crate) struct EngineSetup {
    pub engine: Engine,
    pub max_instances: u32,
    pub pooled: bool,
}

/// Below this a pool is not worth having: it is not halved any further.
const SMALLEST_POOL: u32 = 32;

/// Sets the engine up, with a pool if the system allows one.
pub(crate) fn build(options: &RuntimeOptions) -> Result<EngineSetup, PluginError> {
    let mut count = options.max_instances.max(1);
    loop {
        let mut config = base_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options, count)));
        match Engine::new(&config) {
            Ok(engine) => {
                return Ok(EngineSetup {
                    engine,
                    max_instances: count,
                    pooled: true,
                });
            }
            Err(error) => {
                tracing::warn!(instances = count, error = %error, "no address space for the instance pool; trying a smaller one");
                count /= 2;
            }
        }
        if count < SMALLEST_POOL {
            break;
        }
    }
    let mut config = base_config();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    let engine = Engine::new(&config).map_err(|error| PluginError::Engine(format!("{error:#}")))?;
    tracing::warn!("running plugins without an instance pool");
    Ok(EngineSetup {
        engine,
        max_instances: options.max_instances.max(1),
        pooled: false,
    })
}

/// An engine that only compiles: without a pool, whose address space a process that limits its own does
/// not have. Its code fits the engine that [`build`] makes.
pub(crate) fn for_compiling() -> wasmtime::Result<Engine> {
    let mut config = base_config();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

fn base_config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .wasm_memory64(false)
        .shared_memory(false)
        // A trap's message is enough for the log; walking and naming frames costs time at each trap.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(None)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK);
    config
}

fn pool(options: &RuntimeOptions, count: u32) -> PoolingAllocationConfig {
    let limits = &options.instance;
    let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        // Slots of core instances are counted, not reserved.
        .total_core_instances(count.saturating_mul(clamp(limits.core_instances)))
        .max_core_instances_per_component(clamp(limits.core_instances))
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(8 << 20)
        // Address space, 4 GiB each: a quarter more than instances, for components with several.
        .total_memories(
            count
                .saturating_add(count / 4)
                .max(count.saturating_add(clamp(limits.memories))),
        )
        .max_memories_per_component(clamp(limits.memories))
        .max_memory_size(limits.memory_bytes)
        .total_tables(count.saturating_mul(4).max(clamp(limits.tables)))
        .max_tables_per_component(clamp(limits.tables))
        .max_tables_per_module(clamp(limits.tables))
        .table_elements(limits.table_elements)
        .total_stacks(count);
    pool
}
