//! `atoll place`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Options of `place`.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The model
    pub model: String,

    /// Show every candidate, and why those that were refused were
    #[arg(long)]
    pub explain: bool,

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
