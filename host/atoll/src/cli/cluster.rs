//! `atoll cluster`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Options of `cluster`.
#[derive(Debug, Clone, Args)]
pub struct ClusterArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ClusterCommand,
}

/// What can be done with the cluster.
#[derive(Debug, Clone, Subcommand)]
pub enum ClusterCommand {
    /// Show the machines, what they have, the ways between them, and what runs on them
    Status(StatusArgs),
    /// Be part of another cluster from the next start on
    #[command(after_help = "\
Examples:
  atoll cluster join < token                    what `atoll cluster token` printed on another machine
  atoll cluster join lab                        a cluster by its name, without a secret
  atoll cluster join lab --peer 10.0.0.2:7447   where multicast does not reach

A token holds the cluster's secret. As an argument other users of this machine may see it; standard
input they do not.")]
    Join(JoinArgs),
    /// Be part of no cluster: now, if a server runs, and from the next start on; forgets the secret
    Leave(LeaveArgs),
    /// Print what another machine needs to join; makes a secret if there is none
    #[command(after_help = "\
Examples:
  atoll cluster token | ssh other atoll cluster join
  atoll cluster token --new                     locks out whoever has the old one

From the next `atoll serve` on, only machines that have the secret are let in, and what they say to
each other is encrypted. Keep the token as you would a password.")]
    Token(TokenArgs),
}

/// Options of `cluster status`.
#[derive(Debug, Clone, Default, Args)]
pub struct StatusArgs {
    /// One JSON object instead of tables
    #[arg(long)]
    pub json: bool,

    /// Where the server listens, if not where the configuration says
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<SocketAddr>,

    /// Read settings from this file [env: ATOLL_CONFIG; default: config.toml in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `cluster join`.
#[derive(Debug, Clone, Args)]
pub struct JoinArgs {
    /// A cluster's name, or a token; read from standard input if left out
    pub cluster: Option<String>,

    /// Reach this node, where multicast does not; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    pub peer: Vec<String>,
}

/// Options of `cluster leave`.
#[derive(Debug, Clone, Default, Args)]
pub struct LeaveArgs {
    /// Where the server listens, if not where the configuration says
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<SocketAddr>,

    /// Read settings from this file [env: ATOLL_CONFIG; default: config.toml in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `cluster token`.
#[derive(Debug, Clone, Default, Args)]
pub struct TokenArgs {
    /// Make a new secret in place of the one there is
    #[arg(long)]
    pub new: bool,

    /// Read settings from this file [env: ATOLL_CONFIG; default: config.toml in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
