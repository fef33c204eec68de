//! What MLX runs on.

/// Where MLX computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Apple's GPUs.
    Metal,
    /// NVIDIA's GPUs.
    Cuda,
    /// MLX's own CPU backend. Not vectorised on x86-64: for tests.
    Cpu,
}

impl Backend {
    /// The executor's name in logs and metrics.
    #[must_use]
    pub fn executor_name(self) -> &'static str {
        match self {
            Self::Metal => "mlx-metal",
            Self::Cuda => "mlx-cuda",
            Self::Cpu => "mlx-cpu",
        }
    }

    /// Whether it is the best this machine has, where it exists.
    #[must_use]
    pub fn is_gpu(self) -> bool {
        self != Self::Cpu
    }
}

/// The device that MLX uses by default, and its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where it computes.
    pub backend: Backend,
    /// As the driver names it, if it does.
    pub name: String,
    /// Bytes of memory it can use, if the driver says.
    pub memory_bytes: Option<u64>,
    /// Bytes that should be in use at once, if the driver says (Metal's recommended working set).
    pub working_set_bytes: Option<u64>,
    /// Version of MLX.
    pub version: String,
}

impl Device {
    /// Bytes that models, conversations and activations may take together: what the driver recommends,
    /// or nine tenths of its memory, since MLX and the driver keep some of their own.
    #[must_use]
    pub fn budget_bytes(&self) -> Option<u64> {
        self.working_set_bytes
            .or_else(|| self.memory_bytes.map(|bytes| bytes / 10 * 9))
    }
}

/// How fast a device is, measured by [`measure`](crate::measure).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Bytes of weights read a second.
    pub bytes_per_second: f64,
    /// Multiply-adds a second, of many tokens at once.
    pub multiply_adds_per_second: f64,
}
