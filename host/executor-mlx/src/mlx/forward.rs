//! One pass of some tokens through the layers: a graph of MLX operations, nothing of it evaluated.

use std::cell::RefCell;

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::ops::sigmoid;
use mlx_rs::transforms::compile::compile;

use super::attention::Plan;
use super::moe;
use super::pages::{Fresh, Pages};
use super::weights::{FeedForward, Layer, Model};

/// Hidden states `[tokens, hidden]` before the first layer the model has.
pub(super) enum Input<'a> {
    /// From the embedding.
    Tokens(&'a [u32]),
    /// From the stage before.
    Hidden(&'a [f32]),
}

/// What a pass leaves.
pub(super) struct Pass {
    /// Hidden states after the last layer, `[tokens, hidden]`.
    pub(super) hidden: Array,
    /// New keys and values of each layer.
    pub(super) fresh: Vec<Fresh>,
}

/// Runs all layers over a chunk.
pub(super) fn run(
    model: &Model,
    pages: &Pages,
    plan: &Plan,
    input: Input<'_>,
) -> Result<Pass, Exception> {
    let mut x = embed(model, input)?;
    let mut fresh = Vec::with_capacity(model.weights.layers.len());
    for (index, layer) in model.weights.layers.iter().enumerate() {
        let normed = layer.input_norm.apply(&x)?;
        let (mixed, new) = plan.attend(&normed, &layer.attention, &model.rope, pages, index)?;
        fresh.push(new);
        x = x.add(layer.attention.o.apply(&mixed)?)?;
        x = feed_forward(model, layer, &x)?;
    }
    Ok(Pass { hidden: x, fresh })
}

fn embed(model: &Model, input: Input<'_>) -> Result<Array, Exception> {
    let length = |count: usize| {
        i32::try_from(count).map_err(|_| Exception::custom("too many tokens in a chunk"))
    };
    match (input, &model.weights.embedding) {
        (Input::Tokens(tokens), Some(embedding)) => {
            let tokens = Array::from_slice(tokens, &[length(tokens.len())?]);
            embedding.rows(&tokens)?.as_dtype(model.compute.0)
        }
        (Input::Hidden(hidden), None) => {
            let rows = length(hidden.len())? / model.hidden.max(1);
            Array::from_slice(hidden, &[rows, model.hidden]).as_dtype(model.compute.0)
        }
        _ => Err(Exception::custom(
            "tokens go to the first layers, hidden states to later ones",
        )),
    }
}

/// Hidden states after a layer's second half.
pub(super) fn feed_forward(model: &Model, layer: &Layer, x: &Array) -> Result<Array, Exception> {
    let normed = layer.post_attention_norm.apply(x)?;
    x.add(match &layer.mlp {
        FeedForward::Dense(mlp) => {
            let (gate, up) = (mlp.gate.apply(&normed)?, mlp.up.apply(&normed)?);
            mlp.down.apply(&model.gated.apply(&gate, &up)?)?
        }
        FeedForward::Moe(moe) => moe::apply(moe, &normed)?,
    })
}

/// `silu(gate) * up`, as one kernel on a GPU: three operations of a few microseconds each are a good part of
/// a small model's step. On a CPU, where compiling would start a C++ compiler, it is switched off, and this
/// is three operations.
pub(super) struct Gated(RefCell<Box<Compiled>>);

type Compiled = dyn for<'a> FnMut((&'a Array, &'a Array)) -> Result<Array, Exception>;

impl Gated {
    pub(super) fn new() -> Self {
        let gated = |(gate, up): (&Array, &Array)| gate.multiply(sigmoid(gate)?)?.multiply(up);
        // For every shape: it is elementwise.
        Self(RefCell::new(Box::new(compile(gated, true))))
    }

    fn apply(&self, gate: &Array, up: &Array) -> Result<Array, Exception> {
        (*self.0.borrow_mut())((gate, up))
    }
}

/// Hidden states of the tokens at `indices` after the last norm; the model has its end.
pub(super) fn normed(model: &Model, hidden: &Array, indices: &[i32]) -> Result<Array, Exception> {
    let (norm, _) = model
        .weights
        .head()
        .ok_or_else(|| Exception::custom("a stage without a head"))?;
    let count = i32::try_from(indices.len()).unwrap_or(i32::MAX);
    norm.apply(&hidden.take_axis(Array::from_slice(indices, &[count]), 0)?)
}

/// The logits of normed hidden states.
pub(super) fn logits(model: &Model, normed: &Array) -> Result<Array, Exception> {
    let (_, head) = model
        .weights
        .head()
        .ok_or_else(|| Exception::custom("a stage without a head"))?;
    head.apply(normed)
}
