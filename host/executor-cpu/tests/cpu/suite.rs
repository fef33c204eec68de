//! The suite that every executor passes, and its golden part on every instruction set.

use crate::support::CpuRig;
use atoll_engine::executor::Executor;
use atoll_executor_cpu::{CpuExecutor, CpuOptions, KvMemory};
use atoll_executor_tests::golden;

atoll_executor_tests::suite!(CpuRig { kernels: None });

#[test]
fn every_instruction_set_of_this_machine_matches_the_reference() {
    let names = CpuExecutor::kernel_names();
    assert_eq!(names.last(), Some(&"portable"));
    for kernels in names {
        let rig = CpuRig {
            kernels: Some(kernels.to_owned()),
        };
        golden::check_all(&rig);
    }
}

#[test]
fn capabilities_say_what_was_loaded() {
    let executor = crate::support::load("llama-bf16-sharded", &crate::support::options());
    let capabilities = executor.capabilities();
    assert_eq!(capabilities.block_size, 16);
    assert_eq!(capabilities.num_blocks, 64);
    assert_eq!(capabilities.vocab_size, 259);
    assert_eq!(capabilities.max_positions, 512);
    assert!(capabilities.batch_invariant);
    // Two layers, two key/value heads of 16, keys and values, f32, 1024 positions.
    assert_eq!(capabilities.kv_bytes, 2 * 2 * 16 * 2 * 4 * 1024);
    let small = CpuOptions {
        kv: KvMemory::Blocks(3),
        ..crate::support::options()
    };
    let small = crate::support::load("llama-bf16-sharded", &small);
    assert_eq!(small.capabilities().max_positions, 48);
}
