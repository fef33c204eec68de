//! Why a command failed, in sentences that say what to do.

use std::net::SocketAddr;
use std::path::PathBuf;

use atoll_engine::engine::EngineError;
use atoll_gateway::GatewayError;
use atoll_gateway::audit::AuditError;
use atoll_hub::HubError;
use atoll_plugin_runtime::PluginError;

/// Any failure of the command line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The configuration file could not be read.
    #[error("the configuration file {path} cannot be read: {reason}", path = .path.display())]
    ConfigRead {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The executor that was asked for is not there.
    #[error("--executor mlx: {0}")]
    Executor(atoll_executor_mlx::Unavailable),
    /// The configuration file has a mistake.
    #[error("the configuration file {path} has a mistake:\n{reason}", path = .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// An environment variable does not parse.
    #[error(
        "the environment variable {name} has the value {text:?}, which is not valid; correct it or unset it"
    )]
    Environment {
        /// Its name.
        name: &'static str,
        /// Its value.
        text: String,
    },
    /// A listen address that others can reach.
    #[error(
        "refusing to listen on {address}: every machine that can reach this one could use your models, \
         because there is no key.\nMake one with `atoll keys create NAME`, listen on 127.0.0.1 (the \
         default), or add --insecure if the network is yours"
    )]
    WideListen {
        /// The address.
        address: SocketAddr,
    },
    /// Keys are asked for, and there are none.
    #[error(
        "every request would be refused: a key is required and there is none.\nMake one with `atoll keys create NAME`"
    )]
    NoKeys,
    /// The gateway could not start.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The plugin runtime could not start, or a plugin that must be there was refused.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A `[[filter]]` entry cannot be honoured. Starting without it would leave a filter out in
    /// silence.
    #[error("the filter {name:?} of the configuration cannot be used: {reason}")]
    Filter {
        /// The plugin it names.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A command about plugins cannot do what it was asked.
    #[error("{0}")]
    Plugins(String),
    /// The audit trail must be written and cannot.
    #[error("{0}; correct [audit] in the configuration, or set required = false")]
    Audit(AuditError),
    /// Some lines of a test's input could not be run.
    #[error("{failed} of {all} lines could not be run; each has an \"error\" in the output")]
    Lines {
        /// Those with an error.
        failed: u64,
        /// All.
        all: u64,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A model could not be fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// No model to talk to.
    #[error("{0}")]
    NoModel(String),
    /// A benchmark that cannot run.
    #[error("{0}")]
    Bench(String),
    /// Something that is not there yet, or another message for people.
    #[error("{0}")]
    Other(String),
    /// Standard output failed.
    #[error("the output cannot be written: {0}")]
    Output(String),
    /// Whoever read standard output has enough.
    #[error("the output was closed")]
    ReaderGone,
}
