//! One pass of some tokens through the layers: a graph of MLX operations, nothing of it evaluated.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::ops::sigmoid;

use super::attention::Plan;
use super::pages::{Fresh, Pages};
use super::weights::{FeedForward, Mlp, Model};

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
    let mut fresh = Vec::with_capacity(model.layers.len());
    for (index, layer) in model.layers.iter().enumerate() {
        let normed = layer.input_norm.apply(&x)?;
        let (mixed, new) = plan.attend(&normed, &layer.attention, &model.rope, pages, index)?;
        fresh.push(new);
        x = x.add(layer.attention.o.apply(&mixed)?)?;
        let normed = layer.post_attention_norm.apply(&x)?;
        x = x.add(match &layer.mlp {
            FeedForward::Dense(weights) => mlp(weights, &normed)?,
            FeedForward::Moe(moe) => moe.apply(&normed)?,
        })?;
    }
    Ok(Pass { hidden: x, fresh })
}

fn embed(model: &Model, input: Input<'_>) -> Result<Array, Exception> {
    let length = |count: usize| {
        i32::try_from(count).map_err(|_| Exception::custom("too many tokens in a chunk"))
    };
    match (input, &model.embedding) {
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

fn mlp(mlp: &Mlp, x: &Array) -> Result<Array, Exception> {
    let gate = mlp.gate.apply(x)?;
    let gated = gate.multiply(sigmoid(&gate)?)?.multiply(mlp.up.apply(x)?)?;
    mlp.down.apply(&gated)
}

/// Hidden states of the tokens at `indices` after the last norm; the model has its end.
pub(super) fn normed(model: &Model, hidden: &Array, indices: &[i32]) -> Result<Array, Exception> {
    let (norm, _) = model
        .head()
        .ok_or_else(|| Exception::custom("a stage without a head"))?;
    let count = i32::try_from(indices.len()).unwrap_or(i32::MAX);
    norm.apply(&hidden.take_axis(Array::from_slice(indices, &[count]), 0)?)
}

/// The logits of normed hidden states.
pub(super) fn logits(model: &Model, normed: &Array) -> Result<Array, Exception> {
    let (_, head) = model
        .head()
        .ok_or_else(|| Exception::custom("a stage without a head"))?;
    head.apply(normed)
}
