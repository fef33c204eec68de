//! What can be chosen when a model is loaded.

use atoll_engine::executor::KvMemory;

use crate::LoadError;

/// Choices for [`load`](crate::load).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlxOptions {
    /// KV memory; it is taken from the device when the model is loaded.
    pub kv: KvMemory,
    /// Positions per KV block.
    pub block_size: usize,
    /// Most tokens of one step.
    pub max_tokens: usize,
    /// Most rows of one step.
    pub max_rows: usize,
    /// Most tokens that pass through the layers together. More are faster on a GPU, and take more
    /// memory for activations; after an allocation failed, fewer are tried.
    pub chunk: usize,
    /// Most bytes of device memory for everything this process has in MLX; `None` leaves it to the
    /// device (see [`Device::budget_bytes`](crate::Device::budget_bytes)). A step that would take more
    /// runs in smaller chunks, and a row of which not one token fits fails alone.
    pub memory: Option<u64>,
}

impl Default for MlxOptions {
    fn default() -> Self {
        Self {
            kv: KvMemory::Bytes(1 << 30),
            block_size: 32,
            max_tokens: 2048,
            max_rows: 64,
            chunk: 2048,
            memory: None,
        }
    }
}

/// Most positions of a block; larger ones only waste memory.
const MAX_BLOCK_SIZE: usize = 4096;

/// Most tokens or rows of a step.
const MAX_STEP: usize = 1 << 20;

impl MlxOptions {
    /// Refuses what no model can be loaded with.
    #[cfg_attr(
        not(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64"))),
        expect(dead_code, reason = "nothing is loaded without MLX")
    )]
    pub(crate) fn validate(&self) -> Result<(), LoadError> {
        let range = |name, value: usize, max: usize| {
            if (1..=max).contains(&value) {
                return Ok(());
            }
            let reason = format!("{value} is not between 1 and {max}");
            Err(LoadError::Option { name, reason })
        };
        range("block_size", self.block_size, MAX_BLOCK_SIZE)?;
        range("max_tokens", self.max_tokens, MAX_STEP)?;
        range("max_rows", self.max_rows, MAX_STEP)?;
        range("chunk", self.chunk, MAX_STEP)
    }
}
