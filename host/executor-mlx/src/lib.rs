//! MLX behind the engine's [`Executor`]: Metal on Apple silicon, CUDA on Linux, and MLX's CPU backend
//! for tests.
//!
//! [`load`] and [`load_stage`] run the same descriptions and folders as every other executor. What is
//! particular here:
//!
//! - **One thread owns MLX.** MLX's streams belong to threads, so a loaded model lives on a thread of
//!   its own (`worker`); only steps, ids and host numbers cross. Sequence calls and the checking of
//!   rows happen on the caller's thread and never wait for the device.
//! - **A step is a transaction.** It reads the pages and makes every result first; only when all of
//!   them exist do the new keys and values go into the pages, in place. A step that runs out of memory
//!   therefore changes nothing: it is tried again in smaller chunks, and at last its rows fail, alone.
//! - **Tokens are drawn where the logits are** (`draw`), with the engine's own numbers, after penalties and bias
//!   (`adjust`); a grammar or log probabilities bring the logits to the host and its sampler.
//! - **Rows that decode share a lane** (`lane`): their keys and values lie side by side, and where all
//!   tokens are drawn on the device, the next step is begun before this one is read. The pages get what the
//!   lane has before anything else looks at them.
//! - **What does not fit is refused before it is tried** (`budget`).
//! - **Weights are read once**, straight into the buffer that MLX keeps, and only those of the layers
//!   asked for. No file header reaches C++: the engine has checked them.
//! - **Everything else is mlx-rs.** What it does not wrap is in `ffi`, the only module with `unsafe`.
//!
//! On Linux all of this is behind the feature `mlx`; without it [`device`] and [`load`] say how to get
//! it. `host/executor-mlx/prepare` prepares the libraries and prints the cargo line.

#[cfg(not(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64"))))]
mod absent;
mod device;
mod error;
#[cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]
mod mlx;
mod options;

#[cfg(not(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64"))))]
pub use absent::{device, load, load_stage, measure};
pub use device::{Backend, Device, Rates};
pub use error::{LoadError, Unavailable};
#[cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]
pub use mlx::{MlxExecutor, MlxStage, device, load, load_stage, measure};
pub use options::MlxOptions;

#[cfg(doc)]
use atoll_engine::executor::Executor;
