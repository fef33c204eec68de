//! What can be chosen when a model is loaded.

use atoll_engine::executor::KvMemory;

use crate::LoadError;
use crate::kernels::FloatType;
use crate::simd::LANES;

/// Choices for [`CpuExecutor::load`](crate::CpuExecutor::load).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads that compute, the calling one included; `None` for one per physical core that this
    /// process may use.
    pub threads: Option<usize>,
    /// KV memory. Pages occupy memory only once they are written.
    pub kv: KvMemory,
    /// How cached keys and values are stored.
    pub kv_type: KvType,
    /// Positions per KV block; a multiple of 16.
    pub block_size: usize,
    /// Most tokens of one step.
    pub max_tokens: usize,
    /// Most rows of one step.
    pub max_rows: usize,
    /// Kernels to use instead of the fastest (`avx512-vnni`, `avx2`, `neon`, `portable`).
    pub kernels: Option<String>,
}

impl Default for CpuOptions {
    fn default() -> Self {
        Self {
            threads: None,
            kv: KvMemory::Bytes(1 << 30),
            kv_type: KvType::default(),
            block_size: 32,
            max_tokens: 512,
            max_rows: 64,
            kernels: None,
        }
    }
}

/// How cached keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvType {
    /// Exactly as computed: logits equal those of a run without a cache.
    F32,
    /// Half the memory and half the traffic of attention, 11 significant bits, magnitudes up to
    /// 65504.
    #[default]
    F16,
    /// Half the memory, 8 significant bits, any magnitude.
    Bf16,
}

impl KvType {
    pub(crate) fn float(self) -> FloatType {
        match self {
            Self::F32 => FloatType::F32,
            Self::F16 => FloatType::F16,
            Self::Bf16 => FloatType::Bf16,
        }
    }
}

/// Most threads: far above any machine, low enough that a typing error does no harm.
const MAX_THREADS: usize = 1024;

/// Most positions of a block; larger ones only waste memory.
const MAX_BLOCK_SIZE: usize = 4096;

/// Most tokens or rows of a step.
const MAX_STEP: usize = 1 << 20;

impl CpuOptions {
    pub(crate) fn validate(&self) -> Result<(), LoadError> {
        let range = |name, value: usize, max: usize| {
            if (1..=max).contains(&value) {
                return Ok(());
            }
            let reason = format!("{value} is not between 1 and {max}");
            Err(LoadError::Option { name, reason })
        };
        range("threads", self.threads.unwrap_or(1), MAX_THREADS)?;
        range("block_size", self.block_size, MAX_BLOCK_SIZE)?;
        range("max_tokens", self.max_tokens, MAX_STEP)?;
        range("max_rows", self.max_rows, MAX_STEP)?;
        if !self.block_size.is_multiple_of(LANES) {
            return Err(LoadError::Option {
                name: "block_size",
                reason: format!("{} is not a multiple of {LANES}", self.block_size),
            });
        }
        Ok(())
    }
}
