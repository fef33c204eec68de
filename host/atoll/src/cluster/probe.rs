//! How fast this machine is: measured once, with the executor that serves, and remembered.
//!
//! For the CPU a model's shape with invented weights (see [`atoll_executor_cpu::bench`]) decodes a few
//! tokens, which is as fast as weights come from memory, and reads a short prompt, which is as fast as
//! the machine multiplies. MLX multiplies invented matrices with one token and with many
//! ([`atoll_executor_mlx::measure`]). It takes a second or two and some 500 MB, on a thread of its own.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use atoll_executor_cpu::bench::{BenchOptions, synthetic};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::executor::Runner;

/// Rates of an executor.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Bytes of weights read a second.
    pub bytes_per_second: f64,
    /// Multiply-adds a second.
    pub multiply_adds_per_second: f64,
}

/// With what it was measured: another version, another device or another number of threads measures again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct With {
    version: String,
    host: String,
    /// The device, where it is not the processor.
    #[serde(default)]
    device: String,
    threads: Option<u32>,
}

/// What was measured.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Remembered {
    #[serde(flatten)]
    with: With,
    rates: Rates,
}

impl With {
    fn of(runner: &Runner, threads: Option<u32>) -> Self {
        let (device, threads) = match runner {
            Runner::Cpu => (String::new(), threads),
            Runner::Mlx(device) => (format!("{} MLX {}", device.name, device.version), None),
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: atoll_cluster::node::host_name(),
            device,
            threads,
        }
    }
}

/// Rates that are known by and by.
#[derive(Debug, Clone)]
pub struct Probe {
    rates: Arc<OnceLock<Rates>>,
}

impl Probe {
    /// Reads what was measured before, or begins to measure.
    pub fn start(config: &Config, runner: &Runner) -> Self {
        let probe = Self {
            rates: Arc::new(OnceLock::new()),
        };
        if !config.cluster.probe {
            return probe;
        }
        // A file for each executor, so that changing between them measures each once.
        let name = format!("probe-{}.json", runner.name());
        let path = config.paths.cache.join(name);
        let threads = config.threads.value;
        let with = With::of(runner, threads);
        if let Some(rates) = remembered(&path, &with) {
            probe.rates.get_or_init(|| rates);
            return probe;
        }
        let rates = Arc::clone(&probe.rates);
        let on_mlx = matches!(runner, Runner::Mlx(_));
        let measure = move || {
            let measured = match on_mlx {
                true => measure_mlx(),
                false => measure_cpu(threads),
            };
            match measured {
                Ok(measured) => {
                    tracing::info!(?measured, "this machine's speed is measured");
                    rates.get_or_init(|| measured);
                    remember(&path, with, measured);
                }
                Err(error) => tracing::warn!(error, "this machine's speed is not measured"),
            }
        };
        let thread = std::thread::Builder::new().name("probe".to_owned());
        if let Err(error) = thread.spawn(measure) {
            tracing::warn!(%error, "this machine's speed is not measured");
        }
        probe
    }

    /// The rates, once they are known.
    pub fn rates(&self) -> Option<Rates> {
        self.rates.get().copied()
    }
}

fn measure_mlx() -> Result<Rates, String> {
    let rates = atoll_executor_mlx::measure().map_err(|error| error.to_string())?;
    Ok(Rates {
        bytes_per_second: rates.bytes_per_second,
        multiply_adds_per_second: rates.multiply_adds_per_second,
    })
}

fn measure_cpu(threads: Option<u32>) -> Result<Rates, String> {
    let options = BenchOptions {
        prompt: 32,
        generate: 8,
        rounds: 1,
        threads: threads.map(|count| count as usize),
        ..BenchOptions::default()
    };
    let report = synthetic(&options).map_err(|error| error.to_string())?;
    // Weights are read once for each token of a single sequence; at 4 bits and a group of 64 with its
    // scale and offset, a weight takes 4.5 bits.
    let weights = report.weight_bytes as f64 * 8.0 / 4.5;
    Ok(Rates {
        bytes_per_second: report.weight_bytes as f64 * report.decode_tokens_per_second,
        multiply_adds_per_second: weights * report.prefill_tokens_per_second,
    })
}

fn remembered(path: &Path, with: &With) -> Option<Rates> {
    // A few hundred bytes.
    let bytes = atoll_engine::files::read_bounded(path, 4096).ok()?;
    let kept: Remembered = serde_json::from_slice(&bytes).ok()?;
    (kept.with == *with).then_some(kept.rates)
}

fn remember(path: &Path, with: With, rates: Rates) {
    let kept = Remembered { with, rates };
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        serde_json::to_writer(&file, &kept)?;
        file.persist(path)?;
        std::io::Result::Ok(())
    };
    if let Err(error) = write() {
        tracing::debug!(%error, "this machine's speed is measured again next time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_executor_mlx::{Backend, Device};

    fn mlx(name: &str) -> Runner {
        Runner::Mlx(Device {
            backend: Backend::Cuda,
            name: name.to_owned(),
            memory_bytes: None,
            working_set_bytes: None,
            version: "0.32.2".to_owned(),
        })
    }

    #[test]
    fn what_was_measured_is_remembered_for_the_same_machine_device_and_threads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache/probe.json");
        let two = With::of(&Runner::Cpu, Some(2));
        assert_eq!(remembered(&path, &two), None);
        let rates = Rates {
            bytes_per_second: 2.5e10,
            multiply_adds_per_second: 1e11,
        };
        remember(&path, two.clone(), rates);
        assert_eq!(remembered(&path, &two), Some(rates));
        for other in [Runner::Cpu, mlx("a")] {
            assert_eq!(remembered(&path, &With::of(&other, Some(3))), None);
        }
        // Threads are nothing to a GPU.
        remember(&path, With::of(&mlx("a"), Some(2)), rates);
        assert_eq!(remembered(&path, &With::of(&mlx("a"), None)), Some(rates));
        assert_eq!(remembered(&path, &With::of(&mlx("b"), None)), None);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(remembered(&path, &two), None);
    }
}
