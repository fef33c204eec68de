//! Which executor runs models on this machine, and why.

use std::fmt;
use std::ops::Range;

use atoll_engine::engine::EngineError;
use atoll_engine::executor::{Executor, KvMemory, StageExecutor};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;
use atoll_engine::store::TextModel;
use atoll_executor_cpu::{CpuExecutor, CpuOptions, CpuStage};
use atoll_executor_mlx::{Backend, Device, MlxOptions, Unavailable};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// `--executor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorChoice {
    /// MLX on a GPU if there is one, else the native kernels
    #[default]
    Auto,
    /// Native kernels on the CPU
    Cpu,
    /// MLX: Metal, CUDA, or (for tests) its CPU backend
    Mlx,
}

impl fmt::Display for ExecutorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Mlx => "mlx",
        })
    }
}

/// What runs models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// The native kernels.
    Cpu,
    /// MLX, on this device.
    Mlx(Device),
}

impl Runner {
    /// As logs, metrics and clusters name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Mlx(device) => device.backend.executor_name(),
        }
    }

    /// Bytes of one number of the KV memory. (A model of f32 weights takes four on a GPU as well: MLX
    /// itself refuses what does not fit.)
    pub fn kv_value_bytes(&self) -> usize {
        match self {
            Self::Mlx(device) if device.backend == Backend::Cpu => 4,
            Self::Cpu | Self::Mlx(_) => 2,
        }
    }

    /// Bytes that models may take, where that is not the machine's own memory.
    pub fn memory(&self) -> Option<u64> {
        match self {
            Self::Mlx(device) if device.backend.is_gpu() => device.budget_bytes(),
            Self::Cpu | Self::Mlx(_) => None,
        }
    }
}

/// The executor in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What runs models.
    pub runner: Runner,
    /// Why, for people.
    pub reason: String,
}

/// Decides between what was asked for and what MLX found.
///
/// # Errors
/// MLX was asked for and is not there.
pub fn select(
    choice: ExecutorChoice,
    mlx: Result<Device, Unavailable>,
) -> Result<Selection, Unavailable> {
    let (runner, reason) = match (choice, mlx) {
        (ExecutorChoice::Cpu, _) => (Runner::Cpu, "it was asked for".to_owned()),
        (ExecutorChoice::Mlx, Ok(device)) => (Runner::Mlx(device), "it was asked for".to_owned()),
        (ExecutorChoice::Mlx, Err(error)) => return Err(error),
        (ExecutorChoice::Auto, Ok(device)) if device.backend.is_gpu() => {
            let reason = format!("MLX found a GPU: {}", describe(&device));
            (Runner::Mlx(device), reason)
        }
        (ExecutorChoice::Auto, Ok(_)) => (
            Runner::Cpu,
            "MLX found no GPU, and on a CPU the native kernels are faster".to_owned(),
        ),
        (ExecutorChoice::Auto, Err(Unavailable::NotBuilt)) => {
            (Runner::Cpu, "this program was built without MLX".to_owned())
        }
        (ExecutorChoice::Auto, Err(error)) => (Runner::Cpu, error.to_string()),
    };
    Ok(Selection { runner, reason })
}

/// MLX's device in words.
pub fn describe(device: &Device) -> String {
    let backend = device.backend.executor_name();
    let name = match device.name.as_str() {
        "" => "a device without a name",
        name => name,
    };
    format!("{name} ({backend}, MLX {})", device.version)
}

/// How models are loaded by each executor.
#[derive(Debug, Clone, Default)]
pub struct ExecutorOptions {
    /// The native kernels'.
    pub cpu: CpuOptions,
    /// MLX's.
    pub mlx: MlxOptions,
}

impl ExecutorOptions {
    /// As the configuration says.
    pub fn of(config: &Config) -> Self {
        let mut options = Self::default();
        options.cpu.threads = config.threads.value.map(|count| count as usize);
        if let Some(bytes) = config.kv_memory.value {
            let kv = KvMemory::Bytes(usize::try_from(bytes.0).unwrap_or(usize::MAX));
            options.cpu.kv = kv;
            options.mlx.kv = kv;
        }
        options
    }

    /// With so many KV blocks of so many positions.
    pub fn of_blocks(&self, count: usize, size: usize) -> Self {
        let mut options = self.clone();
        options.cpu.kv = KvMemory::Blocks(count);
        options.cpu.block_size = size;
        options.mlx.kv = KvMemory::Blocks(count);
        options.mlx.block_size = size;
        options
    }

    /// Bytes of KV memory for one model.
    pub fn kv_bytes(&self) -> u64 {
        match self.cpu.kv {
            KvMemory::Bytes(bytes) => bytes as u64,
            // Only for a stage, whose bytes are counted by its order.
            KvMemory::Blocks(_) => 0,
        }
    }

    /// Loads a model.
    ///
    /// # Errors
    /// The executor's own, with the model's name.
    pub fn load(
        &self,
        runner: &Runner,
        model: &TextModel,
    ) -> Result<Box<dyn Executor>, EngineError> {
        let loaded = match runner {
            Runner::Mlx(_) => atoll_executor_mlx::load(&model.spec, &model.checkpoint, &self.mlx)
                .map_err(|error| error.to_string()),
            Runner::Cpu => CpuExecutor::load(&model.spec, &model.checkpoint, &self.cpu)
                .map(|executor| Box::new(executor) as Box<dyn Executor>)
                .map_err(|error| error.to_string()),
        };
        loaded.map_err(|error| {
            let name = &model.info.id;
            EngineError::Internal(format!("model `{name}` cannot be loaded: {error}"))
        })
    }

    /// Loads some layers of a model.
    ///
    /// # Errors
    /// The executor's own, in words.
    pub fn load_stage(
        &self,
        runner: &Runner,
        spec: &ModelSpec,
        layers: Range<usize>,
        checkpoint: &Checkpoint,
    ) -> Result<Box<dyn StageExecutor>, String> {
        match runner {
            Runner::Mlx(_) => atoll_executor_mlx::load_stage(spec, layers, checkpoint, &self.mlx)
                .map_err(|error| error.to_string()),
            Runner::Cpu => CpuStage::load(spec, layers, checkpoint, &self.cpu)
                .map(|stage| Box::new(stage) as Box<dyn StageExecutor>)
                .map_err(|error| error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(backend: Backend) -> Result<Device, Unavailable> {
        Ok(Device {
            backend,
            name: String::new(),
            memory_bytes: Some(1000),
            working_set_bytes: None,
            version: "0".to_owned(),
        })
    }

    #[test]
    fn auto_takes_mlx_on_a_gpu_only() {
        let chosen = |mlx| select(ExecutorChoice::Auto, mlx).unwrap();
        assert_eq!(chosen(device(Backend::Metal)).runner.name(), "mlx-metal");
        assert_eq!(chosen(device(Backend::Cuda)).runner.name(), "mlx-cuda");
        assert_eq!(chosen(device(Backend::Cpu)).runner, Runner::Cpu);
        assert_eq!(chosen(Err(Unavailable::NotBuilt)).runner, Runner::Cpu);
        let broken = chosen(Err(Unavailable::Broken("no driver".to_owned())));
        assert_eq!(broken.runner, Runner::Cpu);
        assert!(broken.reason.contains("no driver"));
    }

    #[test]
    fn what_was_asked_for_is_taken_or_refused() {
        let cpu = select(ExecutorChoice::Cpu, device(Backend::Metal)).unwrap();
        assert_eq!(cpu.runner, Runner::Cpu);
        let mlx = select(ExecutorChoice::Mlx, device(Backend::Cpu)).unwrap();
        assert_eq!(mlx.runner.name(), "mlx-cpu");
        let refused = select(ExecutorChoice::Mlx, Err(Unavailable::NotBuilt)).unwrap_err();
        assert!(refused.to_string().contains("host/executor-mlx/prepare"));
    }

    #[test]
    fn a_gpu_has_a_memory_of_its_own() {
        let runner = |backend| Runner::Mlx(device(backend).unwrap());
        assert_eq!(runner(Backend::Cuda).memory(), Some(900));
        assert_eq!(runner(Backend::Cpu).memory(), None);
        assert_eq!(Runner::Cpu.memory(), None);
        assert_eq!(runner(Backend::Cpu).kv_value_bytes(), 4);
        assert_eq!(runner(Backend::Metal).kv_value_bytes(), 2);
    }
}
