//! How fast this machine is: measured once, with the kernels that serve, and remembered.
//!
//! A model's shape with invented weights (see [`atoll_executor_cpu::bench`]) decodes a few tokens,
//! which is as fast as weights come from memory, and reads a short prompt, which is as fast as the
//! machine multiplies. It takes a second or two and some 400 MB, on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use atoll_executor_cpu::bench::{BenchOptions, synthetic};
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// Rates of the CPU executor.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Bytes of weights read a second.
    pub bytes_per_second: f64,
    /// Multiply-adds a second.
    pub multiply_adds_per_second: f64,
}

/// What was measured, and with what: another version or another number of threads measures again.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Remembered {
    version: String,
    host: String,
    threads: Option<u32>,
    rates: Rates,
}

/// Rates that are known by and by.
#[derive(Debug, Clone)]
pub struct Probe {
    rates: Arc<OnceLock<Rates>>,
}

impl Probe {
    /// Rates that will never be known.
    pub fn none() -> Self {
        Self {
            rates: Arc::new(OnceLock::new()),
        }
    }

    /// Reads what was measured before, or begins to measure.
    pub fn start(config: &Config) -> Self {
        let probe = Self::none();
        if !config.cluster.probe {
            return probe;
        }
        let path = config.paths.cache.join("probe.json");
        let threads = config.threads.value;
        if let Some(rates) = remembered(&path, threads) {
            probe.rates.get_or_init(|| rates);
            return probe;
        }
        let rates = Arc::clone(&probe.rates);
        let measure = move || {
            if let Some(measured) = measure(threads) {
                rates.get_or_init(|| measured);
                remember(&path, threads, measured);
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

fn measure(threads: Option<u32>) -> Option<Rates> {
    let options = BenchOptions {
        prompt: 32,
        generate: 8,
        rounds: 1,
        threads: threads.map(|count| count as usize),
        ..BenchOptions::default()
    };
    let report = match synthetic(&options) {
        Ok(report) => report,
        Err(error) => {
            tracing::warn!(%error, "this machine's speed is not measured");
            return None;
        }
    };
    // Weights are read once for each token of a single sequence; at 4 bits and a group of 64 with its
    // scale and offset, a weight takes 4.5 bits.
    let weights = report.weight_bytes as f64 * 8.0 / 4.5;
    let rates = Rates {
        bytes_per_second: report.weight_bytes as f64 * report.decode_tokens_per_second,
        multiply_adds_per_second: weights * report.prefill_tokens_per_second,
    };
    tracing::info!(?rates, "this machine's speed is measured");
    Some(rates)
}

fn host() -> String {
    atoll_cluster::node::host_name()
}

fn remembered(path: &Path, threads: Option<u32>) -> Option<Rates> {
    // A few hundred bytes.
    let bytes = atoll_engine::files::read_bounded(path, 4096).ok()?;
    let kept: Remembered = serde_json::from_slice(&bytes).ok()?;
    let same =
        kept.version == env!("CARGO_PKG_VERSION") && kept.host == host() && kept.threads == threads;
    same.then_some(kept.rates)
}

fn remember(path: &PathBuf, threads: Option<u32>, rates: Rates) {
    let kept = Remembered {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: host(),
        threads,
        rates,
    };
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

    #[test]
    fn what_was_measured_is_remembered_for_the_same_machine_and_threads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache/probe.json");
        assert_eq!(remembered(&path, None), None);
        let rates = Rates {
            bytes_per_second: 2.5e10,
            multiply_adds_per_second: 1e11,
        };
        remember(&path, Some(2), rates);
        assert_eq!(remembered(&path, Some(2)), Some(rates));
        assert_eq!(remembered(&path, Some(3)), None);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(remembered(&path, Some(2)), None);
    }
}
