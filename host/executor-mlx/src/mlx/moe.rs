//! Mixture of experts: the experts' matrices are one array, and each token's products gather theirs.
//!
//! Of many tokens the choices are sorted by expert first, so that the kernel reads an expert once for
//! all of its tokens (mlx-lm does the same, from the same number of choices on).

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::{TryIndexOp, take_along_axis};
use mlx_rs::ops::{
    argpartition_axis, argsort, floor_divide, gather_mm, gather_qmm, sigmoid, softmax_axis,
};

use super::linear::Weights;
use super::weights::{Experts, Moe};

/// Choices from which sorting them pays.
const SORT_FROM: i32 = 64;

/// The weighted sums of each token's experts for each row of `x`, `[tokens, hidden]`.
pub(super) fn apply(moe: &Moe, x: &Array) -> Result<Array, Exception> {
    let (tokens, hidden) = (x.dim(0), x.dim(1));
    let choices = tokens * moe.chosen;
    let scores = softmax_axis(moe.router.apply(x)?, -1, true)?;
    let chosen =
        argpartition_axis(scores.negative()?, moe.chosen - 1, -1)?.try_index((.., ..moe.chosen))?;
    let mut weights = take_along_axis(&scores, &chosen, -1)?;
    if moe.normalise {
        let sum = weights.sum_axis(-1, true)?;
        weights = weights.divide(sum)?;
    }
    let outputs = if choices >= SORT_FROM {
        let flat = chosen.reshape(&[choices])?;
        let order = argsort(&flat)?;
        let token = floor_divide(&order, Array::from_slice(&[moe.chosen as u32], &[1]))?;
        let rows = x.take_axis(&token, 0)?.reshape(&[choices, 1, hidden])?;
        let sorted = mlps(&moe.experts, &rows, &flat.take_axis(&order, 0)?, true)?;
        sorted.take_axis(argsort(&order)?, 0)?
    } else {
        let rows = x.reshape(&[tokens, 1, 1, hidden])?;
        mlps(&moe.experts, &rows, &chosen, false)?
    };
    outputs
        .reshape(&[tokens, moe.chosen, hidden])?
        .multiply(weights.reshape(&[tokens, moe.chosen, 1])?)?
        .sum_axis(1, false)
}

/// Each row of `x` through its expert.
fn mlps(all: &Experts, x: &Array, experts: &Array, sorted: bool) -> Result<Array, Exception> {
    let gate = product(&all.gate, x, experts, sorted)?;
    let up = product(&all.up, x, experts, sorted)?;
    let gated = gate.multiply(sigmoid(&gate)?)?.multiply(up)?;
    product(&all.down, &gated, experts, sorted)
}

/// Each row of `x` times its expert's matrix.
fn product(
    weights: &Weights,
    x: &Array,
    experts: &Array,
    sorted: bool,
) -> Result<Array, Exception> {
    match weights {
        Weights::Dense(weight) => gather_mm(x, weight.swap_axes(-1, -2)?, None, experts, sorted),
        Weights::Affine {
            packed,
            scales,
            biases,
            group_size,
            bits,
        } => gather_qmm(
            x,
            packed,
            scales,
            biases,
            None,
            experts,
            true,
            *group_size,
            *bits,
            sorted,
        ),
    }
}
