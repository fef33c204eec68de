//! A cluster and a model as a person writes them down.
//!
//! ```toml
//! context = 4096              # positions of one sequence
//! sequences = 1               # at once
//!
//! [model]                     # or `config = "path/config.json"`, or --model
//! name = "DeepSeek V3, 4 bit"
//! layers = 61
//! parameters = 671e9
//! active_parameters = 37e9
//! bits = 4.5
//! hidden_size = 7168
//! vocab_size = 129280
//! kv_bytes_per_position = 1152
//!
//! [[machine]]
//! name = "mini"
//! count = 8
//! memory = "64GiB"
//! executor = "mlx-metal"
//! memory_bandwidth = 273e9
//!
//! [network]
//! kind = "thunderbolt"
//! latency = 0.3e-3
//! bandwidth = 3e9
//! ```
//!
//! Units are the contract's: bytes, seconds, bytes a second, multiply-adds a second.

use std::path::{Path, PathBuf};

use atoll_cluster::placement::{Objective as Wished, model_facts};
use atoll_cluster::plan::Needs;
use atoll_engine::model::ModelSpec;
use atoll_sdk::placement::{Executor, LayerFacts, Link, ModelFacts, Node, Options, Topology};
use serde::Deserialize;

use crate::strategies::convert::live;
use crate::units::Bytes;

/// Bytes of a number in the KV memory and on links, where nothing else is said.
const HALF: u32 = 2;

/// Share of its peak that a machine's memory gives when weights are read: 0.7 to 0.87 was measured on
/// the machines this is used for.
const EFFICIENCY: f64 = 0.8;

/// Most machines of a description: more would be a mistake, or take long.
const MAX_MACHINES: u32 = 1024;

/// The file, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The model; `--model` says another.
    pub model: Option<ModelTable>,
    /// What is to be best.
    #[serde(default)]
    objective: Wished,
    /// Positions of one sequence.
    #[serde(default = "default_context")]
    context: u64,
    /// Sequences whose KV memory is planned for.
    #[serde(default = "one")]
    sequences: u64,
    machine: Vec<Machine>,
    network: Option<Network>,
    #[serde(default)]
    link: Vec<LinkTable>,
    /// What somebody measured, to compare with.
    #[serde(default)]
    pub measured: Vec<Measured>,
}

fn default_context() -> u64 {
    4096
}

fn one() -> u64 {
    1
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Machine {
    name: String,
    count: Option<u32>,
    memory: Bytes,
    /// What is not for the model; a quarter, which macOS keeps from the GPU.
    reserved: Option<Bytes>,
    #[serde(default = "cpu")]
    executor: String,
    memory_bandwidth: f64,
    efficiency: Option<f64>,
    #[serde(default)]
    matrix_rate: f64,
    #[serde(default)]
    layer_overhead: f64,
}

fn cpu() -> String {
    "cpu".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    #[serde(default = "unknown")]
    kind: String,
    latency: f64,
    bandwidth: f64,
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// `[[link]]`: what is different from `[network]` between two machines, both ways.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkTable {
    between: [String; 2],
    #[serde(default = "unknown")]
    kind: String,
    latency: f64,
    bandwidth: f64,
}

/// `[[measured]]`: decode speed of one sequence on the first `nodes` machines.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Machines.
    pub nodes: u32,
    /// Tokens a second.
    pub tokens_per_second: f64,
    /// The strategy that is nearest to what was run.
    pub strategy: String,
    /// Who measured what.
    pub source: String,
    /// The description was fitted to this number: its error says nothing.
    #[serde(default)]
    pub fitted: bool,
}

/// `[model]`: a configuration, or counts. Counted layers are all alike.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    /// A model's `config.json`, relative to the description.
    config: Option<PathBuf>,
    name: Option<String>,
    layers: Option<u32>,
    parameters: Option<f64>,
    active_parameters: Option<f64>,
    bits: Option<f64>,
    hidden_size: Option<u32>,
    vocab_size: Option<u32>,
    #[serde(default)]
    tied: bool,
    /// Of one layer.
    #[serde(default)]
    kv_bytes_per_position: u64,
    kv_heads: Option<u32>,
    #[serde(default)]
    tensor_parallel: Vec<u32>,
}

/// What a plan is made for.
#[derive(Debug, Clone)]
pub struct Question {
    /// Where.
    pub topology: Topology,
    /// What.
    pub model: ModelFacts,
    /// How.
    pub options: Options,
    /// What whoever reads the answer should know.
    pub notes: Vec<String>,
}

/// One sequence of a usual length.
pub fn usual_options() -> Options {
    options(Wished::default(), default_context(), one())
}

fn options(objective: Wished, context: u64, sequences: u64) -> Options {
    Options {
        objective: live::objective(objective),
        kv_positions: context.saturating_mul(sequences.max(1)),
        max_stages: None,
        excluded: Vec::new(),
        ext: Some(format!("{{\"context\": {context}}}")),
    }
}

impl Description {
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The cluster's first machines, at most `limit`.
    ///
    /// # Errors
    /// Numbers that make no sense, links to machines that are not there.
    pub fn topology(&self, limit: Option<u32>) -> Result<Topology, String> {
        let mut nodes = Vec::new();
        for machine in &self.machine {
            let count = machine.count.unwrap_or(1);
            for index in 1..=count.min(MAX_MACHINES) {
                nodes.push(machine.node(match count {
                    1 => machine.name.clone(),
                    _ => format!("{}-{index}", machine.name),
                })?);
            }
        }
        if nodes.len() > MAX_MACHINES as usize {
            return Err(format!("more than {MAX_MACHINES} machines"));
        }
        let mut names: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("two machines are called {:?}", pair[0]));
        }
        for link in &self.link {
            if let Some(stranger) = link
                .between
                .iter()
                .find(|end| !names.contains(&end.as_str()))
            {
                return Err(format!(
                    "a link names {stranger:?}, but there is no such machine"
                ));
            }
        }
        nodes.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
        let mut links = Vec::new();
        for source in &nodes {
            for target in nodes.iter().filter(|target| target.id != source.id) {
                links.extend(self.link(&source.id, &target.id));
            }
        }
        Ok(Topology { nodes, links })
    }

    fn link(&self, source: &str, target: &str) -> Option<Link> {
        let own = self.link.iter().find(|link| {
            let [a, b] = &link.between;
            (a == source && b == target) || (a == target && b == source)
        });
        let (kind, latency, bandwidth) = match (own, &self.network) {
            (Some(own), _) => (&own.kind, own.latency, own.bandwidth),
            (None, Some(all)) => (&all.kind, all.latency, all.bandwidth),
            (None, None) => return None,
        };
        Some(Link {
            source: source.to_owned(),
            target: target.to_owned(),
            latency,
            bandwidth,
            kind: kind.clone(),
        })
    }

    /// What is wished for.
    pub fn options(&self) -> Options {
        options(self.objective, self.context, self.sequences)
    }
}

impl Machine {
    fn node(&self, name: String) -> Result<Node, String> {
        let efficiency = self.efficiency.unwrap_or(EFFICIENCY);
        let bandwidth = self.memory_bandwidth * efficiency;
        let sensible = |value: f64| value.is_finite() && value >= 0.0;
        if !(bandwidth.is_finite() && bandwidth > 0.0 && efficiency <= 1.0) {
            return Err(format!(
                "{name}: memory_bandwidth and efficiency make no sense"
            ));
        }
        if !sensible(self.matrix_rate) || !sensible(self.layer_overhead) {
            return Err(format!(
                "{name}: matrix_rate and layer_overhead cannot be negative"
            ));
        }
        let memory = self.memory.0;
        let reserved = self.reserved.map_or(memory / 4, |bytes| bytes.0);
        Ok(Node {
            id: name.clone(),
            name,
            memory_total: memory,
            memory_free: memory.saturating_sub(reserved),
            executors: vec![Executor {
                kind: self.executor.clone(),
                memory_bandwidth: bandwidth,
                matrix_rate: self.matrix_rate,
                layer_overhead: self.layer_overhead,
            }],
            weights_present: 0,
            ext: None,
        })
    }
}

impl ModelTable {
    /// The facts of the model, out of its configuration or of the counts. `folder` is the
    /// description's.
    ///
    /// # Errors
    /// A configuration that cannot be read, a count that is missing.
    pub fn facts(&self, folder: &Path) -> Result<ModelFacts, String> {
        let Some(config) = &self.config else {
            return self.counted();
        };
        let mut facts = from_config(&folder.join(config))?;
        if !self.tensor_parallel.is_empty() {
            facts
                .tensor_parallel_sizes
                .clone_from(&self.tensor_parallel);
        }
        Ok(facts)
    }

    fn counted(&self) -> Result<ModelFacts, String> {
        let missing =
            |what: &str| format!("[model] needs `config`, or counts: `{what}` is missing");
        let layers = self.layers.filter(|&layers| layers > 0 && layers < 4096);
        let layers = layers.ok_or_else(|| missing("layers"))?;
        let count = |value: Option<f64>, what: &str| {
            let value = value.filter(|value| value.is_finite() && *value > 0.0);
            value.ok_or_else(|| missing(what))
        };
        let parameters = count(self.parameters, "parameters")?;
        let active = self.active_parameters.map_or(Ok(parameters), |value| {
            count(Some(value), "active_parameters")
        })?;
        let hidden = self.hidden_size.ok_or_else(|| missing("hidden_size"))?;
        let bytes_per_weight = count(self.bits, "bits")? / 8.0;
        let vocabulary = f64::from(self.vocab_size.unwrap_or(0)) * f64::from(hidden);
        // Both ends are among the parameters; of the active ones, the head is.
        let ends = if self.tied {
            vocabulary
        } else {
            2.0 * vocabulary
        };
        let each = |parameters: f64| {
            let bytes = parameters.max(0.0) * bytes_per_weight / f64::from(layers);
            bytes.round() as u64
        };
        let layer = LayerFacts {
            weight_bytes: each(parameters - ends),
            active_bytes: each(active.min(parameters) - vocabulary),
            kv_bytes_per_position: self.kv_bytes_per_position,
        };
        let end = (vocabulary * bytes_per_weight).round() as u64;
        Ok(ModelFacts {
            name: self.name.clone().unwrap_or_else(|| "the model".to_owned()),
            layers: vec![layer; layers as usize],
            embedding_bytes: end,
            head_bytes: end,
            hidden_size: hidden,
            kv_heads: self.kv_heads.unwrap_or(1),
            tensor_parallel_sizes: self.tensor_parallel.clone(),
            activation_bytes: HALF,
            ext: Some(format!(
                "{{\"bytes_per_weight\": {bytes_per_weight}, \"tied\": {}}}",
                self.tied
            )),
        })
    }
}

/// The facts of a model whose family the engine knows, from its configuration alone.
///
/// # Errors
/// A file that cannot be read, a family that the engine lacks: then counts are needed.
pub fn from_config(path: &Path) -> Result<ModelFacts, String> {
    let shown = path.display();
    let json = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    let spec = ModelSpec::from_config(&json).map_err(|error| {
        format!("{shown}: {error}; describe it by counts in a [model] table instead")
    })?;
    let folder = path.parent().and_then(Path::file_name);
    let name = folder.map_or_else(|| spec.family.clone(), |name| name.to_string_lossy().into());
    Ok(facts(name, spec))
}

/// The facts of a model that the engine describes. Keys and values have two bytes a number.
fn facts(name: String, spec: ModelSpec) -> ModelFacts {
    let needs = Needs {
        spec,
        kv_positions: 0,
        kv_value_bytes: HALF as usize,
    };
    ModelFacts {
        // Which groups are worth considering is the description's to say.
        tensor_parallel_sizes: Vec::new(),
        ..live::model(&model_facts(&name, &needs, HALF))
    }
}

#[cfg(test)]
mod tests;
