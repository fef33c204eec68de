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

use super::linear::{Linear, Weights};

/// Choices from which sorting them pays.
const SORT_FROM: i32 = 64;

/// A few of many gated MLPs for each token.
pub(super) struct Moe {
    pub(super) router: Linear,
    /// `[experts, wide, hidden]`.
    pub(super) gate: Weights,
    /// `[experts, wide, hidden]`.
    pub(super) up: Weights,
    /// `[experts, hidden, wide]`.
    pub(super) down: Weights,
    /// Experts that a token goes through.
    pub(super) chosen: i32,
    /// Whether their weights are divided by their sum.
    pub(super) normalise: bool,
}

impl Moe {
    /// The weighted sums for each row of `x`, `[tokens, hidden]`.
    pub(super) fn apply(&self, x: &Array) -> Result<Array, Exception> {
        let (tokens, hidden) = (x.dim(0), x.dim(1));
        let choices = tokens * self.chosen;
        let scores = softmax_axis(self.router.apply(x)?, -1, true)?;
        let chosen = argpartition_axis(scores.negative()?, self.chosen - 1, -1)?
            .try_index((.., ..self.chosen))?;
        let mut weights = take_along_axis(&scores, &chosen, -1)?;
        if self.normalise {
            let sum = weights.sum_axis(-1, true)?;
            weights = weights.divide(sum)?;
        }
        let outputs = if choices >= SORT_FROM {
            let flat = chosen.reshape(&[choices])?;
            let order = argsort(&flat)?;
            let token = floor_divide(&order, Array::from_slice(&[self.chosen as u32], &[1]))?;
            let rows = x.take_axis(&token, 0)?.reshape(&[choices, 1, hidden])?;
            let sorted = self.mlp(&rows, &flat.take_axis(&order, 0)?, true)?;
            sorted.take_axis(argsort(&order)?, 0)?
        } else {
            let rows = x.reshape(&[tokens, 1, 1, hidden])?;
            self.mlp(&rows, &chosen, false)?
        };
        outputs
            .reshape(&[tokens, self.chosen, hidden])?
            .multiply(weights.reshape(&[tokens, self.chosen, 1])?)?
            .sum_axis(1, false)
    }

    fn mlp(&self, x: &Array, experts: &Array, sorted: bool) -> Result<Array, Exception> {
        let gate = product(&self.gate, x, experts, sorted)?;
        let up = product(&self.up, x, experts, sorted)?;
        let gated = gate.multiply(sigmoid(&gate)?)?.multiply(up)?;
        product(&self.down, &gated, experts, sorted)
    }

    /// Every array it holds.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        let experts = [&self.gate, &self.up, &self.down];
        self.router
            .arrays()
            .chain(experts.into_iter().flat_map(Weights::arrays))
    }
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
