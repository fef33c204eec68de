//! Native CPU kernels behind the engine's [`Executor`](atoll_engine::executor::Executor).
//!
//! [`CpuExecutor`] runs the layer kinds that a [`ModelSpec`](atoll_engine::model::ModelSpec)
//! describes, with weights in bf16, f16 or f32, or in MLX's affine format (2, 3, 4, 5, 6 and 8
//! bits, those that kernels do not read widened to 4 or 8 when loaded), and activations in `f32`. It narrows what a CPU could do to one way of doing it:
//!
//! - **One source for every instruction set.** Kernels are written over 16 logical lanes
//!   (`simd`), compiled for AVX-512 VNNI, AVX2, NEON and a portable fallback, and chosen once at
//!   load. [`CpuExecutor::kernel_name`] says which.
//! - **Batch invariance, bit for bit.** Every output is reduced in one order that depends on the
//!   element alone (`kernels`), so neither neighbours, nor chunking, nor the number of threads
//!   changes a logit.
//! - **Weights are read once per step.** Dense ones in place from the file map, affine ones from
//!   panels packed at load.
//! - **One fork-join per operation** at most, on a pool of our own (`pool`), and no allocation in
//!   the forward pass.
//!
//! What comes from outside (tensors, rows) is checked before a kernel sees it. `unsafe` is confined
//! to the kernels and their callers, the maps (`memory`), the pages (`kv`) and the pool.

pub mod bench;
mod error;
mod executor;
mod forward;
mod kernels;
mod kv;
mod linear;
mod load;
mod memory;
mod options;
mod pool;
mod simd;
mod synthetic;
mod weights;

pub use atoll_engine::executor::KvMemory;
pub use error::LoadError;
pub use executor::{CpuExecutor, CpuStage};
pub use options::{CpuOptions, KvType};
