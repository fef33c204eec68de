//! Mixture of experts: each expert runs once, over the tokens that chose it.
//!
//! A token's experts are added up in rising order, so its sum depends on its own choices alone, whatever
//! tokens are beside it.

use super::{Forward, target};
use crate::linear::Target;
use crate::memory::Shared;
use crate::weights::{Model, Moe};

/// One token's use of one expert.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Choice {
    expert: usize,
    row: usize,
    weight: f32,
}

/// Buffers for layers of experts; empty where there are none.
#[derive(Default)]
pub(super) struct Routing {
    /// The router's output, `[tokens, experts]`.
    scores: Vec<f32>,
    /// Inputs of one expert, side by side.
    gathered: Vec<f32>,
    /// Its outputs.
    outputs: Vec<f32>,
    choices: Vec<Choice>,
    order: Vec<usize>,
}

impl Routing {
    /// Buffers for chunks of up to `capacity` tokens.
    pub(super) fn new(model: &Model, capacity: usize) -> Self {
        let experts = model.weights.experts().map(Vec::len).max().unwrap_or(0);
        let hidden = if experts > 0 { model.hidden } else { 0 };
        Self {
            scores: vec![0.0; capacity * experts],
            gathered: vec![0.0; capacity * hidden],
            outputs: vec![0.0; capacity * hidden],
            ..Self::default()
        }
    }

    /// Reads `rows` tokens' scores: who goes where, ordered by expert, then by token.
    fn choose(&mut self, moe: &Moe, rows: usize) {
        let experts = moe.experts.len();
        self.choices.clear();
        for (row, scores) in self.scores.chunks_exact_mut(experts).take(rows).enumerate() {
            softmax(scores);
            self.order.clear();
            self.order.extend(0..experts);
            // Equal weights go to the lower number.
            let best_first =
                |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
            if moe.chosen < experts {
                self.order
                    .select_nth_unstable_by(moe.chosen - 1, best_first);
                self.order.truncate(moe.chosen);
            }
            self.order.sort_unstable();
            let sum: f32 = self.order.iter().map(|&expert| scores[expert]).sum();
            let divisor = if moe.normalise { sum } else { 1.0 };
            self.choices.extend(self.order.iter().map(|&expert| Choice {
                expert,
                row,
                weight: scores[expert] / divisor,
            }));
        }
        self.choices
            .sort_unstable_by_key(|choice| (choice.expert, choice.row));
    }
}

impl Forward {
    /// `x += sum of weight * expert(normed)` over each token's experts.
    pub(super) fn experts(&mut self, moe: &Moe, rows: usize, hidden: usize) {
        let scores = target(
            &moe.router,
            Shared::new(&mut self.routing.scores),
            moe.experts.len(),
        );
        self.compute.project(&self.normed, rows, &[scores]);
        self.routing.choose(moe, rows);
        let Routing {
            gathered,
            outputs,
            choices,
            ..
        } = &mut self.routing;
        for group in choices.chunk_by(|a, b| a.expert == b.expert) {
            let Some(expert) = group
                .first()
                .and_then(|first| moe.experts.get(first.expert))
            else {
                continue;
            };
            for (choice, out) in group.iter().zip(gathered.chunks_exact_mut(hidden)) {
                out.copy_from_slice(&self.normed[choice.row * hidden..][..hidden]);
            }
            let (wide, count) = (expert.gate.n, group.len());
            let gate = target(&expert.gate, Shared::new(&mut self.gate), wide);
            let up = target(&expert.up, Shared::new(&mut self.up), wide);
            self.compute.gated(gathered, count, gate, up);
            let down: Target<'_> = target(&expert.down, Shared::new(outputs), hidden);
            self.compute.project(&self.gate, count, &[down]);
            for (choice, out) in group.iter().zip(outputs.chunks_exact(hidden)) {
                let x = &mut self.x[choice.row * hidden..][..hidden];
                for (x, out) in x.iter_mut().zip(out) {
                    *x += choice.weight * out;
                }
            }
        }
    }
}

/// In one order, whatever runs beside it.
fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}
