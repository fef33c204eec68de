//! A model as prefix sums over its layers.

use std::ops::Range;

use atoll_sdk::placement::{ModelFacts, Options};
use atoll_sdk::types::Error;
use serde::Deserialize;

/// Rows of the largest step a stage computes, for which it holds hidden states twice, before and
/// after a layer.
const STEP_ROWS: u64 = 512;

/// What `model-facts.ext` may say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ModelHints {
    /// Bytes that one weight takes, scales included; with it the multiply-adds of a token are known.
    pub bytes_per_weight: Option<f64>,
    /// The head is the embedding: a stage that has both holds it once.
    pub tied: bool,
}

/// What `options.ext` may say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OptionHints {
    /// Positions that a decoded token looks back at; all of `kv-positions` if left out.
    pub context: Option<u64>,
    /// Exactly so many stages.
    pub stages: Option<u32>,
}

impl OptionHints {
    /// # Errors
    /// An extension that is not JSON, or says something else under these names.
    pub fn of(options: &Options) -> Result<Self, Error> {
        hints(options.ext.as_ref())
    }
}

/// A model, and how much of its KV memory is planned for.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Prefix sums: weights in bytes.
    weights: Vec<u64>,
    /// Prefix sums: KV memory in bytes, for all positions planned for.
    kv: Vec<u64>,
    /// Per layer: bytes that decoding one token reads, weights and KV memory.
    pub read: Vec<f64>,
    /// Per layer: multiply-adds of one token; 0 where not known.
    pub multiply_adds: Vec<f64>,
    /// Bytes of the embedding, on the first stage.
    pub embedding: u64,
    /// Bytes of the head, on the last stage, read whole for each token.
    pub head: u64,
    /// Multiply-adds of the head.
    pub head_multiply_adds: f64,
    tied: bool,
    /// Bytes of one hidden state on a link.
    pub hidden_bytes: f64,
    activations: u64,
}

fn hints<T: serde::de::DeserializeOwned + Default>(ext: Option<&String>) -> Result<T, Error> {
    ext.map_or_else(|| Ok(T::default()), |json| atoll_sdk::settings::parse(json))
}

impl Shape {
    /// # Errors
    /// A model without layers, or an extension that is not what [`ModelHints`] and [`OptionHints`] say.
    pub fn new(model: &ModelFacts, options: &Options) -> Result<Self, Error> {
        if model.layers.is_empty() {
            return Err(Error::invalid("model.layers", "The model has no layers."));
        }
        let about: ModelHints = hints(model.ext.as_ref())?;
        let wanted = OptionHints::of(options)?;
        let context = wanted.context.unwrap_or(options.kv_positions) as f64;
        let per_weight = about.bytes_per_weight.filter(|&bytes| bytes > 0.0);
        let multiply_adds = |bytes: u64| per_weight.map_or(0.0, |each| bytes as f64 / each);
        let prefix = |bytes: &dyn Fn(usize) -> u64| {
            let mut sum = 0_u64;
            let mut sums = vec![0];
            for layer in 0..model.layers.len() {
                sum = sum.saturating_add(bytes(layer));
                sums.push(sum);
            }
            sums
        };
        let layers = &model.layers;
        let hidden = u64::from(model.hidden_size) * u64::from(model.activation_bytes);
        Ok(Self {
            weights: prefix(&|layer| layers[layer].weight_bytes),
            kv: prefix(&|layer| {
                let each = layers[layer].kv_bytes_per_position;
                each.saturating_mul(options.kv_positions)
            }),
            read: layers
                .iter()
                .map(|layer| {
                    layer.active_bytes as f64 + layer.kv_bytes_per_position as f64 * context
                })
                .collect(),
            multiply_adds: layers
                .iter()
                .map(|layer| multiply_adds(layer.active_bytes))
                .collect(),
            embedding: model.embedding_bytes,
            head: model.head_bytes,
            head_multiply_adds: multiply_adds(model.head_bytes),
            tied: about.tied,
            hidden_bytes: hidden as f64,
            activations: 2 * STEP_ROWS * hidden,
        })
    }

    /// Layers of the model, at least one.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.read.len()
    }

    /// Bytes of the weights of these layers.
    #[must_use]
    pub fn weights(&self, range: Range<usize>) -> u64 {
        self.weights[range.end] - self.weights[range.start]
    }

    /// Bytes of the KV memory of these layers.
    #[must_use]
    pub fn kv(&self, range: Range<usize>) -> u64 {
        self.kv[range.end] - self.kv[range.start]
    }

    /// Bytes that each of `parts` nodes needs for a stage with these layers: its part of the weights,
    /// with what belongs to the model's ends, and of the KV memory, and hidden states.
    #[must_use]
    pub fn memory(&self, range: Range<usize>, parts: u64) -> u64 {
        let (first, last) = (range.start == 0, range.end == self.layers());
        let mut bytes = self.weights(range.clone()).saturating_add(self.kv(range));
        bytes = bytes.saturating_add(match (first, last) {
            (true, true) if self.tied => self.embedding.max(self.head),
            (true, true) => self.embedding.saturating_add(self.head),
            (true, false) => self.embedding,
            (false, true) => self.head,
            (false, false) => 0,
        });
        bytes
            .div_ceil(parts.max(1))
            .saturating_add(self.activations)
    }
}
