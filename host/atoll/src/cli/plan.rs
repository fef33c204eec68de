//! `atoll plan`.

use std::path::PathBuf;

use clap::Args;

use super::CommonArgs;

/// Options of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Machines and links, as TOML
    pub file: PathBuf,

    /// The model: a config.json or its folder [default: FILE's]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Ask only this strategy; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    pub strategy: Vec<String>,

    /// Use only the first N machines of FILE
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub nodes: Option<u32>,

    /// Tokens of the prompt whose prefill is predicted
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub prompt: u64,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}
