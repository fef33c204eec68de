//! Embeddings: rows whose hidden states are kept or added up instead of drawn from.

use super::CpuExecutor;
use atoll_engine::executor::{Pooling, Row, RowError};

impl CpuExecutor {
    /// See [`Executor::pool`](atoll_engine::executor::Executor::pool).
    pub(super) fn compute_pool(
        &mut self,
        rows: &[Row],
        pooling: Pooling,
        sums: &mut [Vec<f32>],
    ) -> Vec<Result<(), RowError>> {
        let mut verdicts = Vec::with_capacity(rows.len());
        self.check(rows, &mut verdicts);
        let allowed: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        let wants = |row: &Row| match pooling {
            Pooling::Last => 1,
            Pooling::Mean => row.tokens.len(),
        };
        self.feed(
            rows,
            |row| allowed.get(row).copied().unwrap_or(false),
            wants,
            |this, wanted| {
                this.forward
                    .run(&this.model, &mut this.pages, &this.chunk, &[]);
                for &(token, row, _) in wanted {
                    if let Some(sum) = sums.get_mut(row) {
                        add(sum, this.forward.normed(&this.model, token), pooling);
                    }
                }
            },
        );
        for (verdict, sum) in verdicts.iter_mut().zip(sums) {
            if verdict.is_ok() && !sum.iter().all(|value| value.is_finite()) {
                *verdict = Err(RowError::NotFinite);
            }
        }
        verdicts
    }
}

fn add(sum: &mut Vec<f32>, hidden: &[f32], pooling: Pooling) {
    if pooling == Pooling::Last || sum.is_empty() {
        sum.clear();
        sum.extend_from_slice(hidden);
    } else {
        sum.iter_mut().zip(hidden).for_each(|(sum, h)| *sum += h);
    }
}
