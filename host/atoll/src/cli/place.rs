//! `atoll place`.

use std::net::SocketAddr;
use std::path::PathBuf;

use atoll_cluster::placement::Objective;
use clap::{Args, ValueEnum};

/// An objective, as it is said on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Wished {
    /// The time of one token of one sequence
    Latency,
    /// The tokens of many
    Throughput,
}

impl Wished {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Throughput => "throughput",
        }
    }
}

impl From<Wished> for Objective {
    fn from(wished: Wished) -> Self {
        match wished {
            Wished::Latency => Self::Latency,
            Wished::Throughput => Self::Throughput,
        }
    }
}

/// Options of `place`.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The model
    pub model: String,

    /// Show every candidate, and why those that were refused were
    #[arg(long)]
    pub explain: bool,

    /// What is to be best, if not what the configuration says
    #[arg(long, value_enum)]
    pub objective: Option<Wished>,

    /// One JSON object instead of text: also the measured topology, and what the model needs
    #[arg(long)]
    pub json: bool,

    /// Where the server listens, if not where the configuration says
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<SocketAddr>,

    /// Read settings from this file [env: ATOLL_CONFIG; default: config.toml in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
