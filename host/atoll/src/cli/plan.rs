//! `atoll plan`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::CommonArgs;
use super::place::Wished;

/// Options of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// FILE.toml with machines and links, or the name of a model of the pool that runs here
    #[arg(value_name = "FILE|MODEL", required_unless_present = "model")]
    pub what: Option<String>,

    /// The model: a config.json or its folder; on the running pool's machines without a FILE [default: FILE's]
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,

    /// What is to be best [default: as FILE or the pool says]
    #[arg(long, value_enum)]
    pub objective: Option<Wished>,

    /// Ask only this strategy, or the one in this .wasm file; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    pub strategy: Vec<String>,

    /// Use only the first N machines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub nodes: Option<u32>,

    /// Tokens of the prompt whose prefill is predicted
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub prompt: u64,

    /// Where the server listens whose pool is planned with, if not where the configuration says
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<SocketAddr>,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}
