//! What can be said after `atoll plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{CommonArgs, PluginsArgs};

/// The commands of `atoll plugin`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Start a new plugin from a template
    #[command(after_help = "\
Examples:
  atoll plugin new my-api                              a dialect in Rust, in the folder my-api
  atoll plugin new my-filter --world filter --lang python

Then: cd my-api, atoll plugin build, atoll plugin add my-api.wasm")]
    New(NewArgs),

    /// Build the plugin in a folder that `atoll plugin new` made
    #[command(after_help = "\
Rust needs cargo, Python needs python3, JavaScript needs node and npm; what else is needed is
installed into the plugin's own folder, in the versions it names.")]
    Build(BuildArgs),

    /// Run text through a filter, a recorded request through a dialect, a queue through a scheduling strategy
    #[command(after_help = "\
Examples:
  atoll plugin test redact-pii \"My CIN is 09876543\"
  atoll plugin test ./my-filter.wasm --settings my-filter.toml < letter.txt
  atoll plugin test redact-pii --jsonl < corpus.jsonl > findings.jsonl
  atoll plugin test ./my-api.wasm --request hello.http
  atoll plugin test ./my-order.wasm --request queue.json
  atoll plan machines.toml --strategy ./my-plan.wasm        for a placement strategy

A request is a file as it stands on the wire (POST /path, headers, an empty line, the body). It shows the
operation that it becomes, and the answer in the API's own shape had the model said \"Hello there.\"

A queue is {\"waiting\": [{\"id\": 1, \"key_name\": \"ops\", \"priority\": 5, \"prompt_tokens\": 80, \"waited_ms\": 900}, ...],
\"load\": {\"running\": 3, \"max_running\": 4}}, with the names of wit/scheduling.wit; what it leaves out is 0 or empty.

With --jsonl each line {\"id\": ..., \"text\": ...} becomes one user message, and a line
{\"id\": ..., \"text\": ..., \"findings\": [{\"entity\", \"start\", \"end\", \"action\"}]} comes back in the same order.
Offsets are bytes of the original text. A request that the filter refuses has \"text\": null and says why in
\"blocked\". A line that cannot be run has \"error\" instead; the others go on, and the exit status is 1.")]
    Test(PluginTestArgs),

    /// Show what a plugin is, does, and wants, without using it
    #[command(after_help = "\
Examples:
  atoll plugin inspect my-api.wasm
  atoll plugin inspect openai")]
    Inspect(InspectArgs),

    /// Accept a plugin file and put it into the plugins folder
    #[command(after_help = "\
The file's SHA-256 and what it may use are written to plugins.lock, beside the plugins folder. A
running server takes it within a second. What it may use without being asked: its settings, the
time, random numbers and a few lines in the log. Everything else it wants is named, and given with
--grant or, all at once, with --yes.")]
    Add(AddArgs),

    /// Take a plugin out of the plugins folder, and forget what was accepted of it
    #[command(after_help = "\
What it stored (the grant kv) is kept, so that it finds it when it comes back; with --purge it is deleted,
also later, and by a running server too.")]
    Remove(RemoveArgs),

    /// List plugins: those that ship with Atoll and those in the plugins folder
    List(PluginsArgs),

    /// Accept that a plugin of the folder uses more of the host
    #[command(after_help = "\
Examples:
  atoll plugin grant my-filter kv metrics
  atoll plugin grant my-api manage-models
  atoll plugin grant my-filter http-out:api.example.com,10.0.0.7:8080
  atoll plugin grant my-filter files:/lexicon=/srv/lexicon
  atoll plugin grant my-filter --revoke kv

A host alone is HTTPS at port 443. A private address is reached only when it is granted as such, or
with a name as in http-out:models.lan:8080=10.0.0.7. A folder is readable only, by the name before '='.
A plugin with manage-models may ask for models to be downloaded, copied, deleted, loaded and unloaded.")]
    Grant(GrantArgs),

    /// Accept a plugin of the folder as it is now, after its file was replaced
    Update(UpdateArgs),

    /// Compile a component from standard input: what the server runs to keep it bounded
    #[command(hide = true)]
    CompileWorker,
}

/// A world to write a plugin for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WorldArg {
    /// Speaks one wire API
    Dialect,
    /// Reads or changes requests and answers
    Filter,
    /// Decides where a model runs
    Placement,
    /// Decides who goes next
    Scheduling,
}

/// A language to write a plugin in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Small and fast: some 100 KB, microseconds a call
    Rust,
    /// Some 18 MB, milliseconds a request
    Python,
    /// Some 12 MB, about a millisecond a request
    Javascript,
}

/// Options of `plugin new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// The plugin's name: lower-case letters, digits and '-'
    pub name: String,

    /// What it does
    #[arg(long, value_enum, default_value = "dialect")]
    pub world: WorldArg,

    /// What it is written in
    #[arg(long, value_enum, default_value = "rust")]
    pub lang: Language,

    /// Where to make it [default: a folder of its name]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Use the SDK in this folder instead of the copy that is inside this program
    #[arg(long, value_name = "DIR")]
    pub sdk: Option<PathBuf>,
}

/// Options of `plugin build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The plugin's folder
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

/// Options of `plugin test`.
#[derive(Debug, Clone, Default, Args)]
pub struct PluginTestArgs {
    /// The plugin: its name, or a .wasm file
    pub plugin: String,

    /// For a dialect: the HTTP request in this file; for a scheduling strategy: the queue in it, as JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jsonl", "text"])]
    pub request: Option<PathBuf>,

    /// The text; standard input if left out
    #[arg(conflicts_with = "jsonl")]
    pub text: Vec<String>,

    /// One JSON object a line, in and out
    #[arg(long)]
    pub jsonl: bool,

    /// Settings (TOML, or JSON in a .json file) instead of the configuration's
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// Let it use this too: http-out:HOST or files:NAME=FOLDER; may be repeated
    #[arg(long = "grant", value_name = "GRANT")]
    pub grants: Vec<String>,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `plugin inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A file, or the name of a plugin that is here
    pub plugin: String,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What is accepted of a plugin.
#[derive(Debug, Clone, Default, Args)]
pub struct AcceptArgs {
    /// Let it use this part of the host; may be repeated
    #[arg(long = "grant", value_name = "GRANT")]
    pub grants: Vec<String>,

    /// Let it use everything it wants
    #[arg(long)]
    pub yes: bool,

    /// Take it although a higher version was used here before
    #[arg(long)]
    pub allow_downgrade: bool,
}

/// Options of `plugin add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The component
    pub file: PathBuf,

    /// The name it gets here [default: the file's]
    #[arg(long)]
    pub name: Option<String>,

    /// What is accepted.
    #[command(flatten)]
    pub accept: AcceptArgs,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `plugin remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The plugin
    pub name: String,

    /// Delete what it stored, too
    #[arg(long)]
    pub purge: bool,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `plugin grant`.
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// The plugin
    pub name: String,

    /// What it may use: kv, metrics, tokenizer, manage-models, http-out:HOST, files:NAME=FOLDER
    #[arg(required_unless_present = "revoke")]
    pub grants: Vec<String>,

    /// What it may use no longer; may be repeated
    #[arg(long, value_name = "GRANT")]
    pub revoke: Vec<String>,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Options of `plugin update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The plugin
    pub name: String,

    /// What is accepted.
    #[command(flatten)]
    pub accept: AcceptArgs,

    /// Options shared with other commands.
    #[command(flatten)]
    pub common: CommonArgs,
}
