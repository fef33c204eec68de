//! The command line: what can be said, and the help that teaches it.
//!
//! Nothing here does anything; see [`crate::config`] for how flags, environment, file and defaults
//! become one configuration.

mod cluster;
mod place;
mod plan;
mod plugin;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::cluster::{ClusterArgs, ClusterCommand, JoinArgs, LeaveArgs, StatusArgs, TokenArgs};
pub use self::place::{PlaceArgs, Wished};
pub use self::plan::PlanArgs;
pub use self::plugin::{
    AcceptArgs, AddArgs, BuildArgs, GrantArgs, InspectArgs, Language, NewArgs, PluginCommand,
    PluginTestArgs, RemoveArgs, UpdateArgs, WorldArg,
};
use crate::executor::ExecutorChoice;
use crate::units::{Bytes, Span};

/// Serves language models on machines you own.
#[derive(Debug, Parser)]
#[command(
    name = "atoll",
    version,
    about = "Atoll serves language models on machines you own.",
    after_help = "\
Try it:
  atoll serve                              an API on http://127.0.0.1:8000/v1
  atoll run atoll-demo \"Hello\"             one answer in the terminal
  atoll run                                a conversation in the terminal
  atoll models                             which models are here

`atoll help COMMAND` has examples for each command. RUST_LOG=debug shows more of what happens."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer API requests over HTTP
    #[command(after_help = "\
Examples:
  atoll serve
  atoll serve --models ~/models --listen 127.0.0.1:9000
  atoll serve --listen 0.0.0.0:8000                other machines too, with a key (atoll keys create NAME)
  atoll serve --listen 127.0.0.1:8000 --listen 127.0.0.1:11434     where Ollama's clients look, too
  atoll serve --listen 0.0.0.0:8000 --insecure     every machine that can reach this one may use it

Then, in another terminal:
  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{\"model\": \"atoll-demo\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'

The first SIGTERM or Ctrl-C finishes what is under way; a second one stops at once.")]
    Serve(ServeArgs),

    /// Talk to a model in the terminal
    #[command(after_help = "\
Examples:
  atoll run                                  a conversation; /help lists its commands
  atoll run atoll-demo \"Name three colours\"  one answer
  git diff | atoll run my-model \"Summarise:\" the prompt, then what is piped in
  atoll run my-model --system \"Answer in French\" --temperature 0 \"Hello\"

Ctrl-C stops an answer, Ctrl-D leaves.")]
    Run(RunArgs),

    /// List the models on this machine
    #[command(after_help = "\
A model is a folder in the Hugging Face layout: config.json, *.safetensors, tokenizer.json.
Put one below the models folder (shown by `atoll config`) or point --models at where yours are:
  atoll models --models ~/models")]
    Models(ModelsArgs),

    /// Fetch a model from the Hugging Face hub, or another one
    #[command(after_help = "\
Examples:
  atoll pull Qwen/Qwen3-0.6B
  HF_TOKEN=... atoll pull ORG/PRIVATE-MODEL
  HF_ENDPOINT=https://mirror.example atoll pull ORG/NAME

It goes below the first models folder (shown by `atoll config`). Whatever interrupts it, the same command
goes on where it was; nothing counts as a model before every file was verified.")]
    Pull(PullArgs),

    /// Make, look at, accept and list plugins
    #[command(subcommand)]
    Plugin(PluginCommand),

    /// List plugins: the same as `atoll plugin list`
    #[command(after_help = "\
A plugin is a WebAssembly component. Drop a .wasm file into the plugins folder (shown by
`atoll config`), and a running server uses it within a second; `atoll plugin add` does that and
accepts what the plugin wants. This list says why a file is not in force.")]
    Plugins(PluginsArgs),

    /// Make, list and revoke the keys that other machines need
    #[command(after_help = "\
Examples:
  atoll keys create laptop
  atoll keys create ci --model 'qwen*' --requests-per-minute 60 --concurrent 4 --expires 90d
  atoll keys create ops --admin            may also read /metrics and /atoll/v1/*
  atoll keys list
  atoll keys revoke ci

A key is shown once, when it is made; only its hash is kept. A running server notices changes within
seconds. Clients send it as their API key (`Authorization: Bearer` or `x-api-key`).")]
    Keys(KeysArgs),

    /// See the other machines, join them, leave them
    #[command(after_help = "\
Start `atoll serve` on several machines of one network and they are one pool: a model too big for one
is spread over them, and every machine answers for all.

Examples:
  atoll cluster status
  atoll cluster join lab                    another cluster than the one called atoll
  atoll cluster token                       what other machines need to join it, with a secret
  atoll cluster leave")]
    Cluster(ClusterArgs),
    /// Show where the running server would put a model, and why there
    #[command(after_help = "\
Examples:
  atoll place MODEL               the plan that it would carry out
  atoll place MODEL --explain     every candidate, what it promises, and why it was refused
  atoll place MODEL --objective throughput

[placement] in the configuration file chooses the strategy, and pins plans of your own.")]
    Place(PlaceArgs),

    /// Say how fast a model would be on machines that you describe, before you buy them, or on the running pool
    #[command(after_help = "\
Examples:
  atoll plan examples/plans/three-desktops.toml
  atoll plan machines.toml --model ~/models/Qwen3-0.6B
  atoll plan machines.toml --strategy auto --nodes 2 --json
  atoll plan MODEL --objective throughput        a model of the pool that runs here, on its machines
  atoll plan --model ~/models/Qwen3-0.6B         any model, on the pool's machines

Every placement strategy is asked, those of the plugins folder too. docs/placement.md explains the file
and the model of cost; examples/plans has measured clusters to compare with.")]
    Plan(PlanArgs),

    /// Measure how fast this machine runs a model's shape, without any weights on disk
    #[command(after_help = "\
Examples:
  atoll bench --synthetic qwen3-0.6b --bits 4
  atoll bench --synthetic qwen3-0.6b --bits 4 --threads 2 --prompt 128 --generate 32 --batch 1 --json")]
    Bench(BenchArgs),

    /// Show the effective configuration, and where each value comes from
    Config(ConfigArgs),

    /// Look at this machine: what was found, what was chosen and why, and what is wrong
    Doctor(DoctorArgs),
}

/// Options that several commands share.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonArgs {
    /// Read settings from this file [env: ATOLL_CONFIG; default: config.toml in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Look for models below this folder; may be repeated [env: ATOLL_MODELS]
    #[arg(long, value_name = "DIR")]
    pub models: Vec<PathBuf>,

    /// Load plugins (*.wasm) from this folder [env: ATOLL_PLUGINS]
    #[arg(long, value_name = "DIR")]
    pub plugins: Option<PathBuf>,

    /// Processor threads for a model [env: ATOLL_THREADS; default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub threads: Option<u32>,

    /// What runs models [env: ATOLL_EXECUTOR; default: auto]
    #[arg(long, value_name = "NAME")]
    pub executor: Option<ExecutorChoice>,

    /// Memory for each loaded model's conversations, such as 512MiB or 4GiB [env: ATOLL_KV_MEMORY]
    #[arg(long, value_name = "SIZE")]
    pub kv_memory: Option<Bytes>,
}

/// Options of `serve`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Listen on this address; may be repeated [env: ATOLL_LISTEN; default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<SocketAddr>,

    /// Allow an address that other machines can reach, although nobody is asked for a key
    #[arg(long)]
    pub insecure: bool,

    /// Ask for a key on 127.0.0.1 too, because something in front of it lets others in
    #[arg(long)]
    pub require_key: bool,

    /// Be part of this cluster [env: ATOLL_CLUSTER; default: atoll]
    #[arg(long, value_name = "NAME", conflicts_with = "no_cluster")]
    pub cluster: Option<String>,

    /// Be part of no cluster [env: ATOLL_CLUSTER=off]
    #[arg(long)]
    pub no_cluster: bool,

    /// Reach this node of the cluster, where multicast does not; may be repeated [env: ATOLL_CLUSTER_PEERS]
    #[arg(long, value_name = "HOST:PORT")]
    pub peer: Vec<String>,

    /// Listen for other nodes here; may be repeated [env: ATOLL_CLUSTER_LISTEN; default: any free TCP port]
    #[arg(long, value_name = "ADDR")]
    pub cluster_listen: Vec<String>,

    /// Let in only nodes that have this file's secret, and encrypt [env: ATOLL_CLUSTER_SECRET_FILE, or the
    /// secret itself in ATOLL_CLUSTER_SECRET; default: what `atoll cluster join` left]
    #[arg(long, value_name = "FILE")]
    pub cluster_secret_file: Option<PathBuf>,

    /// Divide every model into exactly so many stages, each on a node of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub stages: Option<u32>,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// The model; the only one, or the demo model, if left out
    pub model: Option<String>,

    /// What to say; a conversation begins if left out
    pub prompt: Vec<String>,

    /// Instructions that stand before the conversation
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,

    /// How freely to choose words: 0 always takes the likeliest [default: the model's own]
    #[arg(long, value_name = "T")]
    pub temperature: Option<f32>,

    /// The same seed gives the same answer
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Longest answer in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: Option<u32>,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `models`.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelsArgs {
    /// One JSON array instead of a table
    #[arg(long)]
    pub json: bool,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `pull`.
#[derive(Debug, Clone, Args)]
pub struct PullArgs {
    /// The model, as the hub calls it: ORG/NAME
    pub model: String,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `plugins`.
#[derive(Debug, Clone, Default, Args)]
pub struct PluginsArgs {
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `keys`.
#[derive(Debug, Clone, Args)]
pub struct KeysArgs {
    /// What to do with keys.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with keys.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysCommand {
    /// Make a key and show it, once
    Create(KeyCreateArgs),
    /// List keys; the keys themselves are not kept
    List(KeyListArgs),
    /// Forget a key: whoever has it is refused from now on
    Revoke(KeyRevokeArgs),
}

/// Options of `keys create`.
#[derive(Debug, Clone, Args)]
pub struct KeyCreateArgs {
    /// What to call it, in lists, logs, metrics and filters
    pub name: String,

    /// Only for this model, `*` for any run of characters; may be repeated [default: all models]
    #[arg(long, value_name = "PATTERN")]
    pub model: Vec<String>,

    /// May also see and change what belongs to the host: metrics, plugins, downloads
    #[arg(long)]
    pub admin: bool,

    /// How long it works, such as 12h or 90d [default: until revoked]
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Span>,

    /// Most requests in a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub requests_per_minute: Option<u32>,

    /// Most tokens of prompts and answers in a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub tokens_per_minute: Option<u32>,

    /// Most requests at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrent: Option<u32>,

    /// Read settings from this file [env: ATOLL_CONFIG; default: config.toml in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `keys list`.
#[derive(Debug, Clone, Args)]
pub struct KeyListArgs {
    /// One JSON array instead of a table
    #[arg(long)]
    pub json: bool,

    /// Read settings from this file [env: ATOLL_CONFIG; default: config.toml in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `keys revoke`.
#[derive(Debug, Clone, Args)]
pub struct KeyRevokeArgs {
    /// The key's name
    pub name: String,

    /// Read settings from this file [env: ATOLL_CONFIG; default: config.toml in the configuration folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Shape of the model, filled with random weights in memory
    #[arg(long, value_name = "NAME")]
    pub synthetic: String,

    /// Bits per weight: 4, 8 or 16
    #[arg(long, default_value_t = 4, value_parser = parse_bits)]
    pub bits: u32,

    /// Processor threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub threads: Option<u32>,

    /// Prompt tokens per sequence
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub prompt: u32,

    /// Generated tokens per sequence
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub generate: u32,

    /// Sequences at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: u32,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Options of `config`.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Options as `serve` takes them, to see what they would change.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// Options of `doctor`.
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorArgs {
    /// One JSON array instead of a table
    #[arg(long)]
    pub json: bool,

    /// Options as `serve` takes them, to see what they would change.
    #[command(flatten)]
    pub serve: ServeArgs,
}

fn parse_bits(text: &str) -> Result<u32, String> {
    match text {
        "4" => Ok(4),
        "8" => Ok(8),
        "16" => Ok(16),
        _ => Err("weights can have 4, 8 or 16 bits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn prompts_need_no_quotes() {
        let cli = Cli::try_parse_from(["atoll", "run", "m", "Hello", "there"]).unwrap();
        let Command::Run(run) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(
            (run.model.as_deref(), run.prompt.join(" ").as_str()),
            (Some("m"), "Hello there")
        );
    }
}
