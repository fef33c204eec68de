//! The `atoll` command: parse, dispatch, report. Everything else is in the modules below and the
//! crates they put together.

mod admin_client;
mod bench;
mod cli;
mod cluster;
mod compose;
mod config;
mod doctor;
mod embedded;
mod error;
mod executor;
mod keys;
mod logging;
mod models;
mod output;
mod paths;
mod place;
mod plan;
mod plugins;
mod pull;
mod run;
mod serve;
mod show;
mod strategies;
mod units;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::error::CliError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(matches!(cli.command, Command::Serve(_)));
    let result = match cli.command {
        Command::Serve(args) => serve::command(&args),
        Command::Run(args) => run::command(&args),
        Command::Models(args) => models::command(&args),
        Command::Plugin(command) => plugins::command(&command),
        Command::Plugins(args) => plugins::list(&args),
        Command::Pull(args) => pull::command(&args),
        Command::Keys(args) => keys::command(&args),
        Command::Cluster(args) => cluster::command::command(&args),
        Command::Place(args) => place::command(&args),
        Command::Plan(args) => plan::command(&args),
        Command::Bench(args) => bench::command(&args),
        Command::Config(args) => show::command(&args),
        Command::Doctor(args) => doctor::command(&args),
    };
    match result {
        Ok(()) | Err(CliError::ReaderGone) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("atoll: {error}"));
            ExitCode::FAILURE
        }
    }
}
